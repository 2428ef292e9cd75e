"""Cron expressions: what they mean on the wall clock, and what is wrong with them. Pure.

Five fields (minute, hour, day of the month, month, day of the week) or six with the second first, names of
months and days, or an alias like `@daily`. The wall clock here knows no time zone: see `times`.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from croniter import CroniterBadDateError, CroniterError, croniter

ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class _Field(NamedTuple):
    """One field: its name, its bounds, the words it takes beside numbers, and how these are told."""

    name: str
    least: int
    most: int
    words: frozenset[str] = frozenset()
    names: str = ""


_MONTHS: Final = frozenset(
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
)
_DAYS: Final = frozenset(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
_FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31, frozenset({"l", "w"})),
    _Field("month", 1, 12, _MONTHS, " or jan to dec"),
    _Field("day of the week", 0, 7, _DAYS | {"l"}, " or sun to sat"),
)
_WORD: Final = re.compile(r"[A-Za-z]+")
_STEP: Final = re.compile(r"/([0-9]+)")
_ANY: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - the wall clock has no zone


class Cron:
    """A cron expression. Raise ValueError, in words for people, for one that cannot be read."""

    __slots__ = ("_fields", "every_hour", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields = _read(text)
        expanded = croniter.expand(self._fields, second_at_beginning=True)[0]
        hours = expanded[1]
        self.every_hour = hours == ["*"] or len(set(hours)) == 24
        """Whether it names all hours: then it goes by the clock that runs, not by certain times of day."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the moments of the wall clock after this one, in order, as long as there are any."""
        times = croniter(self._fields, moment, second_at_beginning=True)
        while True:
            try:
                yield times.get_next(datetime)
            except (CroniterBadDateError, OverflowError, ValueError):  # beyond the year 9999, too
                return


def _read(text: str) -> str:
    """Return an expression as six fields, the second first. Raise ValueError."""
    wanted = ALIASES.get(text.strip().lower(), text)
    if wanted.startswith("@"):
        raise ValueError(f"there is no {text.strip()[:40]}: there are {', '.join(ALIASES)}")
    parts = wanted.split()
    if len(parts) not in (5, 6):
        raise ValueError(
            f"a cron expression has 5 fields (minute, hour, day of the month, month, day of the week), or 6 "
            f"with the second first; this has {len(parts)}"
        )
    parts = parts if len(parts) == 6 else ["0", *parts]
    for place, (field, part) in enumerate(zip(_FIELDS, parts, strict=True)):
        _check(field, part, place)
    if ("#" in parts[5] or "l" in _WORD.findall(parts[5].lower())) and parts[3] not in ("*", "?"):
        raise ValueError("say a day of the month or which weekday of the month (#, L), not both")
    return " ".join(parts)


def _check(field: _Field, part: str, place: int) -> None:
    """Check one field by itself, so that it can be named. Raise ValueError."""
    wrong = (
        f"`{part[:40]}` is no {field.name}: write {field.least} to {field.most}{field.names}, *, "
        "ranges (a-b), steps (*/n) or lists (a,b)"
    )
    if not part.isascii() or set(_WORD.findall(part.lower())) - field.words:
        raise ValueError(wrong)
    if any(int(step) > field.most for step in _STEP.findall(part)):
        raise ValueError(f"`{part[:40]}`: the step is longer than all of the {field.name}s")
    alone = ["0", "*", "*", "*", "*", "*"]
    alone[place] = part
    try:
        croniter(" ".join(alone), _ANY, second_at_beginning=True)
    except (CroniterError, ValueError) as error:
        raise ValueError(wrong) from error
