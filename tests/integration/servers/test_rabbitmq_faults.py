"""Faults F20 to F29 on a real node of our own: nothing is lost, and no run goes on with nobody consuming."""

import asyncio
import shutil
import time
from collections.abc import Iterator

import pytest

from service.demo.servers import LocalRabbitMQ, processes
from tests.fakes.sources import Emitted
from tests.integration.servers.network import deaf, uncuttable
from tests.integration.servers.rabbit_faults import (
    Wire,
    bodies,
    config,
    connected,
    control,
    numbers,
    opened,
    publish,
    takes,
    undecodable,
    until,
)
from tests.patience import PATIENCE, SLACK
from tests.servers import unique
from tests.servers.rabbit_room import RabbitRoom
from tests.servers.things import await_queue_on_disk
from triggers.errors import SourceRejected, SourceUnavailable

CONSUMER_TIMEOUT_MS = 4000


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LocalRabbitMQ]:
    """A node that may be killed, frozen and configured."""
    node = LocalRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    lacking = processes.missing() or node.find()
    if lacking is not None:
        pytest.skip(f"no local RabbitMQ: {lacking}")
    try:
        asyncio.run(node.start())
        yield node
    finally:
        node.end()
        shutil.rmtree(node.directory, ignore_errors=True)


@pytest.fixture
def room(server: LocalRabbitMQ) -> RabbitRoom:
    return RabbitRoom(server.url, server.management)


@pytest.fixture
def queue() -> str:
    return unique("faults")


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


@pytest.mark.parametrize("how", ["stopped in good order", "killed"])
@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_f21_f22_a_broker_that_goes_and_comes_loses_nothing(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted, kind: str, how: str
) -> None:
    made = config(room, queue, declare={"type": kind}, batch=20)
    async with opened(made, emitted) as run:
        await run.source.setup(apply=True)
        await publish(room, queue, 300)
        await asyncio.to_thread(await_queue_on_disk, server.directory, queue, kind)
        run.start()
        await until(run, lambda: len(emitted.items) >= 40, "some are stored")
        if how == "killed":
            server.kill()
        else:
            await server.stop()
        error = await run.ended()
    assert isinstance(error, SourceUnavailable), error
    async with opened(made, emitted) as run:
        assert isinstance(await run.start().ended(), SourceUnavailable)
    await server.start()
    await publish(room, queue, 20, start=300)
    await takes(made, emitted, lambda: len(set(numbers(emitted))) == 320, "all are stored")
    assert sorted(set(numbers(emitted))) == list(range(320))
    assert emitted.conflicts == []
    assert await room.left(queue) == 0


async def test_f22_a_stream_goes_on_after_a_killed_broker(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    made = config(room, queue, declare={"type": "stream"}, batch=20)
    async with opened(made, emitted) as run:
        await run.source.setup(apply=True)
        await publish(room, queue, 100)
        await asyncio.to_thread(await_queue_on_disk, server.directory, queue, "stream")
        run.start()
        await until(run, lambda: len(emitted.items) == 100, "all are stored")
        server.kill()
        assert isinstance(await run.ended(), SourceUnavailable)
    await server.start()
    async with opened(made, emitted) as run:
        # The port answers before the stream is there, and what is published meanwhile is confirmed and lost.
        deadline = time.monotonic() + PATIENCE
        while not run.report.connected.is_set():
            assert time.monotonic() < deadline
            run.start()
            assert run.task is not None
            up = asyncio.ensure_future(run.report.connected.wait())
            await asyncio.wait({up, run.task}, return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if run.task.done():
                assert isinstance(run.task.exception(), SourceUnavailable)
        await publish(room, queue, 20, start=100)
        await until(run, lambda: len(emitted.items) == 120, "all are stored")
    assert numbers(emitted) == list(range(120))
    assert emitted.repeats == []


async def test_f23_a_frozen_broker_is_seen_within_two_heartbeats(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    made = config(room, queue, declare={"type": "classic"}, heartbeat="3s")
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await publish(room, queue, 5)
        await until(run, lambda: len(emitted.items) == 5, "all are stored")
        await publish(room, queue, 1, start=5)
        server.freeze()
        frozen_at = time.monotonic()
        try:
            error = await run.ended()
            assert isinstance(error, SourceUnavailable), error
            assert "sign of life" in str(error)
            assert time.monotonic() - frozen_at < 2 * 3 + SLACK
            looked_at = time.monotonic()
            with pytest.raises(SourceUnavailable):
                await run.source.progress()
            findings = await run.source.check()
            assert [finding.code for finding in findings] == ["unreachable"]
            assert time.monotonic() - looked_at < 15 + SLACK
        finally:
            server.thaw()
    await publish(room, queue, 5, start=6)
    await takes(made, emitted, lambda: len(set(numbers(emitted))) == 11, "all are stored")


async def test_f23_a_broker_that_freezes_while_a_batch_is_stored_loses_nothing(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    made = config(room, queue, declare={"type": "quorum"}, heartbeat="1s")
    emitted.block()
    async with opened(made, emitted) as run:
        await run.source.setup(apply=True)
        await publish(room, queue, 10)
        run.start()
        await emitted.until(lambda: emitted.in_flight == 1, "a batch is under way")
        server.freeze()
        try:
            await asyncio.sleep(2.5)  # a freeze has a length
            emitted.release()
            assert isinstance(await run.ended(), SourceUnavailable)
        finally:
            server.thaw()
    await takes(made, emitted, lambda: len(set(numbers(emitted))) == 10, "all are stored")
    assert emitted.conflicts == []


async def test_f24_a_connection_that_is_reset_in_a_frame_loses_nothing(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    await publish(room, queue, 400)
    async with Wire(room.host, room.port) as wire:
        made = config(room, queue, url=f"amqp://127.0.0.1:{wire.port}", batch=20, prefetch=40)
        runs = 0
        wire.reset_after = 9_000
        while len(set(numbers(emitted))) < 400:
            runs += 1
            assert runs < 100
            async with opened(made, emitted) as run:
                run.start()
                assert run.task is not None
                done = asyncio.ensure_future(emitted.until(lambda: len(set(numbers(emitted))) == 400, "all"))
                await asyncio.wait({done, run.task}, return_when=asyncio.FIRST_COMPLETED)
                if not done.done():
                    done.cancel()
                    assert isinstance(run.task.exception(), SourceUnavailable)
    assert runs > 3
    assert sorted(set(numbers(emitted))) == list(range(400))
    assert emitted.conflicts == []


async def test_f25_a_channel_that_is_closed_by_an_error_ends_the_run(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    async with opened(config(room, queue), emitted) as run:
        run.start()
        await connected(run)
        feed = run.source._feed
        await feed._channel.basic_ack(4711)
        error = await run.ended()
    assert isinstance(error, SourceUnavailable)
    assert "unknown delivery tag 4711" in str(error)


async def test_f25_a_consumer_that_is_gone_without_a_word_is_missed(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    """The state in which others hang for ever: connected, and no consumer."""
    await room.declare(queue)
    async with opened(config(room, queue, heartbeat="1s"), emitted) as run:
        run.start()
        await connected(run)
        channel = run.source._feed._channel
        (tag,) = channel.consumers
        await channel.basic_cancel(tag)
        error = await run.ended()
    assert isinstance(error, SourceUnavailable)
    assert "counts no consumer" in str(error)


async def test_f26_a_half_open_connection_is_seen_within_two_heartbeats(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    async with Wire(room.host, room.port) as wire:
        made = config(room, queue, url=f"amqp://127.0.0.1:{wire.port}", heartbeat="2s")
        async with opened(made, emitted) as run:
            run.start()
            await connected(run)
            wire.silence()
            silent_at = time.monotonic()
            error = await run.ended()
            assert isinstance(error, SourceUnavailable), error
            assert time.monotonic() - silent_at < 2 * 2 + SLACK
            wire.speak()
            wire.reset()


@pytest.mark.skipif(bool(uncuttable()), reason=uncuttable())
async def test_f26_dropped_packets_are_seen_within_two_heartbeats(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    async with opened(config(room, queue, heartbeat="2s"), emitted) as run:
        run.start()
        await connected(run)
        async with deaf(server.port):
            dropped_at = time.monotonic()
            assert isinstance(await run.ended(), SourceUnavailable)
            assert time.monotonic() - dropped_at < 2 * 2 + SLACK


async def test_f27_ten_thousand_poison_messages_are_kept_and_innocents_pass(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    dead = unique("dead")
    await room.declare(dead)
    declare = {
        "type": "quorum",
        "arguments": {
            "x-delivery-limit": 3,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
        },
    }
    made = config(room, queue, declare=declare)
    async with opened(made, emitted) as run:
        await run.source.setup(apply=True)
        for start in range(0, 10_000, 1_000):
            await room.publish(queue, [b'{"poison": %d' % number for number in range(start, start + 1_000)])
            await publish(room, queue, 1, start=start)
        run.start()
        await until(run, lambda: len(emitted.items) == 10_010, "all are kept")
    assert numbers(emitted) == list(range(0, 10_000, 1_000))
    assert [reject.data for reject in emitted.rejects] == [
        b'{"poison": %d' % number for number in range(10_000)
    ]
    assert await room.left(queue) == 0
    assert await room.left(dead) == 0


async def test_f27_messages_that_break_the_drivers_decoder_pass_or_are_kept(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    """With the driver's own decoders each of these ends the connection, again and again, and blocks the queue."""
    await room.declare(queue)
    async with room.channel(confirms=False) as channel:
        for number, properties in enumerate(undecodable()):
            await channel.basic_publish(b"poison %d" % number, routing_key=queue, properties=properties)
        await channel.queue_declare(queue, passive=True)  # so all are there before it closes
    await publish(room, queue, 1)
    async with opened(config(room, queue), emitted) as run:
        run.start()
        await until(run, lambda: len(emitted.items) == 5, "all are kept")
    assert [(reject.reason, reject.data) for reject in emitted.rejects] == [
        ("invalid-message-id", b"poison 0")
    ]
    times, keys, nested, innocent = emitted.messages
    assert times.meta["timestamp"] == 1_767_323_045_123_456
    assert keys.meta["headers"] == {"\\xff": True}
    assert "base64" in repr(nested.meta["headers"])
    assert innocent.id == "m-0"
    assert await room.left(queue) == 0


async def test_f28_an_alarm_that_blocks_publishers_does_not_stop_consuming(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    await publish(room, queue, 500)
    await control(server, "set_vm_memory_high_watermark", "0.000001")
    try:
        async with opened(config(room, queue, heartbeat="1s"), emitted) as run:
            run.start()
            await until(run, lambda: len(emitted.items) == 500, "all are stored in spite of the alarm")
            await asyncio.sleep(2.5)  # over two signs of life
            assert run.task is not None
            assert not run.task.done()
            assert (await run.source.progress()).pending == 0
    finally:
        await control(server, "set_vm_memory_high_watermark", "0.4")
    assert await room.left(queue) == 0


async def test_f29_a_queue_that_is_deleted_ends_the_run_and_is_missed(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    made = config(room, queue)
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await room.delete(queue)
        error = await run.ended()
        assert isinstance(error, SourceUnavailable)
        assert "was deleted" in str(error)
    async with opened(made, emitted) as run:
        error = await run.start().ended()
        assert isinstance(error, SourceRejected)
        assert f"there is no queue {queue}" in str(error)
        with pytest.raises(SourceUnavailable):
            await run.source.progress()


async def test_f29_a_queue_of_ours_that_is_deleted_is_made_again(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    made = config(room, queue, declare={"type": "quorum"})
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await room.delete(queue)
        assert isinstance(await run.ended(), SourceUnavailable)
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await publish(room, queue, 1)
        await until(run, lambda: len(emitted.items) == 1, "it is taken from the new queue")


async def test_f29_a_queue_that_came_back_with_other_arguments_is_refused_with_what_differs(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    made = config(room, queue, declare={"type": "quorum"})
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        await room.delete(queue)
        await room.declare(queue)
        assert isinstance(await run.ended(), SourceUnavailable)
    async with opened(made, emitted) as run:
        error = await run.start().ended()
        findings = await run.source.check()
    assert isinstance(error, SourceRejected)
    assert "`x-queue-type`: received the value 'quorum'" in str(error)
    assert [finding.code for finding in findings] == ["differs"]


async def test_f29_the_brokers_patience_with_a_consumer_ends_the_run_and_loses_nothing(
    server: LocalRabbitMQ, room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    await publish(room, queue, 3)
    emitted.block()
    made = config(room, queue, heartbeat="1s")
    setting = "application:set_env(rabbit, {}, {})."
    await control(server, "eval", setting.format("consumer_timeout", CONSUMER_TIMEOUT_MS))
    await control(server, "eval", setting.format("channel_tick_interval", 500))
    async with opened(made, emitted) as run:
        run.start()
        await emitted.until(lambda: emitted.in_flight == 1, "a batch is under way")
        feed = run.source._feed
        done, _ = await asyncio.wait({feed._channel.closing}, timeout=CONSUMER_TIMEOUT_MS / 1000 + PATIENCE)
        assert done
        emitted.release()
        error = await run.ended()
    await control(server, "eval", setting.format("consumer_timeout", 1_800_000))
    await control(server, "eval", setting.format("channel_tick_interval", 60_000))
    assert isinstance(error, SourceUnavailable)
    assert "delivery acknowledgement on channel" in str(error)
    await takes(made, emitted, lambda: len(set(numbers(emitted))) == 3, "all are stored")
    assert emitted.conflicts == []


async def test_a_connection_that_an_operator_closes_ends_the_run(
    room: RabbitRoom, queue: str, emitted: Emitted
) -> None:
    await room.declare(queue)
    await room.publish(queue, bodies(3), message_id=None)
    emitted.block()
    async with opened(config(room, queue), emitted, name="cut-me") as run:
        run.start()
        await emitted.until(lambda: emitted.in_flight == 1, "a batch is under way")
        await room.cut("pointsman cut-me")
        emitted.release()
        error = await run.ended()
    assert isinstance(error, SourceUnavailable)
    assert "closed" in str(error).lower()
    assert await room.left(queue) == 3
