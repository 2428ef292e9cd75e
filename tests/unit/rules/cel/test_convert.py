"""CEL values as JSON, and as text for people."""

import math
from typing import Any

import pytest

from service.rules.cel import (
    Duration,
    EvaluationError,
    OptionalValue,
    Timestamp,
    TypeValue,
    Uint,
    show,
    to_json,
)
from service.rules.cel.values import ABSENT
from tests.tables import every_row
from tests.unit.rules.cel.evaluating import value


@every_row(
    ("text", "expected"),
    [
        ("timestamp('2026-01-31T09:30:00.5Z')", "2026-01-31T09:30:00.5Z"),
        ("duration('3500ms')", "3.5s"),
        ("b'abc'", "YWJj"),
        ("7u", 7),
        ("{1: 'a', true: 'b', 'c': 2u}", {"1": "a", "true": "b", "c": 2}),
        ("[optional.none(), optional.of(1)]", [1]),
        ("{'a': optional.none(), 'b': optional.of([2u])}", {"b": [2]}),
        ("data.items", [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 7}]),
        ("null", None),
        ("1.5", 1.5),
    ],
)
def test_json(text: str, expected: Any) -> None:
    made = to_json(value(text))
    assert made == expected
    assert type(made) is type(expected)


@every_row("odd", [math.nan, math.inf, TypeValue("int"), {1: 0, "1": 0}, ABSENT, OptionalValue(ABSENT)])
def test_what_json_cannot_hold_is_an_error(odd: Any) -> None:
    with pytest.raises(EvaluationError):
        to_json(odd)
    if odd is not ABSENT and not isinstance(odd, OptionalValue):
        with pytest.raises(EvaluationError):
            to_json([odd])


def test_json_is_a_copy_of_what_the_message_holds() -> None:
    original = {"a": [1]}
    made = to_json(original)
    made["a"].append(2)
    assert original == {"a": [1]}


@every_row(
    ("shown", "text"),
    [
        (1.0, "1.0"),
        (99.5, "99.5"),
        (Uint(3), "3u"),
        ("a\n", '"a\\n"'),
        (b"\x00a", 'b"\\x00\\x61"'),
        (None, "null"),
        (True, "true"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (Timestamp(0), 'timestamp("1970-01-01T00:00:00Z")'),
        (Duration(10**9), 'duration("1s")'),
        (OptionalValue(ABSENT), "optional.none()"),
        (OptionalValue(1), "optional.of(1)"),
        ([[[[1]]]], "[[[[…]]]]"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …]"),
        (TypeValue("int"), "int"),
        (ABSENT, "absent"),
    ],
)
def test_show(shown: Any, text: str) -> None:
    assert show(shown) == text


def test_numbers_too_long_to_write_are_named() -> None:
    assert show(10**5_000) == "a very large number"


def test_shown_text_is_cut() -> None:
    assert len(show("x" * 1_000)) <= 80
    assert len(show({"x" * 1_000: ["y" * 1_000] * 100}, 40)) <= 40


def test_names_of_an_object_are_text() -> None:
    with pytest.raises(EvaluationError, match="text for keys"):
        to_json({10**5_000: 1})
    with pytest.raises(EvaluationError, match="text for keys"):
        to_json({1.5: 1})


def test_values_show_themselves_to_developers() -> None:
    assert repr(OptionalValue(1)) == "optional.of(1)"
    assert repr(OptionalValue(ABSENT)) == "optional.none()"
    assert show(value("{true: 1, false: 2}")) == "{true: 1, false: 2}"
    assert show(1j) == "complex"
