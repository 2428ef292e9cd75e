"""From CEL values to JSON values. What JSON cannot hold is an error, never a guess."""

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import EvaluationError
from service.rules.cel.moments import show_duration, show_timestamp
from service.rules.cel.show import show, show_double
from service.rules.cel.values import (
    ABSENT,
    MAX_VALUE_DEPTH,
    BoolKey,
    Duration,
    OptionalValue,
    Timestamp,
    Uint,
    word,
)

JSON_STEPS: Final = 200_000
"""Values and dozens of characters in one result. Lists that share their elements grow only here."""


_MAX_BITS: Final = 4096  # of a number that becomes a name


def to_json(value: object, budget: Budget | None = None) -> Any:
    """Return a CEL value as JSON-able Python: times RFC 3339, durations `3.5s`, bytes base64, uint int.

    An absent optional inside a map or list is left out. Raise EvaluationError for what JSON cannot hold.
    Without a budget the result has a bound of its own.
    """
    return _convert(value, Budget(JSON_STEPS) if budget is None else budget, 0)


def _convert(value: Any, budget: Budget, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        budget.spend(1 + (len(value) >> 6))
        return value
    budget.spend(1)
    if kind is int or kind is bool or value is None:
        return value
    if depth > MAX_VALUE_DEPTH:
        raise _refused("the value is nested too deep for JSON")
    if kind is dict:
        return _object(value, budget, depth)
    if kind is list:
        return [_convert(one, budget, depth + 1) for one in value if not _is_absent(one)]
    if kind is OptionalValue and value.value is not ABSENT:
        return _convert(value.value, budget, depth + 1)
    convert = _SCALARS.get(kind)
    if convert is None:
        raise _refused("the value is absent" if _is_absent(value) else f"JSON cannot hold {word(value)}")
    return convert(value, budget)


def _object(value: dict[Any, Any], budget: Budget, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, one in value.items():
        if _is_absent(one):
            continue
        name = key if type(key) is str else _name(key)
        if name in made:
            raise _refused(f"two keys of the map are both {show(name, 40)} in JSON")
        made[name] = _convert(one, budget, depth + 1)
    return made


def _name(key: Any) -> str:
    if type(key) is BoolKey:
        return "true" if key.value else "false"
    if isinstance(key, int) and key.bit_length() <= _MAX_BITS:
        return str(int(key))
    raise _refused(f"a JSON object has text for keys, not {word(key)}")


def _number(value: float, _budget: Budget) -> float:
    if not math.isfinite(value):
        raise _refused(f"{show_double(value)} is no JSON number")
    return value


def _bytes(value: bytes, budget: Budget) -> str:
    budget.spend(len(value) >> 5)
    return base64.b64encode(value).decode("ascii")


_SCALARS: Final[Mapping[type, Callable[[Any, Budget], Any]]] = {
    float: _number,
    Uint: lambda value, _budget: int(value),
    bytes: _bytes,
    Timestamp: lambda value, _budget: show_timestamp(value),
    Duration: lambda value, _budget: show_duration(value),
}


def _is_absent(value: Any) -> bool:
    return value is ABSENT or (type(value) is OptionalValue and value.value is ABSENT)


def _refused(message: str) -> EvaluationError:
    return EvaluationError(message, 0, 0)
