"""Patterns: the EventBridge pattern language, parsed and matched plainly. This is the definition.

`docs/rules.md` says in words what stands here. `compile.py` matches whole rulesets fast and must always
agree with `Pattern.matches`. Pure: no I/O, no clock; a pattern that was parsed never raises on a message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from service.errors import Invalid, Problem
from service.rules.conditions import Condition, show
from service.rules.json_text import JSONText, read_json, step
from service.rules.operators import RESERVED, OperatorReader, Reporter
from service.rules.paths import PathNode, path_tree
from service.rules.selection import branch_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a pattern may be. The defaults are generous for people and harmless for the machine."""

    combinations: int = 1_000
    """Branches that the `$or`s of one pattern may multiply to; AWS has the same cap."""
    depth: int = 64
    """Keys on the way to a field, dots and `$or`s counted."""
    values: int = 10_000
    """Members of all lists of one pattern together."""
    text_bytes: int = 1_000_000
    wildcard_overlap: int = 9
    """Beginnings of one wildcard that a text may match at once. AWS refuses one that has 10, accepts 7."""


DEFAULT_LIMITS: Final = Limits()

_FIELDS_A_COMBINATION: Final = 100
"""On average, so that combinations of very wide alternatives cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a pattern: its path, where its list stands in the pattern, and the list's members."""

    path: str
    pointer: str
    conditions: tuple[Condition, ...]


Branch = tuple[Field, ...]
"""Fields that must all hold together. A pattern without `$or` is one branch."""


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: it matches when one of its branches does."""

    branches: tuple[Branch, ...]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The paths that this pattern tests, sorted."""
        return tuple(sorted({field.path for branch in self.branches for field in branch}))

    @cached_property
    def _plans(self) -> tuple[tuple[tuple[tuple[Condition, ...], ...], PathNode], ...]:
        return tuple(
            (tuple(field.conditions for field in branch), path_tree(field.path for field in branch))
            for branch in self.branches
        )

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Say whether `event`, a decoded JSON object, matches."""
        return any(branch_matches(conditions, root, event) for conditions, root in self._plans)

    def branch_matches(self, index: int, event: Mapping[str, Any]) -> bool:
        """Say whether `event` matches the branch with that index."""
        return branch_matches(*self._plans[index], event)


def parse_pattern(value: object, *, limits: Limits = DEFAULT_LIMITS) -> Pattern:
    """Return the pattern that decoded JSON describes; raise `Invalid` with all its problems."""
    reader = _PatternReader(limits)
    branches = reader.pattern(value)
    if reader.report.problems:
        raise Invalid(reader.report.problems)
    return Pattern(tuple(branches))


def parse_pattern_text(
    text: str | bytes, *, limits: Limits = DEFAULT_LIMITS, file: str = "pattern"
) -> Pattern:
    """Return the pattern that JSON text describes; problems carry line and column, and name `file`.

    Here a key that stands twice in one object is a problem too.
    """
    # Two levels more than keys: the field's list and the operators in it.
    document = read_json(text, file=file, max_depth=limits.depth * 2 + 6, max_bytes=limits.text_bytes)
    problems = list(document.problems)
    try:
        pattern = parse_pattern(document.value, limits=limits)
    except Invalid as invalid:
        problems += [_placed(problem, document) for problem in invalid.problems]
    else:
        if not problems:
            return pattern
    raise Invalid(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def _placed(problem: Problem, document: JSONText) -> Problem:
    line, column = document.place(problem.pointer)
    return msgspec.structs.replace(problem, file=document.file, line=line, column=column)


class _PatternReader:
    """Reads a pattern into branches, noting every problem on the way.

    After a problem it goes on as if the bad part were absent, so that all are found in one go.
    """

    def __init__(self, limits: Limits) -> None:
        self.report = Reporter()
        self._limits = limits
        self._operators = OperatorReader(self.report, limits.wildcard_overlap)
        self._values = 0
        self._crowded = False

    def pattern(self, value: object) -> list[Branch]:
        if isinstance(value, Mapping):
            branches = self._object(value, "", (), within_or=False)
            self._find_doubles(branches)
            return branches
        self.report.add(
            "not-object",
            "",
            "a pattern is an object",
            found=show(value),
            fix='for example {"type": ["order.paid"]}',
        )
        return []

    def _object(
        self, value: Mapping[Any, Any], pointer: str, path: tuple[str, ...], *, within_or: bool
    ) -> list[Branch]:
        if not value:
            self.report.add(
                "empty-object",
                pointer,
                "an empty object tests nothing",
                fix="name a field in it, or leave it out",
            )
            return []
        fields: list[Field] = []
        branches: list[Branch] = [()]
        for key, member in value.items():
            place = step(pointer, key)
            if not isinstance(key, str):
                self.report.add(
                    "key", place, "a key is a string", found=show(key), fix=f"write {show(str(key))}"
                )
            elif key == "$or":
                branches = self._both(branches, self._or(member, place, path), place)
            elif within_or and key in RESERVED:
                self.report.add(
                    "reserved-name",
                    place,
                    "a field inside $or cannot have the name of an operator",
                    found=show(key),
                    fix="name a field, and put the operator into its list: "
                    f'{{"field": [{{{show(key)}: …}}]}}',
                )
            else:
                more = self._member(member, place, (*path, key), within_or)
                if len(more) == 1:
                    fields += more[0]
                else:
                    branches = self._both(branches, more, place)
        return self._both([tuple(fields)], branches, pointer)

    def _member(self, value: object, pointer: str, path: tuple[str, ...], within_or: bool) -> list[Branch]:
        joined = ".".join(path)
        if joined.count(".") + pointer.count("/$or/") >= self._limits.depth:
            self.report.add("too-deep", pointer, f"nested deeper than {self._limits.depth} keys")
            return []
        if isinstance(value, Mapping):
            return self._object(value, pointer, path, within_or=within_or)
        if isinstance(value, list | tuple):
            conditions = self._list(value, pointer)
            return [(Field(joined, pointer, conditions),)] if conditions else []
        self.report.add(
            "leaf-not-list",
            pointer,
            "a field takes a list of values, or an object with further fields",
            found=show(value),
            fix=f"write [{show(value)}]",
        )
        return []

    def _list(self, value: Sequence[Any], pointer: str) -> tuple[Condition, ...]:
        if not value:
            self.report.add(
                "empty-list",
                pointer,
                "an empty list matches nothing",
                fix='list the values that may match, or [{"exists": false}] for none',
            )
        before, self._values = self._values, self._values + len(value)
        if self._values > self._limits.values:
            if before <= self._limits.values:
                self.report.add(
                    "too-many-values", pointer, f"more than {self._limits.values:,} values in all"
                )
            return ()
        members = [self._operators.member(each, step(pointer, index)) for index, each in enumerate(value)]
        return tuple(dict.fromkeys(each for each in members if each is not None))

    def _or(self, value: object, pointer: str, path: tuple[str, ...]) -> list[Branch]:
        form = "$or takes a list of two or more objects"
        if not isinstance(value, list | tuple):
            self.report.add("or", pointer, form, found=show(value), fix="[{…}, {…}]")
            return []
        if len(value) < 2:
            self.report.add(
                "or",
                pointer,
                form,
                found=show(value),
                fix="add an alternative, or write the fields without $or",
            )
        if pointer.count("/$or") > self._limits.depth:
            self.report.add("too-deep", pointer, f"nested deeper than {self._limits.depth} keys")
            return []
        branches: list[Branch] = []
        for index, member in enumerate(value):
            place = step(pointer, index)
            if isinstance(member, Mapping):
                branches += self._object(member, place, path, within_or=True)
            else:
                self.report.add("or-member", place, "a member of $or is an object", found=show(member))
        return branches

    def _both(self, branches: list[Branch], more: list[Branch], pointer: str) -> list[Branch]:
        """Return every branch joined with every one of `more`."""
        if not more:  # it had a problem, which is noted
            return branches
        count = len(branches) * len(more)
        fields = sum(map(len, branches)) * len(more) + sum(map(len, more)) * len(branches)
        most = self._limits.combinations
        if count <= most and fields <= most * _FIELDS_A_COMBINATION + self._limits.values:
            return [(*one, *two) for one in branches for two in more]
        if not self._crowded:
            self._crowded = True
            self.report.add(
                "too-many-combinations",
                pointer,
                f"the alternatives of $or multiply to more than {most:,} combinations",
                found=f"{count:,} with {fields:,} fields in all",
                fix="split the rule, or list the values in one field",
            )
        return branches

    def _find_doubles(self, branches: list[Branch]) -> None:
        """Report paths that one branch tests more than once, which AWS silently resolves to the last."""
        found: set[tuple[str, str]] = set()
        for branch in branches:
            paths: dict[str, Field] = {}
            for field in branch:
                first = paths.setdefault(field.path, field)
                if first is not field and (first.pointer, field.pointer) not in found:
                    found.add((first.pointer, field.pointer))
                    self.report.add(
                        "path-twice",
                        field.pointer,
                        f"the field {show(field.path)} is tested twice, first at {first.pointer}",
                        fix="write it once, with all its values",
                    )
