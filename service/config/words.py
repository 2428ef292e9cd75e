"""Turns what pydantic says into what people who write configuration understand.

Pure. Input are pydantic's error records of one resource; output are problems with JSON pointers, the value
found and what would be right. No value of a mapping or list is ever repeated, only of scalars.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from service.config.marks import join_pointer, show_key
from service.config.shape import SECRETS, member_value, model_at, settle, wire_fields
from service.config.values import PATTERN_WORDS
from service.errors import Problem, nearest

SHOWN: Final = 80
"""Characters of a found value that are shown."""

NOTHING: Final = "nothing"
"""How a null is shown."""

_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "frozenset_type": "a list",
    "string_sub_type": "text",
    "bytes_type": "text",
    "none_required": "nothing",
}
_BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_LENGTHS: Final = {
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
}


def explain(errors: list[ErrorDetails], value: Any, base: str, model: type[BaseModel]) -> list[Problem]:
    """Return pydantic's complaints about `value`, which stands at the pointer `base`, in our words."""
    problems = [_explain(error, value, base, model) for error in errors if not _echo(error)]
    unique = {(problem.pointer, problem.message): problem for problem in problems}
    return list(unique.values())


def _echo(error: ErrorDetails) -> bool:
    """Say whether a list only counts as too short because its broken entries are not counted."""
    found = error["input"]
    least = error.get("ctx", {}).get("min_length", 0)
    return error["type"] == "too_short" and isinstance(found, (list, tuple)) and len(found) >= least


def show(value: Any) -> str:
    """Return a found value for people: scalars as they are written, of the rest only the kind."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)[:SHOWN]
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= SHOWN - 2 else f'"{value[: SHOWN - 3]}…"'
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else "a value"


def unknown_field(name: str, known: list[str], pointer: str) -> Problem:
    """Return the problem of a field that nobody knows."""
    head, colon, _ = name.partition(":")
    near = nearest(head, known)
    fix = f"did you mean `{near}`?" if near else f"known here: {', '.join(known)}"
    if colon and head in known:
        fix = f"write `{head}: …`, with a space behind the colon"
    return Problem(
        message=f"unknown field `{show_key(name)}`", code="unknown-field", pointer=pointer, fix=fix
    )


def _explain(error: ErrorDetails, value: Any, base: str, model: type[BaseModel]) -> Problem:
    path, at_key = _path(error["loc"], value)
    pointer = base + join_pointer(*path)
    kind, context, found = error["type"], error.get("ctx", {}), error["input"]
    label = f"`{path[-1]}`" if path and isinstance(path[-1], str) else "this"
    if kind == "extra_forbidden":
        return unknown_field(str(path[-1]), _fields(model, value, path[:-1]), pointer)
    if kind == "missing":
        return _missing(path, base, model, value)
    message, fix, code = _say(kind, context, found, label, error["msg"])
    shown = "***" if getattr(context.get("error"), "masked", False) else show(found)
    if isinstance(found, (dict, list, tuple)) and code != "wrong-type":
        shown = ""  # the complaint is about what is in it
    return Problem(message=message, code="bad-key" if at_key else code, pointer=pointer, found=shown, fix=fix)


def _say(kind: str, context: Mapping[str, Any], found: Any, label: str, msg: str) -> tuple[str, str, str]:
    """Return message, fix and code for an error that is about a value."""
    message, fix, code = f"{label}: {_plain(msg)}", "", "wrong-value"
    if kind in _KINDS:
        message, fix, code = f"{label} must be {_KINDS[kind]}", _write(kind, found), "wrong-type"
    elif kind in _BOUNDS:
        words, field = _BOUNDS[kind]
        message, code = f"{label} must be {words} {context[field]}", "out-of-range"
    elif kind in _LENGTHS:
        words, field, unit = _LENGTHS[kind]
        length = f"have {words} {context[field]} {unit}"
        message = f"{label} must {length if context[field] != 1 or words == 'at most' else 'not be empty'}"
        code = "out-of-range"
    elif kind in ("literal_error", "enum"):
        message, fix, code = _choice(label, str(context["expected"]), found)
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(context["discriminator"]).replace("'", "`")
        message, fix, code = _choice(tag, str(context.get("expected_tags", "")), context.get("tag"))
    elif kind == "string_pattern_mismatch":
        message, fix = PATTERN_WORDS.get(context["pattern"], ("not of the right form", "check the spelling"))
        code = "wrong-form"
    elif kind in ("value_error", "assertion_error"):
        cause = context.get("error")
        message, fix = str(cause or msg), str(getattr(cause, "fix", ""))
    return message, fix, code


def _plain(msg: str) -> str:
    """Return a message of pydantic's without its jargon."""
    return (
        msg.replace("Input should be", "must be").replace("Input should", "must").replace("Value error, ", "")
    )


def _write(kind: str, found: Any) -> str:
    """Return how to write what was meant, where that can be guessed."""
    wanted = _KINDS[kind]
    if wanted == "text" and isinstance(found, (int, float)):
        return f'quote it: "{show(found)}"'
    if wanted == "true or false" and isinstance(found, str) and found.lower() in ("yes", "on", "no", "off"):
        return f"write {'true' if found.lower() in ('yes', 'on') else 'false'}"
    if wanted == "a list":
        return "write [ … ], or one entry a line after a dash"
    if wanted == "a mapping":
        return "write {name: value, …}, or name: value on lines of their own, indented"
    return ""


def _choice(label: str, expected: str, found: Any) -> tuple[str, str, str]:
    """Return the words for a value that is none of the few allowed ones."""
    choices = [
        choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",") if choice.strip(" '")
    ]
    near = nearest(found, choices) if isinstance(found, str) else None
    message = (
        f"{label} must be {choices[0]}"
        if len(choices) == 1
        else f"{label} must be one of {', '.join(choices)}"
    )
    return message, f"did you mean `{near}`?" if near else "", "wrong-choice"


def _missing(path: list[str | int], base: str, model: type[BaseModel], value: Any) -> Problem:
    """Return the problem of a field that must be there, with what its description says."""
    name = str(path[-1])
    owner = model_at(model, value, path[:-1])
    fields = owner.model_fields.items() if owner is not None else ()
    info = next((info for field, info in fields if (info.alias or field) == name), None)
    secret = info is not None and settle(info.annotation, None) in SECRETS
    described = f" ({info.description.rstrip('.')})" if info is not None and info.description else ""
    return Problem(
        message=f"`{name}` is missing",
        code="missing-field",
        pointer=base + join_pointer(*path),
        fix=f"add {name}: {'{env: NAME}' if secret else '…'}{described}",
    )


def _path(loc: tuple[int | str, ...], value: Any) -> tuple[list[str | int], bool]:
    """Return the keys and indexes of an error's place: pydantic mixes in the names of union members."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        if step == "[key]":
            return path, True
        if isinstance(value, dict):
            if step not in value and index < len(loc) - 1:
                continue
        elif not isinstance(value, (list, tuple)) or not isinstance(step, int):
            continue
        path.append(step)
        value = member_value(value, step)
    return path, False


def _fields(model: type[BaseModel], value: Any, path: list[str | int]) -> list[str]:
    found = model_at(model, value, path)
    return list(wire_fields(found)) if found else []
