"""The plain matcher of one branch over one message, arrays included: the definition.

A branch is a list of fields that must all hold. A field holds by a value at its path, or, where it says
`{"exists": false}`, by there being none. Arrays are looked through: any element may supply a value, but of
every array that holds objects (or arrays) **one** element is chosen, and all values used from inside
that array come from it. A field is absent when no value at its path lies outside arrays or in chosen
elements; an array from which no value is used counts whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.rules.conditions import ABSENT, Absent, Condition, Scalar
from service.rules.paths import PathNode

MAX_ARRAYS: Final = 64
"""Arrays inside arrays deeper than this on one path are not looked into: their values count as absent."""

_MAX_CHOICES: Final = 32
"""Incomparable choices kept at once. More than two arise only where a message supplies one path twice,
through arrays (`{"a.b": […], "a": {"b": […]}}`), and more than these only when it was built to be slow."""

Choice = tuple[int, int]
"""What one way of choosing elements gives: bits of the fields that hold, bits of the fields present."""


def branch_matches(
    conditions: Sequence[Sequence[Condition]], root: PathNode, event: Mapping[str, Any]
) -> bool:
    """Say whether every field holds; `conditions[slot]` are the alternatives of the path with that slot."""
    search = _Search(conditions)
    return any(search.enough(root, choice, 0) for choice in search.of_object(event, root, MAX_ARRAYS, 0))


class _Search:
    """Looks for a choice of elements under which all fields hold.

    `shared` are the fields below a node that another part of the message may supply as well. All others
    must be complete where they are: that keeps one choice per array, not one per combination.
    """

    def __init__(self, conditions: Sequence[Sequence[Condition]]) -> None:
        self._conditions = conditions
        # Fields that hold when they are absent.
        self._optional = 0
        for slot, alternatives in enumerate(conditions):
            if any(isinstance(each, Absent) for each in alternatives):
                self._optional |= 1 << slot

    def enough(self, node: PathNode, choice: Choice, shared: int) -> bool:
        """Say whether every field at or below `node` that is not `shared` holds under `choice`."""
        holding, present = choice
        return not node.below & ~shared & ~holding & ~(self._optional & ~present)

    def of_object(self, value: Mapping[str, Any], node: PathNode, arrays: int, shared: int) -> list[Choice]:
        """Return the choices within an object; none when a field that only it supplies cannot hold."""
        if len(value) < len(node.children):
            keys = [key for key in value if key in node.children]
        else:
            keys = [key for key in node.children if key in value]
        if any("." in key for key in keys):
            shared |= node.below
        choices = [(0, 0)]
        for key in keys:
            inner = self._of_value(value[key], node.children[key], arrays, shared)
            choices = _best([(one | two, p | q) for one, p in choices for two, q in inner])
        return choices

    def _of_value(self, value: Any, node: PathNode, arrays: int, shared: int) -> list[Choice]:
        if isinstance(value, dict):
            return self.of_object(value, node, arrays, shared)
        if isinstance(value, list):
            return self._of_array(value, node, arrays - 1, shared) if arrays else [(0, 0)]
        return [self._of_scalar(value, node)]

    def _of_scalar(self, value: Scalar, node: PathNode) -> Choice:
        if node.slot < 0:
            return 0, 0
        bit = 1 << node.slot
        return bit if any(each.holds(value) for each in self._conditions[node.slot]) else 0, bit

    def _of_array(self, array: list[Any], node: PathNode, arrays: int, shared: int) -> list[Choice]:
        holding = present = 0
        inner: list[dict[str, Any] | list[Any]] = []
        for element in array:
            if isinstance(element, dict | list):
                inner.append(element)
            else:
                one, bit = self._of_scalar(element, node)
                holding |= one
                present |= bit
        choices = self._of_elements(inner, node, arrays, shared, (holding, present))
        if choices and not shared & node.below:
            return choices
        for element in inner:
            present |= self._all_present(element, node, arrays)
        if self.enough(node, (holding, present), shared):
            choices.append((holding, present))
        return _best(choices)

    def _of_elements(
        self, inner: list[Any], node: PathNode, arrays: int, shared: int, beside: Choice
    ) -> list[Choice]:
        """Return the choices with one element chosen; the first will do when nothing is shared."""
        choices: set[Choice] = set()
        # Scalars in an array of this array supply the same field as the scalars beside it.
        deeper = shared | (1 << node.slot if node.slot >= 0 else 0)
        for element in inner:
            for one, present in self._of_value(
                element, node, arrays, deeper if isinstance(element, list) else shared
            ):
                choice = beside[0] | one, beside[1] | present
                # An element is chosen only for a value that is used.
                if one and self.enough(node, choice, shared):
                    choices.add(choice)
                    if not shared & node.below:
                        return [choice]
        return list(choices)

    def _all_present(self, value: Any, node: PathNode, arrays: int) -> int:
        if isinstance(value, dict):
            found = 0
            for key in value.keys() & node.children.keys():
                found |= self._all_present(value[key], node.children[key], arrays)
            return found
        if isinstance(value, list):
            found = 0
            for element in value if arrays else ():
                found |= self._all_present(element, node, arrays - 1)
            return found
        return 1 << node.slot if node.slot >= 0 else 0


def _best(choices: list[Choice]) -> list[Choice]:
    """Return the choices that no other one beats: more fields that hold, fewer present."""
    if len(choices) < 2:
        return choices
    kept: list[Choice] = []
    for holding, present in sorted(
        set(choices), key=lambda each: (-each[0].bit_count(), each[1].bit_count())
    ):
        if not any(not holding & ~one and not q & ~present for one, q in kept):
            kept.append((holding, present))
        if len(kept) == _MAX_CHOICES:
            break
    return kept


def values_at(event: Mapping[str, Any], root: PathNode, count: int) -> "tuple[list[list[Scalar]], int, int]":
    """Return, for each of `count` slots, every value in `event`, and two sets of slots.

    The first set has the slots with a value outside arrays of objects, the second those with one inside:
    where nothing is inside, fields can be judged one by one.
    """
    values: list[list[Scalar]] = [[] for _ in range(count)]
    outside = inside = 0
    # Places still to be looked at: value, node, arrays that may still be entered, inside an array's element?
    todo: list[tuple[Any, PathNode, int, bool]] = [(event, root, MAX_ARRAYS, False)]
    while todo:
        value, node, arrays, within = todo.pop()
        if isinstance(value, dict) or value is event:
            if len(value) < len(node.children):
                found = [(value[key], node.children[key]) for key in value if key in node.children]
            else:
                found = [(value[key], child) for key, child in node.children.items() if key in value]
            # Last in, first out: turned round, values come in the order of the message.
            todo += [(each, child, arrays, within) for each, child in reversed(found)]
        elif isinstance(value, list):
            if arrays:
                todo += [
                    (each, node, arrays - 1, within or isinstance(each, dict | list))
                    for each in reversed(value)
                ]
        elif node.slot >= 0:
            values[node.slot].append(value)
            if within:
                inside |= 1 << node.slot
            else:
                outside |= 1 << node.slot
    return values, outside, inside


def holds_alone(conditions: Sequence[Condition], values: Sequence[Scalar]) -> bool:
    """Say whether a field holds judged by itself, given every value at its path."""
    return any(each.holds(value) for value in values or (ABSENT,) for each in conditions)
