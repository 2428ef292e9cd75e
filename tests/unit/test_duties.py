"""The beats of an instance go on, and end when they are told to."""

import asyncio
from pathlib import Path

import pytest

from service.duties import Duties
from service.settings import Settings
from tests.fakes.memory_store import MemoryStore


async def test_beats_end_when_told_to_even_where_they_are_stirred_in_the_same_instant(tmp_path: Path) -> None:
    written = asyncio.Event()

    async def write() -> None:
        written.set()

    store = MemoryStore(clock_ms=lambda: 1)
    await store.open()
    duties = Duties(store, lambda: 1, Settings(data=tmp_path), write=write, refuse=lambda _why: None)
    beating = asyncio.create_task(duties.beat_for_ever())
    for _ in range(2):  # a stir brings the next beat at once
        written.clear()
        duties.stir()
        await written.wait()
    for _ in range(5):  # into the rest after the beat
        await asyncio.sleep(0)
    duties.stir()
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(beating), 10)
