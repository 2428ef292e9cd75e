"""What the benchmarks of sources share: how reading is measured, and where what is read goes.

A case reads everything that waits in one place outside, in batches of a size. The clock runs from the first
batch that is done with (stored, acknowledged) to the last, so connecting and joining a group count nowhere.
CPU is that of this process, all threads: the store's fsync is in it, the server outside is not.
"""

import asyncio
import contextlib
import gc
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from bench.figures import Row
from bench.whole import Wrong, specification
from service import plan
from service.config.model import Configuration
from service.demo.servers import SERVERS
from service.intake import Intake
from service.job import Job
from service.rules.model import Ruleset
from service.store.sqlite import SQLiteStore
from service.supervisor.emitting import Emitting
from triggers.base import Accepted, Emit, Item, Source, SourceContext

ORDER: Final = (
    '{"id":%d,"type":"order.paid","customer":{"id":"c-%d","name":"Anna Example"},"total":%d.50,'
    '"currency":"EUR","items":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"note":"leave at the door"}'
)
"""The body of a message: about 190 bytes."""

SOURCE: Final = "bench"
"""The name of the source that reads."""

RULES: Final = 10
"""Rules that look at every message; one of them matches."""


def order(number: int) -> bytes:
    """Return the body of a message."""
    return (ORDER % (number, number % 97, number % 1000)).encode()


class Took(msgspec.Struct, frozen=True):
    """How long so many messages took."""

    messages: int
    seconds: float
    cpu: float


class Meter:
    """Counts what was read, until all of it is there."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.read = 0
        self._first = 0
        self._began = self._used = 0.0

    def add(self, messages: int) -> bool:
        """Note that so many are done with; say whether that was all. The clock starts with the first."""
        self.read += messages
        if not self._first and messages:
            self._first, self._began, self._used = self.read, time.perf_counter(), time.process_time()
        return self.read >= self.expected

    def took(self) -> Took:
        """Return how long all but the first batch took. Raise Wrong when more was read than there was."""
        cpu, seconds = time.process_time() - self._used, time.perf_counter() - self._began
        if self.read != self.expected:
            raise Wrong(f"{self.read} messages were read, {self.expected} were there")
        return Took(self.read - self._first, seconds, cpu)


Read = Callable[[int], Awaitable[Took]]
"""Reads everything once, in batches of a size."""


class Subject(Protocol):
    """A place with messages, and the ways to read them; the first is the bare driver."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def batches(self) -> Sequence[int]:
        """The sizes of a batch to measure."""

    @property
    def cases(self) -> Mapping[str, Read]:
        """The ways to read."""


async def source_alone(source: Source[Any], expected: int) -> Took:
    """Read with a source that hands over to nobody."""

    async def emit(batch: Sequence[Item], positions: Mapping[str, bytes | None] | None = None) -> Accepted:
        del positions
        return Accepted(new=len(batch))

    return await _run(source, emit, expected)


async def source_stored(source: Source[Any], expected: int, match: Mapping[str, Any]) -> Took:
    """Read with a source into the embedded store, past ten rules of which this matches every message.

    Raise Wrong when the store has not each message once, with a delivery.
    """
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        async with embedded(Path(folder), match) as (intake, store):
            emitting = Emitting(
                SOURCE,
                intake,
                ordered=source.ordered,
                refusing=str,
                reached=_nothing,
                told=lambda _count, _accepted: None,
            )
            took = await _run(source, emitting, expected)
            accepted, deliveries = intake.accepted["new"], store.health().unfinished
            if not accepted == deliveries == expected:
                raise Wrong(f"{expected} messages made {accepted} in the store and {deliveries} deliveries")
            return took


async def _run(source: Source[Any], emit: Emit, expected: int) -> Took:
    meter = Meter(expected)
    done = asyncio.Event()

    async def metered(batch: Sequence[Item], positions: Mapping[str, bytes | None] | None = None) -> Accepted:
        accepted = await emit(batch, positions)
        if meter.add(len(batch)):
            done.set()
        return accepted

    await source.open(
        SourceContext(name=SOURCE, reached=_nothing, clock=time.time, expression=_no_expression)
    )
    running = asyncio.ensure_future(source.run(metered))
    finished = asyncio.ensure_future(done.wait())
    try:
        await asyncio.wait((running, finished), return_when=asyncio.FIRST_COMPLETED)
        took = meter.took() if done.is_set() else None
        if took is None:
            running.result()  # it raises what ended the source
            raise Wrong(f"the source ended after {meter.read} of {expected} messages")
        return took
    finally:
        for task in (running, finished):
            task.cancel()
        await asyncio.wait((running, finished))
        await source.close()


def _nothing(_point: str) -> None: ...


def _no_expression(text: str) -> Any:
    raise ValueError(text)


# -- the store


@contextlib.asynccontextmanager
async def embedded(folder: Path, match: Mapping[str, Any]) -> AsyncIterator[tuple[Intake, SQLiteStore]]:
    """Give an intake before an embedded store that syncs every commit. No dispatcher runs."""

    def clock_ms() -> int:
        return time.time_ns() // 1_000_000

    def fatal(error: BaseException) -> None:
        raise error

    store = SQLiteStore(folder, reached=_nothing, clock_ms=clock_ms, on_fatal=fatal)
    await store.open()
    try:
        numbers = itertools.count(1)
        intake = Intake(
            store, NoLanes(), clock_ms=clock_ms, reached=_nothing, new_id=lambda: str(next(numbers))
        )
        intake.use(ruleset(match), {SOURCE: await store.number("source", SOURCE)})
        yield intake, store
    finally:
        await store.close()


class NoLanes:
    """A dispatcher that does not run: deliveries are born pending and stay so."""

    def reserve(self, connection: str) -> tuple[int, bool]:
        del connection
        return 1, False

    def cancel(self, connection: str) -> None: ...

    def hand_over(self, connection: str, job: Job) -> None: ...

    def nudge(self, connection: str | None = None) -> None: ...


def rules(match: Mapping[str, Any]) -> dict[str, Any]:
    """Return ten rules: the first matches what `match` does, the others look at the same and match nothing.

    `match` has the `type` and, under `data`, one field with a text.
    """
    misses = [_with_text(match["data"], f"X{number}") for number in range(RULES - 1)]
    patterns = [match, *({**match, "data": data} for data in misses)]
    body = {"number": "${event.id}", "by": "${event.type}"}
    do = [{"call": "backend.createDeployment", "with": {"body": body}}]
    return {f"rule-{number}": {"match": pattern, "do": do} for number, pattern in enumerate(patterns)}


def _with_text(data: Any, text: str) -> Any:
    """Return the pattern with another text at its leaf."""
    if isinstance(data, list):
        return [text]
    return {name: _with_text(inner, text) for name, inner in data.items()}


def ruleset(match: Mapping[str, Any]) -> Ruleset:
    """Return `rules` as intake wants them."""
    document = {
        "connectors": {"backend": {"spec": "backend.openapi.json"}},
        "connections": {"backend": {"connector": "backend", "server": "http://127.0.0.1:9"}},
        "rules": rules(match),
    }
    configuration = Configuration.model_validate(document)
    built = plan.build(configuration, {"backend": json.dumps(specification()).encode()})
    if built.errors:
        raise Wrong("\n".join(map(str, built.errors)))
    return built.ruleset


# -- servers and rounds


@contextlib.asynccontextmanager
async def server(kind: str, address: str) -> AsyncIterator[str]:
    """Give the address of a server: the one that is named, or one that is started for this."""
    if address:
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        local = SERVERS[kind](Path(folder) / kind)
        try:
            await local.start()
            yield local.url
        finally:
            local.end()


async def rounds(subject: Subject, count: int) -> list[Row]:
    """Measure all cases by turns, round by round; return the medians.

    The ratios are the medians of each round's own: what disturbs a round disturbs both sides.
    """
    rows = []
    for batch in subject.batches:
        found: dict[str, list[Took]] = {name: [] for name in subject.cases}
        for _ in range(count):
            for name, read in subject.cases.items():
                gc.collect()
                found[name].append(await read(batch))
        bare = next(iter(found.values()))
        for name, all_took in found.items():
            rows.append(_row(subject.name, batch, name, all_took, bare))
            print(f"… {rows[-1]}", file=sys.stderr, flush=True)
    return rows


def _row(subject: str, batch: int, name: str, found: Sequence[Took], bare: Sequence[Took]) -> Row:
    cpu = statistics.median(one.cpu / one.messages for one in found)
    pairs = list(zip(found, bare, strict=True))
    return {
        "source": subject,
        "batch": batch,
        "reads": name,
        "messages/s": round(statistics.median(one.messages / one.seconds for one in found)),
        "CPU µs each": round(cpu * 1e6, 1),
        "messages/CPU s": round(1 / cpu),
        "rate to bare": round(
            statistics.median((a.messages / a.seconds) / (b.messages / b.seconds) for a, b in pairs), 2
        ),
        "per CPU s to bare": round(
            statistics.median((a.messages / a.cpu) / (b.messages / b.cpu) for a, b in pairs), 2
        ),
    }


def load() -> str:
    """Return how busy the machine is: what figures of time are to be read with."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
