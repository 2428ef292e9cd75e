"""Explanations: the first field that fails, what was seen, what would match."""

from typing import Any

import msgspec

from service.rules.explain import Explanation, explain_pattern
from service.rules.pattern import parse_pattern
from tests.tables import every_row


def explain(pattern: Any, event: dict[str, Any]) -> Explanation:
    explanation = explain_pattern(parse_pattern(pattern), event)
    assert msgspec.json.decode(msgspec.json.encode(explanation), type=Explanation) == explanation
    assert explanation.matched == parse_pattern(pattern).matches(event)
    return explanation


def test_names_the_first_field_that_fails_and_the_nearest_change() -> None:
    explanation = explain(
        {"type": ["order.paid"], "data": {"total": [{"numeric": [">=", 100]}]}},
        {"type": "order.paid", "data": {"total": 99.5}},
    )
    assert not explanation.matched
    assert explanation.failing == "/data/total"
    assert explanation.reason == "data.total is 99.5; would match: a number >= 100"
    assert explanation.change == "change data.total from 99.5 to a number >= 100"
    assert [each.matched for each in explanation.tested] == [True, False]
    assert explanation.text().splitlines()[0] == f"does not match: {explanation.reason}"


def test_says_what_matched() -> None:
    explanation = explain({"a": [1]}, {"a": 1})
    assert explanation.matched
    assert (explanation.failing, explanation.change) == ("", "")
    assert explanation.text() == "matches: a holds\n  ok   a: 1"


@every_row(
    ("pattern", "event", "hint"),
    [
        ({"a": {"totl": [1]}}, {"a": {"total": 1}}, "did you mean a.total?"),
        ({"a": {"x": [1]}}, {"a": 5}, "there is no object at a"),
        ({"a": ["x"]}, {"a": {"b": "x"}}, "it is an object: test its fields"),
        ({"a": ["x"]}, {"a": []}, "it is an empty array"),
        ({"a": ["x"]}, {"a": [{}]}, "it is an array without values of its own"),
        ({"a": {"b": ["x"]}}, {"a": [{"c": 1}]}, ""),
        ({"a": ["Paid"]}, {"a": "paid"}, 'it differs in case only: {"equals-ignore-case": …} would match'),
        ({"a": ["x"]}, {"a": " x"}, "only spaces around it are too much"),
        ({"a": [5]}, {"a": "5"}, "it is a string, and the pattern asks for a value without quotes"),
        ({"a": [True]}, {"a": "true"}, "it is a string, and the pattern asks for a value without quotes"),
        (
            {"a": [{"numeric": [">", 1]}]},
            {"a": "2.5"},
            "it is a string, and the pattern asks for a value without quotes",
        ),
        ({"a": [{"numeric": [">", 1]}]}, {"a": "x"}, ""),
        ({"a": ["5"]}, {"a": 5}, "it is of type number, and the pattern asks for a string"),
        ({"a": [{"exists": False}]}, {"a": 5}, "it is there"),
        ({"a": ["x"]}, {"a": "y"}, ""),
        ({"a": ["x"]}, {}, ""),
    ],
)
def test_hints_at_what_is_near(pattern: Any, event: dict[str, Any], hint: str) -> None:
    assert explain(pattern, event).tested[0].hint == hint


def test_says_when_fields_hold_only_in_different_elements() -> None:
    explanation = explain(
        {"i": {"sku": ["a"], "n": [2]}}, {"i": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}
    )
    assert explanation.reason == "i.sku and i.n hold, but not in the same element of one array"
    assert explanation.failing == "/i/n"
    assert explanation.tested[0].seen == ("a", "b")


def test_says_so_when_only_all_fields_together_fail() -> None:
    # Any two of the three hold together, in different elements.
    pairs = ({"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1})
    explanation = explain({"i": {"a": [1], "b": [1], "c": [1]}}, {"i": list(pairs)})
    assert explanation.reason == "i.a and i.b and i.c hold, but not in the same element of one array"


def test_arrays_that_are_too_deep_show_nothing() -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    assert explain({"a": ["x"]}, {"a": deep}).tested[0].seen == ()


def test_chooses_the_nearest_alternative() -> None:
    pattern = {"z": [1], "$or": [{"a": [1], "b": [1]}, {"c": [1]}]}
    explanation = explain(pattern, {"z": 1, "a": 2, "b": 2, "c": 3})
    assert explanation.failing == "/$or/1/c"
    assert explanation.alternative == ("/z", "/$or/1/c")
    assert explanation.reason.startswith("none of 2 alternatives of $or holds; in the nearest one c is 3")
    assert "another alternative" in explanation.text()
    assert explain(pattern, {"z": 1, "c": 1}).alternative == ("/z", "/$or/1/c")


@every_row(
    ("pattern", "event", "change"),
    [
        ({"a": [{"exists": False}]}, {"a": 5}, "remove a"),
        ({"a": ["x", "y", "z"]}, {}, 'give a the value "x", "y" or "z"'),
        ({"a": [{"anything-but": ["x"]}]}, {"a": "x"}, 'change a from "x" to any value but "x"'),
        ({"a": [{"cidr": "10.0.0.0/8"}]}, {"a": "x"}, 'change a from "x" to an IP address in 10.0.0.0/8'),
        ({"a": [{"wildcard": "a*"}]}, {"a": 1}, 'change a from 1 to a string like "a*"'),
        ({"a": ["::1"]}, {"a": 1}, 'change a from 1 to "::1" (any spelling of that address)'),
        (
            {"a": [{"suffix": {"equals-ignore-case": "X"}}]},
            {"a": 1},
            'change a from 1 to a string that ends with "x" in any case',
        ),
        ({"a": [{"prefix": "x"}]}, {"a": 1}, 'change a from 1 to a string that starts with "x"'),
        ({"a": [{"equals-ignore-case": "X"}]}, {"a": 1}, 'change a from 1 to "X" in any case'),
        ({"a": [{"numeric": [">", 1, "<=", 2]}]}, {"a": 1}, "change a from 1 to a number > 1 and <= 2"),
        ({"a": [{"exists": True}]}, {}, "give a the value any value"),
    ],
)
def test_says_the_nearest_change(pattern: Any, event: dict[str, Any], change: str) -> None:
    assert explain(pattern, event).change == change


def test_long_things_are_cut() -> None:
    explanation = explain({"a": [f"value {index}" for index in range(100)]}, {"a": ["x" * 500] * 50})
    assert len(explanation.reason) < 800
    assert "92 more" in explanation.reason
    assert explanation.tested[0].count == 50
    assert "(50 values)" in explanation.text()


def test_counts_further_failures() -> None:
    assert "1 more of 3 fields fail" in explain({"a": [1], "b": [1], "c": [1]}, {"a": 1}).reason
