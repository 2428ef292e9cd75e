"""Conversions between kinds, `size`, `type` and `dyn`."""

import re
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.functions import DYN, Function, Overload, Run
from service.rules.cel.moments import (
    SECOND,
    read_duration,
    read_timestamp,
    show_duration,
    show_timestamp,
    timestamp,
)
from service.rules.cel.operators import integer, unsigned
from service.rules.cel.show import show_double
from service.rules.cel.values import Duration, Timestamp, TypeValue, Uint, type_of

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,6})?|[+-]?inf(?:inity)?|nan",
    re.IGNORECASE,
)
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def shorten(text: str) -> str:
    """Return a text in quotes, cut for an error message."""
    return f'"{text}"' if len(text) <= 40 else f'"{text[:39]}…"'


def _same(_budget: Budget, value: Any) -> Any:
    return value


def _size(_budget: Budget, value: Any) -> int:
    return len(value)


def _type(_budget: Budget, value: Any) -> TypeValue:
    return type_of(value)


def _int_of_double(_budget: Budget, value: float) -> int:
    # The ends are left out: whether they survive the way to a double and back is up to the machine.
    if not -(2.0**63) < value < 2.0**63:
        raise Fault("the double is outside the range of int")
    return int(value)


def _int_of_string(_budget: Budget, value: str) -> int:
    if _WHOLE.fullmatch(value) is None:
        raise Fault(f"{shorten(value)} is no whole number")
    return integer(int(value))


def _uint_of_double(_budget: Budget, value: float) -> Uint:
    if not 0.0 <= value < 2.0**64:
        raise Fault("the double is outside the range of uint")
    return Uint(int(value))


def _uint_of_string(_budget: Budget, value: str) -> Uint:
    if _WHOLE.fullmatch(value) is None or value[0] in "+-":
        raise Fault(f"{shorten(value)} is no whole number without a sign")
    return unsigned(int(value))


def _double_of_int(_budget: Budget, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Fault("the number is too large for a double") from None


def _double_of_string(budget: Budget, value: str) -> float:
    budget.spend(len(value) >> 4)
    if _DECIMAL.fullmatch(value) is None:
        raise Fault(f"{shorten(value)} is no number")
    return float(value)


def _bool_of_string(_budget: Budget, value: str) -> bool:
    found = _BOOLS.get(value)
    if found is None:
        raise Fault(f'{shorten(value)} is neither "true" nor "false"')
    return found


def _string_of_bytes(budget: Budget, value: bytes) -> str:
    budget.spend(len(value) >> 6)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Fault("the bytes are not UTF-8") from None


def encode(budget: Budget, value: str) -> bytes:
    """Return the UTF-8 bytes of a string; half of a surrogate pair has none."""
    budget.spend(len(value) >> 6)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Fault("the string holds half of a surrogate pair") from None


def _string_of_int(_budget: Budget, value: int) -> str:
    # A body may hold a number of thousands of digits; Python refuses to write one.
    if value.bit_length() > 4096:
        raise Fault("the number has too many digits")
    return str(int(value))


def _overload(parameter: type, result: type, run: Run) -> Overload:
    return Overload((parameter,), result, run)


_SIZES: Final = tuple(_overload(kind, int, _size) for kind in (str, bytes, list, dict))

FUNCTIONS: Final = (
    Function("size", _SIZES),
    Function("size", _SIZES, method=True),
    Function("type", (_overload(DYN, TypeValue, _type),)),
    Function("dyn", (_overload(DYN, DYN, _same),)),
    Function(
        "int",
        (
            _overload(int, int, lambda _budget, value: integer(value)),
            _overload(Uint, int, lambda _budget, value: integer(int(value))),
            _overload(float, int, _int_of_double),
            _overload(str, int, _int_of_string),
            _overload(Timestamp, int, lambda _budget, value: value.nanos // SECOND),
        ),
    ),
    Function(
        "uint",
        (
            _overload(Uint, Uint, _same),
            _overload(int, Uint, lambda _budget, value: unsigned(value)),
            _overload(float, Uint, _uint_of_double),
            _overload(str, Uint, _uint_of_string),
        ),
    ),
    Function(
        "double",
        (
            _overload(float, float, _same),
            _overload(int, float, _double_of_int),
            _overload(Uint, float, _double_of_int),
            _overload(str, float, _double_of_string),
        ),
    ),
    Function(
        "bool",
        (_overload(bool, bool, _same), _overload(str, bool, _bool_of_string)),
    ),
    Function(
        "string",
        (
            _overload(str, str, _same),
            _overload(bool, str, lambda _budget, value: "true" if value else "false"),
            _overload(int, str, _string_of_int),
            _overload(Uint, str, _string_of_int),
            _overload(float, str, lambda _budget, value: show_double(value)),
            _overload(bytes, str, _string_of_bytes),
            _overload(Timestamp, str, lambda _budget, value: show_timestamp(value)),
            _overload(Duration, str, lambda _budget, value: show_duration(value)),
        ),
    ),
    Function("bytes", (_overload(bytes, bytes, _same), _overload(str, bytes, encode))),
    Function(
        "timestamp",
        (
            _overload(Timestamp, Timestamp, _same),
            _overload(str, Timestamp, lambda _budget, value: read_timestamp(value)),
            _overload(int, Timestamp, lambda _budget, value: timestamp(value * SECOND)),
        ),
    ),
    Function(
        "duration",
        (
            _overload(Duration, Duration, _same),
            _overload(str, Duration, lambda _budget, value: read_duration(value)),
        ),
    ),
)
