"""The PostgreSQL source: joins what this package has to one `Source`.

A run begins with a judgement over slot and position, then streams or polls, reads existing rows where that
is wanted, and watches the server: tasks of one group, of which the first that fails ends the run. Nothing
here decodes or decides: `begin` and `slot` say where to go on, `changes` what becomes a message, `stream`
and `polling` what is confirmed.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from typing import ClassVar, Final

from typing_extensions import override

from triggers.base import (
    Emit,
    Expression,
    Finding,
    Progress,
    SetupStep,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.errors import NotStored, SourceGap, SourceRejected, SourceUnavailable
from triggers.expressions import compile_expressions
from triggers.postgres.begin import begin
from triggers.postgres.changes import Changes
from triggers.postgres.check import findings
from triggers.postgres.config import PostgresConfig, publication_name
from triggers.postgres.connection import tls_context
from triggers.postgres.gate import Gate
from triggers.postgres.heartbeat import Watch
from triggers.postgres.learning import Learner
from triggers.postgres.looks import TABLE_KEY
from triggers.postgres.outbox import Outbox
from triggers.postgres.polling import Polling
from triggers.postgres.progress import progress
from triggers.postgres.review import review, url_problem
from triggers.postgres.setup import setup_steps, teardown_steps
from triggers.postgres.slot import rewind
from triggers.postgres.snapshot import Snapshot
from triggers.postgres.stream import Stream
from triggers.postgres.types import Types
from triggers.postgres.wire import streaming

_GRAVITY: Final = (SourceGap, SourceRejected, NotStored, SourceUnavailable)
"""Of several errors at once, the first of these is told; one that is none of them before all."""


class PostgresSource(Source[PostgresConfig]):
    """Committed changes of PostgreSQL tables, in the order of their commits."""

    kind: ClassVar[str] = "postgres"
    Config: ClassVar[type[SourceConfig]] = PostgresConfig

    def __init__(self, name: str, config: PostgresConfig) -> None:
        super().__init__(name, config)
        self._context: SourceContext | None = None
        self._expressions: Mapping[str, Expression] = {}
        self._watch: Watch | None = None

    @property
    @override
    def ordered(self) -> bool:
        return self.config.mode != "outbox"

    @override
    def review(self) -> list[Finding]:
        return review(self.config)

    @override
    async def open(self, context: SourceContext) -> None:
        problem = url_problem(self.config.url.get_secret_value())
        if problem:
            raise SourceRejected(f"{self.name}: `url`: {problem}")
        tls_context(self.config)
        self._expressions = compile_expressions(self.config, context)
        self._context = context

    @override
    async def check(self) -> list[Finding]:
        return await findings(self.name, self.config, self._opened())

    @override
    async def progress(self) -> Progress:
        return await progress(self.name, self.config, self._watch)

    @override
    async def setup(self, *, apply: bool) -> list[SetupStep]:
        return await setup_steps(self.name, self.config, apply=apply)

    @override
    async def teardown(self, *, apply: bool) -> list[SetupStep]:
        return await teardown_steps(self.name, self.config, apply=apply)

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        return rewind(self.name, positions, to)

    @override
    async def close(self) -> None:
        self._context = None
        self._watch = None

    @override
    async def run(self, emit: Emit) -> None:
        context = self._opened()
        if self.config.mode == "outbox":
            await Outbox(self.name, self.config, context, self._expressions).run(emit)
            return
        try:
            await self._follow(emit, context)
        except BaseExceptionGroup as group:
            raise gravest(group) from group

    async def _follow(self, emit: Emit, context: SourceContext) -> None:
        """Follow the changes until something fails or we are cancelled."""
        name, config = self.name, self.config
        start = await begin(name, config, context, emit)
        stored = await context.positions()
        types = Types(numeric=config.numeric)
        gate = Gate(emit, start.position)
        learner = Learner(name, config, types)
        changes = Changes(
            source=name,
            config=config,
            types=types,
            start=start.position,
            tables={key: value for key, value in stored.items() if key.startswith(TABLE_KEY)},
            expressions=self._expressions,
        )
        self._watch = watch = Watch(name, config, context, gate, start)
        snapshot = Snapshot(name, config, context, gate, start, self._expressions)
        async with AsyncExitStack() as stack:
            if config.mode == "stream":
                wire = await stack.enter_async_context(
                    streaming(name, config, start.position, publication_name(name, config))
                )
                stream = Stream(wire, gate, changes, learner, context)
                tasks = [stream.read(), stream.beat()]
            else:
                polling = Polling(name, config, gate, changes, learner, context)
                tasks = [polling.run(start.confirmed)]
            context.report.running()
            async with asyncio.TaskGroup() as group:
                for task in (watch.run(), snapshot.run(), *tasks):
                    group.create_task(_asked_for(task))

    def _opened(self) -> SourceContext:
        if self._context is None:
            raise SourceRejected(f"{self.name} is not open")
        return self._context


async def _asked_for(work: Awaitable[None]) -> None:
    """Do a part of a run. A cancellation that nobody asked for is the driver's, and ends the run (F20).

    A task group would take a task that was cancelled for one that has done its work, and go on without it.
    """
    try:
        await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise SourceUnavailable("the driver gave up in the middle of its work") from error


def gravest(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one exception of a group to be told: a bug before what a source raises on purpose."""
    leaves = list(_leaves(group))
    for error in leaves:
        if not isinstance(error, _GRAVITY):
            return error
    return min(
        leaves, key=lambda error: next(i for i, kind in enumerate(_GRAVITY) if isinstance(error, kind))
    )


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
