"""A backend made of raw sockets that does to its callers whatever a script says."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.fakes.closing import stop_accepting
from tests.patience import PATIENCE

Script = Callable[["Talk"], Awaitable[object]]


class Talk:
    """One connection, as a script sees it."""

    def __init__(
        self, backend: "RawBackend", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.backend = backend
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one request whole and note it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        whole = head + await self.reader.readexactly(length)
        self.backend.requests.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"ok", status: str = "200 OK", *headers: str) -> None:
        head = "".join(
            f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}")
        )
        await self.say(head.encode("latin-1") + b"\r\n" + body)

    async def gone(self) -> None:
        """Wait until the other side has closed."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        self.writer.transport.abort()


class RawBackend:
    """Listens on a free port of the loopback; counts what reaches it."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._closing = False
        self._talks: set[asyncio.Task[None]] = set()
        self._transports: set[asyncio.WriteTransport] = set()
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.hellos: list[str | None] = []

    @contextlib.asynccontextmanager
    async def listening(
        self, context: ssl.SSLContext | None = None, *, port: int = 0
    ) -> AsyncIterator["RawBackend"]:
        if context is not None:
            context.sni_callback = lambda _, name, __: self.hellos.append(name)
        self._closing = False
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        # Before Python 3.12 only a wait that began before `close` waits for the connections.
        gone = asyncio.ensure_future(server.wait_closed())
        try:
            yield self
        finally:
            self._closing = True
            await stop_accepting(server)
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            for transport in self._transports:
                # One whose connection the event loop has already seen lost has no loop any more, and cannot be aborted.
                if getattr(transport, "_conn_lost", 0) == 0:
                    transport.abort()
            # Also those whose handshake never ended: no test leaves a socket behind.
            async with asyncio.timeout(PATIENCE):
                await gone

    def url(self, path: str = "/x", scheme: str = "http", host: str = "backend.test") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closing:
            writer.transport.abort()
            return
        self.connections += 1
        self._transports.add(writer.transport)
        # A task of our own, for what asyncio starts for a connection complains when it is cancelled.
        task = asyncio.ensure_future(self._talk(Talk(self, reader, writer)))
        self._talks.add(task)
        await asyncio.wait([task])

    async def _talk(self, talk: Talk) -> None:
        try:
            await self._script(talk)
        except (OSError, EOFError):
            pass  # the other side went away
        finally:
            talk.writer.close()
