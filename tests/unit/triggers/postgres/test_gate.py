"""The order between the stream and the pages of a snapshot."""

import asyncio

import pytest

from tests.fakes.sources import Emitted
from tests.tables import every_row
from triggers.base import Notice
from triggers.errors import NotStored
from triggers.postgres.gate import Gate
from triggers.postgres.position import Position

AT = Position(system_id="7001", timeline=1, slot="s", lsn=100)
NEXT = Position(system_id="7001", timeline=1, slot="s", lsn=200, xid=11)


def gate(position=AT):
    emitted = Emitted()
    return Gate(emitted.begin(), position), emitted


async def test_changes_are_stored_with_their_position():
    one, emitted = gate()
    await one.changes([Notice(kind="gap", id="1")], NEXT, [11], {"table:public.a": b"{}"})
    assert one.position == NEXT
    assert emitted.kept == {"lsn": NEXT.encode(), "table:public.a": b"{}"}


async def test_what_was_not_stored_leaves_the_position():
    one, emitted = gate()
    emitted.fail()
    with pytest.raises(NotStored):
        await one.changes([], NEXT, [11])
    assert one.position == AT


async def test_the_stream_stores_nothing_while_a_page_is_read():
    one, emitted = gate()
    async with one.page():
        task = asyncio.create_task(one.changes([], NEXT, [11]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert emitted.batches == []
    await task
    assert len(emitted.batches) == 1


@every_row(
    ("snapshot", "sees"),
    [
        ("12:12:", True),
        ("11:12:", True),  # 11 has ended
        ("11:11:", False),  # 11 has not begun, as this snapshot sees it
        ("10:12:11", False),
        ("10:12:10", True),
        ("5:20:7,11,15", False),
        ("4294967307:4294967308:", True),  # the same after one turn of the counter
        ("4294967306:4294967308:4294967307", False),
    ],
)
async def test_a_snapshot_sees_what_was_stored_or_not(snapshot, sees):
    one, _ = gate()
    await one.changes([], NEXT, [11])
    assert one.sees_all(snapshot) is sees


async def test_a_transaction_of_an_earlier_run_counts_too():
    one, _ = gate(NEXT)
    assert not one.sees_all("10:12:11")
    other, _ = gate()
    other.remember([9])
    assert not other.sees_all("9:12:9")


async def test_what_was_seen_once_is_not_looked_at_again():
    one, _ = gate()
    await one.changes([], NEXT, [11, 12])
    assert not one.sees_all("12:13:12")
    assert one.sees_all("13:13:")
    assert one.sees_all("11:13:11")  # cannot be: it was seen
