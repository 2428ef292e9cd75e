"""What the RabbitMQ source brings from a real broker: order, batches, bindings, dialects, streams."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from pamqp.commands import Basic

from tests.fakes.sources import Emitted
from tests.integration.servers.rabbit_faults import (
    config,
    connected,
    eventually,
    numbers,
    opened,
    publish,
    takes,
    until,
)
from tests.patience import PATIENCE
from tests.servers import unique
from tests.servers.rabbit_room import RabbitRoom
from tests.servers.values import RabbitServer
from triggers.base import Notice
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.message import document

Queue = Callable[..., Awaitable[str]]


@pytest.fixture
def room(rabbitmq: RabbitServer) -> RabbitRoom:
    return RabbitRoom(rabbitmq.url, rabbitmq.management)


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


# -- queues


async def test_a_batch_is_what_came_while_the_one_before_was_stored(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    emitted.block()
    async with opened(config(room, queue, batch=50), emitted) as run:
        run.start()
        await connected(run)
        await publish(room, queue, 1)
        await emitted.until(lambda: emitted.in_flight == 1, "the first is under way, alone")
        await publish(room, queue, 119, start=1)
        feed = run.source._feed
        await eventually(lambda: feed.received == 100, "as many as are sent ahead have come")
        emitted.release()
        await until(run, lambda: len(emitted.items) == 120, "all are stored")
    assert [len(batch) for batch in emitted.batches[:2]] == [1, 50]
    assert numbers(emitted) == list(range(120))
    assert await room.left(queue) == 0


async def test_a_lone_message_waits_for_nobody(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    async with opened(config(room, queue), emitted) as run, room.channel() as channel:
        run.start()
        await connected(run)
        took = []
        for number in range(20):
            began = time.perf_counter()
            await channel.basic_publish(b"%d" % number, routing_key=queue, properties=Basic.Properties())
            await until(run, lambda: len(emitted.items) == number + 1, "it is stored")  # noqa: B023 - awaited here
            took.append(time.perf_counter() - began)
    assert min(took) < 0.1  # one that waited for more would do so each time


async def test_large_messages_make_small_batches(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    body = b"x" * (3 * 1024 * 1024)
    await room.publish(queue, [body] * 6, content_type="text/plain")
    await takes(config(room, queue), emitted, lambda: len(emitted.items) == 6, "all are stored")
    assert all(sum(len(item.data) for item in batch) <= 11 * 1024 * 1024 for batch in emitted.batches)


async def test_a_message_that_is_too_large_is_kept_as_a_reject(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    await room.publish(queue, [b"x" * 2000])
    await publish(room, queue, 1)
    made = config(room, queue, max_message="1kB")
    await takes(made, emitted, lambda: len(emitted.items) == 2, "both are kept")
    assert [(reject.reason, len(reject.data)) for reject in emitted.rejects] == [("too-large", 2000)]
    assert await room.left(queue) == 0


async def test_the_same_id_is_the_same_message(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    await room.publish(queue, [b"1", b"1", b"2"], message_id="same")
    made = config(room, queue)
    await takes(made, emitted, lambda: len(emitted.offered) == 3, "all were brought")
    assert (len(emitted.items), len(emitted.repeats), len(emitted.conflicts)) == (1, 1, 1)
    assert await room.left(queue) == 0


async def test_a_queue_is_made_and_bound_as_configured(room: RabbitRoom, emitted: Emitted) -> None:
    queue, topic, headers = unique("bound"), unique("topic"), unique("headers")
    made = config(
        room,
        queue,
        declare={"type": "quorum", "arguments": {"x-delivery-limit": 5}},
        bindings=[
            {"exchange": topic, "routing_key": "orders.#", "declare": {"type": "topic"}},
            {
                "exchange": headers,
                "arguments": {"x-match": "all", "kind": "order"},
                "declare": {"type": "headers"},
            },
        ],
    )
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await room.publish("orders.eu.new", [b"1"], exchange=topic)
        await room.publish("invoices", [b"2"], exchange=topic)
        await room.publish("", [b"3"], exchange=headers, headers={"kind": "order"})
        await room.publish("", [b"4"], exchange=headers, headers={"kind": "other"})
        await until(run, lambda: len(emitted.items) == 2, "what is bound comes")
    assert [(item.data, item.meta["exchange"]) for item in emitted.messages] == [
        (b"1", topic),
        (b"3", headers),
    ]
    async with opened(made, emitted) as run:
        steps = await run.source.teardown(apply=True)
    assert [step.done for step in steps] == [True]
    assert await room.look(queue) is None
    await room.delete_exchanges(topic, headers)


async def test_a_request_tells_where_its_answer_goes(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    await room.publish(queue, [b"{}"], reply_to="answers", correlation_id="c-1")
    await takes(config(room, queue), emitted, lambda: len(emitted.items) == 1, "it is stored")
    meta = document(emitted.messages[0])["meta"]
    assert (meta["reply_to"], meta["correlation_id"]) == ("answers", "c-1")


async def test_events_of_each_dialect_come_through_a_real_broker(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    for number, dialect in enumerate(("ce-", "cloudEvents_", "cloudEvents:")):
        attributes = {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": "/s",
            "type": "t",
            "priority": number,
        }
        headers = {dialect + name: value for name, value in attributes.items()}
        await room.publish(queue, [b'{"a": 1}'], headers=headers)
    event = {"specversion": "1.0", "id": "e-3", "source": "/s", "type": "t", "priority": 3, "data": {"a": 1}}
    await room.publish(queue, [json.dumps(event).encode()], content_type="application/cloudevents+json")
    await takes(config(room, queue), emitted, lambda: len(emitted.items) == 4, "all are stored")
    for number, item in enumerate(emitted.messages):
        assert (item.id, item.type, item.extensions, item.data) == (
            f"e-{number}",
            "t",
            {"priority": number},
            b'{"a": 1}',
        )


async def test_a_dead_letter_tells_its_history(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    dead = await rabbit_queue()
    expiring = await rabbit_queue(**{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    await room.publish(expiring, [b"{}"], expiration="1")
    await takes(config(room, dead), emitted, lambda: len(emitted.items) == 1, "it is stored")
    (death,) = emitted.messages[0].meta["headers"]["x-death"]
    assert (death["queue"], death["reason"], death["count"]) == (expiring, "expired", 1)
    assert death["time"].endswith("Z")


async def test_a_quorum_queue_tells_how_often_it_delivered(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("quorum")
    await publish(room, queue, 1)
    emitted.fail(2)
    for _ in range(2):
        async with opened(config(room, queue), emitted) as run:
            await run.start().ended()
    await takes(config(room, queue), emitted, lambda: len(emitted.items) == 1, "it is stored")
    meta = emitted.messages[0].meta
    assert (meta["redelivered"], meta["delivery_count"]) == (True, 2)


async def test_two_sources_share_a_queue(room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted) -> None:
    queue = await rabbit_queue()
    made = config(room, queue, batch=5)
    other = Emitted()
    async with opened(made, emitted) as first:
        first.start()
        await connected(first)
        source = type(first.source)("second", made)
        from tests.fakes.sources import Reports, source_context

        report = Reports()
        await source.open(source_context(other, name="second", report=report))
        second = asyncio.create_task(source.run(other.begin()))
        await report.connected.wait()
        await publish(room, queue, 100)
        await eventually(lambda: len(emitted.items) + len(other.items) == 100, "all are stored")
        second.cancel()
        await asyncio.wait({second})
        await source.close()
    assert sorted(numbers(emitted) + numbers(other)) == list(range(100))
    assert emitted.items
    assert other.items


async def test_an_exclusive_consumer_of_somebody_else_is_waited_for(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    async with room.channel(confirms=False) as channel:

        async def drop(_message: object) -> None: ...

        await channel.basic_consume(queue, drop, exclusive=True)
        async with opened(config(room, queue), emitted) as run:
            error = await run.start().ended()
    assert isinstance(error, SourceUnavailable)
    assert "exclusive use" in str(error)


# -- streams


async def test_next_misses_nothing_that_comes_while_it_is_away(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("stream")
    await publish(room, queue, 5)
    await asyncio.sleep(1.1)  # a stream knows times by the second
    made = config(room, queue, stream={"start": "next"})
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
    assert emitted.kept["offset"].startswith(b"from:")
    await publish(room, queue, 5, start=5)
    await takes(made, emitted, lambda: len(emitted.items) >= 5, "what came meanwhile is stored")
    assert numbers(emitted) == [5, 6, 7, 8, 9]


async def test_a_stream_begins_at_an_offset_and_after_a_rewind(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("stream")
    await publish(room, queue, 10)
    made = config(room, queue, stream={"start": 7})
    async with opened(made, emitted) as run:
        run.start()
        await until(run, lambda: len(emitted.items) == 3, "it begins at 7")
        await run.cancel()
        positions = run.source.rewind(emitted.kept, "earliest")
    again = Emitted()
    again.kept = {key: value for key, value in positions.items() if value is not None}
    await takes(made, again, lambda: len(again.items) == 10, "all are stored again")
    assert numbers(emitted) == [7, 8, 9]
    assert numbers(again) == list(range(10))
    assert again.kept == emitted.kept


async def test_a_stream_that_was_made_anew_is_a_gap(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("stream")
    await publish(room, queue, 10)
    made = config(room, queue, stream={"on_gap": "stop"}, timeout="4s")
    await takes(made, emitted, lambda: len(emitted.items) == 10, "all are stored")
    for count in (3, 20):  # it ends before what is stored; something else stands there
        await room.delete(queue)
        await room.declare(queue, **{"x-queue-type": "stream"})
        await publish(room, queue, count, start=100)
        async with opened(made, emitted) as run:
            error = await run.start().ended()
        assert isinstance(error, SourceGap), error
        assert error.facts["reason"] == "recreated"
        assert error.fix
    assert len(emitted.items) == 10
    going_on = config(room, queue, stream={}, timeout="4s")
    await takes(going_on, emitted, lambda: len(emitted.items) == 31, "the gap and all that is there")
    assert isinstance(emitted.items[10], Notice)
    assert emitted.items[10].data["reason"] == "recreated"
    assert numbers(emitted)[10:] == list(range(100, 120))


async def test_a_stream_whose_messages_have_all_expired_is_waited_for(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("stream")
    await publish(room, queue, 3)
    made = config(room, queue, stream={}, timeout="3s")
    await takes(made, emitted, lambda: len(emitted.items) == 3, "all are stored")
    await room.delete(queue)
    await room.declare(queue, **{"x-queue-type": "stream"})
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await asyncio.sleep(8)  # longer than it waits for anything
        assert run.task is not None
        assert not run.task.done()
        await publish(room, queue, 1, start=7)
        await until(run, lambda: len(emitted.items) == 5, "the gap and the message")
    assert isinstance(emitted.items[3], Notice)
    assert numbers(emitted) == [0, 1, 2, 7]


async def test_what_a_stream_dropped_before_it_was_taken_is_a_gap(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    """Retention takes whole segments away, once a later one has begun."""
    arguments = {"x-max-length-bytes": 40_000, "x-stream-max-segment-size-bytes": 20_000}
    queue = await rabbit_queue("stream", **arguments)
    await publish(room, queue, 5)
    made = config(room, queue, stream={}, timeout="1s")
    await takes(made, emitted, lambda: len(emitted.items) == 5, "all are stored")
    for _ in range(30):
        await room.publish(queue, [b'{"n": -1, "x": "%s"}' % (b"x" * 5_000)] * 10)
    deadline = time.monotonic() + PATIENCE
    while not any(isinstance(item, Notice) for item in emitted.items):
        assert time.monotonic() < deadline
        async with opened(made, emitted) as run:
            run.start()
            await connected(run)
            await publish(room, queue, 1, start=1000)  # for where retention left nothing at all
            assert run.task is not None
            await asyncio.wait({run.task}, timeout=3)
            # A reader of a segment that is just being deleted gets nothing; the next one knows.
            assert not run.task.done() or isinstance(run.task.exception(), SourceUnavailable)
    notice = emitted.items[5]
    assert isinstance(notice, Notice)
    assert (notice.data["reason"], notice.data["from"]) == ("expired", 5)
    assert notice.data["lost"] > 50
    assert numbers(emitted)[-1:] == [1000]


async def test_a_stream_that_nobody_called_one_is_refused(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue("stream")
    async with opened(config(room, queue), emitted) as run:
        error = await run.start().ended()
        codes = [finding.code for finding in await run.source.check()]
    assert isinstance(error, SourceRejected)
    assert "stream: {start: first}" in str(error)
    assert codes == ["is-stream"]


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_a_queue_that_is_called_a_stream_is_refused(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted, kind: str
) -> None:
    queue = await rabbit_queue(kind)
    async with opened(config(room, queue, stream={}), emitted) as run:
        error = await run.start().ended()
        codes = [finding.code for finding in await run.source.check()]
    assert isinstance(error, SourceRejected)
    assert f"is no stream but {kind}" in str(error)
    assert codes == ["no-stream"]
