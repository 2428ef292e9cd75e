"""Existing rows first: each at least once, none stale after newer, resumed after a crash at any page (F55)."""

import asyncio

import pytest

from tests.integration.servers.postgres_room import Crash, room_of


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
