"""The backend, a process of its own: writes every request down before it answers, and fails now and then.

`python -m tests.crash.ledger OPTIONS` with OPTIONS as JSON (see `Options`); prints its port, then serves until its
standard input ends. What it does to a request is decided by the seed, the idempotency key and how often the key came:
nothing here is left to chance. From the fifth time on everything goes well, so that a backlog drains.
"""

import asyncio
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from typing_extensions import override

from tests.crash.generator import digest
from tests.crash.journal import Journal

FAULTS: Final = (
    ("503", 0.05),
    ("500", 0.03),
    ("429", 0.03),  # Retry-After: 0
    ("429 later", 0.025),  # Retry-After: 1
    ("cut", 0.04),  # executed, then the connection is cut instead of an answer
    ("slow", 0.05),  # executed, answered after a while
)
"""What goes wrong with which share of the requests."""

REFUSED: Final = 0.6
"""Share of calls of `refuse` that are answered 422."""

SLOW: Final = 0.15
PATIENCE: Final = 5
"""From this time on that a key comes, nothing goes wrong any more."""


ITEMS_PER_SECOND: Final = 4
"""How fast the list grows that a poll reads."""


class Options(msgspec.Struct):
    """What a ledger is told. `items` is the journal of items that were shown."""

    journal: str
    seed: int
    items: str
    port: int = 0


class Ledger:
    """What all connections share: the journal, and how often each key came."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.journal = Journal(Path(options.journal))
        self.items = Journal(Path(options.items))
        self.began = time.monotonic()
        self.shown = 0
        self.seen: Counter[str] = Counter()
        self.count = 0

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, bytes]:
        """Write a request down; return what is done with it, and the body of the answer."""
        operation, _, uid = path.strip("/").partition("/")
        key = headers.get("idempotency-key", "")
        self.count += 1
        self.seen[operation + key] += 1
        does = self.decide(operation, key, self.seen[operation + key])
        self.journal.write(
            at=time.time(),
            n=self.count,
            op=operation,
            method=method,
            uid=uid,
            key=key,
            body=digest(body),
            cause=headers.get("pointsman-causation", ""),
            headers=sorted(headers),
            does=does,
        )
        return does, msgspec.json.encode({"id": f"{operation}-{digest(key.encode())}"})

    def list(self) -> bytes:
        """Return all items there are; those that nobody has seen before are written down."""
        count = 1 + int((time.monotonic() - self.began) * ITEMS_PER_SECOND)
        while self.shown < count:
            self.items.write(id=f"item-{self.shown}", at=time.time())
            self.shown += 1
        return msgspec.json.encode({"items": [{"id": f"item-{number}"} for number in range(count)]})

    def decide(self, operation: str, key: str, time_of_key: int) -> str:
        """Return what happens to a key's n-th request."""
        does = fate(self.options.seed, f"{operation}/{key}", time_of_key)
        if does == "ok" and operation == "refusals" and time_of_key < PATIENCE:
            return "422" if _chance(f"{self.options.seed}/{key}/{time_of_key}") < REFUSED else "ok"
        return does


def fate(seed: int, request: str, time_of_it: int) -> str:
    """Return what happens to a request that comes for the n-th time: "ok", or one of the faults."""
    if time_of_it >= PATIENCE:
        return "ok"
    chance = _chance(f"{seed}/{request}/{time_of_it}")
    for name, share in FAULTS:
        if chance < share:
            return name
        chance -= share
    return "ok"


def _chance(text: str) -> float:
    """Return a number from 0 to 1 that is always the same for a text."""
    return float(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")) / 2**48


class Peer(asyncio.Protocol):
    """One connection of the service. It never has two requests under way."""

    transport: asyncio.Transport

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.buffer = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", "0"))
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            method, path, _ = first.split(" ")
            self.handle(method, path, headers, body)

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Answer one request."""
        if method == "GET":
            self.write(200, "", self.ledger.list())
        else:
            self.answer(method, *self.ledger.take(method, path, headers, body))

    def answer(self, method: str, does: str, body: bytes) -> None:
        if does == "cut":
            self.transport.abort()
        elif does == "slow":
            asyncio.get_running_loop().call_later(SLOW, self.write, 200, "", body)
        elif does == "ok":
            self.write(200 if method == "PUT" else 201, "", body)
        else:
            after = {"429": "retry-after: 0\r\n", "429 later": "retry-after: 1\r\n"}.get(does, "")
            self.write(int(does[:3]), after, b'{"title":"not now"}')

    def write(self, status: int, more: str, body: bytes) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


async def serve(options: Options) -> None:
    """Serve until standard input ends."""
    ledger = Ledger(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(ledger), "127.0.0.1", options.port, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    server.close()
    ledger.journal.close()
    ledger.items.close()


if __name__ == "__main__":
    asyncio.run(serve(msgspec.json.decode(sys.argv[1], type=Options)))
