"""Existing rows first: each at least once, none stale after newer, resumed after a crash at any page (F55)."""

import asyncio
import contextlib
import resource

import asyncpg
import pytest

from tests.fakes.sources import source_context
from tests.integration.servers.postgres_room import Crash, decoded, room_of
from tests.patience import PATIENCE
from tests.servers import things, unique
from triggers.base import Accepted
from triggers.errors import SourceRejected
from triggers.postgres.source import PostgresSource


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL, note text)")
        yield room


async def test_rows_come_first_and_changes_after(room):
    await room.sql.execute("INSERT INTO orders SELECT n, 0, 'row ' || n FROM generate_series(1, 1234) AS n")
    config = room.config(snapshot="initial", setup="auto", snapshot_page=300, batch=100)
    async with room.running(config) as run:
        await run.until(lambda: bool(room.emitted.notices), "the snapshot")
        await room.sql.execute("UPDATE orders SET v = 1 WHERE id = 7")
        await run.until(lambda: bool(room.rows("update")), "the update")
    assert room.ids("read") == list(range(1, 1235))
    (notice,) = room.emitted.notices
    assert (notice.kind, notice.data["rows"]) == ("snapshot-done", 1234)
    first = room.emitted.messages[0]
    assert first.type == "postgres.read"
    assert first.subject == "public.orders"
    assert room.rows("read")[0]["after"] == {"id": 1, "v": 0, "note": "row 1"}
    assert room.rows("read")[0]["key"] == {"id": 1}
    async with room.running(config) as run:
        await room.sql.execute("UPDATE orders SET v = 2 WHERE id = 7")
        await run.until(lambda: len(room.rows("update")) == 2, "the next update")
    assert len(room.rows("read")) == 1234
    assert room.emitted.repeats == []


class CrashAt:
    """Raises Crash at the n-th hit of one of the points."""

    def __init__(self, number: int, *points: str) -> None:
        self.left = number
        self.points = points

    def __call__(self, name: str) -> None:
        if name in self.points:
            self.left -= 1
            if self.left <= 0:
                raise Crash(name)


def stale(messages):
    """Return the reads that are older than what was stored of their row before; `v` of a row only grows."""
    newest = {}
    found = []
    for message in messages:
        row = decoded(message)["after"]
        if message.type == "postgres.read" and row["v"] < newest.get(row["id"], -1):
            found.append((row, newest[row["id"]]))
        newest[row["id"]] = max(row["v"], newest.get(row["id"], -1))
    return found


async def write(dsn, stop, *, last):
    """Write to rows all over the table until told to stop; insert new ones now and then."""
    sql = await asyncpg.connect(dsn)
    number = 0
    try:
        while not stop.is_set():
            number += 1
            row = number * 7919 % last + 1
            await sql.execute(
                "UPDATE orders SET v = v + 1 WHERE id = ANY($1::int[])", [row, (row + 311) % last]
            )
            await asyncio.sleep(0.001)  # leave the reader a share of the machine
            if number % 10 == 0:
                await sql.execute("INSERT INTO orders VALUES ($1, 0, 'new')", last + number)
    finally:
        await sql.close()


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_a_crash_at_every_page_among_writes_loses_no_row_and_reads_none_stale(room, mode):
    rows = 600
    await room.sql.execute(
        "INSERT INTO orders SELECT n, 0, 'old' FROM generate_series(1, $1::int) AS n", rows
    )
    config = room.config(snapshot="initial", setup="auto", snapshot_page=60, batch=25, mode=mode)
    stop = asyncio.Event()
    writer = asyncio.create_task(write(room.dsn, stop, last=rows))
    crashes = 0
    for attempt in range(60):
        point = "postgres.snapshot.page" if attempt % 2 else "postgres.snapshot.begun"
        async with room.running(config, CrashAt(1, point, "postgres.snapshot.done")) as run:
            done, _ = await asyncio.wait([run.task], timeout=0.5 if room.emitted.notices else PATIENCE)
            if not done:
                break
            with pytest.raises(Crash):
                run.task.result()
            crashes += 1
            if room.emitted.notices:
                break
    stop.set()
    await writer
    assert crashes >= rows // 60
    now = {row["id"]: row["v"] for row in await room.sql.fetch("SELECT id, v FROM orders")}

    seen = 0
    states = {}

    def all_followed():
        nonlocal seen
        for message in room.emitted.messages[seen:]:
            seen += 1
            row = decoded(message)["after"]
            states[row["id"]] = row["v"]
        return states == now

    async with room.running(config) as run:
        await run.until(all_followed, "the last state of every row")
    assert stale(room.emitted.messages) == []
    assert set(range(1, rows + 1)) <= set(room.ids("read"))
    assert room.emitted.conflicts == []


async def test_a_read_waits_for_what_is_streamed_and_not_visible_yet(make_postgres):
    server = make_postgres(
        extra={"synchronous_standby_names": "nobody", "synchronous_commit": "local", "fsync": "off"}
    )
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL)")
        await room.sql.execute("INSERT INTO orders VALUES (1, 0)")
        config = room.config(setup="auto", heartbeat=None)
        async with room.running(config) as run:
            await asyncio.wait_for(run.report.connected.wait(), PATIENCE)
            writer = await asyncpg.connect(server.dsn())
            await writer.execute("SET synchronous_commit = on")
            waiting = asyncio.create_task(writer.execute("UPDATE orders SET v = 1"))
            await run.until(lambda: bool(room.rows("update")), "the update, streamed before it is visible")
            assert await room.sql.fetchval("SELECT v FROM orders") == 0
            again(room, run.source)
        async with room.running(config) as run:
            await asyncio.wait_for(run.report.connected.wait(), PATIENCE)
            with pytest.raises(TimeoutError):  # what must not happen has no event to wait for
                async with asyncio.timeout(0.5):
                    await room.emitted.until(lambda: bool(room.rows("read")), "a read")
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting  # cancelled on the server too: it is visible now
            await run.until(lambda: bool(room.emitted.notices), "the snapshot")
        assert [row["after"] for row in room.rows("read")] == [{"id": 1, "v": 1}]
        await writer.close()


def again(room, source):
    """Have the next run read all rows again."""
    for key, value in source.rewind(room.emitted.kept, "snapshot").items():
        assert value is not None
        room.emitted.kept[key] = value


async def read_all(room, config):
    """Run until the snapshot is done, and once more to see that it stays done."""
    before = len(room.emitted.notices)
    async with room.running(config) as run:
        await run.until(lambda: len(room.emitted.notices) > before, "the snapshot")


async def test_reading_again_by_command_has_ids_of_its_own(room):
    await room.sql.execute("INSERT INTO orders VALUES (1, 0), (2, 0)")
    config = room.config(snapshot="initial", setup="auto")
    await read_all(room, config)
    async with room.opened(config) as (source, _):
        again(room, source)
    await room.sql.execute("UPDATE orders SET v = 5 WHERE id = 1")
    await read_all(room, config)
    assert sorted(row["after"]["id"] for row in room.rows("read")) == [1, 1, 2, 2]
    assert len({message.id for message in room.emitted.messages}) == len(room.emitted.messages)
    assert [notice.data["number"] for notice in room.emitted.notices] == [1, 2]
    assert len(room.rows("update")) == 1


async def test_never_reads_nothing_and_begins_with_the_next_change(room):
    await room.sql.execute("INSERT INTO orders VALUES (1, 0)")
    async with room.running(room.config(setup="auto")) as run:
        await asyncio.wait_for(run.report.connected.wait(), PATIENCE)
        await room.sql.execute("INSERT INTO orders VALUES (2, 0)")
        await run.until(lambda: bool(room.rows("insert")), "the insert")
    assert room.ids() == [2]


TABLES = """
CREATE TABLE plain (id int, v int);
INSERT INTO plain SELECT n, n FROM generate_series(1, 500) AS n;
CREATE TABLE pair (a text COLLATE "C", b timestamptz, id int, PRIMARY KEY (a, b));
INSERT INTO pair SELECT E'it''s \\ "' || chr(9) || n % 7, timestamptz '2026-01-01Z' + n * interval '1.5 s', n
    FROM generate_series(1, 500) AS n;
CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us (region text NOT NULL, id int NOT NULL, PRIMARY KEY (id, region));
ALTER TABLE parts ATTACH PARTITION parts_us FOR VALUES IN ('us');
INSERT INTO parts SELECT n, CASE n % 2 WHEN 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 500) AS n;
CREATE TABLE made (id int PRIMARY KEY, double int GENERATED ALWAYS AS (id * 2) STORED, gone int, "We""ird" char(5),
    yes boolean, net inet, at interval);
ALTER TABLE made DROP COLUMN gone;
INSERT INTO made VALUES (1, DEFAULT, 'ab', true, '10.0.0.1', '1 day 2 s'), (2, DEFAULT, NULL, false, NULL, NULL);
"""


async def test_reads_every_kind_of_table_as_the_stream_writes_it(room):
    await room.sql.execute(TABLES)
    tables = ["public.plain", "public.pair", "public.parts", "public.made"]
    config = room.config(
        tables=tables, snapshot="initial", setup="auto", snapshot_page=40, operations=["insert"]
    )
    await read_all(room, config)
    read = {
        title: [row for row in room.rows("read") if row["table"] == title]
        for title in ("plain", "pair", "parts", "made")
    }
    for title in ("plain", "pair", "parts"):
        assert sorted(row["after"]["id"] for row in read[title]) == list(range(1, 501)), title
    assert read["made"][0]["after"] == {
        "id": 1,
        'We"ird': "ab   ",
        "yes": True,
        "net": "10.0.0.1",
        "at": "P1DT2S",
    }
    await room.sql.execute("CREATE TABLE copied AS TABLE made; TRUNCATE made")
    await room.sql.execute(
        'INSERT INTO made (id, "We""ird", yes, net, at) SELECT id, "We""ird", yes, net, at FROM copied'
    )
    async with room.running(config) as run:
        await run.until(lambda: len(room.rows("insert")) == 2, "the same rows, streamed")
    assert [row["after"] for row in room.rows("insert")] == [row["after"] for row in read["made"]]


async def test_a_table_without_key_that_is_rewritten_meanwhile_is_read_from_its_beginning(room):
    await room.sql.execute("CREATE TABLE plain (id int, pad text); ALTER TABLE plain REPLICA IDENTITY FULL")
    await room.sql.execute("INSERT INTO plain SELECT n, repeat('x', 500) FROM generate_series(1, 400) AS n")
    await room.sql.execute(
        "DELETE FROM plain WHERE id <= 200; INSERT INTO plain SELECT n, '' FROM generate_series(1, 200) AS n"
    )
    config = room.config(tables=["public.plain"], snapshot="initial", setup="auto", snapshot_page=100)
    async with room.running(config, CrashAt(2, "postgres.snapshot.page")) as run:
        assert isinstance(await run.ended(), Crash)
    await room.sql.execute("VACUUM FULL plain")
    await read_all(room, config)
    assert set(room.ids("read")) == set(range(1, 401))


async def test_the_publications_columns_and_row_filters_hold_for_reads_too(room):
    await room.sql.execute("INSERT INTO orders SELECT n, n, 'secret' FROM generate_series(1, 10) AS n")
    await room.sql.execute(
        "CREATE PUBLICATION narrow FOR TABLE orders (id, v) WHERE (id > 7) WITH (publish = 'insert')"
    )
    config = room.config(snapshot="initial", setup="auto", publication="narrow", operations=["insert"])
    await read_all(room, config)
    assert [row["after"] for row in room.rows("read")] == [{"id": n, "v": n} for n in (8, 9, 10)]


async def test_large_rows_are_read_in_bounded_memory(room):
    await room.sql.execute(
        "INSERT INTO orders SELECT n, 0, repeat(md5(n::text), 30000) FROM generate_series(1, 300) AS n"
    )  # 300 MB
    config = room.config(snapshot="initial", setup="auto", heartbeat=None)
    source = PostgresSource("orders", config)
    kept = {}
    largest = rows = 0
    done = asyncio.Event()

    async def emit(batch, positions=None):
        nonlocal largest, rows
        largest = max(largest, sum(len(item.data or b"") for item in batch if hasattr(item, "type")))
        rows += sum(getattr(item, "type", "") == "postgres.read" for item in batch)
        kept.update({key: value for key, value in (positions or {}).items() if value is not None})
        if any(getattr(item, "kind", "") == "snapshot-done" for item in batch):
            done.set()
        return Accepted()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    context = source_context(room.emitted, name="orders")
    await source.open(context)
    task = asyncio.create_task(source.run(emit))
    try:
        await asyncio.wait_for(done.wait(), PATIENCE)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await source.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert rows == 300
    assert largest < 48 * 1024 * 1024
    assert grown < 250 * 1024, f"{grown // 1024} MiB more"


async def test_a_locked_table_is_waited_for_and_the_stream_goes_on(room):
    await room.sql.execute("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO orders VALUES (1, 0)")
    config = room.config(tables=["public.orders", "public.other"], snapshot="initial", setup="auto")
    await room.set_up(config)
    locker = await asyncpg.connect(room.dsn)
    await locker.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    async with room.running(config) as run:
        for number in range(1, 4):
            await room.sql.execute("INSERT INTO other VALUES ($1)", number)
            await run.until(lambda last=number: last in room.ids("insert"), "the stream goes on")

        async def warned():
            return "snapshot" in run.report.warnings

        await room.eventually(warned, "the snapshot says what it waits for")
        await locker.execute("ROLLBACK")
        await run.until(lambda: bool(room.emitted.notices), "the snapshot")
        assert run.report.warnings == {}
    await locker.close()


async def test_rows_that_a_policy_hides_are_no_silent_loss(room, pg_database):
    role = unique("reader")
    await room.sql.execute(f"CREATE ROLE {role} LOGIN REPLICATION")
    try:
        await room.sql.execute(
            f"INSERT INTO orders VALUES (1, 0); ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"
            f"GRANT SELECT ON orders TO {role}"
        )
        await room.set_up(room.config())
        config = room.config(snapshot="initial", url=pg_database.dsn.replace("postgres@", f"{role}@"))
        async with room.running(config) as run:
            error = await run.ended()
        assert isinstance(error, SourceRejected)
        assert "row-level security" in str(error)
    finally:
        await room.sql.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
async def ascii_room(postgres):
    """A database that takes any bytes for text."""
    server = postgres.of(unique("ascii"))
    sql = await asyncpg.connect(postgres.dsn)
    await sql.execute(f"CREATE DATABASE {server.database} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    await sql.close()
    async with room_of(server.dsn) as room:
        yield room
    await things.drop_database(server)


async def test_bytes_that_are_no_text_become_rejects(ascii_room):
    room = ascii_room
    await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v text)")
    await room.sql.execute(r"INSERT INTO orders VALUES (1, 'good'), (2, E'bad \xff'), (3, 'good')")
    await read_all(room, room.config(snapshot="initial", setup="auto"))
    assert room.ids("read") == [1, 3]
    (reject,) = room.emitted.rejects
    assert (reject.reason, reject.data) == ("invalid-utf8", b"2\tbad \xff")
    await room.sql.execute("CREATE TABLE box (id int PRIMARY KEY, data json)")
    await room.sql.execute(r"""INSERT INTO box VALUES (1, E'{"n": "\xff"}'), (2, '{"n": 2}')""")
    columns = {"table": "public.box", "type": None, "subject": None, "time": None}
    async with room.running(room.config(mode="outbox", outbox=columns)) as run:
        await run.until(lambda: room.emitted.messages[-1].type == "postgres.outbox", "the good one")
    assert room.emitted.rejects[1].data == b'{"n": "\xff"}'
