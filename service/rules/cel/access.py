"""Selection and indexing: `value.field`, `value[key]`, their optional forms, and `has()`.

A field is a key of a map and nothing else: no attribute of a Python object is ever looked at.
"""

from typing import Any

from service.rules.cel.errors import EvaluationError
from service.rules.cel.show import show
from service.rules.cel.values import ABSENT, NONE, OptionalValue, lookup_key, word

Place = tuple[int, int]
"""Offset and length in the text, for errors."""


def select(value: Any, field: str, place: Place) -> Any:
    """Return the field of a map; of an optional, an optional."""
    if type(value) is dict:
        try:
            return value[field]
        except KeyError:
            raise EvaluationError(f"no such key: `{_cut(field)}`", *place, word=field, known=value) from None
    if type(value) is OptionalValue:
        return select_optional(value, field, place)
    raise _no_field(value, field, place)


def select_optional(value: Any, field: str, place: Place) -> OptionalValue:
    """Return the field of a map as an optional, absent when the map has no such key."""
    if type(value) is OptionalValue:
        value = value.value
        if value is ABSENT:
            return NONE
    if type(value) is not dict:
        raise _no_field(value, field, place)
    found = value.get(field, ABSENT)
    return NONE if found is ABSENT else OptionalValue(found)


def has_field(value: Any, field: str, place: Place) -> bool:
    """Say whether a map has the key; the map itself must be there."""
    if type(value) is OptionalValue:
        value = value.value
        if value is ABSENT:
            return False
    if type(value) is not dict:
        raise _no_field(value, field, place)
    return field in value


def index(value: Any, key: Any, place: Place) -> Any:
    """Return an element of a list or the value at a key of a map; of an optional, an optional."""
    if type(value) is OptionalValue:
        return index_optional(value, key, place)
    found = _find(value, key, place)
    if found is ABSENT:
        if type(value) is list:
            raise EvaluationError(f"index out of range: {show(key, 40)} in a list of {len(value)}", *place)
        shown = f"`{_cut(key)}`" if isinstance(key, str) else f"{word(key)} {show(key, 40)}"
        near = key if isinstance(key, str) else ""
        raise EvaluationError(f"no such key: {shown}", *place, word=near, known=value)
    return found


def index_optional(value: Any, key: Any, place: Place) -> OptionalValue:
    """Return an element or value as an optional, absent when there is none."""
    if type(value) is OptionalValue:
        value = value.value
        if value is ABSENT:
            return NONE
    found = _find(value, key, place)
    return NONE if found is ABSENT else OptionalValue(found)


def _find(value: Any, key: Any, place: Place) -> Any:
    if type(value) is dict:
        found = lookup_key(key)
        return ABSENT if found is ABSENT else value.get(found, ABSENT)
    if type(value) is not list:
        raise EvaluationError(f"{word(value)} cannot be indexed; a list or a map can", *place)
    if (
        isinstance(key, bool)
        or not isinstance(key, int | float)
        or (isinstance(key, float) and not key.is_integer())
    ):
        raise EvaluationError(f"a list is indexed by a whole number, not {word(key)}", *place)
    position = int(key)
    return value[position] if 0 <= position < len(value) else ABSENT


def _no_field(value: Any, field: str, place: Place) -> EvaluationError:
    return EvaluationError(f"{word(value)} has no field `{_cut(field)}`", *place)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
