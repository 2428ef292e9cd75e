"""Small values that people write as text: durations, sizes, rates, names; and their JSON Schema.

Pure. A refused value says what is wrong and what would be right; nothing is guessed (`10` is no duration).
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)", re.ASCII)
LONGEST: Final = timedelta(days=3650)

_SIZES: Final = {
    "B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(B|kB|MB|GB|KiB|MiB|GiB)", re.ASCII)

_RATE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?/ ?(s|m|h)", re.ASCII)

NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}$"
"""Resource names: they stand in URLs, file names, metrics and `connection.operation`."""
STEP_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$"
CALL_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}\.\S(.{0,198}\S)?$"
SHA256_PATTERN: Final = r"^[0-9a-f]{64}$"
STATUS_PATTERN: Final = r"^[1-5]([0-9][0-9]|xx)$"

PATTERN_WORDS: Final = {
    NAME_PATTERN: (
        "not a name",
        "write a lower-case letter, then lower-case letters, digits, - and _, up to 63 in all",
    ),
    STEP_PATTERN: (
        "not a step's name",
        "write a letter or _, then letters, digits, - and _, up to 63 in all",
    ),
    CALL_PATTERN: ("not a call", "write connection.operation, for example shop.reserveStock"),
    SHA256_PATTERN: ("not a SHA-256", "write its 64 hexadecimal digits in lower case"),
    STATUS_PATTERN: ("not a status", "write a status (409) or a class (4xx)"),
}
"""What is wrong with a text that does not match one of these patterns, and what would be right."""


class Refused(ValueError):
    """A value that is not taken. `fix` says what to write; neither text repeats the value.

    `masked`: the value may hold a secret and must not be shown.
    """

    def __init__(self, message: str, fix: str = "", *, masked: bool = False) -> None:
        super().__init__(message)
        self.fix = fix
        self.masked = masked


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per so long."""

    count: float
    period: timedelta

    @property
    def per_second(self) -> float:
        """The same rate as a number per second."""
        return self.count / self.period.total_seconds()


def is_name(text: str) -> bool:
    """Say whether a text may name a resource."""
    return re.fullmatch(NAME_PATTERN[1:-1], text) is not None


def parse_duration(value: Any) -> timedelta:
    """Return what "500ms", "10s", "5m", "24h" or "3d" mean."""
    if isinstance(value, timedelta):
        return value
    fix = "write a number and a unit (ms, s, m, h, d): 500ms, 10s, 5m, 24h, 3d"
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        unitless = isinstance(value, (int, float)) and not isinstance(value, bool)
        raise Refused("a duration needs a unit" if unitless else "not a duration", fix)
    number = float(match.group(1))
    if number * _UNITS[match.group(2)].total_seconds() > LONGEST.total_seconds():
        raise Refused("the duration is longer than ten years", fix)
    duration = number * _UNITS[match.group(2)]
    if duration <= timedelta(0):
        raise Refused("a duration must be longer than nothing", fix)
    return duration


def parse_size(value: Any) -> int:
    """Return the bytes that "64KiB", "1MiB" or "10MB" mean; a plain number is bytes."""
    fix = "write a number and a unit (B, kB, MB, KiB, MiB): 512KiB, 1MiB"
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Refused("not a size", fix)
        size = int(match.group(1)) * _SIZES[match.group(2)]
    if size <= 0:
        raise Refused("a size must be more than nothing", fix)
    return size


def parse_rate(value: Any) -> Rate:
    """Return what "50/s", "100/m" or "1000/h" mean."""
    if isinstance(value, Rate):
        return value
    fix = "write a number per s, m or h: 50/s, 100/m, 1000/h"
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refused("not a rate", fix)
    count = float(match.group(1))
    if count <= 0:
        raise Refused("a rate must be more than nothing", fix)
    return Rate(count, _UNITS[match.group(2)])


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,6})? ?(ms|s|m|h|d)$",
            "examples": ["10s", "24h"],
        }
    ),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^(?=.*[1-9])[0-9]{1,12} ?(B|kB|MB|GB|KiB|MiB|GiB)$"},
                {"type": "integer", "minimum": 1},
            ],
            "examples": ["1MiB"],
        }
    ),
]
RateText = Annotated[
    Rate,
    PlainValidator(parse_rate),
    PlainSerializer(lambda rate: f"{rate.count:g}/{rate.period.total_seconds():g}s"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,6})? ?/ ?(s|m|h)$",
            "examples": ["50/s"],
        }
    ),
]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
PathText = Annotated[
    str,
    Field(min_length=1),
    WithJsonSchema({"type": "string", "minLength": 1, "description": "Relative to the file that says it."}),
]
