"""Comparisons with a literal, the heart of most conditions, without the general way's questions."""

from collections.abc import Callable
from typing import Any, Final

from service.rules.cel.frame import Frame, Run
from service.rules.cel.operators import ORDER
from service.rules.cel.values import ABSENT, Uint

General = Callable[[Any, Any, Frame], Any]
"""The general form of the operator, for every pair of values."""

# Up to here an int and a double compare alike whether or not the int is rounded to a double first.
_EXACT: Final = 2**53

_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def compile_comparison(
    sign: str, left: Run, right: Run, first: Any, second: Any, general: General
) -> Run | None:
    """Return code for a comparison with a literal, None when there is no quick form.

    `first` and `second` are the operands' values where they are literals, ABSENT otherwise.
    """
    if sign == "in":
        return _one_of(left, second) if first is ABSENT else None
    if sign not in _MIRRORED or (first is ABSENT) == (second is ABSENT):
        return None
    if second is ABSENT:
        return _compare(_MIRRORED[sign], right, first, lambda one, other, frame: general(other, one, frame))
    return _compare(sign, left, second, general)


def _compare(sign: str, operand: Run, value: Any, general: General) -> Run | None:
    kind = type(value)
    if sign in ("==", "!="):
        if kind in (str, bool, type(None)):
            return _equal(operand, value, sign == "==")
        if kind in (int, float) and abs(value) < _EXACT:
            return _equal_number(operand, value, sign == "==")
    elif kind in (int, float) and abs(value) < _EXACT:
        return _order(ORDER[sign], operand, value, general)
    return None


def _equal(operand: Run, value: Any, verdict: bool) -> Run:
    kind = type(value)

    def run(frame: Frame) -> bool:
        seen = operand(frame)
        return (type(seen) is kind and seen == value) is verdict

    return run


def _equal_number(operand: Run, value: float, verdict: bool) -> Run:
    def run(frame: Frame) -> bool:
        seen = operand(frame)
        kind = type(seen)
        return ((kind is int or kind is float or kind is Uint) and seen == value) is verdict

    return run


def _order(compare: Callable[[Any, Any], bool], operand: Run, value: float, general: General) -> Run:
    def run(frame: Frame) -> Any:
        seen = operand(frame)
        kind = type(seen)
        if kind is int or kind is float:
            return compare(seen, value)
        return general(seen, value, frame)

    return run


def _one_of(operand: Run, values: Any) -> Run | None:
    if type(values) is not list or not values or any(type(value) is not str for value in values):
        return None
    known = frozenset(values)

    def run(frame: Frame) -> bool:
        seen = operand(frame)
        return type(seen) is str and seen in known

    return run
