"""Runs Kafka sources on a real broker for the tests of this folder."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.fakes.sources import Emitted, Reports, source_context
from tests.patience import PATIENCE
from tests.servers import unique
from tests.servers.kafka_room import KafkaRoom
from triggers.base import Progress
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig


class Running:
    """A source that runs: what it told, and how its run ended."""

    def __init__(self, source: KafkaSource, report: Reports, task: "asyncio.Task[None]") -> None:
        self.source = source
        self.report = report
        self.task = task

    async def ended(self, within: float = PATIENCE) -> BaseException | None:
        """Wait until the run has ended by itself; return what it raised."""
        done, _ = await asyncio.wait([self.task], timeout=within)
        assert done, f"the run goes on after {within} s; it told {self.report.text}"
        return self.task.exception()

    async def cancel(self, within: float = PATIENCE) -> None:
        """Cancel the run and see it end."""
        self.task.cancel()
        done, _ = await asyncio.wait([self.task], timeout=within)
        assert done, f"the run has not ended {within} s after it was cancelled"


class Runs:
    """Runs sources of one topic and one group; each test has its own."""

    def __init__(self, room: KafkaRoom, topic: str) -> None:
        self.room = room
        self.topic = topic
        self.group = unique("group")
        self.emitted = Emitted()

    def config(self, **changes: Any) -> KafkaConfig:
        said: dict[str, Any] = {
            "kind": "kafka",
            "servers": [self.room.bootstrap],
            "topics": [self.topic],
            "group": self.group,
            "session_timeout": "2s",
            "refresh": "1s",
        }
        if "pattern" in changes:
            del said["topics"]
        return KafkaConfig.model_validate({**said, **changes})

    @contextlib.asynccontextmanager
    async def run(
        self,
        emitted: Emitted | None = None,
        *,
        reached: Callable[[str], None] = lambda _: None,
        name: str = "orders",
        **changes: Any,
    ) -> AsyncIterator[Running]:
        """Run a new source until the end of the block."""
        store = emitted or self.emitted
        source, report = KafkaSource(name, self.config(**changes)), Reports()
        await source.open(source_context(store, name=name, reached=reached, report=report))
        running = Running(source, report, asyncio.create_task(source.run(store.begin())))
        try:
            yield running
        finally:
            await running.cancel()
            await asyncio.wait_for(source.close(), PATIENCE)
            if not running.task.cancelled():
                running.task.exception()

    async def values(
        self, count: int, emitted: Emitted | None = None, within: float = PATIENCE
    ) -> list[bytes]:
        """Wait until so many messages are stored and return their data."""
        store = emitted or self.emitted
        await store.until(lambda: len(store.messages) >= count, f"{count} messages", within)
        return [message.data or b"" for message in store.messages]

    async def read(self, count: int, **changes: Any) -> list[bytes]:
        """Run a source until so many messages are stored in all."""
        async with self.run(**changes) as running:
            await until_or_ended(self.values(count), running)
            await eventually(running.source.progress, lambda one: one.pending == 0)
        return [message.data or b"" for message in self.emitted.messages]


async def until_or_ended(waiting: Any, running: Running) -> Any:
    """Wait for something while a source runs; a run that ends meanwhile is the failure."""
    task = asyncio.ensure_future(waiting)
    await asyncio.wait([task, running.task], return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        running.task.result()
        raise AssertionError(f"the run ended too early; it told {running.report.text}")
    return await task


async def eventually(look: Callable[[], Any], right: Callable[[Any], bool], within: float = PATIENCE) -> Any:
    """Look until what is seen is right, and return it. Nothing tells when something changes outside."""
    deadline = time.monotonic() + within
    while not right(seen := await look()):
        assert time.monotonic() < deadline, f"not within {within} s; last seen: {seen}"
        await asyncio.sleep(0.03)
    return seen


async def idle(running: Running) -> Progress:
    """Wait until nothing is left to take."""
    found: Progress = await eventually(running.source.progress, lambda one: one.pending == 0)
    return found
