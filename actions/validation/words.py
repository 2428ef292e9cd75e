"""The words of schemas that take a plain value: which values mean something, and what they mean in 2020-12.

Pure functions over one value; None says that a value means nothing. Schemas inside of schemas are elsewhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})

FORMATS: Final = {
    "date-time": (20, 64),
    "date": (10, 10),
    "uuid": (36, 36),
    "email": (3, 320),
    "ipv4": (7, 15),
    "ipv6": (2, 45),
}
"""The formats that are checked, and how long such a text is.

All others are words for people: too many things are meant by them.
"""

SCALAR: Final = frozenset(
    {
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf",
    }
)  # fmt: skip
"""What says something about text and numbers only."""

_EVERY_TYPE: Final = ("$ref", "allOf", "anyOf", "oneOf", "not", "const", "if", "then", "else")
"""The words that say something about values of any type, `type` and `enum` apart."""

_RANGES: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")

FILE: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "required": ["base64"], "properties": {"base64": {"type": "string"}}},
        {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
    ]
}
"""How arguments say the content of a file."""


def is_number(value: Any) -> bool:
    """Say whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e308 < value < 1e308


def _count(value: Any) -> int | None:
    return int(value) if is_number(value) and value >= 0 and value == int(value) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _positive(value: Any) -> Any:
    return value if is_number(value) and value > 0 else None


def _dependent(value: Any) -> dict[str, list[str]] | None:
    """`dependencies` of older drafts named properties, or gave a schema; only names are looked at."""
    if not isinstance(value, dict):
        return None
    lists = {name: others for name, others in value.items() if isinstance(others, list)}
    return {name: [one for one in others if isinstance(one, str)] for name, others in lists.items()}


PLAIN: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    **{
        word: (word, _count)
        for word in (
            "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
            "maxContains",
        )
    },
    "uniqueItems": ("uniqueItems", _boolean),
    "multipleOf": ("multipleOf", _positive),
    "dependentRequired": ("dependentRequired", _dependent),
    "dependencies": ("dependentRequired", _dependent),
}  # fmt: skip
"""Word → the word of 2020-12, and what its value means."""


def bounds(node: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the bounds of a number, and which words say nothing; booleans and numbers for exclusive ones."""
    made: dict[str, Any] = {}
    wrong = []
    for word, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        bound, strict = node.get(word), node.get(exclusive)
        if is_number(bound):
            # Draft 4: `true` changes the meaning of the bound.
            made[exclusive if strict is True else word] = bound
        elif bound is not None:
            wrong.append(word)
        if is_number(strict):
            made[exclusive] = strict
        elif strict is not None and not isinstance(strict, bool):
            wrong.append(exclusive)
    form = node.get("format")
    if isinstance(form, str) and form in _RANGES:
        low, high = _RANGES[form]
        made["minimum"] = max(made.get("minimum", low), low)
        made["maximum"] = min(made.get("maximum", high), high)
    return made, wrong


def is_meant(made: Mapping[str, Any]) -> bool:
    """Say whether a format is what it says: a pattern, or lengths that it cannot have, say it better."""
    shortest, longest = FORMATS[made["format"]]
    return (
        "pattern" not in made
        and made.get("maxLength", longest) >= shortest
        and made.get("minLength", 0) <= longest
    )


def types(declared: Any) -> list[str] | None:
    """Return the types that are declared; None when one of them is not known."""
    names = declared if isinstance(declared, list) else [declared]
    known = dict.fromkeys(name for name in names if isinstance(name, str) and name in TYPES)
    return list(known) if len(known) == len(names) else None


def members(value: Any, allowed: list[str]) -> list[Any] | None:
    """Return the members of an enum, and in another spelling those that are of the wrong type.

    YAML makes numbers of what was meant as text, and people quote numbers.
    """
    if not isinstance(value, list) or not value:
        return None
    if not allowed:
        return value
    if all(one is None for one in value) and "null" not in allowed:
        return None
    made = [*value, *(other for one in value for other in _respelt(one, allowed))]
    return made if None in made or any(fits(one, allowed) for one in made) else None


def fits(value: Any, allowed: Iterable[str]) -> bool:
    """Say whether a JSON value is of one of the types."""
    if isinstance(value, bool):
        return "boolean" in allowed
    if isinstance(value, int | float):
        return "number" in allowed or ("integer" in allowed and value == int(value))
    if isinstance(value, str):
        return "string" in allowed
    if value is None:
        return "null" in allowed
    return ("array" if isinstance(value, list) else "object") in allowed


def _respelt(value: Any, allowed: list[str]) -> list[Any]:
    if fits(value, allowed):
        return []
    if "string" in allowed and isinstance(value, bool | int | float):
        return [str(value).lower() if isinstance(value, bool) else str(value)]
    if isinstance(value, str):
        if ("integer" in allowed or "number" in allowed) and _INTEGER.fullmatch(value):
            return [int(value)]
        if "boolean" in allowed and value.lower() in ("true", "false"):
            return [value.lower() == "true"]
    return []


def with_null(made: dict[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that allows null too; `node` is what it was made of."""
    if "anyOf" in made or any(word in node for word in _EVERY_TYPE):
        return {"anyOf": [made, {"type": "null"}]}
    # All other words speak of their own types: they let null pass.
    if "type" in made:
        known = made["type"]
        made["type"] = [*([known] if isinstance(known, str) else known), "null"]
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    return made


def shown(value: Any) -> str:
    """Return a value for people, short."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "…"
