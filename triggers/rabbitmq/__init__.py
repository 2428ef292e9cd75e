"""RabbitMQ as a source: the messages of a queue or a stream, acknowledged once they are stored.

`RabbitMQSource` in `source` is the adapter. `decoding`, `frames` and `streams` are pure.
"""

from triggers.rabbitmq.config import RabbitMQConfig
from triggers.rabbitmq.source import RabbitMQSource

__all__ = ["RabbitMQConfig", "RabbitMQSource"]
