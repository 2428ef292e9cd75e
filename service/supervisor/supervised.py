"""The life of one source: start it, restart it after a failure, for ever; stop it when it is told to.

A source that does not end when it is told to is left alone: nothing of it is stored any more, and its
successor starts. Nothing here waits for a source longer than a bound.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from service.observe import without_passwords
from service.supervisor.bounds import end, to_the_end
from service.supervisor.emitting import Emitting
from service.supervisor.standing import Standing, wall_ms
from service.supervisor.status import NOT_CONNECTED, SourceState, SourceStatus
from service.supervisor.warnings import Warnings
from triggers.base import Accepted, HttpSource, Reporter, Source, SourceConfig, SourceContext
from triggers.errors import NotStored, SourceGap, SourceRejected, SourceUnavailable

log = structlog.get_logger(__name__)

FIRST_DELAY: Final = 0.5
"""Seconds before the first restart; doubled each time, with jitter."""

LONGEST_DELAY: Final = 30.0
"""Longest wait before a source that failed is started again."""

REFUSED_DELAY: Final = 60.0
"""Wait before a source that was refused is tried again: somebody may have mended it outside."""

PROVEN: Final = 30.0
"""Seconds of running after which an earlier failure counts no more."""

GRACE: Final = 10.0
"""Seconds that a source may take to end before it is left alone."""

URGES: Final = 3
"""How often a run is told to end: a library may swallow it, as Python 3.11's `wait_for` does."""

_TROUBLES: Final = {"waiting": "warning", "refused": "error", "gap": "error"}
"""States that are logged when their reason is new, and how."""


class Surroundings(Protocol):
    """What a source's life needs of the service."""

    @property
    def grace(self) -> float:
        """Seconds that a source may take to end before it is left alone."""

    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        """Make a source that was never opened."""

    def context(self, name: str, reporter: Reporter) -> SourceContext:
        """Return what a source is handed when it opens."""

    def emitting(self, source: Source[Any], told: Callable[[int, Accepted], None]) -> Emitting:
        """Return the `emit` of one run."""

    async def gone(self, name: str) -> None:
        """Wait until nothing of an earlier source of this name is on its way into the store."""

    async def unwatched(self, source: Source[Any]) -> None:
        """Return when nobody asks this source anything any more."""

    def tell(self, kind: str, name: str, data: Mapping[str, object], *, told_as: str) -> None:
        """Make a message of a trouble."""


class Supervised:
    """One source and how it is. All methods but `stopped` return at once."""

    def __init__(self, name: str, config: SourceConfig, around: Surroundings) -> None:
        self.name = name
        self.config = config
        self._runs = not isinstance(around.make(name, config), HttpSource)  # else the ingest server asks it
        self.paused_by = ""
        self.draining = False
        self.restarts = 0
        self.source: Source[Any] | None = None  # the one that runs now
        self._around = around
        self._state: SourceState = "starting"
        self._since = wall_ms()
        self._detail = self._fix = ""
        self._last_message_at = self._last_error_at = self._retry_at = 0
        self._last_error = ""
        self._warnings = Warnings(name, around.tell)
        self._counts = {"new": 0, "known": 0, "rejected": 0, "batches": 0}
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()  # each sees a run out that was told to end
        self._left_alone: set[asyncio.Task[None]] = set()  # runs that did not
        self._emitting: Emitting | None = None
        self._unsettled: set[Emitting] = set()  # of all runs of which something may be on its way
        self._closing = False
        self.rewinding = asyncio.Lock()  # while somebody has it, nothing runs
        self.standing = Standing()
        self._connecting_since = time.monotonic()
        self._proven_at = 0  # when a run had last lasted
        self._logged = ("", "")

    # -- orders

    def start(self) -> None:
        """Run from now on, unless paused, closed or being rewound."""
        if self._closing:
            self._become("stopped")
        elif self.paused_by:
            self._become("draining" if self.draining else "paused", f"by {self.paused_by}")
        elif not self._runs:
            self._become("running")
        elif self.rewinding.locked():
            self._become("starting", "being rewound")
        elif self._task is None:
            self._become("starting")
            self._task = asyncio.get_running_loop().create_task(self._live(), name=f"source-{self.name}")
            self._task.add_done_callback(self._left)

    def stop(self) -> None:
        """Tell the run to end, and store nothing more of it."""
        task, self._task = self._task, None
        source, self.source = self.source, None
        emitting, self._emitting = self._emitting, None
        if emitting is not None:
            emitting.shut()
        if task is not None and not task.done():
            task.cancel()
            leaving = asyncio.get_running_loop().create_task(self._see_out(task, source))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        self.standing.begin()

    async def _see_out(self, task: asyncio.Task[None], source: Source[Any] | None) -> None:
        """Tell a run to end until it does; take from one that does not what it holds outside."""
        for _ in range(URGES):
            await asyncio.wait((task,), timeout=self._around.grace / URGES)
            if task.done():
                return
            task.cancel()
        self._left_alone.add(task)
        log.error("a source did not end; it is left alone", source=self.name, task=task.get_name())
        if source is not None:
            await end(source, self._around.grace)

    def _left(self, task: asyncio.Task[None]) -> None:
        """Note that a run is over; one that nobody told to end begins again later."""
        self._left_alone.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("a source ended badly", source=self.name, exc_info=error)
        if task is self._task:
            self._task = None
            self._note_error(f"it ended badly: {error or asyncio.CancelledError()!r}")
            self._become("refused", self._last_error, f"pointsman sources restart {self.name}")
            self._retry_at = wall_ms() + int(REFUSED_DELAY * 1000)
            asyncio.get_running_loop().call_later(REFUSED_DELAY, self.start)

    def restart(self) -> None:
        """End the run and start anew at once."""
        self.stop()
        self.restarts += 1
        self.start()

    def pause(self, by: str, *, drain: bool = False) -> None:
        """Take nothing more, until `resume`."""
        self.paused_by, self.draining = by, drain
        self.stop()
        self.standing.rest()
        self._warnings.forget()
        self._become("draining" if drain else "paused", f"by {by}")

    def resume(self) -> None:
        """Take messages again."""
        self.paused_by, self.draining = "", False
        self.start()

    def unstick(self, reason: str) -> None:
        """Begin anew because nothing moves; it counts as stuck until something does."""
        self._note_error(f"stuck: {reason}")
        self.restart()

    def clear_warnings(self) -> None:
        """Forget all troubles: they were those of another configuration."""
        self._warnings.forget()

    def close(self) -> None:
        """End for good."""
        self._closing = True
        self.stop()
        self._become("stopped")

    async def settled(self) -> None:
        """Wait until nothing of the runs that were told to end is on its way into the store.

        Such a run is waited for, within bounds; one that does not end is left alone: it stores nothing.
        """
        if self._leaving:
            await asyncio.wait(tuple(self._leaving))
        for emitting in tuple(self._unsettled):
            if not emitting.open:
                await emitting.settled()
                self._unsettled.discard(emitting)

    def give_up(self) -> None:
        """Wait no longer for the runs that were told to end."""
        for leaving in self._leaving:
            leaving.cancel()

    # -- what a source reports

    def connected(self, detail: str) -> None:
        """Note that the source is connected."""
        self.clear(NOT_CONNECTED)
        self._become("running", detail)

    def working(self, detail: str) -> None:
        """Note what long work is under way."""
        self.clear(NOT_CONNECTED)
        if detail != self._detail:
            self.standing.activity += 1
        self._become("busy", detail)

    def warn(self, code: str, message: str, fix: str = "") -> None:
        """Note a trouble; a new one becomes a message."""
        self._warnings.warn(code, message, fix)

    def clear(self, code: str) -> None:
        """Forget a trouble."""
        self._warnings.clear(code)

    def connecting_for(self, now: float) -> float:
        """Return for how many seconds a run has been trying to connect; `now` is monotonic."""
        return now - self._connecting_since if self._state == "starting" else 0.0

    # -- how it is

    def status(self) -> SourceStatus:
        """Return how the source is now."""
        return SourceStatus(
            name=self.name,
            kind=self.config.kind,
            state=self._state,
            since=self._since,
            detail=self._detail,
            fix=self._fix,
            last_message_at=self._last_message_at,
            last_error=self._last_error,
            last_error_at=self._last_error_at,
            retry_at=self._retry_at,
            pending=self.standing.progress.pending,
            unit=self.standing.progress.unit,
            position=self.standing.progress.position,
            moved_at=self.standing.moved_at,
            stuck=self.standing.stuck,
            warnings=self._warnings.all(),
            restarts=self.restarts,
            paused_by=self.paused_by,
            **self._counts,
        )

    def _become(self, state: SourceState, detail: str = "", fix: str = "") -> None:
        before, detail = self._state, without_passwords(detail)
        if state != before:
            self._since = wall_ms()
            if state == "starting":
                self._connecting_since = time.monotonic()
            self._log(state, before, detail, fix)
        self._state, self._detail, self._fix = state, detail, fix
        if state != "waiting":
            self._retry_at = 0

    def _log(self, state: SourceState, before: SourceState, detail: str, fix: str) -> None:
        """Log a new state, but not each time that the same trouble comes back."""
        if state == "starting" and before in _TROUBLES:
            return
        if state in _TROUBLES and (state, detail) == self._logged:
            return
        if state in _TROUBLES or state == "running":
            self._logged = (state, detail)
        say = {"warning": log.warning, "error": log.error}.get(_TROUBLES.get(state, ""), log.info)
        say("source", source=self.name, state=state, before=before, detail=detail, fix=fix)

    def _note_error(self, text: str) -> None:
        self._last_error, self._last_error_at = without_passwords(text), wall_ms()

    def _told(self, count: int, accepted: Accepted) -> None:
        counts = self._counts
        counts["batches"] += 1
        counts["new"] += accepted.new
        counts["known"] += accepted.known
        counts["rejected"] += accepted.rejected
        if accepted.new or accepted.rejected:
            self.standing.activity += 1
        if count:
            self._last_message_at = wall_ms()
            if self._state == "starting":
                self.connected("")

    # -- its life

    async def _live(self) -> None:
        await self.settled()
        await self._around.gone(self.name)
        failures = 0
        while True:
            self._become("starting")
            began = time.monotonic()
            error = await self._run_once()
            if asyncio.current_task() is not self._task:
                return  # it was told to end and swallowed the cancellation
            if time.monotonic() - began >= PROVEN:
                failures, self._proven_at = 0, wall_ms()
            failures += 1
            self.restarts += 1
            self.clear(NOT_CONNECTED)
            await self._rest(error, failures)

    async def _run_once(self) -> Exception:
        """Make, open and run the source; return why it ended."""
        error: Exception = SourceUnavailable("the source ended by itself")
        source = self._around.make(self.name, self.config)
        emitting = self._emitting = self._around.emitting(source, self._told)
        self._unsettled.add(emitting)
        self.source = source
        try:
            await source.open(self._around.context(self.name, _Reports(self, emitting)))
            if emitting.open:  # else it was told to end and swallowed the cancellation
                await source.run(emitting)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            error = SourceUnavailable("a library gave up the connection")  # fault F20: not our cancellation
        except Exception as raised:  # noqa: BLE001 - one source's fault must not end the others: it is shown
            error = raised
        finally:
            emitting.shut()
            if self.source is source:
                self.source = None
            await to_the_end(self._let_go(source))
        await emitting.settled()
        self._unsettled.discard(emitting)
        self.standing.begin()
        return error

    async def _let_go(self, source: Source[Any]) -> None:
        await self._around.unwatched(source)
        await end(source, self._around.grace)

    async def _rest(self, error: Exception, failures: int) -> None:
        """Say why the source ended, and wait until it is to be started again."""
        self._note_error(str(error) or repr(error))
        text, new = self._last_error, False
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        if isinstance(error, SourceGap):
            self._become("gap", text, error.fix)
            self._tell("gap", {"message": text, "fix": error.fix, **error.facts})
            await asyncio.Event().wait()  # until a person decides: restart, rewind, another configuration
        if isinstance(error, SourceRejected):
            delay = REFUSED_DELAY
            self._become("refused", text, f"pointsman sources check {self.name}")
            self._tell("refused", {"message": text})
        else:
            new = self._logged != ("waiting", text)
            self._become("waiting", text)
        if new and not isinstance(error, SourceUnavailable | NotStored):
            log.error("source failed in an unforeseen way", source=self.name, exc_info=error)
        self._retry_at = wall_ms() + int(delay * 1000)
        await asyncio.sleep(delay)

    def _tell(self, kind: str, data: Mapping[str, object]) -> None:
        """Make a message of a trouble: once, until a run has lasted or the words are others."""
        told_as = f"{self.name}/{kind}/{self._proven_at or ''}/{self._last_error}"
        self._around.tell(kind, self.name, data, told_as=told_as)


class _Reports:
    """What one run reports; nothing once the run was told to end (`triggers.base.Reporter`)."""

    __slots__ = ("_emitting", "_supervised")

    def __init__(self, supervised: Supervised, emitting: Emitting) -> None:
        self._supervised = supervised
        self._emitting = emitting

    def running(self, detail: str = "") -> None:
        if self._emitting.open:
            self._supervised.connected(detail)

    def busy(self, detail: str) -> None:
        if self._emitting.open:
            self._supervised.working(detail)

    def warn(self, code: str, message: str, fix: str = "") -> None:
        if self._emitting.open:
            self._supervised.warn(code, message, fix)

    def clear(self, code: str) -> None:
        if self._emitting.open:
            self._supervised.clear(code)
