"""`python -m bench [name …] [options]`: run benchmarks, show their tables, write all figures as JSON.

Figures are measured and printed; no figure makes a run fail. A benchmark whose subject did not do its job
(a lost message, a wrong count) does.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec

from bench.figures import Table

NAMES: Final = (
    "whole",
    "ingest",
    "webhook",
    "store",
    "match",
    "render",
    "call",
    "cel",
    "specs",
)
"""What runs when nothing is named, in this order. `serialising` is a part of `specs`."""
MORE: Final = ("serialising", "rss", "sources", "backlog")
"""What runs when it is named."""


class Benchmark(Protocol):
    """A module of this package that measures something."""

    def figures(self, options: argparse.Namespace) -> Iterator[Table]:
        """Measure, table by table."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of its own."""


def run(name: str, words: Sequence[str]) -> Iterator[Table]:
    """Run one benchmark with its own options."""
    benchmark = cast("Benchmark", import_module(f"bench.{name}"))
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=benchmark.__doc__)
    benchmark.add_options(parser)
    yield from benchmark.figures(parser.parse_args(words))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, add_help=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure (the first nine)")
    parser.add_argument("--json", type=Path, help="write all figures there instead of to standard output")
    parser.epilog = (
        f"Benchmarks: {', '.join((*NAMES, *MORE))}. `python -m bench NAME --help` tells the options of one."
    )
    options, rest = parser.parse_known_args(words)
    if not options.names and {"-h", "--help"} & set(rest):
        parser.print_help()
        return
    found: dict[str, list[dict[str, object]]] = {}
    for name in options.names or NAMES:
        print(f"… {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        tables = found[name] = []
        for table in run(name, rest):
            print(table.text(), flush=True)
            tables.append(msgspec.to_builtins(table))
        print(f"… {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    else:
        print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
