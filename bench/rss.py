"""Measures memory over a long run: the service's resident memory after each tenth of a million messages.

Not among the benchmarks that run by themselves: a million messages take some minutes.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actions.engines import DEFAULT, ENGINES
from bench.figures import Table
from bench.whole import measure, service, sink


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages in all (1000000)")
    parser.add_argument("--engine", choices=ENGINES, default=DEFAULT, help=f"the HTTP client ({DEFAULT})")
    parser.add_argument("--directory", type=Path, help="where the store lies: about 1.5 kB a message")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Send everything in ten parts, each checked for exactly once."""
    part = max(1, options.messages // 10)
    with (
        tempfile.TemporaryDirectory(prefix="pointsman-bench-", dir=options.directory) as directory,
        sink() as backend,
        service(Path(directory), backend.port, engine=options.engine) as server,
    ):
        rows = []
        for number in range(10):
            row = measure(f"{part * (number + 1):,}", server, backend, part * number, part, 0)
            rows.append({**row, "messages": part * (number + 1), "RSS MiB": row["RSS after MiB"]})
            print(f"… {row['run']}: {row['RSS after MiB']} MiB", file=sys.stderr, flush=True)
        shown = ("messages", "RSS MiB", "messages/s", "CPU µs each", "answer p99 ms", "end to end p99 ms")
        yield Table("memory over a long run", [{name: row[name] for name in shown} for row in rows])


if __name__ == "__main__":
    from bench.__main__ import main

    main(["rss", *sys.argv[1:]])
