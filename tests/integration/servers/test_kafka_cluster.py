"""Three brokers: leaders and coordinators move while records come, and nothing is lost (F39)."""

import asyncio
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from tests.integration.servers.kafka_runs import Runs, eventually, idle, until_or_ended
from tests.servers.kafka_room import KafkaRoom
from triggers.kafka.offsets import Partition

COPIES = {
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "1",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "auto.create.topics.enable": "false",
}


@pytest.fixture
async def cluster(make_kafka) -> list[Any]:
    """Start three brokers that are one cluster."""
    given: list[dict[str, str]] = [{**COPIES, "node.id": str(number)} for number in (1, 2, 3)]
    servers = [make_kafka(extra=extra) for extra in given]
    voters = ",".join(f"{n}@127.0.0.1:{one._controller_port}" for n, one in enumerate(servers, start=1))
    for extra in given:
        extra["controller.quorum.voters"] = voters
    # A broker alone has no quorum: they come up together or not at all.
    await asyncio.gather(*(server.start() for server in servers))
    return servers


async def test_leaders_and_coordinators_that_move_cost_no_record(cluster: list[Any]) -> None:
    room = KafkaRoom(",".join(server.bootstrap for server in cluster))
    async with room.admin() as admin:
        await admin.create_topics([NewTopic("orders", 6, 3)])
    for server in cluster:  # a broker learns of a topic a moment after the controller made it
        await eventually(lambda server=server: _knows(server), lambda known: known)
    runs = Runs(room, "orders")
    sent: list[bytes] = []

    async def produce(count: int) -> None:
        async with room.producer(acks="all", enable_idempotence=True) as producer:
            for _ in range(count):
                value = b"%d" % len(sent)
                await producer.send_and_wait("orders", value, partition=len(sent) % 6)
                sent.append(value)

    servers = [server.bootstrap for server in cluster]
    async with runs.run(servers=servers, unreachable_after="60s", request_timeout="3s") as running:
        await produce(60)
        await until_or_ended(runs.values(60), running)
        for server in cluster:
            number = cluster.index(server) + 1
            led = await _led_by(room, number)
            server.kill()
            await produce(30)
            await until_or_ended(runs.values(len(sent)), running)
            assert led, "no partition was led by the broker that died"
            await server.start()
            await eventually(lambda: _copies(room), lambda least: least == 3)
        await idle(running)
    assert sorted(message.data or b"" for message in runs.emitted.messages) == sorted(sent)
    assert runs.emitted.repeats == []
    assert runs.emitted.notices == []


async def _knows(server: Any) -> bool:
    async with KafkaRoom(server.bootstrap).cluster() as asked:
        topic = (await asked.metadata(["orders"])).topics["orders"]
    return not topic.error and len(topic.leaders) == 6


async def _led_by(room: KafkaRoom, broker: int) -> list[Partition]:
    async with room.cluster() as asked:
        leaders = (await asked.metadata(["orders"])).topics["orders"].leaders
    return [Partition("orders", one) for one, leader in leaders.items() if leader == broker]


async def _copies(room: KafkaRoom) -> int:
    """Return the least number of copies in sync of any partition, those of the groups' offsets included."""
    async with room.admin() as admin:
        topics = await admin.describe_topics(["orders", "__consumer_offsets"])
    return min(len(part["isr"]) for topic in topics for part in topic["partitions"])
