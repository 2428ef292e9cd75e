"""Whoever writes to the servers, a process of its own: each event again and again until the server has confirmed it.

`python -m tests.crash.outside.producers OPTIONS` with OPTIONS as JSON (see `Options`). Every attempt is in the journal
before its first byte leaves, what a server confirmed afterwards (`ack`). A line on standard input, or its end, means:
begin nothing new, bring what was begun to its confirmation, and leave.
"""

import asyncio
import contextlib
import logging
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, Final

import aio_pika
import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiormq.exceptions import AMQPError
from typing_extensions import override

from tests.crash.generator import digest
from tests.crash.journal import Journal
from tests.crash.outside.room import STOCK, Room

LOG_KINDS: Final = {"logged": 70, "forwarded": 15, "nothing": 12, "bad": 3}
JOB_KINDS: Final = {"fetched": 70, "passed": 15, "nothing": 12, "bad": 3}
"""What is sent, by weight: the name of the rule that matches, "nothing", or "bad" for what is no JSON."""

LANES: Final = 4
"""Events of a kind that may be under way at the same time."""

AGAIN: Final = 0.1
"""Seconds between two attempts of one event."""

PATIENCE: Final = 5.0
"""Seconds that one attempt may take."""

BROKEN: Final = (
    KafkaError,
    AMQPError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    RuntimeError,
)
"""What clients raise when their server is gone; asyncpg, when it is asked in the middle of that, two more."""

STEP: Final = 1_000_000
"""Each writer to a table has ids of its own."""


class Options(msgspec.Struct):
    """What the producers are told. `rate`: events of each kind a second."""

    journal: str
    room: Room
    rate: float
    seed: int
    drain: float = 15.0


class Event(msgspec.Struct, frozen=True):
    """One thing to be written. `id` is by what the store's message is known, where the server does not say it."""

    source: str
    uid: str
    kind: str
    body: bytes
    id: str = ""


class Writer(ABC):
    """Writes the events of one source over one client, made anew when it broke."""

    source: ClassVar[str]
    kinds: ClassVar[dict[str, int]]
    lanes: ClassVar[int] = LANES

    def __init__(self, options: Options, journal: Journal) -> None:
        self.room = options.room
        self.random = random.Random(f"{options.seed}/{self.source}")
        self.journal = journal
        self.pause = self.lanes / options.rate
        self.made = 0
        self.open = 0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Write until told to stop, and until everything begun is confirmed."""
        try:
            await asyncio.gather(*(self.lane(number) for number in range(self.lanes)))
        finally:
            await self.close()

    async def lane(self, number: int) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pause * self.random.uniform(0.5, 1.5)):
                    await self.stopping.wait()
                    return
            await self.bring(self.make(number))

    async def bring(self, event: Event) -> None:
        """Write an event until it is confirmed."""
        self.open += 1
        while True:
            if await self.attempt(event):
                self.open -= 1
                return
            await asyncio.sleep(AGAIN)

    async def attempt(self, event: Event) -> bool:
        """Write an event once; return whether that was confirmed."""
        facts = {"source": self.source, "id": event.id, "uid": event.uid, "kind": event.kind}
        self.journal.write(e="attempt", at=time.time(), body=digest(event.body), **facts)
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self.write(event)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            said = None  # a driver gave up its connection, and us with it
        except BROKEN:
            said = None
        if said is None:
            await self.close()
            return False
        self.journal.write(e="ack", at=time.time(), body=digest(event.body), **{**facts, **said})
        return True

    def make(self, lane: int) -> Event:
        """Make the next event."""
        del lane
        self.made += 1
        uid = f"{self.source}-{self.made}"
        kind = self.random.choices(list(self.kinds), list(self.kinds.values()))[0]
        data = {"uid": uid, "kind": kind, "pad": "x" * self.random.randrange(300)}
        body = msgspec.json.encode(data) if kind != "bad" else f'{{"uid": "{uid}", '.encode()
        return Event(self.source, uid, kind, body, uid)

    @abstractmethod
    async def write(self, event: Event) -> dict[str, Any]:
        """Write; return, once the server has confirmed, what it said."""

    @abstractmethod
    async def close(self) -> None:
        """Give the client up; the next `write` makes another."""


class LogWriter(Writer):
    """Writes records to the topic."""

    source: ClassVar[str] = "log"
    kinds: ClassVar[dict[str, int]] = LOG_KINDS
    producer: AIOKafkaProducer | None = None
    lock: asyncio.Lock | None = None

    @override
    async def write(self, event: Event) -> dict[str, Any]:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            if self.producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self.room.kafka, acks="all", enable_idempotence=True, request_timeout_ms=3000
                )  # fmt: skip
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self.producer = producer
        key = str(self.random.randrange(20)).encode()
        where = await self.producer.send_and_wait(self.room.topic, event.body, key=key)
        return {"id": f"{where.partition}:{where.offset}"}

    @override
    async def close(self) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            with contextlib.suppress(TimeoutError, KafkaError, OSError):
                async with asyncio.timeout(1):
                    await producer.stop()


class JobsWriter(Writer):
    """Publishes messages to the queue."""

    source: ClassVar[str] = "jobs"
    kinds: ClassVar[dict[str, int]] = JOB_KINDS
    connection: aio_pika.abc.AbstractConnection | None = None
    exchange: aio_pika.abc.AbstractExchange | None = None
    lock: asyncio.Lock | None = None

    @override
    async def write(self, event: Event) -> dict[str, Any]:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            if self.exchange is None:
                self.connection = await aio_pika.connect(self.room.amqp, timeout=3)
                channel = await self.connection.channel(publisher_confirms=True)
                self.exchange = channel.default_exchange
        message = aio_pika.Message(
            event.body,
            message_id=event.id,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self.exchange.publish(message, self.room.queue, mandatory=True)
        return {}

    @override
    async def close(self) -> None:
        connection, self.connection, self.exchange = self.connection, None, None
        if connection is not None:
            with contextlib.suppress(TimeoutError, AMQPError, OSError, RuntimeError):
                async with asyncio.timeout(1):
                    await connection.close()


class Change(msgspec.Struct, frozen=True):
    """One change of a row."""

    table: str
    row: int
    new: bool
    place: int
    pad: str

    def event(self, writer: int) -> str:
        """Return by what the change is known."""
        return f"{self.table}-{writer}-{self.place}"


_INSERT: Final = "INSERT INTO {} VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING"
_UPDATE: Final = "UPDATE {} SET event = $2, writer = $3, place = $4, pad = $5 WHERE id = $1 AND (writer <> $3 OR place < $4)"


class TableWriter(Writer):
    """Commits transactions over both tables, one writer on a connection of its own.

    What a lost connection left in doubt is done again: done twice it does nothing.
    """

    source: ClassVar[str] = "rows"
    lanes: ClassVar[int] = 1
    number: int = 0

    def __init__(self, options: Options, journal: Journal, number: int) -> None:
        super().__init__(options, journal)
        self.number = number
        self.random = random.Random(f"{options.seed}/{self.source}/{number}")
        self.pause = 4 / options.rate
        self.rows: list[int] = []
        self.connection: asyncpg.Connection[Any] | None = None

    @override
    async def lane(self, number: int) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pause * self.random.uniform(0.5, 1.5)):
                    await self.stopping.wait()
                    return
            changes = [self.change() for _ in range(self.random.randint(1, 4))]
            await self.commit(changes)

    def change(self) -> Change:
        self.made += 1
        pad = "x" * self.random.randrange(200)
        if self.random.random() < 0.2:  # each writer has rows of its own there, too
            row = 1 + (self.random.randrange(STOCK // 2) * 2 + self.number) % STOCK
            return Change("stock", row, False, self.made, pad)
        if self.rows and self.random.random() < 0.3:
            return Change("orders", self.random.choice(self.rows), False, self.made, pad)
        return Change("orders", self.number * STEP + self.made, True, self.made, pad)

    async def commit(self, changes: list[Change]) -> None:
        """Commit changes together, again until that is confirmed."""
        self.open += len(changes)
        facts = [
            {
                "source": "stock" if one.table == "stock" else "rows",
                "id": one.event(self.number),
                "uid": one.event(self.number),
                "kind": "restocked" if one.table == "stock" else "changed",
                "body": digest(row_text(self.number, one.place, one.pad)),
            }
            for one in changes
        ]
        while True:
            for fact in facts:
                self.journal.write(e="attempt", at=time.time(), **fact)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.transact(changes)
                break
            except BROKEN:
                await self.close()
                await asyncio.sleep(AGAIN)
        for fact in facts:
            self.journal.write(e="ack", at=time.time(), **fact)
        self.rows += [one.row for one in changes if one.new]
        self.open -= len(changes)

    async def transact(self, changes: list[Change]) -> None:
        if self.connection is None:
            self.connection = await asyncpg.connect(self.room.postgres, timeout=3)
        async with self.connection.transaction():
            for one in changes:
                statement = (_INSERT if one.new else _UPDATE).format(one.table)
                await self.connection.execute(
                    statement, one.row, one.event(self.number), self.number, one.place, one.pad
                )
                await asyncio.sleep(self.random.uniform(0, 0.01))  # so that transactions interleave

    @override
    async def write(self, event: Event) -> dict[str, Any]:
        raise NotImplementedError

    @override
    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.terminate()


class BoxWriter(Writer):
    """Writes rows to the outbox, one transaction each."""

    source: ClassVar[str] = "box"
    kinds: ClassVar[dict[str, int]] = {"boxed": 85, "nothing": 15}
    lanes: ClassVar[int] = 1
    connection: "asyncpg.Connection[Any] | None" = None

    @override
    def make(self, lane: int) -> Event:
        event = super().make(lane)
        return msgspec.structs.replace(event, body=event.uid.encode())

    @override
    async def write(self, event: Event) -> dict[str, Any]:
        if self.connection is None:
            self.connection = await asyncpg.connect(self.room.postgres, timeout=3)
        async with self.connection.transaction():
            # The row is gone once it is stored: what was written stands elsewhere, too.
            if await self.connection.fetchval(
                "INSERT INTO boxed VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1", event.uid
            ):
                await self.connection.execute(
                    "INSERT INTO outbox (type, subject, data) VALUES ($1, $2, $3)",
                    f"order.{event.kind}", event.uid, msgspec.json.encode({"event": event.uid}).decode(),
                )  # fmt: skip
        return {}

    @override
    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.terminate()


def row_text(writer: int, place: int, pad: str) -> bytes:
    """Return what is compared of a row."""
    return f"{writer}/{place}/{pad}".encode()


async def produce(options: Options) -> int:
    """Write until told to stop; return 0 when everything begun was confirmed."""
    journal = Journal(Path(options.journal))
    writers: list[Writer] = []
    if "kafka" in options.room.kinds:
        writers.append(LogWriter(options, journal))
    if "rabbitmq" in options.room.kinds:
        writers.append(JobsWriter(options, journal))
    if "postgres" in options.room.kinds:
        writers += [TableWriter(options, journal, 0), TableWriter(options, journal, 1), BoxWriter(options, journal)]  # fmt: skip
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    await told()
    for writer in writers:
        writer.stopping.set()
    if tasks:
        await asyncio.wait(tasks, timeout=options.drain)
    for task in tasks:
        task.cancel()
    ends: list[Coroutine[Any, Any, None]] = [writer.close() for writer in writers]
    await asyncio.gather(*tasks, *ends, return_exceptions=True)
    failed = [task.exception() for task in tasks if not task.cancelled() and task.exception() is not None]
    left = sum(writer.open for writer in writers)
    journal.write(e="end", at=time.time(), open=left, failed=[repr(one) for one in failed])
    journal.close()
    return 1 if left or failed else 0


async def told() -> None:
    """Wait for a line on standard input, or its end."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()


if __name__ == "__main__":
    logging.disable()  # drivers are loud about servers that are killed
    sys.exit(asyncio.run(produce(msgspec.json.decode(sys.argv[1], type=Options))))
