"""Where a request's head ends, whether it is sound, and how its body is framed.

Strict where parsers differ, because what two servers read differently is what smuggling is made of: a head is
first matched as a whole against the grammar of RFC 9112 (no bare CR or LF, no folding, no space before a
colon, no control characters, one space in the request line), then httptools reads its fields. Bodies are not
httptools' business: it does not tell where a message ends, so `bodies` counts them. Nothing here does I/O.
"""

import re
from typing import Final

import httptools
import msgspec

from service.ingest.limits import Limits
from service.ingest.refusals import (
    Refusal,
    bad_request,
    expectation_failed,
    head_too_large,
    target_too_long,
    version_not_supported,
)

CR: Final = 0x0D
END: Final = b"\r\n\r\n"
CHUNKED: Final = -1
"""The length of a body that comes in chunks."""
_LINE_SLACK: Final = 64
"""Room for the method and the version beside the target."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
FIELD_LINE: Final = rb"(?:" + TOKEN + rb"++:[\t -~\x80-\xff]*+)"
# The group is not possessive: Python before 3.11.5 (Debian 12 has 3.11.2) matches such a one wrongly.
# Its parts are, so that giving back lines costs a step for each.
_HEAD: Final = re.compile(
    rb"(" + TOKEN + rb"++) ([!-~]++) HTTP/1\.([01])((?:\r\n" + FIELD_LINE + rb")*)\r\n\r\n"
)
_OTHER_VERSION: Final = re.compile(rb"" + TOKEN + rb"++ [!-~]++ HTTP/(?!1\.[01]\r)\d\.\d\r\n")
_BEGINNING: Final = re.compile(TOKEN + rb"|\r\n?\Z")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_HOST: Final = re.compile(r"(?:[0-9A-Za-z._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_ONCE: Final = ("host", "content-length", "transfer-encoding", "content-encoding", "content-type")
_LISTS: Final = ("connection", "expect")

_FLAWS: Final = (
    (_BARE, "A CR or LF stands alone; lines end in CRLF."),
    (re.compile(rb"\r\n[ \t]"), "A header field is folded over two lines."),
    (re.compile(rb"\r\n[^:\r\n]*[ \t]:"), "White space stands before the colon of a header field."),
    (re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "There is a control character in the head."),
    (re.compile(rb"\r\n(?!\r\n|\Z)(?!" + TOKEN + rb"+:)"), "A line is no header field."),
)


class Head(msgspec.Struct, frozen=True):
    """A sound head. `length` is the body's, or CHUNKED; `coded` says that it has a content coding."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    host: str
    length: int
    close: bool
    awaits: bool
    """The client sends its body only after `100 Continue`."""
    coded: bool


class _Fields:
    """What httptools calls back for: one head's fields, names in lower case."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name.lower().decode("ascii"), value.strip(b" \t").decode("latin-1")))


def read_head(data: bytes, start: int, end: int, limits: Limits) -> Head:
    """Read the head that ends (with its empty line) at `end`, or raise the Refusal that it deserves."""
    line = _HEAD.fullmatch(data, start, end)
    if line is None:
        raise _flaw(data[start:end])
    if line.end(2) - line.start(2) > limits.target_bytes:
        raise target_too_long(limits.target_bytes)
    fields = _Fields()
    try:
        # A request line of our own: llhttp's list of methods must not decide between 405 and 400.
        httptools.HttpRequestParser(fields).feed_data(b"PUT / HTTP/1.1" + data[line.start(4) : end])
    except httptools.HttpParserUpgrade:
        pass  # We may go on with HTTP/1.1 as if nobody had asked (RFC 9110, 7.8).
    except httptools.HttpParserError as error:
        raise bad_request(str(error)) from None
    if len(fields.found) > limits.headers:
        raise head_too_large(f"At most {limits.headers} fields.")
    return _frame(line[1].decode("ascii"), line[2].decode("ascii"), line[3] == b"0", fields.found)


def _frame(method: str, target: str, old: bool, fields: list[tuple[str, str]]) -> Head:
    """Decide the framing of a request whose fields are known; `old` is HTTP/1.0."""
    named = dict(fields)
    if len(named) != len(fields):
        _settle_repeats(named, fields)
    host = named.get("host", "" if old else None)
    if host is None:
        raise bad_request("The header field host is missing.")
    if host and not _HOST.fullmatch(host):
        raise bad_request("The header field host is no host.")
    length = _length(named, old=old)
    expectation = "" if old else named.get("expect", "")
    if expectation and expectation.lower() != "100-continue":
        raise expectation_failed()
    connection = named.get("connection")
    return Head(
        method=method,
        target=target,
        headers=tuple(fields),
        host=host,
        length=length,
        close=old or (connection is not None and "close" in _tokens(connection)),
        awaits=bool(expectation) and length != 0,
        coded=named.get("content-encoding", "identity").lower() not in ("identity", ""),
    )


def _settle_repeats(named: dict[str, str], fields: list[tuple[str, str]]) -> None:
    """Refuse what may stand only once, join what is a list."""
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise bad_request(f"The header field {name} stands more than once.")
    for name in _LISTS:
        if name in named:
            named[name] = ", ".join(value for key, value in fields if key == name)


def _length(named: dict[str, str], *, old: bool) -> int:
    """Return how long the body is, or CHUNKED."""
    announced = named.get("content-length")
    coding = named.get("transfer-encoding")
    if coding is not None:
        if old or announced is not None or coding.lower() != "chunked":
            raise bad_request(
                "The header field transfer-encoding must be chunked, without content-length, in HTTP/1.1."
            )
        return CHUNKED
    if announced is None:
        return 0
    if not _LENGTH.fullmatch(announced):
        raise bad_request("The header field content-length is no number.")
    return int(announced)


def _tokens(value: str) -> list[str]:
    return [token.strip(" \t").lower() for token in value.split(",")]


def check_short(data: bytes, seen: int, limits: Limits) -> None:
    """Raise the Refusal of an incomplete head that never can be a sound one.

    `seen` bytes were checked before. A client that speaks no HTTP at all is told so at once instead of being
    kept until its deadline.
    """
    if not _BEGINNING.match(data):
        raise bad_request("This does not begin like a request line.")
    if _BARE.search(data, max(0, seen - 1)):
        raise bad_request(_FLAWS[0][1])
    line = limits.target_bytes + _LINE_SLACK
    if len(data) > line and b"\r\n" not in data[:line]:
        raise target_too_long(limits.target_bytes)
    if len(data) > limits.head_bytes:
        raise head_too_large(f"At most {limits.head_bytes} bytes.")


def _flaw(head: bytes) -> Refusal:
    """Say what is wrong with a head that does not match the grammar."""
    if _OTHER_VERSION.match(head):
        return version_not_supported()
    for pattern, detail in _FLAWS:
        if pattern.search(head):
            return bad_request(detail)
    return bad_request("The request line is not METHOD target HTTP/1.1.")
