"""Measures the PostgreSQL source beside the bare driver: rows per second, and CPU per row.

The server is a real one; all sides read the same WAL in the same process through slots at the same place.
The bare driver hands out frames of bytes: it is shown with nothing but their headers read, and with their
columns taken apart. Our side writes every row as JSON and hands it to an `emit` that stores nothing, or to the
embedded store in batches of 500. Only the CPU of this process counts, all threads; the best of some runs is
shown, since the machine has other work.
"""

import asyncio
import contextlib
import os
import secrets
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from service.intake import Intake
from service.job import Job
from service.rules.model import Ruleset
from service.store.sqlite import SQLiteStore
from triggers.base import Accepted, Item, SourceContext
from triggers.postgres.config import PostgresConfig
from triggers.postgres.pgoutput import Decoder
from triggers.postgres.position import Position, parse_lsn
from triggers.postgres.source import PostgresSource
from triggers.postgres.wire import streaming

PER_TRANSACTION: Final = (1, 100, 100_000)
RUNS: Final = 3
_TABLE: Final = """
CREATE TABLE {schema}.orders (
    id bigint PRIMARY KEY, customer text, total numeric(12, 2), currency text, paid boolean,
    placed timestamptz, tags text[], note text)
"""
_FILL: Final = """
INSERT INTO {schema}.orders
SELECT i, 'c-' || i % 97, i % 1000 + 0.5, 'EUR', i % 3 = 0, now(), ARRAY['new', 'web'],
       'leave at the door ' || i
FROM generate_series($1::bigint, $2::bigint) AS i
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How long one way of reading took for all rows."""

    name: str
    per_transaction: int
    rows: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"{self.name:<24} {self.per_transaction:>7,} rows a commit  {self.rows / self.seconds:>9,.0f}/s"
            f"  {self.cpu / self.rows * 1e6:>6.2f} µs CPU each  {self.rows / self.cpu:>9,.0f} per CPU s"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A table with its publication, and a slot that stands before all of its rows."""

    dsn: str
    name: str
    rows: int
    per_transaction: int


class _Enough(Exception):
    """All rows were read."""


@contextlib.asynccontextmanager
async def filled(dsn: str, rows: int, per_transaction: int) -> AsyncIterator[Place]:
    """Make a table with so many rows, and a slot before them; drop both afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    sql = await asyncpg.connect(dsn)
    try:
        await sql.execute(f"CREATE SCHEMA {name}")
        await sql.execute(_TABLE.format(schema=name))
        await sql.execute(f"CREATE PUBLICATION {name} FOR TABLE {name}.orders")
        await sql.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", name)
        statement = await sql.prepare(_FILL.format(schema=name))
        await sql.execute("SET synchronous_commit = off")
        for first in range(0, rows, per_transaction):
            await statement.fetch(first, min(rows, first + per_transaction) - 1)
        yield Place(dsn=dsn, name=name, rows=rows, per_transaction=per_transaction)
    finally:
        await sql.execute("SELECT pg_drop_replication_slot($1)", name)
        await sql.execute(f"DROP PUBLICATION {name}; DROP SCHEMA {name} CASCADE")
        await sql.close()


@contextlib.asynccontextmanager
async def slot_of(place: Place) -> AsyncIterator[str]:
    """Make a slot that stands where the place's own stands."""
    slot = f"bench_{secrets.token_hex(4)}"
    sql = await asyncpg.connect(place.dsn)
    try:
        await sql.execute("SELECT pg_copy_logical_replication_slot($1, $2)", place.name, slot)
        yield slot
        for _ in range(100):
            with contextlib.suppress(asyncpg.ObjectInUseError):
                await sql.execute("SELECT pg_drop_replication_slot($1)", slot)
                break
            await asyncio.sleep(0.05)  # its walsender is on its way out
    finally:
        await sql.close()


def config_of(place: Place, slot: str, **settings: Any) -> PostgresConfig:
    """Return the configuration of a source that reads the place."""
    return PostgresConfig.model_validate(
        {
            "kind": "postgres",
            "url": place.dsn,
            "tables": (f"{place.name}.orders",),
            "publication": place.name,
            "slot": slot,
            "heartbeat": None,
            **settings,
        }
    )


async def bare(place: Place, *, columns: bool = False) -> Figure:
    """Take frames off the stream with psycopg alone; with `columns`, take them apart."""
    sql = await asyncpg.connect(place.dsn)
    system_id, timeline, lsn = await sql.fetchrow(
        "SELECT (SELECT system_identifier::text FROM pg_control_system()), 1, confirmed_flush_lsn::text "
        "FROM pg_replication_slots WHERE slot_name = $1",
        place.name,
    )
    await sql.close()
    header = struct.Struct(">cQQQc").unpack_from
    async with slot_of(place) as slot:
        start = Position(system_id=system_id, timeline=timeline, slot=slot, lsn=parse_lsn(lsn))
        async with streaming("bench", config_of(place, slot), start, place.name) as wire:
            read, began, used = 0, time.perf_counter(), time.process_time()
            pgconn = wire._pgconn  # noqa: SLF001  the bare side is what stands below ours
            decode = Decoder().decode
            while read < place.rows:
                size, data = pgconn.get_copy_data(1)
                if size == 0:
                    await wire.readable()
                    pgconn.consume_input()
                    continue
                frame = bytes(data)
                if frame[0] == 0x77:
                    _, _lsn, _, _, kind = header(frame)
                    read += kind == b"I"
                    if columns:
                        decode(frame, 25)
        return _figure("psycopg, columns apart" if columns else "psycopg, frames", place, began, used)


@contextlib.asynccontextmanager
async def embedded_store() -> AsyncIterator[Intake]:
    """Give an intake before an embedded store, with no rule."""

    def fatal(error: BaseException) -> None:
        raise error

    with tempfile.TemporaryDirectory() as directory:
        store = SQLiteStore(
            Path(directory),
            reached=lambda _: None,
            clock_ms=lambda: int(time.time() * 1000),
            on_fatal=fatal,
        )
        await store.open()
        intake = Intake(
            store,
            NoLanes(),
            clock_ms=lambda: int(time.time() * 1000),
            reached=lambda _: None,
            new_id=lambda: secrets.token_hex(8),
        )
        intake.use(Ruleset(0, ()), {"bench": await store.number("source", "bench")})
        yield intake
        await store.close()


class NoLanes:
    """There are no deliveries."""

    def reserve(self, connection: str) -> tuple[int, bool]:
        del connection
        return 0, False

    def cancel(self, connection: str) -> None: ...

    def hand_over(self, connection: str, job: Job) -> None: ...

    def nudge(self, connection: str | None = None) -> None: ...


async def stored(place: Place) -> Figure:
    """Read with the source into the embedded store."""
    async with embedded_store() as intake:
        return await ours(place, intake=intake)


async def ours(place: Place, mode: str = "stream", intake: Intake | None = None, **settings: Any) -> Figure:
    """Read with the source."""
    async with slot_of(place) as slot:
        source = PostgresSource("bench", config_of(place, slot, mode=mode, **settings))
        read = 0
        began = used = 0.0

        async def emit(
            items: Sequence[Item], positions: Mapping[str, bytes | None] | None = None
        ) -> Accepted:
            nonlocal read, began, used
            if not began:  # the first call says where it begins
                began, used = time.perf_counter(), time.process_time()
            if intake is not None:
                await intake.take_batch("bench", items, positions or {}, ordered=True)
            read += len(items)
            if read >= place.rows:
                raise _Enough
            return Accepted(new=len(items))

        await source.open(
            SourceContext(
                name="bench", reached=lambda _: None, clock=time.time, expression=lambda _: lambda _: None
            )
        )
        with contextlib.suppress(_Enough):
            await source.run(emit)
        name = "the source, SQLite" if intake is not None else f"the source, mode: {mode}"
        figure = _figure(name, place, began, used)
        await source.close()
    return figure


def _figure(name: str, place: Place, began: float, used: float) -> Figure:
    return Figure(
        name=name,
        per_transaction=place.per_transaction,
        rows=place.rows,
        seconds=time.perf_counter() - began,
        cpu=time.process_time() - used,
    )


async def bench(dsn: str, rows: int = 60_000) -> list[Figure]:
    """Measure both sides by turns and return the best of each."""
    best = []
    for per_transaction in PER_TRANSACTION:
        async with filled(dsn, rows, per_transaction) as place:
            bares = [await bare(place) for _ in range(RUNS)]
            apart = [await bare(place, columns=True) for _ in range(RUNS)]
            streams = [await ours(place) for _ in range(RUNS)]
            polls = [await ours(place, "poll")] if per_transaction > 1 else []
            kept = [await stored(place) for _ in range(RUNS)]
        for figures in (bares, apart, streams, polls, kept):
            if figures:
                best.append(min(figures, key=lambda figure: figure.cpu))
                print(best[-1], flush=True)
    return best


if __name__ == "__main__":
    asyncio.run(bench(sys.argv[1] if len(sys.argv) > 1 else os.environ["POINTSMAN_BENCH_POSTGRES"]))
