"""The embedded store: one SQLite file, one writer, everything that waits in one transaction.

Statements run on the event loop's thread, only the commit (the fsync) runs in a thread of its own: so no
statement waits for the interpreter lock, and the loop never waits for the disk. `bench/store.py` has the
figures. Nothing outside this package imports sqlite3.
"""

from service.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
