"""Writes the description of a connector, or one that lies somewhere, as OpenAPI 3.1."""

from collections.abc import Iterator
from typing import Any

from actions.exporting import export
from actions.specs.model import Spec
from actions.specs.reading import EXTENSION


def exported(spec: Spec) -> dict[str, Any]:
    """Return a description as an OpenAPI 3.1 document."""
    return export(spec)


def beyond_openapi(document: dict[str, Any]) -> int:
    """Return in how many places the document says what OpenAPI has no word for."""
    return sum(1 for _ in _extensions(document))


def _extensions(document: Any) -> Iterator[Any]:
    stack = [document]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list) and id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, dict) and EXTENSION in node:
                yield node[EXTENSION]
            stack.extend(node.values() if isinstance(node, dict) else node)
