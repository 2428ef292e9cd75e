"""Looks how far sources are, by a way of its own for each, and says what stands still or cannot be seen.

Work that is pending while nothing moves is a stuck source, whatever its library says (`FEATURES.md` U11). A
source that does not get connected, or of which nobody can say how far it is, is no healthy one either.
"""

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from service.supervisor.status import NOT_CONNECTED
from service.supervisor.supervised import Supervised
from service.supervisor.warnings import Tell
from triggers.base import Progress, Source
from triggers.errors import SourceUnavailable, TriggerError

log = structlog.get_logger(__name__)

LOOK: Final = 5.0
"""Seconds one look may take."""

UNKNOWN: Final = "progress-unknown"
"""Code of the warning that nobody can say how far a source is."""


class _Look:
    """A question that is under way."""

    __slots__ = ("began", "source", "task")

    def __init__(self, source: Source[Any], task: asyncio.Task[Progress]) -> None:
        self.source = source
        self.task = task
        self.began = time.monotonic()


class Watching:
    """Asks sources; a source that does not answer is not asked a second time."""

    def __init__(self, *, stall: float, refusing: Callable[[], str], tell: Tell) -> None:
        self._stall = stall
        self._refusing = refusing
        self._tell = tell
        self._looks: dict[str, _Look] = {}
        self._said: dict[str, str] = {}  # the last unforeseen error of each source: it is logged once

    def look(self, supervised: Supervised) -> None:
        """Begin to ask a source how far it is, unless it still owes the last answer."""
        source, now = supervised.source, time.monotonic()
        if source is None:
            return
        if supervised.connecting_for(now) >= self._stall:
            supervised.warn(
                NOT_CONNECTED,
                f"it has not been connected for {self._stall:.0f} s and more",
                f"pointsman sources check {supervised.name} says what it cannot reach",
            )
        look = self._looks.get(supervised.name)
        if look is None or look.source is not source:
            task = asyncio.get_running_loop().create_task(_ask(source))
            look = self._looks[supervised.name] = _Look(source, task)
            task.add_done_callback(functools.partial(self._looked, supervised, look))
        elif now - look.began >= LOOK:
            look.task.cancel()
            self._unknown(supervised, SourceUnavailable(f"no answer within {LOOK:g} s"))

    async def leave(self, source: Source[Any]) -> None:
        """Ask a source no more: what it opens for an answer while it is being closed, nobody would close."""
        await self._end([look for look in self._looks.values() if look.source is source])

    async def close(self) -> None:
        """End all looks."""
        looks, self._looks = self._looks, {}
        await self._end(list(looks.values()))

    async def _end(self, looks: list[_Look]) -> None:
        """End looks; one that does not end is left alone."""
        for look in looks:
            look.task.cancel()
        if looks:
            await asyncio.wait([look.task for look in looks], timeout=1.0)

    def _looked(self, supervised: Supervised, look: _Look, task: asyncio.Task[Progress]) -> None:
        error = SourceUnavailable("it was given up") if task.cancelled() else task.exception()
        if self._looks.get(supervised.name) is not look:
            return
        del self._looks[supervised.name]
        if supervised.source is not look.source:
            return
        if error is None:
            self._judge(supervised, task.result())
        else:
            self._unknown(supervised, error)

    def _unknown(self, supervised: Supervised, error: BaseException) -> None:
        """Say that nobody can say how far a source is, once that has lasted."""
        text = repr(error)
        if not isinstance(error, TriggerError) and self._said.get(supervised.name) != text:
            self._said[supervised.name] = text
            log.error("progress cannot be asked", source=supervised.name, exc_info=error)
        if supervised.standing.unknown(time.monotonic(), self._stall):
            supervised.warn(
                UNKNOWN,
                f"nobody can say how far it is: {error or type(error).__name__}",
                f"pointsman sources check {supervised.name} says what it cannot reach",
            )

    def _judge(self, supervised: Supervised, seen: Progress) -> None:
        """Say whether a source is stuck, and begin it anew when it is."""
        standing = supervised.standing
        was_stuck = standing.stuck
        supervised.clear(UNKNOWN)
        if not standing.seen(seen, time.monotonic(), self._stall):
            if was_stuck and not standing.stuck:
                log.info("source moves again", source=supervised.name)
            return
        reason = self._refusing()
        if not was_stuck:
            log.error("source stuck", source=supervised.name, pending=seen.pending, position=seen.position)
            self._tell(
                "stuck",
                supervised.name,
                {"pending": seen.pending, "unit": seen.unit, "position": seen.position, "store": reason},
                told_as=f"{supervised.name}/stuck/{standing.stuck_since}",
            )
        if not reason:
            standing.tried()
            supervised.unstick(f"{seen.pending} {seen.unit} pending and the position stood still")


async def _ask(source: Source[Any]) -> Progress:
    return await source.progress()
