"""What happens when a store is opened: a new epoch, and what dead epochs left running becomes due again."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from service.store.base import Millis
from service.store.sqlite.ledger import Ledger

INTERRUPTED: Final = "the process ended during the call"

_LEFT: Final = (
    "INSERT OR IGNORE INTO attempts SELECT message, rule, run, number, step, started_at, max(?, started_at),"
    " 'unknown', 0, ?, x'', x'' FROM runs WHERE unlikely(state = 2) AND state < 10"
)
_FREED: Final = (
    "UPDATE runs SET state = 1, due_at = ?, changed_at = ?, interrupted = 1, retried = retried + 1"
    " WHERE unlikely(state = 2) AND state < 10"
)


def recover(
    connection: sqlite3.Connection, ledger: Ledger, now: Millis, reached: Callable[[str], None]
) -> int:
    """Take an epoch and free the leftovers, in one transaction; return how many runs were interrupted.

    The lock says that no other process lives: whatever is RUNNING is a leftover. Killed half-way, nothing
    of it has happened, and the next start does it all.
    """
    reached("recovery.before")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE epochs SET ended_at = beat_at WHERE ended_at IS NULL")
        connection.execute(_LEFT, (now, INTERRUPTED))
        reached("recovery.inside")
        freed = connection.execute(_FREED, (now, now)).rowcount
        ledger.epoch = connection.execute(
            "INSERT INTO epochs (process, started_at, beat_at) VALUES (?, ?, ?) RETURNING number",
            (os.getpid(), now, now),
        ).fetchone()[0]
        connection.execute("DELETE FROM epochs WHERE number < ?", (ledger.epoch - 100,))
        reached("recovery.before_commit")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    reached("recovery.after_commit")
    ledger.load(connection)
    return int(freed)
