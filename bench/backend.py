"""A backend for benches, in a process of its own: answers every request at once with the same 200.

`python -m bench.backend` listens on a free port of the loopback, prints it, and serves until its standard
input ends.
"""

import asyncio
import sys
from typing import Final, cast

import uvloop
from typing_extensions import override

_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 29\r\n\r\n"
    b'{"ok":true,"id":"abcdefghij"}'
)


class Backend(asyncio.Protocol):
    """Reads requests with Content-Length or none, pipelined or not."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._read = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    @override
    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        read = self._read + data
        answers = 0
        while (end := read.find(b"\r\n\r\n") + 4) > 3:
            head = read[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 : head.find(b"\r", at)]) if at >= 0 else 0
            if len(read) < end + length:
                break
            self.taken(read[end : end + length])
            read = read[end + length :]
            answers += 1
        self._read = read
        if answers:
            self._transport.write(_ANSWER * answers)

    def taken(self, body: bytes) -> None:
        """Called for every request; a backend that looks at bodies says here what it does."""


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Backend, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
