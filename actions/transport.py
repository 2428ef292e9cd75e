"""The seam below a connector: one request goes out, one answer or one honest error comes back.

An engine is a driver behind this seam. It sends to the one address it is given, follows no redirect, asks
no proxy, keeps no cookie and does not retry what may have been performed. It knows no operation, no
credential and no policy: those are its callers'.
"""

import functools
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from actions.addresses import leads_elsewhere
from actions.base import Answer
from actions.errors import OutcomeUnknown


class Request(msgspec.Struct, frozen=True):
    """One request, ready to be sent: absolute URL, headers in order, whole body.

    The engine adds `Host` and `Content-Length` itself; headers that frame a message are never in here.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever the case of its name."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return None


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is told of the connection it serves.

    `name` is the connection's, for error texts. `host` is the name in the URLs: it stands in the Host
    header and in the TLS handshake, while the connection goes to the pinned address. `ca_pem` is trusted
    in addition to the system's authorities; `identity_pem` holds our certificate and its key. Times are
    in seconds.
    """

    name: str
    host: str
    in_flight: int = 64
    connect_timeout: float = 5.0
    ca_pem: bytes = b""
    identity_pem: bytes = b""


class Engine(ABC):
    """Sends requests of one connection over HTTP/1.1 with keep-alive.

    An engine belongs to one event loop. No exception of its driver leaves it:

    - `RetryLater`: surely not sent (connection refused, connect time-out, TLS handshake failed);
    - `OutcomeUnknown`: something may have been sent (cut, reset, time-out, answer malformed). Where the
      driver cannot prove that nothing was sent, it is this one;
    - `Refused`: this request can never be sent.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    @abstractmethod
    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        """Send once to `address` and read the answer, within `deadline` seconds from now in all.

        The body is read up to the cap, as it came (never inflated); `truncated` says there was more.
        A header value that is no ASCII text never fails the answer.
        """

    @abstractmethod
    def forget(self, address: str) -> None:
        """Keep no idle connection to this address any longer; calls under way end by themselves."""

    @abstractmethod
    async def close(self) -> None:
        """Cut everything. Twice is harmless; a `send` after it raises RetryLater."""


LONGEST_RETRY_AFTER: Final = 30 * 86_400.0
"""Seconds. A Retry-After beyond 30 days is absurd and read as 30 days; the step's `for` cuts it anyway."""

OWN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The headers that frame a message or belong to the hop: the engine's, never the caller's (S41)."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_URL: Final = re.compile(
    r"https?://[^/?#]+(?P<path>(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?)"
    r"(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]]*)?"
)
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_METHOD: Final = re.compile(r"[A-Z][A-Z0-9\-]{0,31}")


def header_problems(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return what is wrong with headers that a caller wants to send; never repeats a value."""
    problems = []
    for name, value in headers:
        reason = _name_problem(name)
        if reason:
            problems.append(reason)
        elif not _is_field_value(value):
            problems.append(
                f"the value of header {name} holds a line break, a control or non-ASCII character, "
                "or starts or ends with a space"
            )
    return problems


@functools.lru_cache(maxsize=512)
def _name_problem(name: str) -> str:
    if not _NAME.fullmatch(name):
        return f"header name {name[:60]!r} is not a token"
    if name.lower() in OWN_HEADERS:
        return f"header {name} is set by the engine and cannot be given"
    return ""


def _is_field_value(value: str) -> bool:
    """Tell whether this is a value of RFC 9110 §5.5 in ASCII: engines disagree on how to write the rest."""
    if not value.isascii() or value.strip() != value:
        return False
    return value.isprintable() or value.replace("\t", " ").isprintable()


def line_problems(method: str, url: str) -> list[str]:
    """Return why this method and URL could not reach the wire exactly as they are written.

    URL parsers collapse `..`, turn a backslash to a slash and drop tabs: what they change is refused here.
    """
    problems = []
    if not _METHOD.fullmatch(method):
        problems.append(f"method {method!r} is not an upper-case token")
    matched = _URL.fullmatch(url)
    if matched is None or ("%" in url and _BROKEN_ESCAPE.search(url)):
        problems.append("the URL holds characters that must be percent-encoded, or is no http(s) URL")
    elif leads_elsewhere(matched["path"]):
        problems.append("a path segment is `.` or `..`, which would lead to another path")
    return problems


def as_read(answer: Answer, max_answer_bytes: int) -> Answer:
    """Return the answer as callers read it: never a 1xx, its body inflated up to the cap.

    We ask for `identity`; a backend that compresses all the same is inflated here, within the cap, so that
    300 MB of zeros in 300 KB stay one capped body. Unknown encodings are left as they came.
    """
    if answer.status < 200:
        raise OutcomeUnknown(f"the backend ended with the interim status {answer.status}")
    encoding = answer.header("content-encoding")
    if encoding is None or encoding.lower() not in {"gzip", "x-gzip", "deflate"} or not answer.body:
        return answer
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # + 32: gzip or zlib, whichever it is
    try:
        body = inflater.decompress(answer.body, max_answer_bytes + 1)
    except zlib.error:
        return answer  # not what it says it is: the bytes tell more than an error would
    return msgspec.structs.replace(
        answer,
        headers=tuple(
            pair for pair in answer.headers if pair[0] not in {"content-encoding", "content-length"}
        ),
        body=body[:max_answer_bytes],
        truncated=answer.truncated or len(body) > max_answer_bytes,
    )


def retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After field (RFC 9110 §10.2.3): seconds or an HTTP date, as seconds from `now`.

    Junk, a negative number and a date in the past say nothing: None.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = moment.timestamp() - now
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None
