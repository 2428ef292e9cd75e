"""What several schemas that apply at once say together: types, allowed values, names. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actions.samples.fitting import count, is_type, mapping, names, types_of

Parts = list[Mapping[str, Any]]
"""Schemas without references that all apply at once, `allOf` taken apart."""


class Cut(Exception):
    """No value can be made here: the schema allows none, or it contains itself."""


def additional(part: Mapping[str, Any]) -> list[Any]:
    """Return the schema of properties that a part does not declare, as far as it says something."""
    other = part.get("additionalProperties")
    return [other] if other is False or (isinstance(other, dict) and other) else []


def known_values(parts: Parts, types: Sequence[str]) -> list[Any]:
    """Return the values that are allowed by name, spelt as their type has it.

    None when there is no such list, or when nothing in it is of the type: then the type counts.
    """
    for part in parts:
        if "const" in part:
            return [part["const"]]
    enum = [part["enum"] for part in parts if isinstance(part.get("enum"), list) and part["enum"]]
    found = [one for one in enum[0] if all(one in other for other in enum[1:])] if enum else []
    if not any(types_of(part) for part in parts):
        return found
    spelt = (other for one in found for other in (one, *_respelt(one, types)))
    return [one for one in spelt if one is None or any(is_type(one, name) for name in types)]


def _respelt(value: Any, types: Sequence[str]) -> list[Any]:
    """Return what was meant by a value of the wrong type: people quote numbers, YAML unquotes texts."""
    if isinstance(value, str) and not {"string", "null"} & set(types):
        if value in ("true", "false") and "boolean" in types:
            return [value == "true"]
        if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", value) and {"integer", "number"} & set(types):
            return [float(value) if "." in value else int(value)]
    if isinstance(value, bool) and types == ("string",):
        return [str(value).lower()]
    return [str(value)] if isinstance(value, int | float) and types == ("string",) else []


def shown_values(parts: Parts) -> Iterator[Any]:
    """Yield the examples and defaults, as they are written."""
    for part in parts:
        for key in ("example", "x-example", "default", "x-ms-test-value"):
            if key in part:
                yield part[key]
        several = part.get("examples")
        if isinstance(several, list):
            yield from several


def allowed_types(parts: Parts) -> tuple[str, ...]:
    """Return the types that a value may have, in the order of preference; null comes last."""
    allowed: list[str] | None = None
    for part in parts:
        named = types_of(part)
        if named:
            wider = (*named, "integer") if "number" in named else named
            if allowed is None:
                allowed = list(named)
            elif "number" in allowed and "integer" in named and "integer" not in allowed:
                allowed = ["integer" if one == "number" else one for one in allowed]
                allowed = [one for one in allowed if one in wider]
            else:
                allowed = [one for one in allowed if one in wider]
    if allowed is None:
        return (_guessed(parts),)
    return tuple(sorted(allowed, key=lambda one: one == "null"))


_MARKS: Final = (
    ("object", ("properties", "additionalProperties", "patternProperties", "minProperties", "required")),
    ("array", ("items", "prefixItems", "minItems", "uniqueItems")),
    ("number", ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")),
)


def _guessed(parts: Parts) -> str:
    """Return the type that the keywords speak of; text where they speak of none."""
    for name, marks in _MARKS:
        for part in parts:
            if any(part.get(mark) not in (None, [], False) for mark in marks):
                return name
    return "string"


def is_file(parts: Parts) -> bool:
    """Say whether the value is the content of a file."""
    return any(
        part.get("format") in ("binary", "file") or part.get("type") == "file" or "contentMediaType" in part
        for part in parts
    )


def counts(parts: Parts, keyword: str) -> list[int]:
    """Return what each part says that has a keyword like `minLength`."""
    found = (count(part.get(keyword)) for part in parts)
    return [one for one in found if one is not None]


def first_items(parts: Parts) -> list[Any]:
    """Return the schemas of the first items of a list, by position."""
    for part in parts:
        for key in ("prefixItems", "items"):
            if isinstance(part.get(key), list):
                return list(part[key])
    return []


def other_items(part: Mapping[str, Any]) -> Any:
    """Return the schema of the items that no position has one for; None where any will do."""
    items = part.get("items")
    return part.get("additionalItems") if isinstance(items, list) else items


def with_dependents(parts: Parts, wanted: Mapping[str, Any]) -> list[str]:
    """Return the names with all that they make required."""
    needs: dict[str, list[str]] = {}
    for part in parts:
        for key in ("dependentRequired", "dependencies"):
            for name, others in mapping(part.get(key)).items():
                needs.setdefault(name, []).extend(names(others))
    found = dict.fromkeys(wanted)
    queue = list(found)
    while queue:
        for other in needs.get(queue.pop(), ()):
            if other not in found:
                found[other] = None
                queue.append(other)
    return list(found)
