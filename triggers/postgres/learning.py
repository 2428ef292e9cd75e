"""Asks the catalogue for what the stream does not tell: types that are not built in, and primary keys.

Only when a table is first seen or has changed. The catalogue tells how things are now, which may be later
than the change in the stream: a type that is gone by then is text.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from triggers.postgres.catalog import Catalog
from triggers.postgres.config import PostgresConfig, takes_table
from triggers.postgres.connection import Sql, connected, mapped
from triggers.postgres.pgoutput import Relation
from triggers.postgres.types import MAX_NESTING, TYPES_SQL, Types

FIRST_OWN_OID: Final = 16_384
"""Types from here on are made by users and may be altered."""


async def learn(sql: Sql, types: Types, oids: Iterable[int]) -> None:
    """Have `types` know these types and all that they are made of."""
    asked = types.unknown(oids)
    for _ in range(MAX_NESTING + 1):
        if not asked:
            return
        with mapped("asking for types"):
            rows = await sql.fetch(TYPES_SQL, asked)
        asked = types.learn(rows, asked)


class Learner:
    """Learns what is needed to write the rows of a table."""

    def __init__(self, name: str, config: PostgresConfig, types: Types) -> None:
        self._name = name
        self._config = config
        self._types = types

    async def learn(self, relation: Relation) -> Sequence[str]:
        """Return the names of the primary key, if the replica identity does not tell them; learn types."""
        if not takes_table(self._config, relation.schema, relation.name):
            return ()
        oids = {column.type_oid for column in relation.columns}
        self._types.forget(oid for oid in oids if oid >= FIRST_OWN_OID)
        told = relation.identity in ("default", "index") and any(column.key for column in relation.columns)
        if told and not self._types.unknown(oids):
            return ()
        async with connected(self._name, self._config) as sql:
            await learn(sql, self._types, oids)
            tables = [] if told else await Catalog(sql).tables(oids=(relation.oid,))
        return tables[0].key if tables and tables[0].primary else ()
