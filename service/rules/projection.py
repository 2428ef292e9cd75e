"""Reads from a message only the values that patterns test, straight from its bytes where it can.

A `Projection` is made once per ruleset: it lays out every tested path as a position in one flat list of
values, and generates msgspec types (never Python source) that decode just these. It handles messages of
the ordinary shape, where every tested path leads through objects to one scalar; for all others (arrays,
objects where a value is tested, keys with dots, numbers beyond binary64) it says so and the general
way is taken. Which way a message goes must never change a verdict.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from service.rules.conditions import ABSENT, Seen
from service.rules.paths import PathNode

_SCALARS: Final = frozenset({str, int, float, bool, type(None), msgspec.UnsetType})
_Scalar: Final = str | int | float | bool | None


class _Nothing:
    """The type of a key that an ordinary message does not have: decoding any value as this fails."""


# Numbers beyond binary64 become infinite here instead of failing the whole message.
_decode_any: Final = msgspec.json.Decoder(float_hook=float).decode


def decode_whole(data: bytes) -> Any:
    """Decode JSON as the general way sees it; of keys that stand twice the last one counts."""
    return _decode_any(data)


class Projection:
    """How the tested values of a message are found; `positions[slot]` is a path's place among them."""

    def __init__(self, root: PathNode, count: int) -> None:
        self.positions = [-1] * count
        self.width = 0
        self._dotted = frozenset(key for key in root.children if "." in key)
        keys = [key for key in root.children if "." not in key and key != "data"]
        self._keys, self._absent = self._lay_out(root, keys)
        self._objects = list(self._head_objects(root, keys))
        self._data = root.children.get("data")
        self._structs: list[tuple[int, type[msgspec.Struct], tuple[Seen, ...]]] = []
        self._decode: Callable[[bytes], Any] | None = None
        if self._data is not None:
            start = self.width
            self._lay_out(root, ["data"])
            try:
                self._decode = msgspec.json.Decoder(self._type(start, self._data)).decode
            except ValueError:
                # msgspec has no field names with quotes, backslashes or control characters.
                self._lay_out_rest(self._data)
            self._no_data: tuple[Seen, ...] = (ABSENT,) * (self.width - start)

    def _lay_out(self, node: PathNode, keys: Sequence[str]) -> tuple[tuple[str, ...], tuple[Seen, ...]]:
        """Give the next positions to `keys` of `node`."""
        for offset, key in enumerate(keys):
            slot = node.children[key].slot
            if slot >= 0:
                self.positions[slot] = self.width + offset
        self.width += len(keys)
        return tuple(keys), (ABSENT,) * len(keys)

    def _lay_out_rest(self, node: PathNode) -> None:
        for child in node.children.values():
            if child.slot >= 0 and self.positions[child.slot] < 0:
                self.positions[child.slot] = self.width
                self.width += 1

    def _head_objects(
        self, root: PathNode, keys: Sequence[str]
    ) -> "Iterable[tuple[int, tuple[str, ...], tuple[Seen, ...], frozenset[str]]]":
        """Yield the objects of the head that are looked into: position, keys, absent values, dotted keys."""
        todo = [(position, root.children[key]) for position, key in enumerate(keys)]
        for position, node in todo:
            if node.children:
                inner = [key for key in node.children if "." not in key]
                todo += [(self.width + offset, node.children[key]) for offset, key in enumerate(inner)]
                dotted = frozenset(node.children.keys() - set(inner))
                yield position, *self._lay_out(node, inner), dotted

    def _type(self, position: int, node: PathNode) -> Any:
        """Return the type that decodes the value of `node`, which has `position`, and what is below."""
        if not node.children:
            return _Scalar
        inner = [key for key in node.children if "." not in key]
        dotted = [key for key in node.children if "." in key]
        place, start = len(self._structs), self.width
        _, absent = self._lay_out(node, inner)
        self.width += len(dotted)
        self._structs.append((position, msgspec.Struct, absent + (ABSENT,) * len(dotted)))
        types = [self._type(start + offset, node.children[key]) for offset, key in enumerate(inner)]
        types += [_Nothing] * len(dotted)
        fields = [(f"f{index}", each | msgspec.UnsetType, ABSENT) for index, each in enumerate(types)]
        names = {f"f{index}": key for index, key in enumerate([*inner, *dotted])}
        struct = msgspec.defstruct("Projected", fields, rename=names, gc=False)
        self._structs[place] = (position, struct, self._structs[place][2])
        return struct | _Scalar

    def values(self, head: Mapping[str, Any], data: bytes | None) -> list[Seen] | None:
        """Return the values of a message by position, or None when it needs the general way."""
        values: list[Any] = list(map(head.get, self._keys, self._absent))
        if not self._complete_head(head, values):
            return None
        if self._data is None:
            return values
        if data is None:
            values += self._no_data
            return values
        return values if self._append_data(values, data) else None

    def _complete_head(self, head: Mapping[str, Any], values: list[Any]) -> bool:
        """Append what stands deeper in the head; False when it is not of the ordinary shape."""
        if self._dotted and not self._dotted.isdisjoint(head):
            return False
        for position, keys, absent, dotted in self._objects:
            value = values[position]
            if value.__class__ is dict:
                if dotted and not dotted.isdisjoint(value):
                    return False
                values += map(value.get, keys, absent)
                values[position] = ABSENT
            else:
                values += absent
        return _SCALARS.issuperset(map(type, values))

    def _append_data(self, values: list[Any], data: bytes) -> bool:
        """Append the values in `data`; False when it is not of the ordinary shape."""
        if self._decode is None:
            return False
        try:
            values.append(self._decode(data))
        except msgspec.ValidationError:
            return False
        for position, struct, absent in self._structs:
            value = values[position]
            if value.__class__ is struct:
                values += astuple(value)
                values[position] = ABSENT
            else:
                values += absent
        return True
