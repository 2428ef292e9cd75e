"""Whether a source gets on: what waits for it outside, and whether anything of it moves. Asks nobody."""

import time
from typing import Final

import msgspec

from triggers.base import Progress

_LONGEST: Final = 32
"""How many stalls pass at most between two new beginnings that changed nothing."""


class Standing:
    """How far a source is, as seen from the outside, and since when it stands still."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.moved_at = wall_ms()
        self.stuck = False
        self.stuck_since = 0
        self.unknown_since: float | None = None  # monotonic: nobody could say since then
        self.activity = 0  # counts what shows that a source works, although its position may stand
        self._seen_activity = 0
        self._since: float | None = None  # monotonic; None before the first look of a run
        self._patience = 1

    def begin(self) -> None:
        """Forget what waits: another run begins, or none. What was stuck stays so until something moves."""
        self.progress = msgspec.structs.replace(self.progress, pending=None)
        self._since = self.unknown_since = None

    def rest(self) -> None:
        """Be not stuck: somebody wants the source to stand still."""
        self.begin()
        self.stuck = False
        self._patience = 1

    def unknown(self, now: float, stall: float) -> bool:
        """Note that nobody can say how far it is; return whether that has lasted too long."""
        self.progress = msgspec.structs.replace(self.progress, pending=None)
        if self.unknown_since is None:
            self.unknown_since = now
        return now - self.unknown_since >= stall

    def seen(self, progress: Progress, now: float, stall: float) -> bool:
        """Note how far it is; return whether it has stood still for too long (again)."""
        before, self.progress = self.progress, progress
        self.unknown_since = None
        works, self._seen_activity = self.activity != self._seen_activity, self.activity
        if not progress.pending or works or progress.position != before.position:
            self._since, self.moved_at, self._patience = now, wall_ms(), 1
            self.stuck = False
            return False
        if self._since is None:
            self._since = now
        if now - self._since < stall * self._patience:
            return False
        self._since = now
        if not self.stuck:
            self.stuck, self.stuck_since = True, wall_ms()
        return True

    def tried(self) -> None:
        """Wait longer before the next new beginning: a source may only be slow."""
        self._patience = min(2 * self._patience, _LONGEST)


def wall_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)
