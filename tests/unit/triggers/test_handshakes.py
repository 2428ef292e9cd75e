"""Handshakes: permission by headers, challenges given back as harmless plain text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.base import Reply
from triggers.handshakes import (
    cloudevents_options,
    graph_validation,
    meta_subscription,
    slack_url_verification,
)


def _options(headers: dict[str, str], origins: tuple[str, ...], rate: int | None = None) -> dict[str, str]:
    reply = cloudevents_options(headers, origins=origins, rate=rate, methods=("POST",))
    assert reply.body == b""
    return dict(reply.headers)


@every_row(
    ("origins", "asked", "rate", "granted"),
    [
        (("a.example",), {"webhook-request-origin": "a.example"}, None, ("a.example", "*")),
        (("a.example",), {"webhook-request-origin": "A.Example", "webhook-request-rate": "120"}, None, ("A.Example", "120")),
        (("*",), {"webhook-request-origin": "b.example", "webhook-request-rate": "120"}, 60, ("*", "60")),
        (("*",), {"webhook-request-origin": "b.example", "webhook-request-rate": "5"}, 60, ("*", "5")),
        (("*",), {"webhook-request-origin": "b.example", "webhook-request-rate": "0"}, 60, ("*", "60")),
        (("*",), {"webhook-request-origin": "b.example", "webhook-request-rate": "x"}, None, ("*", "*")),
        (("a.example",), {"webhook-request-origin": "b.example"}, None, (None, None)),
        (("a.example",), {}, None, (None, None)),
        (("*",), {}, None, (None, None)),
    ],
)  # fmt: skip
def test_permission_is_given_by_headers(
    origins: tuple[str, ...], asked: dict[str, str], rate: int | None, granted: tuple[str | None, str | None]
) -> None:
    headers = _options(asked, origins, rate)
    assert headers["allow"] == "POST"
    assert (headers.get("webhook-allowed-origin"), headers.get("webhook-allowed-rate")) == granted


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_was_asked_is_never_a_way_in(origin: str, rate: str) -> None:
    headers = _options({"webhook-request-origin": origin, "webhook-request-rate": rate}, ("a.example",))
    assert "webhook-allowed-origin" not in headers or origin.lower() == "a.example"


def _text(reply: Reply | None) -> str:
    assert reply is not None
    assert reply.status == 200
    assert dict(reply.headers)["content-type"] == "text/plain; charset=utf-8"
    assert dict(reply.headers)["x-content-type-options"] == "nosniff"
    return reply.body.decode()


def test_slack_gets_its_challenge() -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    assert _text(slack_url_verification(body)) == "abc"


@every_row(
    "body",
    [
        b"{}",
        b'{"type": "event_callback", "x": "url_verification"}',
        b"url_verification",
        b'["url_verification"]',
    ],
)
def test_other_bodies_are_no_slack_handshake(body: bytes) -> None:
    assert slack_url_verification(body) is None


@every_row("challenge", [None, 1, "", "x" * 1025, "a\r\nb", ["x"]])
def test_an_odd_challenge_is_not_given_back(challenge: object) -> None:
    reply = slack_url_verification(json.dumps({"type": "url_verification", "challenge": challenge}).encode())
    assert reply is not None
    assert reply.status == 400


def test_meta_must_know_our_token() -> None:
    query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=s%20x"
    assert _text(meta_subscription(query, (b"old", b"s x"))) == "1158201444"
    for wrong in (query.replace("s%20x", "sx"), query.replace("subscribe", "x"), "", "hub.verify_token="):
        assert meta_subscription(wrong, (b"s x",)).status == 403
    assert meta_subscription("hub.mode=subscribe&hub.verify_token=s", (b"s",)).status == 400


def test_graph_gets_its_token_without_markup() -> None:
    assert (
        _text(graph_validation("validationToken=Validation%3A+Testing+%26+more"))
        == "Validation: Testing &amp; more"
    )
    assert "<" not in _text(graph_validation("validationToken=%3Cscript%3Ealert(1)%3C/script%3E"))
    assert graph_validation("a=1") is None
    for bad in ("", "%FF", "a%0d%0ab", "x" * 2000):
        reply = graph_validation(f"validationToken={bad}")
        assert reply is not None
        assert reply.status == 400
