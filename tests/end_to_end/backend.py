"""A scripted backend on a real socket: it notes what reaches it and does, request by request, what it was told.

It speaks HTTP/1.1 by hand, because most of what it has to do no HTTP library would do: cut, drip, lie about lengths.
"""

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.closing import stop_accepting
from tests.patience import PATIENCE

JSON = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What the backend does with one request.

    `raw` replaces the whole answer. `cut`: close the connection before the request is read, after it (nothing is
    answered), or in the middle of the answer's body; `reset` closes with RST. `drip` seconds pass between two bytes
    of the answer. `length` is the Content-Length it claims. `early` answers 103 so many times before. `gate` is
    waited for, `delay` seconds too.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = JSON
    body: bytes = b"{}"
    raw: bytes | None = None
    cut: Literal["", "before", "after", "body"] = ""
    reset: bool = False
    drip: float = 0.0
    length: int | None = None
    early: int = 0
    delay: float = 0.0
    gate: asyncio.Event | None = None
    endless: bool = False

    def answer(self) -> bytes:
        """Return the bytes of the answer."""
        if self.raw is not None:
            return self.raw
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} Scripted"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, ("content-length", str(length)))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


def answers(status: int, body: Any = None, **headers: str) -> Act:
    """Return an act that answers a status, a JSON body, and headers named with underscores."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Act(
        status=status, headers=(*JSON, *named), body=json.dumps({} if body is None else body).encode("ascii")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the backend.

    `at` is the monotonic clock, `head` the head as it came, `in_flight` how many were, this one among them.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    head: bytes
    connection: int
    in_flight: int

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self.headers.get("idempotency-key", "").strip('"')


@dataclass(slots=True)
class Backend:
    """Listens on a loopback port of its own. `script` acts are used up in order, then `default` is done."""

    default: Act = field(default_factory=Act)
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0
    decide: Callable[[Call], Act | None] | None = None
    _scripts: dict[str, deque[Act]] = field(default_factory=lambda: defaultdict(deque))
    _place: socket.socket | None = None
    _server: asyncio.Server | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *acts: Act, path: str = "") -> None:
        """Do these next, for requests whose path starts with `path`."""
        self._scripts[path].extend(acts)

    def to(self, path: str) -> list[Call]:
        """Return the calls whose path starts with `path`."""
        return [call for call in self.calls if call.target.startswith(path)]

    async def called(self, count: int, path: str = "", within: float = PATIENCE) -> list[Call]:
        """Wait for so many calls and return them."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: len(self.to(path)) >= count)
        except TimeoutError:
            msg = f"{len(self.to(path))} of {count} calls to {path or 'the backend'} came within {within} s"
            raise AssertionError(msg) from None
        return self.to(path)

    # -- life

    async def open(self) -> None:
        """Listen; on the port it had before, if it had one."""
        place = socket.socket()
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", self.port))
        self.port = place.getsockname()[1]
        self._place = None
        self._server = await asyncio.start_server(self._serve, sock=place, limit=1 << 20)

    async def die(self) -> None:
        """Refuse connections from now on and cut those there are; the port stays ours."""
        await self.close()
        # Bound and not listening: a connection is refused, and nobody else can take the port.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", self.port))

    async def revive(self) -> None:
        """Listen again where it listened before."""
        if self._place is not None:
            self._place.close()
        await self.open()

    async def close(self) -> None:
        """Cut everything. Twice is harmless."""
        if self._server is not None:
            server, self._server = self._server, None
            await stop_accepting(server)
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._place is not None:
            self._place.close()
            self._place = None

    # -- one connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        if self._server is None:  # accepted just before the end
            _abort(writer)
            return
        self.connections += 1
        number = self.connections
        try:
            while await self._one(reader, writer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the service went away: its right
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """Read one request and do what the script says; return whether the connection goes on."""
        first = self._scripts[""][0] if self._scripts[""] else self.default
        if first.cut == "before" and number != 0:
            await reader.readexactly(1)
            self._take("")
            _abort(writer)
            return False
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.in_flight += 1
        call = Call(
            method=method, target=target, headers=headers, body=body, at=time.monotonic(), head=head,
            connection=number, in_flight=self.in_flight,
        )  # fmt: skip
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._act(call, writer)
        finally:
            self.in_flight -= 1

    def _take(self, target: str) -> Act:
        for path, acts in self._scripts.items():
            if path and acts and target.startswith(path):
                return acts.popleft()
        return self._scripts[""].popleft() if self._scripts[""] else self.default

    async def _act(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        act = (self.decide(call) if self.decide is not None else None) or self._take(call.target)
        async with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        if act.gate is not None:
            await act.gate.wait()
        if act.delay:
            await asyncio.sleep(act.delay)
        if act.cut == "after":
            if act.reset:
                _abort(writer)
            return False
        for _ in range(act.early):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
            await writer.drain()
        answer = act.answer()
        if act.drip:
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(act.drip)
            return False
        writer.write(answer[: -max(1, len(act.body) // 2)] if act.cut == "body" else answer)
        await writer.drain()
        while act.endless:
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
        return not act.cut and act.raw is None and act.length is None


def first_only(acts: dict[str, Act]) -> Callable[[Call], Act]:
    """Return a decision: the first call of each case (`{"case": …}` in its body) gets its act, every later goes well."""
    seen: set[str] = set()

    def decide(call: Call) -> Act:
        case = call.json["case"]
        if case in seen:
            return Act()
        seen.add(case)
        return acts[case]

    return decide


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    taken = writer.get_extra_info("socket")
    if taken is not None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def backend(default: Act | None = None) -> AsyncIterator[Backend]:
    """Run a backend inside the block."""
    made = Backend(default=default or Act())
    await made.open()
    try:
        yield made
    finally:
        await made.close()
