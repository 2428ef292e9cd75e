"""Reads a table's changes in a process of its own and prints how many, and the most memory it took (MiB).

`python -m tests.integration.servers.postgres_reader URL SLOT PUBLICATION MODE ROWS`
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from triggers.base import Accepted, Item, SourceContext
from triggers.message import TriggerMessage
from triggers.postgres import PostgresConfig, PostgresSource


class _Enough(Exception):
    """All rows were read."""


def peak_kibibytes() -> int:
    """Return the most memory that this process had. `ru_maxrss` begins with what the process had that forked us."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def read(url: str, slot: str, publication: str, mode: str, rows: int) -> int:
    config = PostgresConfig.model_validate(
        {
            "kind": "postgres",
            "url": url,
            "slot": slot,
            "publication": publication,
            "mode": mode,
            "timeout": "120s",
        }
    )
    count = 0

    async def emit(items: Sequence[Item], positions: Mapping[str, bytes | None] | None = None) -> Accepted:
        nonlocal count
        del positions
        count += sum(isinstance(item, TriggerMessage) for item in items)
        if count >= rows:
            raise _Enough
        return Accepted(new=len(items))

    source = PostgresSource("reader", config)
    await source.open(
        SourceContext(
            name="reader", reached=lambda _: None, clock=time.time, expression=lambda _: lambda _: None
        )
    )
    with contextlib.suppress(_Enough):
        await source.run(emit)
    await source.close()
    return count


if __name__ == "__main__":
    _, url, slot, publication, mode, rows = sys.argv
    found = asyncio.run(read(url, slot, publication, mode, int(rows)))
    print(found, peak_kibibytes() // 1024)
