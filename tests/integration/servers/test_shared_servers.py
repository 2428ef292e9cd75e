"""The shared servers answer their clients, and what a test makes in them is its own."""

import aio_pika
import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.servers.values import KafkaServer, PostgresSchema, PostgresServer, RabbitServer


async def test_kafka_takes_and_gives_records(kafka: KafkaServer, kafka_topic) -> None:
    topic = await kafka_topic(partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"one", key=b"k")
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, group_id=topic, auto_offset_reset="earliest"
    )
    async with consumer:
        assert (await consumer.getone()).value == b"one"


async def test_rabbitmq_takes_and_gives_messages_of_each_kind_of_queue(
    rabbitmq: RabbitServer, rabbit_queue
) -> None:
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        for kind in ("classic", "quorum"):
            name = await rabbit_queue(kind)
            await channel.default_exchange.publish(aio_pika.Message(b"one"), name)
            queue = await channel.get_queue(name)
            message = await queue.get()
            await message.ack()
            assert message.body == b"one"
        await rabbit_queue("stream")


async def test_postgres_has_a_database_for_each_test_that_decodes_its_changes(
    pg_database: PostgresServer,
) -> None:
    connection = await asyncpg.connect(pg_database.dsn)
    await connection.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    slot = pg_database.database
    await connection.execute(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    await connection.execute("INSERT INTO t VALUES (1)")
    rows = await connection.fetch(
        f"SELECT data FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL, 'proto_version', '1',"
        " 'publication_names', 'p')"
    )
    assert [bytes(row["data"])[:1] for row in rows] == [b"B", b"R", b"I", b"C"]
    await connection.close()  # the slot stays: the fixture has to remove it


async def test_postgres_has_a_schema_for_each_test(pg_schema: PostgresSchema) -> None:
    connection = await asyncpg.connect(pg_schema.dsn)
    await connection.execute(f"CREATE TABLE {pg_schema.name}.t (id int)")
    await connection.close()
