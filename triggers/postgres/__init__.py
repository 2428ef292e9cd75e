"""PostgreSQL as a source: committed changes of tables, by logical replication, polling or an outbox table.

`PostgresSource` in `source` is the adapter. `pgoutput`, `values` and `changes` are pure: bytes to messages.
"""

from triggers.postgres.config import PostgresConfig

__all__ = ["PostgresConfig"]
