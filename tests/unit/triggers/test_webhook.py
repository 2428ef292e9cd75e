"""The webhook source: the order of its decisions, what a message holds, and what it never holds."""

import base64
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.tables import every_row
from tests.unit.triggers.requests import NOW, opened, request
from tests.unit.triggers.test_signatures import _PEM, _SIGNING
from triggers import SOURCES
from triggers.base import Batch, Reject, Reply, SourceContext
from triggers.errors import SourceRejected
from triggers.message import TriggerMessage, document
from triggers.presets import PRESETS, sign
from triggers.verification import SCHEME_NAMES
from triggers.webhook import UNAUTHENTICATED, WebhookConfig, WebhookSource

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JSON = {"content-type": "application/json"}
CLOUDEVENT = {"ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0"}


def _message(outcome: Reply | Batch) -> TriggerMessage:
    assert isinstance(outcome, Batch), outcome
    (item,) = outcome.items
    assert isinstance(item, TriggerMessage), item
    return item


def _reject(outcome: Reply | Batch) -> tuple[Reject, Reply, str]:
    assert isinstance(outcome, Batch), outcome
    (item,) = outcome.items
    assert isinstance(item, Reject)
    assert outcome.reply is not None
    return item, outcome.reply, msgspec.json.decode(outcome.reply.body)["type"]


def test_it_is_registered() -> None:
    assert SOURCES["webhook"] == f"{WebhookSource.__module__}:{WebhookSource.__name__}"
    assert WebhookSource.Config is WebhookConfig


# -- wrapping


async def test_a_request_is_wrapped() -> None:
    source = await opened(verify={"scheme": "github", "secrets": [SECRET]})
    body = b'{"action": "opened", "repository": {"full_name": "o/r"}}'
    headers = {
        **JSON,
        **sign("github", SECRET, body, now=NOW),
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": "d-1",
    }
    assert _message(source.receive(request(body, headers, query="a=1&a=2&b=%C3%AB"))) == TriggerMessage(
        id="d-1",
        source="/sources/in",
        type="com.github.issues.opened",
        subject="o/r",
        datacontenttype="application/json",
        format="json",
        data=body,
        meta={
            "kind": "webhook",
            "method": "POST",
            "query": {"a": ["1", "2"], "b": "ë"},
            "headers": {
                "content-type": "application/json",
                "x-github-event": "issues",
                "x-github-delivery": "d-1",
            },
        },
    )


async def test_an_id_that_nobody_gives_is_random() -> None:
    source = await opened()
    assert _message(source.receive(request(b"{}", JSON))).id == "ab" * 16
    assert _message(source.receive(request(b"{}", {**JSON, "idempotency-key": '"k-1"'}))).id == "k-1"


async def test_what_stands_several_times_is_joined() -> None:
    twice = msgspec.structs.replace(
        request(b"{}", query="a=1&a=2&a=3"),
        headers=(("x-a", "1"), ("content-type", "text/plain"), ("x-a", "2")),
    )
    meta = _message((await opened()).receive(twice)).meta
    assert meta["headers"]["x-a"] == "1, 2"
    assert meta["query"] == {"a": ["1", "2", "3"]}


async def test_expressions_win() -> None:
    source = await opened(
        verify={"scheme": "github", "secrets": [SECRET]},
        id="data.number",
        type="meta.headers.x-kind",
        subject="event.source",
    )
    body = b'{"number": 7}'
    headers = {**JSON, **sign("github", SECRET, body, now=NOW), "x-kind": "k", "x-github-delivery": "d"}
    message = _message(source.receive(request(body, headers)))
    assert (message.id, message.type, message.subject) == ("7", "k", "/sources/in")


@every_row("body", [b"{}", b'{"id": null}', b'{"id": {}}', b'{"id": true}', b'{"id": ""}', b'{"id": "a\\n"}'])
async def test_an_id_expression_without_a_text_makes_a_reject(body: bytes) -> None:
    source = await opened(id="data.id")
    reject, reply, kind = _reject(source.receive(request(body, JSON)))
    assert (reject.reason, reject.data, reply.status, kind) == (
        "no-id",
        body,
        400,
        "urn:pointsman:problem:invalid-body",
    )


async def test_a_subject_expression_without_a_text_makes_no_subject() -> None:
    source = await opened(subject="data.none")
    assert _message(source.receive(request(b"{}", JSON))).subject is None


async def test_an_expression_that_does_not_compile_refuses_to_open() -> None:
    with pytest.raises(SourceRejected, match="`type:`"):
        await opened(type="not an expression")


# -- bodies


@every_row(
    ("config", "content_type", "body", "form", "seen"),
    [
        ("auto", "application/json", b"[1]", "json", [1]),
        ("auto", "application/x-www-form-urlencoded", b"a=1&a=2", "form", {"a": ["1", "2"]}),
        ("auto", "text/plain; charset=utf-8", b"x", "text", "x"),
        ("auto", "text/plain", b"", "none", None),
        ("auto", "image/png", b"\xff", "binary", None),
        ("auto", None, b"{}", "binary", None),
        ("auto", None, b"", "none", None),
        ("json", "text/plain", b"{}", "json", {}),
        ("json", None, b"{}", "json", {}),
        ("text", "application/json", b"{", "text", "{"),
        ("binary", "application/json", b"{", "binary", None),
        ("form", "application/octet-stream", b"a=1", "form", {"a": "1"}),
    ],
)
async def test_the_body_is_read_as_said(
    config: str, content_type: str | None, body: bytes, form: str, seen: Any
) -> None:
    source = await opened(body=config)
    headers = {"content-type": content_type} if content_type else {}
    message = _message(source.receive(request(body, headers)))
    assert message.format == form
    assert document(message).get("data") == seen
    assert message.data == (None if form == "none" else body)


@every_row(
    ("headers", "body", "status", "slug", "reason"),
    [
        (JSON, b"", 400, "invalid-body", "invalid-json"),
        (JSON, b"{", 400, "invalid-body", "invalid-json"),
        (JSON, b'"\\ud800"', 400, "invalid-body", "invalid-json"),
        (JSON, b'"\xff"', 400, "invalid-body", "invalid-utf8"),
        (JSON, b"[" * 100_000 + b"]" * 100_000, 400, "too-deep", "too-deep"),
        ({"content-type": "text/plain"}, b"\xff", 400, "invalid-body", "invalid-utf8"),
        (
            {"content-type": "application/json; charset=utf-16"},
            b"{}",
            415,
            "unsupported-media-type",
            "unsupported-charset",
        ),
        (
            {**JSON, "content-encoding": "gzip"},
            b"\x1f\x8b",
            415,
            "unsupported-media-type",
            "unsupported-encoding",
        ),
        (
            {"content-type": "application/cloudevents+xml"},
            b"<x/>",
            415,
            "unsupported-media-type",
            "unsupported-format",
        ),
        (
            {"content-type": "application/cloudevents+json"},
            b"{}",
            400,
            "invalid-cloudevent",
            "invalid-cloudevent",
        ),
        ({**CLOUDEVENT, "ce-time": "now"}, b"", 400, "invalid-cloudevent", "invalid-cloudevent"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_genuine_body_that_cannot_be_read_is_kept(
    headers: dict[str, str], body: bytes, status: int, slug: str, reason: str
) -> None:
    source = await opened(verify={"scheme": "bearer", "secrets": [SECRET]})
    outcome = source.receive(request(body, {**headers, "authorization": f"Bearer {SECRET}"}))
    reject, reply, kind = _reject(outcome)
    assert (reply.status, kind, reject.reason, reject.data) == (
        status,
        f"urn:pointsman:problem:{slug}",
        reason,
        body,
    )
    assert SECRET not in repr(outcome)
    assert source.receive(request(body, headers)) is UNAUTHENTICATED


async def test_depth_is_refused_fast() -> None:
    source = await opened()
    started = time.thread_time()
    _reject(source.receive(request(b"[" * 1_000_000, JSON)))
    assert time.thread_time() - started < 0.5


# -- CloudEvents


async def test_a_cloudevent_keeps_its_attributes() -> None:
    source = await opened(verify={"scheme": "bearer", "secrets": [SECRET]}, id="data.none")
    headers = {**CLOUDEVENT, **JSON, "ce-myext": "v", "authorization": f"Bearer {SECRET}", "host": "h"}
    message = _message(source.receive(request(b"{}", headers)))
    assert (message.id, message.source, message.type, message.extensions) == ("1", "/s", "t", {"myext": "v"})
    assert message.meta["headers"] == {"content-type": "application/json", "host": "h"}


async def test_a_batch_is_many_messages_or_none() -> None:
    source = await opened()
    events = [{"specversion": "1.0", "id": str(number), "source": "/s", "type": "t"} for number in range(3)]
    headers = {"content-type": "application/cloudevents-batch+json"}
    outcome = source.receive(request(json.dumps(events).encode(), headers))
    assert isinstance(outcome, Batch)
    assert [item.id for item in outcome.items if isinstance(item, TriggerMessage)] == ["0", "1", "2"]
    assert source.receive(request(b"[]", headers)) == Batch(items=())
    _reject(source.receive(request(json.dumps([*events, {}]).encode(), headers)))


async def test_a_fixed_format_sees_no_cloudevents_and_cloudevents_alone_nothing_else() -> None:
    source = await opened(body="json")
    assert _message(source.receive(request(b"{}", {**CLOUDEVENT, **JSON}))).source == "/sources/in"
    strict = await opened(body="cloudevents")
    assert _message(strict.receive(request(b"{}", {**CLOUDEVENT, **JSON}))).source == "/s"
    _reject(strict.receive(request(b"{}", JSON)))


# -- verification


def _config(scheme: str) -> dict[str, Any]:
    extra: dict[str, dict[str, Any]] = {
        "hmac": {"header": "X-Sig", "timestamp_header": "X-At", "signed": "{timestamp}{body}"},
        "basic": {"username": "ann"},
        "api-key": {"header": "X-Weird-Name"},
        "bearer": {"query": True},
        "none": {},
    }
    verify = {"scheme": scheme, **extra.get(scheme, {})}
    if scheme != "none":
        verify["secrets"] = [_PEM if scheme == "sendgrid" else SECRET]
    return {"verify": verify}


async def _genuine(scheme: str, body: bytes, headers: dict[str, str]) -> tuple[WebhookSource, dict[str, str]]:
    source = await opened(**_config(scheme))
    verify = source.config.verify
    schemes = () if scheme == "none" else verify.schemes()  # type: ignore[union-attr]
    secret = _SIGNING if scheme == "sendgrid" else SECRET
    url = "https://hooks.example.com/hooks/in"
    signed = sign(schemes, secret, body, now=NOW, id="msg_1", url=url) if schemes else {}
    return source, {**headers, **signed}


@every_row("scheme", SCHEME_NAMES)
async def test_genuine_requests_are_taken_and_others_are_all_told_the_same(scheme: str) -> None:
    body, headers = b"a=1", {"content-type": "application/x-www-form-urlencoded"}
    source, genuine = await _genuine(scheme, body, headers)
    _message(source.receive(request(body, genuine)))
    if scheme == "none":
        return
    for forged in (headers, {name: value + "x" for name, value in genuine.items()}):
        assert source.receive(request(body, forged)) is UNAUTHENTICATED
    assert source.refusals.total() == 2
    assert UNAUTHENTICATED.status == 401
    assert b"bad-signature" in UNAUTHENTICATED.body


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
@given(
    words=st.dictionaries(
        st.sampled_from(
            ["X-Api-Key", "Cookie", "Proxy-Authorization", "X-Auth-Token", "Authentication", "X-CSRF-Token"]
        ),
        st.just("planted-credential"),
    ),
    query=st.sampled_from(
        ["", "access_token=planted-credential", "x=1&api_key=planted-credential&Token=planted-credential"]
    ),
)
async def test_no_credential_enters_a_message(scheme: str, words: dict[str, str], query: str) -> None:
    if scheme == "twilio":
        query = ""
    body, headers = b'{"a": 1}', dict(JSON)
    if scheme == "twilio":
        body, headers = b"a=1", {"content-type": "application/x-www-form-urlencoded"}
    source, genuine = await _genuine(scheme, body, headers)
    proofs = [value for name, value in genuine.items() if name not in headers]
    for changed in (body, b"{"):  # the second: what becomes a reject, where nothing is signed
        outcome = source.receive(request(changed, {**genuine, **words}, query=query))
        shown = repr(outcome)
        assert "planted-credential" not in shown
        for proof in [SECRET, *proofs]:
            assert proof not in shown or proof == "msg_1"
    assert base64.b64encode(SECRET.encode()).decode() not in shown


async def test_a_key_in_the_query_is_dropped_too() -> None:
    source = await opened(verify={"scheme": "api-key", "query": "k", "secrets": [SECRET]})
    message = _message(source.receive(request(b"", query=f"k={SECRET}&x=1")))
    assert message.meta["query"] == {"x": "1"}
    assert source.receive(request(b"", query="k=x")) is UNAUTHENTICATED


async def test_the_public_url_is_what_was_signed() -> None:
    public = "https://public.example/in"
    source = await opened(verify={"scheme": "twilio", "secrets": [SECRET]}, public_url=public)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        **sign("twilio", SECRET, b"a=1", now=NOW, url=f"{public}?x=1"),
    }
    assert source.receive(request(b"a=1", headers, query="x=2")) is UNAUTHENTICATED
    outcome = source.receive(request(b"a=1", headers, query="x=1", host="10.0.0.1:8080"))
    assert isinstance(outcome, Batch)
    assert outcome.reply == Reply(status=200, headers=(("content-type", "text/xml"),), body=b"<Response/>")


async def test_github_may_send_sha1_where_allowed() -> None:
    headers = {**JSON, "x-hub-signature": "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"}
    source = await opened(
        verify={"scheme": "github", "secrets": ["It's a Secret to Everybody"], "sha1": True}, body="text"
    )
    _message(source.receive(request(b"Hello, World!", headers)))


# -- handshakes and answers


async def test_origins_get_permission_only_where_configured() -> None:
    source = await opened(allowed_origins=["a.example"], allowed_rate=60)
    assert source.methods == {"POST", "OPTIONS"}
    reply = source.receive(request(method="OPTIONS", headers={"WebHook-Request-Origin": "a.example"}))
    assert isinstance(reply, Reply)
    assert dict(reply.headers)["webhook-allowed-rate"] == "60"
    assert (await opened()).methods == {"POST"}


async def test_slack_is_answered_only_when_genuine() -> None:
    source = await opened(verify={"scheme": "slack", "secrets": [SECRET]})
    body = b'{"type": "url_verification", "challenge": "abc"}'
    genuine = {**JSON, **sign("slack", SECRET, body, now=NOW)}
    reply = source.receive(request(body, genuine))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (200, b"abc")
    assert source.receive(request(body, JSON)) is UNAUTHENTICATED


async def test_meta_is_answered_by_its_own_token() -> None:
    source = await opened(
        verify={"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=", "secrets": [SECRET]},
        handshake={"kind": "meta", "verify_tokens": ["vt"]},
    )
    assert source.methods == {"POST", "GET"}
    query = "hub.mode=subscribe&hub.challenge=42&hub.verify_token="
    assert source.receive(request(method="GET", query=query + "vt")).body == b"42"  # type: ignore[union-attr]
    assert source.receive(request(method="GET", query=query + "x")).status == 403  # type: ignore[union-attr]
    assert source.receive(request(method="GET")) is UNAUTHENTICATED


async def test_graph_is_answered_after_verification() -> None:
    source = await opened(
        verify={"scheme": "api-key", "query": "k", "secrets": [SECRET]}, handshake={"kind": "microsoft-graph"}
    )
    reply = source.receive(request(query=f"k={SECRET}&validationToken=%3Cb%3E"))
    assert isinstance(reply, Reply)
    assert reply.body == b"&lt;b&gt;"
    assert source.receive(request(query="validationToken=x")) is UNAUTHENTICATED
    _message(source.receive(request(b"{}", JSON, query=f"k={SECRET}")))


async def test_the_answer_is_as_configured() -> None:
    source = await opened(respond={"status": 204, "headers": {"X-A": "b"}})
    outcome = source.receive(request(b"{}", JSON))
    assert isinstance(outcome, Batch)
    assert outcome.reply == Reply(status=204, headers=(("x-a", "b"),))
    assert source.max_body_bytes == 1024 * 1024


# -- life and configuration


async def test_a_source_that_is_not_open_stores_nothing() -> None:
    source = WebhookSource("in", WebhookConfig.model_validate({"kind": "webhook", "verify": "none"}))
    assert source.receive(request()).status == 503  # type: ignore[union-attr]
    source = await opened()
    await source.close()
    await source.close()
    assert source.receive(request()).status == 503  # type: ignore[union-attr]


@every_row(
    ("config", "codes"),
    [
        ({"verify": "none"}, {"unverified", "random-id"}),
        ({"verify": "none", "id": "data.id"}, {"unverified"}),
        ({"verify": "none", "body": "cloudevents"}, {"unverified"}),
        ({"verify": "none", "id": "data.id", "handshake": {"kind": "microsoft-graph"}}, {"unverified"}),
        ({"verify": {"scheme": "github", "secrets": ["s"]}}, set()),
        ({"verify": {"scheme": "gitlab", "secrets": ["s"]}}, set()),
        ({"verify": {"scheme": "sendgrid", "secrets": [_PEM]}}, {"random-id"}),
        ({"verify": {"scheme": "bearer", "secrets": [""]}}, {"empty-secret", "random-id"}),
        ({"verify": {"scheme": "hmac", "header": "x", "id_header": "i", "secrets": ["s"]}}, set()),
        ({"verify": {"scheme": "twilio", "secrets": ["s"]}}, {"no-public-url"}),
        ({"verify": {"scheme": "twilio", "secrets": ["s"]}, "public_url": "https://a/b"}, set()),
        (
            {"verify": {"scheme": "github", "secrets": ["s"]}, "handshake": {"kind": "microsoft-graph"}},
            {"handshake-unsigned"},
        ),
        (
            {
                "verify": {"scheme": "github", "secrets": ["s"]},
                "handshake": {"kind": "meta", "verify_tokens": [""]},
            },
            {"empty-secret"},
        ),
    ],
)
async def test_check_tells_what_is_wrong_or_doubtful(config: dict[str, Any], codes: set[str]) -> None:
    source = WebhookSource("in", WebhookConfig.model_validate({"kind": "webhook", **config}))
    findings = source.review()
    assert {finding.code for finding in findings} == codes
    if "empty-secret" in codes:
        with pytest.raises(SourceRejected):
            await source.open(
                SourceContext(name="in", reached=lambda _: None, clock=lambda: NOW, expression=lambda _: len)
            )


@every_row(
    "config",
    [
        {},
        {"verify": "none", "unknown": 1},
        {"verify": "none", "body": "xml"},
        {"verify": "none", "max_body": 0},
        {"verify": "none", "methods": []},
        {"verify": "none", "methods": ["OPTIONS"]},
        {"verify": "none", "public_url": "ftp://x"},
        {"verify": "none", "public_url": "https://x/y?z"},
        {"verify": "none", "respond": {"status": 301}},
        {"verify": "none", "respond": {"headers": {"a": "b\r\nc: d"}}},
        {"verify": "none", "respond": {"headers": {"a b": "c"}}},
        {"verify": "none", "handshake": {"kind": "meta"}},
        {"verify": "none", "handshake": {"kind": "other"}},
        {"verify": "none", "allowed_rate": 0},
    ],
    ids=repr,
)
def test_mistakes_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig.model_validate({"kind": "webhook", **config})


def test_every_field_is_described() -> None:
    schema = WebhookConfig.model_json_schema()
    for model in [schema, *schema["$defs"].values()]:
        for name, member in model["properties"].items():
            assert member.get("description"), (model["title"], name)


@given(
    st.sampled_from([*PRESETS, "none"]),
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(
            [
                "content-type",
                "ce-id",
                "ce-type",
                "ce-source",
                "ce-specversion",
                "x-github-event",
                "content-encoding",
            ]
        )
        | st.text(max_size=10),
        st.text(max_size=30)
        | st.sampled_from(["application/json", "application/cloudevents+json", "text/plain; charset=x"]),
        max_size=8,
    ),
    st.text(max_size=30),
    st.sampled_from(["POST", "GET", "OPTIONS"]),
)
async def test_nothing_that_is_sent_raises(
    scheme: str, body: bytes, headers: dict[str, str], query: str, method: str
) -> None:
    source = await opened(
        **_config(scheme), allowed_origins=["a"], handshake={"kind": "meta", "verify_tokens": ["v"]}
    )
    outcome = source.receive(request(body, headers, query=query, method=method))
    if scheme != "none":
        assert isinstance(outcome, Reply)
    if isinstance(outcome, Batch):
        for item in outcome.items:
            msgspec.msgpack.encode(item)
            assert isinstance(item, Reject) or document(item)
