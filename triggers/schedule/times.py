"""The instants of a schedule, in seconds since the epoch. Pure.

Daylight saving: a cron expression that names certain hours fires each of its times once a day. A time that
the clocks skip is fired at the end of the gap, a time that they repeat is fired the first time. One that
names every hour goes with the clock that runs: what is skipped is not fired, what is repeated is fired again.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from triggers.schedule.cron import Cron

_LOOK_AHEAD: Final = 26 * 3600
"""Seconds: no zone has ever set its clocks by more than a day."""

_STRIDE: Final = 900
"""Seconds: no zone sets its clocks twice within a quarter of an hour."""


class Times(Protocol):
    """When a schedule is due."""

    def after(self, instant: int) -> Iterator[int]:
        """Yield the instants after this one, in order; a schedule may end."""


class EveryTimes:
    """Every so many seconds, counted from the epoch: all instances agree, and no restart shifts them."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def after(self, instant: int) -> Iterator[int]:
        """Yield the multiples."""
        due = instant - instant % self._seconds
        while True:
            due += self._seconds
            yield due


class CronTimes:
    """The times of a cron expression in a time zone."""

    __slots__ = ("_cron", "_zone")

    def __init__(self, cron: Cron, zone: ZoneInfo) -> None:
        self._cron = cron
        self._zone = zone

    def after(self, instant: int) -> Iterator[int]:
        """Yield the instants after this one."""
        return self._running(instant) if self._cron.every_hour else self._of_day(instant)

    def _of_day(self, instant: int) -> Iterator[int]:
        """Yield certain times of day: each once, whatever the clocks do."""
        last = instant
        for moment in self._cron.after(self._wall(instant)):
            due = self._at(moment, 0)
            if self._wall(due) != moment:
                due = self._change(self._at(moment, 1), due)  # skipped: the end of the gap
            if due > last:
                last = due
                yield due

    def _running(self, instant: int) -> Iterator[int]:
        """Yield times by the clock that runs."""
        last, moments = instant, self._cron.after(self._wall(instant))
        while True:
            due = self._later(moments, last)
            back = self._set_back(last, due)
            again = None if back is None else self._repeated(back, due)
            if again is not None:
                due, moments = again, self._cron.after(self._wall(again))
            if due is None:
                return
            yield due
            last = due

    def _later(self, moments: Iterator[datetime], last: int) -> int | None:
        """Return the first instant after `last` that the wall clock shows one of these moments."""
        for moment in moments:
            for fold in (0, 1):
                due = self._at(moment, fold)
                if due > last and self._wall(due) == moment:
                    return due
        return None

    def _set_back(self, last: int, due: int | None) -> int | None:
        """Return when the clocks are set back between two instants, None when they are not."""
        stop = last + _LOOK_AHEAD if due is None else min(due, last + _LOOK_AHEAD)
        here, offset = last, self._offset(last)
        while here < stop:
            there = min(here + _STRIDE, stop)
            next_offset = self._offset(there)
            if next_offset < offset:
                return self._change(here, there)
            here, offset = there, next_offset
        return None

    def _repeated(self, back: int, due: int | None) -> int | None:
        """Return the first instant before `due` in the time that is repeated from `back` on, if any."""
        first = self._wall(back)
        moment = next(self._cron.after(first - timedelta(seconds=1)), None)
        if moment is None:
            return None
        again = back + int((moment - first).total_seconds())
        return again if due is None or again < due else None

    def _change(self, before: int, until: int) -> int:
        """Return the instant in (before, until] from which the offset is another than at `before`."""
        offset = self._offset(before)
        while until - before > 1:
            middle = (before + until) // 2
            if self._offset(middle) == offset:
                before = middle
            else:
                until = middle
        return until

    def _wall(self, instant: int) -> datetime:
        return datetime.fromtimestamp(instant, self._zone).replace(tzinfo=None, fold=0)

    def _at(self, moment: datetime, fold: int) -> int:
        return int(moment.replace(tzinfo=self._zone, fold=fold).timestamp())

    def _offset(self, instant: int) -> timedelta:
        return datetime.fromtimestamp(instant, self._zone).utcoffset() or timedelta()
