"""CEL values as short text for people: bounded, whatever the value is."""

import json
import math
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final

from service.rules.cel.moments import show_duration, show_timestamp
from service.rules.cel.values import (
    ABSENT,
    BoolKey,
    Duration,
    OptionalValue,
    Timestamp,
    TypeValue,
    Uint,
    word,
)

_MEMBERS: Final = 10  # of a list or map
_DEPTH: Final = 3
_MAX_BITS: Final = 4096  # Python refuses to write longer numbers


def show(value: object, limit: int = 80) -> str:
    """Return a value as a person would write it, cut to about `limit` characters."""
    text = _shown(value, limit, 0)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def show_double(value: float) -> str:
    """Return the shortest text that reads back as the same double, without a useless `.0`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value).removesuffix(".0")


def _shown(value: Any, limit: int, depth: int) -> str:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value, limit)
    if type(value) is OptionalValue:
        inner = "" if value.value is ABSENT else _shown(value.value, limit, depth + 1)
        return f"optional.of({inner})" if inner else "optional.none()"
    if type(value) is list:
        return _list(value, limit, depth) if depth < _DEPTH else "[…]"
    if type(value) is dict:
        return _map(value, limit, depth) if depth < _DEPTH else "{…}"
    return "absent" if value is ABSENT else word(value)


def _list(value: list[Any], limit: int, depth: int) -> str:
    parts = [_shown(one, limit, depth + 1) for one in value[:_MEMBERS]]
    return f"[{', '.join(parts)}{', …' if len(value) > _MEMBERS else ''}]"


def _map(value: dict[Any, Any], limit: int, depth: int) -> str:
    parts = [
        f"{_shown(key, limit, depth + 1)}: {_shown(one, limit, depth + 1)}"
        for (key, one), _ in zip(value.items(), range(_MEMBERS), strict=False)
    ]
    return f"{{{', '.join(parts)}{', …' if len(value) > _MEMBERS else ''}}}"


def _string(value: str, limit: int) -> str:
    return json.dumps(value if len(value) <= limit else value[:limit] + "…", ensure_ascii=False)


def _int(value: int, _limit: int) -> str:
    if value.bit_length() > _MAX_BITS:
        return "a very large number"
    return f"{int(value)}u" if type(value) is Uint else str(value)


def _double(value: float, _limit: int) -> str:
    text = show_double(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def _bytes(value: bytes, limit: int) -> str:
    octets = "".join(f"\\x{octet:02x}" for octet in value[: limit // 4])
    return f'b"{octets}"' + ("…" if len(value) > limit // 4 else "")


_SCALARS: Final[Mapping[type, Callable[[Any, int], str]]] = {
    str: _string,
    bool: lambda value, _limit: "true" if value else "false",
    NoneType: lambda _value, _limit: "null",
    int: _int,
    Uint: _int,
    float: _double,
    bytes: _bytes,
    Timestamp: lambda value, _limit: f'timestamp("{show_timestamp(value)}")',
    Duration: lambda value, _limit: f'duration("{show_duration(value)}")',
    TypeValue: lambda value, _limit: value.name,
    BoolKey: lambda value, _limit: repr(value),
}
