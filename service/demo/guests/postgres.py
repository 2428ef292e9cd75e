"""The demo in a PostgreSQL database: a schema with a table, one row in. The source makes the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import asyncpg
from typing_extensions import override

from service.demo.guests.base import WITHIN, Guest, Order, told

OLDEST: Final = 140_000
"""The oldest version that the source reads."""

_LOOK: Final = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('server_version_num')::int AS version,
       rolsuper OR rolreplication AS replicates,
       has_database_privilege(current_database(), 'CREATE') AS creates,
       rolname AS role
FROM pg_roles WHERE rolname = current_user"""


class PostgresGuest(Guest):
    """A guest of one database, as a role that may replicate and make a schema."""

    kind: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    event: ClassVar[str] = "INSERT"
    usual: ClassVar[str] = "postgres://postgres@127.0.0.1:5432/postgres"
    example: ClassVar[str] = "postgres://user:password@127.0.0.1:5432/database"
    failures: ClassVar[tuple[type[Exception], ...]] = (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        TimeoutError,
        ValueError,
    )

    @override
    def __init__(self, address: str, name: str, orders: str = "") -> None:
        super().__init__(address, name, orders or f"{name}.orders")
        parts = urlsplit(address)
        if parts.scheme not in ("postgres", "postgresql") or not parts.hostname:
            raise ValueError("write postgres://user:password@host:port/database")
        shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._at: Final = f"{shown}:{parts.port or 5432}/{parts.path.removeprefix('/')}"

    @property
    @override
    def place(self) -> str:
        return self._at

    @override
    async def refusal(self) -> str:
        try:
            async with self._connected() as connection:
                found = await connection.fetchrow(_LOOK, timeout=WITHIN)
        except self.failures as error:
            return told(error)
        return "; ".join(_lacking(found)) if found is not None else "the role that we log in as is gone"

    @override
    async def arrive(self) -> None:
        with self.mapped("making a schema"):
            async with self._connected() as connection, connection.transaction():
                # The name is ours: letters, digits and underscores.
                await connection.execute(f"CREATE SCHEMA {self.name}", timeout=WITHIN)
                await connection.execute(
                    f"CREATE TABLE {self.orders} (id text PRIMARY KEY, sku text NOT NULL,"
                    " quantity integer NOT NULL, total numeric NOT NULL, currency text NOT NULL,"
                    " customer text NOT NULL)",
                    timeout=WITHIN,
                )

    @override
    def values(self) -> dict[str, Any]:
        return {"orders": self.orders, "slot": self.name}

    @override
    def secrets(self) -> dict[str, str]:
        return {"postgres": self.address}

    @override
    async def bring(self, order: Order) -> str:
        with self.mapped("inserting a row"):
            async with self._connected() as connection:
                await connection.execute(
                    f"INSERT INTO {self.orders} (id, sku, quantity, total, currency, customer)"  # noqa: S608 - our name
                    " VALUES ($1, $2, $3, $4::float8::numeric, $5, $6)",
                    *(order.id, order.sku, order.quantity, order.total, order.currency, order.customer),
                    timeout=WITHIN,
                )
        return f"table {self.orders}"

    @override
    async def leave(self) -> None:
        with self.mapped(f"removing slot, publication and schema {self.name}"):
            async with self._connected() as connection, asyncio.timeout(WITHIN):
                await self._drop_slot(connection)
                await connection.execute(f"DROP PUBLICATION IF EXISTS {self.name}")
                await connection.execute(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")

    async def _drop_slot(self, connection: "asyncpg.Connection[Any]") -> None:
        """Drop the source's slot, also when the server has not seen yet that its reader has gone."""
        look = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1"
        while (row := await connection.fetchrow(look, self.name)) is not None:
            if row["active_pid"] is not None:
                await connection.execute("SELECT pg_terminate_backend($1)", row["active_pid"])
            with contextlib.suppress(asyncpg.ObjectInUseError, asyncpg.UndefinedObjectError):
                await connection.execute("SELECT pg_drop_replication_slot($1)", self.name)
                return
            await asyncio.sleep(0.02)  # the server tells nobody when a backend has ended

    @contextlib.asynccontextmanager
    async def _connected(self) -> "AsyncIterator[asyncpg.Connection[Any]]":
        connection = await asyncpg.connect(self.address, timeout=WITHIN)
        try:
            yield connection
        finally:
            await connection.close(timeout=WITHIN)


def _lacking(found: Mapping[str, Any]) -> Iterator[str]:
    """Say what keeps the source from reading here, each with what would be right."""
    if found["version"] < OLDEST:
        yield f"it is PostgreSQL {found['version'] // 10_000}; 14 or newer is needed"
    if found["wal_level"] != "logical":
        yield f"wal_level is {found['wal_level']}: ALTER SYSTEM SET wal_level = 'logical', then restart it"
    if not found["replicates"]:
        yield f"the role {found['role']} may not replicate: ALTER ROLE {found['role']} REPLICATION"
    if not found["creates"]:
        yield f"the role {found['role']} may not make a schema in this database"
