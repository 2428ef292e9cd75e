"""The demo's backend: a small shop behind a real HTTP server, with switches for everything that goes wrong.

It remembers answers by idempotency key, as a good backend does. Nothing of the service is imported here: it
is the outside.
"""

import asyncio
import hmac
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import msgspec

LARGEST: Final = 1024 * 1024
"""Bytes of the largest request body it reads."""

REMEMBERED: Final = 10_000
"""Calls that it remembers."""

_ROUTES: Final = (
    ("GET", re.compile(r"/health"), "getHealth"),
    ("POST", re.compile(r"/deployments"), "createDeployment"),
    ("POST", re.compile(r"/stock/[^/]+/reservations"), "reserveStock"),
    ("PUT", re.compile(r"/orders/[^/]+/confirmation"), "confirmOrder"),
)


@dataclass(slots=True)
class Switches:
    """What the shop does wrong next. Counts go down with every call of an operation."""

    fail: int = 0  # so many calls are answered 503
    busy: int = 0  # so many calls are answered 429 with Retry-After
    retry_after: int = 1
    cut: int = 0  # so many calls are performed and their connection cut before the answer
    slow: float = 0.0  # seconds before every answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the shop."""

    operation: str
    method: str
    path: str
    key: str
    body: Any
    status: int  # 0: cut before the answer
    repeated: bool = False


@dataclass(slots=True)
class Shop:
    """The shop. `calls` are what reached it; `wait_for` waits until there is one that fits.

    `heard` is told of each call as it comes.
    """

    token: str
    heard: Callable[[Call], None] = lambda _call: None
    switches: Switches = field(default_factory=Switches)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    port: int = 0
    _answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _made: int = 0

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen, on loopback where nothing else is said; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the shop and every connection to it. Twice is harmless."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def wait_for(self, fits: Callable[[Call], bool], timeout: float) -> Call | None:  # noqa: ASYNC109
        """Return the first call that fits, waiting up to `timeout` seconds; None when none came."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                while True:
                    found = next((call for call in self.calls if fits(call)), None)
                    if found is not None:
                        return found
                    await self._changed.wait()
        except TimeoutError:
            return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            while await self._one(connection, reader, writer):
                connection.start_next_cycle()
        except (h11.ProtocolError, ConnectionError):
            pass  # the client's fault, or it is gone: the connection ends below
        except asyncio.CancelledError:
            pass  # the shop closes; before Python 3.12 asyncio complains of a connection that ends cancelled
        finally:
            writer.close()

    async def _one(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        request, body = None, bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > LARGEST:
                    return False
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                break
            else:
                return False
        status, answer, more = await self._answer(request, bytes(body))
        if status == 0:
            return False
        headers = [("content-type", "application/json"), ("content-length", str(len(answer))), *more]
        for part in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=answer),
            h11.EndOfMessage(),
        ):
            writer.write(connection.send(part) or b"")
        await writer.drain()
        return connection.our_state is h11.DONE

    async def _answer(self, request: h11.Request, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]]:
        method, path = request.method.decode(), request.target.decode().partition("?")[0]
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        operation = next(
            (name for verb, path_of, name in _ROUTES if verb == method and path_of.fullmatch(path)), ""
        )
        if not operation:
            return 404, _problem("no such operation"), []
        if operation == "getHealth":
            return 200, b'{"status":"ok"}', []
        if not hmac.compare_digest(headers.get("authorization", ""), f"Bearer {self.token}"):
            return 401, _problem("the token is not taken"), []
        if self.switches.slow:
            await asyncio.sleep(self.switches.slow)
        key = headers.get("idempotency-key", "").strip('"')
        status, answer, more, repeated = self._perform(operation, key)
        try:
            content = msgspec.json.decode(body) if body else None
        except msgspec.DecodeError:
            content = body.decode("utf-8", "replace")
        call = Call(
            operation=operation,
            method=method,
            path=path,
            key=key,
            body=content,
            status=status,
            repeated=repeated,
        )
        async with self._changed:
            self.calls.append(call)
            self.heard(call)
            self._changed.notify_all()
        return status, answer, more

    def _perform(self, operation: str, key: str) -> tuple[int, bytes, list[tuple[str, str]], bool]:
        """Do what is asked, or what the switches say."""
        switches = self.switches
        if switches.fail > 0:
            switches.fail -= 1
            return 503, _problem("closed for a moment"), [], False
        if switches.busy > 0:
            switches.busy -= 1
            return 429, _problem("too many calls"), [("retry-after", str(switches.retry_after))], False
        known = self._answers.get(key) if key else None
        if known is None:
            self._made += 1
            status = 200 if operation == "confirmOrder" else 201
            known = (status, msgspec.json.encode({"id": f"{operation}-{self._made}"}))
            if key and len(self._answers) < REMEMBERED:
                self._answers[key] = known
            repeated = False
        else:
            repeated = True
        if switches.cut > 0:
            switches.cut -= 1
            return 0, b"", [], repeated
        return *known, [], repeated


def _problem(title: str) -> bytes:
    return msgspec.json.encode({"title": title})
