"""Measures the ingest server alone: requests a second and CPU a request, answered the moment they are read.

The server runs in a process of its own with a source that does nothing and a future that is done; the load
generator in another, over 64 keep-alive connections without pipelining, with the headers of a GitHub webhook
and 445 bytes of body. Run it with `python -m bench.ingest`; it prints a table and one line of JSON.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final, cast

import uvloop
from typing_extensions import override

from bench.figures import Table, rss_mib
from service.ingest import IngestServer, Limits
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

CONNECTIONS: Final = 64
BODY: Final = b'{"text":"' + b"x" * 434 + b'"}'
REQUEST: Final = (
    b"POST /hooks/bench HTTP/1.1\r\n"
    b"Host: hooks.example:8080\r\n"
    b"User-Agent: GitHub-Hookshot/044aadd\r\n"
    b"Accept: */*\r\n"
    b"Content-Type: application/json\r\n"
    b"X-GitHub-Event: push\r\n"
    b"X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n"
    b"X-GitHub-Hook-ID: 292430182\r\n"
    b"X-Hub-Signature-256: sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Still(HttpSource[SourceConfig]):
    """A source that takes anything and looks at nothing."""

    kind = "still"
    Config = SourceConfig
    methods = frozenset({"POST"})
    max_body_bytes = 1 << 20

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
        return Batch(items=(Reject(reason="bench", detail="", data=request.body),))


class Shelf:
    """Stores nothing. With `later`, futures are resolved in groups, as a store's group commit does."""

    ready = True

    def __init__(self, later: bool) -> None:
        self._source = Still("bench", SourceConfig(kind="still"))
        self._loop = asyncio.get_running_loop()
        self._accepted = Accepted(new=1, ids=("msg_0123456789abcdef",))
        self._later = later
        self._group: list[asyncio.Future[Accepted]] = []

    def source(self, name: str) -> Still | None:
        return self._source if name == "bench" else None

    def accept(self, _source: str, _batch: Batch, /) -> asyncio.Future[Accepted]:
        future: asyncio.Future[Accepted] = self._loop.create_future()
        if not self._later:
            future.set_result(self._accepted)
            return future
        if not self._group:
            self._loop.call_soon(self._commit)
        self._group.append(future)
        return future

    def _commit(self) -> None:
        group, self._group = self._group, []
        for future in group:
            if not future.done():
                future.set_result(self._accepted)


async def serve(later: bool) -> None:
    """Serve until the input ends; report the CPU of the time between two lines of input."""
    server = IngestServer(
        Shelf(later), Limits(), report=lambda name, error: print(name, error, file=sys.stderr)
    )
    await server.start("127.0.0.1", 0)
    print(server.port, flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    before, requests = time.process_time(), server.counters.requests
    await loop.run_in_executor(None, sys.stdin.readline)
    measured = {
        "cpu": time.process_time() - before,
        "requests": server.counters.requests - requests,
        "rss_mib": rss_mib(os.getpid()),
    }
    print(json.dumps(measured), flush=True)
    await server.stop(1)


class Client(asyncio.Protocol):
    """Sends the next request when the answer of the last is here."""

    def __init__(self, took: list[float]) -> None:
        self._took = took
        self._sent_at = 0.0
        self.others = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(REQUEST)

    @override
    def data_received(self, data: bytes) -> None:
        # Answers are short: one read is one answer.
        self._took.append(time.perf_counter() - self._sent_at)
        if not data.startswith(b"HTTP/1.1 202"):
            self.others += 1
        self._send()


async def load(port: int, seconds: float) -> tuple[list[float], int, float]:
    """Return how long each answer took, how many were no 202, and how long it all took."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Client(took), "127.0.0.1", port) for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(0.5)
    took.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    measured, elapsed = list(took), time.perf_counter() - began
    others = sum(client.others for _, client in pairs)
    for transport, _ in pairs:
        transport.abort()
    return measured, others, elapsed


def measure(later: bool, seconds: float) -> dict[str, float | str]:
    """Run one server and one load; return the figures."""
    command = [sys.executable, "-m", "bench.ingest", "--serve", *(["--later"] if later else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        server.stdin.write("begin\n")
        server.stdin.flush()
        took, others, elapsed = uvloop.run(load(port, seconds))
        server.stdin.write("end\n")
        server.stdin.flush()
        of_server = json.loads(server.stdout.readline())
    took.sort()
    return {
        "answer": "in groups" if later else "at once",
        "requests/s": round(len(took) / elapsed),
        "CPU µs each": round(of_server["cpu"] / of_server["requests"] * 1e6, 2),
        "p50 ms": round(took[len(took) // 2] * 1e3, 2),
        "p99 ms": round(took[len(took) * 99 // 100] * 1e3, 2),
        "not 202": others,
        "RSS MiB": of_server["rss_mib"],
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each run lasts (3)")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure both kinds of answer."""
    yield Table(
        f"ingest alone, {CONNECTIONS} connections, requests of {len(REQUEST)} bytes",
        [measure(later, options.seconds) for later in (False, True)],
    )


if __name__ == "__main__":
    if "--serve" in sys.argv:
        uvloop.run(serve("--later" in sys.argv))
    else:
        from bench.__main__ import main

        main(["ingest", *sys.argv[1:]])
