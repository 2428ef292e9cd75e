"""The life of one source: start it, restart it after a failure, for ever; stop it when it is told to.

A source that does not end when it is told to is left alone: nothing of it is stored any more, and its
successor starts. Nothing here waits for a source longer than a bound.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

import structlog

from service.supervisor.emitting import Emitting
from service.supervisor.status import SourceState, SourceStatus, Warned
from triggers.base import Accepted, HttpSource, Progress, Reporter, Source, SourceConfig, SourceContext
from triggers.errors import NotStored, SourceGap, SourceRejected, SourceUnavailable

T = TypeVar("T")

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
        self._since = _now()
        self._detail = self._fix = ""
        self._last_message_at = self._last_error_at = self._retry_at = 0
        self._last_error = ""
        self._warnings: dict[str, Warned] = {}
        self._counts = {"new": 0, "known": 0, "rejected": 0, "batches": 0}
        self._task: asyncio.Task[None] | None = None
        self._leaving: dict[asyncio.Task[None], Emitting | None] = {}  # runs that were told to end
        self._emitting: Emitting | None = None
        self._closing = False
        self.progress = Progress()
        self.moved_at = _now()
        self.stood_since = 0.0  # monotonic; 0.0 before the first look of a run
        self.stuck = False

    # -- orders

    def start(self) -> None:
        """Run from now on, unless paused."""
        if self.paused_by or self._closing:
            self._become("paused" if self.paused_by else "stopped")
        elif not self._runs:
            self._become("running")
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._live(), name=f"source-{self.name}")

    def stop(self) -> None:
        """Tell the run to end, and store nothing more of it."""
        task, self._task = self._task, None
        emitting, self._emitting = self._emitting, None
        if emitting is not None:
            emitting.shut()
        if task is not None:
            self._leaving[task] = emitting
            task.add_done_callback(self._left)
            task.cancel()
        self.source = None
        self.stood_since = 0.0

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("a source ended badly", source=self.name, exc_info=task.exception())

    def restart(self) -> None:
        """End the run and start anew at once."""
        self.stop()
        self.restarts += 1
        self.start()

    def pause(self, by: str, *, drain: bool = False) -> None:
        """Take nothing more, until `resume`."""
        self.paused_by, self.draining = by, drain
        self.stop()
        self.stuck = False
        self._warnings.clear()
        self._become("draining" if drain else "paused", f"by {by}")

    def resume(self) -> None:
        """Take messages again."""
        self.paused_by, self.draining = "", False
        self._become("starting")
        self.start()

    def moved(self, now: float) -> None:
        """Note that the position moved, or that nothing waits; `now` is monotonic."""
        self.stood_since, self.moved_at = now, _now()
        if self.stuck:
            log.info("source moves again", source=self.name)
        self.stuck = False

    def unstick(self, reason: str) -> None:
        """Begin anew because nothing moves; it counts as stuck until something does."""
        self._last_error, self._last_error_at = f"stuck: {reason}", _now()
        self.restart()

    def clear_warnings(self) -> None:
        """Forget all troubles: they were those of another configuration."""
        self._warnings.clear()

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
            await asyncio.wait(tuple(self._leaving), timeout=self._around.grace)
        for task, emitting in tuple(self._leaving.items()):
            log.error("a source did not end; it is left alone", source=self.name, task=task.get_name())
            if emitting is not None:
                await emitting.settled()

    # -- what a source reports

    def connected(self, detail: str) -> None:
        """Note that the source is connected."""
        self._become("running", detail)

    def working(self, detail: str) -> None:
        """Note what long work is under way."""
        self._become("busy", detail)

    def warn(self, code: str, message: str, fix: str = "") -> None:
        """Note a trouble; a new one becomes a message."""
        known = self._warnings.get(code)
        now = _now()
        self._warnings[code] = Warned(
            code=code, message=message, fix=fix, since=known.since if known is not None else now
        )
        if known is None:
            log.warning("source warning", source=self.name, code=code, message=message)
            self._around.tell(
                "warning",
                self.name,
                {"code": code, "message": message, "fix": fix},
                told_as=f"{self.name}/warning/{code}/{now}",
            )

    def clear(self, code: str) -> None:
        """Forget a trouble."""
        if self._warnings.pop(code, None) is not None:
            log.info("source warning is over", source=self.name, code=code)

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
            pending=self.progress.pending,
            unit=self.progress.unit,
            position=self.progress.position,
            moved_at=self.moved_at,
            stuck=self.stuck,
            warnings=tuple(self._warnings.values()),
            restarts=self.restarts,
            paused_by=self.paused_by,
            **self._counts,
        )

    def _become(self, state: SourceState, detail: str = "", fix: str = "") -> None:
        if state != self._state:
            self._since = _now()
            log.info("source", source=self.name, state=state, before=self._state, detail=detail)
        self._state, self._detail, self._fix = state, detail, fix
        if state != "waiting":
            self._retry_at = 0

    def _told(self, count: int, accepted: Accepted) -> None:
        counts = self._counts
        counts["batches"] += 1
        counts["new"] += accepted.new
        counts["known"] += accepted.known
        counts["rejected"] += accepted.rejected
        if count:
            self._last_message_at = _now()

    # -- its life

    async def _live(self) -> None:
        await self.settled()
        failures = 0
        while True:
            self._become("starting")
            began = time.monotonic()
            error = await self._run_once()
            if asyncio.current_task() is not self._task:
                return  # it was told to end and swallowed the cancellation
            if time.monotonic() - began >= PROVEN:
                failures = 0
            failures += 1
            self.restarts += 1
            await self._rest(error, failures)

    async def _run_once(self) -> Exception:
        """Make, open and run the source; return why it ended."""
        error: Exception = SourceUnavailable("the source ended by itself")
        source = self._around.make(self.name, self.config)
        emitting = self._emitting = self._around.emitting(source, self._told)
        self.source = source
        try:
            await source.open(self._around.context(self.name, _Reports(self, emitting)))
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
            await end(source, self._around.grace)
        await emitting.settled()
        return error

    async def _rest(self, error: Exception, failures: int) -> None:
        """Say why the source ended, and wait until it is to be started again."""
        self._last_error, self._last_error_at = str(error) or repr(error), _now()
        if isinstance(error, SourceGap):
            self._become("gap", str(error), error.fix)
            self._around.tell(
                "gap",
                self.name,
                {"message": str(error), "fix": error.fix, **error.facts},
                told_as=f"{self.name}/gap/{error}",
            )
            await asyncio.Event().wait()  # until a person decides: restart, rewind, another configuration
        if isinstance(error, SourceRejected):
            delay = REFUSED_DELAY
            self._become("refused", str(error))
            self._around.tell(
                "refused", self.name, {"message": str(error)}, told_as=f"{self.name}/refused/{error}"
            )
        else:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
            delay *= random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
            self._become("waiting", str(error))
        if not isinstance(error, SourceUnavailable | SourceRejected | NotStored):
            log.error("source failed in an unforeseen way", source=self.name, exc_info=error)
        self._retry_at = _now() + int(delay * 1000)
        await asyncio.sleep(delay)


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


async def end(source: Source[Any], grace: float) -> None:
    """Close a source, within bounds; one that does not close is left alone."""
    try:
        await bounded(source.close(), grace)
    except TimeoutError:
        log.warning("a source did not close; it is left alone", source=source.name)
    except Exception as error:  # noqa: BLE001 - it is given up in any case; what it left behind is shown
        log.warning("a source closed badly", source=source.name, error=repr(error))


async def bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Await something for so long, even when it lets no cancellation end it. Raise TimeoutError."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()


def _now() -> int:
    return int(time.time() * 1000)
