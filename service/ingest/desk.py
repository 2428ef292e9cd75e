"""What a request means here: which source it is for, what that source says, and the answer once it is stored.

No sockets and no bytes of HTTP: `protocol` reads requests and writes answers, this decides them. An exception
that a source should not have raised ends in a 500 for its own request and nobody else's.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from service.errors import Unavailable
from service.ingest.answers import check
from service.ingest.framing import Head
from service.ingest.limits import Limits
from service.ingest.refusals import (
    Refusal,
    body_too_large,
    content_coded,
    failed,
    method_not_allowed,
    not_found,
    unavailable,
)
from triggers.base import Accepted, Batch, HttpRequest, HttpSource, Reply

_PREFIX: Final = "/hooks/"
_NAME: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_JSON: Final = (("content-type", "application/json"),)
_encode: Final = msgspec.json.Encoder().encode

Report = Callable[[str, BaseException], None]
"""Told of the name of a source and what it raised, once for each class of exception."""


class Hooks(Protocol):
    """What ingest needs of the rest of the service; handed in by `app`."""

    @property
    def ready(self) -> bool:
        """Whether rules are loaded and the store takes messages; until then everything is 503."""

    def source(self, name: str, /) -> HttpSource | None:  # type: ignore[type-arg]  # any configuration
        """Return the source that owns `/hooks/{name}`."""

    def accept(self, source: str, batch: Batch, /) -> "asyncio.Future[Accepted]":
        """Store a batch. The future resolves when it is stored; Unavailable, raised or set, is 503."""


class Admitted(NamedTuple):
    """A request whose head is fine: whose it is, and the target's parts."""

    name: str
    source: HttpSource  # type: ignore[type-arg]  # any configuration
    path: str
    query: str
    host: str


class Storing(NamedTuple):
    """A batch on its way to the disk."""

    name: str
    batch: Batch
    future: "asyncio.Future[Accepted]"


class Desk:
    """Decides requests. `report` hears of what sources should not have raised."""

    def __init__(self, hooks: Hooks, limits: Limits, report: Report) -> None:
        self._hooks = hooks
        self._after = limits.retry_after.total_seconds()
        self._report = report
        self._reported: set[tuple[str, type[BaseException]]] = set()

    def admit(self, head: Head) -> Admitted:
        """Find the source, or raise the Refusal, before a byte of the body is read."""
        target, host = head.target, head.host
        if not target.startswith("/") and (absolute := _ABSOLUTE.fullmatch(target)):
            host, target = absolute[1], absolute[2]  # It wins over the header field (RFC 9112, 3.2.2).
        path, _, query = target.partition("?")
        name = path[len(_PREFIX) :]
        if not path.startswith(_PREFIX) or not _NAME.fullmatch(name):
            raise not_found()
        if not self._hooks.ready:
            raise Refusal(self.unavailable())
        source = self._hooks.source(name)
        if source is None:
            raise not_found()
        if head.method not in source.methods:
            raise method_not_allowed(source.methods)
        if head.length > source.max_body_bytes:
            raise body_too_large(source.max_body_bytes)
        if head.coded and head.length:
            raise content_coded()
        return Admitted(name, source, path, query, host)

    def receive(self, admitted: Admitted, request: HttpRequest) -> Reply | Storing:
        """Let the source decide a whole request and start storing what it brought."""
        name = admitted.name
        try:
            batch = admitted.source.receive(request)
            reply = batch if isinstance(batch, Reply) else batch.reply
            if reply is not None:
                check(reply)  # Before anything is stored that could not be answered.
            if isinstance(batch, Reply) or not batch.items:
                return reply or _NOTHING
            storing = Storing(name, batch, self._hooks.accept(name, batch))
        except Unavailable as busy:
            return self.unavailable(busy.after)
        except Exception as error:  # noqa: BLE001 # one source's bug must not touch another's senders
            return self._failed(name, error)
        return self.settle(storing) if storing.future.done() else storing

    def settle(self, storing: Storing) -> Reply:
        """Return the answer of a batch whose future is done."""
        future = storing.future
        if future.cancelled():
            return self.unavailable()
        error = future.exception()
        if error is None:
            return storing.batch.reply or _stored(future.result())
        if isinstance(error, Unavailable):
            return self.unavailable(error.after)
        return self._failed(storing.name, error)

    def unavailable(self, after: float | None = None) -> Reply:
        """Return a 503 that says to come again `after` seconds, or what is usual."""
        return unavailable(self._after if after is None else after)

    def _failed(self, name: str, error: BaseException) -> Reply:
        """Report an exception the first time that a source's requests meet one of its class."""
        known = (name, type(error))
        if known not in self._reported:
            self._reported.add(known)
            self._report(name, error)
        return failed()


def _stored(accepted: Accepted) -> Reply:
    ids: Sequence[str] = accepted.ids
    body = _encode({"id": ids[0]} if len(ids) == 1 else {"ids": ids})
    return Reply(status=202, headers=_JSON, body=body)


_NOTHING: Final = Reply(status=202, headers=_JSON, body=b'{"ids":[]}')
