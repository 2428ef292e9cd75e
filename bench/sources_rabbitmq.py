"""Empties a RabbitMQ queue: with the drivers alone, and with the source. `bench.sources` measures.

Each case empties a durable classic queue that was filled for it; what came is acknowledged in one go for each
batch, and twice a batch may be on its way.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aio_pika
import aiormq
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from pamqp.commands import Basic

from bench.reading import SOURCE, Meter, Read, Took, order, source_alone, source_stored
from triggers.rabbitmq import RabbitMQConfig, RabbitMQSource

QUEUE: Final = "pointsman-bench"
MOST: Final = 20_000
"""Messages of a case, at most: each case has its queue filled, which takes longer than to empty it."""
MATCH: Final[dict[str, Any]] = {"type": ["rabbitmq.message"], "data": {"currency": ["EUR"]}}

_AT_ONCE: Final = 500

Empty = Callable[[str, int, Meter], Awaitable[None]]


class Queue:
    """A queue that is filled for each case, and the ways to empty it."""

    name = "rabbitmq"

    def __init__(self, url: str, options: argparse.Namespace) -> None:
        self._url = url
        self._messages = min(MOST, options.messages)
        self.batches: Sequence[int] = options.batches or (50, 200, 500)
        bare: dict[str, Empty] = {"aio-pika": with_aio_pika}
        if options.more:
            bare |= {"aiormq": with_aiormq, "FastStream, manual": with_faststream}
        self.cases: dict[str, Read] = {
            name: functools.partial(self._bare, empty) for name, empty in bare.items()
        }
        self.cases["source"] = self._alone
        self.cases["source, rules, SQLite"] = self._stored

    async def _bare(self, empty: Empty, batch: int) -> Took:
        await fill(self._url, QUEUE, self._messages)
        meter = Meter(self._messages)
        await empty(self._url, batch, meter)
        return meter.took()

    async def _alone(self, batch: int) -> Took:
        await fill(self._url, QUEUE, self._messages)
        return await source_alone(self._source(batch), self._messages)

    async def _stored(self, batch: int) -> Took:
        await fill(self._url, QUEUE, self._messages)
        return await source_stored(self._source(batch), self._messages, MATCH)

    def _source(self, batch: int) -> RabbitMQSource:
        return RabbitMQSource(
            SOURCE,
            RabbitMQConfig.model_validate(
                {"kind": "rabbitmq", "url": without_user(self._url), "queue": QUEUE, "batch": batch}
            ),
        )


def without_user(url: str) -> str:
    """Return an address as the source wants it."""
    parts = urlsplit(url)
    return f"amqp://{parts.hostname}:{parts.port or 5672}{parts.path.rstrip('/')}"


@contextlib.asynccontextmanager
async def queue(url: str, options: argparse.Namespace) -> AsyncIterator[Queue]:
    """Give the queue; delete it afterwards."""
    try:
        yield Queue(url, options)
    finally:
        await drop(url, QUEUE)


async def drop(url: str, name: str) -> None:
    """Delete a queue."""
    async with aiormq.connect(url) as connection:
        await (await connection.channel()).queue_delete(name)


async def fill(url: str, name: str, messages: int) -> None:
    """Make a queue anew and fill it; everything is confirmed."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(name)
        await channel.queue_declare(name, durable=True)
        numbers = iter(range(messages))
        while some := list(itertools.islice(numbers, _AT_ONCE)):
            await asyncio.gather(*(_publish(channel, name, number) for number in some))


async def _publish(channel: Any, name: str, number: int) -> None:
    properties = Basic.Properties(
        message_id=f"m-{number}",
        content_type="application/json",
        delivery_mode=2,
        headers={"tenant": "t-1", "attempt": 1},
    )
    await channel.basic_publish(order(number), routing_key=name, properties=properties)


class _Acknowledging:
    """Says after which message of a consumer to acknowledge, and notes what was."""

    def __init__(self, batch: int, meter: Meter) -> None:
        self.done = asyncio.Event()
        self._batch = batch
        self._meter = meter
        self._seen = self._noted = 0

    def due(self) -> bool:
        """Take the next message; say whether the batch is full, or the queue empty."""
        self._seen += 1
        return self._seen % self._batch == 0 or self._seen == self._meter.expected

    def acknowledged(self) -> None:
        """Note that all up to here is acknowledged."""
        new, self._noted = self._seen - self._noted, self._seen
        if self._meter.add(new):
            self.done.set()


async def with_aiormq(url: str, batch: int, meter: Meter) -> None:
    acknowledging = _Acknowledging(batch, meter)
    async with aiormq.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=2 * batch)

        async def on_message(message: aiormq.abc.DeliveredMessage) -> None:
            if acknowledging.due():
                await channel.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)
                acknowledging.acknowledged()

        await channel.basic_consume(QUEUE, on_message)
        await acknowledging.done.wait()


async def with_aio_pika(url: str, batch: int, meter: Meter) -> None:
    acknowledging = _Acknowledging(batch, meter)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=2 * batch)

        async def on_message(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            if acknowledging.due():
                await message.ack(multiple=True)
                acknowledging.acknowledged()

        await (await channel.get_queue(QUEUE)).consume(on_message)
        await acknowledging.done.wait()


async def with_faststream(url: str, batch: int, meter: Meter) -> None:
    acknowledging = _Acknowledging(batch, meter)
    app = RabbitBroker(
        url,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        default_channel=Channel(prefetch_count=2 * batch),
    )

    @app.subscriber(RabbitQueue(QUEUE, declare=False), ack_policy=AckPolicy.MANUAL, decoder=_undecoded)
    async def on_message(_body: bytes) -> None:
        if acknowledging.due():
            await app.context.get_local("message").raw_message.ack(multiple=True)
            acknowledging.acknowledged()

    async with app:
        await app.start()
        await acknowledging.done.wait()


async def _undecoded(message: RabbitMessage) -> bytes:
    return message.body
