"""The sender of the whole way, in a process of its own: signed webhooks, as GitHub sends them.

`python -m bench.sender PORT FIRST COUNT RATE` sends that many messages, numbered from FIRST, over 64
connections: RATE a second, evenly, or (0) each connection the next one as soon as it has its answer. It
prints one line of JSON.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections import deque
from typing import Final, cast

import uvloop
from typing_extensions import override

from bench.figures import percentile

CONNECTIONS: Final = 64
SECRET: Final = "It's a Secret to Everybody"
SECONDS: Final = 120.0
"""Longest time that all of it may take."""

_BODY: Final = (
    '{"ref":"refs/heads/main","after":"%040x","number":%d,"sent_at":%d,"forced":false,'
    '"repository":{"id":186853002,"full_name":"octo/shop","private":true,"stars":1.10},'
    '"pusher":{"name":"mona","email":"mona@example.org"},"head_commit":{"id":"%040x",'
    '"message":"Take orders of several pages","timestamp":"2026-01-31T09:30:00Z",'
    '"added":["orders/pages.py"],"modified":["README.md"]}}'
)
_HEAD: Final = (
    "POST /hooks/github HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
    "Accept: */*\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
    "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-%012x\r\nX-GitHub-Hook-ID: 292430182\r\n"
    "X-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n"
)


def make_request(number: int) -> bytes:
    """Return one signed webhook."""
    body = (_BODY % (number, number, time.monotonic_ns(), number)).encode()
    signature = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    return (_HEAD % (number, signature, len(body))).encode() + body


class Load:
    """What is to be sent, what came back."""

    def __init__(self, first: int, count: int, rate: float) -> None:
        self.first, self.count, self.rate = first, count, rate
        self.began = 0
        self.begun = 0
        self.took: list[float] = []
        self.others = 0
        self.late = 0
        self.idle: deque[Client] = deque()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, client: "Client") -> None:
        client.send(make_request(self.first + self.begun))
        self.begun += 1

    def answered(self, client: "Client", took: float, well: bool) -> None:
        self.took.append(took)
        self.others += not well
        if not self.rate and self.begun < self.count:
            self.send(client)
        else:
            self.idle.append(client)
        if len(self.took) == self.count:
            self.over.set_result(None)

    async def run(self) -> None:
        """Send everything and wait for all answers."""
        loop, self.began = asyncio.get_running_loop(), time.monotonic_ns()
        if not self.rate:
            for client in [self.idle.popleft() for _ in range(min(len(self.idle), self.count))]:
                self.send(client)
        else:
            began = loop.time()
            while self.begun < self.count:
                await asyncio.sleep(began + self.begun / self.rate - loop.time())
                if self.idle:
                    self.send(self.idle.popleft())
                else:
                    self.late += 1
                    await asyncio.sleep(0.001)
        await asyncio.wait_for(self.over, SECONDS)


class Client(asyncio.Protocol):
    """One connection; answers are short: one read is one answer."""

    _load: Load

    def begin(self, load: Load) -> None:
        self._load = load
        load.idle.append(self)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    @override
    def data_received(self, data: bytes) -> None:
        took = time.perf_counter() - self._sent_at
        self._load.answered(self, took, data.startswith(b"HTTP/1.1 202"))


async def send(port: int, first: int, count: int, rate: float) -> dict[str, float]:
    """Send, and return the figures."""
    loop, load = asyncio.get_running_loop(), Load(first, count, rate)
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(Client, "127.0.0.1", port)
        client.begin(load)
    await load.run()
    ordered = sorted(load.took)
    return {
        "began_at": load.began,
        "accepted": count - load.others,
        "refused": load.others,
        "p50_ms": round(percentile(ordered, 0.5) * 1e3, 2),
        "p99_ms": round(percentile(ordered, 0.99) * 1e3, 2),
    }


def main() -> None:
    port, first, count, rate = (int(word) for word in sys.argv[1:5])
    print(json.dumps(uvloop.run(send(port, first, count, rate))), flush=True)


if __name__ == "__main__":
    main()
