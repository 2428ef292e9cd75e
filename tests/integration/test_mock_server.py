"""The mock over loopback sockets: what goes over the wire, and what a client cannot do to it."""

import asyncio
import json
import socket
from typing import Self

import pytest

from actions.mock import MockBackend, MockServer
from actions.mock.server import Limits
from actions.specs.model import Spec
from actions.specs.references import Registry
from actions.validation import Validators
from tests.patience import PATIENCE
from tests.unit.actions.mock.described import backend, of_body, operation
from tests.unit.actions.specs.postman.collections import item, read

pytestmark = pytest.mark.enable_socket

ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
JSON = "application/json"


def orders() -> MockBackend:
    content = {JSON: {"schema": ORDER}}
    responses = {"201": {"description": "", "content": content}}
    return backend(
        {
            "/orders": {
                "post": operation(body=content, operationId="order", responses=responses),
                "head": operation(
                    operationId="look", responses={"200": {"description": "", "content": content}}
                ),
                "delete": operation(operationId="drop", responses={"204": {"description": ""}}),
            }
        }
    )


class Client:
    """A raw connection that reads whole answers."""

    def __init__(self, server: MockServer) -> None:
        self._port = int(server.url.rpartition(":")[2])

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = 0 if bodiless else int(headers.get("content-length", 0))
            return int(first.split(" ")[1]), headers, await self.reader.readexactly(length)

    async def closed(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


def post(body: bytes, *more: str) -> bytes:
    head = [
        "POST /v1/orders HTTP/1.1",
        "Host: x",
        f"Content-Type: {JSON}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def test_requests_of_one_connection_are_judged_in_order():
    async with MockServer(orders()) as server, Client(server) as client:
        await client.send(post(b'{"id": 1}') + post(b'{"id": "x"}') + post(b"{}"))
        answers = [await client.answer() for _ in range(3)]
    assert [status for status, _, _ in answers] == [201, 400, 400]
    assert isinstance(json.loads(answers[0][2])["id"], int)
    assert answers[1][1]["content-type"] == "application/problem+json"
    assert json.loads(answers[1][2])["errors"] == ['body/id must be integer, not "x"']
    assert [one.operation for one in server.judgements] == ["order"] * 3
    assert server.judgements[0].arguments == {"body": {"id": 1}}


async def test_a_request_may_come_in_pieces_and_in_chunks():
    chunked = (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"id"\r\n4\r\n: 1}\r\n0\r\n\r\n'
    )
    async with MockServer(orders()) as server, Client(server) as client:
        for position in range(len(chunked)):
            await client.send(chunked[position : position + 1])
        assert (await client.answer())[0] == 201


async def test_answers_without_a_body_have_none():
    async with MockServer(orders()) as server, Client(server) as client:
        await client.send(
            b"HEAD /v1/orders HTTP/1.1\r\nHost: x\r\n\r\nDELETE /v1/orders HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        status, headers, _ = await client.answer(bodiless=True)
        assert (status, int(headers["content-length"]) > 0) == (200, True)
        status, headers, _ = await client.answer()
        assert (status, "content-length" in headers) == (204, False)


async def test_a_connection_ends_when_the_client_asks_for_it():
    async with MockServer(orders()) as server, Client(server) as client:
        await client.send(post(b'{"id": 1}', "Connection: close"))
        assert (await client.answer())[1]["connection"] == "close"
        assert await client.closed()


async def test_a_client_that_waits_is_told_to_go_on():
    request = post(b'{"id": 1}', "Expect: 100-continue")
    head = request[: request.index(b"\r\n\r\n") + 4]
    async with MockServer(orders()) as server, Client(server) as client:
        await client.send(head)
        assert (await client.answer())[0] == 100
        await client.send(b'{"id": 1}')
        assert (await client.answer())[0] == 201


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA B\r\n\r\n", 400),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1_000 + b"\r\n", 431),
        (b"POST /v1/orders HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5_000, 413),
        (b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"a" * 5_000, 413),
    ],
)
async def test_what_is_unsound_or_too_much_is_refused_and_ends_the_connection(data, status):
    limits = Limits(head_bytes=4_096, body_bytes=4_096)
    async with MockServer(orders(), limits=limits) as server:
        async with Client(server) as client:
            await client.send(data)
            answers = [await client.answer()]
            while answers[-1][1].get("connection") != "close":
                answers.append(await client.answer())
            assert answers[-1][0] == status
            assert await client.closed()
        async with Client(server) as client:
            await client.send(post(b'{"id": 1}'))
            assert (await client.answer())[0] == 201


async def test_half_a_request_is_nothing():
    async with MockServer(orders()) as server:
        async with Client(server) as client:
            await client.send(post(b'{"id": 1}')[:-3])
        async with Client(server) as client:
            await client.send(post(b'{"id": 1}'))
            await client.answer()
        assert len(server.judgements) == 1


async def test_silent_connections_are_cut_and_there_are_so_many():
    limits = Limits(idle_time=0.05, connections=2)
    server = MockServer(orders(), limits=limits)
    async with server, Client(server) as one, Client(server) as two, Client(server) as three:
        assert await three.closed()
        assert await one.closed()
        assert await two.closed()


async def test_a_request_that_comes_in_drips_is_cut():
    async with MockServer(orders(), limits=Limits(request_time=0.2)) as server, Client(server) as client:
        await client.send(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nX-Long: ")
        closed = asyncio.ensure_future(client.closed())
        for _ in range(1000):
            client.writer.write(b" ")
            done, _ = await asyncio.wait([closed], timeout=0.02)
            if done:
                break
        assert await closed
        assert not server.judgements


async def test_requests_that_come_in_time_go_on_for_longer():
    async with MockServer(orders(), limits=Limits(request_time=0.3)) as server, Client(server) as client:
        until = asyncio.get_running_loop().time() + 0.5
        while asyncio.get_running_loop().time() < until:
            await client.send(post(b'{"id": 1}'))
            assert (await client.answer())[0] == 201


async def test_one_server_serves_one_description_after_the_other():
    heard = []
    async with MockServer(orders(), on_request=heard.append, keep=2) as server, Client(server) as client:
        await client.send(post(b'{"id": 1}'))
        assert (await client.answer())[0] == 201
        server.use(backend({"/other": {"get": operation(operationId="other")}}))
        assert not server.judgements
        await client.send(post(b'{"id": 1}'))
        assert (await client.answer())[0] == 404
        for _ in range(3):
            await client.send(b"GET /v1/other HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.answer())[0] == 200
        assert [one.operation for one in server.judgements] == ["other", "other"]
    assert [one.operation for one in heard] == ["order", None, "other", "other", "other"]


async def test_closing_cuts_connections_and_twice_is_harmless():
    server = MockServer(orders())
    await server.close()
    await server.open()
    async with Client(server) as client:
        await client.send(post(b'{"id": 1}')[:20])
        await server.close()
        assert await client.closed()
    await server.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))


async def test_an_address_of_version_6_is_written_in_brackets():
    try:
        async with MockServer(orders(), host="::1") as server:
            assert server.url.startswith("http://[::1]:")
    except OSError:
        pytest.skip("no IPv6 on this machine")


async def test_no_schema_makes_anybody_call():
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.2)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/schema.json"
        schema = {
            "$schema": url,
            "$id": url,
            "$ref": url,
            "allOf": [{"$ref": f"{url}#/a"}, {"$dynamicRef": url}],
            "properties": {"a": {"$schema": url, "$ref": url}},
        }
        for dialect in ("swagger2", "openapi3.0", "openapi3.1", "asyncapi3"):
            validators = Validators(Spec(dialect=dialect, registry=Registry({"x": schema})))
            for one in (schema, {"$ref": "#/x"}):
                assert validators.schema(one).problems({"a": 1}) == []
        mock = of_body(JSON, schema, version="3.1.0")
        assert mock.judge("POST", "/v1/x", [("content-type", JSON)], b"{}").accepted
        with pytest.raises(TimeoutError):
            canary.accept()


async def test_a_client_that_does_not_read_is_not_read_from():
    shown = {"200": {"description": "", "content": {"text/plain": {"example": "a" * 100_000}}}}
    mock = backend({"/x": {"get": operation(responses=shown)}})
    async with MockServer(mock) as server, Client(server) as client:
        sending = asyncio.create_task(client.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n" * 500))
        for _ in range(500):
            assert (await client.answer())[2] == b"a" * 100_000
        await sending
        assert len(server.judgements) == 500


async def test_a_method_that_its_parser_does_not_know_is_read():
    spec = read(item("https://a.x/b", "VIEW"), item("https://a.x/b", "POST"))
    async with MockServer(MockBackend(spec)) as server, Client(server) as client:
        for method in (b"VIEW", b"POST", b"VIEW"):
            await client.send(method + b" /b HTTP/1.1\r\nhost: a.x\r\n\r\n")
            assert (await client.answer())[0] < 300
        assert [one.method for one in server.judgements] == ["VIEW", "POST", "VIEW"]


async def test_any_method_of_openapi_3_2_is_read():
    more = {name: operation() for name in ("SYNC", "LINK", "X-RUN")}
    mock = backend({"/x": {"query": operation(), "additionalOperations": more}}, version="3.2.0")
    async with MockServer(mock) as server, Client(server) as client:
        for method in ("QUERY", "SYNC", "LINK", "X-RUN", "QUERY"):
            await client.send(f"{method} /v1/x HTTP/1.1\r\nhost: a.x\r\n\r\n".encode())
            assert (await client.answer())[0] < 300
            assert server.judgements[-1].method == method
        await client.send(b"NONE /v1/x HTTP/1.1\r\nhost: a.x\r\n\r\n")
        assert (await client.answer())[0] == 405
