"""Says why a message does or does not match a pattern: every field tested, what was seen, what would match.

Uses the plain matcher alone, so an explanation is never of another opinion than the verdict. Pure; made on
demand for people, never on the path of a message.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from service.errors import nearest
from service.rules.conditions import (
    ABSENT,
    Absent,
    Condition,
    Equals,
    IgnoringCase,
    Present,
    Scalar,
    Within,
    any_of,
    kind_of,
    show,
)
from service.rules.paths import path_tree
from service.rules.pattern import Branch, Field, Pattern
from service.rules.selection import branch_matches, holds_alone, values_at

_MAX_SEEN: Final = 5
"""Values shown of a field that has many."""


class Tested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of the pattern against one message, judged by itself.

    `pointer` is where it stands in the pattern, `path` where it is looked for in the message. `seen` are
    the values there (at most five of `count`; none when absent), `wants` says what would match, and `hint`,
    where something is near, what is the matter.
    """

    pointer: str
    path: str
    matched: bool
    seen: tuple[Any, ...] = ()
    count: int = 0
    wants: str
    hint: str = ""

    def text(self) -> str:
        """Return one line for people."""
        seen = ", ".join(show(value, 60) for value in self.seen) or "absent"
        if self.count > len(self.seen):
            seen += f", … ({self.count} values)"
        mark = "ok  " if self.matched else "FAIL"
        wants = "" if self.matched else f"; would match: {self.wants}"
        return f"{mark} {self.path}: {seen}{wants}{f' ({self.hint})' * bool(self.hint)}"


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a message does or does not match: `reason` in one sentence, and every field of the pattern.

    `alternative` lists the pointers of the fields that were judged together: all fields of a pattern without
    `$or`, else those of the alternative that matches, or that comes nearest. `failing` is the first of them
    that does not hold, empty when all hold.
    """

    matched: bool
    reason: str
    failing: str = ""
    change: str = ""
    alternative: tuple[str, ...] = ()
    tested: tuple[Tested, ...] = ()

    def text(self) -> str:
        """Return several lines for people: the reason, the nearest change, then every field."""
        lines = [("matches: " if self.matched else "does not match: ") + self.reason]
        if self.change:
            lines.append(f"nearest change: {self.change}")
        chosen = set(self.alternative)
        for each in self.tested:
            other = "" if each.pointer in chosen else "  (another alternative of $or)"
            lines.append(f"  {each.text()}{other}")
        return "\n".join(lines)


def explain_pattern(pattern: Pattern, event: Mapping[str, Any]) -> Explanation:
    """Return why `event` does or does not match `pattern`."""
    fields = list(dict.fromkeys(field for branch in pattern.branches for field in branch))
    tested = {field: _test(field, event) for field in fields}
    matching = next(
        (branch for index, branch in enumerate(pattern.branches) if pattern.branch_matches(index, event)),
        None,
    )
    if matching is not None:
        count = len(matching)
        reason = "all fields hold" if count > 1 else f"{matching[0].path} holds"
        return Explanation(
            matched=True,
            reason=reason,
            alternative=tuple(field.pointer for field in matching),
            tested=tuple(tested.values()),
        )
    # The nearest branch has fewest fields that fail; between equals the first as written.
    nearest_branch = min(
        pattern.branches, key=lambda branch: sum(not tested[field].matched for field in branch)
    )
    return _explain_failure(pattern, nearest_branch, tested, event)


def _explain_failure(
    pattern: Pattern, branch: Branch, tested: Mapping[Field, Tested], event: Mapping[str, Any]
) -> Explanation:
    failing = [tested[field] for field in branch if not tested[field].matched]
    if failing:
        first = failing[0]
        seen = ", ".join(show(value, 60) for value in first.seen) or "absent"
        reason = f"{first.path} is {seen}; would match: {first.wants}"
        if len(failing) > 1:
            reason += f"; {len(failing) - 1} more of {len(branch)} fields fail"
        pointer, change = first.pointer, _change(first)
    else:
        apart = _apart(branch, event)
        names = " and ".join(field.path for field in apart)
        reason = f"{names} hold, but not in the same element of one array"
        pointer = apart[-1].pointer
        change = f"let one element of the array have what {names} ask for"
    if len(pattern.branches) > 1:
        reason = f"none of {len(pattern.branches)} alternatives of $or holds; in the nearest one {reason}"
    return Explanation(
        matched=False,
        reason=reason,
        failing=pointer,
        change=change,
        alternative=tuple(field.pointer for field in branch),
        tested=tuple(tested.values()),
    )


def _apart(branch: Branch, event: Mapping[str, Any]) -> Sequence[Field]:
    """Return the first two fields that hold alone but not together, or all of them."""
    for second, field in enumerate(branch):
        for other in branch[:second]:
            pair = (other, field)
            root = path_tree(each.path for each in pair)
            if not branch_matches([each.conditions for each in pair], root, event):
                return pair
    return branch


def _change(field: Tested) -> str:
    if field.wants == Absent().words():
        return f"remove {field.path}"
    if not field.seen:
        return f"give {field.path} the value {field.wants}"
    return f"change {field.path} from {show(field.seen[0], 60)} to {field.wants}"


def _test(field: Field, event: Mapping[str, Any]) -> Tested:
    values = values_at(event, path_tree([field.path]), 1)[0][0]
    matched = branch_matches([field.conditions], path_tree([field.path]), event)
    return Tested(
        pointer=field.pointer,
        path=field.path,
        matched=matched,
        seen=tuple(values[:_MAX_SEEN]),
        count=len(values),
        wants=any_of(field.conditions),
        hint="" if matched else _hint(field, values, event),
    )


def _hint(field: Field, values: Sequence[Scalar], event: Mapping[str, Any]) -> str:
    """Return what is probably the matter, or nothing."""
    if not values:
        return _hint_absent(field.path, event)
    for value in values:
        for condition in field.conditions:
            hint = _hint_value(value, condition)
            if hint:
                return hint
    if any(isinstance(each, Absent) for each in field.conditions) and holds_alone([Present()], values):
        return "it is there"
    return ""


def _hint_value(value: Scalar, condition: Condition) -> str:
    if isinstance(value, str):
        stripped = value.strip()
        if stripped != value and condition.holds(stripped):
            return "only spaces around it are too much"
        if isinstance(condition, Equals) and condition.kind == "string":
            if IgnoringCase(value, value.casefold()).holds(condition.value):
                return 'it differs in case only: {"equals-ignore-case": …} would match'
            return ""
        if isinstance(condition, Equals | Within):
            try:
                number: Scalar = float(value)
            except ValueError:
                number = {"true": True, "false": False, "null": None}.get(value, value)
            if condition.holds(number):
                return "it is a string, and the pattern asks for a value without quotes"
    elif condition.holds(show(value)) and isinstance(condition, Equals):
        return f"it is of type {kind_of(value)}, and the pattern asks for a string"
    return ""


def _hint_absent(path: str, event: Mapping[str, Any]) -> str:
    """Follow the path as far as it leads and say what is there instead."""
    here: Any = event
    steps = path.split(".")
    for index, step in enumerate(steps):
        if isinstance(here, list):
            here = next((each for each in here if isinstance(each, dict)), ABSENT)
        if not isinstance(here, Mapping):
            return f"there is no object at {'.'.join(steps[:index])}"
        if step not in here:
            meant = nearest(step, [str(key) for key in here])
            return f"did you mean {'.'.join([*steps[:index], meant])}?" if meant else ""
        here = here[step]
    if isinstance(here, list):
        return "it is an empty array" if not here else "it is an array without values of its own"
    return "it is an object: test its fields"
