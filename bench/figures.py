"""What a benchmark gives: tables of figures, one row per case, and how they are shown.

A benchmark is a module of this package with `figures(options) -> Iterator[Table]`; `python -m bench` runs it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

Row = dict[str, Any]


class Table(msgspec.Struct, frozen=True):
    """Some figures of one subject: every row has the same columns, in the same order."""

    title: str
    rows: Sequence[Row]

    def text(self) -> str:
        """Return the table for people: words to the left, numbers to the right."""
        names = list(self.rows[0]) if self.rows else []
        lines = [names, *([_cell(row.get(name, "")) for name in names] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
        words = [any(isinstance(row.get(name), str) for row in self.rows) for name in names]
        shown = [
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(line, widths, words, strict=True)
            )
            for line in lines
        ]
        return "\n  ".join([f"\n{self.title}", *shown])


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}"


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which that share (0 to 1) of the ordered values lies; 0.0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def rss_mib(process: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
