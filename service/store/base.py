"""The verbs of a store and the values they take.

The order is always: store, then acknowledge; record the attempt, then call; record the outcome, then
forget. A store commits in groups: what waits goes into one transaction, one caller's bad row never fails
the others. It knows states and numbers, never rules, connectors or HTTP.

Instants are whole milliseconds since the epoch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from service.delivery import Event, State

Millis = int


class RunKey(NamedTuple):
    """The identity of a run: message number, rule number, run number (from 1)."""

    message: int
    rule: int
    run: int


Mode = Literal["parallel", "queued", "single", "restart"]


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's first run, as intake wants it born.

    `state` is RUNNING (a slot is reserved; owner and first attempt are recorded with it), PENDING (due at
    once) or DEAD (with its reason). With a `key` and a mode other than parallel the store may decide
    otherwise: queued behind an unfinished one (PENDING, not due), SUPERSEDED (single), or it supersedes
    the unfinished ones (restart).
    """

    rule: int
    lane: int
    state: State = State.PENDING
    mode: Mode = "parallel"
    key: bytes | None = None
    reason: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message to accept, with the runs of the rules that matched.

    `identity` is the hash of (source name, CloudEvents source, id), None when the source knows repeats by
    position; `body` the hash that tells a repeat from a conflict. `record` is the whole message, encoded.
    """

    source: int
    received_at: Millis
    type: str
    record: bytes
    ruleset: int
    identity: bytes | None = None
    body: bytes = b""
    runs: tuple[NewRun, ...] = ()


class RejectEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What came in and could not become a message; `data` are its bytes, `meta` encoded JSON."""

    source: int
    received_at: Millis
    reason: str
    detail: str
    data: bytes
    meta: bytes = b"{}"


class EntryBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one source, stored in order, all or nothing, together with the positions of the source.

    A position says how far the source has come, in words of its own; None forgets it. Repeats and conflicts
    are no failure; an entry that cannot be stored as it is becomes a reject `bad-entry` with its record.
    """

    source: int
    entries: tuple[Entry | RejectEntry, ...]
    positions: Mapping[str, bytes | None] = {}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry. `number` is the message's (the first one's for a repeat) or the reject's.

    `states` are the states the runs were really born in, in the order of `Entry.runs`; empty for a repeat.
    """

    verdict: Literal["new", "known", "conflict", "rejected"]
    number: int
    states: tuple[State, ...] = ()


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a step. `status` is the HTTP status or 0; `answer` what is kept of the answer, encoded."""

    number: int
    step: int
    started_at: Millis
    ended_at: Millis
    outcome: str  # ok, retry, refused, unknown
    status: int = 0
    detail: str = ""
    digest: bytes = b""
    answer: bytes = b""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt and what follows.

    It holds only while the run is RUNNING, owned by this store's epoch, and on attempt `number`: otherwise
    the attempt is recorded and the state stays. `event` is ADVANCE, SUCCEED, RETRY, FAIL, HOLD, EXPIRE or
    GIVE_BACK (then `attempt` is None and the attempt counter goes back by one). With ADVANCE the next
    step's attempt is recorded as started in the same transaction: its number is `number + 1`. `step` and
    `lane` are where the run goes on, with ADVANCE and RETRY; the others leave it where it is. HOLD without
    an attempt (nothing was called) gives the attempt's number back too.
    `answers` are the encoded answers of the steps so far, None to keep what is stored. `also` are messages
    about the service's own troubles, stored in the same transaction.
    """

    key: RunKey
    number: int
    event: Event
    attempt: Attempt | None = None
    due_at: Millis | None = None
    reason: str = ""
    step: int = 0
    lane: int | None = None
    answers: bytes | None = None
    also: tuple[Entry, ...] = ()


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is ours now: RUNNING, its attempt `number` recorded as started at `started_at`.

    `interrupted` says that the attempt before this one was left by a dead process: its outcome is unknown.
    `first_at` is when the first attempt of this run started; `digest` the first request's hash, if known.
    `paused_ms` is how long operators held it: that time does not count against the retry time.
    """

    key: RunKey
    number: int
    step: int
    lane: int
    source: int
    ruleset: int
    generation: int
    started_at: Millis
    first_at: Millis
    received_at: Millis
    record: bytes
    answers: bytes = b""
    digest: bytes = b""
    interrupted: bool = False
    retried: int = 0  # attempts of this step before this one
    paused_ms: int = 0
    mode: Mode = "parallel"
    run_key: bytes | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of rows for people, newest first; `next` is the cursor of the next page, "" at the end."""

    rows: tuple[dict[str, Any], ...]
    next: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is: whether it takes messages, how old its oldest waiting entry is, and what is in it."""

    writable: bool
    reason: str = ""
    queue_age_ms: int = 0
    waiting: int = 0
    groups: int = 0
    fsyncs: int = 0
    unfinished: int = 0


class Store(ABC):
    """Messages, rejects, runs, attempts, rulesets: durable before anybody is told.

    All methods are called from one event loop. `accept` and `settle` never wait: they take the entry into
    the next group and call back on the loop after its commit. `close` is harmless twice.
    """

    epoch: int
    """The number under which this process owns runs; set by `open`."""

    @abstractmethod
    async def open(self) -> None:
        """Lock, migrate, take an epoch, and free what dead epochs left running (recovery).

        Raise Unavailable when another process holds the data, Invalid when the data is of a newer version
        or half-migrated in a way that cannot be finished.
        """

    @abstractmethod
    async def close(self) -> None:
        """Commit what waits, end the epoch, let go of everything."""

    # -- the way of a message

    @abstractmethod
    def accept(self, entry: Entry | RejectEntry, done: Callable[[Stored | Exception], None]) -> None:
        """Store the entry with the next group; call `done` on the loop after the commit, in order.

        `done` gets Unavailable when nothing was stored. Raise Unavailable at once while the store takes
        nothing (disk full, closing).
        """

    @abstractmethod
    def accept_batch(self, batch: EntryBatch, done: Callable[[tuple[Stored, ...] | Exception], None]) -> None:
        """Store a whole batch with the next group; `done` gets what became of each entry, in order.

        As `accept` otherwise.
        """

    @abstractmethod
    def settle(self, settlement: Settlement, done: Callable[[bool], None]) -> None:
        """Record the end of an attempt with the next group; `done(applied)` after the commit.

        Never lost while the process lives: kept over a full disk and tried again.
        """

    @abstractmethod
    async def claim(self, lanes: Mapping[int, int], now: Millis) -> list[Claimed]:
        """Take up to that many due runs of each lane, oldest due first: RUNNING, attempt recorded, committed.

        Lanes that are not named are left alone.
        """

    @abstractmethod
    async def next_due(self, lanes: Sequence[int]) -> Millis | None:
        """Return when the next run of these lanes is due, None when none waits."""

    # -- operators, holds

    @abstractmethod
    async def release(
        self, event: Event, keys: Sequence[RunKey], *, reason: str, now: Millis
    ) -> list[State | str]:
        """Apply RELEASE, DISCARD, EXPIRE or HOLD to runs; for each the new state, or why it was refused.

        A run that is RUNNING is refused: its attempt ends first.
        """

    @abstractmethod
    async def next_run(self, key: RunKey, *, generation: int | None, now: Millis, by: str) -> RunKey:
        """Make the next run of an ended delivery, PENDING and due at once, and return its key.

        It resumes at the step that failed, with the answers so far; `generation` None keeps the
        generation (hence the idempotency key). Another generation starts at the first step, without answers.
        A queued one waits for its key. Raise NotFound; Conflict when the last run has not ended, when it was
        delivered and the generation is kept, or when its key (single, restart) has another unfinished run.
        """

    @abstractmethod
    async def sweep(self, now: Millis, *, retention_ms: int, identities_ms: int, bite: int = 500) -> int:
        """Free the runs of dead epochs and delete a bite of what is finished and old; return rows deleted."""

    @abstractmethod
    async def beat(self, now: Millis) -> None:
        """Say that this epoch lives."""

    # -- sources

    @abstractmethod
    async def positions(self, source: int) -> dict[str, bytes]:
        """Return how far a source has come, by its own keys."""

    @abstractmethod
    async def set_positions(self, source: int, positions: Mapping[str, bytes | None]) -> None:
        """Change where a source goes on, by an operator's wish; None forgets a key."""

    @abstractmethod
    async def unfinished(self, source: int) -> int:
        """Return how many runs of a source's messages have not ended."""

    # -- configuration

    @abstractmethod
    async def number(self, kind: Literal["source", "lane", "rule"], name: str, was: str | None = None) -> int:
        """Return the number of a name, making it at first sight; numbers are never reused.

        `was` is the name it had before: the number moves to the new name.
        """

    @abstractmethod
    async def names(self, kind: Literal["source", "lane", "rule"]) -> dict[int, str]:
        """Return every number of the kind with its present name."""

    @abstractmethod
    async def put_ruleset(self, document: bytes, files: Mapping[str, bytes]) -> int:
        """Keep a ruleset's canonical document and the files it pins; the same content keeps its number."""

    @abstractmethod
    async def get_ruleset(self, number: int) -> tuple[bytes, dict[str, bytes]]:
        """Return what `put_ruleset` kept. Raise NotFound."""

    @abstractmethod
    async def put(self, name: str, value: bytes | None) -> None:
        """Keep a small named value (a held connection, a paused rule); None forgets it."""

    @abstractmethod
    async def get(self, prefix: str) -> dict[str, bytes]:
        """Return the named values whose name starts with `prefix`."""

    # -- readers: short transactions, apart from the writer

    @abstractmethod
    async def messages(
        self,
        *,
        cursor: str = "",
        limit: int = 50,
        source: int | None = None,
        of_type: str | None = None,
    ) -> Page:
        """List messages, newest first: number, source, type, received_at, runs by state, bytes."""

    @abstractmethod
    async def message(self, number: int) -> dict[str, Any]:
        """Return one message with its record (bytes) and its runs. Raise NotFound."""

    @abstractmethod
    async def rejects(self, *, cursor: str = "", limit: int = 50, source: int | None = None) -> Page:
        """List rejects, newest first: number, source, received_at, reason, detail, bytes (how many), meta."""

    @abstractmethod
    async def reject(self, number: int) -> dict[str, Any]:
        """Return one reject with its bytes. Raise NotFound."""

    @abstractmethod
    async def deliveries(
        self,
        *,
        cursor: str = "",
        limit: int = 50,
        states: Sequence[State] = (),
        rule: int | None = None,
        lane: int | None = None,
        message: int | None = None,
    ) -> Page:
        """List runs, newest first.

        Each: message, rule, run, state, lane, due_at, attempts (how many), step, started_at, changed_at,
        generation, mode, key, reason, made_by, interrupted, paused_ms; of its message: source, type,
        received_at, ruleset.
        """

    @abstractmethod
    async def delivery(self, key: RunKey) -> dict[str, Any]:
        """Return one run with all its attempts. Raise NotFound.

        As `deliveries` does, with `number` (how many attempts), `answers` (bytes), and as `attempts` all of
        them: number, step, started_at, ended_at, outcome, status, detail, digest, answer. One that is under
        way has no `ended_at` and the outcome "".
        """

    @abstractmethod
    async def counts(self) -> dict[str, int]:
        """Return how many runs are in each unfinished state, by `state` and by `lane/state`."""

    @abstractmethod
    def health(self) -> Health:
        """Return how the store is now, without waiting."""
