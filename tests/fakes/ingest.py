"""Fakes around the ingest server: a source, the hooks it is given, and a client without a socket."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from service.ingest import Limits
from service.ingest.answers import Answers
from service.ingest.census import Census
from service.ingest.desk import Desk
from service.ingest.forwarded import Proxies
from service.ingest.protocol import Connection, Hall
from triggers.base import (
    Accepted,
    Batch,
    Emit,
    Finding,
    HttpRequest,
    HttpSource,
    Reject,
    Reply,
    SourceConfig,
    SourceContext,
)

NOW = 1_780_000_000.0


def bring(request: HttpRequest) -> Reply | Batch:
    """Make one item of any request."""
    return Batch(items=(Reject(reason="any", detail="", data=request.body),))


class AnySource(HttpSource[SourceConfig]):
    """Notes the requests it gets and answers what `reaction` says."""

    kind = "any"
    Config = SourceConfig

    def __init__(self, methods: tuple[str, ...] = ("POST",), max_body_bytes: int = 100_000) -> None:
        super().__init__("any", SourceConfig(kind="any"))
        self._methods = frozenset(methods)
        self._max_body_bytes = max_body_bytes
        self.requests: list[HttpRequest] = []
        self.reaction: Callable[[HttpRequest], Reply | Batch] = bring

    @property
    @override
    def methods(self) -> frozenset[str]:
        return self._methods

    @property
    @override
    def max_body_bytes(self) -> int:
        return self._max_body_bytes

    @override
    async def check(self) -> list[Finding]:
        return []

    @override
    async def open(self, context: SourceContext) -> None:
        pass

    @override
    async def run(self, emit: Emit) -> None:
        pass

    @override
    async def close(self) -> None:
        pass

    @override
    def receive(self, request: HttpRequest) -> Reply | Batch:
        self.requests.append(request)
        return self.reaction(request)


class FakeHooks:
    """Stores in a list: at once, or (`later`) when the test resolves the future in `waiting`."""

    def __init__(self, *, later: bool = False, **sources: AnySource) -> None:
        self.ready = True
        self.sources = sources or {"x": AnySource(), "readable": AnySource(("GET", "HEAD", "POST"))}
        self.later = later
        self.waiting: list[asyncio.Future[Accepted]] = []
        self.stored: list[tuple[str, Batch]] = []
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def source(self, name: str) -> AnySource | None:
        return self.sources.get(name)

    def accept(self, source: str, batch: Batch) -> "asyncio.Future[Accepted]":
        if self.error is not None:
            raise self.error
        self.stored.append((source, batch))
        future: asyncio.Future[Accepted] = (self.loop or asyncio.get_running_loop()).create_future()
        if self.later:
            self.waiting.append(future)
        else:
            future.set_result(self.accepted(len(self.stored), len(batch.items)))
        return future

    @staticmethod
    def accepted(number: int, count: int = 1) -> Accepted:
        """Return what storing the batch with that number gives."""
        return Accepted(new=count, ids=tuple(f"msg_{number}_{index}" for index in range(count)))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        return str(self.json["type"]).removeprefix("urn:pointsman:problem:")


def read_answers(data: bytes, *, bare: bool = False) -> list[Answer]:
    """Read all answers in `data`; `bare`: to HEAD, so without bodies. Fails on anything that is no answer."""
    answers = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, f"an answer is cut off: {head!r}"
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (entry.split(": ", 1) for entry in fields)}
        length = 0 if bare else int(headers.get("content-length", "0"))
        assert len(data) >= length
        answers.append(Answer(int(status), headers, data[:length]))
        data = data[length:]
    return answers


class Wire(asyncio.Transport):
    """A transport without a socket: what was written, and what was asked of it."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 40_000)})
        self.written = b""
        self.closed = self.aborted = self.ended = self.paused = False

    @override
    def write(self, data: Any) -> None:
        assert not self.closed
        assert not self.ended
        self.written += data

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        self.ended = True

    @override
    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    @override
    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False

    @override
    def close(self) -> None:
        self.closed = True

    @override
    def abort(self) -> None:
        self.closed = self.aborted = True


class Client:
    """One client of a hall, whose bytes go straight to the connection."""

    def __init__(self, hall: Hall, peer: str = "192.0.2.1") -> None:
        self.wire = Wire(peer)
        self.connection = Connection(hall)
        self.connection.connection_made(self.wire)

    def send(self, data: bytes) -> "Client":
        """Give bytes to the server, unless it does not read."""
        assert not self.wire.paused
        if not self.wire.closed:
            self.connection.data_received(data)
        return self

    def answers(self, *, bare: bool = False) -> list[Answer]:
        return read_answers(self.wire.written, bare=bare)

    @property
    def answer(self) -> Answer:
        (answer,) = self.answers()
        return answer

    @property
    def over(self) -> bool:
        """Whether the server has said its last word."""
        return self.wire.closed or self.wire.ended

    def leave(self) -> None:
        self.connection.connection_lost(None)


@dataclass
class House:
    """A hall to be tested: its clock stands still until the test moves it."""

    hooks: FakeHooks = field(default_factory=FakeHooks)
    limits: Limits = field(default_factory=Limits)
    proxies: tuple[str, ...] = ()
    descriptors: int = 20_000
    now: float = 1_000.0
    reported: list[tuple[str, BaseException]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.census = Census(self.limits, self.descriptors, lambda: self.now)
        self.hall = Hall(
            desk=Desk(self.hooks, self.limits, lambda name, error: self.reported.append((name, error))),
            limits=self.limits,
            census=self.census,
            answers=Answers(),
            proxies=Proxies(self.proxies),
            clock=lambda: NOW,
            monotonic=lambda: self.now,
        )

    @property
    def source(self) -> AnySource:
        return self.hooks.sources["x"]

    def client(self, peer: str = "192.0.2.1") -> Client:
        return Client(self.hall, peer)

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and sweep as the server does."""
        self.now += seconds
        self.census.tick()
        for member in self.census.members:
            assert isinstance(member, Connection)
            member.sweep(self.now)


def request(
    body: bytes = b"{}", *fields: str, method: str = "POST", target: str = "/hooks/x", version: str = "1.1"
) -> bytes:
    """Return the bytes of a sound request with a counted body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: hooks.example", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def chunked(*chunks: bytes, fields: tuple[str, ...] = (), trailer: bytes = b"") -> bytes:
    """Return the bytes of a sound request with a chunked body."""
    head = "\r\n".join(
        ("POST /hooks/x HTTP/1.1", "Host: hooks.example", "Transfer-Encoding: chunked", *fields, "", "")
    )
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head.encode("latin-1") + body + b"0\r\n" + trailer + b"\r\n"
