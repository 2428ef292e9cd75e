"""Real Kafka, RabbitMQ and PostgreSQL as plain local processes, one each in a directory of its own.

For the demo and for tests that must see the real thing without a container engine. Everything listens on
127.0.0.1 only. Nothing is installed here (`scripts/servers` does that), and nothing here knows a test.
"""

from service.demo.servers.base import LocalServer
from service.demo.servers.kafka import LocalKafka
from service.demo.servers.postgres import LocalPostgres
from service.demo.servers.rabbitmq import LocalRabbitMQ

__all__ = ["SERVERS", "LocalKafka", "LocalPostgres", "LocalRabbitMQ", "LocalServer"]

SERVERS: dict[str, type[LocalServer]] = {
    server.kind: server for server in (LocalKafka, LocalRabbitMQ, LocalPostgres)
}
