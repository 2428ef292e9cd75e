"""Raises an alarm when a source skips what it has stored for too long.

Transactions that are sent again are skipped up to the stored position and no further. That takes moments: a
server sends again what was not confirmed, and what is stored is confirmed at once. A source that skips for
minutes reads something it should not (another consumer skipped for 22 hours and nobody saw it).
"""

from typing import Final

from triggers.base import Reporter
from triggers.postgres.changes import Changes

PATIENCE: Final = 60.0
"""Seconds after which skipping is alarming."""

CODE: Final = "skipping"


class SkippingAlarm:
    """Looks at the count of skipped transactions from time to time."""

    def __init__(self, changes: Changes, report: Reporter) -> None:
        self._changes = changes
        self._report = report
        self._seen = 0
        self._since: float | None = None

    def look(self, now: float) -> None:
        """Compare with the last look; `now` in seconds of a clock that only goes forward."""
        skipped = self._changes.skipped
        if skipped == self._seen:
            if self._since is not None:
                self._since = None
                self._report.clear(CODE)
            return
        self._seen = skipped
        if self._since is None:
            self._since = now
        elif now - self._since > PATIENCE:
            self._report.warn(
                CODE,
                f"for {now - self._since:.0f} s only transactions came that are stored already ({skipped})",
                "see whether the slot is ours alone, and how far it is behind: pointsman doctor",
            )
