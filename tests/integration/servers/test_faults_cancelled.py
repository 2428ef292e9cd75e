"""F20: a driver cancels what we wait for, from inside. That is an end of the connection, not of the service.

The drivers' own tasks and futures are cancelled while they work on real servers; nobody has asked our run or
call to end, so neither may take it for that, nor go on as if nothing had happened.
"""

import asyncio

import pytest

from actions.base import Answer
from actions.errors import OutcomeUnknown
from actions.kafka.producer import Producer
from tests.fakes.sources import Emitted
from tests.integration.servers import rabbit_faults
from tests.integration.servers.kafka_runs import Runs, until_or_ended
from tests.integration.servers.postgres_room import room_of
from tests.patience import PATIENCE
from tests.servers import things
from tests.servers.kafka_room import KafkaRoom
from tests.servers.publish_room import calm, kafka_connector, messages, rabbit_connector, records, tried
from tests.servers.rabbit_room import RabbitRoom
from triggers.errors import SourceUnavailable


async def test_f20_a_kafka_driver_that_cancels_its_own_work_ends_the_run(kafka, kafka_topic):
    runs = Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="cancelled"))
    await runs.room.produce(runs.topic, [b"1", b"2"])
    async with runs.run() as running:
        await until_or_ended(runs.values(2), running)
        running.source._member._consumer._coordinator._coordination_task.cancel()
        error = await running.ended()
    assert isinstance(error, SourceUnavailable), error
    assert "gave up" in str(error)
    await runs.room.produce(runs.topic, [b"3"])
    assert await runs.read(3) == [b"1", b"2", b"3"]
    assert runs.emitted.repeats == []


@pytest.mark.parametrize("task", ["_reader_task", "_writer_task"])
async def test_f20_a_rabbitmq_driver_that_cancels_its_own_work_ends_the_run(rabbitmq, rabbit_queue, task):
    room, queue, emitted = RabbitRoom(rabbitmq.url, rabbitmq.management), await rabbit_queue(), Emitted()
    config = rabbit_faults.config(room, queue)
    await rabbit_faults.publish(room, queue, 2)
    async with rabbit_faults.opened(config, emitted) as run:
        run.start()
        await rabbit_faults.until(run, lambda: len(emitted.items) == 2, "both are stored")
        getattr(run.source._feed._link._connection, task).cancel()
        error = await run.ended()
    assert isinstance(error, SourceUnavailable), error
    await rabbit_faults.publish(room, queue, 1, start=2)
    await rabbit_faults.takes(config, emitted, lambda: 2 in rabbit_faults.numbers(emitted), "the third")
    assert emitted.conflicts == []


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_f20_a_cancellation_inside_one_task_of_a_postgres_run_ends_all_of_it(pg_database, mode):
    """A task group takes a task that was cancelled for one that has done its work, and goes on without it."""

    def gives_up(name: str) -> None:
        if name == "postgres.before_confirm" and room.emitted.messages:
            raise asyncio.CancelledError

    async with room_of(pg_database.dsn) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        config = room.config(mode=mode)
        await room.set_up(config)
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        async with room.running(config, gives_up) as run:
            error = await run.ended()
        assert isinstance(error, SourceUnavailable), error
        await room.sql.execute("INSERT INTO orders VALUES (2)")
        async with room.running(config) as run:
            await run.until(lambda: 2 in room.ids(), "the second row")
        assert room.ids() == [1, 2]
        assert room.emitted.repeats == []


async def test_f20_a_confirmation_that_the_rabbitmq_driver_cancels_is_an_unknown_outcome(make_rabbitmq):
    server = make_rabbitmq(management=False)
    await server.start()
    await things.declare_queue(server.url, "q")
    async with calm():
        connector = rabbit_connector(server.url)
        assert isinstance(await tried(connector, "first", deadline=PATIENCE, routing_key="q", body=1), Answer)
        server.freeze()
        try:
            call = asyncio.ensure_future(tried(connector, "cut", deadline=PATIENCE, routing_key="q", body=2))
            confirmations = connector._current._channel.confirmations
            await rabbit_faults.eventually(lambda: bool(confirmations), "it waits for its confirmation")
            for future in list(confirmations.values()):
                future.cancel()
            outcome = await asyncio.wait_for(call, 2 * PATIENCE)
            assert isinstance(outcome, OutcomeUnknown), outcome
        finally:
            server.thaw()
        async with asyncio.timeout(PATIENCE):
            while not isinstance(
                await tried(connector, "cut", deadline=PATIENCE, routing_key="q", body=2), Answer
            ):
                pass
        await connector.close()
    ids = [message.header.properties.message_id for message in await messages(server.url, "q")]
    assert ids.count("first") == 1
    assert ids.count("cut") in {1, 2}


async def test_f20_a_record_that_the_kafka_driver_gives_up_is_an_unknown_outcome(
    kafka, kafka_topic, monkeypatch
):
    topic = await kafka_topic(prefix="cancelled")
    hand_over = Producer.hand_over

    async def given_up(producer, record, partition):
        future = await hand_over(producer, record, partition)
        future.cancel()
        return future

    async with calm():
        connector = kafka_connector(kafka.bootstrap)
        assert isinstance(await tried(connector, "first", deadline=PATIENCE, topic=topic, body=1), Answer)
        monkeypatch.setattr(Producer, "hand_over", given_up)
        outcome = await tried(connector, "cut", deadline=PATIENCE, topic=topic, body=2)
        assert isinstance(outcome, OutcomeUnknown), outcome
        monkeypatch.setattr(Producer, "hand_over", hand_over)
        assert isinstance(await tried(connector, "cut", deadline=PATIENCE, topic=topic, body=2), Answer)
        await connector.close()
    assert {record.value for record in await records(kafka.bootstrap, topic)} == {b"1", b"2"}
