"""The compiled matcher gives the verdicts of the plain one, on very many random pairs."""

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from service.rules.compile import compile_patterns
from service.rules.pattern import Pattern, parse_pattern
from tests.contract.random_patterns import Json, Maker
from tests.examples import examples

SETS = 100
PATTERNS = 40
EVENTS = 52


def judge(patterns: list[Pattern], events: list[tuple[dict[str, Json], bytes | None]]) -> int:
    """Check every pair both ways; return how many matched."""
    matcher = compile_patterns(patterns)
    matched = 0
    for head, data in events:
        event = head if data is None else {**head, "data": msgspec.json.decode(data)}
        expected = [index for index, pattern in enumerate(patterns) if pattern.matches(event)]
        assert matcher.match(event) == expected, event
        assert matcher.match_message(head, data) == expected, event
        matched += len(expected)
    return matched


def make_events(maker: Maker, count: int) -> list[tuple[dict[str, Json], bytes | None]]:
    events: list[tuple[dict[str, Json], bytes | None]] = []
    for _ in range(count):
        head, data = maker.head(), maker.data()
        maker.meet({**head, "data": data})
        events.append((head, None if maker.random.random() < 0.03 else msgspec.json.encode(data)))
    return events


def test_compiled_agrees_with_plain_on_over_200_000_random_pairs() -> None:
    matched = 0
    for number in range(SETS):
        maker = Maker(random.Random(number))
        events = make_events(maker, EVENTS)
        matched += judge([parse_pattern(maker.pattern()) for _ in range(PATTERNS)], events)
    pairs = SETS * PATTERNS * EVENTS
    assert pairs >= 200_000
    assert 0.1 <= matched / pairs <= 0.9


def test_compiled_agrees_with_plain_in_a_large_ruleset() -> None:
    maker = Maker(random.Random(-1))
    events = make_events(maker, 30)
    assert judge([parse_pattern(maker.pattern()) for _ in range(1_500)], events) > 4_000


@examples(40)
@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_compiled_agrees_with_plain_on_small_sets(source: random.Random, size: int) -> None:
    maker = Maker(source)
    events = make_events(maker, 4)
    judge([parse_pattern(maker.pattern()) for _ in range(size)], events)
