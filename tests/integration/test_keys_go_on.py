"""No key is ever blocked for good: what stands behind another run has one before it that is not ended."""

import asyncio
import random

import pytest

from service.delivery import Event, State
from service.errors import Conflict
from service.store.base import Attempt, Claimed, Entry, NewRun, RunKey, Settlement, Stored
from service.store.sqlite import SQLiteStore

KEYS = [bytes([number]) * 16 for number in range(2)]
MODES = ("queued", "queued", "queued", "single", "restart", "parallel")
ENDS = (Event.SUCCEED, Event.FAIL, Event.EXPIRE, Event.RETRY, Event.HOLD, Event.GIVE_BACK, Event.ADVANCE)


def fatal(error: BaseException) -> None:
    raise AssertionError from error


class Keys:
    """A store under random operations, all of one rule whose mode changes now and then."""

    def __init__(self, folder, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.now = 1_000_000
        self.running: list[Claimed] = []
        self.store = self.make()

    def make(self) -> SQLiteStore:
        return SQLiteStore(
            self.folder, reached=lambda _point: None, clock_ms=lambda: self.now, on_fatal=fatal
        )

    async def accept(self) -> None:
        mode = self.chance.choice(MODES)
        run = NewRun(rule=1, lane=1, state=State.PENDING, mode=mode, key=self.chance.choice(KEYS))
        future: asyncio.Future[Stored | Exception] = asyncio.get_running_loop().create_future()
        entry = Entry(source=1, received_at=self.now, type="t", record=b"x", ruleset=1, runs=(run,))
        self.store.accept(entry, future.set_result)
        assert isinstance(await future, Stored)

    async def claim(self) -> None:
        self.running += await self.store.claim({1: self.chance.randrange(1, 4)}, self.now)

    async def settle(self) -> None:
        if not self.running:
            return
        item = self.running.pop(self.chance.randrange(len(self.running)))
        event = self.chance.choice(ENDS)
        attempt = None
        if event not in (Event.GIVE_BACK, Event.EXPIRE):
            attempt = Attempt(number=item.number, step=0, started_at=1, ended_at=2, outcome="ok")
        due_at = self.now + 50 if event is Event.RETRY else None
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.store.settle(
            Settlement(key=item.key, number=item.number, event=event, attempt=attempt, due_at=due_at),
            future.set_result,
        )
        if await future and event is Event.ADVANCE:
            await self.end(item)

    async def end(self, item: Claimed) -> None:
        """End a run that went on to its next step."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        settlement = Settlement(key=item.key, number=item.number + 1, event=Event.SUCCEED)
        self.store.settle(settlement, future.set_result)
        assert await future

    async def operate(self) -> None:
        rows = (await self.store.deliveries(limit=500)).rows
        if not rows:
            return
        row = self.chance.choice(rows)
        key = RunKey(row["message"], row["rule"], row["run"])
        if row["state"].ended:
            try:
                await self.store.next_run(
                    key, generation=self.chance.choice((None, 1)), now=self.now, by="me"
                )
            except Conflict:
                return
        else:
            event = self.chance.choice((Event.RELEASE, Event.DISCARD, Event.EXPIRE, Event.HOLD))
            await self.store.release(event, [key], reason="", now=self.now)

    async def restart(self) -> None:
        """End as a killed process does, and start again."""
        writer = self.store._writer
        await writer.run(lambda _unit: None)
        await self.store.close()
        self.running.clear()
        self.store = self.make()
        await self.store.open()

    async def blocked(self) -> list[RunKey]:
        """Return the runs that wait for nothing."""
        rows = (await self.store.deliveries(limit=500)).rows
        unfinished = [row for row in rows if not row["state"].ended]
        found = []
        for row in unfinished:
            if row["state"] is not State.PENDING or row["due_at"] is not None:
                continue
            place = (row["message"], row["run"])
            if not any(
                other["key"] == row["key"]
                and (
                    other["state"] in (State.RUNNING, State.WAITING)
                    or (other["state"] is State.PENDING and other["due_at"] is not None)
                    or (other["state"] is State.HELD and (other["message"], other["run"]) < place)
                )
                for other in unfinished
            ):
                found.append(RunKey(row["message"], row["rule"], row["run"]))
        return found


@pytest.mark.parametrize("seed", range(8))
async def test_no_key_is_blocked_for_good(tmp_path, seed) -> None:
    keys = Keys(tmp_path, seed)
    await keys.store.open()
    try:
        for _ in range(120):
            keys.now += keys.chance.randrange(30)
            operation = keys.chance.choices(
                (keys.accept, keys.claim, keys.settle, keys.operate, keys.restart), (6, 5, 8, 4, 0.3)
            )[0]
            await operation()
            assert not await keys.blocked(), operation.__name__
    finally:
        await keys.store.close()
