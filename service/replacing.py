"""Files that are replaced whole: whatever happens, the old one stands there or the new one. Reads none.

What is new is written beside the file, brought to the disk and given its name then. A process that is killed
meanwhile leaves what it wrote under a hidden name, which the next one to replace the file takes away.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service import crashpoints

_PRIVATE: Final = 0o600


class Beside:
    """What a file is to become, whole and on disk, under another name in the same folder."""

    def __init__(self, path: Path, real: Path) -> None:
        self.path = path
        self._real = real

    def put(self) -> None:
        """Let it take the place of the file."""
        crashpoints.reached("file.written")
        self.path.replace(self._real)
        crashpoints.reached("file.replaced")


@contextlib.contextmanager
def beside(path: Path, data: bytes, *, mode: int | None = None) -> Iterator[Beside]:
    """Write what a file is to become beside it; inside the block it may be looked at, and put in its place.

    A symbolic link stays, and what it leads to is replaced. Without `mode` the new file has that of the old
    one; where there is none it is what new files have here. Raises OSError.
    """
    real = Path(os.path.realpath(path))
    new = real.with_name(f".{os.getpid()}.{real.name}")  # the end of a name says what is in the file
    mode = _mode(real) if mode is None else mode
    _sweep(real)
    try:
        with open(new, "wb", opener=_open if mode is None else _open_private) as file:
            crashpoints.reached("file.opened")
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        yield Beside(new, real)
    finally:
        new.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put a file in the place of another, or where there is none; as `beside`."""
    with beside(path, data, mode=mode) as made:
        made.put()


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone, on disk and whole, or not at all."""
    replace_file(path, text.encode(), mode=_PRIVATE)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _open_private(path: str, flags: int) -> int:
    """Open a file that is nobody else's from its first byte on."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def _sweep(real: Path) -> None:
    """Take away what processes left that died while they replaced this file."""
    left = re.compile(rf"\.(\d+)\.{re.escape(real.name)}")
    for path in real.parent.iterdir():
        found = left.fullmatch(path.name)
        if found is not None and not _lives(int(found.group(1))):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # somebody else's, or no process's number: left alone
    return True
