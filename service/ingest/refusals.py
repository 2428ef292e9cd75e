"""The answers that ingest gives by itself: problem documents with stable types.

None tells a cause from inside. The slug behind `urn:pointsman:problem:` is part of the
interface; the titles may change.
"""

import math
from collections.abc import Iterable

from triggers.base import Reply, problem


class Refusal(Exception):  # it is no error of ours
    """What came in is refused with `reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def bad_request(detail: str) -> Refusal:
    """Return the 400 of what is not sound HTTP."""
    return Refusal(problem(400, "bad-request", "This is not a sound HTTP request.", detail))


def not_found() -> Refusal:
    """Return the 404, the same for everything that is not there."""
    return Refusal(_NOT_FOUND)


def method_not_allowed(methods: Iterable[str]) -> Refusal:
    """Return the 405 of a source that takes only `methods`."""
    allow = ", ".join(sorted(methods))
    return Refusal(problem(405, "method-not-allowed", "This source does not take that method.", allow=allow))


def too_slow(detail: str) -> Reply:
    """Return the 408 of a request whose deadline is over."""
    return problem(408, "request-timeout", "The request came too slowly.", detail)


def body_too_large(limit: int) -> Refusal:
    """Return the 413 of a body over its source's limit."""
    return Refusal(
        problem(413, "body-too-large", "The body is too large.", f"This source takes {limit} bytes.")
    )


def target_too_long(limit: int) -> Refusal:
    """Return the 414 of a request target over the limit."""
    return Refusal(
        problem(414, "target-too-long", "The request target is too long.", f"At most {limit} bytes.")
    )


def content_coded() -> Refusal:
    """Return the 415 of a compressed body: nothing is inflated here, so no bomb goes off here."""
    title = "Bodies are taken only as they are, without a content coding."
    return Refusal(problem(415, "content-coding-unsupported", title, accept_encoding="identity"))


def expectation_failed() -> Refusal:
    """Return the 417 of an expectation other than 100-continue."""
    return Refusal(problem(417, "expectation-failed", "The only expectation met here is 100-continue."))


def too_many_connections(after: float) -> Reply:
    """Return the 429 of a peer with more connections than one may have."""
    title = "You have too many connections."
    return problem(429, "too-many-connections", title, retry_after=_seconds(after))


def head_too_large(detail: str) -> Refusal:
    """Return the 431 of header fields over a limit."""
    return Refusal(problem(431, "headers-too-large", "The header fields are too large.", detail))


def failed() -> Reply:
    """Return the 500 that says nothing of its cause."""
    return _FAILED


def unavailable(after: float) -> Reply:
    """Return the 503 that says when to come again."""
    title = "This cannot be taken now; send it again later."
    return problem(503, "unavailable", title, retry_after=_seconds(after))


def version_not_supported() -> Refusal:
    """Return the 505 of another version than HTTP/1."""
    return Refusal(problem(505, "version-not-supported", "This server speaks HTTP/1.1."))


def _seconds(after: float) -> str:
    return str(max(1, math.ceil(after)))


_NOT_FOUND = problem(404, "not-found", "There is nothing here.")
_FAILED = problem(500, "internal-error", "This server failed to handle the request.")
