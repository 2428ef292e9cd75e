"""Measures the RabbitMQ source beside the bare drivers: messages a second, CPU of this process per message.

`python -m bench sources_rabbitmq [--messages N] [--url amqp://…]`. Each case empties a durable queue that was
filled before; acknowledged is what came, in one go for each batch. Without `--url` a broker is started here.
The source's `emit` stores nothing, so that the source alone is seen. Nothing here fails by time.
"""

import argparse
import asyncio
import contextlib
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiormq
import uvloop
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from pamqp.commands import Basic

from bench.figures import Row, Table
from service.demo.servers import LocalRabbitMQ
from triggers.base import Accepted, Item, SourceContext
from triggers.rabbitmq import RabbitMQConfig, RabbitMQSource

BODY = (
    b'{"order": {"id": "o-1029", "total": 129.5, "lines": [{"sku": "a-1", "n": 2}, {"sku": "b-2", "n": 1}]}}'
)
QUEUE = "pointsman-bench"
PREFETCH = 400

Case = Callable[[str, int, int], Awaitable[None]]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=20_000, help="messages of each case (20000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the best of each case counts (3)")
    parser.add_argument("--batches", type=int, nargs="+", default=[200], help="sizes of a batch (200)")
    parser.add_argument("--url", default="", help="a broker of user guest; absent: one is started")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure all cases in turn, round by round."""
    for batch in options.batches:
        rows = uvloop.run(bench(options.url, options.messages, batch, options.rounds))
        yield Table(f"RabbitMQ, classic queue, {len(BODY)} bytes, batches of {batch}", rows)


async def bench(url: str, messages: int, batch: int, rounds: int) -> list[Row]:
    """Return a row for each case: the best of its rounds."""
    cases: dict[str, Case] = {
        "aiormq": with_aiormq,
        "aio-pika": with_aio_pika,
        "FastStream, manual": with_faststream,
        "source": with_source,
    }
    best: dict[str, tuple[float, float]] = {}
    async with broker(url) as address:
        for _ in range(rounds):
            for name, case in cases.items():
                await fill(address, messages)
                gc.collect()
                cpu, wall = time.process_time(), time.perf_counter()
                await case(address, messages, batch)
                took = time.process_time() - cpu, time.perf_counter() - wall
                best[name] = min(took, best.get(name, took))
    bare = best["aio-pika"][0]
    return [
        {
            "case": name,
            "messages/s": round(messages / wall),
            "CPU µs/message": round(cpu / messages * 1e6, 1),
            "messages/CPU s": round(messages / cpu),
            "to aio-pika": round(bare / cpu, 2),
        }
        for name, (cpu, wall) in best.items()
    ]


@contextlib.asynccontextmanager
async def broker(url: str) -> AsyncIterator[str]:
    """Give the address of a broker: the one named, or one that is started for this."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        server = LocalRabbitMQ(Path(folder) / "rabbitmq")
        try:
            await server.start()
            yield server.url
        finally:
            server.end()


async def fill(url: str, messages: int) -> None:
    """Make the queue anew and fill it."""
    async with aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(QUEUE)
        await channel.queue_declare(QUEUE, durable=True)
        waiting: list[Awaitable[Any]] = []
        for number in range(messages):
            properties = Basic.Properties(
                message_id=f"m-{number}",
                content_type="application/json",
                delivery_mode=2,
                headers={"tenant": "t-1", "attempt": 1},
            )
            waiting.append(channel.basic_publish(BODY, routing_key=QUEUE, properties=properties))
            if len(waiting) == 500:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)


async def with_aiormq(url: str, messages: int, batch: int) -> None:
    done = asyncio.get_running_loop().create_future()
    async with aiormq.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_qos(prefetch_count=PREFETCH)
        seen = 0

        async def on_message(message: aiormq.abc.DeliveredMessage) -> None:
            nonlocal seen
            seen += 1
            if seen % batch == 0 or seen == messages:
                await channel.basic_ack(message.delivery_tag or 0, multiple=True, wait=False)
            if seen == messages:
                done.set_result(None)

        await channel.basic_consume(QUEUE, on_message)
        await done


async def with_aio_pika(url: str, messages: int, batch: int) -> None:
    done = asyncio.get_running_loop().create_future()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(QUEUE)
        seen = 0

        async def on_message(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            nonlocal seen
            seen += 1
            if seen % batch == 0 or seen == messages:
                await message.ack(multiple=True)
            if seen == messages:
                done.set_result(None)

        await queue.consume(on_message)
        await done


async def with_faststream(url: str, messages: int, batch: int) -> None:
    done = asyncio.get_running_loop().create_future()
    app = RabbitBroker(
        url,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        default_channel=Channel(prefetch_count=PREFETCH),
    )
    seen = 0

    @app.subscriber(RabbitQueue(QUEUE, declare=False), ack_policy=AckPolicy.MANUAL, decoder=_undecoded)
    async def on_message(_body: bytes) -> None:
        nonlocal seen
        seen += 1
        message = app.context.get_local("message")
        if seen % batch == 0 or seen == messages:
            await message.raw_message.ack(multiple=True)
        if seen == messages:
            done.set_result(None)

    async with app:
        await app.start()
        await done


async def _undecoded(message: RabbitMessage) -> bytes:
    return message.body


async def with_source(url: str, messages: int, batch: int) -> None:
    parts = urlsplit(url)
    config = RabbitMQConfig.model_validate(
        {"kind": "rabbitmq", "url": f"amqp://{parts.hostname}:{parts.port}", "queue": QUEUE, "batch": batch}
    )
    source = RabbitMQSource("bench", config)
    seen = 0
    done = asyncio.Event()

    def reached(point: str) -> None:
        if seen == messages and point == "rabbitmq.after_ack":
            done.set()

    async def emit(items: Sequence[Item], positions: Mapping[str, bytes | None] | None = None) -> Accepted:
        nonlocal seen
        assert positions is None
        seen += len(items)
        return Accepted(new=len(items))

    def no_expression(text: str) -> Any:
        raise ValueError(text)

    await source.open(SourceContext(name="bench", reached=reached, clock=time.time, expression=no_expression))
    running = asyncio.create_task(source.run(emit))
    await done.wait()
    running.cancel()
    await asyncio.wait({running})
    await source.close()
