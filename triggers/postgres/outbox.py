"""Reads messages from a table that an application writes in its own transactions (the outbox).

A transaction of ours reads the first rows in the order of their ids, has them stored, deletes (or marks)
exactly those, and commits. Nothing is remembered but what is still in the table, so an id that appears late,
from a transaction that was open longer, is read when it appears: nothing is skipped. A crash between storing
and deleting brings rows again under the same message ids, which the store knows.

Order: of what is visible, by id. Two writers of one subject keep their order when the later one sees the
earlier one's commit before it takes an id, as when both lock the row they write about first; triggers do.
One reader at a time, by an advisory lock that ends with each transaction (poolers may stand between).
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from triggers.base import Emit, Expression, Progress, Reject, SourceContext
from triggers.bodies import read_json
from triggers.errors import BadEvent, SourceRejected
from triggers.message import TriggerMessage
from triggers.postgres.catalog import Catalog, Table
from triggers.postgres.config import OutboxConfig, PostgresConfig
from triggers.postgres.connection import Row, Sql, connected, mapped, pause, qualified, quoted
from triggers.postgres.messages import expressed_or_reject, form_of

BATCH_BYTES: Final = 8 * 1024 * 1024
"""What a batch should have at most."""

_JSON: Final = (114, 3802)
_BINARY: Final = 17

# A database of encoding SQL_ASCII may hold what is no UTF-8: the message or reject has its bytes.
_BYTES: Final = (
    "convert_to({}::text, CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)"
)

_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('pointsman.outbox'), $1::oid::int4)"


class Outbox:
    """The reader of one outbox table."""

    def __init__(
        self,
        name: str,
        config: PostgresConfig,
        context: SourceContext,
        expressions: Mapping[str, Expression],
    ) -> None:
        self._name = name
        self._config = config
        self._context = context
        self._expressions = expressions
        self._rows = config.batch
        self._prefix = ""
        self._wake = asyncio.Event()

    async def run(self, emit: Emit) -> None:
        """Read until cancelled. Raise SourceUnavailable, SourceRejected, NotStored."""
        outbox = outbox_of(self._config)
        async with connected(self._name, self._config) as sql:
            catalog = Catalog(sql)
            table = await find(outbox, catalog)
            identity = await catalog.identity()
            self._prefix = f"{identity.system_id}/{identity.database}/{table.title}/"
            if outbox.channel is not None and not (await catalog.server()).pooled:
                sql.add_termination_listener(lambda _connection: self._wake.set())
                with mapped(f"listening to {outbox.channel}"):
                    await sql.add_listener(outbox.channel, lambda *_: self._wake.set())
            self._context.report.running()
            statements = Statements(outbox, table)
            while True:
                if not await self._take(sql, emit, table, statements):
                    await pause(self._config.poll_every.total_seconds(), self._wake)

    async def _take(self, sql: Sql, emit: Emit, table: Table, statements: "Statements") -> bool:
        """Store the first rows and delete them; say whether there were any.

        An exception leaves the transaction open: the connection ends with it, and nothing is deleted.
        """
        with mapped(f"reading {table.title}"):
            await sql.execute("BEGIN")
            free = await sql.fetchval(_LOCK, table.oid)
            rows = await sql.fetch(statements.read, self._rows) if free else []
        if rows:
            items = [self._item(row) for row in rows]
            await emit(items)
            self._context.reached("postgres.outbox.before_delete")
            size = sum(len(item.data or b"") for item in items)
            self._rows = max(1, min(self._config.batch, BATCH_BYTES * len(rows) // (size + 1)))
        with mapped(f"deleting what is stored from {table.title}"):
            if rows:
                await sql.execute(statements.take, [row["key"] for row in rows])
            await sql.execute("COMMIT")
        if rows:
            self._context.reached("postgres.outbox.after_delete")
        if free:
            self._context.report.clear("other-reader")
        else:
            message = f"somebody else reads {table.title}: one reader at a time keeps the order"
            self._context.report.warn("other-reader", message, "end the other reader, or wait for it")
        return bool(rows)

    def _item(self, row: Row) -> TriggerMessage | Reject:
        """Return the message of a row, or a reject with its bytes."""
        body: bytes | None = row["data"]
        meta: dict[str, Any] = {"kind": "postgres", "table": outbox_of(self._config).table, "row": row["key"]}
        message = TriggerMessage(
            id=f"{self._prefix}{row['key']}" + (f"/{row['stamp']}" if row["stamp"] else ""),
            source=f"/sources/{self._name}",
            type=row["type"] or "postgres.outbox",
            subject=row["subject"] or None,
            time=row["time"],
            meta=meta,
        )
        if body is None:
            return expressed_or_reject(message, self._expressions) if self._expressions else message
        try:
            form, media = form_of(body)
            if row["json"]:
                read_json(body)
                form, media = "json", "application/json"
        except BadEvent as bad:
            return Reject(reason=bad.reason, detail=bad.detail, data=body, meta=meta)
        message = msgspec.structs.replace(message, data=body, format=form, datacontenttype=media)
        return expressed_or_reject(message, self._expressions) if self._expressions else message


class Statements:
    """The two statements of a table: `read` takes a number of rows, `take` the keys of those stored."""

    def __init__(self, outbox: OutboxConfig, table: Table) -> None:
        types = {column.name: column for column in table.columns}
        name = qualified(table.schema, table.name)
        key = quoted(outbox.id)
        data = types[outbox.data]
        time = quoted(outbox.time) if outbox.time else "NULL::timestamptz"
        subject = f"{quoted(outbox.subject)}::text" if outbox.subject else "NULL::text"
        type_ = f"{quoted(outbox.type)}::text" if outbox.type else "NULL::text"
        body = quoted(outbox.data) if data.type_oid == _BINARY else _BYTES.format(quoted(outbox.data))
        left = f"WHERE {quoted(outbox.mark)} IS NULL " if outbox.mark else ""
        self.read = (
            f"SELECT {key}::text AS key, {body} AS data, {type_} AS type, {subject} AS subject, "  # noqa: S608  all quoted
            f"{str(data.type_oid in _JSON).lower()} AS json, "
            f"to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time, "
            f"(extract(epoch FROM {time}) * 1000000)::int8 AS stamp "
            f"FROM {name} {left}ORDER BY {key} LIMIT $1"
        )
        these = f"{key} = ANY($1::text[]::{types[outbox.id].type_name}[])"
        self.take = (
            f"UPDATE {name} SET {quoted(outbox.mark)} = clock_timestamp() WHERE {these}"  # noqa: S608  all quoted
            if outbox.mark
            else f"DELETE FROM {name} WHERE {these}"  # noqa: S608  all quoted
        )
        self.count = (
            f"SELECT count(*) AS rows, min(key)::text AS first FROM "  # noqa: S608  all quoted
            f"(SELECT {key} AS key FROM {name} {left}ORDER BY {key} LIMIT 10000) AS waiting"
        )


def outbox_of(config: PostgresConfig) -> OutboxConfig:
    """Return the outbox of a configuration that has one."""
    if config.outbox is None:
        raise SourceRejected("`mode: outbox` wants `outbox:`")
    return config.outbox


async def find(outbox: OutboxConfig, catalog: Catalog) -> Table:
    """Return the outbox table; raise SourceRejected when it or a column of it is not there."""
    tables = await catalog.tables(patterns=(outbox.table,))
    if not tables:
        raise SourceRejected(f"there is no table {outbox.table}; pointsman sources setup makes it")
    lacking = missing(outbox, tables[0])
    if lacking:
        raise SourceRejected(f"{outbox.table} has no column {', '.join(lacking)}")
    return tables[0]


def missing(outbox: OutboxConfig, table: Table) -> list[str]:
    """Return the configured columns that a table does not have."""
    wanted = (outbox.id, outbox.data, outbox.type, outbox.subject, outbox.time, outbox.mark)
    names = {column.name for column in table.columns}
    return [name for name in wanted if name is not None and name not in names]


async def outbox_progress(name: str, config: PostgresConfig) -> Progress:
    """Return how many rows wait (10,000 at most are counted) and which is the first."""
    outbox = outbox_of(config)
    async with connected(name, config) as sql:
        table = await find(outbox, Catalog(sql))
        with mapped(f"counting the rows of {table.title}"):
            row = await sql.fetchrow(Statements(outbox, table).count)
    found: Mapping[str, Any] = row or {"rows": 0, "first": None}
    return Progress(pending=found["rows"], unit="rows", position=found["first"] or "")
