"""Reads the rows that are there already as messages `postgres.read`, page by page, while the stream goes on.

One way for the first time, after a crash and again by command. It needs no exported snapshot (that would not
outlive a crash) and holds no transaction longer than a page, so the slot lets WAL go meanwhile.

- Slot and publication are there before the first page, so whatever changes from then on is in the stream.
- A page is read and stored while the stream stores nothing (`gate`), in a snapshot that sees every
  transaction stored before: a row is never older than what the store has of it. Changes between that snapshot
  and the stream's position come after the read and lead to the same last state.
- The last key of a page is stored with its rows, in one transaction. What was not stored is read again.

Its own trouble with the server is a warning and another try; the stream is not ended by it.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import msgspec

from triggers.base import Emit, Expression, Item, Notice, SourceContext
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.postgres.begin import Start
from triggers.postgres.catalog import Catalog
from triggers.postgres.config import PostgresConfig, takes_table
from triggers.postgres.connection import Sql, connected, mapped
from triggers.postgres.copytext import Full, Rows
from triggers.postgres.gate import Gate
from triggers.postgres.learning import learn
from triggers.postgres.messages import read_message
from triggers.postgres.pages import CTID, Reading, Scan, decode, encode, query, relation, scan_of
from triggers.postgres.position import format_lsn
from triggers.postgres.rows import RowWriter
from triggers.postgres.slot import SNAPSHOT_KEY
from triggers.postgres.types import Types
from triggers.postgres.values import SESSION_SETTINGS

FIRST_ROWS: Final = 100
"""Rows of a scan's first page: nobody knows yet how large they are."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""What a page should have at most."""

LARGEST_PAGE: Final = 4 * PAGE_BYTES
"""Where the reading of a page is cut, when its rows are larger than those before."""

INVISIBLE: Final = 0.05
"""Seconds to wait for a transaction that is streamed already and not visible yet."""

LONGEST_KEY: Final = 200
"""Longer keys stand in ids as their hash."""

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# The first statement takes the snapshot of the transaction; settings hold for the transaction only (poolers).
_PREPARE: Final = """
SELECT pg_current_snapshot()::text AS snapshot, coalesce(pg_relation_filenode($1::oid), -1)::bigint AS file,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time,
       getdatabaseencoding()::text AS encoding,
       set_config('lock_timeout', '1s', true),  -- the stream waits while we do
       set_config('row_security', 'off', true),  -- an error, rather than rows that are left out silently
""" + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SESSION_SETTINGS.items())

# There the server sends no byte that is not UTF-8 unless it is asked to send them as they are.
_UNCHECKED: Final = "SET LOCAL client_encoding = 'SQL_ASCII'"


# Committed, hence streamed perhaps to an earlier run, but not visible before a standby has confirmed it.
_WAITING: Final = """
SELECT backend_xid::text::bigint AS xid FROM pg_stat_activity
WHERE wait_event = 'SyncRep' AND backend_xid IS NOT NULL
"""


class Snapshot:
    """The reading of existing rows beside one run."""

    def __init__(
        self,
        name: str,
        config: PostgresConfig,
        context: SourceContext,
        gate: Gate,
        start: Start,
        expressions: Mapping[str, Expression],
    ) -> None:
        self._name = name
        self._config = config
        self._context = context
        self._gate = gate
        self._start = start
        self._expressions = expressions
        self._types = Types(numeric=config.numeric)
        self._reading = Reading(number=1)
        self._page_rows = FIRST_ROWS
        self._looked = False

    async def run(self) -> None:
        """Read what is still to be read, and return. Raise NotStored, SourceRejected."""
        if not await self._wanted():
            return
        pause = INVISIBLE
        while not self._reading.finished:
            before = self._reading
            try:
                async with connected(self._name, self._config) as sql:
                    await self._tables(sql)
            except SourceUnavailable as error:
                pause = INVISIBLE if self._reading != before else min(pause * 2, 10.0)
                self._context.report.warn("snapshot", f"the snapshot goes on later: {error}")
                await asyncio.sleep(pause)
        self._context.report.running()

    async def _wanted(self) -> bool:
        """Find where the reading is; store that it has begun."""
        stored = (await self._context.positions()).get(SNAPSHOT_KEY)
        if stored is None:
            if self._config.snapshot == "never":
                return False
        else:
            try:
                self._reading = decode(stored)
            except msgspec.MsgspecError as error:
                raise SourceRejected(f"{self._name}: the position of the snapshot: {error}") from error
        if self._reading.finished:
            return False
        async with self._gate.page() as emit:
            await emit([], {SNAPSHOT_KEY: encode(self._reading)})
        self._context.reached("postgres.snapshot.begun")
        return True

    async def _tables(self, sql: Sql) -> None:
        """Read all tables; at the end, tell so."""
        catalog = Catalog(sql)
        if not self._looked:
            with mapped("looking for commits that wait for a standby"):
                self._gate.remember(row["xid"] for row in await sql.fetch(_WAITING))
            self._looked = True
        for scan in await self._scans(catalog):
            if scan.title not in self._reading.done:
                await self._table(sql, scan)
        finished = msgspec.structs.replace(self._reading, finished=True, scan="", key=(), after=(), file=0)
        notice = Notice(
            kind="snapshot-done",
            id=f"{self._start.identity.system_id}/snapshot-{finished.number}",
            data={"number": finished.number, "tables": list(finished.done), "rows": finished.rows},
        )
        async with self._gate.page() as emit:
            await self._store(emit, [notice], finished)
        self._context.reached("postgres.snapshot.done")

    async def _scans(self, catalog: Catalog) -> list[Scan]:
        """Return what is to be read: each published table, partition by partition."""
        publication = await catalog.publication(self._start.publication.name)
        if publication is None:
            raise SourceUnavailable(f"the publication {self._start.publication.name} is gone")
        taken = [one for one in publication.tables if takes_table(self._config, one.schema, one.name)]
        tables = {table.oid: table for table in await catalog.tables(oids=tuple(one.oid for one in taken))}
        scans = []
        for published in taken:
            table = tables.get(published.oid)
            if table is None:  # dropped since
                continue
            leaves = [table] if table.kind == "r" else await catalog.leaves(table)
            scans += [scan_of(published, table, leaf) for leaf in leaves if leaf.kind == "r"]
        return scans

    async def _table(self, sql: Sql, scan: Scan) -> None:
        """Read what is left of one table."""
        if not scan.leaf.readable:
            raise SourceRejected(f"{self._name}: {scan.title} may not be read; GRANT SELECT ON it")
        described = relation(scan)
        await learn(sql, self._types, {column.type_oid for column in described.columns})
        writer = RowWriter(described, self._config, self._types, scan.table.key)
        self._reading = self._reading.at(scan)
        self._page_rows = min(FIRST_ROWS, self._config.snapshot_page)
        rows = 0
        while self._reading.scan == scan.title:
            async with self._gate.page() as emit:
                page = await self._read(sql, scan)
                if page is not None:
                    rows += len(page.rows)
                    await self._store_page(emit, page, scan, writer)
            if page is None:
                self._context.report.busy(f"snapshot of {scan.title}: waits until a commit is visible")
                await asyncio.sleep(INVISIBLE)
            else:
                self._context.reached("postgres.snapshot.page")
                self._context.report.clear("snapshot")
                told = f"snapshot of {scan.title}: {rows:,} rows of about {max(rows, scan.leaf.rows):,}"
                self._context.report.busy(told)

    async def _read(self, sql: Sql, scan: Scan) -> "_Page | None":
        """Read the next page; None when the snapshot does not see yet what is stored."""
        wanted = self._page_rows
        rows = Rows(LARGEST_PAGE)
        with mapped(f"reading {scan.title}"):
            await sql.execute(_BEGIN)
            prepared = await sql.fetchrow(_PREPARE, scan.leaf.oid)
            if prepared is None or not self._gate.sees_all(prepared["snapshot"]):
                await sql.execute("ROLLBACK")
                return None
            if prepared["file"] != scan.leaf.file and scan.key == CTID:
                raise SourceUnavailable(f"{scan.title} was rewritten: it is read from its beginning")
            if prepared["encoding"] == "SQL_ASCII":
                await sql.execute(_UNCHECKED)
            cut = False
            try:
                seconds = self._config.timeout.total_seconds() * 30
                statement = query(scan, self._reading, wanted)
                await sql.copy_from_query(statement, output=rows, timeout=seconds)
            except Full:
                cut = True
            except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
                raise SourceUnavailable(f"{scan.title} was altered: {error}") from error
            await sql.execute("ROLLBACK")
        average = rows.bytes // max(1, len(rows.rows)) + 1
        self._page_rows = max(1, min(self._config.snapshot_page, PAGE_BYTES // average))
        return _Page(rows=rows.rows, time=prepared["time"], last=not cut and len(rows.rows) < wanted)

    async def _store_page(self, emit: Emit, page: "_Page", scan: Scan, writer: RowWriter) -> None:
        """Store a page in as many transactions as it needs, each with how far it is."""
        width = len(scan.key)
        prefix = f"{self._start.identity.system_id}/snapshot-{self._reading.number}/{scan.title}/"
        if scan.key == CTID:
            prefix += f"{scan.leaf.file}:"  # a place means something in one file only
        meta = {
            "kind": "postgres",
            "lsn": format_lsn(self._gate.position.lsn),
            "snapshot": self._reading.number,
        }
        for first in range(0, max(1, len(page.rows)), self._config.batch):
            part = page.rows[first : first + self._config.batch]
            items: list[Item] = [
                read_message(
                    writer,
                    row[width:],
                    id=prefix + identity(row[:width]),
                    source=self._name,
                    time=page.time,
                    meta=meta,
                    expressions=self._expressions,
                )
                for row in part
            ]
            reading = self._reading.past(part[-1][:width], len(part)) if part else self._reading
            if page.last and first + self._config.batch >= len(page.rows):
                reading = reading.done_with(scan)
            await self._store(emit, items, reading)

    async def _store(self, emit: Emit, items: Sequence[Item], reading: Reading) -> None:
        """Store items with the reading after them."""
        await emit(items, {SNAPSHOT_KEY: encode(reading)})
        self._reading = reading


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a page, each with its key before its columns; `last`: nothing comes after."""

    rows: list[list[bytes | None]]
    time: str
    last: bool


def identity(key: Sequence[bytes | None]) -> str:
    """Return how a row is named in the id of its message."""
    text = b",".join((part or b"").replace(b"\\", b"\\\\").replace(b",", b"\\,") for part in key)
    shown = text.decode("utf-8", "backslashreplace")
    if len(shown) <= LONGEST_KEY and shown.isprintable():
        return shown
    return "sha256:" + hashlib.sha256(text).hexdigest()
