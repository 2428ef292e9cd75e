"""Opens the files of the embedded store: the lock, the directory, the connections; sorts SQLite's errors."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from typing_extensions import override

from service.errors import Invalid, Problem, Unavailable
from service.store.migrate import Applied, Migrated, Migration

DATABASE: Final = "pointsman.db"
LOCK: Final = "pointsman.lock"
APPLICATION: Final = 0x506E746D  # 'Pntm', see the first migration
OLDEST: Final = (3, 37, 0)  # STRICT tables

BAD_ROW: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
    TypeError,
)
"""What a row that cannot be stored raises: it fails alone."""

# Growing the shared memory beside the log fails with a code of its own when the disk is full.
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


def is_full(error: sqlite3.Error) -> bool:
    """Return whether an error says that there is no space: the only one that passes by itself."""
    return getattr(error, "sqlite_errorcode", None) in _FULL


class Lock:
    """The exclusive lock on a data directory. It ends with the process, however that ends."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raise Unavailable, naming the holder, when another process has it."""
        path = directory / LOCK
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise Unavailable(
                f"the data in {directory} is in use by process {holder};"
                " stop it first, or use another directory"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes hold two different files."""
        os.close(self._descriptor)


def prepare(directory: Path) -> Path:
    """Make the directory and an empty database that only we may read; return the database's path.

    The log and its index get their modes from the database file, so the process's umask does not matter.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise Invalid(
            [
                Problem(
                    message=f"SQLite {sqlite3.sqlite_version} is too old, {needed} is needed",
                    code="sqlite-old",
                    fix="use a Python that was built with a newer SQLite",
                )
            ]
        )
    try:
        if not directory.is_dir():
            directory.mkdir(parents=True, mode=0o700)
            directory.chmod(0o700)
        path = directory / DATABASE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(
            f"the data directory {directory} cannot be used: {error.strerror}; check its path and its owner"
        ) from error
    return path


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, for everything that is not in a group of the writer."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:
            problem = Problem(
                message=f"{path} is not a SQLite database",
                code="store-foreign",
                fix="use an empty directory, or restore the file from a backup",
            )
            raise Invalid([problem]) from error
        advice = "; make room on its disk" if is_full(error) else ""
        raise Unavailable(f"the store {path} cannot be used: {error}{advice}") from error


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the only connection that writes. It goes from thread to thread, but never to two at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in (
        "busy_timeout = 5000",
        "synchronous = FULL",
        "cache_size = -16384",
        "temp_store = MEMORY",
        # Checkpoints are made between two groups, by `Writer`; this is the net below it.
        "wal_autocheckpoint = 50000",
        "journal_size_limit = 67108864",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        connection.close()
        raise Unavailable(f"the file system of {path} has no shared memory for SQLite; use a local disk")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA cache_size = -4096")
    connection.execute("PRAGMA query_only = ON")
    return connection


class Schema(Migrated):
    """The database as the runner of migrations sees it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, now: int) -> None:
        self._connection = connection
        self._path = path
        self._now = now

    @override
    def applied(self) -> Sequence[Applied]:
        execute = self._connection.execute
        application = execute("PRAGMA application_id").fetchone()[0]
        version = execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not tables and application in (0, APPLICATION) and not version:
            return ()
        if application != APPLICATION or "migrations" not in tables:
            raise Invalid([self._foreign("is a database of another program", "store-foreign")])
        rows = execute("SELECT number, name, digest FROM migrations ORDER BY number").fetchall()
        numbers = [number for number, _name, _digest in rows]
        if numbers != list(range(1, version + 1)):
            raise Invalid([self._foreign("is migrated only in part", "store-half-migrated")])
        return [Applied(number=number, name=name, digest=digest) for number, name, digest in rows]

    def _foreign(self, what: str, code: str) -> Problem:
        return Problem(
            message=f"{self._path} {what}", code=code, fix="use an empty directory, or restore a backup"
        )

    @override
    def apply(self, migration: Migration, reached: Callable[[str], None]) -> None:
        execute = self._connection.execute
        execute("BEGIN EXCLUSIVE")
        try:
            execute(
                "CREATE TABLE IF NOT EXISTS migrations"
                " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL)"
                " STRICT"
            )
            for statement in statements(migration.text):
                execute(statement)
            reached("migration.inside")
            execute(
                "INSERT INTO migrations VALUES (?, ?, ?, ?)",
                (migration.number, migration.name, migration.digest, self._now),
            )
            execute(f"PRAGMA user_version = {migration.number:d}")
            reached("migration.before_commit")
            execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise


def statements(text: str) -> Iterator[str]:
    """Split SQL text into its statements; `executescript` would commit before it begins."""
    gathered = ""
    for line in text.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered
