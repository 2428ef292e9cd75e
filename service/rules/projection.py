"""Reads from a message only the values that patterns test, straight from its bytes where it can.

A `Projection` is made once per ruleset: it lays out every tested path as a position in one flat list of
values, and generates msgspec types (never Python source) that decode just these. It handles messages of
the ordinary shape, where every tested path leads through objects to one scalar; for all others (arrays,
objects where a value is tested, keys with dots, numbers beyond binary64) it says so and the general
way is taken. Which way a message goes must never change a verdict.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from service.rules.conditions import ABSENT, Seen
from service.rules.paths import PathNode

_SCALARS: Final = frozenset({str, int, float, bool, type(None), msgspec.UnsetType})
_Scalar: Final = str | int | float | bool | None

_Struct = tuple[int, type[msgspec.Struct], tuple[Seen, ...]]
"""Position of an object that is decoded, its type, and what stands for its fields when it is absent."""


class _Nothing:
    """The type of a key that an ordinary message does not have: decoding any value as this fails."""


# Numbers beyond binary64 become infinite here instead of failing the whole message.
_decode_any: Final = msgspec.json.Decoder(float_hook=float).decode


def _integer(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return float(digits)


def decode_whole(data: bytes) -> Any:
    """Decode JSON as the general way sees it; of keys that stand twice the last one counts.

    Raises msgspec.DecodeError when `data` is not JSON, RecursionError when it is nested too deep.
    """
    try:
        return _decode_any(data)
    except msgspec.ValidationError:
        # It is JSON, with an integer of thousands of digits.
        return json.loads(data.decode("utf-8"), parse_int=_integer)


Head = Mapping[str, Any]
Read = Callable[[Head, bytes | None], list[Seen] | None]
_Values = list[Any]


class Projection:
    """How the tested values of a message are found; `positions[slot]` is a path's place among `width`.

    `read(head, data)` returns the values of a message by position, or None when it needs the general way.
    """

    def __init__(self, root: PathNode, count: int) -> None:
        self.positions = [-1] * count
        self.width = 0
        read_head = self._head_reader(root)
        data = root.children.get("data")
        self.read: Read = (lambda head, _: read_head(head)) if data is None else self._reader(root, read_head)

    def _lay_out(self, node: PathNode, keys: Sequence[str]) -> tuple[Seen, ...]:
        """Give the next positions to `keys` of `node`; return what stands there when all are absent."""
        for offset, key in enumerate(keys):
            slot = node.children[key].slot
            if slot >= 0:
                self.positions[slot] = self.width + offset
        self.width += len(keys)
        return (ABSENT,) * len(keys)

    def _head_reader(self, root: PathNode) -> Callable[[Head], _Values | None]:
        keys = [key for key in root.children if "." not in key and key != "data"]
        self._lay_out(root, keys)
        dotted = frozenset(key for key in root.children if "." in key)
        objects = list(self._head_objects(root, keys))
        scalars = _SCALARS

        def read_head(head: Head) -> _Values | None:
            values: _Values = []
            get = head.get
            for key in keys:
                values.append(get(key, ABSENT))
            if dotted and not dotted.isdisjoint(head):
                return None
            for position, inner, absent, odd in objects:
                value = values[position]
                if value.__class__ is dict:
                    if odd and not odd.isdisjoint(value):
                        return None
                    values += map(value.get, inner, absent)
                    values[position] = ABSENT
                else:
                    values += absent
            for value in values:
                if value.__class__ not in scalars:
                    return None
            return values

        return read_head

    def _head_objects(
        self, root: PathNode, keys: Sequence[str]
    ) -> Iterable[tuple[int, list[str], tuple[Seen, ...], frozenset[str]]]:
        """Yield the objects of the head that are looked into: position, keys, absent values, dotted keys."""
        todo = [(position, root.children[key]) for position, key in enumerate(keys)]
        for position, node in todo:
            if node.children:
                inner = [key for key in node.children if "." not in key]
                todo += [(self.width + offset, node.children[key]) for offset, key in enumerate(inner)]
                dotted = frozenset(node.children.keys() - set(inner))
                yield position, inner, self._lay_out(node, inner), dotted

    def _reader(self, root: PathNode, read_head: Callable[[Head], _Values | None]) -> Read:
        node, start = root.children["data"], self.width
        self._lay_out(root, ["data"])
        structs: list[_Struct] = []
        try:
            decode = msgspec.json.Decoder(self._type(start, node, structs)).decode
        except ValueError:
            # msgspec has no field names with quotes, backslashes or control characters.
            decode = None
            self._lay_out_rest(node)
        nothing = (ABSENT,) * (self.width - start)

        def read(head: Head, data: bytes | None) -> _Values | None:
            values = read_head(head)
            if values is None:
                return None
            if data is None:
                values += nothing
                return values
            if decode is None:
                return None
            try:
                values.append(decode(data))
            except msgspec.ValidationError:
                return None
            for position, struct, absent in structs:
                value = values[position]
                if value.__class__ is struct:
                    values += astuple(value)
                    values[position] = ABSENT
                else:
                    values += absent
            return values

        return read

    def _lay_out_rest(self, node: PathNode) -> None:
        for child in node.children.values():
            if child.slot >= 0 and self.positions[child.slot] < 0:
                self.positions[child.slot] = self.width
                self.width += 1

    def _type(self, position: int, node: PathNode, structs: "list[_Struct]") -> Any:
        """Return the type that decodes the value of `node`, which has `position`, and what is below."""
        if not node.children:
            return _Scalar
        inner = [key for key in node.children if "." not in key]
        dotted = [key for key in node.children if "." in key]
        place, start = len(structs), self.width
        absent = self._lay_out(node, inner) + (ABSENT,) * len(dotted)
        self.width += len(dotted)
        structs.append((position, msgspec.Struct, absent))
        types = [self._type(start + offset, node.children[key], structs) for offset, key in enumerate(inner)]
        types += [_Nothing] * len(dotted)
        fields = [(f"f{index}", each | msgspec.UnsetType, ABSENT) for index, each in enumerate(types)]
        names = {f"f{index}": key for index, key in enumerate([*inner, *dotted])}
        struct = msgspec.defstruct("Projected", fields, rename=names, gc=False)
        structs[place] = (position, struct, absent)
        return struct | _Scalar
