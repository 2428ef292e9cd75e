"""PostgreSQL as a source: committed changes of tables, by logical replication, polling or an outbox table.

`PostgresSource` in `source` is the adapter. `pgoutput`, `values` and `changes` are pure: bytes to messages.
"""

from triggers.postgres.config import PostgresConfig
from triggers.postgres.source import PostgresSource

__all__ = ["PostgresConfig", "PostgresSource"]
