"""Where partitions are read from: beginnings, gaps, rewinding, and partitions and topics that come later."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import pytest
from aiokafka.errors import TopicAlreadyExistsError

from tests.contract.source_contract import CrashPoint
from tests.integration.servers.kafka_runs import Runs, eventually, idle, until_or_ended
from tests.patience import PATIENCE
from tests.servers import things, unique
from tests.servers.kafka_room import KafkaRoom
from triggers.errors import NotStored, SourceGap, SourceUnavailable
from triggers.kafka import KafkaSource
from triggers.message import TriggerMessage


@pytest.fixture
async def runs(kafka, kafka_topic) -> Runs:
    return Runs(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="placing"))


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


# -- beginning


async def test_latest_is_where_the_first_run_began_even_when_it_took_nothing(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    async with runs.run(start="latest") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
    await runs.room.produce(runs.topic, numbered(3, 5))  # while nobody reads
    assert await runs.read(2, start="latest") == [b"3", b"4"]


async def test_a_time_is_where_the_first_record_since_then_is(runs: Runs) -> None:
    at = int(time.time() * 1000) - 60_000
    for number in range(5):
        await runs.room.produce(runs.topic, [b"%d" % number], timestamp=at + number * 1000)
    since = datetime.fromtimestamp((at + 2500) / 1000, UTC).isoformat()
    assert await runs.read(2, start=since) == [b"3", b"4"]


async def test_a_time_to_come_is_the_end(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    async with runs.run(start="2999-01-01T00:00:00Z") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
        await runs.room.produce(runs.topic, [b"3"])
        assert await until_or_ended(runs.values(1), running) == [b"3"]


async def test_a_group_that_committed_before_is_gone_on_with(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 5))
    await runs.read(5)
    runs.emitted.kept.clear()  # another store: only the group knows
    runs.emitted.items.clear()
    await runs.room.produce(runs.topic, [b"5"])
    assert await runs.read(1) == [b"5"]


async def test_a_group_that_was_set_back_brings_no_repeats(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 5))
    await runs.read(5)
    await runs.room.set_group(runs.group, runs.topic, 1)
    await runs.room.produce(runs.topic, [b"5"])
    assert await runs.read(6) == numbered(0, 6)
    assert runs.emitted.repeats == []
    assert await runs.room.committed(runs.group, runs.topic) == 6


async def test_a_group_that_was_set_forward_skips(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 5))
    await runs.read(5)
    await runs.room.produce(runs.topic, numbered(5, 9))
    await runs.room.set_group(runs.group, runs.topic, 8)
    assert (await runs.read(6))[5:] == [b"8"]
    assert runs.emitted.notices == []


# -- what comes later


async def test_a_partition_that_comes_while_it_runs_is_read_from_its_first_record(runs: Runs) -> None:
    async with runs.run(start="latest") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
        await runs.room.add_partitions(runs.topic, 3)
        await runs.room.produce(runs.topic, [b"new"], partition=2)
        assert await until_or_ended(runs.values(1), running) == [b"new"]
        assert _said(running) == "3 partitions of 1 topic"


async def test_a_partition_that_comes_while_it_is_stopped_is_read_from_its_first_record(runs: Runs) -> None:
    async with runs.run(start="latest") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
    await runs.room.add_partitions(runs.topic, 2)
    await runs.room.produce(runs.topic, [b"new"], partition=1)
    assert await runs.read(1, start="latest") == [b"new"]


async def test_a_topic_that_matches_and_comes_later_is_read_from_its_first_record(
    runs: Runs, kafka_topic
) -> None:
    stem = unique("pattern")
    first = await kafka_topic(prefix=f"{stem}.a")
    await kafka_topic(prefix=f"x{stem}.a")
    async with runs.run(pattern=rf"{stem}\.[a-z]{{1,2}}_.*", start="latest") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
        await runs.room.produce(first, [b"one"])
        await until_or_ended(runs.values(1), running)
        second = await kafka_topic(prefix=f"{stem}.bb")
        await runs.room.produce(second, [b"two"])
        assert await until_or_ended(runs.values(2), running) == [b"one", b"two"]
    third = await kafka_topic(prefix=f"{stem}.c")
    await runs.room.produce(third, [b"three"])
    assert (await runs.read(3, pattern=rf"{stem}\.[a-z]{{1,2}}_.*", start="latest"))[2] == b"three"


async def test_a_topic_that_is_missing_keeps_nobody_back_and_is_read_once_it_is_there(runs: Runs) -> None:
    missing = unique("missing")
    await runs.room.produce(runs.topic, [b"one"])
    async with runs.run(topics=[runs.topic, missing], start="earliest") as running:
        assert await until_or_ended(runs.values(1), running) == [b"one"]
        assert missing in running.report.warnings["topic-missing"][0]
        await things.create_topic(runs.room.bootstrap, missing)
        await runs.room.produce(missing, [b"two"])
        assert await until_or_ended(runs.values(2), running) == [b"one", b"two"]
        await eventually(_warnings(running), lambda codes: codes == [])
    await things.delete_topic(runs.room.bootstrap, missing)


async def test_no_topic_at_all_is_said_and_made_by_nobody(runs: Runs) -> None:
    missing = unique("missing")
    async with runs.run(topics=[missing]) as running:
        error = await running.ended()
    assert isinstance(error, SourceUnavailable)
    assert missing in str(error)
    async with runs.room.cluster() as cluster:
        assert missing not in (await cluster.metadata()).topics


# -- gaps


async def test_records_that_expired_are_a_gap_that_is_told_with_what_is_lost(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    await runs.read(3)
    await runs.room.produce(runs.topic, numbered(3, 10))
    await runs.room.delete_before(runs.topic, 7)
    assert (await runs.read(6))[3:] == numbered(7, 10)
    (notice,) = runs.emitted.notices
    assert notice.kind == "gap"
    assert notice.data == {
        "topic": runs.topic,
        "partition": 0,
        "reason": "expired",
        "from": 3,
        "to": 7,
        "lost": 4,
    }


async def test_records_that_expire_while_the_source_is_behind_are_a_gap_too(runs: Runs) -> None:
    for number in range(60):  # a batch each, so that a fetch of 1 KiB brings a few
        await runs.room.produce(runs.topic, [b"%d" % number + b" " * 300])
    async with runs.run(max_fetch="1KiB", batch=1) as running:
        await until_or_ended(runs.values(1), running)
        runs.emitted.block()
        await runs.room.delete_before(runs.topic, 50)
        runs.emitted.release()
        await runs.emitted.until(lambda: bool(runs.emitted.notices), "the gap")
        await idle(running)
    (notice,) = runs.emitted.notices
    assert (notice.data["reason"], notice.data["to"]) == ("expired", 50)
    seen = [int(message.data or b"") for message in runs.emitted.messages]
    assert seen == [*range(notice.data["from"]), *range(50, 60)]
    assert notice.data["lost"] == 50 - notice.data["from"]


async def test_a_gap_is_told_in_one_transaction_with_the_position_behind_it(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    await runs.read(3)
    await runs.room.produce(runs.topic, numbered(3, 10))
    await runs.room.delete_before(runs.topic, 7)
    runs.emitted.fail()
    async with runs.run() as running:
        assert isinstance(await running.ended(), NotStored)
    assert runs.emitted.notices == []
    await runs.read(6)
    assert len(runs.emitted.notices) == 1


async def test_a_gap_may_be_passed_to_what_comes_next(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    await runs.read(3)
    await runs.room.produce(runs.topic, numbered(3, 10))
    await runs.room.delete_before(runs.topic, 7)
    async with runs.run(on_gap="latest") as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
        await runs.room.produce(runs.topic, [b"10"])
        assert (await until_or_ended(runs.values(4), running))[3] == b"10"
    (notice,) = runs.emitted.notices
    assert (notice.data["from"], notice.data["to"]) == (3, 10)


async def test_a_gap_may_stop_the_source_until_a_person_decides(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    await runs.read(3)
    await runs.room.produce(runs.topic, numbered(3, 10))
    await runs.room.delete_before(runs.topic, 7)
    for _ in range(2):
        async with runs.run(on_gap="stop") as running:
            error = await running.ended()
        assert isinstance(error, SourceGap)
        assert error.facts == {f"{runs.topic}/0": {"reason": "expired", "at": 3, "to": 7, "lost": 4}}
        assert "rewind" in error.fix
    _rewind(runs, "earliest")
    assert (await runs.read(6, on_gap="stop"))[3:] == numbered(7, 10)


async def test_a_topic_made_anew_is_read_from_its_beginning_under_ids_of_its_own(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    await runs.read(3)
    await _deleted(runs)
    await things.create_topic(runs.room.bootstrap, runs.topic)
    await runs.room.produce(runs.topic, numbered(10, 15))  # more than were taken of the old one
    assert (await runs.read(8))[3:] == numbered(10, 15)
    (notice,) = runs.emitted.notices
    assert (notice.data["reason"], notice.data["from"], notice.data["to"]) == ("recreated", 3, 0)
    ids = [message.id for message in runs.emitted.messages]
    assert len(set(ids)) == 8
    assert f"/{runs.topic}@" in ids[3]
    await runs.room.produce(runs.topic, [b"15"])
    assert (await runs.read(9))[8] == b"15"
    assert runs.emitted.messages[8].id.rsplit("/", 1)[0] == ids[3].rsplit("/", 1)[0]


async def test_a_topic_made_anew_while_it_is_read_is_noticed(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 3))
    async with runs.run() as running:
        await until_or_ended(runs.values(3), running)
        await _deleted(runs)
        with contextlib.suppress(TopicAlreadyExistsError):  # a broker may make what its consumers ask for
            await things.create_topic(runs.room.bootstrap, runs.topic)
        await runs.room.produce(runs.topic, numbered(10, 15))
        values = await until_or_ended(runs.values(8), running)
    assert values[3:] == numbered(10, 15)
    assert [notice.data["reason"] for notice in runs.emitted.notices] == ["recreated"]


# -- rewinding


async def test_rewinding_reads_again_once(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 5))
    await runs.read(5)
    _rewind(runs, "earliest")
    offered = len(runs.emitted.offered)
    async with runs.run() as running:
        await runs.emitted.until(lambda: len(runs.emitted.offered) >= offered + 5, "all again")
        await idle(running)
    again = [item.data for item in runs.emitted.offered[offered:] if isinstance(item, TriggerMessage)]
    assert again == numbered(0, 5)
    await runs.room.produce(runs.topic, [b"5"])
    offered = len(runs.emitted.offered)
    await runs.read(6)
    assert len(runs.emitted.offered) == offered + 1


async def test_rewinding_to_now_skips_what_waits(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 2))
    await runs.read(2)
    await runs.room.produce(runs.topic, numbered(2, 5))
    _rewind(runs, "now")
    async with runs.run() as running:
        await eventually(_told(running), lambda told: told == "1 partition of 1 topic")
        await runs.room.produce(runs.topic, [b"5"])
        assert (await until_or_ended(runs.values(3), running))[2] == b"5"


async def test_rewinding_to_a_time(runs: Runs) -> None:
    at = int(time.time() * 1000) - 60_000
    for number in range(4):
        await runs.room.produce(runs.topic, [b"%d" % number], timestamp=at + number * 1000)
    await runs.read(4)
    _rewind(runs, datetime.fromtimestamp((at + 1500) / 1000, UTC).isoformat())
    offered = len(runs.emitted.offered)
    async with runs.run() as running:
        await runs.emitted.until(lambda: len(runs.emitted.offered) >= offered + 2, "two again")
        await idle(running)
    assert [item.data for item in runs.emitted.offered[offered:]] == [b"2", b"3"]


async def test_a_rewind_outlives_a_run_that_stored_nothing(runs: Runs) -> None:
    await runs.room.produce(runs.topic, numbered(0, 5))
    await runs.read(5)
    _rewind(runs, "earliest")
    runs.emitted.fail()  # the group's offset has gone back by then, what we store has not
    async with runs.run() as running:
        assert isinstance(await running.ended(), NotStored)
    crash = CrashPoint("kafka.before_commit")
    async with runs.run(reached=crash, batch=2):
        await asyncio.wait_for(crash.hit.wait(), PATIENCE)
    offered = len(runs.emitted.offered)
    async with runs.run() as running:
        await runs.emitted.until(lambda: len(runs.emitted.offered) >= offered + 3, "the rest again")
        await idle(running)
    assert [item.data for item in runs.emitted.offered[offered:]] == numbered(2, 5)


def _rewind(runs: Runs, to: str) -> None:
    source = KafkaSource("orders", runs.config())
    for key, value in source.rewind(runs.emitted.kept, to).items():
        assert value is not None
        runs.emitted.kept[key] = value


async def _deleted(runs: Runs) -> None:
    """Delete the topic; return when it is gone, or another one has its name."""
    async with runs.room.cluster() as cluster:

        async def look() -> tuple[int, str]:
            found = (await cluster.metadata([runs.topic])).topics[runs.topic]
            return found.error, found.id

        _, before = await look()
        await things.delete_topic(runs.room.bootstrap, runs.topic)
        await eventually(look, lambda seen: seen[0] == 3 or seen[1] != before)


def _said(running) -> str:
    return running.report.details[-1] if running.report.details else ""


def _told(running):
    async def look() -> str:
        return _said(running)

    return look


def _warnings(running):
    async def look() -> list[str]:
        return list(running.report.warnings)

    return look
