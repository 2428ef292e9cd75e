"""Answers what providers ask before they deliver, to learn whether an address wants their messages.

Pure: a request's parts in, the whole answer out, or None when it is no handshake. What a sender wrote is
given back only as plain text, bounded, and only where the source is configured for that handshake. Who may
ask was checked before, except for Meta, whose own token is the check.
"""

import hmac
import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from triggers.base import Reply, problem
from triggers.signatures import form_pairs, octets

MAX_CHALLENGE: Final = 1024
"""The longest text that is given back."""

_PLAIN: Final = (
    ("content-type", "text/plain; charset=utf-8"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
)
_MAX_RATE: Final = 10**9


def cloudevents_options(
    headers: Mapping[str, str], *, origins: Sequence[str], rate: int | None, methods: Sequence[str]
) -> Reply:
    """Answer the validation request of CloudEvents' webhook abuse protection (OPTIONS).

    Permission is given by headers alone; an origin that is not allowed gets none. `rate` is per minute, None
    without limit; an asker who wants less is granted less.
    """
    allow = ("allow", ", ".join(methods))
    origin = headers.get("webhook-request-origin", "")
    granted = "*" if "*" in origins else next((name for name in origins if name == origin.lower()), None)
    if not origin or granted is None:
        return Reply(status=204, headers=(allow,))
    asked = headers.get("webhook-request-rate", "")
    allowed = "*" if rate is None else str(rate)
    if asked.isascii() and asked.isdigit() and 0 < int(asked[:12]) <= _MAX_RATE:
        allowed = asked if rate is None else str(min(int(asked[:12]), rate))
    return Reply(
        status=200,
        headers=(
            allow,
            ("webhook-allowed-origin", "*" if granted == "*" else origin),
            ("webhook-allowed-rate", allowed),
        ),
    )


def slack_url_verification(body: bytes) -> Reply | None:
    """Answer Slack's `url_verification`. Call it only for a body whose signature was verified."""
    if b"url_verification" not in body:
        return None
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("type") != "url_verification":
        return None
    return _given_back(data.get("challenge"))


def meta_subscription(query: str, tokens: Sequence[bytes]) -> Reply:
    """Answer Meta's GET: give `hub.challenge` back when `hub.verify_token` is one of ours."""
    fields = _fields(query)
    given, matched = fields.get(b"hub.verify_token", b""), False
    for token in tokens:
        matched |= hmac.compare_digest(token, given)
    if not matched or fields.get(b"hub.mode") != b"subscribe":
        return problem(403, "handshake-refused", "The handshake is refused")
    return _given_back(_text(fields.get(b"hub.challenge")))


def graph_validation(query: str) -> Reply | None:
    """Answer Microsoft Graph's `validationToken`, markup made harmless, as they ask for."""
    fields = _fields(query)
    if b"validationToken" not in fields:
        return None
    return _given_back(_text(fields[b"validationToken"]))


def _fields(query: str) -> dict[bytes, bytes]:
    return dict(form_pairs(octets(query)))


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode("utf-8") if value is not None else None
    except UnicodeDecodeError:
        return None


def _given_back(challenge: Any) -> Reply:
    fine = isinstance(challenge, str) and 0 < len(challenge) <= MAX_CHALLENGE and challenge.isprintable()
    if not fine:
        return problem(400, "handshake-invalid", "The challenge cannot be given back")
    return Reply(status=200, headers=_PLAIN, body=html.escape(challenge).encode("utf-8"))
