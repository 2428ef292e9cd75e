"""CEL values as Python values, and what the language says about all of them: kind, equality, order, map keys.

Values come straight from a JSON decoder and are never converted: null is None, string str, list list,
map dict, int int, double float, bool bool, bytes bytes. Only what Python lacks has a class here. Python
calls `True` and `1` equal; CEL does not, so no container is compared by Python's `==`.
"""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from typing_extensions import override

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault

ABSENT: Final = UNSET
"""The result of an expression whose value is an empty optional. Missing is not null."""

Absent = UnsetType

MAX_VALUE_DEPTH: Final = 128
"""Values nested deeper than this are not compared, printed or converted: an error, never a crash."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class Uint(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Timestamp(msgspec.Struct, frozen=True, order=True):
    """An instant: nanoseconds since 1970-01-01T00:00:00Z."""

    nanos: int


class Duration(msgspec.Struct, frozen=True, order=True):
    """A span of time in nanoseconds, within 64 bits."""

    nanos: int


class TypeValue(msgspec.Struct, frozen=True):
    """A type as a value, by CEL's name for it."""

    name: str


class OptionalValue:
    """A value that may be absent; `value` is ABSENT then."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @override
    def __repr__(self) -> str:
        return "optional.none()" if self.value is ABSENT else f"optional.of({self.value!r})"


NONE: Final = OptionalValue(ABSENT)


class BoolKey:
    """A bool as a map key: in a dict, `True` and `1` would be the same key."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    @override
    def __repr__(self) -> str:
        return "true" if self.value else "false"


TRUE_KEY: Final = BoolKey(True)
FALSE_KEY: Final = BoolKey(False)

TYPE_NAMES: Final[Mapping[type, str]] = {
    int: "int",
    Uint: "uint",
    float: "double",
    bool: "bool",
    str: "string",
    bytes: "bytes",
    NoneType: "null_type",
    list: "list",
    dict: "map",
    TypeValue: "type",
    OptionalValue: "optional_type",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
}
"""The type of a value, as `type()` calls it."""

WORDS: Final[Mapping[type, str]] = {
    **TYPE_NAMES,
    NoneType: "null",
    OptionalValue: "optional",
    Timestamp: "timestamp",
    Duration: "duration",
}
"""The kind of a value, as people are told."""

_LONG: Final = 4096  # from here on comparing two texts costs

NUMBERS: Final = frozenset({int, Uint, float})
_SIMPLE: Final = frozenset({int, Uint, float, bool, str, bytes, NoneType, TypeValue, Timestamp, Duration})
_ORDERED: Final = frozenset({int, Uint, float, bool, str, bytes, Timestamp, Duration})


def word(value: object) -> str:
    """Return the kind of a value in one word, for error texts."""
    return WORDS.get(type(value), type(value).__name__)


def type_of(value: object) -> TypeValue:
    """Return the CEL type of a value."""
    name = TYPE_NAMES.get(type(value))
    if name is None:
        raise Fault(f"a value of a foreign type: {type(value).__name__}")
    return TypeValue(name)


def equals(left: Any, right: Any, budget: Budget, depth: int = 0) -> bool:
    """Say whether two values are equal: numbers on one line, everything else only with its own kind."""
    kind = type(left)
    if kind is not type(right):
        return kind in NUMBERS and type(right) in NUMBERS and _equal_numbers(left, right)
    deep = _DEEP.get(kind)
    if deep is not None:
        if depth > MAX_VALUE_DEPTH:
            raise Fault("values nested too deep to compare")
        return deep(left, right, budget, depth + 1)
    if kind not in _SIMPLE:
        return False
    if (kind is str or kind is bytes) and len(left) > _LONG:
        budget.spend(len(left) >> 8)
    return bool(left == right)


def _equal_numbers(left: Any, right: Any) -> bool:
    if type(left) is float or type(right) is float:
        left, right = doubles(left, right)
    return bool(left == right)


def _equal_lists(left: list[Any], right: list[Any], budget: Budget, depth: int) -> bool:
    if len(left) != len(right):
        return False
    budget.spend(3 + len(left))
    return all(equals(one, other, budget, depth) for one, other in zip(left, right, strict=True))


def _equal_maps(left: dict[Any, Any], right: dict[Any, Any], budget: Budget, depth: int) -> bool:
    if len(left) != len(right):
        return False
    budget.spend(3 + 2 * len(left))  # a generator is made: small maps cost most
    return all(key in right and equals(one, right[key], budget, depth) for key, one in left.items())


def _equal_optionals(left: OptionalValue, right: OptionalValue, budget: Budget, depth: int) -> bool:
    if left.value is ABSENT or right.value is ABSENT:
        return left.value is right.value
    return equals(left.value, right.value, budget, depth)


_DEEP: Final[Mapping[type, Callable[[Any, Any, Budget, int], bool]]] = {
    list: _equal_lists,
    dict: _equal_maps,
    OptionalValue: _equal_optionals,
}


def doubles(left: float, right: float) -> tuple[float, float]:
    """Return two numbers to be compared where one is a double: CEL rounds the other to one, too.

    What is too large for a double stays as it is; Python compares it exactly.
    """
    try:
        return float(left), float(right)
    except OverflowError:
        return left, right


def ordered(left: Any, right: Any, budget: Budget) -> tuple[Any, Any] | None:
    """Return the two values as Python may compare them by `<`, None when CEL orders no such pair."""
    kind = type(left)
    other = type(right)
    if kind is other and kind in _ORDERED:
        if (kind is str or kind is bytes) and len(left) > _LONG:
            budget.spend(len(left) >> 8)
        return left, right
    if kind in NUMBERS and other in NUMBERS:
        return doubles(left, right) if kind is float or other is float else (left, right)
    return None


def map_key(value: Any) -> Any:
    """Return the dict key for a key of a map literal; raise Fault for a kind that cannot be one."""
    kind = type(value)
    if kind is str or kind is int or kind is Uint:
        return value
    if kind is bool:
        return TRUE_KEY if value else FALSE_KEY
    raise Fault(f"a map key is a string, an int, a uint or a bool, not {word(value)}")


def lookup_key(value: Any) -> Any:
    """Return the dict key that finds `value`, or ABSENT when no map can have it."""
    kind = type(value)
    if kind is str or kind in NUMBERS:
        return value
    if kind is bool:
        return TRUE_KEY if value else FALSE_KEY
    return ABSENT


def plain_key(key: Any) -> Any:
    """Return the CEL value of a dict key."""
    return key.value if type(key) is BoolKey else key


def is_zero(value: Any) -> bool:
    """Say whether a value is its kind's zero: null, false, 0, "", empty, no time."""
    if type(value) is Timestamp or type(value) is Duration:
        return value.nanos == 0
    if type(value) is OptionalValue:
        return value.value is ABSENT
    if type(value) is TypeValue:
        return False
    return not value
