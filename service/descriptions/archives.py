"""The files of a zip archive, each inflated when it is asked for, never onto the disk.

An archive that would grow without measure, or whose names lead out of it, is refused whole. What it says of
sizes is checked, and checked again against what comes out.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Final

from typing_extensions import override

from actions.specs.files import NoFile
from service.descriptions.folders import skipped
from service.descriptions.units import Bounds, Unfit, too_much

BEGIN: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip archive begins with, an empty one too."""

BROKEN: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
    OSError,
    ImportError,
)
"""What `zipfile` raises for archives that are broken, encrypted or packed in a way it does not know."""

_PIECE: Final = 1 << 16


class Archive(Mapping[str, bytes]):
    """The files of a zip archive by name. `total` counts what came out of it so far."""

    def __init__(self, source: IO[bytes], bounds: Bounds) -> None:
        """Read the list of files. Raises Unfit."""
        self._bounds = bounds
        self._total = 0
        try:
            self._zip = zipfile.ZipFile(source)
        except BROKEN as error:
            raise Unfit(f"is not a zip archive that can be read: {_said(error)}") from error
        self._entries = {one.filename: one for one in self._listed()}

    def _listed(self) -> Iterator[zipfile.ZipInfo]:
        entries = self._zip.infolist()
        if len(entries) > self._bounds.entries:
            raise too_much(f"holds more than {self._bounds.entries} files")
        packed = max(1, sum(one.compress_size for one in entries))
        inflated = sum(one.file_size for one in entries)
        if inflated > self._bounds.total_bytes:
            raise too_much(f"would inflate to {inflated} bytes, more than {self._bounds.total_bytes}")
        if inflated > self._bounds.file_bytes and inflated // packed > self._bounds.ratio:
            raise too_much(f"would inflate to {inflated // packed} times its size")
        for one in entries:
            if _leads_out(one.filename):
                raise Unfit(f"holds a name that leads out of it: {one.filename[:120]!r}")
            if not one.is_dir() and not _is_link(one):
                one.filename = one.filename.replace("\\", "/")
                yield one

    @override
    def __getitem__(self, name: str) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise NoFile("is not there")
        limit = self._bounds.file_bytes
        pieces, size = [], 0
        try:
            with self._zip.open(entry) as file:
                while size <= limit and (piece := file.read(_PIECE)):
                    size += len(piece)
                    pieces.append(piece)
        except BROKEN as error:
            raise NoFile(f"cannot be taken out of the archive: {_said(error)}") from error
        self._total += size
        if size > limit:
            raise NoFile(f"has more than {limit} bytes")
        if self._total > self._bounds.total_bytes:
            raise NoFile(f"makes all files together larger than {self._bounds.total_bytes} bytes")
        return b"".join(pieces)

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @override
    def __iter__(self) -> Iterator[str]:
        return (name for name in sorted(self._entries) if not skipped(name, self._bounds.depth))

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


def _leads_out(name: str) -> bool:
    plain = name.replace("\\", "/")
    return plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/") or "\0" in plain


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return (entry.external_attr >> 16) & 0o170000 == 0o120000


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
