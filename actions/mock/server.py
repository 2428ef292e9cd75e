"""Puts a mock backend on a loopback port: HTTP/1.1 with keep-alive, and limits on whatever comes.

What a request means is the backend's to say; this reads requests and writes answers. The backend can be
changed between requests, so that one server serves one description after the other.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, cast

import httptools
from typing_extensions import override

from actions.mock.judging import Judgement, MockBackend
from actions.mock.reading import Fault

OnRequest = Callable[[Judgement], None]

_METHOD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ")
_READ: Final = b"POST"
_KNOWN: Final = frozenset(b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split())
"""The methods that the parser reads as they are; instead of any other it reads `POST`. There are many."""

_PHRASES: Final = {one.value: one.phrase for one in HTTPStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask of the server. Times are in seconds."""

    head_bytes: int = 128 * 1024
    body_bytes: int = 32 * 1024 * 1024
    connections: int = 512
    idle_time: float = 75.0
    """How long a connection may be silent, between requests or inside of one."""
    request_time: float = 120.0
    """How long one request may take to come, head and body together."""


class MockServer:
    """Serves a backend; `async with` opens and closes it. `url` is where, without the base path.

    `judgements` are the last ones, the newest last; `on_request` hears of each as its answer is written.
    """

    def __init__(
        self,
        backend: MockBackend,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keep: int = 1_000,
        on_request: OnRequest | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.backend = backend
        self.judgements: deque[Judgement] = deque(maxlen=keep)
        self.limits = limits or Limits()
        self.connections: set[_Connection] = set()
        self._host = host
        self._port = port
        self._on_request = on_request
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen; the port is taken when this returns."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut off all connections. Twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for one in tuple(self.connections):
            one.cut()
        await server.wait_closed()

    @property
    def url(self) -> str:
        """Where the server listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def use(self, backend: MockBackend) -> None:
        """Serve another backend from the next request on, and forget the judgements so far."""
        self.backend = backend
        self.judgements.clear()

    def note(self, judgement: Judgement) -> None:
        """Keep a judgement and tell of it."""
        self.judgements.append(judgement)
        if self._on_request is not None:
            self._on_request(judgement)

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.close()


class _Connection(asyncio.Protocol):
    """One client. The parser calls back as it reads; answers go out at once, so they keep their order."""

    _transport: asyncio.Transport

    def __init__(self, server: MockServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the request that is coming must be there
        self._begin()
        self._between = True

    def _begin(self) -> None:
        self._between = False
        self._unread = b""
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._body = bytearray()
        self._fault: Fault | None = None

    # What the transport tells us.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._server.connections) >= self._server.limits.connections:
            self._transport.abort()
            return
        self._server.connections.add(self)
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    @override
    def pause_writing(self) -> None:
        self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        self._transport.resume_reading()

    @override
    def data_received(self, data: bytes) -> None:
        self._watch()
        try:
            found = _METHOD.match(data) if self._between else None
            if found and found[1] not in _KNOWN:
                self._parser.feed_data(_READ)
                self._unread, data = found[1], data[len(found[1]) :]
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Fault(400, "request", "this server speaks nothing but HTTP/1.1"))
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _Enough):
                raise
        except httptools.HttpParserError as error:
            self._refuse(Fault(400, "request", f"this is not HTTP: {error}"))

    def cut(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop, limits = asyncio.get_running_loop(), self._server.limits
        if self._between:
            self._due = loop.time() + limits.request_time
        self._timer = loop.call_at(min(loop.time() + limits.idle_time, self._due), self.cut)

    # What the parser tells us.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._count(len(url))
        self._target += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Take a header."""
        value = value or b""
        self._count(len(name) + len(value) + 4)
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Say to a client that waits for it that its body may come."""
        if any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        limit = self._server.limits.body_bytes
        if len(self._body) + len(data) > limit:
            self._refuse(Fault(413, "body", f"the body is longer than {limit} bytes"))
            raise _Enough
        self._body += data

    def on_message_complete(self) -> None:
        """Judge and answer."""
        method = self._method()
        target = self._target.decode("latin-1")
        judgement = self._server.backend.judge(method, target, self._headers, bytes(self._body))
        self._between = True
        self._answer(judgement, close=not self._parser.should_keep_alive())

    # Answering.

    def _method(self) -> str:
        return (self._unread or self._parser.get_method() or b"").decode("latin-1")

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._server.limits.head_bytes:
            self._refuse(
                Fault(431, "header", f"the head is longer than {self._server.limits.head_bytes} bytes")
            )
            raise _Enough

    def _refuse(self, fault: Fault) -> None:
        """Answer as the last thing on this connection."""
        target = self._target.decode("latin-1")
        self._answer(self._server.backend.refuse(self._method(), target, fault), close=True)

    def _answer(self, judgement: Judgement, *, close: bool) -> None:
        if self._transport.is_closing():
            return
        answer = judgement.answer
        bodiless = judgement.method == "HEAD" or answer.status in (204, 304)
        lines = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Status')}"]
        lines.extend(f"{name}: {value}" for name, value in answer.headers)
        if answer.status not in (204, 304):
            lines.append(f"content-length: {len(answer.body)}")
        if close:
            lines.append("connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self._transport.write(head if bodiless else head + answer.body)
        self._server.note(judgement)
        if close:
            self._transport.close()


class _Enough(Exception):
    """Stops the parser: the last answer is written."""
