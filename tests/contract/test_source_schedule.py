"""The schedule source keeps what every source promises; what stands outside of it is a clock that tests set on."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from typing_extensions import override

from service.usecases.checking import compile_for_source
from tests.contract.source_contract import Outside, SourceContract
from triggers.base import Source, SourceConfig
from triggers.message import TriggerMessage
from triggers.schedule import ScheduleConfig, ScheduleSource
from triggers.schedule.source import KEY

START = 1_767_225_600
"""2026-01-01T00:00:00Z"""


class Clock(Outside):
    """A clock on which nothing happens but what is brought: it is set on by a second for each time."""

    crash_points = ("schedule.due", "schedule.stored")
    expression = staticmethod(compile_for_source)

    def __init__(self) -> None:
        self.now = START
        self.set_on = asyncio.Condition()

    @override
    def clock(self) -> float:
        return self.now + 0.5

    @override
    def config(self, **changes: Any) -> SourceConfig:
        return ScheduleConfig.model_validate({"kind": "schedule", "every": "1s", "misfire": "all", **changes})

    @override
    async def bring(self, count: int) -> list[str]:
        times = range(self.now + 1, self.now + count + 1)
        async with self.set_on:
            self.now += count
            self.set_on.notify_all()
        return [datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for time in times]

    @override
    def token(self, message: TriggerMessage) -> str:
        return str(message.time)

    async def wait(self, _seconds: float) -> None:
        """Wait until the clock is set on."""
        now = self.now
        async with self.set_on:
            await self.set_on.wait_for(lambda: self.now > now)


class TestScheduleSource(SourceContract):
    @pytest.fixture
    def outside(self) -> Clock:
        self.clock = Clock()
        return self.clock

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, ScheduleConfig)
        return ScheduleSource(name, config, wait=self.clock.wait)

    @override
    async def prime(self, outside, emitted) -> None:
        """A schedule begins when it first runs: what came before is nobody's."""
        async with self.opened(outside, emitted) as run:
            run.start()
            await emitted.until(lambda: KEY in emitted.kept, "the schedule has begun")
