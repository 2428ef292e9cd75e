"""A supervisor over an engine room, and how tests wait for what it does."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import msgspec

from service.supervisor import Supervisor
from tests.fakes.sources import Emitted, MemoryConfig, MemorySource, entry, source_context
from tests.patience import PATIENCE


class House:
    """A supervisor over a room; `kinds` make sources."""

    def __init__(self, room) -> None:
        self.room = room
        self.kinds: dict[str, Callable] = {"memory": MemorySource}
        self.refusing = ""
        self.made: list = []
        self.supervisor = Supervisor(
            room.store,
            room.intake,
            refusing=lambda: self.refusing,
            make=self._make,
            context=self._context,
            reached=room.points.append,
            watch=0.05,
            stall=0.5,
            grace=0.3,
        )

    def _make(self, name, config):
        source = self.kinds[config.kind](name, config)
        self.made.append(source)
        return source

    def _context(self, name, reporter, positions):
        return msgspec.structs.replace(
            source_context(Emitted(), name=name), report=reporter, positions=positions
        )

    async def use(self, **configs):
        names = (*configs, "pointsman")
        numbers = {name: await self.room.store.number("source", name) for name in names}
        self.room.intake.use(self.room.intake.ruleset, numbers)
        self.supervisor.use(configs, numbers)

    async def state(self, name, *wanted, within=PATIENCE):
        return await self.until(
            lambda: (one := self.supervisor.status(name)).state in wanted and one, f"{name} {wanted}", within
        )

    async def until(self, condition, what, within=PATIENCE):
        deadline = time.monotonic() + within
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {within} s; {self.supervisor.statuses()}")
            await asyncio.sleep(0.01)
        return value

    async def told(self, kind, count, within=PATIENCE):
        """Wait until so many messages of a kind are stored: they are stored beside what they tell of."""
        deadline = time.monotonic() + within
        while (found := await self.stored(kind)) < count:
            assert time.monotonic() < deadline, f"{found} of {kind} within {within} s"
            await asyncio.sleep(0.01)
        assert found == count

    async def stored(self, kind=None):
        """Count what is stored of a kind; of none: all but what is told of sources, which a slow machine adds to."""
        rows = (await self.room.store.messages(limit=1000, of_type=kind)).rows
        return sum(kind is not None or not row["type"].startswith("pointsman.") for row in rows)


def memory(broker, **changes):
    """Return the configuration of a source of a broker."""
    return MemoryConfig(kind="memory", broker=broker.name, **changes)


@contextmanager
def slow_disk(house):
    """Let no commit of the store end inside the block."""
    gate = threading.Event()
    house.room.store._writer._inbox.put(gate.wait)
    try:
        yield
    finally:
        gate.set()


async def under_way(house, broker):
    """Have a batch of ten on its way into the store."""
    before = house.room.points.count("source.before_emit")
    broker.append(*(entry(f"{n}") for n in range(10)))
    await house.until(lambda: house.room.points.count("source.before_emit") > before, "an emit")
