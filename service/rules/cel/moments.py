"""Timestamps and durations: reading, writing, arithmetic, and the parts of a date in a time zone.

Everything is whole nanoseconds; no clock is read. Zone names come from the system's time zone database.
"""

import functools
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.values import INT_MAX, INT_MIN, Duration, Timestamp

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = -62_135_596_800 * SECOND
_LATEST: Final = 253_402_300_799 * SECOND + SECOND - 1

_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9})[0-9]{0,20})?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION: Final = re.compile(r"([0-9]{0,25})(?:\.([0-9]{0,25}))?(h|ms|m|s|us|µs|μs|ns)")
_UNITS: Final = {
    "h": 3600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
_OFFSET: Final = re.compile(r"([+-]?)([0-9]{2}):([0-9]{2})")
_UNKNOWN_ZONE: Final = 500  # steps; the system is asked for files
_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+\-]{1,40}(?:/[A-Za-z0-9_+\-]{1,40}){0,2}")


def timestamp(nanos: int) -> Timestamp:
    """Return the instant; raise Fault outside the years 1 to 9999."""
    if not _EARLIEST <= nanos <= _LATEST:
        raise Fault("a timestamp lies between the years 1 and 9999")
    return Timestamp(nanos)


def duration(nanos: int) -> Duration:
    """Return the span; raise Fault beyond 64 bits of nanoseconds (about 290 years)."""
    if not INT_MIN <= nanos <= INT_MAX:
        raise Fault("a duration is at most about 290 years")
    return Duration(nanos)


def read_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 date and time."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise Fault(f"{_cut(text)} is no RFC 3339 time, as 2026-01-31T09:30:00Z")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise Fault(f"{_cut(text)} is no time: {error}") from None
    nanos = _nanos(moment - _EPOCH) + int((fraction or "").ljust(9, "0"))
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise Fault(f"{_cut(text)} has an impossible offset")
        offset = (int(hours) * 3600 + int(minutes) * 60) * SECOND
        nanos += offset if sign == "-" else -offset
    return timestamp(nanos)


def read_duration(text: str) -> Duration:
    """Read a duration like `1h30m`, `-1.5s` or `0`."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    total = at = 0
    while at < len(rest):
        found = _DURATION.match(rest, at)
        if found is None or not (found[1] or found[2]):
            at = -1
            break
        unit = _UNITS[found[3]]
        digits = found[2] or ""
        total += int(found[1] or 0) * unit + int(digits or 0) * unit // 10 ** len(digits)
        at = found.end()
    if at <= 0:
        raise Fault(f"{_cut(text)} is no duration, as 90s, 1h30m or 250ms")
    return duration(-total if text.startswith("-") else total)


def show_timestamp(value: Timestamp) -> str:
    """Return RFC 3339 text in UTC, with as many digits of the second as there are."""
    seconds, nanos = divmod(value.nanos, SECOND)
    # isoformat pads the year to four digits, which strftime does not everywhere.
    moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{moment}{_fraction(nanos)}Z"


def show_duration(value: Duration) -> str:
    """Return the duration in seconds, as `3.5s`."""
    seconds, nanos = divmod(abs(value.nanos), SECOND)
    return f"{'-' if value.nanos < 0 else ''}{seconds}{_fraction(nanos)}s"


def truncated(value: int, unit: int) -> int:
    """Return how many whole units there are, towards zero."""
    return value // unit if value >= 0 else -(-value // unit)


def local(value: Timestamp, zone: str, budget: Budget) -> datetime:
    """Return the date and time of an instant in a zone: "UTC", "Europe/Paris" or "+02:00"."""
    budget.spend(10)
    seconds = value.nanos // SECOND
    try:
        return (_EPOCH + timedelta(seconds=seconds)).astimezone(_zone(zone, budget))
    except OverflowError:
        raise Fault("a timestamp lies between the years 1 and 9999") from None


def milliseconds(nanos: int) -> int:
    """Return the milliseconds within the second, with the sign of the whole."""
    part = abs(nanos) % SECOND // 1_000_000
    return -part if nanos < 0 else part


def _zone(name: str, budget: Budget) -> tzinfo:
    if name in ("UTC", "Z", ""):
        return UTC
    fixed = _OFFSET.fullmatch(name)
    if fixed is not None:
        hours, minutes = int(fixed[2]), int(fixed[3])
        if hours > 23 or minutes > 59:
            raise Fault(f"{_cut(name)} is no offset")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if fixed[1] == "-" else offset)
    if _ZONE_NAME.fullmatch(name) is None:
        raise Fault(f"{_cut(name)} is no time zone, as Europe/Paris or +02:00")
    try:
        return _named(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        budget.spend(_UNKNOWN_ZONE)
        raise Fault(f"the time zone {_cut(name)} is not known here") from None


# Holds every zone there is, so that each is read once.
@functools.lru_cache(maxsize=1024)
def _named(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _nanos(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * SECOND


def _fraction(nanos: int) -> str:
    return f".{nanos:09d}".rstrip("0") if nanos else ""


def _cut(text: str) -> str:
    return f'"{text}"' if len(text) <= 40 else f'"{text[:39]}…"'
