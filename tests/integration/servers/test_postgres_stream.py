"""Streaming and polling on a real server: what transactions do to us, and what can go wrong (F40–F57)."""

import asyncio
import os
import random
import time
from collections import Counter
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.integration.servers.postgres_room import Crash, Room, decoded, room_of
from tests.patience import SLACK
from triggers.errors import NotStored, SourceGap, SourceUnavailable
from triggers.postgres.position import Position, parse_lsn

CRASHES = int(os.environ.get("POINTSMAN_COPY_CRASHES", "5"))
"""How often a COPY of 100,000 rows is interrupted; 199 is after every batch."""

MODES = pytest.mark.parametrize("mode", ["stream", "poll"])


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int, note text)")
        yield room


@pytest.fixture
async def own(make_postgres):
    """A room on a server of the test's own, which takes a silent receiver for dead after a second."""
    server = make_postgres(extra={"wal_sender_timeout": "1s", "max_prepared_transactions": "4"})
    await server.start()
    async with room_of(server.url) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int, note text)")
        yield room, server


def positions(room: Room) -> Position:
    return Position.decode(room.emitted.kept["lsn"])


async def confirmed(room: Room) -> int:
    """Return what the slot has confirmed."""
    query = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1"
    return parse_lsn(await room.sql.fetchval(query, room.slot))


async def reached(room: Room) -> bool:
    """Say whether what is stored whole is confirmed."""
    return await confirmed(room) >= positions(room).lsn


async def walsender(room: Room) -> int:
    """Return the process that serves our stream, as soon as there is one."""

    async def look() -> Any:
        held = await room.held()
        return held and held["active_pid"]

    return int(await room.eventually(look, "somebody uses the slot"))


async def copy(room: Room, numbers: range) -> None:
    await room.sql.copy_records_to_table("orders", records=[(number, 0, "x") for number in numbers])


def once_and_in_order(room: Room, numbers: Any) -> None:
    assert room.ids("insert") == list(numbers)
    assert room.emitted.repeats == []
    assert room.emitted.conflicts == []


# -- F44: many rows with one LSN, interrupted after every k-th


@MODES
async def test_rows_that_share_an_lsn_are_all_there(room, mode):
    config = room.config(mode=mode)
    await room.set_up(config)
    await copy(room, range(8))
    await room.sql.execute("INSERT INTO orders SELECT n, 0 FROM generate_series(8, 15) AS n")
    async with room.running(config) as run:
        await run.until(lambda: len(room.ids()) == 16, "all rows")
    once_and_in_order(room, range(16))
    assert len({message.id for message in room.emitted.messages}) == 16


@MODES
async def test_a_copy_interrupted_after_every_few_rows_is_stored_once(room, mode):
    config = room.config(mode=mode, batch=3)
    await room.set_up(config)
    await copy(room, range(40))
    while len(room.ids()) < 39:
        before = len(room.ids())
        async with room.running(config) as run:
            await run.until(lambda before=before: len(room.ids()) > before, "the next rows")
            room.emitted.fail()
            assert isinstance(await run.ended(), NotStored)
    async with room.running(config) as run:
        await run.until(lambda: len(room.ids()) == 40, "all rows")
    once_and_in_order(room, range(40))


@MODES
@pytest.mark.timeout(120 + 10 * CRASHES)
async def test_a_copy_of_100000_rows_with_a_crash_after_every_kth(room, mode):
    """At each of some sampled batches the store fails, the process dies, or the run is cancelled."""
    rows = 100_000
    config = room.config(mode=mode, heartbeat=None)
    await room.set_up(config)
    await copy(room, range(rows))
    dice = random.Random(44)
    marks = sorted(dice.sample(range(500, rows, 500), CRASHES))
    for number, mark in enumerate(marks):
        async with room.running(config) as run:
            await run.until(lambda mark=mark: len(room.emitted.messages) >= mark, f"{mark} rows")
            if number % 2:
                room.emitted.fail()
                assert isinstance(await run.ended(), NotStored)
    async with room.running(config) as run:
        await run.until(lambda: len(room.emitted.messages) == rows, "all rows")
    once_and_in_order(room, range(rows))
    assert await confirmed(room) > 0


class CrashAt:
    """Raises Crash at the n-th hit of a point."""

    def __init__(self, number: int, point: str) -> None:
        self.left = number
        self.point = point

    def __call__(self, name: str) -> None:
        if name == self.point:
            self.left -= 1
            if self.left == 0:
                raise Crash(name)


@MODES
@pytest.mark.parametrize("point", ["postgres.before_confirm", "postgres.after_confirm"])
async def test_a_crash_around_the_confirmation_repeats_nothing(room, mode, point):
    config = room.config(mode=mode, batch=2)
    await room.set_up(config)
    for hit in (1, 2, 3):
        await room.sql.execute(
            f"INSERT INTO orders SELECT n FROM generate_series({hit * 10}, {hit * 10 + 4}) AS n"
        )
        async with room.running(config, CrashAt(hit, point)) as run:
            assert isinstance(await run.ended(), Crash)
        assert await confirmed(room) <= positions(room).lsn
    async with room.running(config) as run:
        await run.until(lambda: len(room.ids()) == 15, "all rows")
    once_and_in_order(room, [*range(10, 15), *range(20, 25), *range(30, 35)])


@MODES
async def test_nothing_is_confirmed_before_it_is_stored(room, mode):
    config = room.config(mode=mode, heartbeat=None)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: 1 in room.ids(), "the first row")
        await room.eventually(lambda: reached(room), "it is confirmed")
        room.emitted.block()
        await room.sql.execute("INSERT INTO orders VALUES (2)")
        await run.until(lambda: room.emitted.in_flight > 0, "the second row is on its way")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert await confirmed(room) <= positions(room).lsn
            await asyncio.sleep(0.02)
        room.emitted.fail()
        room.emitted.release()
        assert isinstance(await run.ended(), NotStored)
    assert await confirmed(room) <= positions(room).lsn
    async with room.running(config) as run:
        await run.until(lambda: 2 in room.ids(), "the second row")
    once_and_in_order(room, [1, 2])


# -- F47: transactions that overlap


@MODES
async def test_transactions_that_overlap_come_in_the_order_of_their_commits_and_none_is_lost(room, mode):
    config = room.config(mode=mode, batch=2)
    await room.set_up(config)
    first, second = await asyncpg.connect(room.dsn), await asyncpg.connect(room.dsn)
    try:
        for base in (0, 100):
            one, two = first.transaction(), second.transaction()
            await one.start()
            await first.execute(f"INSERT INTO orders SELECT n FROM generate_series({base}, {base + 4}) AS n")
            await two.start()
            await second.execute(
                f"INSERT INTO orders SELECT n FROM generate_series({base + 10}, {base + 14}) AS n"
            )
            await first.execute(f"INSERT INTO orders VALUES ({base + 5})")
            await two.commit()
            async with room.running(config) as run:  # it stores the second and ends before the first commits
                await run.until(lambda base=base: base + 14 in room.ids(), "the transaction that ended first")
            await one.commit()
        async with room.running(config) as run:
            await run.until(lambda: 105 in room.ids(), "everything")
    finally:
        await first.close()
        await second.close()
    once_and_in_order(room, [*range(10, 15), *range(6), *range(110, 115), *range(100, 106)])


async def test_a_transaction_that_was_rolled_back_never_shows(room):
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as run:
        with pytest.raises(ZeroDivisionError):
            async with room.sql.transaction():
                await copy(room, range(2000))
                raise ZeroDivisionError
        async with room.sql.transaction():
            await room.sql.execute("INSERT INTO orders VALUES (1)")
            await room.sql.execute("SAVEPOINT s; INSERT INTO orders VALUES (2); ROLLBACK TO s")
            await room.sql.execute("INSERT INTO orders VALUES (3)")
        await run.until(lambda: 3 in room.ids(), "the transaction")
    once_and_in_order(room, [1, 3])


# -- F40, F41, F45, F48: the connection


async def test_a_walsender_killed_in_a_transaction_loses_nothing(room):
    config = room.config(batch=100, heartbeat=None)
    await room.set_up(config)
    rows = (
        40_000  # of a thousand bytes: far more than what lies in the sockets, twice, when a connection ends
    )
    await room.sql.execute(
        f"INSERT INTO orders SELECT n, 0, repeat('x', 1000) FROM generate_series(1, {rows}) AS n"
    )
    for _ in range(2):
        before = len(room.emitted.messages)
        async with room.running(config) as run:
            # More than before: what lay in the sockets at the first end may be any number of rows.
            await run.until(lambda before=before: len(room.emitted.messages) >= before + 100, "a part")
            room.emitted.block()
            await room.sql.execute("SELECT pg_terminate_backend($1)", await walsender(room))
            room.emitted.release()
            error = await run.ended()
            assert isinstance(error, SourceUnavailable), error
            assert str(error)
        assert positions(room).part is not None
    async with room.running(config) as run:
        await run.until(lambda: len(room.emitted.messages) == rows, "all rows")
    once_and_in_order(room, range(1, rows + 1))


async def test_while_a_transaction_is_in_work_nothing_beyond_the_last_commit_is_confirmed(own):
    """The store takes its time, three times longer than the server waits for a sign of life."""
    room, _ = own
    config = room.config(batch=100, heartbeat=None)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (-1)")
        await run.until(lambda: -1 in room.ids(), "the first row")
        pid = await walsender(room)
        await room.eventually(lambda: reached(room), "the first commit is confirmed")
        await copy(room, range(20_000))
        await run.until(lambda: len(room.emitted.messages) >= 500, "a part of the transaction")
        room.emitted.block()
        end = positions(room).lsn
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert await confirmed(room) <= end
            await asyncio.sleep(0.1)
        assert await walsender(room) == pid, "the server took us for dead"
        room.emitted.release()
        await run.until(lambda: len(room.emitted.messages) == 20_001, "all rows")
    once_and_in_order(room, [-1, *range(20_000)])


async def test_a_server_that_is_frozen_is_noticed_and_taken_up_again(own):
    room, server = own
    config = room.config(heartbeat=None, timeout="2s")
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: 1 in room.ids(), "the first row")
        server.freeze()
        try:
            error = await run.ended()
        finally:
            server.thaw()
        assert isinstance(error, SourceUnavailable)
    await room.sql.execute("INSERT INTO orders VALUES (2)")

    async def again() -> bool:
        """The frozen connection may hold the slot for a while; the supervisor tries again as this does."""
        async with room.running(config) as run:
            waiting = asyncio.create_task(room.emitted.until(lambda: 2 in room.ids(), "the second row"))
            await asyncio.wait([waiting, run.task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            return 2 in room.ids()

    await room.eventually(again, "it goes on")
    once_and_in_order(room, [1, 2])


async def test_a_server_that_is_stopped_does_not_wait_for_us(make_postgres):
    """A clean stop waits until all that was sent is confirmed, here for a minute: an idle source confirms at once."""
    server = make_postgres(extra={"wal_sender_timeout": "60s"})
    await server.start()
    async with room_of(server.url) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        config = room.config(heartbeat=None)
        await room.set_up(config)
        async with room.running(config) as run:
            await room.sql.execute("INSERT INTO orders VALUES (1)")
            await run.until(lambda: 1 in room.ids(), "the row")
            await room.sql.execute("CREATE TABLE other (id int)")  # WAL behind the last commit of ours
            await room.sql.close()
            began = time.monotonic()
            await server.stop()
            assert time.monotonic() - began < 8 + SLACK
            assert isinstance(await run.ended(), SourceUnavailable)


async def test_a_slot_in_use_is_told_with_who_uses_it(room):
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as first:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await first.until(lambda: 1 in room.ids(), "the row")
        pid = await walsender(room)
        async with room_of(room.dsn) as other:
            other.slot = room.slot
            room.emitted.block()  # the first one moves on no more: to read an older position would be a gap
            other.emitted.kept = room.emitted.kept
            async with other.running(config) as second:
                error = await second.ended()
            room.emitted.release()
            assert isinstance(error, SourceUnavailable)
            assert str(pid) in str(error)
        await room.sql.execute("INSERT INTO orders VALUES (2)")
        await first.until(lambda: 2 in room.ids(), "the first one goes on")


# -- F46: where the slot stands, and where we do


@MODES
async def test_a_slot_that_somebody_moved_on_is_a_gap(room, mode):
    config = room.config(mode=mode)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: 1 in room.ids(), "the row")
    await room.sql.execute("INSERT INTO orders VALUES (2)")

    async def move() -> bool:
        try:
            await room.sql.execute("SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())", room.slot)
        except asyncpg.ObjectInUseError:
            return False
        return True

    await room.eventually(move, "the slot is free")
    async with room.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceGap)
    assert error.fix


@MODES
async def test_what_is_stored_and_not_confirmed_is_skipped(room, mode):
    """The position is ahead of the slot: after a crash the server sends again what is stored."""
    config = room.config(mode=mode, heartbeat=None)
    await room.set_up(config)
    for number in range(1, 6):
        await room.sql.execute("INSERT INTO orders VALUES ($1)", number)
        async with room.running(config, CrashAt(1, "postgres.before_confirm")) as run:
            assert isinstance(await run.ended(), Crash)
    assert await confirmed(room) < positions(room).lsn
    await room.sql.execute("INSERT INTO orders VALUES (6)")
    async with room.running(config) as run:
        await run.until(lambda: 6 in room.ids(), "the last row")
    once_and_in_order(room, range(1, 7))


async def test_an_idle_source_lets_go_of_what_others_write(own):
    """No heartbeat: the server's own word of how far it has read is stored, then confirmed."""
    room, server = own
    config = room.config(heartbeat=None)
    await room.set_up(config)
    await room.sql.execute("CREATE DATABASE neighbour")
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: 1 in room.ids(), "the row")
        neighbour = await asyncpg.connect(server.dsn("neighbour"))
        await neighbour.execute("CREATE TABLE busy AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        end = parse_lsn(await neighbour.fetchval("SELECT pg_current_wal_lsn()::text"))
        await neighbour.close()

        async def past() -> bool:
            assert await confirmed(room) <= positions(room).lsn
            return await confirmed(room) >= end

        await room.eventually(past, "the slot has moved")


# -- F53, F54: tables that change


@MODES
async def test_ddl_in_flight_is_told_and_rows_follow_it(room, mode):
    config = room.config(mode=mode)
    await room.set_up(config)
    async with room.running(config) as run:
        for statement in (
            "INSERT INTO orders VALUES (1, 1, 'a')",
            "ALTER TABLE orders ADD COLUMN extra text DEFAULT 'e'",
            "INSERT INTO orders VALUES (2, 2, 'b', 'c')",
            "ALTER TABLE orders RENAME COLUMN note TO remark",
            "INSERT INTO orders VALUES (3, 3, 'd')",
            "ALTER TABLE orders ALTER COLUMN v TYPE numeric(6, 2)",
            "UPDATE orders SET v = 1.50 WHERE id = 3",
            "ALTER TABLE orders DROP COLUMN remark",
            """BEGIN; INSERT INTO orders VALUES (4, 4); ALTER TABLE orders ADD COLUMN late int;
               INSERT INTO orders VALUES (5, 5, 'x', 6); COMMIT""",
            "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ADD PRIMARY KEY (id, v)",
            "INSERT INTO orders VALUES (6, 6)",
        ):
            await room.sql.execute(statement)
        await run.until(lambda: 6 in room.ids(), "the last row")
    rows = room.rows()
    assert [row["after"] for row in rows] == [
        {"id": 1, "v": 1, "note": "a"},
        {"id": 2, "v": 2, "note": "b", "extra": "c"},
        {"id": 3, "v": 3, "remark": "d", "extra": "e"},
        {"id": 3, "v": 1.50, "remark": "d", "extra": "e"},
        {"id": 4, "v": 4.00, "extra": "e"},
        {"id": 5, "v": 5.00, "extra": "x", "late": 6},
        {"id": 6, "v": 6.00, "extra": "e", "late": None},
    ]
    assert rows[-1]["key"] == {"id": 6, "v": 6.00}
    told = [notice.data for notice in room.emitted.notices if notice.kind == "schema-changed"]
    assert [(one["added"], one["removed"], one["altered"]) for one in told] == [
        (["extra"], [], []),
        (["remark"], ["note"], []),
        ([], [], ["v"]),
        ([], ["remark"], []),
        (["late"], [], []),
        ([], [], []),
    ]
    assert (told[-1]["key_before"], told[-1]["key"]) == (["id"], ["id", "v"])


async def test_a_table_that_was_made_anew_goes_on(room):
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: 1 in room.ids(), "the first table's row")
    publication = await room.sql.fetchval("SELECT pubname FROM pg_publication")
    await room.sql.execute("DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, w text)")
    await room.sql.execute(f'ALTER PUBLICATION "{publication}" ADD TABLE orders')
    await room.sql.execute("INSERT INTO orders VALUES (2, 'new')")
    async with room.running(config) as run:
        await run.until(lambda: 2 in room.ids(), "the second table's row")
    assert room.rows()[-1]["after"] == {"id": 2, "w": "new"}
    (told,) = [notice for notice in room.emitted.notices if notice.kind == "schema-changed"]
    assert told.data["recreated"]


async def test_a_partition_that_is_attached_counts_as_its_table(room):
    await room.sql.execute(
        "DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (100)"
    )
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1, 1)")
        await room.sql.execute("CREATE TABLE high (v int, id int PRIMARY KEY)")
        await room.sql.execute("ALTER TABLE orders ATTACH PARTITION high FOR VALUES FROM (100) TO (200)")
        await room.sql.execute("INSERT INTO orders VALUES (101, 2)")
        await room.sql.execute("UPDATE orders SET id = 50 WHERE id = 101")  # moves to the other partition
        await run.until(lambda: room.ids("insert")[-1:] == [50], "all of it")
    assert {message.subject for message in room.emitted.messages} == {"public.orders"}
    assert [(row["op"], (row["after"] or row["before"])["id"]) for row in room.rows()] == [
        ("insert", 1),
        ("insert", 101),
        ("delete", 101),
        ("insert", 50),
    ]


@MODES
async def test_identity_and_large_values_are_told_apart(room, mode):
    await room.sql.execute("ALTER TABLE orders ALTER note SET STORAGE EXTERNAL")
    config = room.config(mode=mode)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1, 1, repeat('x', 9000))")
        await room.sql.execute("UPDATE orders SET v = 2")
        await room.sql.execute("UPDATE orders SET id = 2")
        await room.sql.execute("ALTER TABLE orders REPLICA IDENTITY FULL")
        await room.sql.execute("UPDATE orders SET v = 3")
        await room.sql.execute("DELETE FROM orders")
        await room.sql.execute("ALTER TABLE orders REPLICA IDENTITY NOTHING")
        await room.sql.execute("INSERT INTO orders VALUES (3, 1, 'x')")
        await run.until(lambda: 3 in room.ids(), "the last row")
    _, touched, renumbered, full, deleted, unidentified = room.rows()
    assert (touched["after"], touched["unchanged"], touched["changed"]) == ({"id": 1, "v": 2}, ["note"], None)
    assert (renumbered["before"], renumbered["key"], renumbered["unchanged"]) == (
        {"id": 1},
        {"id": 2},
        ["note"],
    )
    assert full["changed"] == ["v"]
    assert full["unchanged"] == []
    assert (full["before"]["v"], full["after"]["v"], len(full["after"]["note"])) == (2, 3, 9000)
    assert full["key"] == {"id": 2}
    assert (deleted["before"]["v"], len(deleted["before"]["note"]), deleted["after"]) == (3, 9000, None)
    assert unidentified["key"] == {"id": 3}


# -- F57: what else a transaction may hold


@MODES
async def test_truncate_messages_and_origins(room, mode):
    await room.sql.execute("CREATE TABLE items (id int PRIMARY KEY REFERENCES orders)")
    config = room.config(mode=mode, tables=["public.orders", "public.items"])
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("TRUNCATE orders, items RESTART IDENTITY CASCADE")
        await room.sql.execute("SELECT pg_logical_emit_message(true, 'shop', '{\"total\": 1.10}')")
        await room.sql.execute("SELECT pg_logical_emit_message(false, 'now', 'at once')")
        async with room.sql.transaction():
            await room.sql.execute("INSERT INTO orders VALUES (1)")
            await room.sql.execute("SELECT pg_logical_emit_message(true, 'shop', '\\x00ff'::bytea)")
        origin = f"origin_{room.slot}"
        await room.sql.execute("SELECT pg_replication_origin_create($1)", origin)
        await room.sql.execute("SELECT pg_replication_origin_session_setup($1)", origin)
        await room.sql.execute("INSERT INTO orders VALUES (2)")
        await room.sql.execute("SELECT pg_replication_origin_session_reset()")
        await room.sql.execute("SELECT pg_replication_origin_drop($1)", origin)
        await room.sql.execute("INSERT INTO orders VALUES (3)")
        await run.until(lambda: len(room.emitted.messages) == 8, "everything")
    messages = room.emitted.messages
    assert Counter(message.type for message in messages) == {
        "postgres.truncate": 2,
        "postgres.message": 3,
        "postgres.insert": 3,
    }
    assert {message.subject for message in messages[:2]} == {"public.orders", "public.items"}
    assert all(
        decoded(message)["cascade"] and decoded(message)["restart_identity"] for message in messages[:2]
    )
    said = {message.data: message.format for message in messages if message.type == "postgres.message"}
    assert said == {b'{"total": 1.10}': "json", b"at once": "text", b"\x00\xff": "binary"}
    assert [message.meta.get("origin") for message in messages if message.type == "postgres.insert"] == [
        None,
        origin,
        None,
    ]


@MODES
async def test_a_prepared_transaction_comes_once_when_it_is_committed(own, mode):
    room, server = own
    config = room.config(mode=mode, batch=2)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("BEGIN; INSERT INTO orders VALUES (1), (2), (3); PREPARE TRANSACTION 'two'")
        await room.sql.execute("BEGIN; INSERT INTO orders VALUES (7); PREPARE TRANSACTION 'never'")
        await room.sql.execute("INSERT INTO orders VALUES (9)")
        await run.until(lambda: 9 in room.ids(), "another transaction")
        assert room.ids() == [9]
    await room.sql.close()
    server.kill()
    await server.start()
    room.sql = await asyncpg.connect(server.url)
    async with room.running(config) as run:
        await room.sql.execute("COMMIT PREPARED 'two'")
        await room.sql.execute("ROLLBACK PREPARED 'never'")
        await run.until(lambda: 3 in room.ids(), "the prepared transaction")
    once_and_in_order(room, [9, 1, 2, 3])
    await room.sql.close()


async def test_only_tables_that_are_taken_show_and_the_rest_still_moves_the_slot(room):
    await room.sql.execute("CREATE TABLE secrets (id int PRIMARY KEY)")
    config = room.config(tables=["public.orders", "public.secrets"])
    await room.set_up(config)
    config = room.config(exclude_tables=["public.secrets"], operations=["insert"], tables=[])
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO secrets SELECT generate_series(1, 2000)")
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await room.sql.execute("DELETE FROM orders")
        end = parse_lsn(await room.sql.fetchval("SELECT pg_current_wal_insert_lsn()::text"))
        await run.until(lambda: 1 in room.ids(), "the row")

        async def past() -> bool:
            return await confirmed(room) >= end

        await room.eventually(past, "the slot has moved")
    assert [message.type for message in room.emitted.messages] == ["postgres.insert"]


async def test_expressions_may_give_type_and_subject(room):
    config = room.config(type="data.after.note", subject="data.after.v")
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1, 7, 'order.made'), (2, 8, NULL)")
        await run.until(lambda: bool(room.emitted.rejects), "both rows")
    (message,) = room.emitted.messages
    assert (message.type, message.subject) == ("order.made", "7")
    (reject,) = room.emitted.rejects
    assert reject.reason == "no-type"
    assert msgspec.json.decode(reject.data)["key"] == {"id": 2}
