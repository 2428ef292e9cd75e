"""The statements that record ends of attempts and what follows them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from service.delivery import TRANSITIONS, Event, State
from service.store.base import Attempt, RunKey, Settlement
from service.store.sqlite.connect import BAD_ROW
from service.store.sqlite.ledger import DELIVERED, HELD, Unit, promote

# Every change checks that the run is RUNNING, ours, and on this very attempt.
_END: Final = """
    UPDATE runs SET state = ?, changed_at = ?, reason = ?, interrupted = 0, digest = coalesce(digest, ?)
    WHERE message = ? AND rule = ? AND run = ? AND state = 2 AND epoch = ? AND number = ?
"""
_HOLD: Final = """
    UPDATE runs SET state = 4, changed_at = ?, held_at = ?, reason = ?, interrupted = 0,
      number = number - ?, retried = retried + ?, digest = coalesce(digest, ?)
    WHERE message = ? AND rule = ? AND run = ? AND state = 2 AND epoch = ? AND number = ?
"""
_RETRY: Final = """
    UPDATE runs SET state = 3, due_at = ?, changed_at = ?, reason = ?, interrupted = 0,
      lane = coalesce(?, lane), retried = iif(step = ?, retried + 1, 0),
      first_at = iif(step = ?, first_at, NULL), digest = iif(step = ?, coalesce(digest, ?), NULL), step = ?
    WHERE message = ? AND rule = ? AND run = ? AND state = 2 AND epoch = ? AND number = ?
"""
_ADVANCE: Final = """
    UPDATE runs SET number = number + 1, step = ?, lane = coalesce(?, lane), started_at = ?, first_at = ?,
      changed_at = ?, retried = 0, interrupted = 0, digest = NULL
    WHERE message = ? AND rule = ? AND run = ? AND state = 2 AND epoch = ? AND number = ?
"""
_GIVE_BACK: Final = """
    UPDATE runs SET state = 1, due_at = coalesce(?, started_at), changed_at = ?, number = number - 1,
      first_at = iif(retried = 0, NULL, first_at)
    WHERE message = ? AND rule = ? AND run = ? AND state = 2 AND epoch = ? AND number = ?
"""
_ATTEMPT: Final = "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LATE: Final = (
    "INSERT OR IGNORE INTO attempts SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
    " WHERE EXISTS (SELECT 1 FROM runs WHERE message = ?1 AND rule = ?2 AND run = ?3)"
)

SETTLED: Final = {
    event: TRANSITIONS[State.RUNNING, event].value
    for event in (
        Event.ADVANCE, Event.SUCCEED, Event.RETRY, Event.FAIL, Event.HOLD, Event.EXPIRE, Event.GIVE_BACK
    )
}  # fmt: skip
"""What a settlement may say, and the state that follows: the table of `delivery`."""


def settle(unit: Unit, settlements: Sequence[Settlement]) -> list[bool]:
    """Record the settlements in order; return for each whether it was applied.

    In a careful unit, text that cannot be stored is stored with replacement signs: a settlement is never
    lost for a backend's strange bytes.
    """
    if not unit.careful:
        return _settle(unit, settlements)
    applied = []
    for settlement in settlements:
        unit.connection.execute("SAVEPOINT settlement")
        before = unit.unfinished
        try:
            applied.extend(_settle(unit, (_cleaned(settlement),)))
        except BAD_ROW:
            unit.unfinished = before
            unit.connection.execute("ROLLBACK TO settlement")
            applied.append(False)
        unit.connection.execute("RELEASE settlement")
    return applied


def _settle(unit: Unit, settlements: Sequence[Settlement]) -> list[bool]:
    rows = _Rows()
    verdicts = []
    for settlement in settlements:
        applied = _change(unit, settlement)
        verdicts.append(applied)
        key, attempt = settlement.key, settlement.attempt
        if attempt is not None:
            (rows.attempts if applied else rows.late).append(_row(key, attempt))
            unit.bytes += len(attempt.answer)
        if applied:
            state = SETTLED[settlement.event]
            if settlement.answers is not None:
                rows.answers.append((*key, settlement.answers if state != DELIVERED else None))
            if state >= DELIVERED:
                unit.unfinished -= 1
            if state >= HELD and key.rule in unit.ledger.queued:
                follow(unit, key)
    rows.write(unit)
    return verdicts


class _Rows:
    """What a group of settlements adds to the other tables."""

    __slots__ = ("answers", "attempts", "late")

    def __init__(self) -> None:
        self.attempts: list[tuple[object, ...]] = []
        self.late: list[tuple[object, ...]] = []
        self.answers: list[
            tuple[object, ...]
        ] = []  # the last column is None when they are not needed any more

    def write(self, unit: Unit) -> None:
        many = unit.connection.executemany
        if self.attempts:
            many(_ATTEMPT, self.attempts)
        if self.late:
            many(_LATE, self.late)
        if self.answers:
            many(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", [row for row in self.answers if row[3]]
            )
            forgotten = [row[:3] for row in self.answers if not row[3]]
            many("DELETE FROM answers WHERE message = ? AND rule = ? AND run = ?", forgotten)


def _change(unit: Unit, settlement: Settlement) -> bool:
    """Change one run's row; return whether it was ours to change."""
    event, now, attempt = settlement.event, unit.now, settlement.attempt
    digest = (attempt.digest or None) if attempt is not None else None
    ours = (*settlement.key, unit.ledger.epoch, settlement.number)
    values: tuple[object, ...]
    if event is Event.RETRY:
        due_at = now if settlement.due_at is None else settlement.due_at
        step = settlement.step
        sql, values = (
            _RETRY,
            (due_at, now, settlement.reason, settlement.lane, step, step, step, digest, step),
        )
    elif event is Event.ADVANCE:
        sql, values = _ADVANCE, (settlement.step, settlement.lane, now, now, now)
    elif event is Event.HOLD:
        # Without an attempt nothing was called: its number is given again.
        uncalled = attempt is None
        sql, values = _HOLD, (now, now, settlement.reason, int(uncalled), int(not uncalled), digest)
    elif event is Event.GIVE_BACK:
        sql, values = _GIVE_BACK, (settlement.due_at, now)
    else:
        kept = None if event is Event.SUCCEED else digest  # nobody compares with a delivered one
        sql, values = _END, (SETTLED[event], now, settlement.reason, kept)
    return unit.connection.execute(sql, (*values, *ours)).rowcount == 1


def follow(unit: Unit, key: RunKey) -> None:
    """After the end of a run, or when it is held: the next queued one of its key becomes due if it may.

    Behind a held one none may, but a run made by hand can stand before it. The ended one's own mode does not
    matter: a rule's mode may have changed while it was under way.
    """
    row = unit.connection.execute(
        "SELECT key FROM runs WHERE message = ? AND rule = ? AND run = ? AND key IS NOT NULL", key
    ).fetchone()
    if row is not None:
        promote(unit, key.rule, row[0])


def _row(key: RunKey, attempt: Attempt) -> tuple[object, ...]:
    return (
        *key,
        attempt.number,
        attempt.step,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.status,
        attempt.detail,
        attempt.digest,
        attempt.answer,
    )


def _cleaned(settlement: Settlement) -> Settlement:
    attempt = settlement.attempt
    if attempt is not None:
        attempt = msgspec.structs.replace(attempt, detail=_storable(attempt.detail))
    return msgspec.structs.replace(settlement, reason=_storable(settlement.reason), attempt=attempt)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
