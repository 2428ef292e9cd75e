"""The contract of a source: how something outside becomes a batch of trigger messages.

A source decodes and acknowledges; it never stores, matches or calls. What it needs from the service is
handed in by `open`: crash points, a clock, compiled expressions, its stored positions.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from triggers.errors import SourceRejected
from triggers.message import TriggerMessage

Expression = Callable[[Mapping[str, Any]], Any]
"""A compiled expression: takes the JSON object that rules see, returns a JSON value or raises ValueError."""


class SourceConfig(BaseModel):
    """What every source's configuration has; each adapter closes it with its own `kind` and settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expressions: ClassVar[tuple[str, ...]] = ()
    """Fields that hold an expression: `check` compiles them and places what is wrong."""

    sees: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The variables of those expressions that are not about a message: any others see what rules see."""

    kind: str = Field(description="Which adapter brings the messages in.")

    def called(self) -> tuple["Called", ...]:
        """Return the operations that the source calls: `check` proves that they exist and take this."""
        return ()


C = TypeVar("C", bound=SourceConfig)


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that a configuration names, and the tree of its inputs, in which `${…}` sees `variables`.

    `field` and `inputs_field` say where in the configuration they stand.
    """

    operation: str
    inputs: Mapping[str, Any] = {}
    variables: tuple[str, ...] = ()
    field: str = "call"
    inputs_field: str = "with"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found: what is wrong or doubtful, and what would be right."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    fix: str = ""
    field: str = ""  # dotted path inside the source's configuration, "" for the whole


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What a polled operation answered. Header names are lower case; `body` is cut at a cap.

    `url` is the address that was called, without credentials; `ignored` are the names out of `query` that
    the operation does not have and that were not sent.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    url: str = ""
    ignored: tuple[str, ...] = ()

    def header(self, name: str) -> str | None:
        """Return the first value of a header by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Call(Protocol):
    """Calls an operation of a connection, within its limits, logged in as it says."""

    async def __call__(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Polled:
        """Call `connection.operation` once; any status is an answer.

        `query` are query parameters that win over `arguments`; `headers` are added. Raise SourceUnavailable
        when no answer came, SourceRejected when it can never be called so.
        """

    def changes_nothing(self, operation: str) -> bool:
        """Say whether a call is sure to change nothing outside. Raise SourceRejected: no such operation."""


class Reporter(Protocol):
    """What a running source tells of itself; never waits, never fails."""

    def running(self, detail: str = "") -> None:
        """Say that the source is connected and takes what comes."""

    def busy(self, detail: str) -> None:
        """Say what long work is under way and how far it is: `snapshot of shop.orders: 40,000 rows`."""

    def warn(self, code: str, message: str, fix: str = "") -> None:
        """Show a trouble that does not stop the source, until `clear`; told as a message when it is new."""

    def clear(self, code: str) -> None:
        """Take a warning back."""


async def _no_positions() -> Mapping[str, bytes]:
    return {}


class _NoCall:
    """Calls nothing."""

    async def __call__(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Polled:
        del arguments, query, headers
        raise SourceRejected(f"{operation}: no connections here")

    def changes_nothing(self, operation: str) -> bool:
        raise SourceRejected(f"{operation}: no connections here")


def _no_compiler(what: Any, variables: Sequence[str]) -> Expression:
    del what, variables
    raise ValueError("nothing is compiled here")


class _Silent:
    """Reports to nobody."""

    def running(self, detail: str = "") -> None: ...
    def busy(self, detail: str) -> None: ...
    def warn(self, code: str, message: str, fix: str = "") -> None: ...
    def clear(self, code: str) -> None: ...


class SourceContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the service hands to a source when it opens it.

    `positions` reads what `emit` stored last under each key: the source goes on from there, whatever the
    outside remembers. For sources that poll: `call` performs operations of connections; `expression_over`
    compiles an expression and `template` a JSON tree with `${…}`, over the variables that are named.
    """

    name: str
    reached: Callable[[str], None]  # crash points
    clock: Callable[[], float]  # seconds since the epoch
    expression: Callable[[str], Expression]  # compiles; raises ValueError with a readable text
    positions: Callable[[], Awaitable[Mapping[str, bytes]]] = _no_positions
    report: Reporter = _Silent()
    call: Call = _NoCall()
    expression_over: Callable[[str, Sequence[str]], Expression] = _no_compiler
    template: Callable[[Any, Sequence[str]], Expression] = _no_compiler


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """What came in and could not become a message, kept whole: `data` are its bytes.

    `reason` is a stable slug; `detail` says what is wrong and where.
    """

    reason: str
    detail: str
    data: bytes
    meta: dict[str, Any] = {}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the source itself that people must learn, stored with the batch it stands in.

    It becomes a message `pointsman.source.<kind>` of the source `pointsman`: `gap` (something is lost for us,
    as `data` says), `schema-changed`, `snapshot-done`. The same `id` is told once.
    """

    kind: str
    id: str
    data: dict[str, Any] = {}


Item = TriggerMessage | Reject | Notice
"""What a batch is made of."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What `emit` stored: counts, and the public ids (`msg_…`, `rej_…`) in the order of the batch."""

    new: int = 0
    known: int = 0
    rejected: int = 0
    ids: tuple[str, ...] = ()


class Emit(Protocol):
    """Stores a batch, in order, with the source's positions: all in one transaction or nothing.

    Returning means stored and fsynced: now acknowledge. Raising means that nothing was stored (NotStored:
    the store takes nothing now): let it end `run`, or bring the batch again. `emit` waits itself for a
    store that is busy, so a source that awaits it needs no limit of its own; batches of some hundred
    messages are best, more than a thousand are split by the caller.
    """

    async def __call__(
        self, batch: Sequence[Item], positions: Mapping[str, bytes | None] | None = None
    ) -> Accepted:
        """Store the batch and what is to be remembered under each key of `positions`; None forgets a key."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source is, seen from the outside and not from its own consumer.

    `pending` counts what waits there for us, in `unit`; None when nobody can say. `position` changes whenever
    something was taken: work that is pending while the position stands still is a source that is stuck.
    """

    pending: int | None = None
    unit: Literal["messages", "bytes", "rows", "changes"] = "messages"
    position: str = ""


class SetupStep(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that setup or teardown does outside: in words, as a statement to run by hand, and its state.

    `done` says that it was not needed or has been done; `problem` why it cannot be done, with the fix.
    """

    what: str
    statement: str = ""
    done: bool = False
    problem: str = ""
    fix: str = ""


class Source(ABC, Generic[C]):
    """A source of trigger messages.

    The order of calls is `review`? `open` (`check` `setup` `progress`)* `run` `close`. Nothing before `run`
    but `check`, `setup`, `teardown` and `progress` touches the outside. `close` is harmless twice and in any
    state. Each run is of a new object: a source that was closed is never opened again.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[SourceConfig]]

    redelivers: ClassVar[bool] = True
    """Whether the outside brings again what was not acknowledged."""

    def __init__(self, name: str, config: C) -> None:
        self.name = name
        self.config = config

    @property
    def ordered(self) -> bool:
        """Whether repeats are known by position: then its messages need no identity of their own."""
        return False

    def review(self) -> list[Finding]:
        """Return what is wrong or doubtful in the configuration itself. Pure: nothing outside is asked."""
        return []

    @abstractmethod
    async def open(self, context: SourceContext) -> None:
        """Take what the service hands in and get ready. Raise SourceRejected. Touches nothing outside."""

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Prove access without changing anything; report everything that is wrong or doubtful, with its fix.

        Wants an open source; opens connections of its own and closes them again.
        """

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Connect and emit messages until cancelled; the service restarts it when it raises.

        When `emit` returns, the batch is stored: only then acknowledge it at the source. Raise
        SourceUnavailable when the outside is gone, SourceRejected when it refuses us, SourceGap when going
        on would lose something silently. When cancelled, let go of everything quickly: what is not
        acknowledged comes again.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything. Twice is harmless, in any state."""

    async def progress(self) -> Progress:
        """Say how far the source is, asked of the outside by a way of its own. Raise SourceUnavailable."""
        return Progress()

    async def setup(self, *, apply: bool) -> list[SetupStep]:
        """Return what the outside needs to have for this source; with `apply`, make it so."""
        del apply
        return []

    async def teardown(self, *, apply: bool) -> list[SetupStep]:
        """Return what to remove outside when the source is given up; with `apply`, remove it."""
        del apply
        return []

    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        """Return which positions to change so that the next run begins at `to`. Pure.

        What `to` may be belongs to the source: `snapshot`, `now`, `earliest`, an RFC 3339 time. Raise
        SourceRejected with what is possible.
        """
        del positions
        raise SourceRejected(f"a {self.kind} source cannot begin elsewhere (asked for: {to})")


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

    @override
    async def check(self) -> list[Finding]:
        """Nothing outside is to be asked: whoever knows the address comes to us."""
        return []

    @override
    async def run(self, emit: Emit) -> None:
        """Nothing to run: the ingest server emits what `receive` returns."""

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
