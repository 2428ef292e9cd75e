"""What tests of publishing do beside the connectors: make them, read what arrived, and see that nothing is left.

Plain clients read: what a connector sent is seen as somebody else sees it.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiormq
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiormq.abc import DeliveredMessage

from actions.base import Answer, Connector
from actions.egress import read_egress
from actions.errors import ActionError
from actions.kafka.connector import KafkaConnector
from actions.plain import description
from actions.rabbitmq.connector import RabbitMQConnector
from actions.specs import read_spec
from tests.patience import PATIENCE

KAFKA = read_spec({"kafka.asyncapi.yaml": description("kafka")})
RABBITMQ = read_spec({"rabbitmq.asyncapi.yaml": description("rabbitmq")})
EGRESS = read_egress("127.0.0.1")
ATTEMPT = {"traceparent": "00-1-2-01", "pointsman-causation": "msg_1", "pointsman-hops": "1"}


def kafka_connector(bootstrap: str, **options: Any) -> KafkaConnector:
    return KafkaConnector("bus", KAFKA, **{"server": f"kafka://{bootstrap}", "egress": EGRESS, **options})


def rabbit_connector(url: str, **options: Any) -> RabbitMQConnector:
    return RabbitMQConnector(
        "mq",
        RABBITMQ,
        **{"server": f"amqp://{urlsplit(url).netloc.rpartition('@')[2]}", "egress": EGRESS, **options},
    )


async def publish(
    connector: Connector, id_: str = "id-1", *, deadline: float = 10.0, **arguments: Any
) -> Answer:
    """Prepare and call `publish`."""
    prepared = connector.prepare("publish", arguments, key=id_)
    return await connector.call(prepared, deadline=deadline, headers=ATTEMPT)


async def tried(connector: Connector, id_: str, *, deadline: float, **arguments: Any) -> Answer | ActionError:
    """Return the answer, or the error that a connector may raise; any other error goes on."""
    try:
        return await publish(connector, id_, deadline=deadline, **arguments)
    except ActionError as error:
        return error


@asynccontextmanager
async def calm() -> AsyncIterator[None]:
    """See that nothing is left behind: no task, no transport, no error that nobody looked at."""
    loop = asyncio.get_running_loop()
    seen: list[dict[str, Any]] = []
    before = asyncio.all_tasks()
    loop.set_exception_handler(lambda _, context: seen.append(context))
    try:
        yield
        deadline = loop.time() + PATIENCE
        while asyncio.all_tasks() - before and loop.time() < deadline:
            await asyncio.wait(asyncio.all_tasks() - before, timeout=0.1)
        assert asyncio.all_tasks() - before == set()
        gc.collect()  # what was not looked at says so when it goes; so do sockets that were not closed
        await asyncio.sleep(0)
        assert seen == []
    finally:
        loop.set_exception_handler(None)


async def records(bootstrap: str, topic: str, partitions: int = 1) -> list[Any]:
    """Return every record of a topic, up to its end as it is now."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    found: list[Any] = []
    async with consumer, asyncio.timeout(PATIENCE):
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for batch in (await consumer.getmany(place, timeout_ms=500)).values():
                    found += batch
    return found


def header(record: Any, name: str) -> str | None:
    return next((value.decode() for key, value in record.headers if key == name), None)


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[Any]:
    """Give a channel of a plain connection, with confirms off."""
    connection = await asyncio.wait_for(aiormq.connect(url), PATIENCE)
    try:
        yield await connection.channel(publisher_confirms=False)
    finally:
        await connection.close()


async def messages(url: str, queue: str) -> list[DeliveredMessage]:
    """Take everything out of a queue."""
    found: list[DeliveredMessage] = []
    async with channel(url) as taking, asyncio.timeout(PATIENCE):
        while True:
            got = await taking.basic_get(queue, no_ack=True)
            if got.delivery_tag is None:
                return found
            found.append(got)
