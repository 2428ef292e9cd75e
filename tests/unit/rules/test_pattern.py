"""What patterns mean and what is refused, construct by construct."""

import itertools
import json
import time
from typing import Any

import pytest

from service.errors import Invalid, Problem
from service.rules.pattern import Limits, parse_pattern, parse_pattern_text
from tests.tables import every_row


def matches(pattern: Any, event: dict[str, Any]) -> bool:
    return parse_pattern(pattern).matches(event)


def problems(pattern: Any, **limits: int) -> list[Problem]:
    with pytest.raises(Invalid) as caught:
        parse_pattern(pattern, limits=Limits(**limits))
    return list(caught.value.problems)


def codes(pattern: Any, **limits: int) -> list[str]:
    return [problem.code for problem in problems(pattern, **limits)]


BIG = 2**53 + 1
YES = [
    ({"a": ["x"]}, {"a": "x", "b": 1}),
    ({"a": ["x", "y"]}, {"a": "y"}),
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}),
    ({"a": [""]}, {"a": ""}),
    ({"a": [None]}, {"a": None}),
    ({"a": [True]}, {"a": True}),
    ({"a": [300]}, {"a": 300.0}),
    ({"a": [300.0]}, {"a": 300}),
    ({"a": [3.018e2]}, {"a": 301.8}),
    ({"a": [-0.0]}, {"a": 0}),
    ({"a": [BIG]}, {"a": BIG}),
    ({"a": [10**25]}, {"a": 10**25}),
    ({"a": ["10.0.0.1"]}, {"a": "10.0.0.1"}),
    ({"a": ["10.0.0.1"]}, {"a": "::ffff:a00:1"}),
    ({"a": ["2001:db8::1"]}, {"a": "2001:0DB8:0:0::0001"}),
    ({"a": ["1.2.3"]}, {"a": "1.2.3"}),
    ({"a": [{"exactly": "::1"}]}, {"a": "::1"}),
    ({"a": [{"prefix": ""}]}, {"a": "anything"}),
    ({"a": [{"suffix": ""}]}, {"a": ""}),
    ({"a": [{"prefix": "ab"}]}, {"a": "abc"}),
    ({"a": [{"suffix": "bc"}]}, {"a": "abc"}),
    ({"a": [{"prefix": {"equals-ignore-case": "EventB"}}]}, {"a": "EvEnTbridge"}),
    ({"a": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"a": "x.PNG"}),
    ({"a": [{"equals-ignore-case": "Straße"}]}, {"a": "STRASSE"}),
    ({"a": [{"equals-ignore-case": ""}]}, {"a": ""}),
    ({"a": [{"wildcard": ""}]}, {"a": ""}),
    ({"a": [{"wildcard": "*"}]}, {"a": ""}),
    ({"a": [{"wildcard": "/u/*/doc"}]}, {"a": "/u//doc"}),
    ({"a": [{"wildcard": r"a\*\\*"}]}, {"a": "a*\\z"}),
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}),
    ({"a": [{"anything-but": "x"}]}, {"a": None}),
    ({"a": [{"anything-but": ["x"]}]}, {"a": 1}),
    ({"a": [{"anything-but": 1}]}, {"a": "1"}),
    ({"a": [{"anything-but": 1}]}, {"a": True}),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": 3}),
    ({"a": [{"anything-but": "10.0.0.1"}]}, {"a": "::ffff:a00:1"}),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": 1}),
    ({"a": [{"anything-but": {"suffix": ["x", "y"]}}]}, {"a": None}),
    ({"a": [{"anything-but": {"equals-ignore-case": ["X"]}}]}, {"a": "xx"}),
    ({"a": [{"anything-but": {"wildcard": "x*"}}]}, {"a": "yx"}),
    ({"a": [{"numeric": ["=", 5]}]}, {"a": 5.0}),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}),
    ({"a": [{"numeric": [">=", 0, "<", 5]}]}, {"a": 0}),
    ({"a": [{"numeric": ["<", 10]}]}, {"a": -1e300}),
    ({"a": [{"numeric": [">", 2**53]}]}, {"a": BIG}),
    ({"a": [{"cidr": "10.0.0.7/24"}]}, {"a": "10.0.0.255"}),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": "2001:db8:1::1"}),
    ({"a": [{"exists": True}]}, {"a": None}),
    ({"a": [{"exists": True}]}, {"a": [1]}),
    ({"a": [{"exists": False}]}, {}),
    ({"a": [{"exists": False}]}, {"a": []}),
    ({"a": [{"exists": False}]}, {"a": {"b": 1}}),
    ({"a": {"b": [{"exists": False}]}}, {}),
    ({"a": {"b": [{"exists": False}]}}, {"a": 5}),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}),
    ({"a": ["x"]}, {"a": ["y", "x"]}),
    ({"a": ["x"]}, {"a": [["x"], 1]}),
    ({"a.b": ["x"]}, {"a": {"b": "x"}}),
    ({"a": {"b": ["x"]}}, {"a.b": "x"}),
    ({"a": {"b.c": ["x"]}}, {"a.b": {"c": "x"}}),
    ({"a": {"b": ["x"]}}, {"a.b": "y", "a": {"b": "x"}}),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}),
    (
        {"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"], "$or": [{"d": [1]}, {"e": [2]}]}]},
        {"c": 1, "b": "y", "e": 2},
    ),
    ({"a": {"$or": [{"b": [1]}, {"c": [1]}]}}, {"a": {"c": 1}}),
    ({"": [1]}, {"": 1}),
    ({"": {"a": [1]}}, {"": {"a": 1}}),
    ({"prefix": ["x"]}, {"prefix": "x"}),
    ({"items": {"sku": ["a"], "n": [2]}}, {"items": [{"sku": "a", "n": 1}, {"sku": "a", "n": 2}]}),
    ({"i": {"a": ["x"], "b": [{"exists": False}]}}, {"i": [{"a": "x"}, {"b": 1}]}),
    ({"i": {"b": ["x"], "a": [{"exists": False}]}}, {"i": [{"b": "x"}, {"a": 1}]}),
    ({"i": {"a": ["x"]}, "j": {"a": ["y"]}}, {"i": [{"a": "x"}], "j": [{"a": "z"}, {"a": "y"}]}),
    ({"i": {"k": {"a": [1], "b": [2]}}}, {"i": [{"k": [{"a": 1}]}, {"k": [{"a": 0}, {"a": 1, "b": 2}]}]}),
]
NO = [
    ({"a": ["x"]}, {}),
    ({"a": ["x"]}, {"a": "X"}),
    ({"A": ["x"]}, {"a": "x"}),
    ({"a": [""]}, {"a": None}),
    ({"a": [None]}, {}),
    ({"a": [1]}, {"a": True}),
    ({"a": [True]}, {"a": 1}),
    ({"a": [False]}, {"a": 0}),
    ({"a": ["true"]}, {"a": True}),
    ({"a": ["300"]}, {"a": 300}),
    ({"a": [BIG]}, {"a": BIG - 1}),
    ({"a": [10**25]}, {"a": 10**25 + 1}),
    ({"a": ["010.0.0.1"]}, {"a": "10.0.0.1"}),
    ({"a": [{"exactly": "::1"}]}, {"a": "0::1"}),
    ({"a": [{"prefix": "1"}]}, {"a": 12}),
    ({"a": [{"prefix": ""}]}, {"a": None}),
    ({"a": [{"suffix": ".PNG"}]}, {"a": "x.png"}),
    ({"a": [{"wildcard": ""}]}, {"a": "x"}),
    ({"a": [{"wildcard": "ab*ba"}]}, {"a": "aba"}),
    ({"a": [{"wildcard": r"\*"}]}, {"a": "x"}),
    ({"a": [{"wildcard": "*"}]}, {"a": 5}),
    ({"a": [{"anything-but": "x"}]}, {"a": "x"}),
    ({"a": [{"anything-but": "x"}]}, {}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": []}),
    ({"a": [{"anything-but": [0]}]}, {"a": 0.0}),
    ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, {"a": "yz"}),
    ({"a": [{"numeric": [">", 0]}]}, {"a": "5"}),
    ({"a": [{"numeric": [">", 0]}]}, {"a": True}),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 0}),
    ({"a": [{"numeric": [">", 2**53]}]}, {"a": 2**53}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.0"}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": 123}),
    ({"a": [{"cidr": "::/0"}]}, {"a": "10.0.0.1"}),
    ({"a": [{"exists": True}]}, {"a": []}),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}),
    ({"a": [{"exists": False}]}, {"a": None}),
    ({"a": {"b": ["x"]}}, {"a": '{"b": "x"}'}),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "y", "b": "x"}),
    ({"items": {"sku": ["a"], "n": [2]}}, {"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}),
    ({"i": {"a": ["x"], "b": [{"exists": False}]}}, {"i": [{"a": "x", "b": 2}, {"a": "y"}]}),
    ({"i": {"b": [{"exists": False}]}}, {"i": [{"a": 1}, {"b": 1}]}),
    ({"i": {"k": {"a": [1]}, "l": {"b": [2]}}}, {"i": [{"k": [{"a": 1}]}, {"l": [{"b": 2}]}]}),
]


@every_row(("pattern", "event"), YES)
def test_matches(pattern: Any, event: dict[str, Any]) -> None:
    assert matches(pattern, event)


@every_row(("pattern", "event"), NO)
def test_does_not_match(pattern: Any, event: dict[str, Any]) -> None:
    assert not matches(pattern, event)


def test_a_field_that_is_absent_makes_the_pattern_fail() -> None:
    # Convoy skips filter keys that the payload lacks.
    assert not matches({"a": [1], "b": [2]}, {"a": 1})


def test_strings_are_never_regular_expressions() -> None:
    assert not matches({"a": ["x.*"]}, {"a": "xyz"})
    assert not matches({"a": [{"prefix": "["}]}, {"a": "x"})
    assert matches({"a": ["x.*"]}, {"a": "x.*"})


def test_a_list_of_values_is_no_substring_test() -> None:
    assert not matches({"a": ["order.paid"]}, {"a": "paid"})
    assert not matches({"a": ["paid"]}, {"a": "order.paid"})


@every_row("key", ["__proto__", "__class__", "constructor", "$ref", "", "$", "a/b", "~", "%"])
def test_keys_have_no_special_meaning(key: str) -> None:
    assert matches({key: ["x"]}, {key: "x"})
    assert not matches({key: ["x"]}, {})
    assert matches({"data": {key: {"y": [1]}}}, {"data": {key: {"y": 1}}})


@every_row(
    ("pattern", "code", "pointer"),
    [
        ([], "pattern-not-object", ""),
        ("x", "pattern-not-object", ""),
        ({}, "pattern-empty-object", ""),
        ({"a": {}}, "pattern-empty-object", "/a"),
        ({"a": []}, "pattern-empty-list", "/a"),
        ({"a": "x"}, "pattern-leaf-not-list", "/a"),
        ({"a": 1}, "pattern-leaf-not-list", "/a"),
        ({"a": None}, "pattern-leaf-not-list", "/a"),
        ({1: ["x"]}, "pattern-key", "/1"),
        ({"a": [["x"]]}, "pattern-nested-list", "/a/0"),
        ({"a": [{}]}, "pattern-operator-count", "/a/0"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "pattern-operator-count", "/a/0"),
        ({"a": ["x", {"EXISTS": True}]}, "pattern-unknown-operator", "/a/1"),
        ({"a": [{"regex": "x"}]}, "pattern-unknown-operator", "/a/0"),
        ({"a": [{"exactly": 1}]}, "pattern-operand-not-string", "/a/0/exactly"),
        ({"a": [{"prefix": ["x"]}]}, "pattern-operand-not-string", "/a/0/prefix"),
        ({"a": [{"prefix": {"suffix": "x"}}]}, "pattern-operand", "/a/0/prefix"),
        (
            {"a": [{"suffix": {"equals-ignore-case": 1}}]},
            "pattern-operand-not-string",
            "/a/0/suffix/equals-ignore-case",
        ),
        ({"a": [{"equals-ignore-case": ["x"]}]}, "pattern-operand-not-string", "/a/0/equals-ignore-case"),
        ({"a": [{"wildcard": 5}]}, "pattern-operand-not-string", "/a/0/wildcard"),
        ({"a": [{"wildcard": "a**b"}]}, "pattern-wildcard", "/a/0/wildcard"),
        ({"a": [{"wildcard": r"a\b"}]}, "pattern-wildcard", "/a/0/wildcard"),
        ({"a": [{"wildcard": "a\\"}]}, "pattern-wildcard", "/a/0/wildcard"),
        ({"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}, "pattern-wildcard-complex", "/a/0/wildcard"),
        ({"a": [{"anything-but": None}]}, "pattern-operand", "/a/0/anything-but"),
        ({"a": [{"anything-but": True}]}, "pattern-operand", "/a/0/anything-but"),
        ({"a": [{"anything-but": []}]}, "pattern-empty-list", "/a/0/anything-but"),
        ({"a": [{"anything-but": ["x", 1]}]}, "pattern-mixed-list", "/a/0/anything-but"),
        ({"a": [{"anything-but": ["x", None]}]}, "pattern-operand", "/a/0/anything-but/1"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "pattern-empty-affix", "/a/0/anything-but/prefix"),
        (
            {"a": [{"anything-but": {"suffix": ["x", ""]}}]},
            "pattern-empty-affix",
            "/a/0/anything-but/suffix/1",
        ),
        ({"a": [{"anything-but": {"prefix": []}}]}, "pattern-empty-list", "/a/0/anything-but/prefix"),
        ({"a": [{"anything-but": {"numeric": 1}}]}, "pattern-unknown-operator", "/a/0/anything-but"),
        (
            {"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]},
            "pattern-operator-count",
            "/a/0/anything-but",
        ),
        ({"a": [{"numeric": 5}]}, "pattern-numeric", "/a/0/numeric"),
        ({"a": [{"numeric": ["=", 1, "=", 2, "<"]}]}, "pattern-numeric", "/a/0/numeric"),
        ({"a": [{"numeric": ["!=", 1]}]}, "pattern-numeric-sign", "/a/0/numeric/0"),
        ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "pattern-numeric-sign", "/a/0/numeric/0"),
        ({"a": [{"numeric": [">", "1"]}]}, "pattern-operand-not-number", "/a/0/numeric/1"),
        ({"a": [{"numeric": [">", True]}]}, "pattern-operand-not-number", "/a/0/numeric/1"),
        ({"a": [{"numeric": [">", 5, "<", 5]}]}, "pattern-numeric-empty", "/a/0/numeric"),
        ({"a": [{"numeric": [">", float("inf")]}]}, "pattern-number-range", "/a/0/numeric/1"),
        ({"a": [float("nan")]}, "pattern-number-range", "/a/0"),
        ({"a": [{"cidr": "10.0.0.0"}]}, "pattern-cidr", "/a/0/cidr"),
        ({"a": [{"cidr": "300.0.0.0/8"}]}, "pattern-cidr", "/a/0/cidr"),
        ({"a": [{"cidr": "10.0.0.0/x"}]}, "pattern-cidr", "/a/0/cidr"),
        ({"a": [{"cidr": "10.0.0.0/-1"}]}, "pattern-cidr", "/a/0/cidr"),
        ({"a": [{"cidr": "10.0.0.0/32"}]}, "pattern-cidr-mask", "/a/0/cidr"),
        ({"a": [{"cidr": "::/128"}]}, "pattern-cidr-mask", "/a/0/cidr"),
        ({"a": [{"cidr": 5}]}, "pattern-operand-not-string", "/a/0/cidr"),
        ({"a": [{"exists": "true"}]}, "pattern-operand", "/a/0/exists"),
        ({"$or": {"a": ["x"]}}, "pattern-or", "/$or"),
        ({"$or": ["x", "y"]}, "pattern-or-member", "/$or/0"),
        ({"$or": [{"a": ["x"]}]}, "pattern-or", "/$or"),
        ({"$or": [{"a": ["x"]}, {}]}, "pattern-empty-object", "/$or/1"),
        ({"$or": [{"a": ["x"]}, {"prefix": ["y"]}]}, "pattern-reserved-name", "/$or/1/prefix"),
        (
            {"$or": [{"a": ["x"]}, {"b": {"in-date-range": ["y"]}}]},
            "pattern-reserved-name",
            "/$or/1/b/in-date-range",
        ),
        ({"a.b": ["x"], "a": {"b": ["y"]}}, "pattern-path-twice", "/a/b"),
        ({"a": ["x"], "$or": [{"a": ["y"]}, {"b": ["z"]}]}, "pattern-path-twice", "/$or/0/a"),
    ],
)
def test_is_refused(pattern: Any, code: str, pointer: str) -> None:
    found = problems(pattern)
    assert (found[0].code, found[0].pointer) == (code, pointer)


def test_all_problems_are_reported_at_once() -> None:
    found = codes({"a": "x", "b": {"c": []}, "d": [{"prefx": 1}, {"exists": 1}], "$or": 5, "e": [1]})
    assert found == [
        "pattern-leaf-not-list",
        "pattern-empty-list",
        "pattern-unknown-operator",
        "pattern-operand",
        "pattern-or",
    ]


def test_problems_say_what_would_be_right() -> None:
    assert problems({"a": "x"})[0].fix == 'write ["x"]'
    assert problems({"a": [{"prefx": "x"}]})[0].fix == 'did you mean "prefix"?'
    assert "plain string" in problems({"a": [{"cidr": "10.0.0.1/32"}]})[0].fix
    assert "character 3" in problems({"a": [{"wildcard": "ab**"}]})[0].message


def test_or_combinations_are_capped() -> None:
    def alternatives(count: int, name: str) -> dict[str, Any]:
        return {"$or": [{f"{name}{index}": [1]} for index in range(count)]}

    assert len(parse_pattern({"x": alternatives(10, "a"), "y": alternatives(100, "b")}).branches) == 1_000
    assert codes({"x": alternatives(11, "a"), "y": alternatives(100, "b")}) == [
        "pattern-too-many-combinations"
    ]
    assert codes(alternatives(3, "a"), combinations=2) == ["pattern-too-many-combinations"]
    wide = {f"w{index}": [1] for index in range(5_000)}
    assert codes({**wide, **alternatives(500, "a")}) == ["pattern-too-many-combinations"]


def test_depth_is_capped() -> None:
    nested: Any = ["x"]
    for _ in range(2_000):
        nested = {"a": nested}
    assert codes(nested) == ["pattern-too-deep"]
    assert codes({"a." * 100 + "a": ["x"]}) == ["pattern-too-deep"]
    ors: Any = {"a": ["x"]}
    for index in range(200):
        ors = {"$or": [ors, {f"b{index}": ["x"]}]}
    assert "pattern-too-deep" in codes(ors)


def test_values_are_capped() -> None:
    assert codes({"a": list(range(10_001))}) == ["pattern-too-many-values"]
    assert codes({"a": [1, 2], "b": [3]}, values=2) == ["pattern-too-many-values"]


def test_every_cap_is_reported_once() -> None:
    assert codes({"a": [1, 2], "b": [3], "c": [4]}, values=1) == ["pattern-too-many-values"]
    two = {"$or": [{"x": [1]}, {"y": [1]}]}
    assert codes({"a": two, "b": two, "c": two}, combinations=1).count("pattern-too-many-combinations") == 1


def test_fields_are_the_tested_paths() -> None:
    pattern = parse_pattern({"b": [1], "$or": [{"a.c": [1]}, {"a": {"d": [2]}}]})
    assert pattern.fields == ("a.c", "a.d", "b")


def test_text_is_read_with_line_and_column() -> None:
    with pytest.raises(Invalid) as caught:
        parse_pattern_text('{"a": ["x"],\n  "b": "y",\n  "a": ["z"]}')
    places = [(problem.code, problem.line, problem.column) for problem in caught.value.problems]
    assert places == [("pattern-leaf-not-list", 2, 8), ("json-duplicate-key", 3, 3)]
    assert "line 1, column 2" in caught.value.problems[1].message
    assert str(caught.value.problems[0]).startswith("pattern:2:8: ")


def test_text_that_is_fine_is_a_pattern() -> None:
    assert parse_pattern_text(b'{"a": [1e2, "\\ud83d\\ude80"]}').matches({"a": "🚀"})


def test_wildcards_take_linear_time() -> None:
    pattern = parse_pattern({"a": [{"wildcard": "*a*ab*aba*"}]})
    start = time.process_time()
    assert not pattern.matches({"a": "a" * 1_000_000})
    assert time.process_time() - start < 1


def test_the_same_element_rule_takes_linear_time() -> None:
    pattern = parse_pattern({"i": {name: [1] for name in "abcdefgh"}})
    items = [{name: int((index >> at) & 1) for at, name in enumerate("abcdefgh")} for index in range(255)] * 8
    start = time.process_time()
    assert not pattern.matches({"i": items})
    assert not pattern.matches({"i": [items, items]})
    assert pattern.matches({"i": [*items, dict.fromkeys("abcdefgh", 1)]})
    assert time.process_time() - start < 2


def test_a_message_that_supplies_paths_twice_through_arrays_takes_bounded_time() -> None:
    names = "abcdefghijkl"
    pattern = parse_pattern({"p": {"q": {name: [1] for name in names}}})
    halves = [dict.fromkeys(half, 1) for half in itertools.combinations(names, 6)]
    start = time.process_time()
    assert not pattern.matches({"p.q": halves[:400], "p": {"q": halves[:400]}})
    assert time.process_time() - start < 2
    assert pattern.matches({"p.q": [halves[0], halves[5]], "p": {"q": [halves[7], halves[-1]]}})


def test_arrays_in_arrays_are_looked_into_64_deep() -> None:
    def wrapped(depth: int) -> Any:
        value: Any = "x"
        for _ in range(depth):
            value = [value]
        return value

    for pattern in ({"a": ["x"]}, {"a": [{"exists": True}]}):
        assert matches(pattern, {"a": wrapped(64)})
        assert not matches(pattern, {"a": wrapped(65)})
        assert not matches(pattern, {"a": wrapped(50_000)})


def test_a_parsed_pattern_is_a_value() -> None:
    one, two = (parse_pattern(json.loads('{"a": [{"numeric": [">", 1]}]}')) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
