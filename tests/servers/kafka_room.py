"""What tests do at a Kafka cluster beside the source under test, by clients of their own."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.structs import OffsetAndMetadata

from tests.servers import things
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.offsets import Partition
from triggers.kafka.security import link


class KafkaRoom:
    """One cluster."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @contextlib.asynccontextmanager
    async def producer(self, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
        """Give a producer."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, **settings)
        with things.quiet("aiokafka"):
            await producer.start()
            try:
                yield producer
            finally:
                await producer.stop()

    async def produce(
        self,
        topic: str,
        values: Iterable[bytes | None],
        *,
        partition: int | None = 0,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int | None = None,
        **settings: Any,
    ) -> list[int]:
        """Send records in this order and return their offsets."""
        async with self.producer(**settings) as producer:
            sent = [
                await producer.send(
                    topic, value, key=key, partition=partition, headers=list(headers), timestamp_ms=timestamp
                )
                for value in values
            ]
            return [(await one).offset for one in sent]

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """Give an admin client."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        with things.quiet("aiokafka"):
            await admin.start()
            try:
                yield admin
            finally:
                await admin.close()

    @contextlib.asynccontextmanager
    async def cluster(self) -> AsyncIterator[Cluster]:
        """Give the source's own way to ask a cluster, in another client's name."""
        config = KafkaConfig(kind="kafka", servers=tuple(self.bootstrap.split(",")), topics=("any",))
        cluster = Cluster(config.servers, link(config, "tests", None))
        try:
            yield cluster
        finally:
            await cluster.close()

    @contextlib.asynccontextmanager
    async def consumer(self, group: str) -> AsyncIterator[AIOKafkaConsumer]:
        """Give a client that speaks for a group that nobody is in, without joining it."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False
        )
        with things.quiet("aiokafka"):
            await consumer.start()
            try:
                yield consumer
            finally:
                await consumer.stop()

    async def set_group(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Set the offset of a group that nobody is in, as operators do."""
        async with self.consumer(group) as consumer:
            one = TopicPartition(topic, partition)
            consumer.assign([one])
            await consumer.commit({one: offset})

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """Return the offset that a group has committed."""
        async with self.admin() as admin:
            found: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(group)
        place = found.get(TopicPartition(topic, partition))
        return place.offset if place is not None else None

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the end of each partition."""
        async with self.cluster() as cluster:
            known = await cluster.metadata([topic])
            logs = await cluster.logs([Partition(topic, one) for one in known.topics[topic].leaders])
        return {one.partition: log.end for one, log in logs.items()}

    async def left(self, group: str, topic: str) -> int:
        """Return how many records a group has not committed."""
        left = 0
        async with self.admin() as admin:
            found = await admin.list_consumer_group_offsets(group)
        for partition, end in (await self.ends(topic)).items():
            place = found.get(TopicPartition(topic, partition))
            left += end - (place.offset if place is not None else 0)
        return left

    async def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """Throw away the records before an offset, as retention does."""
        async with self.admin() as admin:
            await admin.delete_records({TopicPartition(topic, partition): _records(offset)})

    async def add_partitions(self, topic: str, total: int) -> None:
        """Give a topic more partitions, and return when they can be written to."""
        async with self.admin() as admin:
            await admin.create_partitions({topic: NewPartitions(total)})
            await things.until_led(admin, topic, total)


def _records(offset: int) -> Any:
    from aiokafka.admin import RecordsToDelete

    return RecordsToDelete(offset)
