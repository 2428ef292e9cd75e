"""Sources of trigger messages. Importing this package imports no adapter and no driver."""

from typing import Final

SOURCES: Final[dict[str, str]] = {
    "kafka": "triggers.kafka:KafkaSource",
    "webhook": "triggers.webhook:WebhookSource",
    "rabbitmq": "triggers.rabbitmq:RabbitMQSource",
    "postgres": "triggers.postgres:PostgresSource",
    "poll": "triggers.poll:PollSource",
    "schedule": "triggers.schedule:ScheduleSource",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""
