"""One text against an expression or a format."""

import time

from actions.validation.texts import has_format, matches
from tests.tables import every_row


@every_row(
    ("pattern", "text", "verdict"),
    [
        ("^a+$", "aaa", True),
        ("^a+$", "b", False),
        ("b", "abc", True),
        (r"^\p{L}+$", "né", True),
        (r"^(?=.*[A-Z]).{4,}$", "abcD", True),
        (r"^(?=.*[A-Z]).{4,}$", "abcd", False),
        ("(", "anything", True),
    ],
)
def test_matches(pattern: str, text: str, verdict: bool) -> None:
    assert matches(pattern, text) is verdict


def test_an_expression_that_explodes_ends_soon() -> None:
    began = time.thread_time()
    assert not matches(r"^(a+)+(?=b)$", "a" * 60 + "!")
    assert time.thread_time() - began < 1


@every_row(
    ("name", "text", "verdict"),
    [
        ("date", "2024-05-17", True),
        ("date", "17 May", False),
        ("uuid", "x", False),
        ("colour", "anything", True),
    ],
)
def test_has_format(name: str, text: str, verdict: bool) -> None:
    assert has_format(name, text) is verdict
