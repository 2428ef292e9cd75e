"""What tests know of a shared server: its addresses."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaServer:
    """One broker, plain text, no login."""

    bootstrap: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitServer:
    """One node, user and password `guest`; `management` is the API's address."""

    url: str
    management: str
    stream_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """One server with wal_level=logical; `dsn` names the superuser `postgres`, without a password."""

    host: str
    port: int
    user: str = "postgres"
    database: str = "postgres"

    @property
    def dsn(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    def of(self, database: str) -> "PostgresServer":
        """Return the same server, another database."""
        return replace(self, database=database)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSchema:
    """A schema of a test's own in a database that is shared."""

    server: PostgresServer
    name: str

    @property
    def dsn(self) -> str:
        return self.server.dsn


Value = KafkaServer | RabbitServer | PostgresServer

VALUES: Final[dict[str, type[KafkaServer] | type[RabbitServer] | type[PostgresServer]]] = {
    "kafka": KafkaServer,
    "rabbitmq": RabbitServer,
    "postgres": PostgresServer,
}
