"""Reads one description in this process and prints what it took: a child of `bench specs`.

Run as `python -m bench.importing PATH`. What is read is kept until the memory was looked at.
"""

import re
import sys
import time
from pathlib import Path

import msgspec

from service.descriptions import collect
from service.descriptions.units import Recorded, Unit


class Imported(msgspec.Struct, frozen=True):
    """What reading one description took; memory in MB (10**6 bytes), the interpreter's too."""

    bytes: int
    files: int
    dialect: str
    operations: int
    triggers: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    before_mb: float


def main() -> None:
    """Read the description that is named."""
    (unit,) = collect(Path(sys.argv[1]))
    files = Recorded(unit.files)
    before = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    spec = Unit(name=unit.name, root=unit.root, files=files, problem=unit.problem).read()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    found = Imported(
        bytes=sum(map(len, files.read.values())),
        files=len(files.read),
        dialect=spec.dialect,
        operations=len(spec.operations),
        triggers=len(spec.triggers),
        seconds=wall,
        cpu_seconds=cpu,
        peak_mb=peak_mb(),
        before_mb=before,
    )
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


def peak_mb() -> float:
    """Return the most memory that this process has had.

    Not of getrusage: that begins with what the process had that started this one.
    """
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    main()
