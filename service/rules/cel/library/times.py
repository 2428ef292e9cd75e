"""The parts of timestamps and durations. A zone is given as text; without one it is UTC."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from service.rules.cel.budget import Budget
from service.rules.cel.functions import Function, Overload
from service.rules.cel.moments import SECOND, local, milliseconds, truncated
from service.rules.cel.values import Duration, Timestamp

Part = Callable[[datetime], int]


def _part(name: str, part: Part, whole: Callable[[int], int] | None = None) -> Function:
    """Return a method: `part` of a timestamp's date and time, `whole` of a duration's nanoseconds."""

    def in_zone(budget: Budget, value: Timestamp, zone: str) -> int:
        return part(local(value, zone, budget))

    overloads = [
        Overload((Timestamp,), int, lambda budget, value: in_zone(budget, value, "UTC")),
        Overload((Timestamp, str), int, in_zone),
    ]
    if whole is not None:
        overloads.append(Overload((Duration,), int, lambda _budget, value: whole(value.nanos)))
    return Function(name, tuple(overloads), method=True)


def _milliseconds() -> Function:
    """Return `getMilliseconds`; the zone changes nothing, but is checked."""

    def in_zone(budget: Budget, value: Timestamp, zone: str) -> int:
        local(value, zone, budget)
        return value.nanos % SECOND // 1_000_000

    return Function(
        "getMilliseconds",
        (
            Overload((Timestamp,), int, lambda budget, value: in_zone(budget, value, "UTC")),
            Overload((Timestamp, str), int, in_zone),
            Overload((Duration,), int, lambda _budget, value: milliseconds(value.nanos)),
        ),
        method=True,
    )


FUNCTIONS: Final = (
    _part("getFullYear", lambda moment: moment.year),
    _part("getMonth", lambda moment: moment.month - 1),
    _part("getDate", lambda moment: moment.day),
    _part("getDayOfMonth", lambda moment: moment.day - 1),
    _part("getDayOfWeek", lambda moment: moment.isoweekday() % 7),
    _part("getDayOfYear", lambda moment: moment.timetuple().tm_yday - 1),
    _part("getHours", lambda moment: moment.hour, lambda nanos: truncated(nanos, 3600 * SECOND)),
    _part("getMinutes", lambda moment: moment.minute, lambda nanos: truncated(nanos, 60 * SECOND)),
    _part("getSeconds", lambda moment: moment.second, lambda nanos: truncated(nanos, SECOND)),
    _milliseconds(),
)
