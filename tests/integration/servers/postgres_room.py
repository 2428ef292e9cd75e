"""What tests of the PostgreSQL source stand in: a database with a publication and a slot, and runs of the source."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import msgspec

from tests.fakes.sources import Emitted, Reports, source_context
from tests.patience import PATIENCE
from tests.servers import unique
from triggers.message import TriggerMessage
from triggers.postgres.config import PostgresConfig
from triggers.postgres.source import PostgresSource


class Crash(BaseException):
    """The process dies here."""


class Running:
    """One run of a source."""

    def __init__(self, source: PostgresSource, report: Reports, emitted: Emitted) -> None:
        self.source = source
        self.report = report
        self.emitted = emitted
        self.task = asyncio.create_task(source.run(emitted.begin()))

    async def until(self, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """Wait for something stored; a run that ends before is the failure."""
        waiting = asyncio.create_task(self.emitted.until(condition, what, within))
        await asyncio.wait([waiting, self.task], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            if not condition():
                self.task.result()
                raise AssertionError(f"{what}: the run ended; {self.report.text}")
            return
        await waiting

    async def ended(self, within: float = PATIENCE) -> BaseException:
        """Wait until the run ends by itself; return what it raised."""
        done, _ = await asyncio.wait([self.task], timeout=within)
        assert done, f"the run goes on; {self.report.text}"
        error = self.task.exception()
        assert error is not None, "the run ended without an error"
        return error


class Room:
    """A database of the test's own, what it stores, and how to look at the server."""

    def __init__(self, dsn: str, sql: Any) -> None:
        self.dsn = dsn
        self.sql = sql
        self.emitted = Emitted()
        self.name = "orders"
        self.slot = unique("slot")

    def config(self, **changes: Any) -> PostgresConfig:
        """Return a configuration of this database; the slot is the test's own."""
        plain: dict[str, Any] = {"kind": "postgres", "url": self.dsn, "slot": self.slot, "heartbeat": "200ms"}
        if changes.get("mode") != "outbox":
            plain |= {"tables": ["public.orders"]}
        else:
            del plain["slot"]
        return PostgresConfig(**{**plain, "poll_every": "50ms", **changes})

    async def set_up(self, config: PostgresConfig) -> None:
        """Make publication and slot."""
        source = PostgresSource(self.name, config)
        await source.open(source_context(self.emitted, name=self.name))
        steps = await source.setup(apply=True)
        assert all(step.done for step in steps), steps
        await source.close()

    @contextlib.asynccontextmanager
    async def opened(
        self, config: PostgresConfig, reached: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[tuple[PostgresSource, Reports]]:
        """Give an open source that does not run."""
        report = Reports()
        source = PostgresSource(self.name, config)
        await source.open(source_context(self.emitted, name=self.name, report=report, reached=reached))
        try:
            yield source, report
        finally:
            await source.close()

    @contextlib.asynccontextmanager
    async def running(
        self, config: PostgresConfig, reached: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Running]:
        """Run a source; leave it cancelled."""
        async with self.opened(config, reached) as (source, report):
            run = Running(source, report, self.emitted)
            try:
                yield run
            finally:
                run.task.cancel()
                await asyncio.wait([run.task], timeout=PATIENCE)
                assert run.task.done(), "the run does not end when it is cancelled"
                self.emitted.end()
                if not run.task.cancelled():
                    run.task.exception()

    def rows(self, *ops: str) -> list[dict[str, Any]]:
        """Return the data of the stored messages of these operations (all without any), in order."""
        return [
            data
            for message in self.emitted.messages
            if not ops or message.type.removeprefix("postgres.") in ops
            if (data := decoded(message)) is not None
        ]

    def ids(self, *ops: str) -> list[int]:
        """Return the column `id` of the rows after these operations, in order."""
        return [row["after"]["id"] for row in self.rows(*ops) if row["after"]]

    async def held(self) -> asyncpg.Record | None:
        """Return what the server says of the slot."""
        return await self.sql.fetchrow("SELECT * FROM pg_replication_slots WHERE slot_name = $1", self.slot)

    async def eventually(
        self, look: Callable[[], Awaitable[Any]], what: str, within: float = PATIENCE
    ) -> Any:
        """Look until what is seen is true, and return it."""
        deadline = time.monotonic() + within
        while not (seen := await look()):
            assert time.monotonic() < deadline, f"{what}: not within {within} s; last seen {seen!r}"
            await asyncio.sleep(0.02)
        return seen


def decoded(message: TriggerMessage) -> Any:
    return msgspec.json.decode(message.data) if message.format == "json" and message.data else None


@contextlib.asynccontextmanager
async def room_of(dsn: str) -> AsyncIterator[Room]:
    """Give a room in a database."""
    sql = await asyncpg.connect(dsn)
    try:
        yield Room(dsn, sql)
    finally:
        await sql.close()
