"""Performing operations of described backends. Importing this package imports no engine."""

from typing import Final

CONNECTORS: Final[dict[str, str]] = {
    "http": "actions.http:HTTPConnector",
    "kafka": "actions.kafka.connector:KafkaConnector",
    "rabbitmq": "actions.rabbitmq.connector:RabbitMQConnector",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`."""

SCHEMES: Final[dict[str, str]] = {
    "http": "http",
    "https": "http",
    "kafka": "kafka",
    "kafka-secure": "kafka",
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
}
"""Which kind of connector speaks with a server, by how its URL begins."""
