"""Durations and sizes as people write them in a source's configuration: `5m`, `1MiB`. Pure."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,9}) ?(ms|s|m|h|d)", re.ASCII)
_SIZES: Final = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(B|kB|MB|GB|KiB|MiB|GiB)", re.ASCII)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a duration: write a number and a unit (ms, s, m, h, d), for example 5m")
    return timedelta(milliseconds=int(match[1]) * _UNITS[match[2]])


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "not a size: write bytes, or a number and a unit (kB, MB, KiB, MiB), for example 1MiB"
        )
    return int(match[1]) * _SIZES[match[2]]


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9} ?(ms|s|m|h|d)$", "examples": ["5m"]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{1,12} ?(B|kB|MB|GB|KiB|MiB|GiB)$"},
                {"type": "integer", "minimum": 1},
            ],
            "examples": ["1MiB"],
        }
    ),
]
