"""Measures the sources beside their bare drivers, alone and into the store: `python -m bench sources`.

For each source and size of batch, in one run: the bare driver, our source with an `emit` that keeps nothing,
and our source through the real intake into the embedded store, each commit synced. Ten rules look at every
message, one matches, so a delivery is stored with each; the dispatcher does not run. Servers are real:
those that are named, or started for this. Medians of some rounds are shown; no figure makes a run fail.

Not among the benchmarks that run by themselves: it takes some minutes and needs the servers' programs.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import uvloop

from bench import sources_kafka, sources_postgres, sources_rabbitmq
from bench.figures import Row, Table
from bench.reading import Subject, load, rounds, server

Prepared = AbstractAsyncContextManager[Subject]
Prepare = Callable[[str, argparse.Namespace], Prepared]

PLACES: Final[Mapping[str, tuple[str, Prepare]]] = {
    "kafka": ("kafka", sources_kafka.topic),
    "rabbitmq": ("rabbitmq", sources_rabbitmq.queue),
    "postgres": ("postgres", sources_postgres.stream),
    "postgres-poll": ("postgres", sources_postgres.poll),
    "postgres-outbox": ("postgres", sources_postgres.outbox),
}
"""What is measured: on which server, and what makes and fills the place there."""


def add_options(parser: argparse.ArgumentParser) -> None:
    add_servers(parser)
    parser.add_argument("--only", choices=PLACES, nargs="+", default=list(PLACES), help="which (all)")
    parser.add_argument("--messages", type=int, default=60_000, help="messages of each case (60000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; their median is shown (3)")
    parser.add_argument("--batches", type=int, nargs="+", help="sizes of a batch (each source's own three)")
    parser.add_argument("--per-commit", type=int, default=100, help="PostgreSQL: rows of a transaction (100)")
    parser.add_argument("--more", action="store_true", help="further ways to read, to compare with")


def add_servers(parser: argparse.ArgumentParser) -> None:
    """Add the options that name servers; each may be an environment variable too."""
    for kind, example in (
        ("kafka", "127.0.0.1:9092"),
        ("rabbitmq", "amqp://127.0.0.1:5672 (user guest)"),
        ("postgres", "postgresql://postgres@127.0.0.1/postgres"),
    ):
        given = os.environ.get(f"POINTSMAN_BENCH_{kind.upper()}", "")
        parser.add_argument(f"--{kind}", default=given, help=f"{example}; absent: one is started")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure one source after the other."""
    before = load()
    rows = uvloop.run(_measured(options))
    yield Table(
        f"sources: {options.messages:,} messages, median of {options.rounds} rounds, {before}, then {load()}",
        rows,
    )


async def _measured(options: argparse.Namespace) -> list[Row]:
    rows = []
    for kind in ("kafka", "rabbitmq", "postgres"):
        wanted = [PLACES[name][1] for name in options.only if PLACES[name][0] == kind]
        if not wanted:
            continue
        async with server(kind, getattr(options, kind)) as address:
            for prepare in wanted:
                async with prepare(address, options) as subject:
                    rows += await rounds(subject, options.rounds)
    return rows
