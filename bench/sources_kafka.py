"""Reads a Kafka topic: with aiokafka alone, and with the source. `bench.sources` measures.

All sides read the same topic in batches of the same size, each as a group of its own, and commit each batch.
"""

import argparse
import contextlib
import functools
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.reading import SOURCE, Meter, Read, Took, order, source_alone, source_stored
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig

PARTITIONS: Final = 3
MATCH: Final[dict[str, Any]] = {"type": ["kafka.record"], "data": {"currency": ["EUR"]}}


class Topic:
    """A filled topic, and the ways to read it."""

    name = "kafka"

    def __init__(self, servers: str, topic: str, options: argparse.Namespace) -> None:
        self._servers = servers
        self._topic = topic
        self._messages: int = options.messages
        self.batches: Sequence[int] = options.batches or (50, 500, 1000)
        self.cases: dict[str, Read] = {"aiokafka getmany": self._bare}
        if options.more:
            self.cases["source, decode: bytes"] = functools.partial(self._alone, decode="bytes")
        self.cases["source"] = self._alone
        self.cases["source, rules, SQLite"] = self._stored

    async def _bare(self, batch: int) -> Took:
        consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._servers,
            group_id=secrets.token_hex(6),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        meter = Meter(self._messages)
        async with consumer:
            count = 0
            while not meter.add(count):
                found: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(
                    timeout_ms=500, max_records=batch
                )
                if found:
                    await consumer.commit({one: part[-1].offset + 1 for one, part in found.items()})
                count = sum(map(len, found.values()))
            return meter.took()

    async def _alone(self, batch: int, decode: str = "auto") -> Took:
        return await source_alone(self._source(batch, decode), self._messages)

    async def _stored(self, batch: int) -> Took:
        return await source_stored(self._source(batch, "auto"), self._messages, MATCH)

    def _source(self, batch: int, decode: str) -> KafkaSource:
        config = KafkaConfig(
            kind="kafka",
            servers=(self._servers,),
            topics=(self._topic,),
            group=secrets.token_hex(6),
            batch=batch,
            decode=decode,
        )
        return KafkaSource(SOURCE, config)


@contextlib.asynccontextmanager
async def topic(servers: str, options: argparse.Namespace) -> AsyncIterator[Topic]:
    """Make and fill a topic to be read; delete it afterwards."""
    async with filled(servers, options.messages) as name:
        yield Topic(servers, name, options)


@contextlib.asynccontextmanager
async def filled(servers: str, messages: int) -> AsyncIterator[str]:
    """Make and fill a topic; delete it afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
        try:
            await _fill(servers, name, messages)
            yield name
        finally:
            await admin.delete_topics([name])
    finally:
        await admin.close()


async def _fill(servers: str, name: str, messages: int) -> None:
    """Write so many records to a topic."""
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=20, max_batch_size=262_144) as producer:
        for number in range(messages):
            key = b"c-%d" % (number % 97)
            await producer.send(name, order(number), key=key, partition=number % PARTITIONS)
        await producer.flush()
