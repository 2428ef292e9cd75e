"""Judges a group of branches at once, where few are left: one bit for each.

For every field that the group tests, a table leads from the value to the bits of the branches that it
satisfies; the branches that hold are what all fields' bits have in common. Conditions that no table
can hold (prefixes, ranges, …) are tested last, for the branches that are still possible.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.rules.conditions import ABSENT, Absent, Condition, Equals, NoneOf, Present
from service.rules.index import confusable, equal_key, tester

_MAX_GROUP: Final = 64
"""Branches in a group when a look-up could be made instead."""
_MAX_TESTS: Final = 12
"""Likewise for conditions that no table can hold."""
_MAX_CHUNK: Final = 512
"""Branches in a group when nothing else can be done: tables grow with the square of it."""

_PLAIN: Final = frozenset({Equals, Absent, Present})

Bits = int
Table = tuple[int, Callable[[Any, Bits], Bits], Bits]
"""Position, the look-up by value, and the bits for values that the table does not have."""

Test = tuple[Bits, int, Callable[[Any], bool]]
"""The branch's bit, position, test."""

Judge = Callable[[Sequence[Any], list[int]], None]
JudgeAll = Callable[[Sequence[Sequence[Any]], set[int]], None]
Group = tuple[Judge, JudgeAll]
"""Adds the branches that hold to what was found: for one value at each position, and for several."""


@dataclass(slots=True)
class Entry:
    """A branch on its way into the matcher: what it still has to test, by position."""

    branch: int
    fields: dict[int, tuple[Condition, ...]]
    copies: int = 1

    def without(self, position: int) -> "Entry":
        """Return the branch when `position` has been tested, which it may have been in several places."""
        fields = {each: conditions for each, conditions in self.fields.items() if each != position}
        return Entry(self.branch, fields, self.copies * len(self.fields[position]))


def _is_plain(condition: Condition) -> bool:
    """Say whether a table can hold the condition: it names every value that it treats specially."""
    if condition.__class__ in _PLAIN:
        return True
    return isinstance(condition, NoneOf) and all(type(each) is Equals for each in condition.conditions)


def _tests_of(entry: Entry) -> int:
    return sum(not all(map(_is_plain, conditions)) for conditions in entry.fields.values())


def fits_group(entries: Sequence[Entry]) -> bool:
    """Say whether a group is a good home for these branches."""
    return len(entries) <= _MAX_GROUP and sum(map(_tests_of, entries)) <= _MAX_TESTS


def make_groups(entries: Sequence[Entry]) -> tuple[Group, ...]:
    """Return groups for all of `entries`."""
    return tuple(
        _make_group(entries[start : start + _MAX_CHUNK]) for start in range(0, len(entries), _MAX_CHUNK)
    )


def _make_group(entries: Sequence[Entry]) -> Group:
    tests: list[Test] = []
    plain: dict[int, dict[Bits, tuple[Condition, ...]]] = {}
    for index, entry in enumerate(entries):
        for position, conditions in entry.fields.items():
            if all(map(_is_plain, conditions)):
                plain.setdefault(position, {})[1 << index] = conditions
            else:
                tests.append((1 << index, position, tester(conditions)))
    # The table that concerns most branches comes first: it is most likely to leave none.
    everything = (1 << len(entries)) - 1
    positions = sorted(plain, key=lambda position: -len(plain[position]))
    tables = [_make_table(position, plain[position], everything) for position in positions]
    members = [entry.branch for entry in entries]
    return _judge(everything, tables, tests, members), _judge_all(everything, tables, tests, members)


def _judge(everything: Bits, tables: list[Table], tests: list[Test], members: list[int]) -> Judge:
    tested = sum({bit for bit, _, _ in tests})

    def judge(values: Sequence[Any], found: list[int]) -> None:
        left = everything
        for position, look_up, other in tables:
            left &= look_up(values[position], other)
            if not left:
                return
        if left & tested:
            for bit, position, test in tests:
                if left & bit and not test(values[position]):
                    left ^= bit
        while left:
            bit = left & -left
            found.append(members[bit.bit_length() - 1])
            left ^= bit

    return judge


def _judge_all(everything: Bits, tables: list[Table], tests: list[Test], members: list[int]) -> JudgeAll:
    def judge(values: Sequence[Sequence[Any]], found: set[int]) -> None:
        left = everything
        for position, look_up, other in tables:
            some = 0
            for value in values[position]:
                some |= look_up(value, other)
            left &= some
        for bit, position, test in tests:
            if left & bit and not any(map(test, values[position])):
                left ^= bit
        found.update(branch for index, branch in enumerate(members) if left >> index & 1)

    return judge


def _make_table(position: int, wanted: dict[Bits, tuple[Condition, ...]], everything: Bits) -> Table:
    untested = everything & ~sum(wanted)
    other = untested  # for a value that nobody names
    named: dict[Any, Bits] = {ABSENT: untested}
    for conditions in wanted.values():
        for condition in conditions:
            inner = condition.conditions if type(condition) is NoneOf else (condition,)
            named |= {equal_key(each.value): untested for each in inner if type(each) is Equals}
    for bit, conditions in wanted.items():
        keys = {equal_key(each.value) for each in conditions if type(each) is Equals}
        if any(type(each) is Absent for each in conditions):
            keys.add(ABSENT)
        spared = [each for each in conditions if type(each) is NoneOf]
        if spared or any(type(each) is Present for each in conditions):
            other |= bit
            keys |= named.keys() - {ABSENT} - _excluded(conditions)
        for key in keys:
            named[key] |= bit
    if not confusable(named):
        return position, named.get, other
    return position, lambda value, rest: named.get(equal_key(value), rest), other


def _excluded(conditions: Sequence[Condition]) -> set[Any]:
    """Return the keys for which none of the conditions that hold for unnamed values holds."""
    excluded: set[Any] | None = None
    for condition in conditions:
        if isinstance(condition, Present):
            return set()
        if isinstance(condition, NoneOf):
            values = {equal_key(each.value) for each in condition.conditions if isinstance(each, Equals)}
            excluded = values if excluded is None else excluded & values
    return excluded or set()
