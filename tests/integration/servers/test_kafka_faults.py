"""A broker that dies, freezes, moves and refuses: the source goes on or says why not, and leaves nothing behind."""

import asyncio
import gc
import random
import time
from collections.abc import Iterator

import pytest

from tests.contract.source_contract import Footprint
from tests.fakes.sources import Emitted, Reports, source_context
from tests.integration.servers.kafka_runs import Running, Runs, eventually, idle, until_or_ended
from tests.patience import PATIENCE, SLACK
from tests.servers import things
from tests.servers.kafka_room import KafkaRoom
from triggers.errors import SourceUnavailable
from triggers.kafka import KafkaSource


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


@pytest.fixture(autouse=True)
def _nothing_is_left_to_the_collector(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A task whose error nobody looked at, or a client that nobody closed, is told when it is collected."""
    yield
    gc.collect()
    said = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in said if "never retrieved" in text or "Unclosed" in text] == []


@pytest.fixture
async def broker(make_kafka):
    server = make_kafka()
    await server.start()
    yield server
    server.end()


@pytest.fixture
async def runs(broker) -> Runs:
    await things.create_topic(broker.bootstrap, "orders", 2)
    return Runs(KafkaRoom(broker.bootstrap), "orders")


async def test_a_broker_that_is_killed_and_comes_back_is_gone_on_with_by_itself(runs: Runs, broker) -> None:
    await runs.room.produce(runs.topic, numbered(0, 20))
    async with runs.run(request_timeout="3s") as running:
        await until_or_ended(runs.values(20), running)
        broker.kill()
        await eventually(_warnings(running), lambda codes: "unreachable" in codes)
        await broker.start()
        await runs.room.produce(runs.topic, numbered(20, 40))
        await until_or_ended(runs.values(40), running)
        await idle(running)
        await eventually(_warnings(running), lambda codes: codes == [])
    assert [message.data for message in runs.emitted.messages] == numbered(0, 40)
    assert runs.emitted.repeats == []
    assert runs.emitted.notices == []


async def test_a_broker_that_is_killed_while_something_is_stored_loses_nothing(runs: Runs, broker) -> None:
    await runs.room.produce(runs.topic, numbered(0, 20))
    async with runs.run(request_timeout="2s", batch=5) as running:
        await until_or_ended(runs.values(20), running)
        runs.emitted.block()
        await runs.room.produce(runs.topic, numbered(20, 40))
        await runs.emitted.until(lambda: runs.emitted.in_flight > 0, "something is being stored")
        broker.kill()
        runs.emitted.release()
        await eventually(_warned(running), lambda codes: "commit-failed" in codes)
        await broker.start()
        await until_or_ended(runs.values(40), running)
        await idle(running)
    assert sorted(int(message.data or b"") for message in runs.emitted.messages) == list(range(40))
    assert runs.emitted.repeats == []


async def test_a_broker_that_freezes_and_thaws_loses_nothing_and_repeats_nothing(runs: Runs, broker) -> None:
    await runs.room.produce(runs.topic, numbered(0, 20))
    async with runs.run(request_timeout="2s", unreachable_after="30s") as running:
        await until_or_ended(runs.values(20), running)
        broker.freeze()
        try:
            await eventually(_warnings(running), lambda codes: "unreachable" in codes)
        finally:
            broker.thaw()
        await runs.room.produce(runs.topic, numbered(20, 40))
        await until_or_ended(runs.values(40), running)
        await eventually(_pending(running), lambda pending: pending == 0)
        await eventually(_warnings(running), lambda codes: codes == [])
        assert await runs.room.left(runs.group, runs.topic) == 0
    assert [message.data for message in runs.emitted.messages] == numbered(0, 40)
    assert runs.emitted.repeats == []


async def test_a_broker_that_stays_away_ends_the_run_and_another_run_goes_on(runs: Runs, broker) -> None:
    await runs.room.produce(runs.topic, numbered(0, 10))
    async with runs.run(unreachable_after="6s", request_timeout="5s") as running:
        await until_or_ended(runs.values(10), running)
        broker.kill()
        error = await running.ended()
    assert isinstance(error, SourceUnavailable), error
    assert broker.bootstrap in str(error)
    await broker.start()
    await runs.room.produce(runs.topic, numbered(10, 20))
    assert await runs.read(20) == numbered(0, 20)


async def test_a_run_that_is_cancelled_while_the_broker_is_frozen_ends_soon_and_leaves_nothing(
    runs: Runs, broker
) -> None:
    before = Footprint()
    await runs.room.produce(runs.topic, numbered(0, 10))
    async with runs.run() as running:
        await until_or_ended(runs.values(10), running)
        broker.freeze()
        try:
            began = time.monotonic()
            await running.cancel()
            assert time.monotonic() - began < 10 + SLACK
        finally:
            broker.thaw()
    await before.comes_back()


async def test_a_run_that_begins_while_the_broker_is_frozen_says_so(runs: Runs, broker) -> None:
    before = Footprint()
    broker.freeze()
    try:
        async with runs.run(request_timeout="2s") as running:
            error = await running.ended()
            findings = await running.source.check()
    finally:
        broker.thaw()
    assert isinstance(error, SourceUnavailable), error
    assert "no answer in time" in str(error)
    assert [one.code for one in findings if one.severity == "error"] == ["not-kafka"]
    await before.comes_back()


async def test_a_run_that_is_cancelled_at_any_moment_leaves_nothing_behind(kafka, kafka_topic) -> None:
    shared = Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="faults"))
    await shared.room.produce(shared.topic, numbered(0, 50))
    before = Footprint()
    chance = random.Random(7)
    for _ in range(30):
        store = Emitted()
        source = KafkaSource("orders", shared.config())
        await source.open(source_context(store, report=Reports()))
        task = asyncio.create_task(source.run(store.begin()))
        await asyncio.wait([task], timeout=chance.uniform(0, 0.12))
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.cancelled()
        await source.close()
        await before.comes_back()


def _warnings(running: Running):
    async def look() -> list[str]:
        if running.task.done():
            running.task.result()
        return list(running.report.warnings)

    return look


def _warned(running: Running):
    async def look() -> list[str]:
        return running.report.warned

    return look


def _pending(running: Running):
    async def look() -> int | None:
        try:
            return (await running.source.progress()).pending
        except SourceUnavailable:  # a broker that wakes may name no broker for a moment, not even itself
            return None

    return look
