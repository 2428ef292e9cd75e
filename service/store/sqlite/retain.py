"""Deletes what is finished and old, in bites so small that the event loop does not notice."""

from dataclasses import dataclass
from typing import Final

from service.store.base import Millis
from service.store.sqlite.ledger import Unit

SLICE: Final = 40
"""Messages looked at in one transaction: about a millisecond of statements."""

_OLD: Final = (
    "SELECT number, received_at, EXISTS (SELECT 1 FROM runs WHERE runs.message = messages.number"
    " AND (state < 10 OR changed_at >= ?)) FROM messages WHERE number > ? ORDER BY number LIMIT ?"
)
_MARK: Final = (
    "INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)"
)


@dataclass(frozen=True, slots=True)
class Bite:
    """What one transaction of retention did: rows deleted, where to go on; `cursor` 0 says all was seen."""

    deleted: int
    cursor: int


def messages(unit: Unit, cursor: int, before: Millis, count: int) -> Bite:
    """Delete messages after `cursor` that came before the moment and whose runs all ended before it."""
    rows = unit.connection.execute(_OLD, (before, cursor, count)).fetchall()
    old = [row for row in rows if row[1] < before]
    gone = [(number,) for number, _at, kept in old if not kept]
    if gone:
        for sql in (
            "DELETE FROM attempts WHERE message = ?",
            "DELETE FROM answers WHERE message = ?",
            "DELETE FROM runs WHERE message = ?",
            "DELETE FROM messages WHERE number = ?",
        ):
            unit.connection.executemany(sql, gone)
        unit.connection.execute(_MARK, ("messages", gone[-1][0]))
    return Bite(len(gone), old[-1][0] if len(old) == count else 0)


def identities(unit: Unit, before: Millis, count: int) -> int:
    """Delete identities seen before the moment: the oldest come first, so nothing is searched."""
    rows = unit.connection.execute(
        "SELECT message FROM (SELECT message, seen_at FROM identities ORDER BY message LIMIT ?)"
        " WHERE seen_at < ?",
        (count, before),
    ).fetchall()
    if rows:
        unit.connection.executemany("DELETE FROM identities WHERE message = ?", rows)
    return len(rows)


def rejects(unit: Unit, before: Millis, count: int) -> int:
    """Delete rejects that came before the moment."""
    rows = unit.connection.execute(
        "SELECT number FROM (SELECT number, received_at FROM rejects ORDER BY number LIMIT ?)"
        " WHERE received_at < ?",
        (count, before),
    ).fetchall()
    if rows:
        unit.connection.executemany("DELETE FROM rejects WHERE number = ?", rows)
        unit.connection.execute(_MARK, ("rejects", rows[-1][0]))
    return len(rows)
