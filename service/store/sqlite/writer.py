"""The group commit: everything that waits goes into one transaction; one commit is under way at a time.

The statements of a group run on the event loop's thread, its COMMIT in a thread of its own. What comes in
meanwhile waits for the next group, so groups grow with the load and a lone entry is committed at once.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import structlog

from service.errors import Unavailable
from service.store.base import Settlement
from service.store.sqlite.accept import Item, weight
from service.store.sqlite.connect import is_full
from service.store.sqlite.group import Asked, Done, Group, Settled, rollback
from service.store.sqlite.ledger import Ledger, Unit

log = structlog.get_logger(__name__)

GROUP: Final = 512
"""Most entries, and most settlements, of one transaction: some milliseconds of statements on the loop."""

MAX_WAITING: Final = 50_000
"""Entries that may wait; more are refused at once."""

PROBE_SECONDS: Final = 1.0
"""How often a full disk is tried again."""

PROBE_BYTES: Final = 256 * 1024
"""What a probe writes: with less room than this, the next group would fail again."""

CHECKPOINT_PAGES: Final = 4_000
"""Pages of log, as estimated, after which they are brought home: 16 MB."""

T = TypeVar("T")


class Writer:
    """Owns the writing connection. All methods are called on the loop; only `_commit_for_ever` is not."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: Ledger,
        *,
        reached: Callable[[str], None],
        clock_ms: Callable[[], int],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._reached = reached
        self._clock_ms = clock_ms
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._entries: list[tuple[Item, Done]] = []
        self._weight = 0  # entries that wait, those inside batches counted
        self._settlements: list[tuple[Settlement, Settled]] = []
        self._asked: list[Asked] = []
        self._since = 0
        self._current: Group | None = None
        self._scheduled = False
        self._refusing = ""  # why nothing is accepted now
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._probe: asyncio.TimerHandle | None = None
        self._bringing_home = False  # a checkpoint has the connection
        self._pages = 0  # written to the log since the last checkpoint, as estimated
        self.groups = 0
        self.fsyncs = 0
        self.checkpoints = 0
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store-commit", daemon=True)
        self._thread.start()

    # -- what comes in

    def accept(self, item: Item, done: Done) -> None:
        """Take an entry or a batch into the next group. Raise Unavailable while nothing is accepted."""
        if self._refusing or self._closing or self._weight >= MAX_WAITING:
            raise self._unavailable()
        self._entries.append((item, done))
        self._weight += weight(item)
        self._kick()

    def settle(self, settlement: Settlement, done: Settled) -> None:
        """Take a settlement into the next group; it waits out a full disk."""
        self._settlements.append((settlement, done))
        self._kick()

    async def run(
        self,
        operation: Callable[[Unit], T],
        points: str = "",
        abandoned: Callable[[T], None] | None = None,
    ) -> T:
        """Perform an operation in the next group and return its result after the commit.

        An operation raises a ServiceError before its first change, or not at all; it may be run twice, the
        first time being undone. `abandoned` gets the result when the caller was cancelled meanwhile.
        Raise Unavailable when nothing was stored.
        """
        if self._refusing or self._closing:
            raise self._unavailable()
        future: asyncio.Future[T] = self._loop.create_future()
        self._asked.append(Asked(operation, future, points, abandoned))
        self._kick()
        return await future

    @property
    def refusing(self) -> str:
        """Why nothing is accepted now; empty when it is."""
        return self._refusing

    @property
    def waiting(self) -> int:
        """How many entries and settlements are not committed."""
        group = self._current
        under_way = len(group.entries) + len(group.settlements) if group is not None else 0
        return len(self._entries) + len(self._settlements) + under_way

    def age_ms(self) -> int:
        """How long the oldest of them has waited."""
        if self._current is not None:
            return max(0, self._clock_ms() - self._current.since)
        if self._entries or self._settlements:
            return max(0, self._clock_ms() - self._since)
        return 0

    async def close(self) -> None:
        """Commit what waits, then stop the thread. On a full disk, what waits stays unsettled."""
        self._closing = True
        if self._probe is not None:
            self._probe.cancel()
        if not self._refusing:
            self._kick()
            await self._idle.wait()
        for _settlement, done in self._settlements:
            done(False)
        self._settlements = []
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # -- a group, on the loop

    def _kick(self) -> None:
        """See to it that a group begins once the loop has gathered what came with this turn."""
        if self._since == 0:
            self._since = self._clock_ms()
        self._idle.clear()
        if not (self._current or self._scheduled or self._refusing or self._bringing_home):
            self._scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Run the statements of everything that waits and hand the commit to the thread."""
        self._scheduled = False
        if self._refusing:
            self._idle.set()
            return
        group = Group(self._next_entries(), self._settlements[:GROUP], self._asked, self._since)
        del self._settlements[:GROUP]
        self._asked = []
        if not (group.entries or group.settlements or group.asked):
            self._since = 0
            self._idle.set()
            return
        # What is left over came after the group's oldest, but nobody notes when: it counts from now.
        self._since = self._clock_ms() if self._entries or self._settlements else 0
        self._current = group
        before = self._connection.total_changes
        try:
            group.execute(self._connection, self._ledger, self._clock_ms(), self._reached)
        except sqlite3.Error as error:
            self._failed(group, error)
            return
        except BaseException as error:
            self._fatal(group, error)
            raise
        changes = self._connection.total_changes - before
        if not changes:
            self._connection.execute("COMMIT")
            self._committed(group)
            return
        # Measured: rows of a large group share pages, a lone row touches a page in each tree.
        self._pages += 8 + changes // 4 + (group.unit.bytes >> 12 if group.unit else 0)
        self._inbox.put(lambda: self._commit(group))

    def _next_entries(self) -> list[tuple[Item, Done]]:
        """Take what goes into the next group: never a part of a batch, and at least one."""
        if self._weight <= GROUP:
            taken, self._entries, self._weight = self._entries, [], 0
            return taken
        count = total = 0
        for item, _done in self._entries:
            total += weight(item)
            if total > GROUP and count:
                total -= weight(item)
                break
            count += 1
        taken = self._entries[:count]
        del self._entries[:count]
        self._weight -= total
        return taken

    def _committed(self, group: Group, free: bool = True) -> None:
        """Tell everybody of a group, in order, and begin the next one; not `free`: after the checkpoint."""
        self._bringing_home = not free
        self.groups += 1
        group.committed(self._ledger, self._reached)
        self._current = None
        try:
            self._tell(group.calls())
        finally:
            self._next()

    def _next(self) -> None:
        if self._entries or self._settlements or self._asked:
            self._kick()
        elif not (self._scheduled or self._bringing_home):
            self._since = 0
            self._idle.set()

    def _tell(self, calls: Iterator[tuple[Callable[[Any], None], Any]]) -> None:
        """Make the calls; when one raises, the loop reports it and the others are made all the same."""
        finished = False
        try:
            for done, value in calls:
                done(value)
            finished = True
        finally:
            if not finished:
                self._loop.call_soon(self._tell, calls)

    # -- the commit, in its thread

    def _work(self) -> None:
        while (task := self._inbox.get()) is not None:
            task()

    def _commit(self, group: Group) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._loop.call_soon_threadsafe(self._failed, group, error)
            return
        self.fsyncs += 1
        if self._pages < CHECKPOINT_PAGES:
            self._loop.call_soon_threadsafe(self._committed, group)
            return
        self._loop.call_soon_threadsafe(self._committed, group, False)
        self._checkpoint()

    def _checkpoint(self) -> None:
        """Bring the log home while no group is under way: only then can it start from its beginning again.

        Those of the last group have their answer already.
        """
        error = None
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as failure:
            error = failure
        self._loop.call_soon_threadsafe(self._checkpointed, error)

    def _checkpointed(self, error: sqlite3.Error | None) -> None:
        self._bringing_home = False
        self._pages = 0
        self.checkpoints += 1
        if error is not None and not is_full(error):
            self._fatal(None, error)
            return
        self._next()

    # -- trouble

    def _unavailable(self) -> Unavailable:
        reason = self._refusing or ("closing" if self._closing else "too much is waiting")
        return Unavailable(f"the store takes nothing now: {reason}", PROBE_SECONDS)

    def _failed(self, group: Group, error: sqlite3.Error) -> None:
        """Undo a group. A full disk passes: wait for it. Anything else does not: the process ends."""
        if not is_full(error):
            self._fatal(group, error)
            return
        rollback(self._connection)
        self._current = None
        if not self._refusing:
            log.error("the disk is full: nothing is accepted until there is space again", error=str(error))
        self._refusing = "the disk is full"
        self._settlements = [*group.settlements, *self._settlements]
        refused = [done for _entry, done in (*group.entries, *self._entries)]
        asked = [*group.asked, *self._asked]
        self._entries, self._asked, self._weight = [], [], 0
        self._idle.set()
        if not self._closing:
            self._probe = self._loop.call_later(PROBE_SECONDS, self._try_again)
        self._refuse(refused, asked)

    def _refuse(self, refused: Sequence[Done], asked: Sequence[Asked]) -> None:
        unavailable = self._unavailable()
        for one in asked:
            one.answer(unavailable)
        self._tell(iter([(done, unavailable) for done in refused]))

    def _fatal(self, group: Group | None, error: BaseException) -> None:
        """Nothing of the group may be acknowledged: what is on disk is not known."""
        self._refusing = f"it failed: {error}"
        rollback(self._connection)
        self._current = None
        entries, asked = self._entries, self._asked
        if group is not None:
            entries, asked = [*group.entries, *entries], [*group.asked, *asked]
        refused = [done for _entry, done in entries]
        self._entries, self._asked, self._weight = [], [], 0
        self._idle.set()
        self._on_fatal(error)
        self._refuse(refused, asked)

    def _try_again(self) -> None:
        """Look whether there is space again, with a real write and its fsync, in the thread."""
        self._probe = None
        self._inbox.put(self._write_probe)

    def _write_probe(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT OR REPLACE INTO keeps VALUES ('store.probe', randomblob(?))", (PROBE_BYTES,)
            )
            self._connection.execute("COMMIT")
            self._connection.execute("DELETE FROM keeps WHERE name = 'store.probe'")
        except sqlite3.Error as error:
            rollback(self._connection)
            self._loop.call_soon_threadsafe(self._probed, error)
            return
        self._loop.call_soon_threadsafe(self._probed, None)

    def _probed(self, error: sqlite3.Error | None) -> None:
        if self._closing:
            return
        if error is None:
            log.info("there is space again: the store accepts")
            self._refusing = ""
            self._next()
        elif not is_full(error):
            self._refusing = f"it failed: {error}"
            self._on_fatal(error)
        else:
            self._probe = self._loop.call_later(PROBE_SECONDS, self._try_again)
