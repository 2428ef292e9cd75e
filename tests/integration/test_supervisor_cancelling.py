"""A source that is told something in the middle of anything, whatever its library makes of that, is one source."""

import asyncio
from typing import ClassVar

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from service.errors import Conflict
from service.supervisor import supervised
from tests.fakes.sources import BareConfig, BareSource, BlockingSource
from tests.integration.house import memory, slow_disk, under_way
from triggers.base import Progress, SourceConfig
from triggers.errors import SourceUnavailable

LAST_STEP = 14
"""Beyond all steps of a life: the orders of the sources with such a number come at rest."""


class SteppingConfig(SourceConfig):
    """One setting, to be changed."""

    turn: int = 0


class Stepping(BareSource):
    """Holds something outside from `open` to the end of `close`; at its step number `at` an order comes.

    The first of each name is the one that is disturbed. One that `swallows` goes on over the cancellation
    once, as Python 3.11's `wait_for` lets libraries do.
    """

    kind: ClassVar[str] = "stepping"
    Config: ClassVar[type[SourceConfig]] = SteppingConfig

    def __init__(self, name, config, *, ground, first):
        super().__init__(name, config)
        _, at, self.swallows, self.fails = name.split("-")
        self.at = int(at) if first else 0
        self.ground = ground
        self.steps = 0
        self.rests = False

    @override
    async def open(self, context):
        await super().open(context)
        await self._step()
        self.ground.held[self] = "connecting"
        await self._step()

    @override
    async def run(self, emit):
        for _ in range(3):
            await self._step()
        self.context.report.running()
        if self.at and self.fails == "fails":
            await self._step()
            raise SourceUnavailable("nothing answers")
        try:
            while True:
                self.ground.held[self] = "running"
                if self.steps < LAST_STEP:
                    await self._step()
                else:
                    await self._wait(asyncio.Event().wait())
        finally:
            await self._step()

    @override
    async def progress(self):
        await asyncio.sleep(0)
        return Progress()

    @override
    async def close(self):
        await self._step()
        await self._step()
        await self._step()
        self.ground.held.pop(self, None)

    @override
    def rewind(self, positions, to):
        return {}

    async def _step(self):
        self.steps += 1
        if self.steps == self.at:
            self.ground.order(self.name)
        await self._wait(asyncio.sleep(0))

    async def _wait(self, work):
        try:
            await work
        except asyncio.CancelledError:
            if self.swallows != "swallows" or not self.at:
                raise
            self.swallows = "swallowed"


class Ground:
    """Sources for every step in one house, and the order that each of them gets there."""

    def __init__(self, house, order):
        self.house = house
        self.held = {}
        self.ordered = set()
        self.orders = []
        self._order = order
        self._seen = set()
        names = [f"s-{at}-{how}" for at in range(1, LAST_STEP + 2) for how in ("swallows", "obeys")]
        self.configs = {
            f"{name}-{end}": SteppingConfig(kind="stepping") for name in names for end in ("fails", "lasts")
        }
        house.kinds["stepping"] = self._make

    def _make(self, name, config):
        # The supervisor makes one object just to look at it.
        first = self.count(name) == 1
        self._seen.add((name, self.count(name)))
        return Stepping(name, config, ground=self, first=first)

    def count(self, name):
        return sum(1 for one, _ in self._seen if one == name)

    def order(self, name):
        if name in self.ordered:
            return
        self.ordered.add(name)
        supervisor = self.house.supervisor
        match self._order:
            case "restart":
                supervisor.restart(name)
            case "reload":
                self.configs[name] = SteppingConfig(kind="stepping", turn=1)
                supervisor.use(self.configs, supervisor._numbers)
            case "remove":
                del self.configs[name]
                supervisor.use(self.configs, supervisor._numbers)
            case "pause":
                self._later(supervisor.pause(name, "anna"))
            case "pause and resume":
                self._later(supervisor.pause(name, "anna"))
                self._later(supervisor.resume(name))
            case "rewind":
                self._later(supervisor.rewind(name, "anywhere"))

    def _later(self, work):
        self.orders.append(asyncio.get_running_loop().create_task(work))

    def settled(self):
        """Whether each source that is to run does so once and says so, and nothing else holds anything."""
        state = "paused" if self._order == "pause" else "running"
        states = {status.name: status.state for status in self.house.supervisor.statuses()}
        running = [one.name for one, what in self.held.items() if what == "running"]
        return (
            states == dict.fromkeys(self.configs, state)
            and len(running) == len(self.held)
            and sorted(running) == sorted([] if state == "paused" else self.configs)
        )


@pytest.mark.parametrize("order", ["restart", "reload", "remove", "pause", "pause and resume", "rewind"])
async def test_an_order_in_the_middle_of_anything_leaves_one_run_or_none(house, monkeypatch, order):
    monkeypatch.setattr(supervised, "FIRST_DELAY", 0.05)
    ground = Ground(house, order)
    every = tuple(ground.configs)
    await house.use(**ground.configs)
    await house.until(lambda: len({one.name for one in ground.held}) == len(every) or ground.ordered, "open")
    await house.until(
        lambda: all(
            name in ground.ordered
            or house.supervisor.status(name).state == "waiting"
            or any(one.name == name and one.steps >= LAST_STEP for one in ground.held)
            or house.supervisor.status(name).restarts
            for name in every
        ),
        "all steps",
    )
    for name in every:
        ground.order(name)
    await asyncio.gather(*ground.orders)
    await house.until(ground.settled, "one run of each, or none")
    await house.supervisor.close()
    await house.until(lambda: not ground.held, "the end of all")


async def test_a_run_that_lets_nothing_end_it_loses_what_it_holds_outside(house):
    house.kinds["bare"] = BlockingSource
    await house.use(stuck=BareConfig(kind="bare"))
    first = await house.until(
        lambda: next((one for one in house.made if one.running.is_set()), None), "a run"
    )
    await house.supervisor.pause("stuck", "anna")
    await house.until(lambda: first.closed, "closed")
    assert first.cancellations > 1


async def test_a_run_that_a_library_cancels_begins_again(house, monkeypatch):
    class Suicidal(BareSource):
        async def run(self, emit):
            self.context.report.running()
            if len(house.made) <= 2:  # one was made to look at it
                asyncio.current_task().cancel()
            await asyncio.Event().wait()

    monkeypatch.setattr(supervised, "REFUSED_DELAY", 0.05)
    house.kinds["bare"] = Suicidal
    with capture_logs():
        await house.use(odd=BareConfig(kind="bare"))
        await house.until(lambda: len(house.made) > 2, "another run")
        status = await house.state("odd", "running")
    assert "it ended badly" in status.last_error


async def test_a_source_that_is_replaced_while_it_is_rewound_goes_on(house, broker):
    house.kinds["bare"] = BareSource
    await house.use(orders=memory(broker, ordered=True))
    await house.state("orders", "running")
    with slow_disk(house):
        await under_way(house, broker)
        rewinding = asyncio.create_task(house.supervisor.rewind("orders", "earliest"))
        await house.until(house.supervisor._sources["orders"].rewinding.locked, "the rewind")
        house.supervisor.use({"orders": BareConfig(kind="bare")}, house.supervisor._numbers)
    with pytest.raises(Conflict, match="another source now"):
        await rewinding
    await house.until(lambda: any(hasattr(one, "context") for one in house.made), "the other")
