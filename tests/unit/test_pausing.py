"""Pauses are on disk before anybody is told of them."""

import asyncio

import pytest

from service.connections import Pauses
from service.errors import Unavailable
from service.pausing import PAUSED, Pausing


class Shelf:
    """The small values of a store; it may be full, and it may take its time."""

    def __init__(self):
        self.kept = {}
        self.full = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def put(self, name, value):
        await self.gate.wait()
        if self.full:
            raise Unavailable("the disk is full")
        self.kept[name] = value

    async def get(self, prefix):
        return {name: value for name, value in self.kept.items() if name.startswith(prefix)}


class Room:
    def __init__(self, shelf=None):
        self.shelf = shelf or Shelf()
        self.now = 1_000
        self.told = []
        self.pausing = Pausing(self.shelf, clock_ms=lambda: self.now, changed=self.change)

    def change(self, name, pauses):
        assert PAUSED + name in self.shelf.kept
        self.told.append((name, pauses))


async def test_a_pause_and_what_it_took_outlive_the_process():
    room = Room()
    await room.pausing.pause("shop", by="anna", reason="it moves")
    again = Room(room.shelf)
    await again.pausing.restore()
    assert again.pausing.of("shop") == Pauses().begun("anna", "it moves", 1_000)
    again.now = 5_000
    await again.pausing.resume("shop", by="bert")
    last = Room(room.shelf)
    await last.pausing.restore()
    assert last.pausing.of("shop") == Pauses(past=((1_000, 5_000),))
    assert last.pausing.of("other") == Pauses()


async def test_what_is_not_paused_is_not_written_when_it_is_resumed():
    room = Room()
    await room.pausing.resume("shop", by="anna")
    assert (room.shelf.kept, room.told) == ({}, [])


async def test_a_pause_that_cannot_be_kept_is_none():
    room = Room()
    room.shelf.full = True
    with pytest.raises(Unavailable, match="the disk is full"):
        await room.pausing.pause("shop", by="anna", reason="")
    assert room.told == []
    assert room.pausing.of("shop") == Pauses()


async def test_nothing_changes_before_it_is_on_disk_and_orders_keep_their_order():
    room = Room()
    room.shelf.gate.clear()
    orders = [
        asyncio.create_task(room.pausing.pause("shop", by="anna", reason="")),
        asyncio.create_task(room.pausing.resume("shop", by="bert")),
        asyncio.create_task(room.pausing.pause("shop", by="cleo", reason="")),
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert room.told == []
    room.shelf.gate.set()
    await asyncio.gather(*orders)
    assert [pauses.present and pauses.present.by for _, pauses in room.told] == ["anna", None, "cleo"]
