"""What becomes of times that passed while nobody fired them. Pure."""

from itertools import islice
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
        start = _start_of_latest(times, after, now)
        fire = tuple(_within(times, start, now))
        lost = None if start == after else (next(times.after(after)), start)
        return Due(fire=fire, lost=lost)
    late = max(after, now - PUNCTUAL)
    fire = tuple(_within(times, late, now))
    missed = count(times, after, late)
    if misfire == "once" and missed and not fire:
        return Due(fire=(_latest(times, after, late),), passed=missed - 1)
    return Due(fire=fire, passed=missed)


def count(times: Times, after: int, until: int) -> int:
    """Return how many times there are in (after, until], up to `MOST`."""
    return len(_within(times, after, until))


def _within(times: Times, after: int, until: int) -> list[int]:
    """Return the first times in (after, until], at most `MOST` of them."""
    found = []
    for one in islice(times.after(after), MOST):
        if one > until:
            break
        found.append(one)
    return found


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


def _start_of_latest(times: Times, after: int, now: int) -> int:
    """Return from where on there are at most `MOST` times until now: `after`, or the last one before."""

    def too_many(start: int) -> bool:
        return next(islice(times.after(start), MOST, None), now + 1) <= now

    if not too_many(after):
        return after
    span = 1
    while now - span > after and not too_many(now - span):
        span *= 2
    low, high = max(after, now - span), now - span // 2
    while high - low > 1:
        middle = (low + high) // 2
        if too_many(middle):
            low = middle
        else:
            high = middle
    return high
