"""The demo in a Kafka cluster: two topics and a consumer group, one record in, one record out."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError, for_code
from typing_extensions import override

from service.demo.guests.base import WITHIN, Guest, Order, told
from service.errors import Unavailable

_MILLISECONDS: Final = int(WITHIN * 1000)
_SERVER: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\],]+)):([0-9]{1,5})", re.ASCII)


class KafkaGuest(Guest):
    """A guest of a cluster that asks for no login."""

    kind: ClassVar[str] = "kafka"
    title: ClassVar[str] = "Kafka"
    event: ClassVar[str] = "record"
    usual: ClassVar[str] = "127.0.0.1:9092"
    example: ClassVar[str] = "127.0.0.1:9092"
    failures: ClassVar[tuple[type[Exception], ...]] = (KafkaError, OSError, TimeoutError)

    @override
    def __init__(self, address: str, name: str, orders: str = "") -> None:
        super().__init__(address, name, orders)
        self._servers: Final = address.split(",")
        self._hosts: Final[set[str]] = set()
        for server in self._servers:
            found = _SERVER.fullmatch(server)
            if found is None or not 0 < int(found[3]) < 65_536:
                raise ValueError("write host:port, without a scheme")
            self._hosts.add(found[1] or found[2])
        self._shipped: Final = f"{name}_shipped"

    @property
    @override
    def place(self) -> str:
        return self.address

    @override
    async def refusal(self) -> str:
        try:
            async with asyncio.timeout(WITHIN), self._admin() as admin:
                cluster = await admin.describe_cluster()
        except self.failures as error:
            return told(error)
        # Publishing may call brokers by these names alone.
        self._hosts.update(str(broker["host"]) for broker in cluster["brokers"])
        return ""

    @override
    async def arrive(self) -> None:
        with self.mapped("making topics"):
            async with asyncio.timeout(WITHIN), self._admin() as admin:
                topics = [NewTopic(name, 1, 1) for name in (self.orders, self._shipped)]
                for _, code, *words in (await admin.create_topics(topics)).topic_errors:
                    if code:
                        raise for_code(code)(*words)
                await _led(admin, [self.orders, self._shipped])

    @override
    def values(self) -> dict[str, Any]:
        return {
            "servers": self._servers,
            "server": f"kafka://{self.address}",
            "hosts": sorted(self._hosts),
            "orders": self.orders,
            "shipped": self._shipped,
            "group": self.name,
        }

    @override
    async def bring(self, order: Order) -> str:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, request_timeout_ms=_MILLISECONDS, acks="all"
        )
        with self.mapped("producing a record"):
            async with asyncio.timeout(WITHIN):
                try:
                    await producer.start()
                    sent = await producer.send_and_wait(self.orders, order.event(), key=order.id.encode())
                finally:
                    await producer.stop()
        return f"topic {self.orders}, offset {sent.offset}"

    @override
    async def answer(self, order: Order, patience: float) -> str:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        with self.mapped(f"no record for {order.id} came to {self._shipped} within {patience:g} s"):
            async with asyncio.timeout(patience):
                try:
                    await consumer.start()
                    consumer.assign([TopicPartition(self._shipped, 0)])
                    async for record in consumer:
                        if record.key == order.id.encode():
                            return f"published on to topic {self._shipped}, offset {record.offset}"
                finally:
                    await consumer.stop()
        raise Unavailable(f"{self.title} at {self.place}: {self._shipped} ended")

    @override
    async def leave(self) -> None:
        """Remove the topics, and with them the group's offsets; the cluster forgets a group without any."""
        topics = [self.orders, self._shipped]
        with self.mapped(f"removing topics {', '.join(topics)}"):
            async with asyncio.timeout(WITHIN), self._admin() as admin:
                with contextlib.suppress(UnknownTopicOrPartitionError):
                    await admin.delete_topics(topics)

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, request_timeout_ms=_MILLISECONDS)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()


async def _led(admin: AIOKafkaAdminClient, topics: list[str]) -> None:
    """Wait until every topic has a partition with a leader; the cluster tells nobody when."""
    while True:
        found = await admin.describe_topics(topics)
        parts = [part for topic in found for part in topic["partitions"] if not part["error_code"]]
        if len(parts) == len(topics) and all(part["leader"] >= 0 for part in parts):
            return
        await asyncio.sleep(0.02)
