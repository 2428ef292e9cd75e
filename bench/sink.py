"""The backend of the whole way, in a process of its own: counts the messages that reach it, and when.

Each body holds the message's `number` and `sent_at` (nanoseconds of the machine's monotonic clock).
`python -m bench.sink` prints its port; each line of standard input is answered with a line of JSON about
what came since `reset`, the end of the input ends it.
"""

import asyncio
import json
import sys
import time
from collections import Counter

import msgspec
import uvloop
from typing_extensions import override

from bench.backend import Backend
from bench.figures import percentile


class Arrived(msgspec.Struct, frozen=True):
    """What of a body is looked at."""

    number: int
    sent_at: int


class Book:
    """What has come in."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.numbers: Counter[int] = Counter()
        self.took: list[float] = []
        self.last_at = 0

    def note(self, arrived: Arrived) -> None:
        self.last_at = time.monotonic_ns()
        self.numbers[arrived.number] += 1
        self.took.append((self.last_at - arrived.sent_at) / 1e6)

    def report(self) -> dict[str, float]:
        ordered = sorted(self.took)
        return {
            "messages": len(self.numbers),
            "repeats": len(ordered) - len(self.numbers),
            "last_at": self.last_at,
            "p50_ms": round(percentile(ordered, 0.5), 2),
            "p99_ms": round(percentile(ordered, 0.99), 2),
        }


class Sink(Backend):
    """Notes every message."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self._book = book
        self._decode = msgspec.json.Decoder(Arrived).decode

    @override
    def taken(self, body: bytes) -> None:
        self._book.note(self._decode(body))


async def serve() -> None:
    loop, book = asyncio.get_running_loop(), Book()
    server = await loop.create_server(lambda: Sink(book), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "reset":
            book.clear()
        print(
            json.dumps({"messages": len(book.numbers)} if line.strip() == "count" else book.report()),
            flush=True,
        )
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
