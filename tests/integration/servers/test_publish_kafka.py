"""The Kafka connector on real brokers: what it says of a call is what can be read from the topic."""

import asyncio
import itertools
import time
from collections import Counter

import msgspec
import pytest

from actions.base import Answer
from actions.cloudevents import EventStyle
from actions.egress import read_egress
from actions.errors import OutcomeUnknown, Refused, RetryLater
from tests.patience import PATIENCE, SLACK
from tests.servers.publish_room import calm, header, kafka_connector, publish, records, tried
from tests.servers.things import create_topic


async def test_a_confirmed_record_is_an_event_where_the_answer_says(kafka, kafka_topic):
    topic = await kafka_topic(partitions=3)
    async with calm():
        connector = kafka_connector(kafka.bootstrap)
        answer = await publish(
            connector,
            topic=topic,
            key="order-7",
            body={"total": 1},
            headers={"tenant": "a", "many": [1, 2]},
            event={"type": "order.paid", "subject": "7"},
        )
        await connector.close()
    place = msgspec.json.decode(answer.body)
    (record,) = await records(kafka.bootstrap, topic, 3)
    assert (answer.status, place) == (
        200,
        {"topic": topic, "partition": record.partition, "offset": record.offset},
    )
    assert (record.key, record.value) == (b"order-7", b'{"total":1}')
    assert dict(record.headers) == {
        "tenant": b"a",
        "many": b"2",
        "ce_specversion": b"1.0",
        "ce_id": b"id-1",
        "ce_source": b"/pointsman",
        "ce_type": b"order.paid",
        "ce_subject": b"7",
        "content-type": b"application/json",
        "traceparent": b"00-1-2-01",
        "pointsman-causation": b"msg_1",
        "pointsman-hops": b"1",
    }


async def test_one_key_goes_to_one_partition_in_order(kafka, kafka_topic):
    topic = await kafka_topic(partitions=4)
    async with calm():
        connector = kafka_connector(kafka.bootstrap)
        for number in range(20):
            await publish(connector, f"id-{number}", topic=topic, key="same", body=number)
        await asyncio.gather(
            *(publish(connector, f"other-{n}", topic=topic, key=str(n), body=n) for n in range(40))
        )
        await connector.close()
    found = await records(kafka.bootstrap, topic, 4)
    same = [record for record in found if record.key == b"same"]
    assert [int(record.value) for record in same] == list(range(20))
    assert len({record.partition for record in same}) == 1
    assert len({record.partition for record in found}) > 1


async def test_structured_events_and_tombstones(kafka, kafka_topic):
    topic = await kafka_topic()
    async with calm():
        connector = kafka_connector(kafka.bootstrap, style=EventStyle(mode="structured", source="/shop"))
        await publish(connector, topic=topic, body={"a": 1})
        await connector.close()
        plain = kafka_connector(kafka.bootstrap, style=EventStyle(mode="none"))
        await publish(plain, topic=topic, key="gone", body=None)
        await plain.close()
    event, tombstone = await records(kafka.bootstrap, topic)
    assert msgspec.json.decode(event.value) == {
        "specversion": "1.0",
        "id": "id-1",
        "source": "/shop",
        "type": "publish",
        "datacontenttype": "application/json",
        "data": {"a": 1},
    }
    assert header(event, "content-type") == "application/cloudevents+json; charset=utf-8"
    assert (tombstone.key, tombstone.value, header(tombstone, "ce_id")) == (b"gone", None, None)


async def test_what_the_broker_refuses_spoils_nothing_for_the_next(kafka, kafka_topic):
    topic = await kafka_topic(**{"max.message.bytes": "200000"})
    async with calm():
        connector = kafka_connector(kafka.bootstrap)
        assert (await publish(connector, topic=topic, body="x" * 150_000)).status == 200
        for _ in range(2):
            with pytest.raises(Refused, match="does not take a record"):
                await publish(connector, topic=topic, body="x" * 300_000)
            assert (await publish(connector, topic=topic, body="small")).status == 200
        with pytest.raises(Refused, match="no partition 7"):
            await publish(connector, topic=topic, partition=7, body=1)
        await connector.close()
    assert len(await records(kafka.bootstrap, topic)) == 3


async def test_nothing_is_said_to_brokers_that_may_not_be_called(kafka):
    async with calm():
        for egress, words in (
            ("public", "may not be called"),
            (["localhost"], "no broker that the cluster names"),
        ):
            port = kafka.bootstrap.rpartition(":")[2]
            connector = kafka_connector("", server=f"kafka://localhost:{port}", egress=read_egress(egress))
            with pytest.raises(Refused, match=words):
                await publish(connector, topic="t", body=1)
            await connector.close()


async def test_nobody_there_is_surely_not_sent(kafka):
    async with calm():
        connector = kafka_connector("127.0.0.1:1")
        with pytest.raises(RetryLater, match=r"127.0.0.1:1 .*refused|Connect call failed"):
            await publish(connector, topic="t", body=1)
        await connector.close()
        with pytest.raises(RetryLater, match="closed"):
            await publish(connector, topic="t", body=1)


async def test_a_topic_that_is_not_there_is_waited_for(make_kafka):
    server = make_kafka(extra={"auto.create.topics.enable": "false"})
    await server.start()
    async with calm():
        connector = kafka_connector(server.bootstrap)
        with pytest.raises(RetryLater, match="does not know the topic late"):
            await publish(connector, topic="late", body=1)
        await create_topic(server.bootstrap, "late")
        assert (await publish(connector, topic="late", body=1)).status == 200
        await connector.close()
    assert len(await records(server.bootstrap, "late")) == 1


async def test_a_frozen_broker_leaves_it_unknown_and_the_repeat_has_the_same_id(make_kafka):
    """RELIABILITY F34: what was in flight may have been published; what came later surely was not."""
    server = make_kafka()
    await server.start()
    await create_topic(server.bootstrap, "t")
    async with calm():
        connector = kafka_connector(server.bootstrap, timeout=8.0)
        await publish(connector, "before", topic="t", body=0)
        server.freeze()
        began = time.monotonic()
        first = await tried(connector, "frozen", deadline=4.0, topic="t", body="x" * 300_000)
        assert isinstance(first, OutcomeUnknown)
        second = await tried(connector, "later", deadline=1.0, topic="t", body=2)
        assert isinstance(second, RetryLater)
        assert time.monotonic() - began < 4.0 + 1.0 + SLACK
        server.thaw()
        assert (await publish(connector, "frozen", topic="t", body="x" * 300_000)).status == 200
        await connector.close()
    ids = Counter(header(record, "ce_id") for record in await records(server.bootstrap, "t"))
    assert ids["before"] == 1
    assert ids["frozen"] in {1, 2}
    assert ids["later"] == 0


async def test_a_killed_broker_leaves_three_honest_outcomes(make_kafka):
    server = make_kafka()
    await server.start()
    await create_topic(server.bootstrap, "t", 2)
    outcomes: dict[str, list[str]] = {}
    async with calm():
        connector = kafka_connector(server.bootstrap, timeout=2.0)

        async def send(key: str) -> bool:
            found = await tried(
                connector, key, deadline=2.0, topic="t", key=key, body={"id": key, "pad": "x" * 500}
            )
            outcomes.setdefault(key, []).append("ok" if isinstance(found, Answer) else type(found).__name__)
            return isinstance(found, Answer)

        confirmed, killed = asyncio.Event(), asyncio.Event()

        async def keep_sending(worker: int) -> None:
            for number in itertools.count():
                if await send(f"{worker}-{number}"):
                    if number >= 5:
                        confirmed.set()
                elif killed.is_set():
                    return

        async with asyncio.TaskGroup() as group:
            for worker in range(16):
                group.create_task(keep_sending(worker))
            await confirmed.wait()
            server.kill()
            killed.set()
        assert {"ok"} < {words[0] for words in outcomes.values()}
        await server.start()
        for key in [key for key, words in outcomes.items() if words != ["ok"]]:
            async with asyncio.timeout(PATIENCE):
                while not await send(key):
                    pass
        await connector.close()
    ids = Counter(header(record, "ce_id") for record in await records(server.bootstrap, "t", 2))
    assert set(ids) == set(outcomes)
    assert {words for key, tries in outcomes.items() for words in tries} <= {
        "ok",
        "RetryLater",
        "OutcomeUnknown",
    }
    sure = [key for key, words in outcomes.items() if "OutcomeUnknown" not in words]
    assert [key for key in sure if ids[key] != 1] == []


async def test_closing_ends_whatever_is_under_way(make_kafka):
    server = make_kafka()
    await server.start()
    await create_topic(server.bootstrap, "t")
    async with calm():
        idle = kafka_connector(server.bootstrap)
        await idle.close()
        busy, starting = (kafka_connector(server.bootstrap, timeout=30.0) for _ in range(2))
        await publish(busy, topic="t", body=1)
        server.freeze()
        # More than the sockets hold: the rest waits in our own buffer.
        calls = [
            asyncio.ensure_future(tried(one, f"id-{n}", deadline=30, topic="t", body="x" * 900_000))
            for n, one in enumerate([busy] * 12 + [starting] * 2)
        ]
        assert not (await asyncio.wait(calls, timeout=0.5))[0]
        began = time.monotonic()
        for one in (busy, starting, busy):
            await one.close()
        assert time.monotonic() - began < 3 + SLACK
        async with asyncio.timeout(PATIENCE):
            ends = await asyncio.gather(*calls)
        assert {type(end) for end in ends} <= {OutcomeUnknown, RetryLater}
        server.thaw()


async def test_a_cancelled_call_stays_cancelled(make_kafka):
    server = make_kafka()
    await server.start()
    await create_topic(server.bootstrap, "t")
    async with calm():
        connector = kafka_connector(server.bootstrap)
        await publish(connector, topic="t", body=1)
        server.freeze()
        call = asyncio.ensure_future(publish(connector, topic="t", body=2))
        assert not (await asyncio.wait({call}, timeout=0.3))[0]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.thaw()
        assert (await publish(connector, topic="t", body=2)).status == 200
        await connector.close()
