"""Reads the text format of COPY … TO STDOUT: rows of values in the same text form as the stream sends. Pure.

A cast to text would not do: it writes `true` for `t` and takes blanks off the end of `char(5)`.
https://www.postgresql.org/docs/15/sql-copy.html
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def row(line: bytes) -> list[bytes | None]:
    """Return the values of one line, which comes without its line end."""
    fields = line.split(b"\t")
    if b"\\" not in line:
        return list(fields)
    return [None if field == rb"\N" else _ESCAPE.sub(_plain, field) for field in fields]


def _plain(escape: re.Match[bytes]) -> bytes:
    return _ESCAPED.get(escape[1], escape[1])


class Full(Exception):
    """Enough was gathered: the rest of the rows is to be asked for again."""


class Rows:
    """Gathers rows from the pieces in which COPY sends them, up to `limit` bytes but always one row.

    Called with each piece; raises Full when there is more than that.
    """

    def __init__(self, limit: int) -> None:
        self.rows: list[list[bytes | None]] = []
        self.bytes = 0
        self._limit = limit
        self._open: list[bytes] = []

    async def __call__(self, piece: bytes) -> None:
        """Take a piece; it ends anywhere."""
        self.bytes += len(piece)
        if b"\n" in piece:
            first, *lines, rest = piece.split(b"\n")
            self.rows.append(row(b"".join((*self._open, first))))
            self.rows += map(row, lines)
            self._open = [rest]
        else:
            self._open.append(piece)
        if self.bytes > self._limit and self.rows:
            raise Full
