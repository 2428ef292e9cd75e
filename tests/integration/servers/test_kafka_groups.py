"""Members of one group that come, go, stand still and are thrown out: nothing is lost, and what fails is said."""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import LeaveGroupRequest

from tests.fakes.sources import Emitted
from tests.integration.servers.kafka_runs import Running, Runs, eventually, idle, until_or_ended
from tests.servers.kafka_room import KafkaRoom

STORM = float(os.environ.get("POINTSMAN_STORM_SECONDS", "20"))
"""How long members come and go; two minutes in the long run."""

pytestmark = pytest.mark.timeout(120 + 2 * STORM)


@pytest.fixture
async def runs(kafka, kafka_topic) -> Runs:
    return Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="group", partitions=4))


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


async def test_two_services_in_one_group_share_and_lose_nothing(runs: Runs) -> None:
    stores = Emitted(), Emitted()
    async with runs.run(stores[0]) as one, runs.run(stores[1]) as two:
        for running in (one, two):
            await eventually(_share(running), lambda said: said == "2 partitions of 1 topic")
        for partition in range(4):
            await runs.room.produce(
                runs.topic, numbered(partition * 100, partition * 100 + 100), partition=partition
            )
        await eventually(_stored(*stores), lambda seen: len(seen) == 400)
        await asyncio.gather(idle(one), idle(two))
    assert all(len(store.messages) == 200 for store in stores)
    assert set(await _stored(*stores)()) == set(numbered(0, 400))


async def test_a_member_that_takes_over_reads_what_the_other_left(runs: Runs) -> None:
    stores = Emitted(), Emitted()
    for partition in range(4):
        await runs.room.produce(
            runs.topic, numbered(partition * 100, partition * 100 + 50), partition=partition
        )
    async with runs.run(stores[1]) as stays:
        async with runs.run(stores[0]) as goes:
            await eventually(_share(goes), lambda said: said == "2 partitions of 1 topic")
        for partition in range(4):
            more = numbered(partition * 100 + 50, partition * 100 + 100)
            await runs.room.produce(runs.topic, more, partition=partition)
        await eventually(_stored(*stores), lambda seen: set(seen) == set(numbered(0, 400)))
        await idle(stays)


async def test_a_partition_that_another_member_had_at_first_begins_where_ours_did(runs: Runs) -> None:
    stores = Emitted(), Emitted()
    for partition in range(4):
        await runs.room.produce(runs.topic, [b"old"], partition=partition)
    async with runs.run(stores[1], start="latest") as stays:
        async with runs.run(stores[0], start="latest") as goes:
            for running in (stays, goes):
                await eventually(_share(running), lambda said: said == "2 partitions of 1 topic")
        await eventually(_share(stays), lambda said: said == "4 partitions of 1 topic")
        for partition in range(4):
            await runs.room.produce(runs.topic, [b"%d" % partition], partition=partition)
        await eventually(_stored(*stores), lambda seen: len(seen) >= 4)
        await idle(stays)
    assert sorted(await _stored(*stores)()) == numbered(0, 4)


async def test_a_rebalance_waits_for_what_is_being_stored(runs: Runs) -> None:
    stores = Emitted(), Emitted()
    for partition in range(4):
        await runs.room.produce(
            runs.topic, numbered(partition * 10, partition * 10 + 10), partition=partition
        )
    stores[0].block()
    async with runs.run(stores[0]) as one:
        # What is in flight at first says where partitions begin; let that through.
        await stores[0].until(lambda: stores[0].in_flight > 0, "something is being stored")
        stores[0].release()
        await until_or_ended(runs.values(40, stores[0]), one)
        stores[0].block()
        for partition in range(4):
            more = numbered(100 + partition * 10, 110 + partition * 10)
            await runs.room.produce(runs.topic, more, partition=partition)
        await stores[0].until(lambda: stores[0].in_flight > 0, "something is being stored")
        async with runs.run(stores[1]) as two:
            await eventually(_state(runs), lambda state: state == "PreparingRebalance")
            stores[0].release()
            await eventually(_share(two), lambda said: said == "2 partitions of 1 topic")
            await eventually(_stored(*stores), lambda seen: len(set(seen)) == 80)
            await asyncio.gather(idle(one), idle(two))
    seen = await _stored(*stores)()
    assert len(seen) == 80, "what the first was storing was stored by the second, too"
    assert one.report.warned == []


async def test_a_store_that_is_slow_costs_no_membership(runs: Runs) -> None:
    """Far longer than the session time-out (2 s), with nobody polling (F32)."""
    await runs.room.produce(runs.topic, numbered(0, 10))
    async with runs.run() as running:
        await until_or_ended(runs.values(10), running)
        before = await _members(runs)
        runs.emitted.block()
        await runs.room.produce(runs.topic, numbered(10, 20))
        await runs.emitted.until(lambda: runs.emitted.in_flight > 0, "something is being stored")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert await _members(runs) == before
            await asyncio.sleep(0.25)
        progress = await running.source.progress()
        assert progress.pending == 10
        runs.emitted.release()
        await until_or_ended(runs.values(20), running)
        await idle(running)
        assert await _members(runs) == before
        assert running.report.warned == []
    assert runs.emitted.repeats == []


async def test_a_commit_that_fails_is_said_and_its_records_come_once(runs: Runs) -> None:
    """The member is thrown out while it stores: its generation is lost (F35)."""
    await runs.room.produce(runs.topic, numbered(0, 10))
    async with runs.run() as running:
        await until_or_ended(runs.values(10), running)
        runs.emitted.block()
        await runs.room.produce(runs.topic, numbered(10, 20))
        await runs.emitted.until(lambda: runs.emitted.in_flight > 0, "something is being stored")
        await _throw_out(runs)
        runs.emitted.release()
        await eventually(_warned(running), lambda codes: "commit-failed" in codes)
        # It is committed, though nothing comes.
        await eventually(_warnings(running), lambda codes: codes == [])
        assert await runs.room.left(runs.group, runs.topic) == 0
        await runs.room.produce(runs.topic, numbered(20, 30))
        await until_or_ended(runs.values(30), running)
        await idle(running)
    assert [message.data for message in runs.emitted.messages] == numbered(0, 30)
    assert runs.emitted.repeats == []


async def test_members_that_come_and_go_lose_nothing_and_start_nothing_over(runs: Runs) -> None:
    """A storm of rebalances: other members join and leave every two seconds while records come (F31)."""
    store = runs.emitted
    sent: list[bytes] = []
    taken_by_others: list[bytes] = []
    over = asyncio.Event()

    async def produce() -> None:
        async with runs.room.producer() as producer:
            number = 0
            while not over.is_set():
                for _ in range(20):
                    value = b"%d" % number
                    await producer.send(runs.topic, value, partition=number % 4)
                    sent.append(value)
                    number += 1
                await producer.flush()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.05)

    async def other() -> None:
        """Take what comes for a while, commit it, and leave."""
        consumer = AIOKafkaConsumer(
            runs.topic,
            bootstrap_servers=runs.room.bootstrap,
            group_id=runs.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=2000,
            heartbeat_interval_ms=200,
            rebalance_timeout_ms=30_000,
        )
        async with consumer:
            until = time.monotonic() + random.uniform(1.0, 3.0)
            while time.monotonic() < until:
                found = await consumer.getmany(timeout_ms=100, max_records=50)
                if not found:
                    continue
                with contextlib.suppress(Exception):
                    await consumer.commit({one: part[-1].offset + 1 for one, part in found.items()})
                taken_by_others.extend(record.value for part in found.values() for record in part)

    async def storm() -> None:
        until = time.monotonic() + STORM
        async with asyncio.TaskGroup() as members:
            while time.monotonic() < until:
                members.create_task(other())
                await asyncio.sleep(2)  # the rhythm of the storm

    async with runs.run() as running:
        await eventually(_share(running), lambda said: said == "4 partitions of 1 topic")
        producing = asyncio.create_task(produce())
        await storm()
        over.set()
        await producing
        await eventually(_share(running), lambda said: said == "4 partitions of 1 topic")
        await idle(running)
        assert not running.task.done()
    assert taken_by_others
    ours = [message.data for message in store.messages]
    assert set(sent) <= {*ours, *taken_by_others}, "lost"
    assert store.repeats == []
    assert store.notices == []
    again = Counter(ours) + Counter(taken_by_others) - Counter(sent)
    assert sum(again.values()) < len(sent) / 2, "members start over again and again"
    for partition in range(4):
        offsets = [one.meta["offset"] for one in store.messages if one.meta["partition"] == partition]
        assert offsets == sorted(offsets)


# -- looking


def _share(running: Running) -> Any:
    async def look() -> str:
        if running.task.done():
            running.task.result()
        return running.report.details[-1] if running.report.details else ""

    return look


def _stored(*stores: Emitted) -> Any:
    async def look() -> list[bytes]:
        return [message.data or b"" for store in stores for message in store.messages]

    return look


def _warned(running: Running) -> Any:
    async def look() -> list[str]:
        return running.report.warned

    return look


def _warnings(running: Running) -> Any:
    async def look() -> list[str]:
        return list(running.report.warnings)

    return look


def _state(runs: Runs) -> Any:
    async def look() -> str:
        async with runs.room.cluster() as cluster:
            return (await cluster.group(runs.group)).state

    return look


async def _members(runs: Runs) -> dict[str, Any]:
    async with runs.room.cluster() as cluster:
        return (await cluster.group(runs.group)).members


async def _throw_out(runs: Runs) -> None:
    """Speak for the member: say that it leaves."""
    async with runs.room.admin() as admin:
        (answer,) = await admin.describe_consumer_groups([runs.group])
        members = answer.groups[0][5]
        client: Any = vars(admin)["_client"]
        for member, *_ in members:
            left = await client.send(client.get_random_node(), LeaveGroupRequest(runs.group, member))
            assert left.error_code == 0
