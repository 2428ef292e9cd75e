"""Walks types beside values: which type describes what stands at a place of a document.

Pure. Knows pydantic models, lists, tuples, mappings and unions; of a union it takes the member that the value
is most likely meant for. Anything else is described by None.
"""

import functools
import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

SECRETS: Final = (SecretStr, SecretBytes)
REFERENCES: Final = ("env", "file", "sealed")
"""The keys that make a mapping a reference to a secret."""

_LISTS: Final = (list, tuple, set, frozenset)


def settle(kind: Any, value: Any) -> Any:
    """Return the type itself: no annotations around it, and of a union the member for `value`."""
    while True:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            kind = arguments[0]
        elif origin is Union or origin is types.UnionType:
            kind = _member([settle(member, value) for member in arguments if member is not type(None)], value)
        else:
            return kind


def child(kind: Any, token: str | int) -> Any:
    """Return the type of a settled type's member, or None when it has none that is known."""
    if is_model(kind):
        return wire_fields(kind).get(str(token))
    origin, arguments = get_origin(kind), get_args(kind)
    if not arguments:
        return None
    if origin is tuple and Ellipsis not in arguments:
        index = token if isinstance(token, int) else 0
        return arguments[index] if index < len(arguments) else None
    return arguments[0] if origin in _LISTS else arguments[-1]


def model_at(kind: Any, value: Any, path: list[str | int]) -> type[BaseModel] | None:
    """Return the model that describes the mapping at `path` below `value`, or None."""
    kind = settle(kind, value)
    for token in path:
        value = member_value(value, token)
        kind = settle(child(kind, token), value)
    return kind if is_model(kind) else None


def member_value(value: Any, token: str | int) -> Any:
    """Return a mapping's or list's member, or None when there is none."""
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, (list, tuple)) and isinstance(token, int) and token < len(value):
        return value[token]
    return None


@functools.cache
def wire_fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's fields: the names that stand in files, with their types."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


@functools.cache
def holds_secrets(kind: Any) -> bool:
    """Say whether a type wants a secret somewhere."""
    return _search(kind, set())


def is_model(kind: Any) -> bool:
    """Say whether a type is a pydantic model."""
    return isinstance(kind, type) and not get_args(kind) and issubclass(kind, BaseModel)


def is_list(kind: Any) -> bool:
    """Say whether a settled type is a list of some kind."""
    return kind in _LISTS or get_origin(kind) in _LISTS


def is_reference(value: Any) -> bool:
    """Say whether a value looks like a reference to a secret."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in REFERENCES


def _search(kind: Any, seen: set[Any]) -> bool:
    if kind in SECRETS:
        return True
    if is_model(kind):
        if kind in seen:
            return False
        seen.add(kind)
        return any(_search(annotation, seen) for annotation in wire_fields(kind).values())
    if get_origin(kind) is Literal:
        return False
    return any(_search(argument, seen) for argument in get_args(kind))


def _member(members: list[Any], value: Any) -> Any:
    """Return the member of a union that a value is most likely meant for."""
    if is_reference(value) or not isinstance(value, (dict, list)):
        secrets = [kind for kind in members if kind in SECRETS]
        # Where plain values are welcome too, one is not taken for a secret.
        if secrets and type(value) not in members:
            return secrets[0]
    if isinstance(value, dict):
        models = [kind for kind in members if is_model(kind)]
        if models:
            return max(models, key=lambda model: _likeness(model, value))
    fitting = [kind for kind in members if isinstance(value, list) == (get_origin(kind) in _LISTS)]
    return (fitting or members)[0]


def _likeness(model: type[BaseModel], value: dict[str, Any]) -> int:
    """Count what a mapping and a model have in common; a tag that fits or does not outweighs all else."""
    score = 0
    for name, annotation in wire_fields(model).items():
        if name not in value:
            continue
        score += 1
        kind = settle(annotation, value[name])
        if get_origin(kind) is Literal:
            score += 1000 if value[name] in get_args(kind) else -1000
    return score
