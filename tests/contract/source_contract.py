"""What every source must do, whatever stands outside: a broker, a database, a web server, or nothing but memory.

A source's test class inherits `SourceContract` and gives two things: the fixture `outside`, which knows how to
bring something there and what the outside itself holds for acknowledged, and `make`, which makes a source of it.
"""

import asyncio
import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tests.fakes.sources import Emitted, Reports, path_expression, source_context
from tests.patience import PATIENCE, SLACK
from triggers.base import Call, Expression, Finding, Item, Progress, Source, SourceConfig
from triggers.errors import NotStored, SourceUnavailable, TriggerError
from triggers.message import TriggerMessage, decode_data

MANY = 25


class Outside(ABC):
    """What stands outside of one source under test: its own topic, queue, table or address, and nobody else's.

    What is brought carries a token, a text of its own; `token` finds it again in the message. Everything that
    the outside is asked goes by connections of its own, never by the source's.
    """

    credentials: tuple[str, ...] = ()
    """Texts of the configuration that must never stand in a message, a report or a finding."""

    crash_points: tuple[str, ...] = ()
    """Points between `emit` and the acknowledgement at which the source may die."""

    restartable = False
    """Whether `stop` and `start` may be called: nobody else uses this outside."""

    call: Call | None = None
    """Calls of operations, for sources that poll."""

    expression: Callable[[str], Expression] = staticmethod(path_expression)

    def clock(self) -> float:
        """Return the time that the source sees."""
        return time.time()

    @abstractmethod
    def config(self, **changes: Any) -> SourceConfig:
        """Return the configuration of a source of this outside."""

    def unreachable(self) -> SourceConfig | None:
        """Return a configuration where nothing answers; None when there is nothing to reach."""
        return None

    @abstractmethod
    async def bring(self, count: int) -> list[str]:
        """Bring so many new things, in this order, and return their tokens."""

    async def bring_bad(self) -> bytes | None:
        """Bring what cannot become a message and return its bytes; None when this kind has no such thing."""
        return None

    async def unacknowledged(self) -> int | None:
        """Return how much of what was brought the outside holds for not acknowledged; None: it cannot tell."""
        return None

    def token(self, message: TriggerMessage) -> str:
        """Return the token of a message."""
        return str(decode_data(message)["n"])

    async def stop(self) -> None:
        """Stop the outside hard, as kill -9 does; what it has taken it keeps."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start it again."""
        raise NotImplementedError

    @staticmethod
    def tokens(count: int) -> list[str]:
        """Return so many texts that are nobody else's, in an order of their own."""
        stem = uuid.uuid4().hex[:8]
        return [f"{stem}-{index:05}" for index in range(count)]


class Crash(BaseException):
    """The process dies here: nothing after this point happens."""


class CrashPoint:
    """Raises Crash at the first hit of a point, and at each one after: a dead process does nothing more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hit = asyncio.Event()

    def __call__(self, name: str) -> None:
        """Be reached."""
        if name == self.name or self.hit.is_set():
            self.hit.set()
            raise Crash(name)


class Run:
    """One source from `open` on, and its run."""

    def __init__(self, source: Source[Any], report: Reports, emitted: Emitted) -> None:
        self.source = source
        self.report = report
        self.emitted = emitted
        self.task: asyncio.Task[None] | None = None

    def start(self) -> "Run":
        """Begin to run."""
        self.task = asyncio.create_task(self.source.run(self.emitted.begin()), name="the source under test")
        return self

    async def ended(self, within: float = PATIENCE) -> BaseException | None:
        """Wait until the run has ended by itself; return what it raised."""
        assert self.task is not None
        done, _ = await asyncio.wait([self.task], timeout=within)
        assert done, f"the run has not ended within {within} s; it told: {self.report.text}"
        return None if self.task.cancelled() else self.task.exception()

    async def cancel(self, within: float = PATIENCE) -> None:
        """Cancel the run and see it end."""
        if self.task is not None and not self.task.done():
            self.task.cancel()
            done, _ = await asyncio.wait([self.task], timeout=within)
            assert done, f"the run has not ended {within} s after it was cancelled"


class Footprint:
    """Which tasks and how many sockets the process has: a source leaves nothing behind."""

    def __init__(self) -> None:
        self.tasks = asyncio.all_tasks()
        self.sockets = self._sockets()

    @staticmethod
    def _sockets() -> int:
        number = 0
        for entry in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").is_dir() else ():
            with contextlib.suppress(OSError):
                number += str(entry.readlink()).startswith("socket:")
        return number

    async def comes_back(self, within: float = PATIENCE) -> None:
        """Wait until nothing more is there than was at first. Closing a socket takes the loop a turn or two."""
        deadline = time.monotonic() + within
        while True:
            more = [task for task in asyncio.all_tasks() - self.tasks if not task.done()]
            sockets = self._sockets() - self.sockets
            if not more and sockets <= 0:
                return
            assert time.monotonic() < deadline, f"left behind: {sockets} sockets, tasks {more}"
            await asyncio.sleep(0.01)


class SourceContract(ABC):
    """Inherited once per kind of source (and per mode, where one has several)."""

    patience: ClassVar[float] = PATIENCE
    """Seconds that anything outside may take."""

    reaction: ClassVar[float] = 10.0 + SLACK
    """Seconds within which a source ends when it is cancelled, and says that the outside cannot be reached."""

    quiet: ClassVar[float] = 0.3
    """Seconds for which something must not happen that could: a negative has no event to wait for."""

    footprint: ClassVar[float] = PATIENCE
    """Seconds after which no task and no socket of a closed source may be left."""

    name: ClassVar[str] = "orders"

    @abstractmethod
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        """Return a new source."""

    @pytest.fixture
    def outside(self) -> Outside:
        """Give a fresh outside; each kind overrides this."""
        raise NotImplementedError

    @pytest.fixture
    def emitted(self) -> Emitted:
        return Emitted()

    async def prime(self, outside: Outside, emitted: Emitted) -> None:
        """Take the source as far that what is brought next comes in: one that starts `now` runs once before."""
        del outside, emitted

    async def offered(self, emitted: Emitted, before: int) -> None:
        """Wait until the source offers more items than `before`: a mere position is nothing to acknowledge."""
        await emitted.until(lambda: len(emitted.offered) > before, "something is brought", self.patience)

    # -- how the tests hold a source

    @contextlib.asynccontextmanager
    async def opened(
        self,
        outside: Outside,
        emitted: Emitted,
        *,
        config: SourceConfig | None = None,
        reached: Callable[[str], None] = lambda _name: None,
        alone: bool = True,
    ) -> AsyncIterator[Run]:
        """Open a source; leave it cancelled and closed, with nothing left behind and nothing brought late.

        Beside another running one, whose tasks come and go (not `alone`), what is left behind is not counted.
        """
        before = Footprint()
        source = self.make(self.name, config or outside.config())
        report = Reports()
        run = Run(source, report, emitted)
        try:
            await source.open(
                source_context(
                    emitted,
                    name=self.name,
                    reached=reached,
                    report=report,
                    clock=outside.clock,
                    call=outside.call,
                    expression=outside.expression,
                )
            )
            yield run
        finally:
            await run.cancel(self.reaction)
            emitted.end()
            await asyncio.wait_for(source.close(), self.reaction)
        if run.task is not None and not run.task.cancelled():
            run.task.exception()  # looked at, so that nobody is warned of it
        if alone:
            await before.comes_back(self.footprint)
        assert emitted.late == 0, "it brought something after its run had ended"

    async def taken(self, outside: Outside, emitted: Emitted, tokens: list[str], **how: Any) -> None:
        """Run a new source until all of the tokens are stored and acknowledged."""
        async with self.opened(outside, emitted, **how) as run:
            run.start()
            await self.stored(outside, emitted, tokens, run)
            await self.settled(outside, 0)

    async def stored(self, outside: Outside, emitted: Emitted, tokens: list[str], run: Run) -> None:
        """Wait until all of the tokens are stored; a run that ends meanwhile is the failure."""
        assert run.task is not None
        waiting = asyncio.create_task(
            emitted.until(
                lambda: set(tokens) <= set(self.seen(outside, emitted)), "all stored", self.patience
            )
        )
        await asyncio.wait([waiting, run.task], return_when=asyncio.FIRST_COMPLETED)
        if run.task.done() and not waiting.done():
            waiting.cancel()
            run.task.result()
            raise AssertionError(f"the run ended too early; it told: {run.report.text}")
        await waiting

    async def settled(self, outside: Outside, unacknowledged: int) -> None:
        """Wait until the outside holds so many for not acknowledged, where it can tell."""
        await self.eventually(outside.unacknowledged, lambda left: left in (None, unacknowledged))

    async def eventually(self, look: Callable[[], Awaitable[Any]], right: Callable[[Any], bool]) -> Any:
        """Look until what is seen is right, and return it."""
        deadline = time.monotonic() + self.patience
        while not right(seen := await look()):
            assert time.monotonic() < deadline, f"not within {self.patience} s; last seen: {seen}"
            await asyncio.sleep(0.02)
        return seen

    async def stays(self, look: Callable[[], Awaitable[Any]], right: Callable[[Any], bool]) -> None:
        """Look for a while: what is seen must be right each time."""
        deadline = time.monotonic() + self.quiet
        while time.monotonic() < deadline:
            seen = await look()
            assert right(seen), f"changed to {seen}"
            await asyncio.sleep(0.02)

    def seen(self, outside: Outside, emitted: Emitted) -> list[str]:
        """Return the tokens that are stored, in order."""
        return [outside.token(message) for message in emitted.messages]

    def ids(self, outside: Outside, items: list[Item]) -> dict[str, tuple[str, str]]:
        """Return each token with the identity under which it came; it must always be the same."""
        found: dict[str, tuple[str, str]] = {}
        for item in items:
            if isinstance(item, TriggerMessage):
                identity = (item.source, item.id)
                assert found.setdefault(outside.token(item), identity) == identity
        return found

    # -- bringing

    async def test_brings_everything_in_order(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(MANY)
        await self.taken(outside, emitted, tokens)
        assert self.seen(outside, emitted) == tokens
        assert emitted.rejects == []

    async def test_brings_what_comes_while_it_runs(self, outside, emitted):
        await self.prime(outside, emitted)
        async with self.opened(outside, emitted) as run:
            run.start()
            brought = []
            for count in (1, 3, MANY):
                brought += await outside.bring(count)
                await self.stored(outside, emitted, brought, run)
            await self.settled(outside, 0)
        assert self.seen(outside, emitted) == brought
        assert emitted.repeats == []

    async def test_goes_on_where_it_was(self, outside, emitted):
        await self.prime(outside, emitted)
        first = await outside.bring(3)
        await self.taken(outside, emitted, first)
        second = await outside.bring(3)
        await self.taken(outside, emitted, second)
        assert self.seen(outside, emitted) == first + second
        assert emitted.repeats == []

    async def test_ids_are_unique(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(MANY)
        await self.taken(outside, emitted, tokens)
        identities = self.ids(outside, emitted.messages)
        assert len(set(identities.values())) == len(tokens)
        assert all(identity for _, identity in identities.values())

    async def test_what_cannot_become_a_message_is_kept_and_the_rest_goes_on(self, outside, emitted):
        await self.prime(outside, emitted)
        before = await outside.bring(2)
        bad = await outside.bring_bad()
        if bad is None:
            pytest.skip("nothing that this source is brought can fail to become a message")
        after = await outside.bring(2)
        await self.taken(outside, emitted, before + after)
        assert self.seen(outside, emitted) == before + after
        assert len(emitted.rejects) == 1
        reject = emitted.rejects[0]
        assert reject.data == bad
        assert reject.reason
        assert reject.detail

    async def test_no_credential_enters_what_it_tells(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(2)
        config = outside.config()
        async with self.opened(outside, emitted, config=config) as run:
            run.start()
            await self.stored(outside, emitted, tokens, run)
            told = repr((emitted.offered, run.report.text, config, await run.source.progress()))
        async with self.opened(outside, emitted, config=config) as run:
            told += repr((await run.source.check(), await run.source.setup(apply=False)))
        for credential in outside.credentials:
            assert credential not in told

    async def test_meta_says_the_kind_and_is_json(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(1)
        await self.taken(outside, emitted, tokens)
        (message,) = emitted.messages
        assert message.meta["kind"] == self.make(self.name, outside.config()).kind
        assert message.source
        assert message.type
        assert msgspec.json.decode(msgspec.json.encode(message.meta)) == message.meta

    # -- storing before acknowledging

    async def test_acknowledges_only_after_emit_returned(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(3)
        before = len(emitted.offered)
        emitted.block(positions_too=False)
        async with self.opened(outside, emitted) as run:
            run.start()
            await self.offered(emitted, before)
            await self.stays(outside.unacknowledged, lambda left: left in (None, len(tokens)))
            emitted.release()
            await self.stored(outside, emitted, tokens, run)
            await self.settled(outside, 0)

    async def test_what_was_not_stored_ends_the_run_and_comes_again(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(3)
        before = len(emitted.offered)
        emitted.fail(positions_too=False)
        async with self.opened(outside, emitted) as run:
            error = await run.start().ended(self.patience)
        assert isinstance(error, NotStored), error
        assert len(emitted.offered) > before, "no message was refused"
        assert emitted.messages == []
        await self.stays(outside.unacknowledged, lambda left: left in (None, len(tokens)))
        await self.taken(outside, emitted, tokens)
        assert self.seen(outside, emitted) == tokens
        self.ids(outside, emitted.offered)

    async def test_a_full_disk_for_a_while_loses_nothing(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(MANY)
        for _ in range(3):
            emitted.fail()
            async with self.opened(outside, emitted) as run:
                assert isinstance(await run.start().ended(self.patience), NotStored)
        await self.taken(outside, emitted, tokens)
        assert self.seen(outside, emitted) == tokens

    @pytest.mark.parametrize("stored", [False, True], ids=["not stored", "stored"])
    async def test_a_cancel_in_the_middle_of_emit_loses_nothing(self, outside, emitted, stored):
        await self.prime(outside, emitted)
        tokens = await outside.bring(3)
        before = len(emitted.offered)
        emitted.block(positions_too=False)
        emitted.stores_when_cancelled = stored
        async with self.opened(outside, emitted) as run:
            run.start()
            await self.offered(emitted, before)
            await run.cancel(self.reaction)
        await self.stays(outside.unacknowledged, lambda left: left in (None, len(tokens)))
        emitted.release()
        more = await outside.bring(1)
        await self.taken(outside, emitted, tokens + more)
        assert self.seen(outside, emitted) == tokens + more
        assert emitted.conflicts == []
        self.ids(outside, emitted.offered)

    async def test_a_crash_before_the_acknowledgement_loses_nothing(self, outside, emitted):
        """What was stored comes again with the same identity, or not at all where positions are kept."""
        if not outside.crash_points:
            pytest.skip("this source has no point between emit and acknowledgement")
        await self.prime(outside, emitted)
        brought: list[str] = []
        for point in outside.crash_points:
            brought += await outside.bring(3)
            crash = CrashPoint(point)
            async with self.opened(outside, emitted, reached=crash) as run:
                run.start()
                await asyncio.wait_for(crash.hit.wait(), self.patience)
        ordered = self.make(self.name, outside.config()).ordered
        await self.taken(outside, emitted, brought)
        more = await outside.bring(2)
        await self.taken(outside, emitted, more)
        assert self.seen(outside, emitted) == brought + more
        assert emitted.conflicts == []
        self.ids(outside, emitted.offered)
        if ordered:
            assert emitted.repeats == [], "an ordered source brought again what its positions say is stored"

    async def test_an_ordered_source_stores_its_position_with_every_batch(self, outside, emitted):
        if not self.make(self.name, outside.config()).ordered:
            pytest.skip("this source is not ordered")
        await self.prime(outside, emitted)
        tokens = await outside.bring(3)
        before = dict(emitted.kept)
        await self.taken(outside, emitted, tokens)
        assert emitted.kept != before
        assert all(isinstance(value, bytes) for value in emitted.kept.values())

    # -- ending

    async def test_a_cancelled_run_ends_quickly_and_lets_go(self, outside, emitted):
        await self.prime(outside, emitted)
        async with self.opened(outside, emitted) as run:
            run.start()
            tokens = await outside.bring(1)
            await self.stored(outside, emitted, tokens, run)
            await run.cancel(self.reaction)

    async def test_close_is_harmless_before_open(self, outside):
        before = Footprint()
        source = self.make(self.name, outside.config())
        await source.close()
        await source.close()
        await before.comes_back(self.footprint)

    async def test_close_is_harmless_after_open(self, outside, emitted):
        async with self.opened(outside, emitted) as run:
            await run.source.close()
            await run.source.close()

    async def test_close_is_harmless_during_the_run(self, outside, emitted):
        await self.prime(outside, emitted)
        async with self.opened(outside, emitted) as run:
            run.start()
            tokens = await outside.bring(1)
            await self.stored(outside, emitted, tokens, run)
            await asyncio.wait_for(run.source.close(), self.reaction)
            await asyncio.wait_for(run.source.close(), self.reaction)
            await run.cancel(self.reaction)
            assert run.task is not None
            if not run.task.cancelled():
                assert isinstance(run.task.exception(), TriggerError | None)

    async def test_close_is_harmless_after_a_failure(self, outside, emitted):
        await self.prime(outside, emitted)
        await outside.bring(1)
        emitted.fail()
        async with self.opened(outside, emitted) as run:
            assert isinstance(await run.start().ended(self.patience), NotStored)
            await run.source.close()
            await run.source.close()

    # -- looking without touching

    async def test_review_is_pure(self, outside):
        before = Footprint()
        source = self.make(self.name, outside.config())
        findings = source.review()
        assert findings == source.review()
        assert all(isinstance(one, Finding) for one in findings)
        assert [one for one in findings if one.severity == "error"] == []
        await before.comes_back(within=0.0)

    async def test_a_check_of_what_is_sound_finds_no_error_and_changes_nothing(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(2)
        kept = dict(emitted.kept)
        async with self.opened(outside, emitted) as run:
            findings = await asyncio.wait_for(run.source.check(), self.patience)
            assert [one for one in findings if one.severity == "error"] == []
            assert all(one.code and one.message for one in findings)
        await self.stays(outside.unacknowledged, lambda left: left in (None, len(tokens)))
        assert emitted.offered == []
        assert emitted.kept == kept
        await self.taken(outside, emitted, tokens)
        assert self.seen(outside, emitted) == tokens

    async def test_a_check_beside_a_running_source_disturbs_nothing(self, outside, emitted):
        await self.prime(outside, emitted)
        async with self.opened(outside, emitted) as run:
            run.start()
            first = await outside.bring(2)
            await self.stored(outside, emitted, first, run)
            async with self.opened(outside, Emitted(), alone=False) as other:
                await asyncio.wait_for(other.source.check(), self.patience)
            second = await outside.bring(2)
            await self.stored(outside, emitted, second, run)
        assert self.seen(outside, emitted) == first + second

    async def test_a_check_where_nothing_answers_says_so(self, outside, emitted):
        config = self._unreachable(outside)
        async with self.opened(outside, emitted, config=config) as run:
            findings = await asyncio.wait_for(run.source.check(), self.reaction)
        errors = [one for one in findings if one.severity == "error"]
        assert errors
        assert all(one.code and one.message and one.fix for one in errors)
        for credential in outside.credentials:
            assert credential not in repr(findings)

    async def test_a_run_where_nothing_answers_says_so(self, outside, emitted):
        config = self._unreachable(outside)
        async with self.opened(outside, emitted, config=config) as run:
            error = await run.start().ended(self.reaction)
        assert isinstance(error, SourceUnavailable), error
        assert str(error)
        for credential in outside.credentials:
            assert credential not in repr(error)
            assert credential not in repr(error.__cause__)

    async def test_progress_where_nothing_answers_says_so(self, outside, emitted):
        config = self._unreachable(outside)
        async with self.opened(outside, emitted, config=config) as run:
            with contextlib.suppress(SourceUnavailable):
                progress = await asyncio.wait_for(run.source.progress(), self.reaction)
                assert not progress.pending

    async def test_progress_shows_what_waits_and_moves(self, outside, emitted):
        await self.prime(outside, emitted)
        before = len(emitted.offered)
        emitted.block(positions_too=False)
        async with self.opened(outside, emitted) as run:
            run.start()
            tokens = await outside.bring(3)
            await self.offered(emitted, before)
            waiting: Progress = await asyncio.wait_for(run.source.progress(), self.patience)
            if waiting.pending is not None:
                waiting = await self.eventually(run.source.progress, lambda one: one.pending > 0)
            emitted.release()
            await self.stored(outside, emitted, tokens, run)
            if waiting.pending is not None:
                done = await self.eventually(run.source.progress, lambda one: one.pending == 0)
                assert done.position != waiting.position, "work was taken and the position stands still"

    async def test_setup_that_only_shows_changes_nothing(self, outside, emitted):
        await self.prime(outside, emitted)
        tokens = await outside.bring(2)
        async with self.opened(outside, emitted) as run:
            shown = await asyncio.wait_for(run.source.setup(apply=False), self.patience)
            again = await asyncio.wait_for(run.source.setup(apply=False), self.patience)
            gone = await asyncio.wait_for(run.source.teardown(apply=False), self.patience)
        assert shown == again
        assert all(step.what for step in (*shown, *gone))
        await self.taken(outside, emitted, tokens)
        assert self.seen(outside, emitted) == tokens

    # -- an outside that comes and goes

    async def test_an_outside_that_was_stopped_is_taken_up_again(self, outside, emitted):
        if not outside.restartable:
            pytest.skip("others use this outside, too")
        await self.prime(outside, emitted)
        first = await outside.bring(3)
        async with self.opened(outside, emitted) as run:
            run.start()
            await self.stored(outside, emitted, first, run)
            await outside.stop()
            error = await run.ended(self.patience)
            assert isinstance(error, SourceUnavailable), error
        await outside.start()
        second = await outside.bring(3)
        await self.taken(outside, emitted, second)
        assert self.seen(outside, emitted) == first + second

    def _unreachable(self, outside: Outside) -> SourceConfig:
        config = outside.unreachable()
        if config is None:
            pytest.skip("this source has nothing to reach")
        return config
