"""Infers a schema from samples: types and properties. Advisory by nature, so it never forbids anything.

A property is called required only where it stood in every one of several samples. Depth and breadth are
bounded; what lies beyond is anything.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from actions.specs.postman.variables import LONE

WORDS: Final = re.compile(r"<<?[^<>]{1,80}>>?")
"""What people write where a value has to be put: `<your id>`."""

MIN_SAMPLES: Final = 3
"""How many samples it takes before what is in all of them counts as required."""
_MAX_DEPTH: Final = 30
_MAX_NAMES: Final = 1_000
_MAX_ITEMS: Final = 50

_TYPES: Final[dict[type, str]] = {
    str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"
}  # fmt: skip


class Shape:
    """What was seen at one place of the samples."""

    __slots__ = ("_any", "_items", "_null", "_objects", "_properties", "_types")

    def __init__(self) -> None:
        self._types: dict[str, None] = {}
        self._null = self._any = False
        self._objects = 0
        self._properties: dict[str, tuple[Shape, list[int]]] = {}
        self._items: Shape | None = None

    def add(self, value: Any, depth: int = 0) -> None:
        """See one more value. A value that is a `{{variable}}` or `<some words>` alone may be of any type."""
        if value is None:
            self._null = True
            return
        if isinstance(value, str) and (LONE.fullmatch(value) or WORDS.fullmatch(value)):
            self._any = True
            return
        self._types[_TYPES.get(type(value), "string")] = None
        if depth >= _MAX_DEPTH:
            return
        if isinstance(value, dict):
            self._add_object(value, depth)
        elif isinstance(value, list):
            for one in value[:_MAX_ITEMS]:
                self._items = self._items or Shape()
                self._items.add(one, depth + 1)

    def _add_object(self, value: Mapping[str, Any], depth: int) -> None:
        self._objects += 1
        for name, inner in value.items():
            known = self._properties.get(name)
            if known is None:
                if len(self._properties) >= _MAX_NAMES:
                    continue
                known = self._properties[name] = (Shape(), [0])
            known[0].add(inner, depth + 1)
            known[1][0] += 1

    def schema(self) -> dict[str, Any]:
        """Return what allows all that was seen."""
        types = list(self._types)
        if "number" in types and "integer" in types:
            types.remove("integer")
        made: dict[str, Any] = {}
        if types and not self._any:
            kinds = [*types, "null"] if self._null else types
            made["type"] = kinds[0] if len(kinds) == 1 else kinds
        if self._properties:
            made["properties"] = {name: shape.schema() for name, (shape, _) in self._properties.items()}
            if self._objects >= MIN_SAMPLES and not self._any:
                always = [name for name, (_, count) in self._properties.items() if count[0] == self._objects]
                made |= {"required": always} if always else {}
        if self._items:
            made["items"] = self._items.schema()
        return made
