"""The statements behind an operator: release, hold, discard, expire, and the next run by hand."""

from collections.abc import Sequence
from typing import Final

from service.delivery import Event, State, after
from service.errors import Conflict, NotFound
from service.store.base import Millis, RunKey
from service.store.ids import delivery_id
from service.store.sqlite.ledger import MODE_NAMES, QUEUED, STATES, Unit, busy, promote, unfinished

RELEASABLE: Final = frozenset({Event.RELEASE, Event.DISCARD, Event.EXPIRE, Event.HOLD})

_READ: Final = "SELECT state, mode, key FROM runs WHERE message = ? AND rule = ? AND run = ?"
_DUE: Final = "UPDATE runs SET due_at = ? WHERE message = ? AND rule = ? AND run = ?"
_RELEASED: Final = """
    UPDATE runs SET state = 1, due_at = ?, changed_at = ?, reason = ?,
      paused_ms = paused_ms + iif(held_at IS NULL, 0, max(0, ? - held_at)), held_at = NULL
    WHERE message = ? AND rule = ? AND run = ?
"""
_HELD: Final = """
    UPDATE runs SET state = 4, due_at = NULL, changed_at = ?, held_at = ?, reason = ?
    WHERE message = ? AND rule = ? AND run = ?
"""
_ENDED: Final = """
    UPDATE runs SET state = ?, due_at = NULL, held_at = NULL, changed_at = ?, reason = ?
    WHERE message = ? AND rule = ? AND run = ?
"""
_ANSWERS: Final = """
    INSERT INTO answers SELECT message, rule, ?, data FROM answers
    WHERE message = ? AND rule = ? AND run = ?
"""

_LAST: Final = (
    "SELECT run, state, lane, step, generation, mode, key, digest FROM runs"
    " WHERE message = ? AND rule = ? ORDER BY run DESC LIMIT 1"
)
_NEXT: Final = (
    "INSERT INTO runs (message, rule, run, state, lane, due_at, changed_at, step, generation, mode, key,"
    " digest, made_by) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def release(unit: Unit, event: Event, keys: Sequence[RunKey], reason: str, now: Millis) -> list[State | str]:
    """Apply the event to each run; for each the new state, or why it was refused."""
    return [_release(unit, event, key, reason, now) for key in keys]


def _release(unit: Unit, event: Event, key: RunKey, reason: str, now: Millis) -> State | str:
    row = unit.connection.execute(_READ, key).fetchone()
    if row is None:
        return f"there is no delivery {delivery_id(key)}"
    state, queued, run_key = STATES[row[0]], row[1] == QUEUED and row[2] is not None, row[2]
    if state is State.RUNNING:
        return "it is being called right now; try again when the attempt has ended"
    try:
        new = after(state, event)
    except Conflict as error:
        return str(error)
    if event is Event.RELEASE:
        unit.connection.execute(_RELEASED, (None if queued else now, now, reason, now, *key))
    elif event is Event.HOLD:
        unit.connection.execute(_HELD, (now, now, reason, *key))
    else:
        unit.connection.execute(_ENDED, (new.value, now, reason, *key))
        unit.unfinished -= 1
    if queued and event is Event.RELEASE and state is State.WAITING:
        # It was its key's first already: nobody else may be let past it.
        unit.connection.execute(_DUE, (now, *key))
    elif run_key is not None:
        promote(unit, key.rule, run_key)
    return new


def next_run(unit: Unit, key: RunKey, generation: int | None, now: Millis, by: str) -> RunKey:
    """Make the next run of an ended delivery. Every refusal comes before the first change."""
    row = unit.connection.execute(_LAST, (key.message, key.rule)).fetchone()
    if row is None or row[0] < key.run:
        raise NotFound(f"there is no delivery {delivery_id(key)}")
    last, state, lane, step, had, mode, run_key, digest = row
    name = delivery_id(RunKey(key.message, key.rule, last))
    if not STATES[state].ended:
        raise Conflict(f"{name} has not ended: it is {STATES[state].name.lower()}")
    again = generation is not None and generation != had
    if state == State.DELIVERED and not again:
        raise Conflict(f"{name} was delivered; to perform it once more, ask for it again under new keys")
    due_at: int | None = now
    if run_key is not None and mode != 0 and unfinished(unit, key.rule, run_key):
        if mode != QUEUED:
            raise Conflict(f"another run of {name}'s key has not ended (mode {MODE_NAMES[mode]})")
        due_at = None
    if mode == QUEUED:
        unit.ledger.queued.add(key.rule)
    made = RunKey(key.message, key.rule, last + 1)
    # Under new keys nothing of what was done counts: it starts at the first step.
    step, digest = (0, None) if again else (step, digest)
    unit.connection.execute(
        _NEXT,
        (*made, lane, due_at, now, step, generation if again else had, mode, run_key, digest, by),
    )
    if not again:
        unit.connection.execute(
            _ANSWERS,
            (made.run, key.message, key.rule, last),
        )
    unit.unfinished += 1
    if due_at is None and run_key is not None and not busy(unit, key.rule, run_key):
        promote(unit, key.rule, run_key)
    return made
