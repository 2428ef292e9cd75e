"""Bad requests against the admin listener of a real instance, over raw sockets: refused, bounded, never for long."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.api.protocol import HEAD_BYTES, BoundedProtocol
from tests.end_to_end.instance import OPEN, Instance, document, instance, until
from tests.end_to_end.wire import Wire, ask, request
from tests.fakes.ingest import Answer
from tests.patience import PATIENCE

HEAD = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PROBLEM = "application/problem+json"
CALL = "/api/v1/connections/shop/operations/one/call"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance(tmp_path, document("http://127.0.0.1:1", sources={"open": OPEN}, rules={})) as made:
        yield made


def _port(it: Instance) -> int:
    return it.service.admin.port


async def _ask(it: Instance, method: str, path: str, body: bytes = b"") -> Answer:
    token = (it.service.settings.data / "admin.token").read_text("ascii").strip()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    raw = request(body, headers, path=path, method=method).replace(b"hooks.example", b"127.0.0.1")
    return await ask(_port(it), raw)


async def _said(port: int, *pieces: bytes) -> bytes:
    """Return all that comes back until the other side closes."""
    async with Wire(port) as wire:
        await wire.send(*pieces)
        return await wire.rest()


async def test_a_head_without_end_is_refused_before_it_costs_memory(it: Instance) -> None:
    for flood in (b"x: " + b"v" * 1000, b"x: " + b"v" * 10_000_000, b"x: v\r\n" * 200_000):
        said = await _said(_port(it), HEAD, *[flood] * 100)
        assert said.startswith(b"HTTP/1.1 400 ") or not said  # cut off in the middle of what it sent
    said = await _said(_port(it), HEAD + b"x: " + b"v" * HEAD_BYTES)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert (await ask(_port(it), HEAD + b"x: " + b"v" * (HEAD_BYTES // 2) + b"\r\n\r\n")).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"X A: b\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_a_problem_document(it: Instance, raw: bytes) -> None:
    said = await _said(_port(it), raw)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert f"content-type: {PROBLEM}".encode() in head
    assert json.loads(body)["type"] == "urn:pointsman:problem:bad-request"


async def test_requests_that_do_not_arrive_are_cut_off(it: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "patience", 0.2)
    token = (it.service.settings.data / "admin.token").read_text("ascii").strip()
    owed = f"POST {CALL} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n"
    stranger = b"POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
    for begun in (b"", HEAD, HEAD + b"\r\n" + HEAD, owed.encode(), stranger):
        async with Wire(_port(it)) as wire:
            await wire.send(begun)

            for _ in range(25 if begun else 0):  # a byte now and then makes it no younger
                await wire.send(b"x")
                await asyncio.sleep(0.02)
            await wire.rest()  # it ends
    async with Wire(_port(it)) as wire:
        for _ in range(3):  # what arrives in time has no such end
            await wire.send(HEAD + b"\r\n")
            assert (await wire.answer()).status == 200
            await asyncio.sleep(0.15)


async def test_clients_that_leave_in_the_middle_are_no_failure(it: Instance) -> None:
    token = (it.service.settings.data / "admin.token").read_text("ascii").strip()
    head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: 9\r\n\r\n{{"
    with capture_logs() as logs:
        for path in ("/api/v1/descriptions/read", CALL, "/api/v1/tokens"):
            async with Wire(_port(it)) as wire:
                await wire.send(f"POST {path} {head}".encode())
                wire.writer.write_eof()
                assert await wire.rest() == b""
        await until(lambda: len([line for line in logs if line["event"] == "admin call"]) == 3)
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


async def test_a_thousand_wrong_names_are_answered_at_once(it: Instance) -> None:
    many = [f"itex{n}" for n in range(40_000)]
    body = json.dumps({"with": {"body": 1, **dict.fromkeys(many, 1)}, "dry_run": True}).encode()
    query = "&".join(f"{name}=1" for name in many[:5_000])
    for method, path, sent in (
        ("POST", CALL, json.dumps(dict.fromkeys(many, 1)).encode()),
        ("POST", CALL, body),
        ("GET", f"/api/v1/messages?{query}", b""),
    ):
        started = time.process_time()
        answer = await _ask(it, method, path, sent)
        assert time.process_time() - started < 1, path  # of this process, which serves and asks
        assert answer.status == 422
        problem = json.loads(answer.body)
        assert len(problem["errors"]) <= 51
        assert "more" in problem["errors"][-1]["message"]


async def test_head_is_get_without_a_body_and_405_names_every_method(it: Instance) -> None:
    async with Wire(_port(it)) as wire:
        await wire.send(HEAD.replace(b"GET", b"HEAD") + b"\r\n", HEAD + b"\r\n")
        async with asyncio.timeout(PATIENCE):
            head = await wire.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert (await wire.answer()).body == b'{"status":"live"}'  # of the second request: the first had none
    for path, methods in (
        ("/api/v1/tokens", "GET, HEAD, POST"),
        (CALL, "POST"),
        ("/health/live", "GET, HEAD"),
    ):
        for method in ("OPTIONS", "TRACE", "PUT", "BREW"):
            answer = await _ask(it, method, path)
            assert (answer.status, dict(answer.headers)["allow"]) == (405, methods), (method, path)


async def test_paths_and_queries_of_every_kind_are_refused_or_found_empty(it: Instance) -> None:
    for path in (
        "/api/v1/messages/%00", "/api/v1/messages/%ff", "/api/v1/messages/%ed%a0%80", "/api/v1/messages/%zz",
        "/api/v1/messages/..%2f..", "/api/v1/messages/../tokens", "//api/v1/messages", "/%2e%2e/etc/passwd",
        "/api/v1/connectors/..%2f..%2fetc%2fpasswd", "/api/v1/connectors/shop/operations/%00",
        "/api/v1/messages/msg_" + "z" * 8000, "/api/v1/deliveries/dlv_1-" + "9" * 40 + "-1",
        "/api/v1/messages?cursor=%ff", "/api/v1/messages?source=%00", "/api/v1/messages?limit=1e3",
        "/api/v1/deliveries?state=" + "dead," * 5000, "/api/v1/doctor?name=%00",
    ):  # fmt: skip
        answer = await _ask(it, "GET", path)
        assert answer.status in (404, 405, 422), path
        assert dict(answer.headers)["content-type"] == PROBLEM


async def test_bodies_of_every_kind_are_refused(it: Instance) -> None:
    for body in (
        b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"with": {"body": NaN}}', b'{"with": {"body": 1e999}}',
        b'{"with": {"body": ' + b"9" * 5000 + b"}}", b'{"with": {"body": "\\ud800"}}', b'{"\\ud800": 1}',
        b'{"with": {"body": "\0"}}', b'{"with": null}', b'{"preset": "\\u0000"}',
        b'{"with": {"body": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}",
        b'{"with": {"body": 1}, "dry_run": ' + b" " * (1 << 20) + b"true}",
    ):  # fmt: skip
        answer = await _ask(it, "POST", CALL, body)
        assert answer.status in (400, 413, 422), body[:40]
        assert dict(answer.headers)["content-type"] == PROBLEM
