"""The embedded store's verbs, each handed to the part that does it: see the package's docstring."""

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import structlog
from typing_extensions import override

from service.delivery import Event, State
from service.errors import Conflict, Unavailable
from service.store.base import (
    Claimed,
    Entry,
    EntryBatch,
    Health,
    Millis,
    Page,
    RejectEntry,
    RunKey,
    Settlement,
    Store,
    Stored,
)
from service.store.migrate import Migration, migrate
from service.store.migrate import read as read_migrations
from service.store.sqlite import claim, configure, connect, operate, read, recover, retain
from service.store.sqlite.accept import put_positions
from service.store.sqlite.ledger import Ledger, Unit
from service.store.sqlite.settle import SETTLED
from service.store.sqlite.writer import Writer

log = structlog.get_logger(__name__)

READERS: Final = 2
"""Threads that read for people, each with a connection."""

T = TypeVar("T")


class SQLiteStore(Store):
    """The store in one SQLite file, `pointsman.db` in its directory.

    `on_fatal` is called when a commit failed for another reason than a full disk: what is on disk is not
    known then, nothing more is acknowledged, and the process must end.
    """

    def __init__(
        self,
        directory: Path,
        *,
        reached: Callable[[str], None],
        clock_ms: Callable[[], int],
        on_fatal: Callable[[BaseException], None],
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        self._directory = directory
        self._path = directory / connect.DATABASE
        self._reached = reached
        self._clock_ms = clock_ms
        self._on_fatal = on_fatal
        self._migrations = migrations
        self._ledger = Ledger()
        self._lock: connect.Lock | None = None
        self._writer: Writer | None = None
        self._connection: sqlite3.Connection | None = None
        self._due: sqlite3.Connection | None = None
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        self._swept = 0  # how far retention has looked through the messages
        self.epoch = 0
        self.interrupted = 0  # runs that a dead process left running, found at open

    # -- life

    @override
    async def open(self) -> None:
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._open)
        except BaseException:
            self._let_go()
            raise
        if self._connection is None:
            raise Unavailable("the store was closed while it was opening")
        self.epoch = self._ledger.epoch
        self._writer = Writer(
            self._connection,
            self._ledger,
            reached=self._reached,
            clock_ms=self._clock_ms,
            on_fatal=self._on_fatal,
        )

    def _open(self) -> None:
        """Do what `open` does, in a thread: it may take long after a crash."""
        path = connect.prepare(self._directory)
        self._lock = connect.Lock(self._directory)
        with connect.mapped(path):
            self._connection = connect.connect_writer(path)
            now = self._clock_ms()
            schema = connect.Schema(self._connection, path, now)
            migrations = read_migrations("sqlite") if self._migrations is None else self._migrations
            migrate(schema, migrations, reached=self._reached)
            self.interrupted = recover.recover(self._connection, self._ledger, now, self._reached)
            for _ in range(READERS):
                self._readers.put(connect.connect_reader(path))
            self._due = connect.connect_reader(path)

    @override
    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Unavailable):
                await writer.run(self._end_epoch)
            await writer.close()
        if self._pool is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        self._let_go()

    def _end_epoch(self, unit: Unit) -> None:
        unit.connection.execute(
            "UPDATE epochs SET ended_at = ? WHERE number = ?", (unit.now, self._ledger.epoch)
        )

    def _let_go(self) -> None:
        """Close what is open; the last connection that closes brings the log home."""
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        for connection in (self._due, self._connection):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._due = self._connection = None
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _opened(self) -> Writer:
        if self._writer is None:
            raise Unavailable("the store is not open")
        return self._writer

    # -- the way of a message

    @override
    def accept(self, entry: Entry | RejectEntry, done: Callable[[Stored | Exception], None]) -> None:
        self._opened().accept(entry, done)

    @override
    def accept_batch(self, batch: EntryBatch, done: Callable[[tuple[Stored, ...] | Exception], None]) -> None:
        self._opened().accept(batch, done)

    @override
    def settle(self, settlement: Settlement, done: Callable[[bool], None]) -> None:
        if settlement.event not in SETTLED:
            raise Conflict(f"a settlement cannot say {settlement.event.name.lower()}")
        self._opened().settle(settlement, done)

    @override
    async def claim(self, lanes: Mapping[int, int], now: Millis) -> list[Claimed]:
        wanted = dict(lanes)
        return await self._opened().run(
            lambda unit: claim.claim(unit, wanted, now), "store.claim", self._give_back
        )

    def _give_back(self, claimed: list[Claimed]) -> None:
        """Whoever claimed these was cancelled before it heard of them."""
        for item in claimed:
            with suppress(Unavailable):
                self.settle(
                    Settlement(
                        key=item.key, number=item.number, event=Event.GIVE_BACK, due_at=item.started_at
                    ),
                    lambda _applied: None,
                )

    @override
    async def next_due(self, lanes: Sequence[int]) -> Millis | None:
        if self._due is None:
            raise Unavailable("the store is not open")
        with connect.mapped(self._path):
            return read.next_due(self._due, lanes)

    # -- operators, holds

    @override
    async def release(
        self, event: Event, keys: Sequence[RunKey], *, reason: str, now: Millis
    ) -> list[State | str]:
        if event not in operate.RELEASABLE:
            raise Conflict(f"an operator cannot {event.name.lower()} a run")
        return await self._opened().run(
            lambda unit: operate.release(unit, event, keys, reason, now), "release"
        )

    @override
    async def next_run(self, key: RunKey, *, generation: int | None, now: Millis, by: str) -> RunKey:
        return await self._opened().run(
            lambda unit: operate.next_run(unit, key, generation, now, by), "release"
        )

    @override
    async def sweep(self, now: Millis, *, retention_ms: int, identities_ms: int, bite: int = 500) -> int:
        # No dead epoch can be left: the lock says that we are alone, and `open` freed what others left.
        run, deleted, count = self._opened().run, 0, min(bite, retain.SLICE)
        old, forgotten = now - retention_ms, now - identities_ms
        for _ in range(0, bite, count):
            part = await run(partial(retain.messages, cursor=self._swept, before=old, count=count))
            identities = await run(partial(retain.identities, before=forgotten, count=count))
            rejects = await run(partial(retain.rejects, before=old, count=count))
            self._swept = part.cursor
            deleted += part.deleted + identities + rejects
            if not (part.cursor or identities or rejects):
                break
        return deleted

    @override
    async def beat(self, now: Millis) -> None:
        await self._opened().run(
            lambda unit: (
                unit.connection.execute(
                    "UPDATE epochs SET beat_at = ? WHERE number = ?", (now, self._ledger.epoch)
                ).rowcount
            )
        )

    # -- sources

    @override
    async def positions(self, source: int) -> dict[str, bytes]:
        return await self._read(lambda connection: read.positions(connection, source))

    @override
    async def set_positions(self, source: int, positions: Mapping[str, bytes | None]) -> None:
        await self._opened().run(lambda unit: put_positions(unit, source, positions))

    @override
    async def unfinished(self, source: int) -> int:
        return await self._read(lambda connection: read.unfinished(connection, source))

    # -- configuration

    @override
    async def number(self, kind: Literal["source", "lane", "rule"], name: str, was: str | None = None) -> int:
        return await self._opened().run(lambda unit: configure.number(unit, kind, name, was))

    @override
    async def names(self, kind: Literal["source", "lane", "rule"]) -> dict[int, str]:
        return await self._read(lambda connection: configure.names(connection, kind))

    @override
    async def put_ruleset(self, document: bytes, files: Mapping[str, bytes]) -> int:
        return await self._opened().run(lambda unit: configure.put_ruleset(unit, document, files))

    @override
    async def get_ruleset(self, number: int) -> tuple[bytes, dict[str, bytes]]:
        return await self._read(lambda connection: configure.get_ruleset(connection, number))

    @override
    async def put(self, name: str, value: bytes | None) -> None:
        await self._opened().run(lambda unit: configure.put(unit, name, value))

    @override
    async def get(self, prefix: str) -> dict[str, bytes]:
        return await self._read(lambda connection: configure.get(connection, prefix))

    # -- readers

    @override
    async def messages(
        self,
        *,
        cursor: str = "",
        limit: int = 50,
        source: int | None = None,
        of_type: str | None = None,
    ) -> Page:
        return await self._in_pool(
            lambda: read.messages(self._once, cursor=cursor, limit=limit, source=source, of_type=of_type)
        )

    @override
    async def message(self, number: int) -> dict[str, Any]:
        return await self._read(lambda connection: read.message(connection, number))

    @override
    async def rejects(self, *, cursor: str = "", limit: int = 50, source: int | None = None) -> Page:
        return await self._in_pool(
            lambda: read.rejects(self._once, cursor=cursor, limit=limit, source=source)
        )

    @override
    async def reject(self, number: int) -> dict[str, Any]:
        return await self._read(lambda connection: read.reject(connection, number))

    @override
    async def deliveries(
        self,
        *,
        cursor: str = "",
        limit: int = 50,
        states: Sequence[State] = (),
        rule: int | None = None,
        lane: int | None = None,
        message: int | None = None,
    ) -> Page:
        return await self._in_pool(
            lambda: read.deliveries(
                self._once, cursor=cursor, limit=limit, states=states, rule=rule, lane=lane, message=message
            )
        )

    @override
    async def delivery(self, key: RunKey) -> dict[str, Any]:
        return await self._read(lambda connection: read.delivery(connection, key))

    @override
    async def counts(self) -> dict[str, int]:
        return await self._read(read.counts)

    @override
    def health(self) -> Health:
        writer = self._writer
        if writer is None:
            return Health(writable=False, reason="the store is not open")
        return Health(
            writable=not writer.refusing,
            reason=writer.refusing,
            queue_age_ms=writer.age_ms(),
            waiting=writer.waiting,
            groups=writer.groups,
            fsyncs=writer.fsyncs,
            unfinished=self._ledger.unfinished,
        )

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        return await self._in_pool(lambda: self._once(question))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            raise Unavailable("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _once(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask one question in one short transaction, in a reader's thread."""
        connection = self._readers.get()
        try:
            with connect.mapped(self._path):
                connection.execute("BEGIN")
                try:
                    return question(connection)
                finally:
                    connection.execute("COMMIT")
        finally:
            self._readers.put(connection)
