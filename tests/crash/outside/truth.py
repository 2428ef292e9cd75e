"""What there really was outside, read at the end by plain clients: every record of the topic, everything published."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import aio_pika
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.crash import journal
from tests.crash.generator import digest
from tests.crash.journal import Journal
from tests.crash.outside.room import PARTITIONS, Room

WITHIN: Final = 30.0
"""Seconds for reading a topic or a queue."""


async def write_log(room: Room, path: Path) -> dict[int, int]:
    """Write down every record of the topic; return where each partition ends."""
    if "kafka" not in room.kinds:
        return {}
    records, ends = await _records(room.kafka, room.topic, PARTITIONS)
    out = Journal(path)
    for record in records:
        try:
            data = msgspec.json.decode(record.value)
        except msgspec.DecodeError:
            data = {"uid": "", "kind": "bad"}
        out.write(
            e="record",
            at=record.timestamp / 1000,
            id=f"{record.partition}:{record.offset}",
            uid=data["uid"],
            kind=data["kind"],
            body=digest(record.value),
        )
    out.close()
    return ends


def write_items(items: Path, path: Path) -> None:
    """Write down which items the backend has shown by now."""
    out = Journal(path)
    for record in journal.read(items):
        out.write(e="item", **record)
    out.close()


async def write_published(room: Room, path: Path) -> None:
    """Write down everything that rules published."""
    out = Journal(path)
    if "rabbitmq" in room.kinds:
        for record in (await _records(room.kafka, room.out_topic, 1))[0]:
            headers = {name: value.decode() for name, value in record.headers}
            out.write(e="out", rule="passed", **_published(headers, headers["ce_id"], record.value))
    if "kafka" in room.kinds:
        async for message in _messages(room):
            headers = {name: str(value) for name, value in message.headers.items()}
            out.write(e="out", rule="forwarded", **_published(headers, headers["ce-id"], message.body))
    out.write(e="end", at=time.time())
    out.close()


def _published(headers: dict[str, str], identity: str, body: bytes) -> dict[str, Any]:
    return {
        "key": identity,
        "cause": headers["pointsman-causation"],
        "body": digest(body),
        "uid": msgspec.json.decode(body)["uid"],
    }


async def _records(bootstrap: str, topic: str, partitions: int) -> tuple[list[Any], dict[int, int]]:
    """Return all records of a topic, and the offset behind the last of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    parts = [TopicPartition(topic, number) for number in range(partitions)]
    found: list[Any] = []
    async with asyncio.timeout(WITHIN):
        await consumer.start()
        try:
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            left = {part for part in parts if ends[part]}
            while left:
                for part, records in (await consumer.getmany(timeout_ms=500)).items():
                    found += records
                    if records[-1].offset + 1 >= ends[part]:
                        left.discard(part)
        finally:
            await consumer.stop()
    return found, {part.partition: end for part, end in ends.items()}


async def _messages(room: Room) -> Any:
    """Yield all messages of the queue that rules publish to."""
    async with asyncio.timeout(WITHIN), await aio_pika.connect(room.amqp, timeout=5) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(room.out_queue, passive=True)
        while (message := await queue.get(no_ack=True, fail=False)) is not None:
            yield message
