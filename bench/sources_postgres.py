"""Reads PostgreSQL rows: with the drivers alone, and with the source's three modes. `bench.sources` measures.

The changes of one table are read again and again, through slots that stand before all of them. A driver
hands out frames of bytes, of which nothing but the header is read; our side writes every row as JSON. The
outbox is a table that each case empties.
"""

import argparse
import asyncio
import contextlib
import functools
import secrets
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from bench.reading import SOURCE, Meter, Read, Took, source_alone, source_stored
from triggers.postgres.config import PostgresConfig
from triggers.postgres.pgoutput import Decoder
from triggers.postgres.position import Position, format_lsn, parse_lsn
from triggers.postgres.source import PostgresSource
from triggers.postgres.wire import streaming

BATCHES: Final = (50, 500, 1000)
MATCH: Final[dict[str, Any]] = {"type": ["postgres.insert"], "data": {"after": {"currency": ["EUR"]}}}
OUTBOX_MATCH: Final[dict[str, Any]] = {"type": ["order.paid"], "data": {"currency": ["EUR"]}}

_SCHEMA: Final = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.orders (
    id bigint PRIMARY KEY, customer text, total numeric(12, 2), currency text, paid boolean,
    placed timestamptz, tags text[], note text);
CREATE TABLE {schema}.outbox (
    id bigserial PRIMARY KEY, type text, subject text, data jsonb, created_at timestamptz DEFAULT now());
CREATE PUBLICATION {schema} FOR TABLE {schema}.orders
"""
_FILL: Final = """
INSERT INTO {schema}.orders
SELECT i, 'c-' || i % 97, i % 1000 + 0.5, 'EUR', i % 3 = 0, now(), ARRAY['new', 'web'],
       'leave at the door ' || i
FROM generate_series($1::bigint, $2::bigint) AS i
"""
_FILL_OUTBOX: Final = """
INSERT INTO {schema}.outbox (type, subject, data)
SELECT 'order.paid', 'orders/' || i, jsonb_build_object(
    'id', i, 'customer', 'c-' || i % 97, 'total', i % 1000 + 0.5, 'currency', 'EUR', 'paid', i % 3 = 0,
    'tags', ARRAY['new', 'web'], 'note', 'leave at the door ' || i)
FROM generate_series(1, $1::bigint) AS i
"""
_PEEK: Final = """
DECLARE peek NO SCROLL CURSOR FOR SELECT data FROM pg_logical_slot_peek_binary_changes(
    $1, NULL, 10000, 'proto_version', '1', 'publication_names', $2)
"""

_DATA_HEADER: Final = struct.Struct(">cQQQc")
_COMMIT_END: Final = struct.Struct(">cBQQ")  # of a commit: kind, flags, where it begins, where it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A schema with a table, its publication, and a slot that stands before all of its rows."""

    dsn: str
    name: str
    messages: int

    def config(self, **settings: Any) -> PostgresConfig:
        """Return the configuration of a source here."""
        common = {"kind": "postgres", "url": self.dsn, "heartbeat": None}
        return PostgresConfig.model_validate({**common, **settings})

    def changes(self, slot: str, **settings: Any) -> PostgresConfig:
        """Return the configuration of a source that reads the table's changes."""
        return self.config(tables=(f"{self.name}.orders",), publication=self.name, slot=slot, **settings)


class Stream:
    """The replication stream."""

    name = "postgres"

    def __init__(self, place: Place, options: argparse.Namespace) -> None:
        self._place = place
        self.batches: Sequence[int] = options.batches or BATCHES
        self.cases: dict[str, Read] = {"psycopg COPY BOTH": self._bare}
        if options.more:
            self.cases["psycopg, columns apart"] = functools.partial(self._bare, columns=True)
        self.cases["source"] = functools.partial(_source_alone, place, "stream")
        self.cases["source, rules, SQLite"] = functools.partial(_source_stored, place, "stream")

    async def _bare(self, batch: int, *, columns: bool = False) -> Took:
        """Take frames off the stream with psycopg alone and confirm; with `columns`, take them apart."""
        place = self._place
        system_id, lsn = await _where(place)
        async with slot_of(place) as slot:
            start = Position(system_id=system_id, timeline=1, slot=slot, lsn=lsn)
            async with streaming(SOURCE, place.changes(slot), start, place.name) as wire:
                pgconn = wire._pgconn  # noqa: SLF001 - the bare side is what stands below ours
                header, decode = _DATA_HEADER.unpack_from, Decoder().decode
                meter = Meter(place.messages)
                read = 0
                while True:
                    size, data = pgconn.get_copy_data(1)
                    if size == 0:
                        await wire.readable()
                        pgconn.consume_input()
                        continue
                    frame = bytes(data)
                    if frame[0] != 0x77:
                        continue
                    kind = header(frame)[-1]
                    if columns:
                        decode(frame, 25)
                    read += kind == b"I"
                    if kind == b"C":
                        lsn = _COMMIT_END.unpack_from(frame, 25)[-1]
                        if meter.read + read == meter.expected:
                            wire.status(lsn)
                            meter.add(read)
                            return meter.took()
                    if read >= batch:
                        wire.status(lsn)
                        meter.add(read)
                        read = 0


class Poll:
    """The same by statements."""

    name = "postgres-poll"

    def __init__(self, place: Place, options: argparse.Namespace) -> None:
        self._place = place
        self.batches: Sequence[int] = options.batches or BATCHES
        self.cases: dict[str, Read] = {"asyncpg peek": self._bare}
        self.cases["source"] = functools.partial(_source_alone, place, "poll")
        self.cases["source, rules, SQLite"] = functools.partial(_source_stored, place, "poll")

    async def _bare(self, batch: int) -> Took:
        """Peek in large steps, fetch in batches, and move the slot behind each step."""
        place = self._place
        async with slot_of(place) as slot, _connected(place.dsn) as sql:
            meter = Meter(place.messages)
            lsn, done = 0, False
            while not done:
                async with sql.transaction():
                    await sql.execute(_PEEK, slot, place.name)
                    while rows := await sql.fetch(f"FETCH {batch} FROM peek"):
                        frames = [row["data"] for row in rows]
                        done = meter.add(sum(frame[0] == 0x49 for frame in frames))
                        for frame in frames:
                            if frame[0] == 0x43:
                                lsn = _COMMIT_END.unpack_from(frame)[-1]
                if lsn:
                    await sql.execute(
                        "SELECT pg_replication_slot_advance($1, $2::text::pg_lsn)", slot, format_lsn(lsn)
                    )
            return meter.took()


class Outbox:
    """The outbox."""

    name = "postgres-outbox"

    def __init__(self, place: Place, options: argparse.Namespace) -> None:
        self._place = place
        self.batches: Sequence[int] = options.batches or BATCHES
        self.cases: dict[str, Read] = {"asyncpg select, delete": self._bare}
        self.cases["source"] = self._alone
        self.cases["source, rules, SQLite"] = self._stored

    async def _fill(self) -> None:
        async with _connected(self._place.dsn) as sql:
            await sql.execute(f"TRUNCATE {self._place.name}.outbox")
            await sql.execute(_FILL_OUTBOX.format(schema=self._place.name), self._place.messages)
            await sql.execute(f"ANALYZE {self._place.name}.outbox")

    async def _bare(self, batch: int) -> Took:
        await self._fill()
        table = f"{self._place.name}.outbox"
        meter = Meter(self._place.messages)
        async with _connected(self._place.dsn) as sql:
            count = 0
            while not meter.add(count):
                async with sql.transaction():
                    rows = await sql.fetch(
                        f"SELECT id, type, subject, data, created_at FROM {table} ORDER BY id LIMIT $1", batch
                    )
                    keys = [row["id"] for row in rows]
                    await sql.execute(f"DELETE FROM {table} WHERE id = ANY($1)", keys)
                count = len(rows)
        return meter.took()

    async def _alone(self, batch: int) -> Took:
        await self._fill()
        return await source_alone(self._source(batch), self._place.messages)

    async def _stored(self, batch: int) -> Took:
        await self._fill()
        return await source_stored(self._source(batch), self._place.messages, OUTBOX_MATCH)

    def _source(self, batch: int) -> PostgresSource:
        outbox = {"table": f"{self._place.name}.outbox"}
        return PostgresSource(SOURCE, self._place.config(mode="outbox", outbox=outbox, batch=batch))


async def _source_alone(place: Place, mode: str, batch: int) -> Took:
    async with slot_of(place) as slot:
        source = PostgresSource(SOURCE, place.changes(slot, mode=mode, batch=batch))
        return await source_alone(source, place.messages)


async def _source_stored(place: Place, mode: str, batch: int) -> Took:
    async with slot_of(place) as slot:
        source = PostgresSource(SOURCE, place.changes(slot, mode=mode, batch=batch))
        return await source_stored(source, place.messages, MATCH)


# -- places


@contextlib.asynccontextmanager
async def stream(dsn: str, options: argparse.Namespace) -> AsyncIterator[Stream]:
    """Make and fill a table for the stream."""
    async with filled(dsn, options.messages, options.per_commit) as place:
        yield Stream(place, options)


@contextlib.asynccontextmanager
async def poll(dsn: str, options: argparse.Namespace) -> AsyncIterator[Poll]:
    """Make and fill a table for polling."""
    async with filled(dsn, options.messages, options.per_commit) as place:
        yield Poll(place, options)


@contextlib.asynccontextmanager
async def outbox(dsn: str, options: argparse.Namespace) -> AsyncIterator[Outbox]:
    """Make an outbox."""
    async with filled(dsn, 0, 1) as place:
        yield Outbox(Place(dsn=dsn, name=place.name, messages=options.messages), options)


@contextlib.asynccontextmanager
async def filled(dsn: str, rows: int, per_commit: int) -> AsyncIterator[Place]:
    """Make a table with so many rows, and a slot before them; drop both afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    async with _connected(dsn) as sql:
        await sql.execute(_SCHEMA.format(schema=name))
        try:
            await sql.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", name)
            statement = await sql.prepare(_FILL.format(schema=name))
            await sql.execute("SET synchronous_commit = off")
            for first in range(0, rows, per_commit):
                await statement.fetch(first, min(rows, first + per_commit) - 1)
            yield Place(dsn=dsn, name=name, messages=rows)
        finally:
            await _drop_slot(sql, name)
            await sql.execute(f"DROP PUBLICATION {name}; DROP SCHEMA {name} CASCADE")


@contextlib.asynccontextmanager
async def slot_of(place: Place) -> AsyncIterator[str]:
    """Make a slot that stands where the place's own stands; drop it afterwards."""
    slot = f"bench_{secrets.token_hex(4)}"
    async with _connected(place.dsn) as sql:
        await sql.execute("SELECT pg_copy_logical_replication_slot($1, $2)", place.name, slot)
        try:
            yield slot
        finally:
            await _drop_slot(sql, slot)


async def _drop_slot(sql: Any, slot: str) -> None:
    for _ in range(100):
        with contextlib.suppress(asyncpg.ObjectInUseError):
            await sql.execute("SELECT pg_drop_replication_slot($1)", slot)
            return
        await asyncio.sleep(0.05)  # its walsender is on its way out


async def _where(place: Place) -> tuple[str, int]:
    """Return the server's identity, and where the place's slot stands."""
    async with _connected(place.dsn) as sql:
        row = await sql.fetchrow(
            "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS id, "
            "confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1",
            place.name,
        )
        return row["id"], parse_lsn(row["lsn"])


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Any]:
    sql = await asyncpg.connect(dsn)
    try:
        yield sql
    finally:
        await sql.close()
