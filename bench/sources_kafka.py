"""Measures the Kafka source beside the bare driver: records per second, and CPU per record.

The broker is a real one; both sides read the same topic in the same process, in batches of the same size, and
commit each batch. Our side decodes every record and hands it to an `emit` that stores nothing. Only the CPU of
this process counts; the best of some runs is shown, since the machine has other work.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from triggers.base import Accepted, Item, SourceContext
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig

BATCHES: Final = (50, 500, 1000)
RUNS: Final = 3
_BODY: Final = (
    '{"id":%d,"type":"order.paid","customer":{"id":"c-%d","name":"Anna Example"},"total":%d.50,'
    '"currency":"EUR","items":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"note":"leave at the door"}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How long one way of reading took for all records."""

    name: str
    batch: int
    records: int
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"{self.name:<28} batch {self.batch:>5}  {self.records / self.seconds:>9,.0f}/s"
            f"  {self.cpu / self.records * 1e6:>6.2f} µs CPU each  {self.records / self.cpu:>9,.0f} per CPU s"
        )


class _Enough(Exception):
    """All records were read."""


async def fill(servers: str, records: int, partitions: int = 3) -> str:
    """Make a topic with so many records and return its name."""
    topic = f"bench_{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=20, max_batch_size=262_144) as producer:
        for number in range(records):
            body = (_BODY % (number, number % 97, number % 1000)).encode()
            await producer.send(topic, body, key=b"c-%d" % (number % 97), partition=number % partitions)
        await producer.flush()
    return topic


async def bare(servers: str, topic: str, batch: int, records: int) -> Figure:
    """Read with aiokafka alone."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=secrets.token_hex(6),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    async with consumer:
        read, began, used = 0, time.perf_counter(), time.process_time()
        while read < records:
            found: Mapping[TopicPartition, Sequence[object]] = await consumer.getmany(
                timeout_ms=500, max_records=batch
            )
            if found:
                read += sum(map(len, found.values()))
                await consumer.commit({one: part[-1].offset + 1 for one, part in found.items()})  # type: ignore[attr-defined]
        return _figure("aiokafka getmany", batch, records, began, used)


async def ours(servers: str, topic: str, batch: int, records: int, decode: str = "auto") -> Figure:
    """Read with the source."""
    config = KafkaConfig(
        kind="kafka",
        servers=(servers,),
        topics=(topic,),
        group=secrets.token_hex(6),
        batch=batch,
        decode=decode,
    )
    source = KafkaSource("bench", config)
    read = 0
    began = used = 0.0

    async def emit(items: Sequence[Item], positions: Mapping[str, bytes | None] | None = None) -> Accepted:
        nonlocal read, began, used
        del positions
        if not began:  # the first call says where the partitions begin
            began, used = time.perf_counter(), time.process_time()
        read += len(items)
        if read >= records:
            raise _Enough
        return Accepted(new=len(items))

    context = SourceContext(
        name="bench", reached=lambda _: None, clock=time.time, expression=lambda _: lambda _: None
    )
    await source.open(context)
    with contextlib.suppress(_Enough):
        await source.run(emit)
    figure = _figure(f"the source, decode: {decode}", batch, records, began, used)
    await source.close()
    return figure


def _figure(name: str, batch: int, records: int, began: float, used: float) -> Figure:
    return Figure(
        name=name,
        batch=batch,
        records=records,
        seconds=time.perf_counter() - began,
        cpu=time.process_time() - used,
    )


async def bench(servers: str, records: int = 60_000) -> list[Figure]:
    """Measure both sides by turns and return the best of each."""
    topic = await fill(servers, records)
    best = []
    for batch in BATCHES:
        for measure in (bare, ours):
            figures = [await measure(servers, topic, batch, records) for _ in range(RUNS)]
            best.append(min(figures, key=lambda figure: figure.cpu))
            print(best[-1], flush=True)
    best.append(await ours(servers, topic, 500, records, "bytes"))
    print(best[-1], flush=True)
    return best


if __name__ == "__main__":
    asyncio.run(bench(sys.argv[1] if len(sys.argv) > 1 else os.environ["POINTSMAN_BENCH_KAFKA"]))
