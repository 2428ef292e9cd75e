"""What becomes of times that passed while nobody fired them. Pure."""

from itertools import islice, takewhile
from typing import Final, Literal

import msgspec

from triggers.schedule.times import Times

PUNCTUAL: Final = 60
"""Seconds. A time that passed less than so long ago is not missed: a restart is no downtime."""

MOST: Final = 1_000
"""Times that are fired after the fact, the latest ones, and up to which those that are not are counted."""

Misfire = Literal["skip", "once", "all"]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Times that are due: those to fire, in order, and how many were passed over, up to `MOST`.

    `lost` is the first and the last of the times that should have been fired and are too many.
    """

    fire: tuple[int, ...] = ()
    passed: int = 0
    lost: tuple[int, int] | None = None


def due(times: Times, after: int, now: int, misfire: Misfire) -> Due:
    """Return what to do about the times after `after`, up to and with `now`."""
    if misfire == "all":
        latest, before = _latest_of_many(times, after, now)
        return Due(
            fire=tuple(latest), lost=(next(times.after(after)), before) if before is not None else None
        )
    late = max(after, now - PUNCTUAL)
    fire = tuple(_within(times, late, now))
    missed = count(times, after, late)
    if misfire == "once" and missed and not fire:
        return Due(fire=(_latest(times, after, late),), passed=missed - 1)
    return Due(fire=fire, passed=missed)


def count(times: Times, after: int, until: int) -> int:
    """Return how many times there are in (after, until], up to `MOST`."""
    return len(_within(times, after, until))


def _within(times: Times, after: int, until: int, most: int = MOST) -> list[int]:
    """Return the first times in (after, until], at most so many."""
    return list(takewhile(lambda one: one <= until, islice(times.after(after), most)))


def _latest(times: Times, after: int, until: int) -> int:
    """Return the last time in (after, until], in which there is one."""
    low, high = after, until
    while high - low > 1:
        middle = (low + high) // 2
        if next(times.after(middle), until + 1) <= until:
            low = middle
        else:
            high = middle
    return high


def _latest_of_many(times: Times, after: int, now: int) -> tuple[list[int], int | None]:
    """Return the latest times in (after, now], at most `MOST`, and the one before when there are more."""
    found = _within(times, after, now, MOST + 1)
    if len(found) <= MOST:
        return found, None
    low, high, stride = after, now, MOST
    while True:
        # Back from now in strides that double, then by halves: nobody knows where most of them lie.
        start = max((low + high) // 2, now - stride)
        stride *= 2
        found = _within(times, start, now, 2 * MOST + 1)
        if len(found) > 2 * MOST:
            low = start
        elif len(found) > MOST:
            return found[-MOST:], found[-MOST - 1]
        else:
            high = start
