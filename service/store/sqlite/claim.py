"""The statements that take due runs."""

from collections.abc import Mapping
from typing import Final

from service.store.base import Claimed, Millis, RunKey
from service.store.sqlite.ledger import MODE_NAMES, Unit

# Two ranges of one index, each already in order; merged here, because `state IN (1, 3)` would sort them all.
_DUE: Final = """
    SELECT due_at, message, rule, run FROM runs INDEXED BY runs_unfinished
    WHERE unlikely(state = ?) AND state < 10 AND lane = ? AND due_at <= ?
    ORDER BY due_at LIMIT ?
"""
_TAKE: Final = (
    "UPDATE runs SET state = 2, due_at = NULL, epoch = ?, number = number + 1, started_at = ?,"
    " first_at = coalesce(first_at, ?), changed_at = ? WHERE message = ? AND rule = ? AND run = ?"
)
_READ: Final = (
    "SELECT r.number, r.step, r.lane, m.source, m.ruleset, r.generation, r.first_at, m.received_at, m.record,"
    " a.data, r.digest, r.interrupted, r.retried, r.paused_ms, r.mode, r.key"
    " FROM runs r JOIN messages m ON m.number = r.message"
    " LEFT JOIN answers a ON a.message = r.message AND a.rule = r.rule AND a.run = r.run"
    " WHERE r.message = ? AND r.rule = ? AND r.run = ?"
)


def claim(unit: Unit, lanes: Mapping[int, int], now: Millis) -> list[Claimed]:
    """Take up to so many due runs of each lane, the longest due first."""
    claimed = []
    for lane, count in lanes.items():
        for key in _due(unit, lane, now, count):
            unit.connection.execute(_TAKE, (unit.ledger.epoch, now, now, now, *key))
            claimed.append(_read(unit, key, now))
    return claimed


def _due(unit: Unit, lane: int, now: Millis, count: int) -> list[RunKey]:
    rows: list[tuple[int, int, int, int]] = []
    for state in (1, 3):
        rows += unit.connection.execute(_DUE, (state, lane, now, count)).fetchall()
    rows.sort()
    return [RunKey(*row[1:]) for row in rows[:count]]


def _read(unit: Unit, key: RunKey, now: Millis) -> Claimed:
    row = unit.connection.execute(_READ, key).fetchone()
    return Claimed(
        key=key,
        number=row[0],
        step=row[1],
        lane=row[2],
        source=row[3],
        ruleset=row[4],
        generation=row[5],
        started_at=now,
        first_at=row[6],
        received_at=row[7],
        record=row[8],
        answers=row[9] or b"",
        digest=row[10] or b"",
        interrupted=bool(row[11]),
        retried=row[12],
        paused_ms=row[13],
        mode=MODE_NAMES[row[14]],
        run_key=row[15],
    )
