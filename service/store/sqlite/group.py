"""One transaction of the writer: what is in it, its statements, and whom to tell.

Runs on the event loop's thread, between two commits. It neither begins a group nor commits it: `writer` does.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from service.errors import Invalid, Problem, ServiceError
from service.store.base import Settlement
from service.store.sqlite.accept import Item, Verdict, accept
from service.store.sqlite.connect import BAD_ROW
from service.store.sqlite.ledger import Ledger, Unit
from service.store.sqlite.settle import settle

log = structlog.get_logger(__name__)

Done = Callable[[Any], None]
Settled = Callable[[bool], None]
Operation = Callable[[Unit], Any]

_BEFORE: Final = {
    "store.accept": "store.accept.before",
    "store.settle": "store.settle.before",
    "store.claim": "store.claim.before",
}
_BEFORE_COMMIT: Final = {
    "store.accept": "store.accept.before_commit",
    "store.settle": "store.settle.before_commit",
    "release": "release.before_commit",
}
_AFTER_COMMIT: Final = {
    "store.accept": "store.accept.after_commit",
    "store.settle": "store.settle.after_commit",
    "store.claim": "store.claim.after_commit",
    "release": "release.after_commit",
}


class Asked:
    """An operation that waits for its group: what to do, for whom, under which crash points."""

    __slots__ = ("abandoned", "future", "operation", "points", "result")

    def __init__(
        self,
        operation: Operation,
        future: "asyncio.Future[Any]",
        points: str,
        abandoned: Callable[[Any], None] | None,
    ) -> None:
        self.operation = operation
        self.future = future
        self.points = points
        self.abandoned = abandoned
        self.result: Any = None

    def answer(self, result: Any) -> None:
        """Hand the result to who asked; when nobody waits for it any more, to `abandoned`."""
        if self.future.done():
            if self.abandoned is not None and not isinstance(result, Exception):
                self.abandoned(result)
        elif isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class Group:
    """What is in one transaction, and what became of it."""

    __slots__ = ("applied", "asked", "entries", "points", "settlements", "since", "unit", "verdicts")

    def __init__(
        self,
        entries: list[tuple[Item, Done]],
        settlements: list[tuple[Settlement, Settled]],
        asked: list[Asked],
        since: int,
    ) -> None:
        self.entries = entries
        self.settlements = settlements
        self.asked = asked
        self.since = since
        self.verdicts: Sequence[Verdict] = ()
        self.applied: Sequence[bool] = ()
        self.unit: Unit | None = None
        points = {one.points for one in asked if one.points}
        if entries:
            points.add("store.accept")
        if settlements:
            points.add("store.settle")
        self.points = sorted(points)

    def execute(
        self, connection: sqlite3.Connection, ledger: Ledger, now: int, reached: Callable[[str], None]
    ) -> None:
        """Run the statements; a row that cannot be stored makes them run again, carefully."""
        for name in self.points:
            if name in _BEFORE:
                reached(_BEFORE[name])
        try:
            self._statements(Unit(connection, ledger, now, careful=False), reached)
        except BAD_ROW:
            rollback(connection)
            self._statements(Unit(connection, ledger, now, careful=True), reached)
        for name in self.points:
            if name in _BEFORE_COMMIT:
                reached(_BEFORE_COMMIT[name])

    def _statements(self, unit: Unit, reached: Callable[[str], None]) -> None:
        self.unit = unit
        unit.connection.execute("BEGIN IMMEDIATE")
        also: list[Item] = []
        if self.settlements:
            self.applied = settle(unit, [settlement for settlement, _done in self.settlements])
            for (settlement, _done), applied in zip(self.settlements, self.applied, strict=True):
                if applied and settlement.also:
                    also.extend(settlement.also)
            reached("store.settle.inside")
        if self.entries or also:
            verdicts = accept(unit, [*also, *(entry for entry, _done in self.entries)])
            self.verdicts = verdicts[len(also) :]
            for verdict in verdicts[: len(also)]:
                if isinstance(verdict, Exception):
                    log.error("a message about our own trouble cannot be stored", error=str(verdict))
            if self.entries:
                reached("store.accept.inside")
        for one in self.asked:
            _perform(unit, one, reached)

    def committed(self, ledger: Ledger, reached: Callable[[str], None]) -> None:
        """Take what the transaction changed into the ledger."""
        if self.unit is not None:
            ledger.unfinished += self.unit.unfinished
        for name in self.points:
            reached(_AFTER_COMMIT[name])

    def calls(self) -> Iterator[tuple[Callable[[Any], None], Any]]:
        """Return whom to call with what, in the order in which it came."""
        for (_settlement, settled), applied in zip(self.settlements, self.applied, strict=True):
            yield settled, applied
        for (_entry, done), verdict in zip(self.entries, self.verdicts, strict=True):
            yield done, verdict
        for one in self.asked:
            yield one.answer, one.result


def _perform(unit: Unit, one: Asked, reached: Callable[[str], None]) -> None:
    """Perform an operation that somebody still waits for; its refusal, or its bad row, is its result."""
    if one.future.cancelled():
        one.abandoned = None
        return
    if unit.careful:
        unit.connection.execute("SAVEPOINT operation")
    before = unit.unfinished
    try:
        one.result = one.operation(unit)
    except ServiceError as error:
        one.result = error
    except BAD_ROW as error:
        if not unit.careful:
            raise
        unit.unfinished = before
        unit.connection.execute("ROLLBACK TO operation")
        one.result = Invalid([Problem(message=f"this cannot be stored: {error}", code="bad-value")])
    if unit.careful:
        unit.connection.execute("RELEASE operation")
    if one.points == "store.claim":
        reached("store.claim.inside")


def rollback(connection: sqlite3.Connection) -> None:
    """Undo what is not committed; SQLite may have done so itself."""
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
