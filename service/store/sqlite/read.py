"""What readers ask: pages for people, one thing with all that belongs to it, counts.

A page looks through windows of rows, each a short transaction of its own, because an open read keeps the
log from being brought home.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from service.delivery import State
from service.errors import Invalid, NotFound, Problem
from service.store.base import Page, RunKey
from service.store.ids import delivery_id, message_id, reject_id
from service.store.sqlite.ledger import MODE_NAMES, STATES

WINDOW: Final = 20_000
"""Rows that one statement looks through."""

WINDOWS: Final = 10
"""Windows for one page; what is rarer stands on the next one: a page may be short and still have a next."""

MOST: Final = 1_000
"""Rows of the longest page."""

_LAST: Final = (1 << 62, 0, 0)

Read = Callable[[Callable[[sqlite3.Connection], Any]], Any]
"""Performs one short reading transaction."""

_MESSAGES: Final = """
    SELECT number, source, type, received_at, ruleset, length(record) FROM messages
    WHERE number < :below AND number >= :floor
      AND (:source IS NULL OR source = :source) AND (:type IS NULL OR type = :type)
    ORDER BY number DESC LIMIT :limit
"""
_REJECTS: Final = """
    SELECT number, source, received_at, reason, detail, length(data), meta FROM rejects
    WHERE number < :below AND number >= :floor AND (:source IS NULL OR source = :source)
    ORDER BY number DESC LIMIT :limit
"""
_RUNS: Final = """
    SELECT * FROM run_rows
    WHERE (message, rule, run) < (:message, :rule, :run) AND message >= :floor
      AND (:states = 0 OR (:states >> state) & 1)
      AND (:of_rule IS NULL OR rule = :of_rule) AND (:lane IS NULL OR lane = :lane)
    ORDER BY message DESC, rule DESC, run DESC LIMIT :limit
"""
# The same over the small indexes, for what is rare among millions: no windows are needed there.
_RUNS_UNFINISHED: Final = """
    SELECT * FROM run_rows
    WHERE (message, rule, run) IN (
        SELECT message, rule, run FROM runs INDEXED BY runs_unfinished
        WHERE state < 10 AND (:states >> state) & 1 AND (message, rule, run) < (:message, :rule, :run)
          AND message >= :floor
          AND (:of_rule IS NULL OR rule = :of_rule) AND (:lane IS NULL OR lane = :lane)
        ORDER BY message DESC, rule DESC, run DESC LIMIT :limit)
    ORDER BY message DESC, rule DESC, run DESC
"""
_RUNS_DEAD: Final = """
    SELECT * FROM run_rows
    WHERE (message, rule, run) IN (
        SELECT message, rule, run FROM runs INDEXED BY runs_dead
        WHERE state = 11 AND :states AND (message, rule, run) < (:message, :rule, :run) AND message >= :floor
          AND (:of_rule IS NULL OR rule = :of_rule) AND (:lane IS NULL OR lane = :lane)
        ORDER BY message DESC, rule DESC, run DESC LIMIT :limit)
    ORDER BY message DESC, rule DESC, run DESC
"""
_NEXT_DUE: Final = """
    SELECT min(due_at) FROM (
      SELECT * FROM (
        SELECT due_at FROM runs INDEXED BY runs_unfinished
        WHERE unlikely(state = 1) AND state < 10 AND lane = ?1 AND due_at IS NOT NULL
        ORDER BY due_at LIMIT 1)
      UNION ALL SELECT * FROM (
        SELECT due_at FROM runs INDEXED BY runs_unfinished
        WHERE unlikely(state = 3) AND state < 10 AND lane = ?1 AND due_at IS NOT NULL
        ORDER BY due_at LIMIT 1))
"""
_RUN_FIELDS: Final = (
    "message", "rule", "run", "state", "lane", "due_at", "attempts", "step", "started_at", "changed_at",
    "generation", "mode", "key", "reason", "made_by", "interrupted", "paused_ms", "source", "type",
    "received_at", "ruleset",
)  # fmt: skip
_ATTEMPT_FIELDS: Final = (
    "number", "step", "started_at", "ended_at", "outcome", "status", "detail", "digest", "answer",
)  # fmt: skip


def messages(read: Read, *, cursor: str, limit: int, source: int | None, of_type: str | None) -> Page:
    """Return a page of messages."""
    below = _number_cursor(cursor)
    asked = {"source": source, "type": of_type}

    def ask(window: Mapping[str, int], connection: sqlite3.Connection) -> list[dict[str, Any]]:
        rows = connection.execute(_MESSAGES, {**window, **asked}).fetchall()
        return [_message_row(connection, row) for row in rows]

    return _page(read, "SELECT min(number), max(number) FROM messages", ask, below, limit)


def rejects(read: Read, *, cursor: str, limit: int, source: int | None) -> Page:
    """Return a page of rejects."""
    below = _number_cursor(cursor)

    def ask(window: Mapping[str, int], connection: sqlite3.Connection) -> list[dict[str, Any]]:
        rows = connection.execute(_REJECTS, {**window, "source": source})
        fields = ("number", "source", "received_at", "reason", "detail", "bytes", "meta")
        return [dict(zip(fields, row, strict=True)) for row in rows]

    return _page(read, "SELECT min(number), max(number) FROM rejects", ask, below, limit)


def deliveries(
    read: Read,
    *,
    cursor: str,
    limit: int,
    states: Sequence[State],
    rule: int | None,
    lane: int | None,
    message: int | None,
) -> Page:
    """Return a page of runs."""
    limit = max(1, min(limit, MOST))
    message_below, rule_below, run_below = _run_cursor(cursor)
    if message is not None and message_below > message:
        message_below, rule_below, run_below = message + 1, 0, 0
    mask = sum(1 << state for state in set(states))
    unfinished = bool(states) and all(not state.ended for state in states)
    dead = set(states) == {State.DEAD}
    sql = _RUNS_UNFINISHED if unfinished else _RUNS_DEAD if dead else _RUNS
    low, high = read(lambda connection: _bounds(connection, "SELECT min(message), max(message) FROM runs"))
    if message is not None:
        low = max(low, message)
    if message_below > high:
        message_below, rule_below, run_below = high + 1, 0, 0
    rows: list[dict[str, Any]] = []
    for _window in range(WINDOWS):
        floor = low if unfinished or dead else max(low, message_below - WINDOW)
        parameters = {
            "message": message_below, "rule": rule_below, "run": run_below, "floor": floor, "states": mask,
            "of_rule": rule, "lane": lane, "limit": limit + 1 - len(rows),
        }  # fmt: skip
        rows += read(partial(_run_rows, sql, parameters))
        if len(rows) > limit:
            last = rows[limit - 1]
            return Page(rows=tuple(rows[:limit]), next=f"{last['message']}-{last['rule']}-{last['run']}")
        if floor <= low:
            return Page(rows=tuple(rows))
        message_below, rule_below, run_below = floor, 0, 0
    return Page(rows=tuple(rows), next=f"{message_below}-0-0")


def message(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    """Return a message with its record and its runs."""
    row = connection.execute(
        "SELECT number, source, type, received_at, ruleset, record FROM messages WHERE number = ?", (number,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no message {message_id(number)}")
    fields = ("number", "source", "type", "received_at", "ruleset", "record")
    runs = connection.execute("SELECT * FROM run_rows WHERE message = ? ORDER BY rule, run", (number,))
    return {**dict(zip(fields, row, strict=True)), "runs": [_run_row(run) for run in runs]}


def reject(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    """Return a reject with its bytes."""
    row = connection.execute(
        "SELECT number, source, received_at, reason, detail, length(data), meta, data FROM rejects"
        " WHERE number = ?",
        (number,),
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no reject {reject_id(number)}")
    fields = ("number", "source", "received_at", "reason", "detail", "bytes", "meta", "data")
    return dict(zip(fields, row, strict=True))


def delivery(connection: sqlite3.Connection, key: RunKey) -> dict[str, Any]:
    """Return a run with its attempts; one that is under way has no end and no outcome yet."""
    row = connection.execute(
        "SELECT * FROM run_rows WHERE message = ? AND rule = ? AND run = ?", key
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id(key)}")
    run = _run_row(row)
    attempts = [
        dict(zip(_ATTEMPT_FIELDS, attempt, strict=True))
        for attempt in connection.execute(
            "SELECT number, step, started_at, ended_at, outcome, status, detail, digest, answer FROM attempts"
            " WHERE message = ? AND rule = ? AND run = ? ORDER BY number",
            key,
        )
    ]
    if run["state"] is State.RUNNING:
        attempts.append(
            {
                "number": run["attempts"], "step": run["step"], "started_at": run["started_at"],
                "ended_at": None, "outcome": "", "status": 0, "detail": "", "digest": b"", "answer": b"",
            }
        )  # fmt: skip
    answers = connection.execute(
        "SELECT data FROM answers WHERE message = ? AND rule = ? AND run = ?", key
    ).fetchone()
    return {**run, "attempts": attempts, "number": run["attempts"], "answers": answers[0] if answers else b""}


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many runs are in each unfinished state: all, and by lane."""
    found = {state.name.lower(): 0 for state in State if not state.ended}
    for state, lane, count in connection.execute(
        "SELECT state, lane, count(*) FROM runs WHERE state < 10 GROUP BY state, lane"
    ):
        name = STATES[state].name.lower()
        found[name] += count
        found[f"{lane}/{name}"] = count
    return found


def next_due(connection: sqlite3.Connection, lanes: Sequence[int]) -> int | None:
    """Return the earliest due time of these lanes: two steps in an index for each."""
    earliest = None
    for lane in lanes:
        row = connection.execute(_NEXT_DUE, (lane,)).fetchone()
        if row[0] is not None and (earliest is None or row[0] < earliest):
            earliest = row[0]
    return earliest


def _page(
    read: Read,
    bounds: str,
    ask: Callable[[Mapping[str, int], sqlite3.Connection], list[dict[str, Any]]],
    below: int,
    limit: int,
) -> Page:
    """Gather a page of numbered rows, window by window."""
    limit = max(1, min(limit, MOST))
    low, high = read(lambda connection: _bounds(connection, bounds))
    below = min(below, high + 1)
    rows: list[dict[str, Any]] = []
    for floor in _floors(below, low):
        window = {"below": below, "floor": floor, "limit": limit + 1 - len(rows)}
        rows += read(partial(ask, window))
        if len(rows) > limit:
            return Page(rows=tuple(rows[:limit]), next=str(rows[limit - 1]["number"]))
        below = floor
    return Page(rows=tuple(rows), next=str(below) if below > low else "")


def _floors(below: int, low: int) -> Iterator[int]:
    """Return where the windows end, newest first."""
    for _window in range(WINDOWS):
        if below <= low:
            return
        below = max(low, below - WINDOW)
        yield below


def _bounds(connection: sqlite3.Connection, sql: str) -> tuple[int, int]:
    low, high = connection.execute(sql).fetchone()
    return low or 0, high or 0


def _message_row(connection: sqlite3.Connection, row: tuple[Any, ...]) -> dict[str, Any]:
    fields = ("number", "source", "type", "received_at", "ruleset", "bytes")
    runs = connection.execute("SELECT state, count(*) FROM runs WHERE message = ? GROUP BY state", (row[0],))
    states = {STATES[state].name.lower(): count for state, count in runs}
    return {**dict(zip(fields, row, strict=True)), "runs": states}


def _run_rows(
    sql: str, parameters: Mapping[str, Any], connection: sqlite3.Connection
) -> list[dict[str, Any]]:
    return [_run_row(row) for row in connection.execute(sql, parameters)]


def _run_row(row: tuple[Any, ...]) -> dict[str, Any]:
    found = dict(zip(_RUN_FIELDS, row, strict=True))
    found["state"] = STATES[found["state"]]
    found["mode"] = MODE_NAMES[found["mode"]]
    found["interrupted"] = bool(found["interrupted"])
    return found


def _number_cursor(cursor: str) -> int:
    if not cursor:
        return _LAST[0]
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise _bad_cursor(cursor)
    return int(cursor)


def _run_cursor(cursor: str) -> tuple[int, int, int]:
    if not cursor:
        return _LAST
    parts = cursor.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in parts):
        raise _bad_cursor(cursor)
    return int(parts[0]), int(parts[1]), int(parts[2])


def _bad_cursor(cursor: str) -> Invalid:
    return Invalid(
        [
            Problem(
                message="this is no cursor of a page",
                code="bad-cursor",
                found=repr(cursor[:64]),
                fix="take `next` of the page before, or leave it out",
            )
        ]
    )


def positions(connection: sqlite3.Connection, source: int) -> dict[str, bytes]:
    """Return how far a source has come."""
    return dict(connection.execute("SELECT key, value FROM positions WHERE source = ?", (source,)))


def unfinished(connection: sqlite3.Connection, source: int) -> int:
    """Return how many runs of a source's messages have not ended."""
    row = connection.execute(
        "SELECT count(*) FROM runs INDEXED BY runs_unfinished JOIN messages m ON m.number = runs.message"
        " WHERE state < 10 AND m.source = ?",
        (source,),
    ).fetchone()
    return int(row[0])
