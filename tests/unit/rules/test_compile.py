"""The compiled matcher: its two ways of reading a message, and rulesets of odd shapes."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from service.rules.compile import Matcher, compile_patterns
from service.rules.pattern import Pattern, parse_pattern
from tests.tables import every_row


def pattern(value: Any) -> Pattern:
    return parse_pattern(value)


def both(patterns: list[Any], head: dict[str, Any], data: bytes | None) -> list[int]:
    """Match both ways, which must agree with each other and with the plain matcher."""
    return ways(patterns)(head, data)


def ways(patterns: list[Any]) -> Callable[[dict[str, Any], bytes | None], list[int]]:
    """Compile once what `both` then does to any number of messages."""
    parsed = [pattern(each) if each is not None else None for each in patterns]
    matcher = compile_patterns(parsed)

    def match(head: dict[str, Any], data: bytes | None) -> list[int]:
        event = head if data is None else {**head, "data": msgspec.json.decode(data)}
        expected = [index for index, each in enumerate(parsed) if each is None or each.matches(event)]
        assert matcher.match(event) == expected
        assert matcher.match_message(head, data) == expected
        return expected

    return match


def seconds(matcher: Matcher, data: bytes) -> float:
    """Return the best time of some hundred matches."""
    times: list[float] = []
    for _ in range(5):
        start = time.thread_time()
        for _ in range(100):
            matcher.match_message({}, data)
        times.append(time.thread_time() - start)
    return min(times)


def test_none_matches_everything() -> None:
    assert both([None, {"a": ["x"]}, None], {"a": "y"}, None) == [0, 2]
    assert both([None], {}, b"[1, 2]") == [0]


def test_an_empty_ruleset_matches_nothing() -> None:
    assert both([], {"a": 1}, b"{}") == []


@every_row(
    ("data", "expected"),
    [
        (b'{"a": 1}', [0]),
        (b'{"a": 2, "a": 1}', [0]),
        (b'{"a": 1, "a": 2}', []),
        (b'{"a": [2, 1]}', [0]),
        (b'{"a": {"b": 1}}', [1]),
        (b'{"a": {"b": 2}, "a": {"b": 1}}', [1]),
        (b'{"a": {"b": 1}, "a": {"c": 1}}', []),
        (b'{"a.b": 1}', [1]),
        (b'{"a\\u002eb": 1}', [1]),
        (b'{"\\u0061": 1}', [0]),
        (b'[{"a": 1}, {"a": {"b": 1}}]', [0, 1]),
        (b"1", [2]),
        (b"[1]", [2]),
        (b"true", []),
        (b"null", []),
        (b'{"a": true}', []),
        (b'{"a": 1.0}', [0]),
        (b'{"a": 10e-1}', [0]),
    ],
)
def test_reads_data_of_every_shape(data: bytes, expected: list[int]) -> None:
    assert both([{"data": {"a": [1]}}, {"data": {"a": {"b": [1]}}}, {"data": [1]}], {}, data) == expected


@every_row(
    ("number", "expected"),
    [
        (b"9007199254740993", [0, 2]),
        (b"9007199254740992", [2]),
        (b"9007199254740993.0", [2]),
        (b"100000000000000000000000001", [1, 2]),
        (b"100000000000000000000000000", [2]),
    ],
)
def test_large_integers_are_exact(number: bytes, expected: list[int]) -> None:
    patterns = [
        {"data": {"n": [9007199254740993]}},
        {"data": {"n": [10**26 + 1]}},
        {"data": {"n": [{"numeric": [">", 5]}]}},
    ]
    assert both(patterns, {}, b'{"n": ' + number + b"}") == expected


def test_numbers_beyond_binary64_do_not_fail_a_message() -> None:
    matcher = compile_patterns(
        [pattern({"data": {"n": [{"numeric": [">", 5]}]}}), pattern({"data": {"a": [1]}})]
    )
    assert matcher.match_message({}, b'{"n": 1e400, "a": 1}') == [0, 1]
    assert matcher.match_message({}, b'{"n": -1e400, "a": [1]}') == [1]
    assert matcher.match_message({}, b'{"a": [1], "n": ' + b"9" * 10_000 + b"}") == [0, 1]


def test_data_that_is_no_json_raises() -> None:
    matcher = compile_patterns([pattern({"data": {"a": [1]}})])
    with pytest.raises(msgspec.DecodeError):
        matcher.match_message({}, b'{"a": ')


@every_row(
    "key",
    [
        "__proto__",
        "__class__",
        "__dict__",
        "constructor",
        "f0",
        "$ref",
        "",
        "é",
        "🚀",
        'a"b',
        "a\\b",
        "a\nb",
        "a b",
    ],
)
def test_keys_have_no_special_meaning(key: str) -> None:
    patterns = [{"data": {key: ["x"]}}, {"data": {"o": {key: [1]}}}, {key: ["x"]}, {"data": {"z": [1]}}]
    assert both(patterns, {key: "x"}, msgspec.json.encode({key: "x", "o": {key: 1}, "z": 1})) == [0, 1, 2, 3]
    assert both(patterns, {}, b'{"o": {}}') == []


def test_keys_that_msgspec_cannot_name_do_not_disturb_others() -> None:
    patterns = [
        {"data": {"a": {'q"': [1]}, "b": {"c": [2]}, "d": [3]}},
        {"data": {"b": {"c": [2]}}},
        {"t": [1]},
    ]
    assert both(patterns, {"t": 1}, b'{"a": {"q\\"": 1}, "b": {"c": 2}, "d": 3}') == [0, 1, 2]
    assert both(patterns, {"t": 1}, b'{"a": {}, "b": {"c": 2}}') == [1, 2]
    assert both(patterns, {"t": 1}, None) == [2]


def test_heads_of_every_shape() -> None:
    patterns = [{"meta": {"headers": {"x": ["1"]}}}, {"type": ["t"]}, {"meta": [{"exists": False}]}]
    assert both(patterns, {"type": "t", "meta": {"headers": {"x": "1"}}}, None) == [0, 1, 2]
    assert both(patterns, {"type": ["s", "t"], "meta": {"headers": {"x": ["1"]}}}, b"{}") == [0, 1, 2]
    assert both(patterns, {"meta.headers": {"x": "1"}}, None) == [0, 2]
    assert both(patterns, {"meta": {"headers.x": "1"}}, None) == [0, 2]
    assert both(patterns, {"meta": "text"}, None) == []


def test_head_and_data_meet_in_dotted_keys() -> None:
    assert both([{"data": {"a": [1]}}], {"data.a": 1}, b'{"a": 2}') == [0]


def test_several_branches_of_a_rule_count_once() -> None:
    value = {"$or": [{"a": [1]}, {"b": [1]}, {"c": [{"exists": False}]}]}
    assert both([value, {"a": [1]}], {"a": 1, "b": 1}, None) == [0, 1]
    assert both([{"a": ["ab", {"prefix": "a"}, {"suffix": "b"}]}] * 80, {"a": "ab"}, None) == list(range(80))


def test_true_is_not_one_in_large_rulesets() -> None:
    patterns = [
        {"a": [value], "b": [number]} for value in (0, 1, True, False, "1", None) for number in range(40)
    ]
    match = ways(patterns)
    for index, value in enumerate((0, 1, True, False, "1", None)):
        assert match({"a": value, "b": 7}, None) == [index * 40 + 7]
    assert match({"a": 1.0, "b": 7}, None) == [47]
    assert match({"a": [True, "1"], "b": [7, 8]}, None) == [87, 88, 167, 168]


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (lambda n: {"numeric": [">=", n, "<", n + 3]}, 100, {98, 99, 100}),
        (lambda n: {"numeric": [">", 4_990 + n]}, 4_995, set(range(5))),
        (lambda n: {"prefix": f"k{n}"}, "k1234", {1, 12, 123, 1234}),
        (lambda n: {"suffix": f"{n}k"}, "1234k", {4, 34, 234, 1234}),
        (lambda n: {"prefix": {"equals-ignore-case": f"k{n}"}}, "K12", {1, 12}),
        (lambda n: {"suffix": {"equals-ignore-case": f"{n}k"}}, "x12K", {2, 12}),
        (lambda n: {"equals-ignore-case": f"k{n}"}, "K77", {77}),
        (lambda n: {"wildcard": f"k{n}*z"}, "k12az", {1, 12}),
        (lambda n: {"wildcard": f"*k{n}"}, "ak12", {12}),
        (lambda n: {"cidr": f"10.{n // 256}.{n % 256}.0/24"}, "10.0.9.77", {9}),
        (lambda n: f"10.{n // 256}.{n % 256}.1", "10.0.9.1", {9}),
        (lambda n: n, 77.0, {77}),
    ],
    ids=[
        "numeric range",
        "numeric bound",
        "prefix",
        "suffix",
        "prefix ignoring case",
        "suffix ignoring case",
        "ignoring case",
        "wildcard prefix",
        "wildcard suffix",
        "cidr",
        "address",
        "number",
    ],
)
def test_thousands_of_rules_with_one_operator_are_looked_up(
    make: Any, value: Any, expected: set[int]
) -> None:
    patterns = [pattern({"data": {"a": [make(number)]}}) for number in range(1_500)]
    matcher = compile_patterns(patterns)
    data = msgspec.json.encode({"a": value})
    assert set(matcher.match_message({}, data)) == expected
    assert set(matcher.match({"data": {"a": [value]}})) == expected
    # A scan would take a hundred times as long as with the rules that match.
    few = compile_patterns([patterns[index] for index in sorted(expected)])
    assert seconds(matcher, data) < 8 * seconds(few, data)


def test_look_ups_of_very_many_overlapping_conditions_stay_small() -> None:
    exact = [{"a": ["x" * 50 + str(number)], "b": [number % 9]} for number in range(200)]
    wide = [{"a": [{"prefix": "x" * (number % 50)}], "b": [number]} for number in range(200)]
    match = ways(exact + wide)
    assert match({"a": "x" * 50 + "7", "b": 7}, None) == [7, 207]
    assert match({"a": "xx", "b": 1}, None) == [201]
    assert match({"a": 5, "b": 1}, None) == []


def test_values_of_other_types_pass_by_the_indexes() -> None:
    operators = (
        lambda n: {"numeric": [">", n]},
        lambda n: {"prefix": str(n)},
        lambda n: {"suffix": {"equals-ignore-case": f"{n}X"}},
        lambda n: {"cidr": f"10.{n}.0.0/16"},
        lambda n: {"equals-ignore-case": f"{n}X"},
        lambda n: {"wildcard": f"*{n}*"},
        lambda n: f"10.{n}.0.1",
    )
    match = ways([{"a": [make(n)], "b": [0]} for make in operators for n in range(80)])
    for value in (5, 5.5, True, None, "5", "10.5.0.1", "zz", "5x", float("inf"), [1], [None, "10.5.0.1"], {}):
        match({"a": value, "b": 0}, b"{}")


def test_rules_over_very_many_fields_compile_in_time() -> None:
    start = time.process_time()
    matcher = compile_patterns(
        [pattern({f"f{number % 300}": [number], "g": [number % 7]}) for number in range(3_000)]
    )
    assert time.process_time() - start < 5
    assert matcher.match({"f5": 305, "g": 305 % 7}) == [305]


def test_long_lists_in_several_fields_do_not_multiply() -> None:
    lists = {name: [f"{name}{index}" for index in range(200)] for name in "abcd"}
    patterns = [pattern({**lists, "e": [number]}) for number in range(30)] * 3
    start = time.process_time()
    matcher = compile_patterns(patterns)
    assert time.process_time() - start < 3
    event = {"a": "a7", "b": "b7", "c": "c7", "d": "d7", "e": 3}
    assert matcher.match(event) == [3, 33, 63]


def test_identical_rules_with_very_many_fields_compile() -> None:
    wide = pattern({f"f{number}": [1] for number in range(1_500)})
    matcher = compile_patterns([wide] * 40)
    assert matcher.match({f"f{number}": 1 for number in range(1_500)}) == list(range(40))
    assert matcher.match({"f1": 1}) == []
