"""What every engine behind the transport seam must do, against a backend of raw sockets on the loopback."""

import asyncio
import contextlib
import functools
import resource
import socket
import zlib
from collections.abc import AsyncIterator, Iterator

import pytest

from actions.base import Answer
from actions.engines import make_engine
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.transport import Engine, EngineSettings, Request, as_read
from tests.fakes.certificates import Authority, authority, server_context
from tests.fakes.raw_backend import RawBackend, Script, Talk
from tests.patience import PATIENCE, SLACK

HOST = "backend.test"
CAP = 1 << 20


def post(url: str, body: bytes = b'{"a": 1}', *headers: tuple[str, str]) -> Request:
    return Request("POST", url, (("Content-Type", "application/json"), *headers), body)


def serving(script: Script) -> contextlib.AbstractAsyncContextManager[RawBackend]:
    return RawBackend(script).listening()


async def answering(talk: Talk) -> None:
    while True:
        await talk.request()
        await talk.answer()


@functools.cache
def bomb() -> bytes:
    """300 MB of zeros in some 300 KB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(300)), packer.flush()])


class EngineContract:
    """Inherited once per engine; `kind` is its name in the registry."""

    kind: str

    @contextlib.asynccontextmanager
    async def engine(self, **settings: object) -> AsyncIterator[Engine]:
        values = {"name": "shop", "host": HOST, "connect_timeout": 2.0, **settings}
        engine = make_engine(self.kind, EngineSettings(**values))
        try:
            yield engine
        finally:
            await engine.close()

    async def send(
        self, engine: Engine, request: Request, *, deadline: float = PATIENCE, cap: int = CAP
    ) -> Answer:
        return await engine.send(request, address="127.0.0.1", deadline=deadline, max_answer_bytes=cap)

    async def once(self, script: Script, request_path: str = "/x", **options: float) -> Answer:
        async with serving(script) as backend, self.engine() as engine:
            return await self.send(engine, post(backend.url(request_path)), **options)

    # -- what arrives

    async def test_the_request_arrives_as_it_was_given(self):
        async with serving(answering) as backend, self.engine() as engine:
            url = backend.url("/v1/a%2Fb;c=1/%C3%A9?q=a%20b&tags[]=x&e=")
            await self.send(
                engine, post(url, b"\x00\xff", ("Idempotency-Key", '"k"'), ("Accept-Encoding", "identity"))
            )
            (whole,) = backend.requests
        head, _, body = whole.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = [tuple(text.split(": ", 1)) for text in lines]
        names = [name.lower() for name, _ in headers]
        values = {name.lower(): value for name, value in headers}
        assert line == "POST /v1/a%2Fb;c=1/%C3%A9?q=a%20b&tags[]=x&e= HTTP/1.1"
        assert body == b"\x00\xff"
        assert values["host"] == f"{HOST}:{backend.port}"
        assert values["idempotency-key"] == '"k"'
        assert values["content-type"] == "application/json"
        assert values["content-length"] == "2"
        assert values["accept-encoding"] == "identity"
        assert len(names) == len(set(names))
        assert not {"cookie", "referer"} & set(names)

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "PURGE"])
    async def test_every_method_is_sent(self, method):
        async with serving(answering) as backend, self.engine() as engine:
            answer = await self.send(engine, Request(method, backend.url()))
            assert answer.status == 200
            assert backend.requests[0].startswith(method.encode() + b" /x HTTP/1.1\r\n")

    async def test_an_empty_post_says_that_it_is_empty(self):
        async with serving(answering) as backend, self.engine() as engine:
            await self.send(engine, Request("POST", backend.url()))
            assert b"content-length: 0\r\n" in backend.requests[0].lower()

    async def test_the_answer_comes_whole(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer(b"x" * 100_000, "201 Created", "X-One: 1", "Set-Cookie: a=b", "set-cookie: c=d")

        answer = await self.once(script)
        assert answer.status == 201
        assert answer.body == b"x" * 100_000
        assert not answer.truncated
        assert answer.header("x-one") == "1"
        assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=b", "c=d"]
        assert answer.elapsed > 0

    @pytest.mark.parametrize("method", ["HEAD", "GET"])
    async def test_answers_without_a_body_have_none(self, method):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                if method == "HEAD"
                else b"HTTP/1.1 204 No Content\r\n\r\n"
            )
            await talk.gone()

        async with serving(script) as backend, self.engine() as engine:
            answer = await self.send(engine, Request(method, backend.url()))
            assert (answer.body, answer.truncated) == (b"", False)

    async def test_a_body_that_ends_with_the_connection_is_whole(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.0 200 OK\r\n\r\nhello")

        assert (await self.once(script)).body == b"hello"

    async def test_a_header_that_is_no_ascii_does_not_spoil_the_answer(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(
                b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nX-Plain: yes\r\nContent-Length: 2\r\n\r\nok"
            )

        answer = await self.once(script)
        assert (answer.status, answer.body, answer.header("x-plain")) == (200, b"ok", "yes")
        assert "x-odd" in dict(answer.headers)

    async def test_more_than_is_announced_is_not_read(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more")

        assert (await self.once(script)).body == b"ok"

    # -- surely not sent

    async def test_a_refused_connection_was_not_sent(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        async with self.engine() as engine:
            with pytest.raises(RetryLater, match="shop"):
                await self.send(engine, post(f"http://{HOST}:{port}/x"))

    async def test_a_connect_time_out_was_not_sent(self):
        with full_listener() as port:
            async with self.engine(connect_timeout=0.2) as engine:
                with pytest.raises(RetryLater):
                    await self.send(engine, post(f"http://{HOST}:{port}/x"))

    async def test_without_time_nothing_is_sent(self):
        async with serving(answering) as backend, self.engine() as engine:
            with pytest.raises(RetryLater):
                await self.send(engine, post(backend.url()), deadline=0.0)
            assert backend.connections == 0

    async def test_after_close_nothing_is_sent_and_closing_twice_is_harmless(self):
        async with serving(answering) as backend, self.engine() as engine:
            await self.send(engine, post(backend.url()))
            await engine.close()
            await engine.close()
            with pytest.raises(RetryLater):
                await self.send(engine, post(backend.url()))
            assert len(backend.requests) == 1

    # -- can never be sent

    @pytest.mark.parametrize(
        "request_",
        [
            Request("GET", "http://backend.test:1/x", (("X-A", "1\r\nX-B: 2"),)),
            Request("GET", "http://backend.test:1/x", (("X A", "1"),)),
            Request("GET", "http://backend.test:1/x", (("X-A", "\x00"),)),
            Request("GE T", "http://backend.test:1/x"),
            Request("GET", "http://[::1/x"),
        ],
        ids=["line break", "space in name", "NUL", "method", "URL"],
    )
    async def test_what_cannot_be_written_is_refused(self, request_):
        async with serving(answering) as backend, self.engine() as engine:
            url = request_.url.replace(":1/", f":{backend.port}/")
            with pytest.raises(Refused):
                await self.send(engine, Request(request_.method, url, request_.headers))
            assert backend.requests == []

    async def test_a_certificate_that_cannot_be_read_is_refused(self):
        async with self.engine(
            ca_pem=b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"
        ) as engine:
            with pytest.raises(Refused, match="certificate"):
                await self.send(engine, post(f"https://{HOST}:1/x"))

    # -- it may have happened

    @pytest.mark.parametrize("how", ["reset", "close"])
    @pytest.mark.parametrize("when", ["before reading", "after reading", "mid head", "mid body", "mid chunk"])
    async def test_a_cut_connection_is_unknown(self, how, when):
        async def script(talk: Talk) -> None:
            if when != "before reading":
                await talk.request()
            if when == "mid head":
                await talk.say(b"HTTP/1.1 200 OK\r\nContent-")
            if when == "mid body":
                await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            if when == "mid chunk":
                await talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")
            if how == "reset":
                talk.reset()

        with pytest.raises(OutcomeUnknown, match="shop"):
            await self.once(script)

    @pytest.mark.parametrize(
        "said",
        [
            b"220 mail.example ESMTP\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header line\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ],
        ids=["SMTP", "negative length", "two lengths", "bad chunk", "status", "header line", "TLS"],
    )
    async def test_a_malformed_answer_is_unknown(self, said):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(said)

        with pytest.raises(OutcomeUnknown):
            await self.once(script)

    async def test_silence_is_unknown_at_the_deadline(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.gone()

        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(self.once(script, deadline=0.3), PATIENCE)

    async def test_a_backend_that_drips_is_cut_at_the_deadline(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            tick = asyncio.Event()
            while True:
                await talk.say(b"x")
                with contextlib.suppress(TimeoutError):  # the drip itself, not a synchronisation
                    await asyncio.wait_for(tick.wait(), 0.02)

        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(self.once(script, deadline=0.4), PATIENCE)

    async def test_interim_answers_are_skipped(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await talk.answer(b"done")

        assert (await self.once(script)).body == b"done"

    async def test_a_flood_of_interim_answers_is_unknown(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            while True:
                await talk.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20)

        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(self.once(script, deadline=0.3), PATIENCE)

    async def test_switching_protocols_is_unknown(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            await talk.gone()

        with pytest.raises(OutcomeUnknown):
            as_read(await self.once(script, deadline=0.5), CAP)

    async def test_an_answer_before_the_body_was_read_is_never_surely_not_sent(self):
        async def script(talk: Talk) -> None:
            await talk.reader.readuntil(b"\r\n\r\n")
            await talk.answer(b"", "413 Content Too Large", "Connection: close")

        async with serving(script) as backend, self.engine() as engine:
            try:
                answer = await self.send(engine, post(backend.url(), bytes(5_000_000)))
            except OutcomeUnknown:
                return
            assert answer.status == 413

    async def test_closing_ends_the_calls_under_way_as_unknown(self):
        arrived = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            arrived.set()
            await talk.gone()

        async with serving(script) as backend, self.engine() as engine:
            call = asyncio.ensure_future(self.send(engine, post(backend.url())))
            await asyncio.wait_for(arrived.wait(), PATIENCE)
            await engine.close()
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(call, PATIENCE)

    async def test_a_cancelled_call_ends_at_once(self):
        arrived = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            arrived.set()
            await talk.gone()

        async with serving(script) as backend, self.engine() as engine:
            call = asyncio.ensure_future(self.send(engine, post(backend.url())))
            await asyncio.wait_for(arrived.wait(), PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(call, SLACK)

    # -- bounded

    async def test_an_endless_answer_is_capped(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await talk.say(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        answer = await self.once(script)
        assert len(answer.body) == CAP
        assert answer.truncated

    @pytest.mark.parametrize(("size", "truncated"), [(99, False), (100, False), (101, True)])
    async def test_the_cap_is_exact(self, size, truncated):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer(b"x" * size)

        answer = await self.once(script, cap=100)
        assert (len(answer.body), answer.truncated) == (min(size, 100), truncated)

    async def test_endless_headers_are_unknown(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 200 OK\r\n")
            while True:
                await talk.say(b"X-A: " + b"a" * 4096 + b"\r\n")

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(OutcomeUnknown):
            await self.once(script)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000

    async def test_a_gzip_bomb_is_not_inflated(self):
        packed = bomb()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer(packed, "200 OK", "Content-Encoding: gzip")

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = await self.once(script)
        read = as_read(answer, CAP)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
        assert answer.body == packed
        assert (len(read.body), read.truncated, read.header("content-encoding")) == (CAP, True, None)

    # -- nobody else is asked

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_an_answer(self, status):
        async with serving(answering) as canary:

            async def script(talk: Talk) -> None:
                await talk.request()
                await talk.answer(b"", f"{status} Moved", f"Location: http://127.0.0.1:{canary.port}/stolen")

            answer = await self.once(script)
            assert answer.status == status
            assert answer.header("location")
            assert canary.connections == 0

    async def test_proxies_of_the_environment_are_not_asked(self, monkeypatch):
        async with serving(answering) as canary:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            assert (await self.once(answering)).status == 200
            assert canary.connections == 0

    async def test_cookies_are_not_kept(self):
        async def script(talk: Talk) -> None:
            while True:
                await talk.request()
                await talk.answer(b"", "200 OK", "Set-Cookie: session=1; Path=/")

        async with serving(script) as backend, self.engine() as engine:
            for _ in range(2):
                await self.send(engine, post(backend.url()))
            assert all(b"cookie:" not in one.lower() for one in backend.requests)

    async def test_the_name_is_not_looked_up(self):
        async with serving(answering) as backend, self.engine(host="no-such-host.invalid") as engine:
            answer = await self.send(engine, post(backend.url(host="no-such-host.invalid")))
            assert answer.status == 200
            assert (
                f"Host: no-such-host.invalid:{backend.port}".lower().encode() in backend.requests[0].lower()
            )

    async def test_an_address_as_host_is_called(self):
        async with serving(answering) as backend, self.engine(host="127.0.0.1") as engine:
            assert (await self.send(engine, post(backend.url(host="127.0.0.1")))).status == 200

    # -- connections

    async def test_a_connection_is_used_again(self):
        async with serving(answering) as backend, self.engine() as engine:
            for _ in range(5):
                await self.send(engine, post(backend.url()))
            assert (backend.connections, len(backend.requests)) == (1, 5)

    async def test_as_many_connections_as_calls_in_flight_are_kept(self):
        calls = 24
        everybody = asyncio.Barrier(calls)

        async def script(talk: Talk) -> None:
            while True:
                await talk.request()
                await everybody.wait()  # only when all calls are here at once is any of them answered
                await talk.answer()

        async with serving(script) as backend, self.engine(in_flight=calls) as engine:
            for _ in range(3):
                answers = await asyncio.gather(
                    *[self.send(engine, post(backend.url())) for _ in range(calls)]
                )
                assert all(answer.status == 200 for answer in answers)
            assert backend.connections == calls

    async def test_a_request_cut_on_a_used_connection_is_unknown_and_not_repeated(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer()
            await talk.request()
            talk.reset()

        async with serving(script) as backend, self.engine() as engine:
            await self.send(engine, post(backend.url()))
            with pytest.raises(OutcomeUnknown):
                await self.send(engine, post(backend.url()))
            assert (backend.connections, len(backend.requests)) == (1, 2)

    async def test_a_connection_closed_while_idle_is_judged_honestly(self):
        closed: asyncio.Queue[None] = asyncio.Queue()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer()
            talk.writer.close()
            await talk.writer.wait_closed()
            closed.put_nowait(None)

        async with serving(script) as backend, self.engine() as engine:
            performed = 0
            for _ in range(20):
                try:
                    await self.send(engine, post(backend.url()))
                except OutcomeUnknown:
                    continue  # honest: the driver had begun to write
                performed += 1
                await asyncio.wait_for(closed.get(), PATIENCE)
            assert len(backend.requests) == performed > 0

    async def test_forgetting_an_address_leaves_calls_under_way_alone(self):
        arrived, go = asyncio.Event(), asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            arrived.set()
            await go.wait()
            await talk.answer(b"late")

        async with serving(script) as backend, self.engine() as engine:
            call = asyncio.ensure_future(self.send(engine, post(backend.url())))
            await asyncio.wait_for(arrived.wait(), PATIENCE)
            engine.forget("127.0.0.1")
            engine.forget("127.0.0.9")
            go.set()
            assert (await asyncio.wait_for(call, PATIENCE)).body == b"late"

    # -- TLS

    @contextlib.asynccontextmanager
    async def tls(self, identity: bytes, *, clients: bytes = b"", **settings: object):
        context = server_context(identity, client_authority=clients)
        async with RawBackend(answering).listening(context) as backend, self.engine(**settings) as engine:
            yield backend, engine

    async def test_a_trusted_backend_is_called_by_its_name(self):
        async with self.tls(authority().sign(HOST), ca_pem=authority().pem) as (backend, engine):
            answer = await self.send(engine, post(backend.url(scheme="https")))
            assert answer.status == 200
            assert backend.hellos == [HOST]
            assert f"host: {HOST}:{backend.port}".encode() in backend.requests[0].lower()

    async def test_a_backend_is_trusted_by_its_address(self):
        identity = authority().sign("127.0.0.1")
        async with self.tls(identity, ca_pem=authority().pem, host="127.0.0.1") as (backend, engine):
            assert (
                await self.send(engine, post(backend.url(scheme="https", host="127.0.0.1")))
            ).status == 200

    @pytest.mark.parametrize("kind", ["bare", "below another"])
    async def test_an_authority_that_is_named_is_trusted_as_it_is(self, kind):
        ours = Authority(bare=True) if kind == "bare" else Authority(under=authority())
        async with self.tls(ours.sign(HOST), ca_pem=ours.pem) as (backend, engine):
            assert (await self.send(engine, post(backend.url(scheme="https")))).status == 200

    @pytest.mark.parametrize("fault", ["unknown authority", "expired", "wrong host"])
    async def test_a_certificate_that_does_not_fit_stops_everything(self, fault):
        ours = authority()
        signer = Authority() if fault == "unknown authority" else ours
        host = "other.test" if fault == "wrong host" else HOST
        identity = signer.sign(host, days=-1 if fault == "expired" else 5)
        async with self.tls(identity, ca_pem=ours.pem) as (backend, engine):
            with pytest.raises(RetryLater) as caught:
                await self.send(engine, post(backend.url(scheme="https")))
            assert backend.requests == []
            assert "certificate" in str(caught.value).lower()

    async def test_a_failed_handshake_was_not_sent(self):
        async def plain(talk: Talk) -> None:
            await talk.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        async def cut(talk: Talk) -> None:
            await talk.reader.read(100)
            talk.reset()

        for script in (plain, cut):
            async with serving(script) as backend, self.engine() as engine:
                with pytest.raises(RetryLater):
                    await self.send(engine, post(backend.url(scheme="https")))

    async def test_our_certificate_is_shown(self):
        clients = Authority()
        identity = clients.sign("pointsman", client=True)
        async with self.tls(
            authority().sign(HOST), clients=clients.pem, ca_pem=authority().pem, identity_pem=identity
        ) as (backend, engine):
            assert (await self.send(engine, post(backend.url(scheme="https")))).status == 200

    async def test_a_demanded_certificate_that_is_missing_performs_nothing(self):
        clients = Authority()
        async with self.tls(authority().sign(HOST), clients=clients.pem, ca_pem=authority().pem) as (
            backend,
            engine,
        ):
            with pytest.raises((RetryLater, OutcomeUnknown)):
                await self.send(engine, post(backend.url(scheme="https")))
            assert backend.requests == []

    # -- secrets

    async def test_no_error_repeats_the_url(self):
        async def script(talk: Talk) -> None:
            await talk.request()

        async with serving(script) as backend, self.engine() as engine:
            with pytest.raises(OutcomeUnknown) as caught:
                await self.send(engine, post(backend.url("/x?api_key=hunter2")))
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """Listen without accepting, the queue full: further connections get no answer at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
