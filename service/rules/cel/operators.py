"""Arithmetic and relations on two values, as tables by the kinds of the operands.

Pure. The checker reads the same tables as the compiler; `mismatch` words the error for both.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.moments import duration, timestamp
from service.rules.cel.values import (
    ABSENT,
    INT_MAX,
    INT_MIN,
    NUMBERS,
    UINT_MAX,
    WORDS,
    Duration,
    Timestamp,
    Uint,
    equals,
    lookup_key,
    ordered,
)

Operation = Callable[[Any, Any, Budget], Any]


class Mismatch(Fault):
    """The operator does not exist for these kinds."""


def integer(value: int) -> int:
    """Return a result that fits into an int; raise Fault otherwise."""
    if not INT_MIN <= value <= INT_MAX:
        raise Fault("integer overflow: an int has 64 bits")
    return value


def unsigned(value: int) -> Uint:
    """Return a result as a uint; raise Fault when it is negative or too large."""
    if not 0 <= value <= UINT_MAX:
        raise Fault("integer overflow: a uint has 64 bits and no sign")
    return Uint(value)


def _ints(compute: Callable[[int, int], int]) -> Operation:
    # A message may hold larger numbers than an int: they are compared, not reckoned with.
    return lambda left, right, _budget: integer(compute(integer(left), integer(right)))


def _uints(compute: Callable[[int, int], int]) -> Operation:
    return lambda left, right, _budget: unsigned(compute(int(left), int(right)))


def _plain(compute: Callable[[Any, Any], Any]) -> Operation:
    return lambda left, right, _budget: compute(left, right)


def _joined(shift: int) -> Operation:
    def join(left: Any, right: Any, budget: Budget) -> Any:
        budget.spend((len(left) + len(right)) >> shift)
        return left + right

    return join


def _times(result: Callable[[int], Any], compute: Callable[[int, int], int]) -> Operation:
    return lambda left, right, _budget: result(compute(left.nanos, right.nanos))


def _divide_ints(left: int, right: int) -> int:
    if right == 0:
        raise Fault("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo_ints(left: int, right: int) -> int:
    if right == 0:
        raise Fault("modulus by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _divide_doubles(left: float, right: float) -> float:
    """Divide as IEEE 754 does, where Python raises."""
    if right != 0.0:
        return left / right
    if left == 0.0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


_STRING: Final = _joined(6)
_LIST: Final = _joined(3)

ARITHMETIC: Final[Mapping[str, Mapping[tuple[type, type], tuple[type, Operation]]]] = {
    "+": {
        (int, int): (int, _ints(operator.add)),
        (Uint, Uint): (Uint, _uints(operator.add)),
        (float, float): (float, _plain(operator.add)),
        (str, str): (str, _STRING),
        (bytes, bytes): (bytes, _STRING),
        (list, list): (list, _LIST),
        (Duration, Duration): (Duration, _times(duration, operator.add)),
        (Timestamp, Duration): (Timestamp, _times(timestamp, operator.add)),
        (Duration, Timestamp): (Timestamp, _times(timestamp, operator.add)),
    },
    "-": {
        (int, int): (int, _ints(operator.sub)),
        (Uint, Uint): (Uint, _uints(operator.sub)),
        (float, float): (float, _plain(operator.sub)),
        (Duration, Duration): (Duration, _times(duration, operator.sub)),
        (Timestamp, Duration): (Timestamp, _times(timestamp, operator.sub)),
        (Timestamp, Timestamp): (Duration, _times(duration, operator.sub)),
    },
    "*": {
        (int, int): (int, _ints(operator.mul)),
        (Uint, Uint): (Uint, _uints(operator.mul)),
        (float, float): (float, _plain(operator.mul)),
    },
    "/": {
        (int, int): (int, _ints(_divide_ints)),
        (Uint, Uint): (Uint, _uints(_divide_ints)),
        (float, float): (float, _plain(_divide_doubles)),
    },
    "%": {
        (int, int): (int, _ints(_modulo_ints)),
        (Uint, Uint): (Uint, _uints(_modulo_ints)),
    },
}
"""By operator and kinds: the kind of the result, and the code."""

ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
RELATIONS: Final = frozenset({"==", "!=", *ORDER})
_ORDERED: Final = frozenset({str, bytes, bool, Timestamp, Duration})


def operation(sign: str) -> Operation:
    """Return the code of an operator for any two values; it raises Mismatch for kinds that it has not."""
    if sign in ARITHMETIC:
        return _arithmetic(ARITHMETIC[sign])
    if sign in ORDER:
        return _relation(ORDER[sign])
    if sign == "in":
        return contained
    return equals if sign == "==" else lambda left, right, budget: not equals(left, right, budget)


def _arithmetic(table: Mapping[tuple[type, type], tuple[type, Operation]]) -> Operation:
    codes = {kinds: code for kinds, (_, code) in table.items()}

    def compute(left: Any, right: Any, budget: Budget) -> Any:
        code = codes.get((type(left), type(right)))
        if code is None:
            raise Mismatch
        return code(left, right, budget)

    return compute


def _relation(compare: Callable[[Any, Any], bool]) -> Operation:
    def relate(left: Any, right: Any, budget: Budget) -> bool:
        pair = ordered(left, right, budget)
        if pair is None:
            raise Mismatch
        return compare(*pair)

    return relate


def negate(value: Any) -> Any:
    """Return the number with the other sign."""
    if type(value) is int:
        return integer(-integer(value))
    if type(value) is float:
        return -value
    raise Mismatch


def contained(left: Any, right: Any, budget: Budget) -> bool:
    """`left in right`: an element of a list, a key of a map."""
    if type(right) is dict:
        key = lookup_key(left)
        return key is not ABSENT and key in right
    if type(right) is not list:
        raise Mismatch
    if type(left) is str:  # equal to nothing but a string, in Python as in CEL
        budget.spend(1 + (len(right) >> 2))
        return left in right
    for value in right:
        budget.spend(1)
        if equals(left, value, budget):
            return True
    return False


def result_kind(sign: str, left: type, right: type) -> type | None:
    """Return the kind of `left sign right`, for known kinds; None when there is no such operator."""
    if sign in ARITHMETIC:
        found = ARITHMETIC[sign].get((left, right))
        return None if found is None else found[0]
    numbers = {left, right} <= NUMBERS
    if sign == "in":
        fits = right in (list, dict)
    elif sign in ORDER:
        fits = numbers or (left is right and left in _ORDERED)
    else:
        # Null is compared with everything; two other kinds can only be equal when both are numbers.
        fits = numbers or left is right or type(None) in (left, right)
    return bool if fits else None


def mismatch(sign: str, left: type, right: type, texts: tuple[str, str]) -> tuple[str, str]:
    """Return what is wrong with an operator between two kinds, and what would be right."""
    message = f"no such overload: {_word(left)} {sign} {_word(right)}"
    one, other = (text if len(text) <= 40 else "…" for text in texts)
    return message, _fix(sign, (left, one), (right, other))


def _fix(sign: str, left: tuple[type, str], right: tuple[type, str]) -> str:
    kinds = {left[0], right[0]}
    if sign == "in":
        both = left[0] is str and right[0] is str
        return f"write {right[1]}.contains({left[1]})" if both else "`in` looks into a list or a map"
    if sign == "%" and float in kinds:
        return "% is for whole numbers: int(…) makes one"
    if len(kinds) == 2 and kinds <= NUMBERS:
        wanted = float if float in kinds else int
        text = left[1] if right[0] is wanted else right[1]
        return f"write {_word(wanted)}({text})"
    if len(kinds) == 2 and str in kinds:
        string, other = (left, right) if left[0] is str else (right, left)
        if sign == "+":
            return f"write string({other[1]})"
        if other[0] in NUMBERS or other[0] in (Timestamp, Duration):
            return f"write {_word(other[0])}({string[1]})"
    return ""


def _word(kind: type) -> str:
    return WORDS.get(kind, "any value")
