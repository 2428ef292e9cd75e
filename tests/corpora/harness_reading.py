"""Reads documents in a process of its own, and measures each: seconds, and the peak memory of the process so far.

Paths come on standard input, one a line; lines of `connectors read` go to standard output, with `took` and
`peak_mb` beside what they say.
"""

import re
import sys
import time
from pathlib import Path

import msgspec

from service.descriptions import collect
from service.usecases.describing import read_line


def peak_mb() -> float:
    """Return the most memory that this process has had, without that of whoever started it (as getrusage has)."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Read what is named on standard input."""
    for given in sys.stdin.read().splitlines():
        for unit in collect(Path(given)):
            began = time.perf_counter()
            line = read_line(unit, unit.name)
            took = time.perf_counter() - began
            sys.stdout.buffer.write(msgspec.json.encode({**line, "took": took, "peak_mb": peak_mb()}) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
