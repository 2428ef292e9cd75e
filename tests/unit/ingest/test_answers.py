"""The bytes of answers."""

import pytest

from service.ingest.answers import Answers, Unsound, check
from tests.fakes.ingest import NOW, read_answers
from tests.tables import every_row
from triggers.base import Reply


def test_an_answer_has_length_and_date_and_no_server_name() -> None:
    data = Answers().encode(Reply(status=202, headers=(("x-a", "b"),), body=b"abc"), NOW, close=False)
    assert data == (
        b"HTTP/1.1 202 Accepted\r\nx-a: b\r\ndate: Thu, 28 May 2026 20:26:40 GMT\r\ncontent-length: 3\r\n\r\nabc"
    )


def test_the_date_moves_on() -> None:
    answers = Answers()
    first = answers.encode(Reply(status=200), NOW, close=False)
    assert answers.encode(Reply(status=200), NOW + 0.9, close=False) == first
    assert b"20:26:41 GMT" in answers.encode(Reply(status=200), NOW + 1, close=False)


def test_fixed_headers_stand_on_every_answer() -> None:
    answers = Answers((("X-Content-Type-Options", "nosniff"),))
    for status in (200, 404):
        (answer,) = read_answers(answers.encode(Reply(status=status), NOW, close=True))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["connection"] == "close"


def test_to_head_the_length_is_told_and_the_body_is_not() -> None:
    data = Answers().encode(Reply(status=200, body=b"abc"), NOW, close=False, bare=True)
    assert data.endswith(b"content-length: 3\r\n\r\n")


@every_row("status", [204, 304])
def test_some_statuses_have_neither_body_nor_length(status: int) -> None:
    data = Answers().encode(Reply(status=status, body=b"abc"), NOW, close=False)
    assert b"content-length" not in data
    assert data.endswith(b"\r\n\r\n")


def test_headers_of_the_server_are_its_own() -> None:
    headers = (
        ("Content-Length", "9"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Date", "x"),
    )
    (answer,) = read_answers(
        Answers().encode(Reply(status=200, headers=headers, body=b"ab"), NOW, close=False)
    )
    assert sorted(answer.headers) == ["content-length", "date"]
    assert answer.headers["content-length"] == "2"


@every_row(
    "reply",
    [
        Reply(status=200, headers=(("x", "a\r\nSet-Cookie: b"),)),
        Reply(status=200, headers=(("x", "a\nb"),)),
        Reply(status=200, headers=(("x", "a\x00"),)),
        Reply(status=200, headers=(("x", "€"),)),
        Reply(status=200, headers=(("x y", "a"),)),
        Reply(status=200, headers=(("x:", "a"),)),
        Reply(status=100),
        Reply(status=700),
    ],
)
def test_what_would_break_the_answer_is_unsound(reply: Reply) -> None:
    with pytest.raises(Unsound):
        check(reply)
