"""`string.format(list)`: `%s %d %f %e %x %X %o %b`, and how any value is written as text."""

import math
import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.library.conversions import encode
from service.rules.cel.moments import show_duration, show_timestamp
from service.rules.cel.show import show_double
from service.rules.cel.values import (
    ABSENT,
    MAX_VALUE_DEPTH,
    BoolKey,
    Duration,
    OptionalValue,
    Timestamp,
    TypeValue,
    Uint,
    word,
)

_MAX_PRECISION: Final = 100
_TAKEN: Final[Mapping[str, tuple[type, ...]]] = {
    "d": (int, Uint, float),
    "f": (int, Uint, float),
    "e": (int, Uint, float),
    "x": (int, Uint, str, bytes),
    "X": (int, Uint, str, bytes),
    "o": (int, Uint),
    "b": (int, Uint, bool),
}
_BAD_BYTES: Final = re.compile("[\udc80-\udcff]+")


def format_string(budget: Budget, template: str, values: list[Any]) -> str:
    """Replace every clause of the template by the next value of the list."""
    pieces: list[str] = []
    used = at = 0
    while True:
        found = template.find("%", at)
        if found < 0:
            pieces.append(template[at:])
            break
        pieces.append(template[at:found])
        budget.spend(4)
        precision, clause, at = _clause(template, found + 1)
        if clause == "%":
            pieces.append("%")
            continue
        if used >= len(values):
            raise Fault(f"format() has more clauses than values: there is no value {used}")
        pieces.append(_formatted(budget, clause, precision, values[used]))
        used += 1
    size = sum(map(len, pieces))
    budget.spend(len(pieces) + (size >> 6))
    return "".join(pieces)


def _clause(template: str, at: int) -> tuple[int | None, str, int]:
    """Return the precision, the letter and where the text goes on."""
    precision = None
    if template[at : at + 1] == ".":
        start = at = at + 1
        while template[at : at + 1] in "0123456789" and at < len(template):
            at += 1
        digits = template[start:at]
        if not digits or len(digits) > 4 or int(digits) > _MAX_PRECISION:
            raise Fault(f"the precision of a clause is a number up to {_MAX_PRECISION}")
        precision = int(digits)
    clause = template[at : at + 1]
    if clause not in ("%", "s", *_TAKEN):
        raise Fault(f"unknown clause `%{clause}` in format(); there are %s %d %f %e %x %X %o %b")
    return precision, clause, at + 1


def _formatted(budget: Budget, clause: str, precision: int | None, value: Any) -> str:
    if clause == "s":
        return show_text(budget, value)
    kind = type(value)
    if kind not in _TAKEN[clause]:
        raise Fault(f"format() cannot write {word(value)} by `%{clause}`")
    if clause in "fe":
        budget.spend(200 if precision else 20)
        return _decimal(value, clause, 6 if precision is None else precision)
    if kind is float:
        return show_double(value)
    if kind is str or kind is bytes:
        octets = encode(budget, value) if kind is str else value
        budget.spend(len(octets) >> 5)
        return octets.hex() if clause == "x" else octets.hex().upper()
    return _digits(value, clause)


def _digits(value: int, base: str) -> str:
    if value.bit_length() > 4096:
        raise Fault("the number has too many digits")
    return format(int(value), base)


def _decimal(value: float, clause: str, precision: int) -> str:
    try:
        number = float(value)
    except OverflowError:
        raise Fault("the number is too large for a double") from None
    return f"{number:.{precision}{clause}}" if math.isfinite(number) else show_double(number)


def show_text(budget: Budget, value: Any, depth: int = 0) -> str:
    """Return any value as text, as `%s` writes it."""
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(budget, value)
    if depth > MAX_VALUE_DEPTH:
        raise Fault("values nested too deep to print")
    if type(value) is list:
        budget.spend(len(value))
        return f"[{', '.join([show_text(budget, one, depth + 1) for one in value])}]"
    if type(value) is dict:
        return _map(budget, value, depth + 1)
    if type(value) is OptionalValue and value.value is not ABSENT:
        return show_text(budget, value.value, depth + 1)
    raise Fault(f"format() cannot write {word(value)}")


def _map(budget: Budget, value: dict[Any, Any], depth: int) -> str:
    budget.spend(2 * len(value))
    entries = [(show_text(budget, key, depth), show_text(budget, one, depth)) for key, one in value.items()]
    return f"{{{', '.join([f'{key}: {one}' for key, one in sorted(entries)])}}}"


def _string(budget: Budget, value: str) -> str:
    budget.spend(1 + (len(value) >> 6))
    return value


def _bytes(budget: Budget, value: bytes) -> str:
    """Decode UTF-8; a run of bad bytes becomes one replacement character."""
    budget.spend(1 + (len(value) >> 6))
    return _BAD_BYTES.sub("\ufffd", value.decode("utf-8", "surrogateescape"))


_SCALARS: Final[Mapping[type, Callable[[Budget, Any], str]]] = {
    str: _string,
    bytes: _bytes,
    bool: lambda _budget, value: "true" if value else "false",
    NoneType: lambda _budget, _value: "null",
    int: lambda _budget, value: _digits(value, "d"),
    Uint: lambda _budget, value: _digits(value, "d"),
    float: lambda _budget, value: show_double(value),
    Timestamp: lambda _budget, value: show_timestamp(value),
    Duration: lambda _budget, value: show_duration(value),
    TypeValue: lambda _budget, value: value.name,
    BoolKey: lambda _budget, value: "true" if value.value else "false",
}
