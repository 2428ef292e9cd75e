"""The math extension: `math.greatest`, rounding, signs, tests of doubles, bits."""

import math
from collections.abc import Callable
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.functions import DYN, Function, Overload, Run
from service.rules.cel.operators import integer, operation
from service.rules.cel.show import show
from service.rules.cel.values import NUMBERS, UINT_MAX, Uint, word

_SIGN_BIT: Final = 1 << 63


def _extreme(name: str, better: Callable[[Any, Any, Budget], bool]) -> Function:
    def run(budget: Budget, *arguments: Any) -> Any:
        values = arguments
        if len(arguments) == 1 and type(arguments[0]) is list:
            values = tuple(arguments[0])
            budget.spend(len(values))
            if not values:
                raise Fault(f"{name}() of an empty list")
        best = None
        for value in values:
            if type(value) not in NUMBERS:
                raise Fault(f"{name}() takes numbers, not {word(value)}")
            if best is None or better(value, best, budget):
                best = value
        return best

    return Function(name, (Overload((DYN,), DYN, run),), variadic=True)


def _round(value: float) -> float:
    """Round half away from zero; keep the sign of zero and what has no fraction."""
    if not math.isfinite(value) or abs(value) >= 2.0**52:
        return value
    whole = math.floor(abs(value))
    return math.copysign(whole + (abs(value) - whole >= 0.5), value)


def _whole(name: str, change: Callable[[float], float]) -> Function:
    """Return a function of doubles that leaves NaN and infinities alone."""

    def run(_budget: Budget, value: float) -> float:
        return math.copysign(float(change(value)), value) if math.isfinite(value) else value

    return Function(name, (Overload((float,), float, run),))


def _sqrt(_budget: Budget, value: float) -> float:
    try:
        return math.sqrt(value) if value >= 0 else math.nan
    except OverflowError:
        raise Fault("the number is too large for a double") from None


def _sign_of_double(_budget: Budget, value: float) -> float:
    return value if value == 0.0 or math.isnan(value) else math.copysign(1.0, value)


def _sign_of_int(_budget: Budget, value: int) -> int:
    return (value > 0) - (value < 0)


def _signed(bits: int) -> int:
    """Return 64 bits as an int."""
    bits &= UINT_MAX
    return bits - (1 << 64) if bits & _SIGN_BIT else bits


def _bits(name: str, operation: Callable[[int, int], int]) -> Function:
    return Function(
        name,
        (
            Overload((int, int), int, lambda _budget, one, other: operation(integer(one), integer(other))),
            Overload((Uint, Uint), Uint, lambda _budget, one, other: Uint(operation(int(one), int(other)))),
        ),
    )


def _shift(name: str, operation: Callable[[int, int], int]) -> Function:
    """Return a shift of 64 bits without sign; beyond all of them nothing is left."""

    def bits(value: int, count: int) -> int:
        if count < 0:
            raise Fault(f"{name}() by a negative number of bits: {show(count, 40)}")
        return operation(value & UINT_MAX, count) & UINT_MAX if count < 64 else 0

    return Function(
        name,
        (
            Overload((int, int), int, lambda _budget, value, count: _signed(bits(integer(value), count))),
            Overload((Uint, int), Uint, lambda _budget, value, count: Uint(bits(int(value), count))),
        ),
    )


def _test(name: str, test: Callable[[float], bool]) -> Function:
    return Function(name, (Overload((float,), bool, lambda _budget, value: test(value)),))


def _of(kind: type, run: Run) -> Overload:
    return Overload((kind,), kind, run)


FUNCTIONS: Final = (
    _extreme("math.greatest", operation(">")),
    _extreme("math.least", operation("<")),
    _whole("math.ceil", math.ceil),
    _whole("math.floor", math.floor),
    _whole("math.round", _round),
    _whole("math.trunc", math.trunc),
    Function("math.sqrt", tuple(Overload((kind,), float, _sqrt) for kind in (int, Uint, float))),
    Function(
        "math.abs",
        (
            _of(int, lambda _budget, value: integer(abs(integer(value)))),
            _of(Uint, lambda _budget, value: value),
            _of(float, lambda _budget, value: abs(value)),
        ),
    ),
    Function(
        "math.sign",
        (
            _of(int, _sign_of_int),
            _of(Uint, lambda _budget, value: Uint(value > 0)),
            _of(float, _sign_of_double),
        ),
    ),
    _test("math.isNaN", math.isnan),
    _test("math.isInf", math.isinf),
    _test("math.isFinite", math.isfinite),
    _bits("math.bitAnd", lambda one, other: one & other),
    _bits("math.bitOr", lambda one, other: one | other),
    _bits("math.bitXor", lambda one, other: one ^ other),
    Function(
        "math.bitNot",
        (
            _of(int, lambda _budget, value: ~integer(value)),
            _of(Uint, lambda _budget, value: Uint(int(value) ^ UINT_MAX)),
        ),
    ),
    _shift("math.bitShiftLeft", lambda value, count: value << count),
    _shift("math.bitShiftRight", lambda value, count: value >> count),
)
