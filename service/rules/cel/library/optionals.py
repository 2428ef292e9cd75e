"""Optionals: making one and looking into it. `or`, `orValue`, `optMap` and `optFlatMap` are syntax."""

from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.functions import DYN, Function, Overload
from service.rules.cel.values import ABSENT, NONE, OptionalValue, is_zero


def _of(_budget: Budget, value: Any) -> OptionalValue:
    return OptionalValue(value)


def _of_non_zero(_budget: Budget, value: Any) -> OptionalValue:
    return NONE if is_zero(value) else OptionalValue(value)


def _none(_budget: Budget) -> OptionalValue:
    return NONE


def _has_value(_budget: Budget, value: OptionalValue) -> bool:
    return value.value is not ABSENT


def _value(_budget: Budget, value: OptionalValue) -> Any:
    if value.value is ABSENT:
        raise Fault("value() of an optional that is absent; orValue() gives a default")
    return value.value


FUNCTIONS: Final = (
    Function("optional.of", (Overload((DYN,), OptionalValue, _of),)),
    Function("optional.ofNonZeroValue", (Overload((DYN,), OptionalValue, _of_non_zero),)),
    Function("optional.none", (Overload((), OptionalValue, _none),)),
    Function("hasValue", (Overload((OptionalValue,), bool, _has_value),), method=True),
    Function("value", (Overload((OptionalValue,), DYN, _value),), method=True),
)
