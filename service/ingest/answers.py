"""The bytes of an answer.

The server's own headers (date, length, connection) are written here and nowhere else. No answer names the
server or its version.
"""

from collections.abc import Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from re import compile as regex
from typing import Final

from triggers.base import Reply

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_OWN: Final = frozenset({"content-length", "connection", "date", "keep-alive", "server", "transfer-encoding"})
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})
_NAME: Final = regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = regex(r"[\t -~\x80-\xff]*")


class Unsound(ValueError):
    """A reply that may not be sent as it is: a status or a header field that HTTP does not allow."""


@lru_cache(maxsize=512)
def _beginning(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Return the status line and the reply's own header fields."""
    if not 200 <= status <= 599:
        raise Unsound(f"status {status}")
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Unsound(f"header field {name!r}")
        if name.lower() not in _OWN:
            lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("latin-1")


def check(reply: Reply) -> None:
    """Raise Unsound when a reply could not be sent: a source may have put what it was sent into a header."""
    _beginning(reply.status, reply.headers)


class Answers:
    """Writes answers; `headers` stand on every one of them. The date is made once a second."""

    def __init__(self, headers: Sequence[tuple[str, str]] = ()) -> None:
        fixed = _beginning(200, tuple(headers))
        self._fixed = fixed[fixed.find(b"\r\n") :] if headers else b""
        self._second = -1
        self._date = b""

    def encode(self, reply: Reply, now: float, *, close: bool, bare: bool = False) -> bytes:
        """Return the whole answer; `bare` (to HEAD) leaves the body away. Raise Unsound."""
        second = int(now)
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True).encode("ascii")
            self._date = self._fixed + b"\r\ndate: " + date
        ending = b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n"
        beginning = _beginning(reply.status, reply.headers)
        if reply.status in _BODILESS:
            return b"%b%b%b" % (beginning, self._date, ending)
        body = b"" if bare else reply.body
        return b"%b%b\r\ncontent-length: %d%b%b" % (beginning, self._date, len(reply.body), ending, body)
