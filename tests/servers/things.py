"""Makes and removes what a test has of its own in a shared server: topics, queues, databases, schemas."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiormq.exceptions import ChannelNotFoundEntity

from tests.patience import PATIENCE
from tests.servers.values import PostgresServer


async def create_topic(bootstrap: str, name: str, partitions: int = 1, **config: str) -> None:
    """Make a topic and return when its partitions have a leader."""
    async with asyncio.timeout(PATIENCE), _admin(bootstrap) as admin:
        topic = NewTopic(name, partitions, 1, topic_configs=config)
        answer = await admin.create_topics([topic])
        for _, code, *words in answer.topic_errors:
            if code:
                raise for_code(code)(words)
        await until_led(admin, name, partitions)


async def until_led(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    """Wait until a topic has so many partitions, each with a leader: what was answered before is not yet everywhere."""
    async with asyncio.timeout(PATIENCE):
        while True:
            (found,) = await admin.describe_topics([topic])
            led = [part for part in found["partitions"] if not part["error_code"] and part["leader"] >= 0]
            if not found["error_code"] and len(led) == partitions:
                return
            await asyncio.sleep(0.02)


async def delete_topic(bootstrap: str, name: str) -> None:
    """Remove a topic; one that is gone is none of our business."""
    async with asyncio.timeout(PATIENCE), _admin(bootstrap) as admin:
        with contextlib.suppress(UnknownTopicOrPartitionError):
            await admin.delete_topics([name])


@contextlib.asynccontextmanager
async def _admin(bootstrap: str) -> Any:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    with quiet("aiokafka"):
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


@contextlib.contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let a driver not log what is to be expected while things come and go."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def declare_queue(url: str, name: str, kind: str = "classic", **arguments: Any) -> None:
    """Declare a durable queue of one of RabbitMQ's three kinds."""
    async with asyncio.timeout(PATIENCE), await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": kind, **arguments})


async def delete_queue(url: str, name: str) -> None:
    """Remove a queue with what is in it; one that is gone is none of our business."""
    async with asyncio.timeout(PATIENCE), await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        with contextlib.suppress(ChannelNotFoundEntity):
            await channel.queue_delete(name)


async def create_database(server: PostgresServer, name: str) -> PostgresServer:
    """Make an empty database."""
    connection = await asyncpg.connect(server.dsn, timeout=PATIENCE)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0', timeout=PATIENCE)
    finally:
        await connection.close()
    return server.of(name)


async def drop_database(server: PostgresServer) -> None:
    """Remove a database with its replication slots, whoever may still be reading them."""
    connection = await asyncpg.connect(server.of("postgres").dsn, timeout=PATIENCE)
    try:
        async with asyncio.timeout(PATIENCE):
            await drop_slots(connection, server.database)
            await connection.execute(f'DROP DATABASE IF EXISTS "{server.database}" WITH (FORCE)')
    finally:
        await connection.close()


async def drop_slots(connection: "asyncpg.Connection[Any]", database: str) -> None:
    """End all readers of the database's slots and remove the slots."""
    while rows := await connection.fetch(
        "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1", database
    ):
        for row in rows:
            if row["active_pid"] is not None:
                await connection.execute("SELECT pg_terminate_backend($1)", row["active_pid"])
            # In use still, or gone by now: look again.
            with contextlib.suppress(asyncpg.ObjectInUseError, asyncpg.UndefinedObjectError):
                await connection.execute("SELECT pg_drop_replication_slot($1)", row["slot_name"])
        await asyncio.sleep(0.02)


_REGISTERED = {"quorum": "quorum/**/names.dets", "stream": "coordination/**/names.dets"}
"""Where a queue that is replicated, and what coordinates streams, is looked up when a node starts."""


def await_queue_on_disk(directory: Path, name: str, kind: str = "classic") -> None:
    """Wait until a new queue of a node of our own outlives `kill -9`.

    RabbitMQ (3.10 at least) says that a queue is declared while a part of that is in memory: for up to two seconds
    the end of the transaction, without which it never was; for one its place in a registry, without which it has no
    leader, for ever. Killed before, the node comes back without the queue: not the fault that a test is after.
    """
    deadline = time.monotonic() + PATIENCE
    while not (_committed(directory, name) and _registered(directory, name, kind)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the {kind} queue {name} is not on disk after {PATIENCE:g} s")
        time.sleep(0.05)


def _committed(directory: Path, name: str) -> bool:
    """Say whether the log has the end of the transaction behind the name, or the tables have the name."""
    for log in directory.glob("data/*/LATEST.LOG"):
        _, found, behind = log.read_bytes().rpartition(name.encode())
        if found:
            return b"committed" in behind
    tables = list(directory.glob("data/*/rabbit_durable_queue.DC?"))
    return not tables or any(name.encode() in table.read_bytes() for table in tables)


def _registered(directory: Path, name: str, kind: str) -> bool:
    if kind not in _REGISTERED:
        return True
    word = name if kind == "quorum" else "rabbit_stream_coordinator"
    return any(word.encode() in registry.read_bytes() for registry in directory.rglob(_REGISTERED[kind]))
