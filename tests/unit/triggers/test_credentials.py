"""Basic, bearer, API key; and the names that never enter a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.credentials import ApiKey, Basic, Bearer, is_credential
from triggers.keys import BadSecret
from triggers.signatures import Outgoing, Received, Scheme, Verifier

_SCHEMES: list[Scheme] = [
    Basic(username="ann"),
    Bearer(),
    Bearer(in_query=True),
    ApiKey(header="x-api-key"),
    ApiKey(query="key"),
]


def _refusal(scheme: Scheme, headers: dict[str, str], url: str = "https://h/x") -> str | None:
    return Verifier((scheme,), ("old", "sécret")).refusal(Received(headers=headers, body=b"", now=0, url=url))


@every_row("scheme", [one for one in _SCHEMES if not getattr(one, "query", "")], ids=repr)
def test_what_is_made_is_taken(scheme: Scheme) -> None:
    for secret in ("old", "sécret"):
        headers = scheme.sign(Outgoing(body=b"", now=0), secret)
        wire = {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
        assert _refusal(scheme, wire) is None
    assert _refusal(scheme, scheme.sign(Outgoing(body=b"", now=0), "older")) == "bad-credentials"


def test_a_key_in_the_query_is_taken_once() -> None:
    scheme = ApiKey(query="key")
    assert _refusal(scheme, {}, "https://h/x?a=1&key=old") is None
    assert _refusal(scheme, {}, "https://h/x?key=s%C3%A9cret#f") is None
    assert _refusal(scheme, {}, "https://h/x?key=old&key=old") == "missing-credentials"
    assert _refusal(scheme, {}, "https://h/x?key=") == "missing-credentials"
    assert _refusal(scheme, {}, "https://h/x?key=Old") == "bad-credentials"
    with pytest.raises(BadSecret):
        scheme.sign(Outgoing(body=b"", now=0), "old")


def test_a_token_in_the_query_only_where_it_is_allowed() -> None:
    url = "https://h/x?access_token=old"
    assert _refusal(Bearer(), {}, url) == "missing-credentials"
    assert _refusal(Bearer(in_query=True), {}, url) is None


@every_row("text", ["basic YW5uOm9sZA==", "BASIC YW5uOm9sZA==", "Basic   YW5uOm9sZA== "])
def test_basic_is_read_as_http_allows(text: str) -> None:
    assert _refusal(Basic(username="ann"), {"authorization": text}) is None


@every_row("text", ["Basic", "Basic %%%", "Bearer YW5uOm9sZA==", "Basic é", "Basic YW5u", ""])
def test_anything_else_is_not_basic(text: str) -> None:
    assert _refusal(Basic(username="ann"), {"authorization": text}) is not None


@given(st.sampled_from(_SCHEMES), st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_is_sent_raises(scheme: Scheme, value: str, url: str) -> None:
    headers = {"authorization": value, "x-api-key": value}
    if not any(secret in value + url for secret in ("old", "sécret")):
        assert _refusal(scheme, headers, url) is not None


@every_row(
    "name",
    [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "apikey", "api_key", "x-apikey",
        "x-gitlab-token", "x-hub-signature", "x-hub-signature-256", "stripe-signature", "x-slack-signature",
        "x-shopify-hmac-sha256", "access_token", "accesstoken", "id_token", "token", "x-auth-token", "client_secret",
        "password", "x-amz-security-token", "x-csrf-token", "x-functions-key", "ocp-apim-subscription-key",
        "x-goog-api-key", "sig", "hub.verify_token", "x-twilio-email-event-webhook-signature", "x-session-id",
        "webhook-signature", "x-line-signature", "x-forwarded-uri", "referer", "x-original-authorization",
    ],
)  # fmt: skip
def test_credentials_are_known_by_name(name: str) -> None:
    assert is_credential(name)


@every_row(
    "name",
    [
        "content-type", "user-agent", "x-github-event", "x-github-delivery", "x-event-key", "idempotency-key", "host",
        "traceparent", "ce-id", "ce-partitionkey", "webhook-id", "x-request-id", "x-shopify-topic", "accept", "author",
        "pointsman-hops", "x-gitlab-event-uuid", "signal", "tokyo", "x-slack-retry-num", "x-forwarded-for",
    ],
)  # fmt: skip
def test_other_names_are_not(name: str) -> None:
    assert not is_credential(name)
