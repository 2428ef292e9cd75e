"""One connection to a backend: HTTP/1.1 on the event loop, one request at a time.

Reads one answer strictly: whatever is not framed as RFC 9112 says ends the connection and makes the outcome
unknown. It neither connects nor chooses connections: its engine does.
"""

import asyncio
from typing import Final, cast

import httptools
from typing_extensions import override

HEAD_BYTES: Final = 256 * 1024
"""Most bytes of an answer's heads, interim ones included: a flood of them is no answer."""

_UNREADABLE: Final = "\ufffd"  # stands for a header value that is no ASCII text
_BODILESS: Final = (204, 304)


class Cut(Exception):
    """The connection ended, or said what is no HTTP, before the answer was whole."""


class Said(Exception):
    """Raised inside the parser: enough was read."""


class Wire(asyncio.Protocol):
    """A connection. `exchange` writes a request and returns a future that ends when the answer is whole.

    After that `status`, `headers`, `body()` and `truncated` are the answer's, and `reusable` says whether the
    connection is good for another one.
    """

    __slots__ = (
        "_answer", "_bare", "_cap", "_chunks", "_ends_it", "_head_bytes", "_in_body", "_parser", "_room",
        "headers", "idle_since", "reusable", "status", "transport", "truncated",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._answer: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.reusable = True
        self.idle_since = 0.0
        self._reset(0, bare=False)

    def _reset(self, cap: int, *, bare: bool) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.truncated = False
        self._chunks: list[bytes] = []
        self._cap = self._room = cap
        self._bare = bare
        self._head_bytes = 0
        self._in_body = False
        self._ends_it = False  # only the end of the connection ends the body

    def exchange(self, request: bytes, *, cap: int, bare: bool) -> "asyncio.Future[None]":
        """Write a request; the future fails with Cut. `bare`: the answer has no body whatever it says."""
        self._reset(cap, bare=bare)
        self._answer = answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return answer

    def body(self) -> bytes:
        """Return the answer's body, cut at the cap."""
        return b"".join(self._chunks)

    def abort(self, why: str = "the call was given up") -> None:
        """Cut the connection; a call under way fails with Cut."""
        self.reusable = False
        self.transport.abort()
        self._cut(why)

    # What the transport tells us.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    @override
    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # said without being asked: whatever comes next would be taken for an answer
            self.abort()
            return
        try:
            self._parser.feed_data(data)
            if not self._in_body:
                self._head_bytes += len(data)
                if self._head_bytes > HEAD_BYTES:
                    self.abort("its head has no end")
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Said):
                raise
        except httptools.HttpParserUpgrade:
            self.abort("it switched to another protocol")
        except httptools.HttpParserError as error:
            self.abort(f"it is no HTTP: {error}")

    @override
    def eof_received(self) -> None:
        if self._in_body and self._ends_it:
            self._whole()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if exc is None and self._in_body and self._ends_it:
            self._whole()
        self._cut("the connection was closed" if exc is None else type(exc).__name__)

    # What the parser tells us.

    def on_message_begin(self) -> None:
        """Begin an answer, which may be an interim one."""
        if self._answer is None:  # more than one answer
            self.reusable = False
            raise Said

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; those behind the body are nobody's."""
        if self._in_body:
            return
        text = value.decode("ascii") if value.isascii() else _UNREADABLE
        self.headers.append((name.decode("ascii").lower(), text))

    def on_headers_complete(self) -> None:
        """Find out how the answer is framed."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = []
            return
        self.status = status
        self._in_body = True
        if self._bare:
            # The parser waits for the body that a HEAD's answer announces: it is of no use any more.
            self.reusable = False
            self._whole()
            raise Said
        named = dict(self.headers)
        framed = "content-length" in named or "transfer-encoding" in named or status in _BODILESS
        self._ends_it = not framed

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; what is beyond the cap is not waited for."""
        self._chunks.append(body[: self._room])
        self._room -= len(body)
        if self._room < 0:
            self.truncated = True
            self.reusable = False
            self._whole()
            raise Said

    def on_message_complete(self) -> None:
        """End the answer."""
        if not self.status:  # an interim answer
            return
        if self.reusable:
            # An answer that came before all of the request was written: the rest of it is still to come.
            self.reusable = self._parser.should_keep_alive() and not self.transport.get_write_buffer_size()
        self._whole()

    # The end of an answer.

    def _whole(self) -> None:
        answer, self._answer = self._answer, None
        if not self.reusable or self._ends_it:
            self.reusable = False
            self.transport.abort()
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _cut(self, why: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(Cut(why))
