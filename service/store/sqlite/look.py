"""Looks at the embedded store's file from outside, beside a running instance too; it changes nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from service.errors import Invalid, Problem, Unavailable
from service.store.facts import StoreFacts
from service.store.migrate import differences
from service.store.migrate import read as read_migrations
from service.store.sqlite import connect

_READ_VERSION: Final = 19  # byte of the header: 2 means that the file is read with its write-ahead log
_ENGINE: Final = f"SQLite {sqlite3.sqlite_version}"
_MAGIC: Final = b"SQLite format 3\x00"


def look(directory: Path) -> StoreFacts:
    """Return how the data in a directory are. Raise Unavailable when they cannot be read."""
    path = directory / connect.DATABASE
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return StoreFacts(engine=_ENGINE, there=False)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    if not header:
        return StoreFacts(engine=_ENGINE, there=False)  # made, and never filled
    if not header.startswith(_MAGIC):
        problem = Problem(
            message=f"{path} is not a SQLite database",
            code="store-foreign",
            fix="use an empty directory, or restore the file from a backup",
        )
        return StoreFacts(engine=_ENGINE, there=True, problems=(problem,))
    wal = header[_READ_VERSION] == 2
    try:
        with connect.mapped(path), closing(_connect(path)) as connection:
            return _facts(connection, path, wal=wal)
    except Invalid as error:
        return StoreFacts(engine=_ENGINE, there=True, wal=wal, problems=error.problems)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file to read. Without a log beside it nothing is pending, and not even a lock is needed."""
    log = path.with_name(path.name + "-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _facts(connection: sqlite3.Connection, path: Path, *, wal: bool) -> StoreFacts:
    applied = connect.Schema(connection, path, 0).applied()
    ours = read_migrations("sqlite")
    kept = connection.execute("SELECT value FROM keeps WHERE name = 'clock'").fetchone() if applied else None
    return StoreFacts(
        engine=_ENGINE,
        there=True,
        wal=wal,
        migrations=len(applied),
        missing=max(0, len(ours) - len(applied)),
        clock_ms=int(kept[0]) if kept is not None else 0,
        problems=tuple(differences(applied, ours)),
    )
