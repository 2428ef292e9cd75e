"""Finds, for one value, which of very many conditions hold, without trying them one after the other.

A `Switch` stands for all the conditions that a group of rules puts on one field. It leads from a value
to the nodes of the rules whose condition holds: plain values by one dictionary access, prefixes and
suffixes by bisection, ranges by bisection and a walk up a small tree. What has no index (a wildcard
that begins and ends with a star) is tried. The meaning of every condition stands in `conditions.py`.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from service.rules.conditions import (
    ABSENT,
    Absent,
    Condition,
    EndsWith,
    Equals,
    IgnoringCase,
    InNetwork,
    Present,
    SameAddress,
    Seen,
    StartsWith,
    Wildcard,
    Within,
    read_address,
)

Node = tuple[Any, ...]
"""A node of the matcher's tree; only `compile.py` looks inside."""

Queue = list[Node]
Visit = Callable[[Any, Queue], None]
Guarded = tuple[Callable[[Seen], bool] | None, Node]
"""A node that is reached when its test, if it has one, holds too."""

_FEW: Final = 4
"""Up to so many ranges are tried one by one."""

_MAX_MERGED: Final = 4
"""Of how many times as many entries the nodes of plain values may have with those merged in."""

_TRUE: Final = object()
_FALSE: Final = object()
_VALUES: Final = {_TRUE: True, _FALSE: False}

# Compiling asks millions of times what a condition is, and `isinstance` is ten times as slow where classes
# derive from ABC.
_KEYED: Final = frozenset({Equals, Absent, SameAddress, IgnoringCase, StartsWith, EndsWith})
_SEARCHED: Final = frozenset({Within, InNetwork, Present})

T = TypeVar("T")


def equal_key(value: Any) -> Any:
    """Return what stands for a plain value in dictionaries, where Python would mistake true for 1."""
    if value is True:
        return _TRUE
    return _FALSE if value is False else value


def confusable(keys: Iterable[Any]) -> bool:
    """Say whether true or false might be mistaken for one of `keys`."""
    return any(key in (0, 1) or key is _TRUE or key is _FALSE for key in keys)


def plain_key(condition: Condition) -> tuple[Any] | None:
    """Return the key of the one value (or `ABSENT`) that satisfies `condition`; None when there are more."""
    if isinstance(condition, Equals):
        return (equal_key(condition.value),)
    if isinstance(condition, Absent):
        return (ABSENT,)
    return None


def is_keyed(condition: Condition) -> bool:
    """Say whether an index leads to this condition directly, so that most values never meet it."""
    if condition.__class__ in _KEYED:
        return True
    return isinstance(condition, Wildcard) and bool(condition.pieces[0] or condition.pieces[-1])


def is_indexed(condition: Condition) -> bool:
    """Say whether an index has this condition at all."""
    return is_keyed(condition) or condition.__class__ in _SEARCHED


def tester(conditions: Sequence[Condition]) -> Callable[[Any], bool]:
    """Return a quick test that says whether one of `conditions` holds."""
    tests = [_within(each) if isinstance(each, Within) else each.holds for each in conditions]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _within(condition: Within) -> Callable[[Any], bool]:
    low = -math.inf if condition.low is None else condition.low
    high = math.inf if condition.high is None else condition.high
    low_open, high_open = condition.low_open, condition.high_open

    def test(value: Any) -> bool:
        return (
            (value.__class__ is float or value.__class__ is int)
            and low <= value <= high
            and not (low_open and value == low)
            and not (high_open and value == high)
        )

    return test


class Affixes:
    """Finds all of many texts that a given text starts with."""

    __slots__ = ("_shorter", "_targets", "_texts")

    def __init__(self, targets: Mapping[str, list[Guarded]]) -> None:
        self._texts = sorted(targets)
        self._targets = [tuple(targets[text]) for text in self._texts]
        # For each text the longest other one that it starts with. Whatever stands between a text and its
        # successor in the order starts with it, so one bisection finds the longest, and these the rest.
        self._shorter: list[int] = []
        open_texts: list[int] = []
        for index, text in enumerate(self._texts):
            while open_texts and not text.startswith(self._texts[open_texts[-1]]):
                open_texts.pop()
            self._shorter.append(open_texts[-1] if open_texts else -1)
            open_texts.append(index)

    def visit(self, text: str, value: str, queue: Queue) -> None:
        """Queue the nodes of all texts that `text` starts with and whose test holds for `value`."""
        index = bisect_right(self._texts, text) - 1
        while index >= 0:
            if text.startswith(self._texts[index]):
                for test, node in self._targets[index]:
                    if test is None or test(value):
                        queue.append(node)
            index = self._shorter[index]


Bounds = tuple[float | None, bool, float | None, bool]
"""Low, is it open, high, is it open: as in `Within`."""


class Ranges:
    """Finds all of many ranges that a number lies in: a segment tree over their end points."""

    __slots__ = ("_points", "_size", "_tree")

    def __init__(self, ranges: Sequence[tuple[Bounds, Node]]) -> None:
        ends = {end for bounds, _ in ranges for end in (bounds[0], bounds[2]) if end is not None}
        self._points: list[float] = sorted(ends)
        # Cells in order: below the first point, the first point, between it and the second, …
        self._size = 2 * len(self._points) + 1
        tree: list[list[Node]] = [[] for _ in range(2 * self._size)]
        for (low, low_open, high, high_open), node in ranges:
            first = 0 if low is None else self._cell(low) + low_open
            last = self._size - 1 if high is None else self._cell(high) - high_open
            left, right = first + self._size, last + self._size + 1
            while left < right:
                if left & 1:
                    tree[left].append(node)
                    left += 1
                if right & 1:
                    right -= 1
                    tree[right].append(node)
                left >>= 1
                right >>= 1
        self._tree = [tuple(nodes) for nodes in tree]

    def _cell(self, number: float) -> int:
        index = bisect_left(self._points, number)
        at_point = index < len(self._points) and self._points[index] == number
        return 2 * index + at_point

    def visit(self, number: float, queue: Queue) -> None:
        """Queue the nodes of all ranges that `number` lies in."""
        index = self._cell(number) + self._size
        tree = self._tree
        while index:
            queue += tree[index]
            index >>= 1


Switch = tuple[int, Callable[[Any], Node | None], Visit | None, bool]
"""Position of the field, the look-up of plain values, what else is to be visited, and whether that is so
for every value (else only for those that the look-up does not have)."""


def make_switch(
    position: int, wanted: Mapping[Condition, list[T]], build: Callable[[list[T]], Node]
) -> Switch:
    """Return the switch over the values at `position`, given what is to be reached by each condition.

    `build` makes the node of those that are reached together. Where that does not multiply too much, the
    node of a plain value has also those whose prefix, range, … it satisfies, so that it alone is visited.
    """
    exact = {key[0]: list(each) for condition, each in wanted.items() if (key := plain_key(condition))}
    others = {condition: each for condition, each in wanted.items() if not plain_key(condition)}
    always = bool(others) and not _merge(exact, others)
    nodes = {key: build(each) for key, each in exact.items()}
    get: Callable[[Any], Node | None] = nodes.get
    if confusable(nodes):

        def get(value: Any) -> Node | None:
            return nodes.get(equal_key(value))

    return position, get, _visit({condition: build(each) for condition, each in others.items()}), always


def _merge(exact: dict[Any, list[T]], others: Mapping[Condition, list[T]]) -> bool:
    """Add to each plain value what it reaches through the other conditions, if that is not too much."""
    visit = _visit({condition: (condition,) for condition in others})
    room = _MAX_MERGED * sum(map(len, (*exact.values(), *others.values())))
    more: dict[Any, list[T]] = {}
    for key in exact:
        met: Queue = []
        if visit is not None and key is not ABSENT:
            visit(_VALUES.get(key, key), met)
        more[key] = [each for (condition,) in met for each in others[condition]]
        room -= len(more[key])
        if room < 0:
            return False
    for key, each in more.items():
        exact[key] = list({id(one): one for one in (*exact[key], *each)}.values())
    return True


def _visit(others: Mapping[Condition, Node]) -> Visit | None:
    visits = [
        *_affix_visits(others),
        *_keyed_visits(others),
        *_range_visits(others),
        *_tried_visits(others),
    ]
    if len(visits) < 2:
        return visits[0] if visits else None

    def visit_all(value: Any, queue: Queue) -> None:
        for visit in visits:
            visit(value, queue)

    return visit_all


def _affix(condition: Condition) -> tuple[str, bool, bool] | None:
    """Return the text that a value must start with, whether its case is folded, whether it is reversed."""
    match condition:
        case StartsWith(text, fold):
            return text, fold, False
        case EndsWith(text, fold):
            return text[::-1], fold, True
        case Wildcard(_, pieces) if pieces[0]:
            return pieces[0], False, False
        case Wildcard(_, pieces) if pieces[-1]:
            return pieces[-1][::-1], False, True
        case _:
            return None


def _affix_visits(others: Mapping[Condition, Node]) -> Iterable[Visit]:
    groups: dict[tuple[bool, bool], dict[str, list[Guarded]]] = {}
    for condition, node in others.items():
        affix = _affix(condition)
        if affix is not None:
            text, fold, backwards = affix
            test = condition.holds if isinstance(condition, Wildcard) else None
            groups.setdefault((fold, backwards), {}).setdefault(text, []).append((test, node))
    for (fold, backwards), texts in groups.items():
        yield _affix_visit(Affixes(texts), fold=fold, backwards=backwards)


def _affix_visit(affixes: Affixes, *, fold: bool, backwards: bool) -> Visit:
    def visit(value: Any, queue: Queue) -> None:
        if isinstance(value, str):
            text = value.casefold() if fold else value
            affixes.visit(text[::-1] if backwards else text, value, queue)

    def visit_start(value: Any, queue: Queue) -> None:
        if isinstance(value, str):
            affixes.visit(value, value, queue)

    return visit if fold or backwards else visit_start


def _keyed_visits(others: Mapping[Condition, Node]) -> Iterable[Visit]:
    folded = {each.folded: node for each, node in others.items() if isinstance(each, IgnoringCase)}
    if folded:
        yield _keyed_visit(folded, str.casefold)
    addresses = {each.address: node for each, node in others.items() if isinstance(each, SameAddress)}
    if addresses:
        yield _keyed_visit(addresses, read_address)


def _keyed_visit(nodes: Mapping[Any, Node], key: Callable[[str], Any]) -> Visit:
    def visit(value: Any, queue: Queue) -> None:
        if isinstance(value, str):
            node = nodes.get(key(value))
            if node is not None:
                queue.append(node)

    return visit


def _range_visits(others: Mapping[Condition, Node]) -> Iterable[Visit]:
    numbers: list[tuple[Bounds, Node]] = []
    networks: dict[int, list[tuple[Bounds, Node]]] = {}
    for condition, node in others.items():
        if isinstance(condition, Within):
            bounds = condition.low, condition.low_open, condition.high, condition.high_open
            numbers.append((bounds, node))
        elif isinstance(condition, InNetwork):
            closed = condition.low, False, condition.high, False
            networks.setdefault(condition.version, []).append((closed, node))
    if len(numbers) > _FEW:
        ranges = Ranges(numbers)

        def visit_number(value: Any, queue: Queue) -> None:
            if value.__class__ is int or value.__class__ is float:
                ranges.visit(value, queue)

        yield visit_number
    if networks:
        versions = {version: Ranges(each) for version, each in networks.items()}

        def visit_address(value: Any, queue: Queue) -> None:
            address = read_address(value) if isinstance(value, str) else None
            if address is not None and address[0] in versions:
                versions[address[0]].visit(address[1], queue)

        yield visit_address


def _tried_visits(others: Mapping[Condition, Node]) -> Iterable[Visit]:
    ranges = [condition for condition in others if isinstance(condition, Within)]
    tried = [
        (tester([condition]), node)
        for condition, node in others.items()
        if not is_indexed(condition)
        or isinstance(condition, Present)
        or (isinstance(condition, Within) and len(ranges) <= _FEW)
    ]
    if tried:

        def visit(value: Any, queue: Queue) -> None:
            for test, node in tried:
                if test(value):
                    queue.append(node)

        yield visit
