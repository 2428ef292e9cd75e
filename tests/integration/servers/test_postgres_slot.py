"""Slots that are dropped, lost, moved, promoted, restored, shared; publications that change (F42, F43, F46, F49-F52, F56)."""

import contextlib

import asyncpg
import msgspec
import pytest

from tests.integration.servers.postgres_room import room_of
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres.position import Position, parse_lsn

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)"
MODES = pytest.mark.parametrize("mode", ["stream", "poll"])


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute(TABLE)
        yield room


def stored(room):
    return Position.decode(room.emitted.kept["lsn"])


async def taken(room, config, *ids):
    """Insert rows and take them, in a run that is then cancelled; what the first run wants is made before."""
    if "lsn" not in room.emitted.kept:
        await room.set_up(config)
    for number in ids:
        await room.sql.execute("INSERT INTO orders VALUES ($1)", number)
    async with room.running(config) as run:
        await run.until(lambda: set(ids) <= set(room.ids("insert")), f"rows {ids}")


def accept(room, source, to):
    for key, value in source.rewind(room.emitted.kept, to).items():
        if value is None:
            room.emitted.kept.pop(key, None)
        else:
            room.emitted.kept[key] = value


async def gap_of(room, config):
    """Run until the run ends by itself with a gap."""
    async with room.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceGap), repr(error)
    return error


async def drop(room):
    """Drop the slot, whoever uses it."""

    async def dropped():
        await room.sql.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1",
            room.slot,
        )
        with contextlib.suppress(asyncpg.ObjectInUseError):
            await room.sql.execute("SELECT pg_drop_replication_slot($1)", room.slot)
        return await room.held() is None

    await room.eventually(dropped, "the slot is dropped")


@MODES
async def test_a_slot_dropped_while_running_is_a_gap_and_stays_one(room, mode):
    config = room.config(mode=mode, setup="auto")
    await room.set_up(config)
    await room.sql.execute("INSERT INTO orders VALUES (1)")
    async with room.running(config) as run:
        await run.until(lambda: room.ids("insert") == [1], "row 1")
        await drop(room)
        error = await run.ended()
        assert isinstance(error, (SourceGap, SourceUnavailable))  # the watch or the stream saw it first
    for _ in range(2):  # also with `setup: auto` nothing is made anew
        error = await gap_of(room, config)
        assert error.facts["reason"] == "slot-missing"
        assert "pointsman sources setup orders" in error.fix
    assert await room.held() is None
    async with room.opened(config) as (source, _):
        accept(room, source, "snapshot")
    await room.sql.execute("INSERT INTO orders VALUES (2)")
    async with room.running(config) as run:
        await run.until(lambda: sorted(room.ids("read")) == [1, 2], "all rows, read again")
        await room.sql.execute("INSERT INTO orders VALUES (3)")
        await run.until(lambda: 3 in room.ids("insert"), "row 3")
    assert "accept" not in room.emitted.kept


async def test_a_slot_that_the_server_gave_up_is_a_gap(make_postgres):
    server = make_postgres(
        extra={"max_slot_wal_keep_size": "32MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    )
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        config = room.config(setup="auto")
        await taken(room, config, 1)
        await room.sql.execute("CREATE TABLE noise (x text)")

        async def lost():
            await room.sql.execute(
                "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
            )
            await room.sql.execute("SELECT pg_switch_wal()")
            await room.sql.execute("CHECKPOINT")
            return (await room.held())["wal_status"] == "lost"

        await room.eventually(lost, "the slot is lost")
        error = await gap_of(room, config)
        assert error.facts["reason"] == "slot-lost"
        assert error.facts["slot_status"] == "wal_removed"
        async with room.opened(config) as (source, report):
            findings = {finding.code for finding in await source.check()}
            assert {"slot-lost"} <= findings
            steps = await source.setup(apply=True)
            assert all(step.done for step in steps)
        assert report.warnings == {}
        assert (await room.held())["wal_status"] == "reserved"
        error = await gap_of(room, config)  # a new slot heals nothing by itself
        assert error.facts["reason"] == "slot-ahead"
        accept(room, source, "next")
        await taken(room, config, 2)


@MODES
async def test_a_slot_moved_by_somebody_else_is_a_gap(room, mode):
    config = room.config(mode=mode, setup="auto")
    await taken(room, config, 1)
    await room.sql.execute("INSERT INTO orders VALUES (2)")

    async def advanced():
        with contextlib.suppress(asyncpg.ObjectInUseError):
            return await room.sql.fetchval(
                "SELECT end_lsn::text FROM pg_replication_slot_advance($1, pg_current_wal_lsn())", room.slot
            )

    end = await room.eventually(advanced, "the slot is moved")
    error = await gap_of(room, config)
    assert error.facts["reason"] == "slot-ahead"
    assert error.facts["slot_confirmed"] == end
    async with room.opened(config) as (source, _):
        accept(room, source, "next")
    await taken(room, config, 3)
    assert 2 not in room.ids("insert")


@MODES
async def test_a_slot_behind_our_position_brings_nothing_twice(room, mode):
    config = room.config(mode=mode, setup="auto")
    crashed = False

    def crash_before_confirm(name):
        nonlocal crashed
        if name == "postgres.before_confirm" and room.ids("insert") and not crashed:
            crashed = True
            raise SourceUnavailable("the process dies before it confirms")

    await room.set_up(config)
    await room.sql.execute("INSERT INTO orders VALUES (1)")
    async with room.running(config, crash_before_confirm) as run:
        await run.ended()
    assert room.ids("insert") == [1]
    assert parse_lsn(await confirmed(room)) < stored(room).lsn
    await taken(room, config, 2)
    assert room.ids("insert") == [1, 2]
    assert room.emitted.repeats == []


async def confirmed(room):
    return await room.sql.fetchval(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", room.slot
    )


async def test_a_position_beyond_the_servers_wal_is_a_restored_copy(room):
    config = room.config(setup="auto")
    await taken(room, config, 1)
    ahead = msgspec.structs.replace(stored(room), lsn=stored(room).lsn + 2**40)
    room.emitted.kept["lsn"] = ahead.encode()
    assert (await gap_of(room, config)).facts["reason"] == "server-behind"


async def test_another_system_is_a_gap(room):
    config = room.config(setup="auto")
    await taken(room, config, 1)
    room.emitted.kept["lsn"] = msgspec.structs.replace(stored(room), system_id="1").encode()
    assert (await gap_of(room, config)).facts["reason"] == "other-server"


@MODES
async def test_an_idle_source_lets_a_busy_neighbours_wal_go(room, postgres, mode):
    config = room.config(mode=mode, setup="auto", heartbeat="100ms", wal_budget="1MiB")
    async with room.running(config) as run:
        await run.until(lambda: "lsn" in room.emitted.kept, "it runs")
        neighbour = await asyncpg.connect(postgres.dsn)
        await neighbour.execute("CREATE TABLE IF NOT EXISTS noise (x text)")
        for _ in range(5):
            await neighbour.execute(
                "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
            )
        await neighbour.execute("DROP TABLE noise")
        end = await neighbour.fetchval("SELECT pg_current_wal_lsn()::text")
        await neighbour.close()

        async def let_go():
            await room.sql.execute(
                "CHECKPOINT"
            )  # it writes which transactions run: only then a slot can move
            slot = await room.held()
            return slot["restart_lsn"] >= parse_lsn(end) and parse_lsn(await confirmed(room)) >= parse_lsn(
                end
            )

        await room.eventually(let_go, "the slot holds nothing of the neighbour's WAL")
        assert room.emitted.messages == []

        async def nothing_pending():
            return (await run.source.progress()).pending == 0

        await room.eventually(nothing_pending, "nothing is pending")


async def test_an_old_transaction_that_holds_wal_is_named(make_postgres):
    server = make_postgres()
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        config = room.config(setup="auto", heartbeat="100ms", wal_budget="2MiB")
        await room.set_up(config)
        idle = await asyncpg.connect(server.dsn())
        await idle.execute("BEGIN; INSERT INTO orders VALUES (1000)")
        pid = await idle.fetchval("SELECT pg_backend_pid()")
        async with room.running(config) as run:
            await room.sql.execute("CHECKPOINT")  # from here on the open transaction is what WAL is kept for
            await room.sql.execute(
                "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)"
            )
            await room.sql.execute("CHECKPOINT")

            async def warned():
                return f"pg_terminate_backend({pid})" in run.report.warnings.get("wal-budget", ("", ""))[1]

            await room.eventually(warned, "the alarm names the process")
            assert "wal_budget" in run.report.warnings["wal-budget"][0]
            await idle.execute("ROLLBACK")

            async def cleared():
                await room.sql.execute("CHECKPOINT")
                return "wal-budget" not in run.report.warnings

            await room.eventually(cleared, "the alarm is taken back")
        await idle.close()


async def test_the_alarm_comes_before_the_server_gives_the_slot_up(make_postgres):
    server = make_postgres(extra={"max_slot_wal_keep_size": "32MB"})
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        config = room.config(setup="auto", heartbeat="100ms")
        await taken(room, config, 1)
        await room.sql.execute(
            "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 27000)"
        )
        room.emitted.block()  # the store takes nothing: WAL piles up
        async with room.opened(config) as (source, _):
            codes = {finding.code: finding for finding in await source.check()}
        assert "max_slot_wal_keep_size" in codes["wal-budget"].message
        assert (await room.held())["wal_status"] != "lost"
        room.emitted.release()


async def test_two_consumers_on_one_slot_the_second_waits_and_takes_over(room):
    config = room.config(setup="auto")
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: room.ids("insert") == [1], "row 1")
        second = type(room)(room.dsn, room.sql)
        second.slot = room.slot
        async with second.running(config) as other:
            error = await other.ended()
            assert isinstance(error, SourceUnavailable), repr(error)
            assert "use" in str(error) or "active" in str(error)
        assert not run.task.done()
        async with room.opened(config) as (source, _):
            assert "slot-in-use" not in {finding.code for finding in await source.check()}
    await taken(room, config, 2)
    assert room.ids("insert") == [1, 2]


async def test_a_table_taken_out_of_the_publication_stops_the_source(room):
    config = room.config(setup="auto", heartbeat="100ms")
    await taken(room, config, 1)
    async with room.running(config) as run:
        await run.until(lambda: "published" in room.emitted.kept, "it runs")
        await room.sql.execute("ALTER PUBLICATION pointsman_orders DROP TABLE orders")
        error = await run.ended()
    assert isinstance(error, SourceGap)
    assert error.facts["reason"] == "table-unpublished"
    assert 'ADD TABLE "public"."orders"' in error.fix
    before = stored(room)
    assert (await gap_of(room, config)).facts["tables"] == ["public.orders"]
    assert stored(room) == before  # nothing was acknowledged beyond
    await room.sql.execute("ALTER PUBLICATION pointsman_orders ADD TABLE orders")
    await taken(room, config, 2)
    (notice,) = room.emitted.notices
    assert (notice.kind, notice.data["reason"]) == ("gap", "table-republished")


async def test_a_table_added_to_the_publication_is_taken(room):
    config = room.config(tables=[], publication="ours", setup="manual", heartbeat="100ms")
    await room.sql.execute("CREATE PUBLICATION ours FOR TABLE orders; CREATE TABLE more (id int PRIMARY KEY)")
    await room.set_up(config)
    async with room.running(config) as run:
        await run.until(lambda: "published" in room.emitted.kept, "it runs")
        await room.sql.execute("ALTER PUBLICATION ours ADD TABLE more; INSERT INTO more VALUES (7)")
        await run.until(lambda: room.ids("insert") == [7], "the row of the new table")
        await run.until(
            lambda: b"public.more" in room.emitted.kept["published"], "the new table is remembered"
        )
        await room.sql.execute("DROP TABLE more")
        await run.until(lambda: bool(room.emitted.notices), "what is told of a table that is gone")
    assert room.emitted.notices[0].data["reason"] == "table-unpublished"


async def test_a_publication_that_is_gone_is_a_gap(room):
    config = room.config(setup="auto")
    await taken(room, config, 1)
    await room.sql.execute("DROP PUBLICATION pointsman_orders")
    assert (await gap_of(room, config)).facts["reason"] == "publication-missing"


async def test_before_setup_the_source_is_refused_with_the_command(room):
    async with room.running(room.config()) as run:
        error = await run.ended()
    assert isinstance(error, SourceRejected)
    assert "pointsman sources setup orders" in str(error)
