"""One line in, one line out, whatever the line is."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from service.rules.lines import match_line
from service.rules.pattern import Limits
from tests.tables import every_row


def answer(line: str | bytes) -> dict[str, Any]:
    out = match_line(line)
    assert b"\n" not in out
    decoded = msgspec.json.decode(out)
    assert set(decoded) in ({"match"}, {"error"})
    return dict(decoded)


@every_row(
    "line",
    [
        '{"pattern": {"a": [1]}, "message": {"a": 1}}',
        '{"pattern": "{\\"a\\": [1]}", "message": {"a": 1}}',
        '{"pattern": {"a": [1]}, "message": "{\\"a\\": 1.0}", "name": "anything else is ignored"}',
        b'{"message": {"a": 1, "n": 1e400}, "pattern": {"a": [1]}}',
        '{"pattern": {"a": ["\\ud83d\\ude80"]}, "message": {"a": "🚀"}}\n',
        '{"pattern": {"a": [{"exists": false}]}, "message": {}}',
    ],
)
def test_says_that_it_matches(line: str | bytes) -> None:
    assert answer(line) == {"match": True}


def test_says_that_it_does_not_match() -> None:
    assert answer('{"pattern": {"a": [1]}, "message": {"a": 2}}') == {"match": False}


@every_row(
    ("line", "text"),
    [
        ("", "no line"),
        ("{", "no line"),
        ("[]", "no line"),
        ("{}", "pattern"),
        ('{"pattern": {"a": [1]}}', "message"),
        (b"\xff\xfe", "no line"),
        (b'{"pattern": "\xff", "message": {}}', "no text"),
        (b'{"pattern": {"\xff": [1]}, "message": {}}', "not UTF-8"),
        (b'{"pattern": {"a": [1]}, "message": "\xff"}', "no JSON"),
        (b'{"pattern": {"a": [1]}, "message": {"a": "\xff"}}', "no JSON"),
        ("\ud800", "no text"),
        ('{"pattern": 5, "message": {}}', "a pattern is an object"),
        ('{"pattern": "", "message": {}}', "no JSON value"),
        ('{"pattern": "\\ud800", "message": {}}', ""),
        ('{"pattern": {"a": 1}, "message": {}}', "write [1]"),
        ('{"pattern": {"a": [1], "a": [2]}, "message": {}}', "again"),
        ('{"pattern": "{\\"a\\": [1], \\"a\\": [2]}", "message": {}}', "again"),
        ('{"pattern": {"a": [1]}, "message": []}', "no JSON object"),
        ('{"pattern": {"a": [1]}, "message": "x"}', "no JSON"),
        ('{"pattern": {"a": [1]}, "message": "\\ud800"}', ""),
        ('{"pattern": {"a": ' + "[" * 9_000 + "]" * 9_000 + '}, "message": {}}', "deep"),
        ('{"pattern": {"a": [1]}, "message": ' + "[" * 900 + "]" * 900 + "}", "no JSON object"),
        ('{"pattern": {"a": [1]}, "message": "' + "[" * 99_000 + '"}', "deep"),
    ],
)
def test_a_bad_line_is_an_error_line(line: str | bytes, text: str) -> None:
    assert text in answer(line)["error"]


def test_all_problems_of_a_pattern_are_in_the_error() -> None:
    error = answer('{"pattern": {"a": 1, "b": []}, "message": {}}')["error"]
    assert "write [1]" in error
    assert "empty list" in error


def test_limits_can_be_set() -> None:
    line = '{"pattern": {"a": [1, 2]}, "message": {}}'
    assert b"error" in match_line(line, limits=Limits(values=1))


@given(st.binary(max_size=40))
def test_no_line_raises(line: bytes) -> None:
    answer(line)


@given(st.text('{}[]",:\\1aue.$or', max_size=30), st.text('{}[]",:\\1a', max_size=30))
def test_no_pattern_or_message_raises(pattern: str, message: str) -> None:
    answer(msgspec.json.encode({"pattern": pattern, "message": message}))
