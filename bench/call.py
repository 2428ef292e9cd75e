"""Measures calls alone: what a call costs through the connector, beside the bare driver below it.

Run as `python -m bench call`. The backend is a process of its own; 64 calls are in flight; figures are µs per
call, wall and CPU (all threads of this process), medians over rounds that are interleaved.
"""

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import msgspec
import uvloop
from pyreqwest.client import ClientBuilder

from actions.auth import Bearer
from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.origins import HTTPLimits
from actions.specs import read_spec
from actions.specs.model import Spec
from bench.figures import Table

IN_FLIGHT: Final = 64
ARGUMENTS: Final = {
    "orderId": "ord_4711",
    "body": {"items": [{"sku": "A-1", "qty": 2}] * 5, "note": "order 4711"},
}
ATTEMPT: Final = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "ce-causationid": "msg_000000004711",
    "ce-hops": "1",
}
DESCRIPTION: Final[dict[str, Any]] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/orders/{orderId}/reserve": {
            "post": {
                "operationId": "reserveStock",
                "parameters": [
                    {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}},
            }
        }
    },
}

Once = Callable[[int], Awaitable[object]]


class Figure(msgspec.Struct, frozen=True):
    """What one call costs, in µs."""

    wall: float
    cpu: float


@asynccontextmanager
async def bare(port: int) -> AsyncIterator[Once]:
    """The driver alone, with the same request built beforehand and the whole answer read."""
    client = (
        ClientBuilder()
        .resolve("backend.test", "127.0.0.1", 0)
        .no_proxy()
        .follow_redirects(False)
        .pool_max_idle_per_host(IN_FLIGHT)
        .build()
    )
    url = f"http://backend.test:{port}/v1/orders/ord_4711/reserve"
    body = msgspec.json.encode(ARGUMENTS["body"])
    headers = [
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("User-Agent", "Pointsman"),
        ("Accept-Encoding", "identity"),
        ("Idempotency-Key", '"0123456789abcdef"'),
        *ATTEMPT.items(),
        ("authorization", "Bearer secret"),
    ]
    timeout = timedelta(seconds=10)

    async def once(_: int) -> object:
        builder = client.post(url).headers(headers).body_bytes(body).timeout(timeout)
        answer = await builder.build().send()
        return answer.status, await answer.bytes()

    yield once
    await client.close()


@asynccontextmanager
async def ours(port: int, engine: str, *, prepare: bool) -> AsyncIterator[Once]:
    """The connector: `prepare` (unless once for all) and `call`."""
    connector = HTTPConnector(
        "bench",
        description(),
        server=f"http://127.0.0.1:{port}/v1",
        auth=Bearer("secret"),
        egress=read_egress([f"127.0.0.1:{port}"]),
        limits=HTTPLimits(in_flight=IN_FLIGHT),
        engine=engine,
    )
    await connector.open()
    ready = connector.prepare("reserveStock", ARGUMENTS, key="0123456789abcdef")

    async def once(number: int) -> object:
        prepared = connector.prepare("reserveStock", ARGUMENTS, key=f"{number:016x}") if prepare else ready
        return await connector.call(prepared, deadline=10.0, headers=ATTEMPT)

    yield once
    await connector.close()


def description() -> Spec:
    """Return the one-operation description that is called."""
    return read_spec({"shop.json": msgspec.json.encode(DESCRIPTION)})


async def measure(once: Once, calls: int) -> Figure:
    """Make so many calls, always as many in flight as there are lanes."""

    async def lane() -> None:
        for number in range(calls // IN_FLIGHT):
            await once(number)

    async with asyncio.TaskGroup() as group:
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        for _ in range(IN_FLIGHT):
            group.create_task(lane())
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done = calls // IN_FLIGHT * IN_FLIGHT
    return Figure(wall / done * 1e6, cpu / done * 1e6)


async def run(port: int, calls: int, rounds: int) -> dict[str, Figure]:
    """Measure every way, interleaved, and return the medians."""
    ways = {
        "pyreqwest bare": (bare(port), calls),
        "pyreqwest call": (ours(port, "pyreqwest", prepare=False), calls),
        "pyreqwest prepare+call": (ours(port, "pyreqwest", prepare=True), calls),
        "direct call": (ours(port, "direct", prepare=False), calls),
        "direct prepare+call": (ours(port, "direct", prepare=True), calls),
        "httpx prepare+call": (ours(port, "httpx", prepare=True), calls // 20),
    }
    seen: dict[str, list[Figure]] = {name: [] for name in ways}
    opened = {name: (await way.__aenter__(), count) for name, (way, count) in ways.items()}
    for number in range(rounds + 1):
        for name, (once, count) in opened.items():
            figure = await measure(once, count)
            if number:  # the first round only warms up
                seen[name].append(figure)
    for way, _ in ways.values():
        await way.__aexit__(None, None, None)
    return {
        name: Figure(
            statistics.median(figure.wall for figure in figures),
            statistics.median(figure.cpu for figure in figures),
        )
        for name, figures in seen.items()
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=6_000, help="calls of a round (6000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, interleaved (3)")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure every way, beside a backend in a process of its own."""
    backend = subprocess.Popen(
        [sys.executable, "-m", "bench.backend"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert backend.stdout is not None
    try:
        port = int(backend.stdout.readline())
        found = uvloop.run(run(port, options.calls, options.rounds))
    finally:
        backend.communicate()
    base = found["pyreqwest bare"]
    yield Table(
        f"calls alone, {IN_FLIGHT} in flight",
        [
            {
                "call": name,
                "calls/s": round(1e6 / one.wall),
                "wall µs": round(one.wall, 1),
                "CPU µs": round(one.cpu, 1),
                "CPU µs over bare": round(one.cpu - base.cpu, 1),
            }
            for name, one in found.items()
        ],
    )


if __name__ == "__main__":
    from bench.__main__ import main

    main(["call", *sys.argv[1:]])
