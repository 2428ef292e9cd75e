"""The files of a folder, each read when it is asked for.

A name never leads out of the folder: not by `..`, not by a symbolic link. Only regular files are opened.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from typing_extensions import override

from actions.specs.files import OUTSIDE, NoFile
from service.descriptions.units import Bounds, Unfit, too_much

SKIPPED: Final = frozenset({"node_modules", "__pycache__", "__MACOSX"})
"""Folders that nobody's descriptions lie in; hidden ones are skipped too."""

_NEAR: Final = 2_000
"""How many entries are listed around one file."""


class Folder(Mapping[str, bytes]):
    """The files below a folder by their path from it, with `/` between the parts."""

    def __init__(self, path: Path, bounds: Bounds, *, around: str | None = None) -> None:
        """Give the files of a folder. `around` one of them: only those near it are listed, and only some.

        Whatever is not listed can be opened by its name all the same.
        """
        self._path = path.resolve()
        self._bounds = bounds
        self._around = around
        self._names: list[str] | None = None

    @override
    def __getitem__(self, name: str) -> bytes:
        path = self._inside(name)
        try:
            # Never wait for whoever has the other end of a pipe.
            with open(path, "rb", opener=_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise NoFile("is not a regular file")
                if status.st_size > self._bounds.file_bytes:
                    raise NoFile(self._bounds.too_long(status.st_size))
                return file.read(self._bounds.file_bytes + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NoFile("is not there") from None
        except OSError as error:
            raise NoFile(f"cannot be opened: {error.strerror or error}") from error

    def _inside(self, name: str) -> Path:
        try:
            path = (self._path / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, a circle of links
            raise NoFile(f"cannot be opened: {error}") from error
        if not path.is_relative_to(self._path):
            raise NoFile(OUTSIDE)
        return path

    @override
    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self._inside(name).is_file()
        except (NoFile, OSError):
            return False

    @override
    def __iter__(self) -> Iterator[str]:
        if self._names is None:
            bounds = self._bounds
            walk = self._walk("", bounds.depth, bounds.entries) if self._around is None else self._near()
            self._names = list(walk)
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _near(self) -> Iterator[str]:
        """Yield the names in the folder of the one file, and in the folders of that, as far as they go."""
        above, mark, _ = (self._around or "").rpartition("/")
        with suppress(Unfit):
            yield from self._walk(above + mark, 1, _NEAR)

    def _walk(self, start: str, depth: int, entries: int) -> Iterator[str]:
        """Yield the names of all files, folder by folder, in the same order everywhere. Raise Unfit."""
        count = 0
        stack = [(start, 0)]
        while stack:
            above, level = stack.pop()
            inner = []
            for entry in self._entries(above):
                count += 1
                if count > entries:
                    raise too_much(f"holds more than {entries} files and folders")
                name = f"{above}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in SKIPPED:
                        inner.append((f"{name}/", level + 1))
                elif not entry.name.startswith(".") and _is_file(entry):
                    yield name
            if level < depth:
                stack.extend(reversed(inner))

    def _entries(self, above: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._path / above) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError:  # not ours to read
            return []


def skipped(name: str, depth: int) -> bool:
    """Say whether a file lies where nobody's descriptions do, or too deep."""
    parts = name.split("/")
    return len(parts) > depth or any(one.startswith(".") or one in SKIPPED for one in parts)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
