"""The forms of the macros, and hints for functions that people know from other languages."""

from dataclasses import dataclass
from typing import Final

from service.rules.cel.tree import LoopKind


@dataclass(frozen=True, slots=True)
class LoopForm:
    """One way to write a loop: how many variables, whether a condition stands before the body."""

    kind: LoopKind
    names: int
    condition: bool
    words: str


def _predicate(name: str, kind: LoopKind) -> dict[int, LoopForm]:
    return {
        2: LoopForm(kind, 1, False, f"list.{name}(x, condition)"),
        3: LoopForm(kind, 2, False, f"list.{name}(i, x, condition)"),
    }


def _transform(name: LoopKind, body: str) -> dict[int, LoopForm]:
    return {
        3: LoopForm(name, 2, False, f"list.{name}(i, x, {body})"),
        4: LoopForm(name, 2, True, f"list.{name}(i, x, condition, {body})"),
    }


LOOPS: Final[dict[str, dict[int, LoopForm]]] = {
    "all": _predicate("all", "all"),
    "exists": _predicate("exists", "exists"),
    "exists_one": _predicate("exists_one", "exists_one"),
    "existsOne": _predicate("existsOne", "exists_one"),
    "filter": {2: LoopForm("filter", 1, False, "list.filter(x, condition)")},
    "map": {
        2: LoopForm("map", 1, False, "list.map(x, value)"),
        3: LoopForm("map", 1, True, "list.map(x, condition, value)"),
    },
    "transformList": _transform("transformList", "value"),
    "transformMap": _transform("transformMap", "value"),
    "transformMapEntry": _transform("transformMapEntry", "{key: value}"),
}
"""By name and number of arguments."""

MACRO_METHODS: Final = (*LOOPS, "or", "orValue", "optMap", "optFlatMap")

_ELSEWHERE: Final = {
    "lower": "lowerAscii()",
    "toLowerCase": "lowerAscii()",
    "downcase": "lowerAscii()",
    "upper": "upperAscii()",
    "toUpperCase": "upperAscii()",
    "upcase": "upperAscii()",
    "strip": "trim()",
    "includes": "contains(), or `value in list`",
    "has": "has(value.field)",
    "get": "value.?field.orValue(default)",
    "any": "exists(x, condition)",
    "some": "exists(x, condition)",
    "every": "all(x, condition)",
    "find": "filter(x, condition)[0], or indexOf()",
    "length": "size()",
    "len": "size()",
    "count": "size()",
    "toString": "string(value)",
    "keys": "value.map(key, key)",
    "startswith": "startsWith()",
    "endswith": "endsWith()",
}
_FUNCTIONS_ELSEWHERE: Final = {
    "len": "size(value)",
    "length": "size(value)",
    "str": "string(value)",
    "float": "double(value)",
    "number": "int(value) or double(value)",
    "boolean": "bool(value)",
    "date": "timestamp(value)",
    "datetime": "timestamp(value)",
    "defined": "has(value.field)",
    "exists": "has(value.field), or list.exists(x, condition)",
    "coalesce": "value.?field.orValue(default)",
    "default": "value.?field.orValue(default)",
    "max": "math.greatest(…)",
    "min": "math.least(…)",
    "abs": "math.abs(value)",
    "math.max": "math.greatest(…)",
    "math.min": "math.least(…)",
    "round": "math.round(value)",
    "floor": "math.floor(value)",
    "ceil": "math.ceil(value)",
}


def method_fix(name: str) -> str:
    """Return what a method of another language is called here, or ""."""
    found = _ELSEWHERE.get(name)
    return f"use {found}" if found else ""


def function_fix(name: str) -> str:
    """Return what a function of another language is called here, or ""."""
    if name == "now":
        return "there is no clock here; compare times of the message with each other"
    found = _FUNCTIONS_ELSEWHERE.get(name)
    return f"use {found}" if found else ""
