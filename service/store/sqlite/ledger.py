"""What the only writer knows by heart, and what one group does to it.

Numbers are given in memory: nobody else writes. A group that is rolled back leaves a gap at most.
"""

import sqlite3
from typing import Final

from service.delivery import State
from service.store.base import Mode

MODES: Final[dict[Mode, int]] = {"parallel": 0, "queued": 1, "single": 2, "restart": 3}
MODE_NAMES: Final[tuple[Mode, ...]] = ("parallel", "queued", "single", "restart")
QUEUED: Final = MODES["queued"]

PENDING: Final = State.PENDING.value
RUNNING: Final = State.RUNNING.value
WAITING: Final = State.WAITING.value
HELD: Final = State.HELD.value
DELIVERED: Final = State.DELIVERED.value
DEAD: Final = State.DEAD.value
SUPERSEDED: Final = State.SUPERSEDED.value

STATES: Final = {state.value: state for state in State}


class Ledger:
    """The writer's numbers. `queued` holds the rules that may have queued runs: a superset, never too few."""

    __slots__ = ("epoch", "message", "queued", "reject", "unfinished")

    def __init__(self) -> None:
        self.epoch = 0
        self.message = 0  # the last one given
        self.reject = 0
        self.unfinished = 0
        self.queued: set[int] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        """Read the numbers from the database."""

        def one(sql: str) -> int:
            return int(connection.execute(sql).fetchone()[0])

        self.message = max(
            one("SELECT coalesce(max(number), 0) FROM messages"),
            one("SELECT coalesce(max(value), 0) FROM marks WHERE name = 'messages'"),
        )
        self.reject = max(
            one("SELECT coalesce(max(number), 0) FROM rejects"),
            one("SELECT coalesce(max(value), 0) FROM marks WHERE name = 'rejects'"),
        )
        self.unfinished = one("SELECT count(*) FROM runs WHERE state < 10")
        self.queued = {
            rule
            for (rule,) in connection.execute(
                "SELECT DISTINCT rule FROM runs WHERE key IS NOT NULL AND state < 10 AND mode = 1"
            )
        }


class Unit:
    """One transaction in the making: its connection, its moment, and what it changes in the ledger."""

    __slots__ = ("bytes", "careful", "connection", "ledger", "now", "unfinished")

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger, now: int, *, careful: bool) -> None:
        self.connection = connection
        self.ledger = ledger
        self.now = now
        self.careful = careful
        self.unfinished = 0
        self.bytes = 0


# INDEXED BY makes a statement fail rather than look through the whole table. `unlikely` makes the planner
# seek to the state; without it, it takes the range `state < 10`, which only names the partial index.
_ACTIVE: Final = """
    SELECT 1 WHERE EXISTS (
        SELECT 1 FROM runs INDEXED BY runs_key
        WHERE rule = ?1 AND key = ?2 AND unlikely(state = 2) AND state < 10)
    OR EXISTS (
        SELECT 1 FROM runs INDEXED BY runs_key
        WHERE rule = ?1 AND key = ?2 AND unlikely(state = 3) AND state < 10)
    OR EXISTS (
        SELECT 1 FROM runs INDEXED BY runs_key
        WHERE rule = ?1 AND key = ?2 AND unlikely(state = 1) AND state < 10 AND due_at IS NOT NULL)
"""
_ANY: Final = """
    SELECT 1 FROM runs INDEXED BY runs_key WHERE rule = ? AND key = ? AND state < 10 LIMIT 1
"""
_FIRST: Final = """
    SELECT message, run, state FROM runs INDEXED BY runs_key
    WHERE rule = ? AND key = ? AND unlikely(state = ?) AND state < 10 AND due_at IS NULL
    ORDER BY message, run LIMIT 1
"""


def busy(unit: Unit, rule: int, key: bytes) -> bool:
    """Return whether a run of the key is due, running or waiting for its next attempt."""
    return unit.connection.execute(_ACTIVE, (rule, key)).fetchone() is not None


def unfinished(unit: Unit, rule: int, key: bytes) -> bool:
    """Return whether any run of the key has not ended."""
    return unit.connection.execute(_ANY, (rule, key)).fetchone() is not None


def promote(unit: Unit, rule: int, key: bytes) -> None:
    """Make the first run of a queued key due, unless one is at work or the first one is held."""
    if busy(unit, rule, key):
        return
    first = unit.connection.execute(_FIRST, (rule, key, PENDING)).fetchone()
    held = unit.connection.execute(_FIRST, (rule, key, HELD)).fetchone()
    if first is not None and (held is None or first[:2] < held[:2]):
        unit.connection.execute(
            "UPDATE runs SET due_at = ? WHERE message = ? AND rule = ? AND run = ?",
            (unit.now, first[0], rule, first[1]),
        )
