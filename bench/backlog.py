"""Measures memory while a backlog is taken in: `python -m bench backlog`.

The messages wait outside before the service starts: in a Kafka topic, a RabbitMQ queue, the log of a
PostgreSQL table. Then a service, in a process of its own, takes them in, past ten rules of which one matches
every message. Its backend is not there, so every delivery waits on disk and the dispatcher tries again and
again. The resident memory is sampled: it must not grow with what was taken in. In the end every message
must be in the store, once, with a delivery.

Not among the benchmarks that run by themselves: a million messages take minutes and about a gigabyte.
"""

import argparse
import contextlib
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import sources_kafka, sources_postgres, sources_rabbitmq
from bench.figures import Row, Table
from bench.reading import load, rules, server
from bench.sources import add_servers
from bench.whole import Server, Wrong, instance

SHARES: Final = {"kafka": 1.0, "rabbitmq": 0.2, "postgres": 1.0}
"""What is measured, and with how much of the messages: RabbitMQ takes long to be filled."""

EVERY: Final = 0.5
"""Seconds between two looks."""

_FOUND: Final = """
SELECT count(*) FROM messages m JOIN names n ON n.kind = 'source' AND n.number = m.source
WHERE n.name = 'backlog'
"""

STALLED: Final = 60.0
"""Seconds without a new message after which the service has failed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_servers(parser)
    parser.add_argument("--only", choices=SHARES, nargs="+", default=list(SHARES), help="which (all)")
    parser.add_argument(
        "--messages", type=int, default=1_000_000, help="messages that wait (1000000; RabbitMQ: a fifth)"
    )
    parser.add_argument("--directory", type=Path, help="where the store lies: about 1 kB a message")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Fill and take in, one source after the other."""
    for kind in options.only:
        before = load()
        row = uvloop.run(_measured(kind, options))
        yield Table(f"memory while a {kind} backlog is taken in, {before}, then {load()}", [row])


async def _measured(kind: str, options: argparse.Namespace) -> Row:
    messages = int(options.messages * SHARES[kind])
    fill, match = _PLACES[kind]
    async with server(kind, getattr(options, kind)) as address, fill(address, messages) as source:
        document = {
            "sources": {"backlog": source},
            "connectors": {"backend": {"spec": "backend.openapi.json"}},
            "connections": {
                "backend": {"connector": "backend", "server": "http://127.0.0.1:9", "egress": ["127.0.0.1"]}
            },
            "rules": rules(match),
        }
        with (
            tempfile.TemporaryDirectory(prefix="pointsman-bench-", dir=options.directory) as folder,
            instance(Path(folder), document, address) as running,
        ):
            return _watched(kind, running, Path(folder) / "data" / "pointsman.db", messages)


def _watched(kind: str, running: Server, database: Path, messages: int) -> Row:
    """Look until all is taken in; return the figures. Raise Wrong when one is missing."""
    started, cpu = time.monotonic(), running.cpu_us()
    samples: list[tuple[int, float]] = []
    moved = started
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as store:

        def one(sql: str) -> int:
            rows = store.execute(sql).fetchall()  # all: an open statement would keep the log from ending
            return int(rows[0][0])

        while not samples or samples[-1][0] < messages:
            count = one("SELECT coalesce(max(number), 0) FROM messages")
            if count >= messages:  # messages about our own troubles may be among them
                count = one(_FOUND)
            if not samples or count != samples[-1][0]:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALLED:
                raise Wrong(f"{kind}: nothing came any more after {count} of {messages} messages")
            samples.append((count, running.rss_mib()))
            if len(samples) % 20 == 0:
                print(f"… {kind}: {count:,} taken in, {samples[-1][1]} MiB", file=sys.stderr, flush=True)
            time.sleep(EVERY)
        took, cpu = time.monotonic() - started, running.cpu_us() - cpu
        found = samples[-1][0]
        deliveries = one("SELECT count(DISTINCT message) FROM runs")
    if found != messages or deliveries < messages:
        raise Wrong(f"{kind}: {messages} waited, {found} are in the store with {deliveries} deliveries")
    return {
        "source": kind,
        "messages": messages,
        "messages/s": round(messages / took),
        "CPU µs each": round(cpu / messages, 1),
        **_memory(samples),
    }


def _memory(samples: list[tuple[int, float]]) -> Row:
    """Return the memory at the start, at its most and at the end, and its slope over the second half.

    The first half is left out of the slope: caches fill, pools of threads and buffers reach their size.
    """
    half = [one for one in samples if one[0] >= samples[-1][0] / 2]
    counts, memory = zip(*half, strict=True)
    slope = statistics.linear_regression(counts, memory).slope if len(set(counts)) > 1 else 0.0
    return {
        "RSS start MiB": samples[0][1],
        "RSS half MiB": half[0][1],
        "RSS peak MiB": max(memory for _, memory in samples),
        "RSS end MiB": samples[-1][1],
        "slope, MiB per 100,000": round(slope * 100_000, 2),
    }


# -- what waits outside; each gives the source's configuration


@contextlib.asynccontextmanager
async def _kafka(address: str, messages: int) -> AsyncIterator[dict[str, Any]]:
    async with sources_kafka.filled(address, messages) as topic:
        group = secrets.token_hex(6)
        yield {"kind": "kafka", "servers": [address], "topics": [topic], "group": group}


@contextlib.asynccontextmanager
async def _rabbitmq(address: str, messages: int) -> AsyncIterator[dict[str, Any]]:
    name = f"bench_{secrets.token_hex(4)}"
    try:
        await sources_rabbitmq.fill(address, name, messages)
        yield {"kind": "rabbitmq", "url": sources_rabbitmq.without_user(address), "queue": name}
    finally:
        await sources_rabbitmq.drop(address, name)


@contextlib.asynccontextmanager
async def _postgres(address: str, messages: int) -> AsyncIterator[dict[str, Any]]:
    async with sources_postgres.filled(address, messages, 100) as place:
        config = place.changes(place.name)
        yield {
            "kind": "postgres",
            "url": {"env": "SECRET"},
            "tables": list(config.tables),
            "publication": config.publication,
            "slot": config.slot,
        }


Fill = Callable[[str, int], AbstractAsyncContextManager[dict[str, Any]]]

_PLACES: Final[dict[str, tuple[Fill, dict[str, Any]]]] = {
    "kafka": (_kafka, sources_kafka.MATCH),
    "rabbitmq": (_rabbitmq, sources_rabbitmq.MATCH),
    "postgres": (_postgres, sources_postgres.MATCH),
}
