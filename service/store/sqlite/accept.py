"""The statements that store a group of entries: messages, identities, first runs, rejects."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from service.delivery import State
from service.errors import Invalid, Problem
from service.store.base import Entry, EntryBatch, NewRun, RejectEntry, Stored
from service.store.ids import message_id
from service.store.sqlite.connect import BAD_ROW
from service.store.sqlite.ledger import (
    DEAD,
    MODES,
    PENDING,
    RUNNING,
    SUPERSEDED,
    Unit,
    unfinished,
)

Item = Entry | RejectEntry | EntryBatch
Verdict = Stored | tuple[Stored, ...] | Exception

_MESSAGE: Final = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)"
_IDENTITY: Final = "INSERT INTO identities VALUES (?, ?, ?, ?)"
_POSITION: Final = "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)"
_FORGET: Final = "DELETE FROM positions WHERE source = ? AND key = ?"
_REJECT: Final = "INSERT INTO rejects VALUES (?, ?, ?, ?, ?, ?, ?)"
_RUN: Final = (
    "INSERT INTO runs (message, rule, run, state, lane, due_at, epoch, number, started_at, first_at,"
    " changed_at, mode, key, reason) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

# A statement per size, so that each is compiled once: the places left over are NULL, which equals nothing.
_KNOWN: Final = {
    1: "SELECT hash, message, body FROM identities WHERE hash = ?",
    8: "SELECT hash, message, body FROM identities WHERE hash IN (?,?,?,?,?,?,?,?)",
    64: "SELECT hash, message, body FROM identities WHERE hash IN"
    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
    ",?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
}
_SIZES: Final = tuple(_KNOWN)

_STATES: Final = {state: state.value for state in State}


def weight(item: Item) -> int:
    """Return how many entries an item counts for."""
    return len(item.entries) if isinstance(item, EntryBatch) else 1


def accept(unit: Unit, items: Sequence[Item]) -> list[Verdict]:
    """Store the items in order and say what became of each. In a careful unit a bad one fails alone."""
    if unit.careful:
        return [_careful(unit, item) for item in items]
    entries: list[Entry | RejectEntry] = []
    for item in items:
        if isinstance(item, EntryBatch):
            entries.extend(item.entries)
        else:
            entries.append(item)
    stored = _accept(unit, entries)
    if len(stored) == len(items) and not any(isinstance(item, EntryBatch) for item in items):
        return list(stored)
    verdicts: list[Verdict] = []
    place = 0
    for item in items:
        if isinstance(item, EntryBatch):
            put_positions(unit, item.source, item.positions)
            verdicts.append(tuple(stored[place : place + len(item.entries)]))
        else:
            verdicts.append(stored[place])
        place += weight(item)
    return verdicts


def put_positions(unit: Unit, source: int, positions: Mapping[str, bytes | None]) -> None:
    """Keep how far a source has come."""
    for key, value in positions.items():
        if value is None:
            unit.connection.execute(_FORGET, (source, key))
        else:
            unit.connection.execute(_POSITION, (source, key, value))


def _careful(unit: Unit, item: Item) -> Verdict:
    """Store one item inside a savepoint; what cannot be stored undoes it alone."""
    unit.connection.execute("SAVEPOINT item")
    before = unit.unfinished
    try:
        if not isinstance(item, EntryBatch):
            return _accept(unit, (item,))[0]
        stored = tuple([_entry_or_reject(unit, entry) for entry in item.entries])
        put_positions(unit, item.source, item.positions)
    except BAD_ROW as error:
        unit.unfinished = before
        unit.connection.execute("ROLLBACK TO item")
        return Invalid([Problem(message=f"the message cannot be stored: {error}", code="bad-entry")])
    else:
        return stored
    finally:
        unit.connection.execute("RELEASE item")


def _entry_or_reject(unit: Unit, entry: Entry | RejectEntry) -> Stored:
    """Store an entry of a batch; one that cannot be stored becomes a reject, so that the source goes on."""
    unit.connection.execute("SAVEPOINT entry")
    before = unit.unfinished
    try:
        return _accept(unit, (entry,))[0]
    except BAD_ROW as error:
        if isinstance(entry, RejectEntry):
            raise
        unit.unfinished = before
        unit.connection.execute("ROLLBACK TO entry")
        reject = RejectEntry(
            source=entry.source,
            received_at=entry.received_at,
            reason="bad-entry",
            detail=f"the message cannot be stored: {error}",
            data=entry.record,
        )
        return _accept(unit, (reject,))[0]
    finally:
        unit.connection.execute("RELEASE entry")


def _accept(unit: Unit, entries: Sequence[Entry | RejectEntry]) -> list[Stored]:
    ledger = unit.ledger
    known = _known(unit.connection, entries)
    messages: list[tuple[object, ...]] = []
    identities: list[tuple[object, ...]] = []
    rejects: list[tuple[object, ...]] = []
    runs = _Runs(unit)
    verdicts = []
    for entry in entries:
        if isinstance(entry, RejectEntry):
            ledger.reject += 1
            rejects.append((ledger.reject, *msgspec.structs.astuple(entry)))
            unit.bytes += len(entry.data)
            verdicts.append(Stored(verdict="rejected", number=ledger.reject))
            continue
        identity = entry.identity
        if identity is not None:
            first = known.get(identity)
            if first is not None:
                if first[1] == entry.body:
                    verdicts.append(Stored(verdict="known", number=first[0]))
                else:
                    ledger.reject += 1
                    rejects.append(_conflict(ledger.reject, entry, first[0]))
                    unit.bytes += len(entry.record)
                    verdicts.append(Stored(verdict="conflict", number=ledger.reject))
                continue
            known[identity] = (ledger.message + 1, entry.body)
            identities.append((ledger.message + 1, identity, entry.body, entry.received_at))
        ledger.message = number = ledger.message + 1
        messages.append((number, entry.source, entry.received_at, entry.type, entry.ruleset, entry.record))
        unit.bytes += len(entry.record)
        states = tuple([runs.born(number, run, entry.received_at) for run in entry.runs])
        verdicts.append(Stored(verdict="new", number=number, states=states))
    many = unit.connection.executemany
    if messages:
        many(_MESSAGE, messages)
    if identities:
        many(_IDENTITY, identities)
    if rejects:
        many(_REJECT, rejects)
    runs.write()
    return verdicts


def _known(
    connection: sqlite3.Connection, entries: Sequence[Entry | RejectEntry]
) -> dict[bytes, tuple[int, bytes]]:
    """Look up all identities of a group at once: hash → (first message, hash of its body)."""
    hashes: list[bytes | None] = [
        entry.identity for entry in entries if isinstance(entry, Entry) and entry.identity is not None
    ]
    found: dict[bytes, tuple[int, bytes]] = {}
    start = 0
    while start < len(hashes):
        some = hashes[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if size >= len(some))
        some += [None] * (size - len(some))
        for identity, message, body in connection.execute(_KNOWN[size], some):
            found[identity] = (message, body)
        start += size
    return found


def _conflict(number: int, entry: Entry, first: int) -> tuple[object, ...]:
    """Return the reject's row for a message whose id is known with another body; nothing of it is lost."""
    known = message_id(first)
    return (
        number,
        entry.source,
        entry.received_at,
        "id-conflict",
        f"the same id came before with another body, as {known}",
        entry.record,
        msgspec.json.encode({"conflicts_with": known, "type": entry.type}),
    )


class _Runs:
    """The first runs of a group: those without a key are written together, the others one by one."""

    __slots__ = ("_rows", "_unit")

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._rows: list[tuple[object, ...]] = []

    def born(self, message: int, run: NewRun, at: int) -> State:
        """Decide the state of a run and note its row."""
        state, due_at, reason = _STATES[run.state], None, run.reason
        if run.key is not None and run.mode != "parallel" and state != DEAD:
            return self._keyed(message, run, at)
        if state == PENDING:
            due_at = at
        self._note(message, run, state, due_at, at, reason)
        return run.state

    def _keyed(self, message: int, run: NewRun, at: int) -> State:
        """Decide by the key's unfinished runs, those of this group included."""
        unit, key = self._unit, run.key or b""
        self.write()
        state, due_at, reason = run.state, at if run.state is State.PENDING else None, run.reason
        if run.mode == "queued":
            unit.ledger.queued.add(run.rule)
            if unfinished(unit, run.rule, key):
                state, due_at = State.PENDING, None
        elif run.mode == "single":
            if unfinished(unit, run.rule, key):
                state, due_at, reason = State.SUPERSEDED, None, "an unfinished run of its key was there first"
        else:
            changed = unit.connection.execute(
                "UPDATE runs SET state = ?, due_at = NULL, changed_at = ?, reason = ?"
                " WHERE rule = ? AND key = ? AND key IS NOT NULL AND state < 10",
                (SUPERSEDED, unit.now, f"{message_id(message)} took its place", run.rule, key),
            )
            unit.unfinished -= changed.rowcount
        self._note(message, run, state.value, due_at, at, reason)
        return state

    def _note(self, message: int, run: NewRun, state: int, due_at: int | None, at: int, reason: str) -> None:
        if state < 10:
            self._unit.unfinished += 1
        running = state == RUNNING
        self._rows.append(
            (
                message,
                run.rule,
                state,
                run.lane,
                due_at,
                self._unit.ledger.epoch if running else 0,
                1 if running else 0,
                at if running else None,
                at if running else None,
                at,
                MODES[run.mode],
                run.key,
                reason,
            )
        )

    def write(self) -> None:
        """Write what was noted."""
        if self._rows:
            self._unit.connection.executemany(_RUN, self._rows)
            self._rows = []
