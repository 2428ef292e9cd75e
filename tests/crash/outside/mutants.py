"""Planted bugs of sources, as `tests.crash.mutants` has those of the rest; and one trouble that is no bug.

A bug is planted in one child process of the launcher, by replacing methods of the service there; never in our own.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from service.errors import Unavailable
from service.store.base import EntryBatch
from service.store.sqlite.writer import Writer
from service.supervisor.emitting import Emitting
from triggers.base import Accepted
from triggers.errors import NotStored
from triggers.kafka.reading import Reading
from triggers.postgres.stream import Stream
from triggers.rabbitmq.source import RabbitMQSource

WINDOW: Final = 0.1
"""Seconds between the two transactions of a batch: on a fast disk a kill between them would be a matter of luck."""

PERIOD: Final = 1.0
REFUSING: Final = 0.4
"""A store in trouble takes nothing for the first so many seconds of every period."""


def kafka_commits_first() -> None:
    """Commit offsets before the batch is stored."""
    keep = Reading._keep

    async def eager(self: Reading, items: Any, moved: Any, emit: Any) -> None:
        await self._commits.commit(moved)
        await keep(self, items, moved, emit)

    Reading._keep = eager


def rabbitmq_acknowledges_first() -> None:
    """Acknowledge deliveries before they are stored."""
    store = RabbitMQSource._store

    async def eager(self: RabbitMQSource, emit: Any, feed: Any, taken: Any, new: Any) -> None:
        acknowledge = feed.acknowledge

        async def done(_taken: Any) -> None:
            pass

        await acknowledge(taken)
        feed.acknowledge = done
        try:
            await store(self, emit, feed, taken, new)
        finally:
            feed.acknowledge = acknowledge

    RabbitMQSource._store = eager


def postgres_confirms_first() -> None:
    """Confirm an LSN before what lies before it is stored."""
    store = Stream._store

    async def eager(self: Stream, batch: Any) -> None:
        self._wire.status(batch.position.lsn)
        await store(self, batch)

    Stream._store = eager


def positions_apart() -> None:
    """Store the positions of a batch in a transaction of their own, before that of the batch."""
    accept = Writer.accept

    def twice(self: Writer, item: Any, done: Any) -> None:
        if not isinstance(item, EntryBatch) or not item.positions:
            accept(self, item, done)
            return

        def rest() -> None:
            try:
                accept(self, msgspec.structs.replace(item, positions={}), done)
            except Unavailable as error:
                done(error)

        def then(stored: Any) -> None:
            if isinstance(stored, Exception):
                done(stored)
            else:
                asyncio.get_running_loop().call_later(WINDOW, rest)

        accept(self, msgspec.structs.replace(item, entries=()), then)

    Writer.accept = twice


def store_in_trouble() -> None:
    """No bug: the store takes nothing now and then, and a source is told so soon."""
    accept, init = Writer.accept, Emitting.__init__

    def at_times(self: Writer, item: Any, done: Any) -> None:
        if isinstance(item, EntryBatch) and time.monotonic() % PERIOD < REFUSING:
            raise Unavailable("the store takes nothing now: it is in trouble", 0.1)
        accept(self, item, done)

    def impatient(self: Emitting, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        self._patience = 0.0

    Writer.accept = at_times
    Emitting.__init__ = impatient


def error_swallowed() -> None:
    """Take an `emit` that failed for one that stored."""
    store_in_trouble()
    call = Emitting.__call__

    async def careless(
        self: Emitting, batch: Sequence[Any], positions: Mapping[str, bytes | None] | None = None
    ) -> Accepted:
        try:
            return await call(self, batch, positions)
        except NotStored:
            return Accepted()

    Emitting.__call__ = careless


TROUBLE: Final = "store in trouble"

MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "kafka commits first": kafka_commits_first,
    "rabbitmq acknowledges first": rabbitmq_acknowledges_first,
    "postgres confirms first": postgres_confirms_first,
    "positions apart": positions_apart,
    "emit error swallowed": error_swallowed,
    TROUBLE: store_in_trouble,
}
