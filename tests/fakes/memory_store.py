"""A store in memory that keeps the same promises as the real ones, except surviving the process.

It passes `tests/contract/store_contract.py`. Written from the contract, not from the SQLite store, so that
the two can be compared. Set `refusing` to a reason to make it behave like a store on a full disk.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from typing_extensions import override

from service.delivery import Event, State, after
from service.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from service.store.base import (
    Attempt,
    Claimed,
    Entry,
    EntryBatch,
    Health,
    Millis,
    Mode,
    NewRun,
    Page,
    RejectEntry,
    RunKey,
    Settlement,
    Store,
    Stored,
)
from service.store.ids import delivery_id, message_id, reject_id

UNFINISHED = (State.PENDING, State.RUNNING, State.WAITING, State.HELD)
SETTLED = frozenset(
    {Event.ADVANCE, Event.SUCCEED, Event.RETRY, Event.FAIL, Event.HOLD, Event.EXPIRE, Event.GIVE_BACK}
)
OPERATED = frozenset({Event.RELEASE, Event.DISCARD, Event.EXPIRE, Event.HOLD})


@dataclass(slots=True)
class Run:
    key: RunKey
    state: State
    lane: int
    mode: Mode
    run_key: bytes | None
    changed_at: Millis
    due_at: Millis | None = None
    epoch: int = 0
    number: int = 0
    step: int = 0
    started_at: Millis | None = None
    first_at: Millis | None = None
    retried: int = 0
    interrupted: bool = False
    generation: int = 0
    paused_ms: int = 0
    held_at: Millis | None = None
    reason: str = ""
    digest: bytes = b""
    answers: bytes = b""
    made_by: str = ""
    attempts: dict[int, Attempt] = field(default_factory=dict)

    @property
    def queued(self) -> bool:
        return self.mode == "queued" and self.run_key is not None


class MemoryStore(Store):
    """Everything in dictionaries; `done` is called in the next turn of the loop, as after a commit."""

    def __init__(
        self, *, clock_ms: Callable[[], int], reached: Callable[[str], None] = lambda _point: None
    ) -> None:
        self._clock_ms = clock_ms
        self._reached = reached
        self.epoch = 0
        self.refusing = ""
        self._open = False
        self._messages: dict[int, Entry] = {}
        self._identities: dict[bytes, tuple[int, bytes, Millis]] = {}
        self._rejects: dict[int, RejectEntry] = {}
        self._runs: dict[RunKey, Run] = {}
        self._names: dict[str, dict[int, str]] = {"source": {}, "lane": {}, "rule": {}}
        self._rulesets: list[tuple[bytes, dict[str, bytes]]] = []
        self._values: dict[str, bytes] = {}
        self._positions: dict[int, dict[str, bytes]] = {}
        self._last_message = 0
        self._last_reject = 0
        self._groups = 0

    @override
    async def open(self) -> None:
        self.epoch += 1
        self._open = True
        for run in self._runs.values():
            if run.state is State.RUNNING:
                now = self._clock_ms()
                run.attempts.setdefault(
                    run.number,
                    Attempt(
                        number=run.number, step=run.step, started_at=run.started_at or 0,
                        ended_at=max(now, run.started_at or 0), outcome="unknown",
                        detail="the process ended during the call",
                    ),
                )  # fmt: skip
                run.state, run.due_at, run.changed_at = State.PENDING, now, now
                run.interrupted, run.retried = True, run.retried + 1

    @override
    async def close(self) -> None:
        if self._open:
            await asyncio.sleep(0)
        self._open = False

    def _check(self) -> None:
        if not self._open or self.refusing:
            raise Unavailable(f"the store takes nothing now: {self.refusing or 'it is not open'}", 1.0)

    # -- the way of a message

    @override
    def accept(self, entry: Entry | RejectEntry, done: Callable[[Stored | Exception], None]) -> None:
        self._check()
        asyncio.get_running_loop().call_soon(lambda: done(self._accept(entry)))

    @override
    def accept_batch(self, batch: EntryBatch, done: Callable[[tuple[Stored, ...] | Exception], None]) -> None:
        self._check()
        asyncio.get_running_loop().call_soon(lambda: done(self._accept_batch(batch)))

    def _accept_batch(self, batch: EntryBatch) -> tuple[Stored, ...]:
        stored = []
        for entry in batch.entries:
            verdict = self._accept(entry)
            if isinstance(verdict, Exception):
                assert isinstance(entry, Entry)
                reject = RejectEntry(
                    source=entry.source, received_at=entry.received_at, reason="bad-entry",
                    detail=f"the message cannot be stored: {verdict}", data=entry.record,
                )  # fmt: skip
                verdict = Stored(verdict="rejected", number=self._rejected(reject))
            stored.append(verdict)
        self._put_positions(batch.source, batch.positions)
        return tuple(stored)

    def _put_positions(self, source: int, positions: Mapping[str, bytes | None]) -> None:
        kept = self._positions.setdefault(source, {})
        for key, value in positions.items():
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = value

    def _accept(self, entry: Entry | RejectEntry) -> Stored | Exception:
        self._groups += 1
        self._reached("store.accept.after_commit")
        if isinstance(entry, RejectEntry):
            return Stored(verdict="rejected", number=self._rejected(entry))
        problem = _bad(entry)
        if problem:
            return Invalid([Problem(message=problem, code="bad-entry")])
        if entry.identity is not None and entry.identity in self._identities:
            first, body, _seen = self._identities[entry.identity]
            if body == entry.body:
                return Stored(verdict="known", number=first)
            known = message_id(first)
            conflict = RejectEntry(
                source=entry.source, received_at=entry.received_at, reason="id-conflict",
                detail=f"the same id came before with another body, as {known}", data=entry.record,
                meta=msgspec.json.encode({"conflicts_with": known, "type": entry.type}),
            )  # fmt: skip
            return Stored(verdict="conflict", number=self._rejected(conflict))
        self._last_message += 1
        number = self._last_message
        self._messages[number] = entry
        if entry.identity is not None:
            self._identities[entry.identity] = (number, entry.body, entry.received_at)
        states = tuple(self._born(RunKey(number, new.rule, 1), new, entry.received_at) for new in entry.runs)
        return Stored(verdict="new", number=number, states=states)

    def _rejected(self, entry: RejectEntry) -> int:
        self._last_reject += 1
        self._rejects[self._last_reject] = entry
        return self._last_reject

    def _born(self, key: RunKey, new: NewRun, at: Millis) -> State:
        run = Run(key, new.state, new.lane, new.mode, new.key, at, reason=new.reason)
        if new.state is State.PENDING:
            run.due_at = at
        if new.key is not None and new.state is not State.DEAD and new.mode != "parallel":
            others = self._of_key(key.rule, new.key)
            if new.mode == "restart":
                for other in others:
                    self._end(
                        other, State.SUPERSEDED, f"{message_id(key.message)} took its place", self._clock_ms()
                    )
            elif others and new.mode == "queued":
                run.state, run.due_at = State.PENDING, None
            elif others:
                run.state, run.due_at = State.SUPERSEDED, None
                run.reason = "an unfinished run of its key was there first"
        if run.state is State.RUNNING:
            run.epoch, run.number, run.started_at, run.first_at = self.epoch, 1, at, at
        self._runs[key] = run
        return run.state

    def _of_key(self, rule: int, key: bytes) -> list[Run]:
        found = [
            run for run in self._runs.values()
            if run.key.rule == rule and run.run_key == key and not run.state.ended
        ]  # fmt: skip
        return sorted(found, key=lambda run: run.key)

    def _end(self, run: Run, state: State, reason: str, now: Millis) -> None:
        run.state, run.reason, run.changed_at, run.due_at, run.held_at = state, reason, now, None, None

    def _promote(self, run: Run, now: Millis) -> None:
        """Let the first of a queued key go, unless one is at work or the first one is held."""
        if run.run_key is None:
            return
        others = self._of_key(run.key.rule, run.run_key or b"")
        at_work = any(
            other.state in (State.RUNNING, State.WAITING)
            or (other.state is State.PENDING and other.due_at is not None)
            for other in others
        )
        if others and not at_work and others[0].state is State.PENDING:  # it is queued: nothing else waits so
            others[0].due_at = now

    @override
    def settle(self, settlement: Settlement, done: Callable[[bool], None]) -> None:
        if settlement.event not in SETTLED:
            raise Conflict(f"a settlement cannot say {settlement.event.name.lower()}")
        asyncio.get_running_loop().call_soon(self._settle_when_possible, settlement, done)

    def _settle_when_possible(self, settlement: Settlement, done: Callable[[bool], None]) -> None:
        if self.refusing:
            asyncio.get_running_loop().call_later(0.01, self._settle_when_possible, settlement, done)
            return
        applied = self._settle(settlement)
        if applied:
            for entry in settlement.also:
                self._accept(entry)
        self._groups += 1
        self._reached("store.settle.after_commit")
        done(applied)

    def _settle(self, said: Settlement) -> bool:
        run = self._runs.get(said.key)
        if run is None:
            return False
        applied = run.state is State.RUNNING and run.epoch == self.epoch and run.number == said.number
        if said.attempt is not None and (applied or said.attempt.number not in run.attempts):
            run.attempts[said.attempt.number] = said.attempt
        if not applied:
            return False
        now, digest = self._clock_ms(), said.attempt.digest if said.attempt else b""
        run.state, run.changed_at = after(State.RUNNING, said.event), now
        if said.answers is not None:
            run.answers = b"" if said.event is Event.SUCCEED else said.answers
        if said.event is Event.GIVE_BACK:
            run.due_at = run.started_at if said.due_at is None else said.due_at
            run.number -= 1
            run.first_at = run.first_at if run.retried else None
            return True
        run.interrupted = False
        if said.event is Event.ADVANCE:
            run.number, run.step = run.number + 1, said.step
            run.lane = run.lane if said.lane is None else said.lane
            run.started_at = run.first_at = now
            run.retried, run.digest = 0, b""
            return True
        run.reason = said.reason
        if said.event is Event.RETRY:
            run.due_at = now if said.due_at is None else said.due_at
            run.lane = run.lane if said.lane is None else said.lane
            if said.step == run.step:
                run.retried, run.digest = run.retried + 1, run.digest or digest
            else:
                run.step, run.retried, run.first_at, run.digest = said.step, 0, None, b""
        elif said.event is Event.HOLD:
            run.held_at = now
            run.digest = run.digest or digest
            if said.attempt is None:
                run.number -= 1
            else:
                run.retried += 1
            self._promote(run, now)
        else:
            if said.event is not Event.SUCCEED:
                run.digest = run.digest or digest
            self._promote(run, now)
        return True

    @override
    async def claim(self, lanes: Mapping[int, int], now: Millis) -> list[Claimed]:
        self._check()
        claimed = []
        for lane, count in lanes.items():
            due = [
                run for run in self._runs.values()
                if run.lane == lane and run.state in (State.PENDING, State.WAITING)
                and run.due_at is not None and run.due_at <= now
            ]  # fmt: skip
            due.sort(key=lambda run: (run.due_at, run.key))
            claimed += [self._claim(run, now) for run in due[:count]]
        await asyncio.sleep(0)
        return claimed

    def _claim(self, run: Run, now: Millis) -> Claimed:
        entry = self._messages[run.key.message]
        run.state, run.due_at, run.epoch, run.changed_at = State.RUNNING, None, self.epoch, now
        run.number, run.started_at = run.number + 1, now
        run.first_at = now if run.first_at is None else run.first_at
        return Claimed(
            key=run.key, number=run.number, step=run.step, lane=run.lane, source=entry.source,
            ruleset=entry.ruleset, generation=run.generation, started_at=now, first_at=run.first_at,
            received_at=entry.received_at, record=entry.record, answers=run.answers, digest=run.digest,
            interrupted=run.interrupted, retried=run.retried, paused_ms=run.paused_ms, mode=run.mode,
            run_key=run.run_key,
        )  # fmt: skip

    @override
    async def next_due(self, lanes: Sequence[int]) -> Millis | None:
        return min(
            (
                run.due_at for run in self._runs.values()
                if run.lane in lanes and run.due_at is not None
                and run.state in (State.PENDING, State.WAITING)
            ),
            default=None,
        )  # fmt: skip

    # -- operators

    @override
    async def release(
        self, event: Event, keys: Sequence[RunKey], *, reason: str, now: Millis
    ) -> list[State | str]:
        if event not in OPERATED:
            raise Conflict(f"an operator cannot {event.name.lower()} a run")
        self._check()
        answers = [self._operate(event, key, reason, now) for key in keys]
        self._reached("release.after_commit")
        return answers

    def _operate(self, event: Event, key: RunKey, reason: str, now: Millis) -> State | str:
        run = self._runs.get(key)
        if run is None:
            return f"there is no delivery {delivery_id(key)}"
        if run.state is State.RUNNING:
            return "it is being called right now; try again when the attempt has ended"
        before = run.state
        try:
            state = after(run.state, event)
        except Conflict as error:
            return str(error)
        if state.ended:
            self._end(run, state, reason, now)
            self._promote(run, now)
            return state
        run.state, run.reason, run.changed_at = state, reason, now
        if event is Event.HOLD:
            run.held_at, run.due_at = now, None
            self._promote(run, now)
            return state
        if run.held_at is not None:
            run.paused_ms, run.held_at = run.paused_ms + max(0, now - run.held_at), None
        run.due_at = None if run.queued and before is State.HELD else now
        self._promote(run, now)
        return state

    @override
    async def next_run(self, key: RunKey, *, generation: int | None, now: Millis, by: str) -> RunKey:
        self._check()
        runs = [run for other, run in self._runs.items() if other[:2] == key[:2]]
        last = max(runs, key=lambda run: run.key.run, default=None)
        if last is None or last.key.run < key.run:
            raise NotFound(f"there is no delivery {delivery_id(key)}")
        name = delivery_id(last.key)
        if not last.state.ended:
            raise Conflict(f"{name} has not ended: it is {last.state.name.lower()}")
        again = generation is not None and generation != last.generation
        if last.state is State.DELIVERED and not again:
            raise Conflict(f"{name} was delivered; to perform it once more, ask for it again under new keys")
        behind = last.run_key is not None and last.mode != "parallel"
        behind = behind and bool(self._of_key(key.rule, last.run_key or b""))
        if behind and last.mode != "queued":
            raise Conflict(f"another run of {name}'s key has not ended (mode {last.mode})")
        made = RunKey(key.message, key.rule, last.key.run + 1)
        run = Run(made, State.PENDING, last.lane, last.mode, last.run_key, now, made_by=by)
        run.due_at = None if behind else now
        run.generation = last.generation
        if again:
            run.generation = generation or 0
        else:
            run.step, run.digest, run.answers = last.step, last.digest, last.answers
        self._runs[made] = run
        self._promote(run, now)
        return made

    @override
    async def sweep(self, now: Millis, *, retention_ms: int, identities_ms: int, bite: int = 500) -> int:
        self._check()
        before, forgotten = now - retention_ms, now - identities_ms
        busy = {
            key.message for key, run in self._runs.items() if not run.state.ended or run.changed_at >= before
        }
        old = [n for n, entry in self._messages.items() if entry.received_at < before and n not in busy][
            :bite
        ]
        for number in old:
            del self._messages[number]
        for key in [key for key in self._runs if key.message in set(old)]:
            del self._runs[key]
        seen = [known for known, row in self._identities.items() if row[2] < forgotten][:bite]
        for known in seen:
            del self._identities[known]
        rejects = [n for n, entry in self._rejects.items() if entry.received_at < before][:bite]
        for number in rejects:
            del self._rejects[number]
        return len(old) + len(seen) + len(rejects)

    @override
    async def beat(self, now: Millis) -> None:
        self._check()

    # -- sources

    @override
    async def positions(self, source: int) -> dict[str, bytes]:
        return dict(self._positions.get(source, {}))

    @override
    async def set_positions(self, source: int, positions: Mapping[str, bytes | None]) -> None:
        self._check()
        self._put_positions(source, positions)

    @override
    async def unfinished(self, source: int) -> int:
        return sum(
            not run.state.ended and self._messages[run.key.message].source == source
            for run in self._runs.values()
        )

    # -- configuration

    @override
    async def number(self, kind: Literal["source", "lane", "rule"], name: str, was: str | None = None) -> int:
        self._check()
        names = self._names[kind]
        numbers = {had: number for number, had in names.items()}
        number = numbers.get(name, numbers.get(was) if was is not None else None) or len(names) + 1
        names[number] = name
        return number

    @override
    async def names(self, kind: Literal["source", "lane", "rule"]) -> dict[int, str]:
        return dict(self._names[kind])

    @override
    async def put_ruleset(self, document: bytes, files: Mapping[str, bytes]) -> int:
        self._check()
        kept = (document, dict(files))
        if kept not in self._rulesets:
            self._rulesets.append(kept)
        return self._rulesets.index(kept) + 1

    @override
    async def get_ruleset(self, number: int) -> tuple[bytes, dict[str, bytes]]:
        if not 0 < number <= len(self._rulesets):
            raise NotFound(f"there is no ruleset {number}")
        return self._rulesets[number - 1]

    @override
    async def put(self, name: str, value: bytes | None) -> None:
        self._check()
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    @override
    async def get(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in self._values.items() if name.startswith(prefix)}

    # -- readers

    @override
    async def messages(
        self, *, cursor: str = "", limit: int = 50, source: int | None = None, of_type: str | None = None
    ) -> Page:
        below = _number_cursor(cursor)
        rows = [
            self._message_row(number) for number, entry in sorted(self._messages.items(), reverse=True)
            if number < below
            and source in (None, entry.source) and of_type in (None, entry.type)
        ]  # fmt: skip
        return _page(rows, limit, lambda row: str(row["number"]))

    def _message_row(self, number: int) -> dict[str, Any]:
        entry = self._messages[number]
        states = sorted(run.state for key, run in self._runs.items() if key.message == number)
        return {
            "number": number, "source": entry.source, "type": entry.type, "received_at": entry.received_at,
            "ruleset": entry.ruleset, "bytes": len(entry.record),
            "runs": {state.name.lower(): len(list(group)) for state, group in itertools.groupby(states)},
        }  # fmt: skip

    @override
    async def message(self, number: int) -> dict[str, Any]:
        entry = self._messages.get(number)
        if entry is None:
            raise NotFound(f"there is no message {message_id(number)}")
        runs = [self._run_row(run) for key, run in sorted(self._runs.items()) if key.message == number]
        row = self._message_row(number)
        del row["bytes"]
        return {**row, "record": entry.record, "runs": runs}

    @override
    async def rejects(self, *, cursor: str = "", limit: int = 50, source: int | None = None) -> Page:
        below = _number_cursor(cursor)
        rows = [
            self._reject_row(number) for number, entry in sorted(self._rejects.items(), reverse=True)
            if number < below and source in (None, entry.source)
        ]  # fmt: skip
        return _page(rows, limit, lambda row: str(row["number"]))

    def _reject_row(self, number: int) -> dict[str, Any]:
        entry = self._rejects[number]
        return {
            "number": number, "source": entry.source, "received_at": entry.received_at,
            "reason": entry.reason, "detail": entry.detail, "bytes": len(entry.data), "meta": entry.meta,
        }  # fmt: skip

    @override
    async def reject(self, number: int) -> dict[str, Any]:
        if number not in self._rejects:
            raise NotFound(f"there is no reject {reject_id(number)}")
        return {**self._reject_row(number), "data": self._rejects[number].data}

    @override
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
        below = _run_cursor(cursor)
        rows = [
            self._run_row(run) for key, run in sorted(self._runs.items(), reverse=True)
            if key < below and (not states or run.state in states)
            and rule in (None, key.rule) and lane in (None, run.lane) and message in (None, key.message)
        ]  # fmt: skip
        return _page(rows, limit, lambda row: f"{row['message']}-{row['rule']}-{row['run']}")

    def _run_row(self, run: Run) -> dict[str, Any]:
        entry = self._messages[run.key.message]
        return {
            **run.key._asdict(), "state": run.state, "lane": run.lane, "due_at": run.due_at,
            "attempts": run.number, "step": run.step, "started_at": run.started_at,
            "changed_at": run.changed_at, "generation": run.generation, "mode": run.mode, "key": run.run_key,
            "reason": run.reason, "made_by": run.made_by, "interrupted": run.interrupted,
            "paused_ms": run.paused_ms, "source": entry.source, "type": entry.type,
            "received_at": entry.received_at, "ruleset": entry.ruleset,
        }  # fmt: skip

    @override
    async def delivery(self, key: RunKey) -> dict[str, Any]:
        run = self._runs.get(key)
        if run is None:
            raise NotFound(f"there is no delivery {delivery_id(key)}")
        attempts = [msgspec.structs.asdict(attempt) for _number, attempt in sorted(run.attempts.items())]
        if run.state is State.RUNNING:
            begun = {"number": run.number, "step": run.step, "started_at": run.started_at, "ended_at": None}
            attempts.append({**begun, "outcome": "", "status": 0, "detail": "", "digest": b"", "answer": b""})
        return {
            **self._run_row(run), "attempts": attempts, "number": run.number, "answers": run.answers,
        }  # fmt: skip

    @override
    async def counts(self) -> dict[str, int]:
        found = {state.name.lower(): 0 for state in UNFINISHED}
        for run in self._runs.values():
            if not run.state.ended:
                name = run.state.name.lower()
                found[name] += 1
                found[f"{run.lane}/{name}"] = found.get(f"{run.lane}/{name}", 0) + 1
        return found

    @override
    def health(self) -> Health:
        return Health(
            writable=self._open and not self.refusing,
            reason=self.refusing,
            groups=self._groups,
            unfinished=sum(not run.state.ended for run in self._runs.values()),
        )


def _bad(entry: Entry) -> str:
    """Say what a database would not take of an entry; "" when it would take it all."""
    try:
        entry.type.encode()
    except UnicodeEncodeError as error:
        return str(error)
    rules = [run.rule for run in entry.runs]
    return "two runs of one rule" if len(set(rules)) < len(rules) else ""


def _page(rows: list[dict[str, Any]], limit: int, cursor: Callable[[dict[str, Any]], str]) -> Page:
    limit = max(1, min(limit, 1000))
    return Page(rows=tuple(rows[:limit]), next=cursor(rows[limit - 1]) if len(rows) > limit else "")


def _number_cursor(cursor: str) -> int:
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise _bad_cursor()
    return int(cursor or 1 << 62)


def _run_cursor(cursor: str) -> tuple[int, ...]:
    parts = cursor.split("-") if cursor else [str(1 << 62)]
    if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) not in (1, 3):
        raise _bad_cursor()
    return tuple(int(part) for part in parts)


def _bad_cursor() -> Invalid:
    return Invalid([Problem(message="this is no cursor of a page", code="bad-cursor")])
