"""Matches a whole ruleset at once: a tree of look-ups over the fields that its patterns test.

Every branch of every pattern is entered into the tree under one of its fields, below that under the
next, until few are left; a message walks only the look-ups that its own values lead to. The choice of
fields follows the ruleset: what tells most rules apart comes first. Verdicts are those of
`Pattern.matches`, always; nothing of a pattern's text is ever turned into code.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from service.rules.conditions import ABSENT, Condition
from service.rules.groups import Entry, fits_group, make_groups
from service.rules.index import Node, Switch, is_indexed, is_keyed, make_switch, plain_key
from service.rules.paths import path_tree
from service.rules.pattern import Pattern
from service.rules.projection import Projection, decode_whole
from service.rules.selection import values_at

_MAX_DEPTH: Final = 16
_MIN_GAIN: Final = 2
"""Branches that a look-up must spare to be made."""

_MAX_COPIES: Final = 64
"""Places in the tree where one branch may stand because its fields list several values."""


class Matcher:
    """A compiled ruleset. It never changes; one may serve any number of callers."""

    def __init__(self, patterns: Sequence[Pattern | None]) -> None:
        paths = sorted({path for pattern in patterns if pattern for path in pattern.fields})
        slots = {path: slot for slot, path in enumerate(paths)}
        self._patterns = tuple(patterns)
        self._count = len(paths)
        self._paths = path_tree(paths)
        projection = Projection(self._paths, len(paths))
        self._read, self._width, self._positions = projection.read, projection.width, projection.positions
        self._branches: list[tuple[int, int]] = []  # the rule, and the number of the branch in its pattern
        self._tested: list[int] = []  # the slots that a branch tests, as bits
        entries: list[Entry] = []
        for rule, pattern in enumerate(patterns):
            for number, branch in enumerate(pattern.branches if pattern else [()]):
                fields = {self._positions[slots[field.path]]: field.conditions for field in branch}
                entries.append(Entry(len(self._branches), fields))
                self._branches.append((rule, number))
                self._tested.append(sum(1 << slots[field.path] for field in branch))
        self._root = _build(entries, 0)
        # With one branch a rule, and no way to reach one twice, the tree's answer needs no translation.
        self._plain = len(self._branches) == len(patterns) and not any(map(_overlaps, entries))

    def match(self, event: Mapping[str, Any]) -> list[int]:
        """Return the indexes of the patterns that match a decoded message, ascending."""
        values, outside, inside = values_at(event, self._paths, self._count)
        seen: list[Sequence[Any]] = [(ABSENT,)] * self._width
        for slot, each in enumerate(values):
            if each:
                # True and 1 are equal for Python, hence the classes.
                different = {(value.__class__, value): value for value in each}
                # A field that is only inside arrays may be absent from the elements that will be chosen.
                absent = () if outside >> slot & 1 else (ABSENT,)
                seen[self._positions[slot]] = (*different.values(), *absent)
        found = _walk_all(self._root, seen)
        if inside:
            found = {branch for branch in found if self._confirmed(branch, event, inside)}
        return sorted({self._branches[branch][0] for branch in found})

    def match_message(self, head: Mapping[str, Any], data: bytes | None) -> list[int]:
        """Return the indexes of the patterns that match a message whose JSON `data` is not decoded yet.

        `head` is the message without `data`. Raises msgspec.DecodeError when `data` is not JSON, though
        not always: what no pattern asks for is not looked at.
        """
        values = self._read(head, data)
        if values is None:
            return self.match(head if data is None else {**head, "data": decode_whole(data)})
        found = _walk(self._root, values)
        if self._plain:
            found.sort()
            return found
        return sorted({self._branches[branch][0] for branch in found})

    def _confirmed(self, branch: int, event: Mapping[str, Any], inside: int) -> bool:
        """Judge a branch that may take values from different elements of one array."""
        if not self._tested[branch] & inside:
            return True
        rule, number = self._branches[branch]
        pattern = self._patterns[rule]
        return pattern is None or pattern.branch_matches(number, event)


def compile_patterns(patterns: Sequence[Pattern | None]) -> Matcher:
    """Return the matcher of a ruleset's patterns, in their order; None matches every message."""
    return Matcher(patterns)


def _walk(root: Node, values: Sequence[Any]) -> list[int]:
    """Return the branches that hold for one value (or `ABSENT`) at each position."""
    found: list[int] = []
    queue = [root]
    for branches, switches, groups in queue:  # grows while it is walked
        if branches:
            found += branches
        for position, get, visit, always in switches:
            value = values[position]
            node = get(value)
            if node is not None:
                queue.append(node)
            if visit is not None and (node is None or always):
                visit(value, queue)
        for judge, _ in groups:
            judge(values, found)
    return found


def _walk_all(root: Node, values: Sequence[Sequence[Any]]) -> set[int]:
    """Return the branches for which every position has some value that satisfies it."""
    found: set[int] = set()
    queue = [root]
    visited: set[int] = set()
    for node in queue:
        if id(node) in visited:
            continue
        visited.add(id(node))
        branches, switches, groups = node
        found.update(branches)
        for position, get, visit, always in switches:
            for value in values[position]:
                below = get(value)
                if below is not None:
                    queue.append(below)
                if visit is not None and (below is None or always):
                    visit(value, queue)
        for _, judge in groups:
            judge(values, found)
    return found


def _overlaps(entry: Entry) -> bool:
    """Say whether one value may satisfy two members of a field's list, so that both lead to the branch."""
    return any(
        len(conditions) > 1 and not all(map(plain_key, conditions)) for conditions in entry.fields.values()
    )


def _build(entries: list[Entry], depth: int) -> Node:
    """Return the node for `entries`: those that hold here, look-ups for the many, groups for the rest."""
    done = tuple(entry.branch for entry in entries if not entry.fields)
    rest = [entry for entry in entries if entry.fields]
    switches: list[Switch] = []
    if depth < _MAX_DEPTH and not fits_group(rest):
        choice = _Choice(rest)
        while not fits_group(rest) and (position := choice.best()) is not None:
            below: dict[Condition, list[Entry]] = {}
            for entry in choice.take(position):
                smaller = entry.without(position)
                for condition in entry.fields[position]:
                    below.setdefault(condition, []).append(smaller)
            switches.append(make_switch(position, below, lambda group: _build(group, depth + 1)))
            rest = [entry for entry in rest if entry.branch not in choice.taken]
    return done, tuple(switches), make_groups(rest)


def _may_switch(entry: Entry, position: int) -> bool:
    conditions = entry.fields.get(position, ())
    crowded = entry.copies > 1 and entry.copies * len(conditions) > _MAX_COPIES
    return bool(conditions) and not crowded and all(map(is_indexed, conditions))


class _Choice:
    """Keeps count of what the branches of a node test, to choose the field to look up next."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[int, list[Entry]] = {}
        self._counts: dict[int, Counter[Condition]] = {}
        self._sizes: Counter[int] = Counter()
        self._totals: Counter[int] = Counter()
        self._squares: Counter[int] = Counter()
        self._loose: Counter[int] = Counter()
        self.taken: set[int] = set()
        for entry in entries:
            for position in self._count(entry, 1):
                self._entries.setdefault(position, []).append(entry)

    def take(self, position: int) -> list[Entry]:
        """Return the branches that the look-up of `position` is to lead to; they no longer count here."""
        entries = [entry for entry in self._entries.pop(position) if entry.branch not in self.taken]
        for entry in entries:
            self.taken.add(entry.branch)
            self._count(entry, -1)
        return entries

    def _count(self, entry: Entry, change: int) -> list[int]:
        """Add (1) or take out (-1) a branch; return the positions whose look-up could lead to it."""
        positions = [position for position in entry.fields if _may_switch(entry, position)]
        for position in positions:
            counts = self._counts.setdefault(position, Counter())
            self._sizes[position] += change
            for condition in entry.fields[position]:
                if is_keyed(condition):
                    before = counts[condition]
                    counts[condition] = before + change
                    self._totals[position] += change
                    self._squares[position] += (before + change) ** 2 - before**2
                else:
                    self._loose[position] += change
        return positions

    def best(self) -> int | None:
        """Return the position whose look-up spares most branches, or None when none spares many."""
        best, most = None, float(_MIN_GAIN)
        for position in self._entries:
            # If messages have the values that rules ask for, as often as they ask, so many are met; of ranges
            # and the like two of three.
            keyed = self._squares[position] / (self._totals[position] + 1)
            gain = self._sizes[position] - keyed - self._loose[position] * 2 / 3
            if gain > most:
                best, most = position, gain
        return best
