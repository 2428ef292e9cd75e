"""Append-only journals of the suite's processes: one JSON object a line, written whole, read after the end."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Journal:
    """Writes records. What `write` returned from is in the kernel; what `sync` returned from is on the disk."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **record: Any) -> None:
        """Append a record."""
        os.write(self._descriptor, _encode(record) + b"\n")

    def sync(self) -> None:
        """Bring everything written to the disk."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Return the records of a journal in order."""
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                yield _decode(line)
