"""Webhooks over real HTTP, as senders of every kind meet them: what is answered, and what becomes of it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from service.usecases.messages import list_rejects, show_message
from tests.end_to_end.backend import backend
from tests.end_to_end.instance import OPEN, Instance, document, instance, step
from triggers.presets import sign

JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCHED = {"content-type": "application/cloudevents-batch+json"}
SECRETS = {"FIRST": "first-secret", "SECOND": "second-secret", "GIVEN": "given-to-meta"}
TWO = [{"env": "FIRST"}, {"env": "SECOND"}]


def _sources(**sources: Any) -> dict[str, Any]:
    return {name: {"kind": "webhook", **source} for name, source in sources.items()}


def _here(folder: Path, sources: Mapping[str, Any], **settings: Any) -> Any:
    """An instance that takes messages and delivers none."""
    content = document("http://127.0.0.1:1", sources=sources, rules={})
    return instance(folder, content, environment=SECRETS, **settings)


async def _send(
    it: Instance, source: str, body: Any = b"", headers: Mapping[str, str] | None = None, **more: Any
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    method = more.pop("method", "POST")
    return await it.client.request(
        method, f"{it.url}/hooks/{source}", content=content, headers=headers or {}, **more
    )


async def _message(it: Instance, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    shown = await show_message(it.service.desk, answer.json()["id"])
    return dict(shown["message"])


def _event(number: str, data: Any = 1, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": number, "source": "/s", "type": "t", "data": data, **more}


async def test_either_of_two_live_secrets_is_taken_and_nobody_learns_which(tmp_path: Path) -> None:
    async with _here(tmp_path, _sources(gh={"verify": {"scheme": "github", "secrets": TWO}})) as it:
        body, answers = b'{"action": "opened"}', {}
        for secret in (SECRETS["FIRST"], SECRETS["SECOND"], "third-secret"):
            named = {**JSON, "x-github-event": "issues", "x-github-delivery": secret}
            answers[secret] = await _send(
                it, "gh", body, {**named, **sign("github", secret, body, now=time.time())}
            )
        unsigned = await _send(it, "gh", body, JSON)
        taken = await _message(it, answers[SECRETS["SECOND"]])
        assert (taken["id"], taken["type"]) == (SECRETS["SECOND"], "com.github.issues.opened")
        assert "x-hub-signature-256" not in taken["meta"]["headers"]
        assert answers[SECRETS["FIRST"]].status_code == 202
        refused = answers["third-secret"]
        assert (refused.status_code, refused.content) == (unsigned.status_code, unsigned.content)
        assert refused.json() == {
            "type": "urn:pointsman:problem:bad-signature", "title": "Not authenticated", "status": 401
        }  # fmt: skip


async def test_expressions_say_id_type_and_subject_and_respond_says_the_answer(tmp_path: Path) -> None:
    asked = {
        "verify": {"scheme": "none"},
        "id": "data.nr",
        "type": "'shop.' + data.kind",
        "subject": "data.?of",
        "respond": {"status": 201, "headers": {"X-Thing": "hi"}, "body": "<ok/>"},
    }
    plain = {name: value for name, value in asked.items() if name != "respond"}
    async with _here(tmp_path, _sources(asked=asked, plain=plain)) as it:
        answer = await _send(it, "asked", {"nr": "a", "kind": "sale"}, JSON)
        assert (answer.status_code, answer.text, answer.headers["x-thing"]) == (201, "<ok/>", "hi")
        first = await _send(it, "plain", {"nr": 12345678901234567890, "kind": "sale", "of": "me"}, JSON)
        event = await _message(it, first)
        assert (event["id"], event["type"], event["subject"]) == ("12345678901234567890", "shop.sale", "me")
        again = await _send(it, "plain", {"nr": 12345678901234567890, "kind": "sale", "of": "me"}, JSON)
        assert again.json() == first.json()
        without = await _message(it, await _send(it, "plain", {"nr": "b", "kind": "sale"}, JSON))
        assert "subject" not in without
        for body, words in (
            ({"kind": "sale"}, "`id:` gives no text: no such key: `nr`"),
            ({"nr": None, "kind": "sale"}, "`id:` gives no text: it gives null"),
            ({"nr": 1.5, "kind": "sale"}, "`id:` gives no text: it gives a number with a fraction"),
            ({"nr": {}, "kind": "sale"}, "`id:` gives no text: it gives an object"),
            ({"nr": "c", "kind": 5}, "`type:` gives no text: no such overload"),
        ):
            refused = await _send(it, "plain", body, JSON)
            assert refused.status_code == 400
            assert words in refused.json()["detail"]
        assert len((await list_rejects(it.service.desk))["items"]) == 5


async def test_a_batch_is_answered_in_its_order_whatever_each_event_is(tmp_path: Path) -> None:
    async with backend() as shop:
        rules = {"all": {"from": ["web"], "do": [step()]}}
        async with instance(tmp_path, document(shop.url, sources={"web": OPEN}, rules=rules)) as it:
            first = await _send(it, "web", [_event("1"), _event("2")], BATCHED)
            one, two = first.json()["ids"]
            second = await _send(it, "web", [_event("1"), _event("3"), _event("2", "changed")], BATCHED)
            assert second.status_code == 202
            known, three, conflict = second.json()["ids"]
            assert known == one
            assert three not in (one, two)
            assert conflict.startswith("rej_")
            twice = (await _send(it, "web", [_event("4"), _event("4"), _event("4", 2)], BATCHED)).json()[
                "ids"
            ]
            assert twice[0] == twice[1]
            assert twice[2].startswith("rej_")
            empty = await _send(it, "web", [], BATCHED)
            assert (empty.status_code, empty.json()) == (202, {"ids": []})
            broken = await _send(it, "web", [_event("5"), {"specversion": "1.0", "id": "6"}], BATCHED)
            assert broken.status_code == 400
            assert "event 1: source is missing" in broken.json()["detail"]
            for message in (one, two, three, twice[0]):
                assert (await it.ended(message))["state"] == "delivered"
            assert len(shop.calls) == 4
            reasons = [one["reason"] for one in (await list_rejects(it.service.desk))["items"]]
            assert sorted(reasons) == ["id-conflict", "id-conflict", "invalid-cloudevent"]


async def test_one_event_in_any_mode_is_one_message(tmp_path: Path) -> None:
    async with _here(tmp_path, {"web": OPEN}) as it:
        binary = {
            **JSON, "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s", "ce-type": "t",
            "ce-subject": "a%20b%C3%BC%22", "ce-mine": "x",
        }  # fmt: skip
        first = await _send(it, "web", b'{"n":1}', binary)
        event = await _message(it, first)
        assert (event["subject"], event["mine"], event["data"]) == ('a bü"', "x", {"n": 1})
        structured = b'{"specversion":"1.0","id":"7","source":"/s","type":"t","data":{"n":1}}'
        assert (await _send(it, "web", structured, STRUCTURED)).json() == first.json()
        changed = await _send(it, "web", structured.replace(b"1}", b"2}"), STRUCTURED)
        assert (changed.status_code, changed.json()["id"][:4]) == (202, "rej_")


async def test_handshakes_are_answered_and_store_nothing(tmp_path: Path) -> None:
    none = {"scheme": "none"}
    sources = _sources(
        ce={"verify": none, "allowed_origins": ["eventgrid.azure.net"], "allowed_rate": 10},
        slack={"verify": {"scheme": "slack", "secrets": TWO}},
        meta={
            "verify": {
                "scheme": "hmac",
                "header": "X-Hub-Signature-256",
                "prefix": "sha256=",
                "secrets": TWO,
            },
            "handshake": {"kind": "meta", "verify_tokens": [{"env": "GIVEN"}]},
        },
        graph={"verify": none, "handshake": {"kind": "microsoft-graph"}},
    )
    async with _here(tmp_path, sources) as it:
        asked = {"webhook-request-origin": "eventgrid.azure.net", "webhook-request-rate": "120"}
        granted = await _send(it, "ce", headers=asked, method="OPTIONS")
        assert granted.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
        assert granted.headers["webhook-allowed-rate"] == "10"
        stranger = await _send(
            it, "ce", headers={**asked, "webhook-request-origin": "evil"}, method="OPTIONS"
        )
        assert "webhook-allowed-origin" not in stranger.headers
        assert (await _send(it, "graph", headers=asked, method="OPTIONS")).status_code == 405

        challenge = b'{"type": "url_verification", "challenge": "c1", "token": "t"}'
        genuine = sign("slack", SECRETS["SECOND"], challenge, now=time.time())
        answered = await _send(it, "slack", challenge, {**JSON, **genuine})
        assert (answered.status_code, answered.text) == (200, "c1")
        assert (await _send(it, "slack", challenge, JSON)).status_code == 401

        def query(token: str) -> dict[str, str]:
            return {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": token}

        answered = await _send(it, "meta", method="GET", params=query(SECRETS["GIVEN"]))
        assert (answered.status_code, answered.text) == (200, "42")
        assert (await _send(it, "meta", method="GET", params=query("guess"))).status_code == 403
        signature = hmac.new(SECRETS["FIRST"].encode(), b"{}", hashlib.sha256).hexdigest()
        stored = await _send(it, "meta", b"{}", {**JSON, "x-hub-signature-256": f"sha256={signature}"})
        assert stored.status_code == 202

        answered = await _send(it, "graph", params={"validationToken": "Validation: <x>&y"})
        assert (answered.status_code, answered.text) == (200, "Validation: &lt;x&gt;&amp;y")
        assert answered.headers["content-type"].startswith("text/plain")
        assert it.service.intake.accepted["new"] == 1


def _twilio(url: str) -> dict[str, str]:
    code = hmac.new(SECRETS["FIRST"].encode(), f"{url}A1Bx y".encode(), hashlib.sha1).digest()
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": base64.b64encode(code).decode("ascii"),
    }


async def test_a_signed_address_is_the_public_one_or_what_a_trusted_proxy_says(tmp_path: Path) -> None:
    verify = {"scheme": "twilio", "secrets": TWO}
    public = "https://hooks.example.com/prefix/hooks/fixed"
    sources = _sources(fixed={"verify": verify, "public_url": public}, behind={"verify": verify})
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-host": "pub.example"}

    async def status(it: Instance, source: str, url: str, **more: Any) -> int:
        answer = await _send(it, source, b"A=1&B=x+y", {**_twilio(url), **more})
        return answer.status_code

    async with _here(tmp_path / "trusting", sources, trusted_proxies=("127.0.0.0/8",)) as it:
        assert await status(it, "fixed", public) == 200
        assert await status(it, "fixed", f"{it.url}/hooks/fixed") == 401
        assert await status(it, "behind", "https://pub.example/hooks/behind", **forwarded) == 200
        assert await status(it, "behind", f"{it.url}/hooks/behind", **forwarded) == 401
    async with _here(tmp_path / "alone", sources) as it:
        assert await status(it, "fixed", public, **forwarded) == 200
        assert await status(it, "behind", "https://pub.example/hooks/behind", **forwarded) == 401
        assert await status(it, "behind", f"{it.url}/hooks/behind", **forwarded) == 200
