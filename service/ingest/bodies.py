"""Collects the body of one request: counted (Content-Length) or chunked (RFC 9112, 7.1), strictly.

A body says how much of the bytes at hand is its own, so that what follows is read as the next request and
nothing else. Nothing here does I/O.
"""

import re
from typing import Final

from service.ingest.framing import FIELD_LINE, TOKEN
from service.ingest.refusals import bad_request, body_too_large

# At most eight digits; extensions are read over but must be sound.
_SIZE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,8})(?:;" + TOKEN + rb"+(?:=(?:" + TOKEN + rb"+|\"[\t !#-\[\]-~]*\"))?)*"
)
_TRAILER: Final = re.compile(FIELD_LINE)
_LINE_BYTES: Final = 256
"""Longest line that says a chunk's size."""
_TRAILER_BYTES: Final = 8_192
_FREE_CHUNKS: Final = 1_024
"""So many chunks may be of any size; more must bring 16 bytes each on average: each costs a microsecond."""


class CountedBody:
    """A body of a length that is known."""

    __slots__ = ("_bytes", "_left", "received")

    def __init__(self, length: int) -> None:
        self._left = length
        self._bytes = bytearray()
        self.received = 0

    @property
    def done(self) -> bool:
        """Whether all of it is here."""
        return not self._left

    def feed(self, data: bytes, position: int) -> int:
        """Take what belongs to the body from `position` on; return where it ends."""
        part = data[position : position + self._left]
        self._bytes += part
        self._left -= len(part)
        self.received += len(part)
        return position + len(part)

    def take(self) -> bytes:
        """Return the whole body."""
        return bytes(self._bytes)


class ChunkedBody:
    """A body in chunks; trailer fields are checked and dropped."""

    __slots__ = ("_bytes", "_chunks", "_left", "_limit", "_line", "_step", "_trailer", "done", "received")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._step = self._size
        self._line = b""
        self._left = 0
        self._bytes = bytearray()
        self._chunks = 0
        self._trailer = 0
        self.received = 0
        self.done = False

    def feed(self, data: bytes, position: int) -> int:
        """Take what belongs to the body from `position` on; return where it ends.

        Raise Refusal when it is unsound or too large; the connection is of no use after that.
        """
        size = len(data)
        while position < size and not self.done:
            if self._left:
                part = data[position : position + self._left]
                self._bytes += part
                self._left -= len(part)
                self.received += len(part)
                position += len(part)
            else:
                position = self._feed_line(data, position)
        return position

    def take(self) -> bytes:
        """Return the whole body, without its framing."""
        return bytes(self._bytes)

    def _feed_line(self, data: bytes, position: int) -> int:
        """Take one line, or the beginning of one, and go the step that it says."""
        bound = _TRAILER_BYTES if self._step == self._end else _LINE_BYTES
        kept = len(self._line)
        line = self._line + data[position : position + bound + 2 - kept]
        end = line.find(b"\n")
        if end < 0:
            if len(line) >= bound + 2:
                raise bad_request("A line of the chunked body is too long.")
            self._line = line
            return position + len(line) - kept
        if line[end - 1 : end] != b"\r":
            raise bad_request("A line of the chunked body does not end in CRLF.")
        self._line = b""
        self._step(line[: end - 1])
        return position + end + 1 - kept

    def _size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise bad_request("The size of a chunk is no hexadecimal number.")
        self._left = int(found[1], 16)
        if self.received + self._left > self._limit:
            raise body_too_large(self._limit)
        self._chunks += 1
        if self._chunks > _FREE_CHUNKS + self.received // 16:
            raise bad_request("The body is cut into too many tiny chunks.")
        self._step = self._after if self._left else self._end

    def _after(self, line: bytes) -> None:
        if line:
            raise bad_request("A chunk is longer than its size says.")
        self._step = self._size

    def _end(self, line: bytes) -> None:
        self._trailer += len(line)
        if not line:
            self.done = True
        elif self._trailer > _TRAILER_BYTES or not _TRAILER.fullmatch(line):
            raise bad_request("The trailer of the chunked body is unsound.")


Body = CountedBody | ChunkedBody
