"""The service's steady clock: wall time that never goes back and never jumps while the process lives.

Due times are kept on disk, so they need a clock that means the same after a restart; wall clocks jump. The
steady clock starts at the wall clock (or at the last beat found in the store, when the wall clock was set
back meanwhile) and goes on with the monotonic clock. Signatures and dates for people use the wall clock.
"""

import time
from collections.abc import Callable


class SteadyClock:
    """Milliseconds since the epoch that only grow."""

    __slots__ = ("_base", "_monotonic")

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._base = wall() - monotonic()

    def __call__(self) -> int:
        """Return the present instant."""
        return int((self._base + self._monotonic()) * 1000)

    def not_before(self, instant_ms: int) -> None:
        """Go on from this instant when it is later than now: the last beat of the process before."""
        behind = instant_ms - self()
        if behind > 0:
            self._base += (behind + 1) / 1000
