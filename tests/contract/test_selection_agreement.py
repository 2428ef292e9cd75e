"""The plain matcher's way through arrays against a brute-force reading of the same rule.

The oracle shares nothing with it but the conditions on single values: it flattens a message to (path,
value, membership) as event-ruler does, and tries every combination of values whose memberships agree.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any

from service.rules.conditions import Absent
from service.rules.pattern import Branch, Pattern, parse_pattern

Membership = dict[int, int]
Leaf = tuple[str, Any, Membership]


def flatten(event: Any) -> list[Leaf]:
    numbers = itertools.count()

    def walk(value: Any, path: str | None, within: Membership) -> Iterator[Leaf]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, key if path is None else f"{path}.{key}", within)
        elif isinstance(value, list):
            array = next(numbers)
            for index, inner in enumerate(value):
                chosen = {**within, array: index} if isinstance(inner, dict | list) else within
                yield from walk(inner, path, chosen)
        else:
            yield path or "", value, within

    return list(walk(event, None, {}))


def agree(one: Membership, two: Membership) -> bool:
    return all(two.get(array, index) == index for array, index in one.items())


def branch_holds(branch: Branch, leaves: list[Leaf]) -> bool:
    choices: list[list[Leaf | None]] = []
    for field in branch:
        found: list[Leaf | None] = [
            leaf
            for leaf in leaves
            if leaf[0] == field.path and any(each.holds(leaf[1]) for each in field.conditions)
        ]
        if any(isinstance(each, Absent) for each in field.conditions):
            found.append(None)
        choices.append(found)
    for chosen in itertools.product(*choices):
        used = [leaf[2] for leaf in chosen if leaf is not None]
        if not all(agree(one, two) for one, two in itertools.combinations(used, 2)):
            continue
        absent = {field.path for field, leaf in zip(branch, chosen, strict=True) if leaf is None}
        if not any(path in absent and all(agree(inside, one) for one in used) for path, _, inside in leaves):
            return True
    return False


def holds(pattern: Pattern, event: Any) -> bool:
    leaves = flatten(event)
    return any(branch_holds(branch, leaves) for branch in pattern.branches)


def make_value(source: random.Random, depth: int) -> Any:
    dice = source.random()
    if depth == 0 or dice < 0.45:
        return source.randint(1, 2)
    if dice < 0.75:
        return [make_value(source, depth - 1) for _ in range(source.randint(0, 3))]
    return {key: make_value(source, depth - 1) for key in "abc" if source.random() < 0.6}


def make_event(source: random.Random) -> dict[str, Any]:
    return {key: make_value(source, 4) for key in "abc"}


def make_pattern(source: random.Random) -> Pattern:
    paths = ["a", "b", "a.a", "a.b", "b.a", "b.b", "a.a.a", "a.a.b", "b.a.c", "a.b.c", "a.b.a", "b.c.a"]
    chosen = source.sample(paths, source.randint(1, 4))
    chosen = [path for path in chosen if not any(other.startswith(path + ".") for other in chosen)]
    members = ([1], [2], [1, {"exists": False}], [{"exists": True}], [{"exists": False}])
    return parse_pattern({path: source.choice(members) for path in chosen})


def test_arrays_are_judged_as_by_brute_force() -> None:
    source = random.Random(7)
    matched = total = 0
    for _ in range(400):
        patterns = [make_pattern(source) for _ in range(10)]
        for event in [make_event(source) for _ in range(8)]:
            for pattern in patterns:
                expected = holds(pattern, event)
                assert pattern.matches(event) == expected, (pattern, event)
                matched += expected
                total += 1
    assert 0.1 <= matched / total <= 0.9
