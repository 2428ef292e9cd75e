"""Takes batches in: gives each message its identity, matches it, and has it stored.

Matching is in memory; one `store.accept` per message, many messages per commit. What intake returns is on
disk. It never calls a backend; deliveries that are born running go to the dispatcher from the commit's
callback, in the slots that were reserved before.
"""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog

from service.delivery import State
from service.errors import Unavailable
from service.intake import writable
from service.intake.gathering import Gathering
from service.intake.taken import MAX_HOPS, Taken, job_of, looping
from service.intake.whole import WholeBatch
from service.job import Job, hops
from service.rules.model import Hit, Rule, Ruleset
from service.rules.turns import take_turns
from service.store.base import Entry, NewRun, RejectEntry, Store, Stored
from service.store.ids import message_id, reject_id
from triggers.base import Accepted, Batch, Item, Reject
from triggers.message import TriggerMessage, document, head

log = structlog.get_logger(__name__)

SAMPLES: Final = 5
"""How many failures of a rule's `when` are kept to show."""

OWN_SOURCE: Final = "pointsman"
"""The source of messages about the service's own troubles."""

_encode: Final = msgspec.msgpack.Encoder().encode


class Lanes(Protocol):
    """What intake needs of the dispatcher."""

    def reserve(self, connection: str) -> tuple[int, bool]:
        """Return the lane number, and whether a slot in memory was reserved."""

    def cancel(self, connection: str) -> None:
        """Give a reserved slot back."""

    def hand_over(self, connection: str, job: Job) -> None:
        """Take a delivery that was born running."""

    def nudge(self, connection: str | None = None) -> None:
        """Look for due work."""


class WhenFailure(msgspec.Struct, frozen=True):
    """One message on which a rule's `when` failed."""

    at: int
    type: str
    id: str
    error: str


class RuleCounts:
    """What happened to one rule since the process started."""

    __slots__ = ("failures", "matched", "when_errors")

    def __init__(self) -> None:
        self.matched = 0
        self.when_errors = 0
        self.failures: deque[WhenFailure] = deque(maxlen=SAMPLES)


class Intake:
    """Takes batches in. All methods are called on the event loop; none waits.

    `wall_ms` is the wall clock (when something was received), `clock_ms` the service's steady clock.
    """

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        *,
        clock_ms: Callable[[], int],
        reached: Callable[[str], None],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._clock_ms = clock_ms
        self._reached = reached
        self._new_id = new_id
        self._sources: dict[str, int] = {}
        self._ruleset = Ruleset(0, ())
        self.rules: dict[int, RuleCounts] = {}
        self.accepted: dict[str, int] = {"new": 0, "known": 0, "conflict": 0, "rejected": 0, "refused": 0}
        self.last_at: dict[str, int] = {}
        self.taken: dict[str, Counter[str]] = {}  # verdicts by source, of what was stored item by item
        self.unmatched = 0

    def use(self, ruleset: Ruleset, sources: Mapping[str, int]) -> None:
        """Match against this ruleset from now on; `sources` gives each source's number in the store."""
        self._ruleset = ruleset
        self._sources = dict(sources)

    @property
    def ruleset(self) -> Ruleset:
        """The ruleset that messages are matched against now."""
        return self._ruleset

    def take(self, source: str, batch: Sequence[TriggerMessage | Reject]) -> asyncio.Future[Accepted]:
        """Store a batch; the future resolves after the commit, or fails with Unavailable.

        When it fails nothing of a batch of one was stored; of a larger batch the rest is known when the
        source brings it again.
        """
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        if not batch:
            future.set_result(Accepted())
            return future
        counts = self.taken.get(source)
        if counts is None:
            counts = self.taken[source] = Counter()
        gathering = Gathering(len(batch), future, self._reached, counts)
        for place, item in enumerate(batch):
            try:
                self._take_one(source, item, gathering, place)
            except Unavailable as error:
                self.accepted["refused"] += 1
                gathering.failed(error)
        return future

    def take_batch(
        self,
        source: str,
        batch: Sequence[Item],
        positions: Mapping[str, bytes | None],
        *,
        ordered: bool,
    ) -> asyncio.Future[Accepted]:
        """Store a batch whole, in order, with the source's positions; the future resolves after the commit.

        `ordered`: the source knows repeats by position, so its messages need no identity. The ids of what
        was stored are not told. Raise Unavailable, or fail with it, when nothing was stored.
        """
        now = self._clock_ms()
        self.last_at[source] = now
        whole = WholeBatch(self, source, now, ordered=ordered)
        try:
            for item in batch:
                whole.add(item)
            self._store.accept_batch(whole.batch(self._sources[source], positions), whole.done)
        except BaseException:  # nothing of it will be stored: no slot may stay taken
            whole.cancel()
            raise
        return whole.future

    def receive(self, source: str, batch: Batch) -> asyncio.Future[Accepted]:
        """Store what an HTTP request brought."""
        return self.take(source, batch.items)

    # -- one message

    def _take_one(self, source: str, item: TriggerMessage | Reject, gathering: Gathering, place: int) -> None:
        now = self._clock_ms()
        self.last_at[source] = now
        if isinstance(item, Reject):
            self._store.accept(self.reject(source, item, now), self._rejected(gathering, place))
            return
        if hops(item) > MAX_HOPS:
            self._store.accept(self.reject(source, looping(item), now), self._rejected(gathering, place))
            return
        hits, seen = self.match(source, item, now)
        runs, reserved = self.runs(hits)
        taken = Taken(source, item, now, self._ruleset, hits, runs, seen)

        def done(stored: Stored | Exception) -> None:
            if isinstance(stored, Exception):
                self.cancel(hits, reserved)
                self.accepted["refused"] += 1
                gathering.failed(stored)
                return
            self.stored(taken, stored)
            gathering.stored(place, stored, message_id(stored.number))

        try:
            self._store.accept(self.entry(source, item, now, runs), done)
        except BaseException:  # nothing of it will be stored: no slot may stay taken
            self.cancel(hits, reserved)
            raise

    def match(
        self, source: str, message: TriggerMessage, now: int
    ) -> tuple[list[Hit], dict[str, Any] | None]:
        """Return the rules that a message matches, and the JSON object they saw if it was needed."""
        if message.format == "json":
            candidates = self._ruleset.candidates(source, head(message), message.data)
            seen = None
        else:
            seen = document(message)
            candidates = self._ruleset.candidates(source, seen, None)
        if not candidates:
            self.unmatched += 1
            return [], seen
        if any(rule.when is not None or rule.key is not None for rule in candidates):
            seen = document(message) if seen is None else seen
            variables = {"event": seen, "data": seen.get("data"), "meta": seen["meta"], "steps": {}}
            hits, failures = take_turns(candidates, variables)
            for rule, error in failures:
                self._note(rule, WhenFailure(now, message.type, message.id, str(error)))
        else:
            hits = [Hit(rule) for rule in candidates]
        for hit in hits:
            self._counts(hit.rule).matched += 1
        if not hits:
            self.unmatched += 1
        return hits, seen

    def _note(self, rule: Rule, failure: WhenFailure) -> None:
        counts = self._counts(rule)
        counts.when_errors += 1
        counts.failures.append(failure)

    def _counts(self, rule: Rule) -> RuleCounts:
        counts = self.rules.get(rule.number)
        if counts is None:
            counts = self.rules[rule.number] = RuleCounts()
        return counts

    def runs(self, hits: Sequence[Hit]) -> tuple[tuple[NewRun, ...], list[bool]]:
        """Return the runs to be born, and for each whether a slot is reserved for it."""
        runs, reserved = [], []
        for hit in hits:
            rule = hit.rule
            lane, slot = self._lanes.reserve(rule.steps[0].connection)
            if hit.problem and slot:
                self._lanes.cancel(rule.steps[0].connection)
                slot = False
            state = State.DEAD if hit.problem else State.RUNNING if slot else State.PENDING
            run_key = None
            if hit.key is not None and rule.mode != "parallel":
                run_key = hashlib.blake2b(hit.key, digest_size=16).digest()
            runs.append(
                NewRun(
                    rule=rule.number, lane=lane, state=state, mode=rule.mode, key=run_key, reason=hit.problem
                )
            )
            reserved.append(slot)
        return tuple(runs), reserved

    def entry(
        self,
        source: str,
        message: TriggerMessage,
        now: int,
        runs: tuple[NewRun, ...],
        *,
        identified: bool = True,
    ) -> Entry:
        """Return the entry of a message; not `identified`: its source knows repeats by position."""
        if not identified:
            return Entry(
                source=self._sources[source],
                received_at=now,
                type=message.type,
                record=_encode(message),
                ruleset=self._ruleset.number,
                runs=runs,
            )
        identity = f"{source}\0{message.source}\0{message.id}".encode("utf-8", "surrogatepass")
        return Entry(
            source=self._sources[source],
            received_at=now,
            type=message.type,
            record=_encode(message),
            ruleset=self._ruleset.number,
            identity=hashlib.blake2b(identity, digest_size=16).digest(),
            body=hashlib.blake2b(message.data or b"", digest_size=16).digest(),
            runs=runs,
        )

    def reject(self, source: str, reject: Reject, now: int) -> RejectEntry:
        """Return the entry of a reject."""
        return RejectEntry(
            source=self._sources[source],
            received_at=now,
            reason=writable.text(reject.reason),
            detail=writable.text(reject.detail),
            data=reject.data,
            meta=writable.encode(reject.meta),
        )

    def _rejected(self, gathering: Gathering, place: int) -> Callable[[Stored | Exception], None]:
        def done(stored: Stored | Exception) -> None:
            if isinstance(stored, Exception):
                self.accepted["refused"] += 1
                gathering.failed(stored)
                return
            self.accepted["rejected"] += 1
            gathering.stored(place, stored, reject_id(stored.number))

        return done

    def cancel(self, hits: Sequence[Hit], reserved: Sequence[bool]) -> None:
        """Give reserved slots back."""
        for hit, slot in zip(hits, reserved, strict=True):
            if slot:
                self._lanes.cancel(hit.rule.steps[0].connection)

    def stored(self, taken: "Taken", stored: Stored) -> None:
        """Hand over what was born running; give the other slots back. Called in the commit's callback."""
        self.accepted[stored.verdict] += 1
        fresh = stored.verdict == "new"
        for place, (hit, run) in enumerate(zip(taken.hits, taken.runs, strict=True)):
            state = stored.states[place] if fresh else None
            connection = hit.rule.steps[0].connection
            if run.state is State.RUNNING and state is not State.RUNNING:
                self._lanes.cancel(connection)
            if state is State.RUNNING:
                self._lanes.hand_over(connection, job_of(taken, stored.number, hit))
            elif state is State.PENDING:
                self._lanes.nudge(connection)
            elif state is State.DEAD:
                self._tell_dead(job_of(taken, stored.number, hit), hit.problem)

    # -- the service's own troubles

    def _tell_dead(self, job: Job, reason: str) -> None:
        """Store a message about a delivery that was born dead, on its own."""
        entry = self.trouble("pointsman.delivery.dead", job.public_id(), job.facts(reason), job.cause())
        if entry is None:
            return

        def done(stored: Stored | Exception) -> None:
            if isinstance(stored, Exception):
                log.warning(
                    "a message about a trouble was not stored", subject=job.public_id(), why=str(stored)
                )
            else:
                self._lanes.nudge()

        try:
            self._store.accept(entry, done)
        except Unavailable as error:
            done(error)

    def trouble(self, kind: str, subject: str, data: Mapping[str, object], cause: str) -> Entry | None:
        """Return a message about the service's own trouble as an entry; None when it would cause itself.

        Its deliveries are born pending: the dispatcher finds them when the entry is stored.
        """
        return None if cause == OWN_SOURCE else self.own(kind, subject, data, self._new_id())

    def tell(
        self,
        kind: str,
        subject: str,
        data: Mapping[str, object],
        *,
        told_as: str,
        done: Callable[[str, Exception | None], None],
    ) -> None:
        """Store a message about the service's own trouble soon; what was told as `told_as` is not told again.

        `done` hears, with `told_as`, why it was not stored, or None. Raise Unavailable when the store takes
        nothing now.
        """

        def stored(what: Stored | Exception) -> None:
            if isinstance(what, Exception):
                done(told_as, what)
                return
            done(told_as, None)
            if what.verdict == "new":
                self._lanes.nudge()

        self._store.accept(self.own(kind, subject, data, told_as), stored)

    def own(self, kind: str, subject: str, data: Mapping[str, object], told_as: str) -> Entry:
        """Return a message about the service's own trouble as an entry; its deliveries are born pending."""
        now = self._clock_ms()
        message = TriggerMessage(
            id=writable.text(told_as),
            source="/pointsman",
            type=kind,
            subject=subject,
            datacontenttype="application/json",
            format="json",
            data=writable.encode(data),
            meta={"kind": "pointsman"},
        )
        hits, _ = self.match(OWN_SOURCE, message, now)
        runs, reserved = self.runs(hits)
        self.cancel(hits, reserved)
        pending = tuple(
            msgspec.structs.replace(run, state=State.PENDING) if run.state is State.RUNNING else run
            for run in runs
        )
        return self.entry(OWN_SOURCE, message, now, pending)
