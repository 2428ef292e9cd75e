"""Turns what the validating engine found into words for people, short and without the schema. Pure."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import jsonschema_rs
import msgspec

from actions.specs.events import escape

Problem = tuple[str, str]
"""What is wrong: a JSON pointer into the value, and a text."""

_MAX_TEXT: Final = 256


def pointer(path: list[str | int]) -> str:
    """Return a path as a JSON pointer."""
    return "".join(f"/{escape(str(part))}" for part in path)


_SPELLINGS: Final = {
    "integer": re.compile(r"-?[0-9]+(?:\.0+)?"),
    "number": re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}


def is_spelling(error: jsonschema_rs.ValidationError) -> bool:
    """Say whether a parameter has only been given as text where a number is meant, or the other way round."""
    path, value = error.instance_path, error.instance
    if not path or path[0] == "body" or isinstance(value, dict | list) or value is None:
        return False
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Type(types=types):
            return any(
                name == "string" or (name in _SPELLINGS and _SPELLINGS[name].fullmatch(text))
                for name in types
            )
        case jsonschema_rs.ValidationErrorKind.Enum(options=options):
            return any(text == one or (isinstance(one, int | float) and text == str(one)) for one in options)
    return False


def explain(error: jsonschema_rs.ValidationError) -> str:
    """Return in words what is wrong; of alternatives, why the nearest one does not fit."""
    words = _WORDS.get(error.kind.name)
    text = error.message if words is None else words(error.kind, error.instance)
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _nearest(kind: Any, _: Any) -> str:
    """Return the errors of the alternative that came furthest into the value."""
    branches = [errors for errors in kind.context if errors]
    if not branches:
        return "fits none of the alternatives"
    here = min(len(one.instance_path) for errors in branches for one in errors)
    best = max(branches, key=lambda errors: _nearness(errors, here))
    told = "; ".join(f"{pointer(one.instance_path)} {explain(one)}".strip() for one in best[:3])
    return f"fits none of the alternatives; of the nearest: {told}"


def _nearness(errors: list[jsonschema_rs.ValidationError], here: int) -> tuple[int, bool, int]:
    """Say how near an alternative is: how deep it went, whether the type was right, how little is wrong."""
    depth = max(len(one.instance_path) for one in errors)
    wrong_type = any(one.kind.name == "type" and len(one.instance_path) == here for one in errors)
    return depth, not wrong_type, -len(errors)


def _unknown(kind: Any, _: Any) -> str:
    names: list[str] = kind.unexpected
    return f"{', '.join(names[:10])} {'is' if len(names) == 1 else 'are'} not known here"


def _allowed(kind: Any, value: Any) -> str:
    listed = _one_of(shown(one) for one in kind.options[:12])
    return f"must be {listed}{' or another' * (len(kind.options) > 12)}, not {shown(value)}"


def _one_of(names: Iterable[str]) -> str:
    return " or ".join(names)


def shown(value: Any) -> str:
    """Return a value for people, short."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:77] + "…"


_WORDS: Final[dict[str, Callable[[Any, Any], str]]] = {
    "type": lambda kind, value: f"must be {_one_of(sorted(kind.types))}, not {shown(value)}",
    "required": lambda kind, _: f"{kind.property} is required",
    "additionalProperties": _unknown,
    "falseSchema": lambda _, value: f"{shown(value)} is not allowed here",
    "enum": _allowed,
    "pattern": lambda kind, value: f"{shown(value)} does not match {kind.pattern[:120]}",
    "anyOf": _nearest,
    "oneOf": lambda kind, value: (
        f"{shown(value)} fits several of the alternatives, but may fit only one"
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.OneOfMultipleValid)
        else _nearest(kind, value)
    ),
}
