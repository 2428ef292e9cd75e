"""What a schema says about the shape of a value: its properties and types, through references and `allOf`.

Pure. Nothing is inlined or kept: each question looks one level deep, so a schema inside itself is no trouble.
"""

from collections.abc import Mapping
from typing import Any, Final

from actions.specs.references import Registry

Schema = Mapping[str, Any]
_MIXED: Final = ("allOf", "oneOf", "anyOf")
_MAX_PARTS: Final = 200
"""How many alternatives of one schema are looked at."""


def parts(schema: Any, registry: Registry, mixed: tuple[str, ...] = _MIXED) -> list[Schema]:
    """Return a schema and everything that it is mixed from, references followed, the schema itself first."""
    found: list[Schema] = []
    seen: set[int] = set()
    waiting = [schema]
    while waiting and len(found) < _MAX_PARTS:
        one = waiting.pop(0)
        target = registry.schema(one)
        if id(target) in seen:
            continue
        seen.add(id(target))
        if isinstance(one, dict) and len(one) > 1 and "$ref" in one:  # 3.1: words beside a reference count
            found.append({key: member for key, member in one.items() if key != "$ref"})
        found.append(target)
        for word in mixed:
            listed = target.get(word)
            if isinstance(listed, list):
                waiting.extend(listed)
    return found


def properties(schema: Any, registry: Registry) -> dict[str, Any]:
    """Return the properties of an object in the order of the description; the first of a name wins."""
    found: dict[str, Any] = {}
    for part in parts(schema, registry):
        declared = part.get("properties")
        if isinstance(declared, dict):
            for name, member in declared.items():
                found.setdefault(name, member)
    return found


def additional(schema: Any, registry: Registry) -> Any:
    """Return the schema of the properties that have no name, {} where there is none."""
    for part in parts(schema, registry):
        if isinstance(part.get("additionalProperties"), dict):
            return part["additionalProperties"]
    return {}


def items(schema: Any, registry: Registry) -> Any:
    """Return the schema of the members of an array, {} where there is none."""
    for part in parts(schema, registry):
        if isinstance(part.get("items"), dict):
            return part["items"]
    return {}


def types(schema: Any, registry: Registry) -> set[str]:
    """Return the types that a schema names, those of its alternatives too; empty where any will do."""
    found: set[str] = set()
    for part in parts(schema, registry):
        declared = part.get("type")
        listed = declared if isinstance(declared, list) else [declared]
        found.update(one for one in listed if isinstance(one, str))
        if declared is None and isinstance(part.get("properties"), dict):
            found.add("object")
    return found


def merged(schema: Any, registry: Registry) -> Schema:
    """Return the words of a schema and of what it refers to or mixes in; the first of a word wins."""
    found: dict[str, Any] = {}
    for part in parts(schema, registry):
        for word, member in part.items():
            found.setdefault(word, member)
    return found
