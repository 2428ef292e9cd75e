"""What the parts of a composed schema declare together.

`additionalProperties: false` closes a schema for the properties that stand beside it alone: in an `allOf` of
two closed schemas no property is allowed at all, and a closed schema around a `oneOf` forbids everything that
its alternatives are for. Nobody means that, and many descriptions say it. So a closed part knows what the
others declare. Pure; references are followed, nothing is checked here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from actions.specs.references import Registry

COMPOSED: Final = ("allOf", "anyOf", "oneOf")
"""The words that make one schema of several."""

_MAX_PARTS: Final = 500

Family = tuple[Mapping[str, Any], ...]
"""The schemas that one is composed into, the outermost first."""


def declared_with(registry: Registry, node: Mapping[str, Any], family: Family) -> dict[str, None]:
    """Return the names of all properties that a schema may meet: its own, its parts' and its family's.

    Of the alternatives of a choice that it is one of, the others count for nothing.
    """
    found = dict.fromkeys(_declared(registry, [node]))
    child = node
    for parent in reversed(family):
        found |= dict.fromkeys(_own(parent))
        for word in COMPOSED:
            parts = [registry.schema(one) for one in _parts(parent, word)]
            if word == "allOf" or all(one is not child for one in parts):
                found |= dict.fromkeys(_declared(registry, parts))
        child = parent
    return found


def is_closed(registry: Registry, node: Mapping[str, Any]) -> bool:
    """Say whether a schema, or one that it is composed of, allows only what is declared."""
    return any(one.get("additionalProperties") is False for one in _composed(registry, [node]))


def _declared(registry: Registry, nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names that schemas and their parts declare."""
    for node in _composed(registry, nodes):
        yield from _own(node)


def _composed(registry: Registry, nodes: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield schemas and all that they are composed of, each once."""
    waiting = list(nodes)
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_PARTS:
        node = registry.schema(waiting.pop())
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(part for word in COMPOSED for part in _parts(node, word))


def _own(node: Mapping[str, Any]) -> Iterable[str]:
    properties = node.get("properties")
    return properties if isinstance(properties, dict) else ()


def _parts(node: Mapping[str, Any], word: str) -> Sequence[Mapping[str, Any]]:
    value = node.get(word)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
