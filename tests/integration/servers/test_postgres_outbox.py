"""The outbox: concurrent writers with rollbacks, crashes around the deletion, order, capture by triggers."""

import asyncio
import random

import asyncpg
import pytest

from tests.integration.servers.postgres_room import Crash, decoded, room_of
from triggers.errors import NotStored, SourceRejected

OUTBOX = {"table": "public.outbox"}


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        yield room


def outbox(room, poll_every="5s", **changes):
    """Return a configuration that is woken, not one that looks often: what comes in time came by NOTIFY."""
    settings = {"outbox": {**OUTBOX, **changes.pop("outbox", {})}, **changes}
    return room.config(mode="outbox", poll_every=poll_every, **settings)


async def put(sql, *numbers, subject="a"):
    for number in numbers:
        await sql.execute(
            "INSERT INTO outbox (type, subject, data) VALUES ('order.paid', $1, jsonb_build_object('n', $2::int))",
            subject,
            number,
        )


def numbers(room):
    return [decoded(message)["n"] for message in room.emitted.messages]


async def empty(room):
    return await left(room) == 0


async def left(room):
    return await room.sql.fetchval("SELECT count(*) FROM outbox")


async def test_a_row_becomes_a_message_and_is_gone(room):
    config = outbox(room)
    await room.set_up(config)
    await put(room.sql, 1)
    async with room.running(config) as run:
        await run.until(lambda: numbers(room) == [1], "the row that was there")
        await put(room.sql, 2, 3)
        await run.until(lambda: numbers(room) == [1, 2, 3], "the rows that are notified", 4)
        await room.eventually(lambda: empty(room), "the rows are deleted")
        assert (await run.source.progress()).pending == 0
    message = room.emitted.messages[0]
    assert (message.type, message.subject, message.format) == ("order.paid", "a", "json")
    assert message.time
    assert message.time.endswith("Z")
    assert message.meta == {"kind": "postgres", "table": "public.outbox", "row": "1"}
    assert len({one.id for one in room.emitted.messages}) == 3


@pytest.mark.parametrize("point", ["postgres.outbox.before_delete", "postgres.outbox.after_delete"])
async def test_a_crash_around_the_deletion_repeats_under_the_same_id_or_not_at_all(room, point):
    config = outbox(room)
    await room.set_up(config)
    await put(room.sql, 1, 2)

    def crash(name):
        if name == point:
            raise Crash

    async with room.running(config, crash) as run:
        assert isinstance(await run.ended(), Crash)
    assert numbers(room) == [1, 2]
    assert await left(room) == (2 if "before" in point else 0)
    await put(room.sql, 3)
    async with room.running(config) as run:
        await run.until(lambda: numbers(room) == [1, 2, 3], "what came after")
    assert len(room.emitted.repeats) == (2 if "before" in point else 0)
    assert room.emitted.conflicts == []


async def test_what_was_not_stored_stays(room):
    config = outbox(room)
    await room.set_up(config)
    await put(room.sql, 1)
    room.emitted.fail()
    async with room.running(config) as run:
        assert isinstance(await run.ended(), NotStored)
    assert await left(room) == 1


async def test_a_row_whose_transaction_ends_late_is_not_skipped(room):
    config = outbox(room, poll_every="50ms")
    await room.set_up(config)
    slow = await asyncpg.connect(room.dsn)
    late = slow.transaction()
    await late.start()
    await put(slow, 1)
    await put(room.sql, 2)
    async with room.running(config) as run:
        await run.until(lambda: numbers(room) == [2], "the later row")
        await late.commit()
        await run.until(lambda: numbers(room) == [2, 1], "the row with the lower id")
    await slow.close()


async def test_concurrent_writers_with_rollbacks_and_crashes_lose_nothing_and_keep_order(room):
    config = outbox(room, poll_every="20ms", batch=7)
    await room.set_up(config)
    await room.sql.execute("CREATE TABLE things (name text PRIMARY KEY, n int NOT NULL)")
    await room.sql.execute("INSERT INTO things SELECT 'thing' || i, 0 FROM generate_series(1, 5) AS i")
    committed = []
    dice = random.Random(4)

    async def writer(count):
        sql = await asyncpg.connect(room.dsn)
        for _ in range(count):
            name = f"thing{dice.randint(1, 5)}"
            transaction = sql.transaction()
            await transaction.start()
            n = await sql.fetchval("UPDATE things SET n = n + 1 WHERE name = $1 RETURNING n", name)
            await put(sql, n, subject=name)
            await asyncio.sleep(dice.random() / 200)
            if dice.random() < 0.3:
                await transaction.rollback()
            else:
                await transaction.commit()
                committed.append((name, n))
        await sql.close()

    writers = asyncio.gather(*(writer(40) for _ in range(4)))

    def crash(name):
        if name.startswith("postgres.outbox") and dice.random() < 0.2:
            raise Crash

    while not writers.done() or await left(room):
        async with room.running(config, crash) as run:
            done, _ = await asyncio.wait([run.task], timeout=0.3)
            if done:
                assert isinstance(run.task.exception(), Crash)
    await writers
    taken = [(message.subject, decoded(message)["n"]) for message in room.emitted.messages]
    assert sorted(taken) == sorted(committed)
    for name in {name for name, _ in committed}:
        of_one = [n for subject, n in taken if subject == name]
        assert of_one == sorted(of_one)
    assert room.emitted.conflicts == []


async def test_two_readers_take_turns_and_the_second_says_so(room):
    config = outbox(room, poll_every="50ms")
    await room.set_up(config)
    await put(room.sql, 1)
    room.emitted.block()
    async with room.running(config) as run:
        await room.emitted.until(lambda: room.emitted.in_flight == 1, "the first holds a batch")
        second = type(room)(room.dsn, room.sql)
        async with second.running(config) as other:

            async def warned():
                return "other-reader" in other.report.warnings

            await room.eventually(warned, "the second waits")
            assert second.emitted.messages == []
            room.emitted.release()
            await run.until(lambda: numbers(room) == [1], "the first goes on")

            async def cleared():
                return "other-reader" not in other.report.warnings

            await room.eventually(cleared, "the second is free")


async def test_rows_may_be_marked_instead_of_deleted(room):
    config = outbox(room, outbox={"mark": "taken_at"})
    await room.set_up(config)
    await put(room.sql, 1, 2)
    async with room.running(config) as run:
        await run.until(lambda: numbers(room) == [1, 2], "both")

        async def marked():
            return await room.sql.fetchval("SELECT count(*) FROM outbox WHERE taken_at IS NOT NULL") == 2

        await room.eventually(marked, "both are marked")
    async with room.running(config) as run:
        await put(room.sql, 3)
        await run.until(lambda: numbers(room) == [1, 2, 3], "the next")
    assert room.emitted.repeats == []


@pytest.mark.parametrize(
    ("column", "value", "form", "data"),
    [
        ("text", "plain words", "text", b"plain words"),
        ("bytea", b"\x00\xff", "binary", b"\x00\xff"),
        ("bytea", b'{"a":1.10}', "json", b'{"a":1.10}'),
        ("json", '{"a": 1.10, "b": 12345678901234567890}', "json", b'{"a": 1.10, "b": 12345678901234567890}'),
        ("json", None, "none", None),
    ],
)
async def test_data_comes_as_it_was_written(room, column, value, form, data):
    await room.sql.execute(
        f"CREATE TABLE box (key uuid PRIMARY KEY DEFAULT gen_random_uuid(), body {column})"
    )
    named = {"table": "public.box", "id": "key", "data": "body", "type": None, "subject": None, "time": None}
    config = outbox(room, poll_every="50ms", outbox=named)
    await room.set_up(config)  # nothing is to be made
    await room.sql.execute("INSERT INTO box (body) VALUES ($1)", value)
    async with room.running(config) as run:
        await run.until(lambda: bool(room.emitted.messages), "the row")
    (message,) = room.emitted.messages
    assert (message.type, message.format, message.data) == ("postgres.outbox", form, data)


async def test_json_too_deep_is_kept_as_a_reject_and_the_rest_goes_on(room):
    await room.sql.execute("CREATE TABLE box (id int PRIMARY KEY, data json)")
    await room.sql.execute("INSERT INTO box VALUES (1, $1), (2, '{\"n\":2}')", "[" * 3000 + "]" * 3000)
    named = {"table": "public.box", "type": None, "subject": None, "time": None}
    async with room.running(outbox(room, outbox=named)) as run:
        await run.until(lambda: numbers(room) == [2], "the good row")
    (reject,) = room.emitted.rejects
    assert (reject.reason, len(reject.data)) == ("too-deep", 6000)


async def test_triggers_capture_a_table_in_its_own_transactions(room):
    await room.sql.execute('CREATE TABLE orders (id int, "Part" text, v numeric, PRIMARY KEY (id, "Part"))')
    config = outbox(room, outbox={"capture": ["public.orders"]})
    async with room.opened(config) as (source, _):
        assert {finding.code for finding in await source.check()} == {"no-table"}
        assert not any(step.problem for step in await source.setup(apply=False))
    await room.set_up(config)
    await room.set_up(config)  # twice is harmless
    transaction = room.sql.transaction()
    await transaction.start()
    await room.sql.execute("INSERT INTO orders VALUES (9, 'gone', 1)")
    await transaction.rollback()
    await room.sql.execute("INSERT INTO orders VALUES (1, 'a', 1.10)")
    await room.sql.execute("UPDATE orders SET v = 2 WHERE id = 1")
    await room.sql.execute("DELETE FROM orders")
    await room.sql.execute("TRUNCATE orders")
    async with room.running(config) as run:
        await run.until(lambda: len(room.emitted.messages) == 4, "all changes")
        await room.eventually(lambda: empty(room), "the rows are deleted")
    rows = room.rows()
    assert [message.type for message in room.emitted.messages] == [
        f"postgres.{op}" for op in ("insert", "update", "delete", "truncate")
    ]
    assert {message.subject for message in room.emitted.messages} == {"public.orders"}
    assert rows[0]["after"] == {"id": 1, "Part": "a", "v": 1.1}
    assert rows[1]["key"] == {"id": 1, "Part": "a"}
    assert (rows[1]["changed"], rows[1]["before"]["v"]) == (["v"], 1.1)
    assert (rows[2]["after"], rows[2]["before"]["v"]) == (None, 2)
    assert rows[3]["key"] is None
    async with room.opened(config) as (source, _):
        assert await source.check() == []
        assert all(step.done for step in await source.teardown(apply=True))
    await room.sql.execute("INSERT INTO orders VALUES (2, 'b', 1)")
    assert await room.sql.fetchval("SELECT to_regclass('public.outbox')") is None


async def test_teardown_keeps_rows_that_were_not_taken(room):
    config = outbox(room)
    await room.set_up(config)
    await put(room.sql, 1)
    async with room.opened(config) as (source, _):
        steps = await source.teardown(apply=True)
    assert any("not taken yet" in step.problem for step in steps)
    assert await left(room) == 1


async def test_a_table_of_the_users_is_never_dropped(room):
    await room.sql.execute(
        "CREATE TABLE outbox (id int PRIMARY KEY, type text, subject text, data json, created_at timestamptz)"
    )
    config = outbox(room)
    await room.set_up(config)
    async with room.opened(config) as (source, _):
        steps = await source.teardown(apply=True)
    assert all(step.done for step in steps)
    assert await left(room) == 0


async def test_what_is_missing_is_refused_and_told(room):
    config = outbox(room)
    async with room.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceRejected)
    assert "public.outbox" in str(error)
    await room.sql.execute("CREATE TABLE outbox (id int, data xml)")
    async with room.running(config) as run:
        assert "has no column type, subject, created_at" in str(await run.ended())
    async with room.opened(config) as (source, _):
        codes = {finding.code for finding in await source.check()}
    assert codes == {"no-column", "data-type", "no-key"}
