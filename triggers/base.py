"""The contract of a source: how something outside becomes a batch of trigger messages.

A source decodes and acknowledges; it never stores, matches or calls. What it needs from the service is
handed in by `open`: crash points, a clock, compiled expressions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from triggers.message import TriggerMessage

Expression = Callable[[Mapping[str, Any]], Any]
"""A compiled expression: takes the JSON object that rules see, returns a JSON value or raises ValueError."""


class SourceConfig(BaseModel):
    """What every source's configuration has; each adapter closes it with its own `kind` and settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expressions: ClassVar[tuple[str, ...]] = ()
    """Fields that hold an expression: `check` compiles them and places what is wrong."""

    kind: str = Field(description="Which adapter brings the messages in.")


C = TypeVar("C", bound=SourceConfig)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that `check` found: what is wrong or doubtful, and what would be right."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    fix: str = ""
    field: str = ""  # dotted path inside the source's configuration, "" for the whole


class SourceContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the service hands to a source when it opens it."""

    name: str
    reached: Callable[[str], None]  # crash points
    clock: Callable[[], float]  # seconds since the epoch
    expression: Callable[[str], Expression]  # compiles; raises ValueError with a readable text


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """What came in and could not become a message, kept whole: `data` are its bytes.

    `reason` is a stable slug; `detail` says what is wrong and where.
    """

    reason: str
    detail: str
    data: bytes
    meta: dict[str, Any] = {}


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What `emit` stored: counts, and the public ids (`msg_…`, `rej_…`) in the order of the batch."""

    new: int = 0
    known: int = 0
    rejected: int = 0
    ids: tuple[str, ...] = ()


class Emit(Protocol):
    """Stores a batch. Returning means stored and fsynced; raising means nothing of it was."""

    async def __call__(
        self, batch: Sequence[TriggerMessage | Reject], position: bytes | None = None
    ) -> Accepted:
        """Store the batch and, in the same transaction, the source's position."""


class Source(ABC, Generic[C]):
    """A source of trigger messages.

    The order of calls is `check`? `open` `run` `close`. `close` is harmless twice and in any state.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[SourceConfig]]

    redelivers: ClassVar[bool] = True
    """Whether the outside brings again what was not acknowledged."""

    def __init__(self, name: str, config: C) -> None:
        self.name = name
        self.config = config

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Prove access without changing anything; report everything that is wrong or doubtful."""

    @abstractmethod
    async def open(self, context: SourceContext) -> None:
        """Take what the service hands in and get ready. Raise SourceUnavailable or SourceRejected."""

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Emit messages until cancelled.

        When `emit` returns, the batch is stored: only then acknowledge it at the source. When `emit`
        raises, leave it to the source to deliver it again.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything. Twice is harmless, in any state."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the ingest server read it. Header names are lower case, values latin-1 text.

    `target` is the request target as it stood on the request line; `path` its raw path, `query` the raw
    text after `?`. `scheme`, `host` and `peer` are what the trusted proxies say, or the socket.
    """

    method: str
    target: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: str
    scheme: str
    host: str
    now: float

    def header(self, name: str) -> str | None:
        """Return the value of a header by its lower-case name; None when absent, joined when repeated."""
        found = [value for key, value in self.headers if key == name]
        if not found:
            return None
        return found[0] if len(found) == 1 else ", ".join(found)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole HTTP answer, without the headers that the server itself owns (length, date, connection)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a request brought. `reply` is the answer once all of it is stored; None: 202 with the ids."""

    items: tuple[TriggerMessage | Reject, ...]
    reply: Reply | None = None


PROBLEM_TYPE = "urn:pointsman:problem:"
"""Prefix of the `type` of every problem document (RFC 9457); the slug behind it is stable."""


def problem(status: int, slug: str, title: str, detail: str = "", **headers: str) -> Reply:
    """Return an `application/problem+json` answer (RFC 9457). Header names are given with underscores."""
    document = {"type": PROBLEM_TYPE + slug, "title": title, "status": status}
    if detail:
        document["detail"] = detail
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(
        status=status,
        headers=(("content-type", "application/problem+json"), *named),
        body=msgspec.json.encode(document),
    )


class HttpSource(Source[C]):
    """A source that HTTP requests come to. `ingest` owns the sockets; `receive` is pure.

    An HttpSource has nothing to run: the ingest server emits what `receive` returns.
    """

    @property
    @abstractmethod
    def methods(self) -> frozenset[str]:
        """The request methods that this source answers; any other is refused with 405."""

    @property
    @abstractmethod
    def max_body_bytes(self) -> int:
        """The largest body this source takes; a larger one is refused with 413 before it is read."""

    @abstractmethod
    def receive(self, request: HttpRequest) -> Reply | Batch:
        """Verify and decode one request: a final answer, or what is to be stored before the answer.

        Never raises for anything a client can send.
        """
