"""The HTTP connector over each engine, name look-up and sockets included."""

import msgspec
import pytest

from actions.auth import Bearer
from actions.egress import SystemResolver, read_egress
from actions.engines import ENGINES
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.http import HTTPConnector
from actions.origins import HTTPLimits
from actions.specs import read_spec
from tests.fakes.raw_backend import RawBackend, Talk
from tests.patience import PATIENCE

SPEC = read_spec(
    {
        "shop.json": msgspec.json.encode(
            {
                "openapi": "3.0.3",
                "info": {"title": "Shop", "version": "1"},
                "paths": {
                    "/orders/{id}": {
                        "post": {
                            "operationId": "reserve",
                            "parameters": [
                                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                            ],
                            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                            "responses": {"200": {"description": "ok"}},
                        }
                    }
                },
            }
        )
    }
)
ARGUMENTS = {"id": "a/b", "body": {"qty": 1}}


@pytest.fixture(params=sorted(ENGINES))
async def connect(request):
    opened = []

    def make(server, egress, **options):
        connector = HTTPConnector(
            "shop",
            SPEC,
            server=server,
            auth=Bearer("t0ken"),
            egress=read_egress(egress),
            engine=request.param,
            **options,
        )
        opened.append(connector)
        return connector

    yield make
    for connector in opened:
        await connector.close()


async def answering(talk: Talk) -> None:
    while True:
        await talk.request()
        await talk.answer(b'{"ok": true}', "200 OK", "Content-Type: application/json")


async def call(connector, deadline=PATIENCE):
    prepared = connector.prepare("reserve", ARGUMENTS, key="k1")
    return await connector.call(prepared, deadline=deadline, headers={"traceparent": "00-1-2-01"})


async def test_an_operation_is_performed_at_a_listed_name(connect):
    async with RawBackend(answering).listening() as backend:
        # `localhost` is ::1 on most machines too, where nobody listens and nothing is listed.
        connector = connect(f"http://localhost:{backend.port}/v1", [f"127.0.0.1:{backend.port}"])
        answer = await call(connector)
        assert (answer.status, answer.body, answer.truncated) == (200, b'{"ok": true}', False)
        head = backend.requests[0].decode().lower()
        assert head.startswith("post /v1/orders/a%2fb http/1.1\r\n")
        for line in (
            f"host: localhost:{backend.port}",
            "authorization: bearer t0ken",
            'idempotency-key: "k1"',
            "traceparent: 00-1-2-01",
            "accept-encoding: identity",
            "user-agent: pointsman",
        ):
            assert f"\r\n{line}\r\n" in head


async def test_any_request_is_sent_to_the_server_and_to_no_other_one(connect):
    async with RawBackend(answering).listening() as backend:
        connector = connect(f"http://127.0.0.1:{backend.port}/v1", ["127.0.0.1"])
        given = {
            "method": "patch",
            "path": "/@evil.example/a%2Fb ä",
            "query": {"q": ["1&2", "#"]},
            "headers": {"Content-Type": "application/merge-patch+json", "Accept": "*/*"},
            "body": {"x": None},
        }
        prepared = connector.prepare(":http", given, key="k1")
        answer = await connector.call(prepared, deadline=PATIENCE, headers={"traceparent": "00-1-2-01"})
        assert (answer.status, answer.body) == (200, b'{"ok": true}')
        head, _, body = backend.requests[0].partition(b"\r\n\r\n")
        lines = head.decode("ascii").lower().split("\r\n")
        assert lines[0] == "patch /v1/@evil.example/a%2fb%20%c3%a4?q=1%262&q=%23 http/1.1"
        assert body == b'{"x":null}'
        for line in (
            f"host: 127.0.0.1:{backend.port}",
            "authorization: bearer t0ken",
            'idempotency-key: "k1"',
            "content-type: application/merge-patch+json",
            "content-length: 10",
            "accept: */*",
        ):
            assert lines.count(line) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"path": "//evil.example/"},
        {"path": "@evil.example/"},
        {"path": "http://evil.example/"},
        {"path": "/a\r\nHost: x"},
        {"path": "/a%0d%0aHost:%20x"},
        {"path": "/../admin"},
        {"path": "/%2e%2e/admin"},
        {"path": "/%252e%252e%252fadmin"},
        {"path": ["..", "admin"]},
        {"path": "/", "headers": {"Host": "evil.example"}},
        {"path": "/", "headers": {"X": "a\r\nHost: evil.example"}},
        {"path": "/", "headers": {"X\r\nHost": "evil.example"}},
        {"path": "/", "headers": {"Transfer-Encoding": "chunked"}},
        {"path": "/", "headers": {"authorization": "Bearer mine"}},
        {"path": "/", "method": "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\nGET"},
    ],
)
async def test_no_request_leads_elsewhere_and_nothing_is_sent(connect, given):
    async with RawBackend(answering).listening() as backend:
        connector = connect(f"http://127.0.0.1:{backend.port}/v1", ["127.0.0.1"])
        with pytest.raises(Refused) as caught:
            connector.prepare(":http", {"method": "GET", **given}, key="k1")
        assert caught.value.problems
        assert backend.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_nothing_of_the_inside_is_called_under_public(connect, host):
    async with RawBackend(answering).listening() as backend:
        connector = connect(f"http://{host}:{backend.port}", "public")
        with pytest.raises(Refused):
            await call(connector)
        assert "egress-refused" in {one.code for one in await connector.check()}
        assert backend.connections == 0


async def test_every_repeat_is_the_same_request(connect):
    async def script(talk: Talk) -> None:
        await talk.request()
        talk.reset()

    async with RawBackend(script).listening() as backend:
        connector = connect(f"http://127.0.0.1:{backend.port}", ["127.0.0.1"])
        for _ in range(3):
            with pytest.raises(OutcomeUnknown):
                await call(connector)
        assert len(backend.requests) == 3
        assert len(set(backend.requests)) == 1


async def test_a_backend_that_comes_back_is_called_again(connect):
    async with RawBackend(answering).listening() as backend:
        port = backend.port
    connector = connect(f"http://127.0.0.1:{port}", ["127.0.0.1"])
    with pytest.raises(RetryLater):
        await call(connector)
    async with RawBackend(Talk.request).listening(port=port):
        with pytest.raises(OutcomeUnknown):
            await call(connector)


async def test_answers_are_cut_at_the_cap(connect):
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.answer(b"x" * 1000)

    async with RawBackend(script).listening() as backend:
        connector = connect(
            f"http://127.0.0.1:{backend.port}", ["127.0.0.1"], limits=HTTPLimits(max_answer_bytes=100)
        )
        answer = await call(connector)
        assert (len(answer.body), answer.truncated) == (100, True)


async def test_the_system_is_asked_for_names():
    resolver = SystemResolver()
    try:
        assert "127.0.0.1" in await resolver.resolve("localhost", 80)
    finally:
        resolver.close()
        resolver.close()
    with pytest.raises(OSError, match="closed"):
        await resolver.resolve("localhost", 80)
