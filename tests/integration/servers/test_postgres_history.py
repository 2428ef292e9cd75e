"""Another history: a standby that was promoted with and without our slot, a copy that was restored (F51, F52)."""

import asyncio
import contextlib
import subprocess

import asyncpg
import pytest

from tests.integration.servers.postgres_room import room_of
from tests.integration.servers.test_postgres_slot import TABLE, accept, gap_of, stored, taken
from tests.patience import PATIENCE

FAST = {"fsync": "off", "hot_standby": "on", "wal_keep_size": "128MB", "recovery_target_timeline": "latest"}


async def ordered(*words):
    """Run a program; fail with what it says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode == 0, error.decode()


async def copied(server, other):
    """Copy a server that does not run, as a backup of its files is; owners and modes stay."""
    other.directory.mkdir(parents=True, exist_ok=True)
    await ordered("cp", "-a", server.data, other.data)


async def standby_of(primary, other, *, slots=True):
    """Make a stopped primary's copy a standby of it; the primary runs again afterwards."""
    await primary.stop()
    await copied(primary, other)
    if not slots:
        await ordered("sh", "-c", 'rm -rf "$0"/pg_replslot/*', other.data)
    (other.data / "standby.signal").touch()
    with (other.data / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=postgres dbname=postgres'\n")
    await primary.start()


@contextlib.asynccontextmanager
async def starting(server):
    """Start a standby: it counts as started once it was promoted, so that goes on meanwhile."""
    task = asyncio.create_task(server.start())
    try:
        yield
    finally:
        await task


async def reached(server, lsn):
    """Wait until a standby has replayed so far."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            sql = await asyncpg.connect(server.dsn(), timeout=3)
            try:
                if await sql.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn):
                    return
            finally:
                await sql.close()
        await asyncio.sleep(0.05)
    raise AssertionError("the standby does not follow")


async def promote(server):
    sql = await asyncpg.connect(server.dsn())
    try:
        assert await sql.fetchval("SELECT pg_promote()")
    finally:
        await sql.close()


@pytest.mark.parametrize("with_slot", [False, True])
async def test_a_promoted_standby(make_postgres, with_slot):
    primary, standby = make_postgres(extra=FAST), make_postgres(extra=FAST)
    await primary.start()
    async with room_of(primary.dsn()) as room:
        await room.sql.execute(TABLE)
        config = room.config(setup="auto")
        await room.set_up(config)
    await standby_of(primary, standby, slots=with_slot)
    async with starting(standby):
        async with room_of(primary.dsn()) as there:
            there.slot, there.emitted = room.slot, room.emitted
            await taken(there, config, 1, 2)
            end = await there.sql.fetchval("SELECT pg_current_wal_lsn()::text")
        await reached(standby, end)
        primary.end()
        await promote(standby)
    async with room_of(standby.dsn()) as here:
        here.slot, here.emitted = room.slot, room.emitted
        moved = here.config(setup="auto")
        if with_slot:
            await taken(here, moved, 3)
            assert here.ids("insert") == [1, 2, 3]
            assert stored(here).timeline == 2
            assert here.emitted.repeats == []
        else:
            error = await gap_of(here, moved)
            assert error.facts["reason"] == "slot-missing"
            assert (error.facts["stored_timeline"], error.facts["timeline"]) == (1, 2)


async def test_a_slot_that_the_servers_keep_in_step_outlives_the_promotion(make_postgres):
    primary = make_postgres(extra=FAST)
    synced = {"sync_replication_slots": "on", "hot_standby_feedback": "on", "primary_slot_name": "standby"}
    await primary.start()
    async with room_of(primary.dsn()) as room:
        if room.sql.get_server_version().major < 17:
            pytest.skip("failover slots came with PostgreSQL 17")
        await room.sql.execute(TABLE)
        await room.set_up(room.config())
        await room.sql.execute("SELECT pg_create_physical_replication_slot('standby', true)")
        assert (await room.held())["failover"]
    standby = make_postgres(extra=FAST | synced)
    await standby_of(primary, standby, slots=False)
    async with starting(standby):
        async with room_of(primary.dsn()) as there:
            there.slot, there.emitted = room.slot, room.emitted
            await taken(there, there.config(), 1, 2)
            await reached(standby, await there.sql.fetchval("SELECT pg_current_wal_lsn()::text"))
            sql = await asyncpg.connect(standby.dsn())
            query = "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = $1"

            async def in_step():
                await there.sql.execute(
                    "CHECKPOINT"
                )  # our heartbeats and this move the slot, and so its copy
                return await sql.fetchval(query, room.slot)

            async with there.running(there.config()):
                await there.eventually(in_step, "the slot is in step", 60)
            await sql.close()
            await reached(standby, await there.sql.fetchval("SELECT pg_current_wal_lsn()::text"))
        primary.end()
        await promote(standby)
    async with room_of(standby.dsn()) as here:
        here.slot, here.emitted = room.slot, room.emitted
        await taken(here, here.config(), 3)
        assert here.ids("insert") == [1, 2, 3]
        assert here.emitted.repeats == []


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_a_restored_copy_is_a_gap_and_its_new_rows_are_no_repeats(make_postgres, mode):
    server, copy = make_postgres(extra=FAST), make_postgres(extra=FAST)
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        config = room.config(setup="auto", mode=mode)
        await taken(room, config, 1)
    await server.stop()
    await copied(server, copy)
    await server.start()
    async with room_of(server.dsn()) as later:
        later.slot, later.emitted = room.slot, room.emitted
        await taken(later, config, 2, 3)
    server.end()
    # Recovery to the copy's end: from there a new timeline goes on, over LSNs that we know from the old one.
    (copy.data / "recovery.signal").touch()
    with (copy.data / "postgresql.auto.conf").open("a") as file:
        file.write("restore_command = 'false'\n")
    await copy.start()
    async with room_of(copy.dsn()) as here:
        here.slot, here.emitted = room.slot, room.emitted
        restored = here.config(setup="auto", mode=mode)
        error = await gap_of(here, restored)
        assert error.facts["reason"] == "other-timeline"
        async with here.opened(restored) as (source, _):
            assert "gap" in {finding.code for finding in await source.check()}
            accept(here, source, "next")
        await here.sql.execute("INSERT INTO orders VALUES (2, 20), (3, 30), (4, 40)")
        async with here.running(restored) as run:
            await run.until(lambda: 4 in here.ids("insert"), "the rows of the new timeline")
        assert [row["after"]["v"] for row in here.rows("insert")][-3:] == [20, 30, 40]
        assert here.emitted.conflicts == here.emitted.repeats == []


async def test_a_copy_on_the_same_timeline_that_ends_before_our_position_is_a_gap(make_postgres):
    server, copy = make_postgres(extra=FAST), make_postgres(extra=FAST)
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        await taken(room, room.config(setup="auto"), 1)
    await server.stop()
    await copied(server, copy)
    await server.start()
    async with room_of(server.dsn()) as later:
        later.slot, later.emitted = room.slot, room.emitted
        await later.sql.execute("CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 500)")
        await taken(later, later.config(), 2)
    server.end()
    await copy.start()
    async with room_of(copy.dsn()) as here:
        here.slot, here.emitted = room.slot, room.emitted
        assert (await gap_of(here, here.config())).facts["reason"] == "server-behind"
