"""Files that are their owner's alone: tokens and keys. Writes, and reads nothing."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone, on disk and whole, or not at all."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
