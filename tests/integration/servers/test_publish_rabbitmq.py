"""The RabbitMQ connector on real nodes: what it says of a call is what can be taken out of the queue."""

import asyncio
import itertools
import subprocess
import time
from collections import Counter

import msgspec
import pytest

from actions.base import Answer
from actions.cloudevents import EventStyle
from actions.errors import OutcomeUnknown, Refused, RetryLater
from service.demo.servers import LocalRabbitMQ
from tests.patience import PATIENCE, SLACK
from tests.servers import unique
from tests.servers.publish_room import ATTEMPT, calm, channel, messages, publish, rabbit_connector, tried
from tests.servers.rabbit_room import RabbitRoom
from tests.servers.things import await_queue_on_disk, declare_queue


async def test_a_confirmed_message_is_an_event_in_its_queue(rabbitmq, rabbit_queue):
    queue = await rabbit_queue()
    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        answer = await publish(
            connector,
            routing_key=queue,
            body={"total": 1},
            headers={"tenant": "a", "tries": 3, "deep": {"list": [1, True, 1.5, None]}},
            properties={
                "priority": 3,
                "expiration": 60_000,
                "correlation_id": "c",
                "type": "t",
                "app_id": "x",
            },
            event={"type": "order.paid", "subject": "7"},
        )
        await connector.close()
    assert (answer.status, msgspec.json.decode(answer.body)) == (200, {"exchange": "", "routing_key": queue})
    (message,) = await messages(rabbitmq.url, queue)
    properties = message.header.properties
    assert message.body == b'{"total":1}'
    assert properties.headers == {
        "tenant": "a",
        "tries": 3,
        "deep": {"list": [1, True, "1.5", None]},
        "ce-specversion": "1.0",
        "ce-id": "id-1",
        "ce-source": "/pointsman",
        "ce-type": "order.paid",
        "ce-subject": "7",
        **ATTEMPT,
    }
    assert (properties.message_id, properties.delivery_mode, properties.content_type) == (
        "id-1",
        2,
        "application/json",
    )
    assert (properties.priority, properties.expiration, properties.correlation_id) == (3, "60000", "c")
    assert (properties.message_type, properties.app_id, properties.user_id) == ("t", "x", None)


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
async def test_the_names_of_amqp_1_can_be_had(rabbitmq, rabbit_queue, prefix):
    queue = await rabbit_queue()
    async with calm():
        connector = rabbit_connector(rabbitmq.url, style=EventStyle(prefix=prefix))
        await publish(connector, routing_key=queue, body="text", content_type="text/plain")
        await connector.close()
    (message,) = await messages(rabbitmq.url, queue)
    assert message.header.properties.headers[f"{prefix}id"] == "id-1"
    assert (message.body, message.header.properties.content_type) == (b"text", "text/plain")


async def test_what_reaches_no_queue_is_tried_again_until_something_is_bound(rabbitmq, rabbit_queue):
    queue, exchange = await rabbit_queue(), unique("exchange")
    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        place = {"exchange": exchange, "routing_key": "paid", "body": 1}
        with pytest.raises(RetryLater, match=f"there is no exchange {exchange}"):
            await publish(connector, **place)
        async with channel(rabbitmq.url) as making:
            await making.exchange_declare(exchange, exchange_type="direct")
            with pytest.raises(
                RetryLater, match=f"nothing is bound to exchange {exchange} with the key 'paid'"
            ):
                await publish(connector, **place)
            await making.queue_bind(queue, exchange, "paid")
            assert (await publish(connector, **place)).status == 200
            await making.exchange_delete(exchange)
            # The exchange was known: the broker closes the channel, and others' messages with it, once.
            gone = await tried(connector, "id-2", deadline=PATIENCE, **place)
            assert isinstance(gone, RetryLater)
            with pytest.raises(RetryLater, match="there is no exchange"):
                await publish(connector, **place)
        assert (await publish(connector, routing_key=queue, body=2)).status == 200
        await connector.close()
    assert [message.body for message in await messages(rabbitmq.url, queue)] == [b"1", b"2"]


async def test_a_queue_that_is_full_may_not_have_taken_it(rabbitmq, rabbit_queue):
    queue = await rabbit_queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})
    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        assert (await publish(connector, routing_key=queue, body=1)).status == 200
        with pytest.raises(OutcomeUnknown, match="did not take responsibility"):
            await publish(connector, routing_key=queue, body=2)
        await connector.close()


async def test_a_question_gets_its_answer_and_nobody_gets_none(rabbitmq, rabbit_queue):
    queue = await rabbit_queue()

    async def reply(connector, **arguments):
        prepared = connector.prepare("reply", arguments, key="id-1")
        return await connector.call(prepared, deadline=PATIENCE, headers=ATTEMPT)

    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        answered = await reply(connector, to=queue, correlation_id="c-1", body={"price": 5})
        assert (answered.status, msgspec.json.decode(answered.body)["routing_key"]) == (200, queue)
        assert (await reply(connector, to=None, body=1)).status == 204
        assert (await reply(connector, body=1)).status == 204
        gone = await reply(connector, to="nobody-here", correlation_id="c-2", body=1)
        assert (gone.status, b"nobody waits" in gone.body) == (404, True)
        await connector.close()
    (message,) = await messages(rabbitmq.url, queue)
    properties = message.header.properties
    assert (message.body, properties.correlation_id, properties.message_id) == (b'{"price":5}', "c-1", "id-1")
    assert set(properties.headers) == set(ATTEMPT)


async def test_who_is_not_let_in_is_told_by_status(rabbitmq):
    room = RabbitRoom(rabbitmq.url, rabbitmq.management)
    user = unique("user")
    await room.api("PUT", f"users/{user}", {"password": "secret", "tags": ""})
    await room.api("PUT", f"permissions/%2F/{user}", {"configure": "", "write": "^allowed$", "read": ""})
    try:
        async with calm():
            wrong = rabbit_connector(rabbitmq.url, login=(user, "other"))
            assert (await publish(wrong, routing_key="x", body=1)).status == 401
            await wrong.close()
            right = rabbit_connector(rabbitmq.url, login=(user, "secret"))
            denied = await publish(right, exchange="amq.direct", routing_key="x", body=1)
            assert (denied.status, b"does not let us" in denied.body) == (403, True)
            await right.close()
            nowhere = rabbit_connector(rabbitmq.url, server=f"amqp://127.0.0.1:{room.port}/no%2Fsuch")
            with pytest.raises(RetryLater, match="virtual host no/such"):
                await publish(nowhere, routing_key="x", body=1)
            await nowhere.close()
    finally:
        await room.api("DELETE", f"users/{user}")


async def test_a_connection_that_is_cut_is_replaced(rabbitmq, rabbit_queue):
    room, queue = RabbitRoom(rabbitmq.url, rabbitmq.management), await rabbit_queue()
    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        await publish(connector, routing_key=queue, body=1)
        async with asyncio.timeout(PATIENCE):
            while not (mine := [one for one in await room.api("GET", "connections") if _ours(one)]):
                pass  # the management API learns of a connection in its own time
        for one in mine:
            await room.api("DELETE", f"connections/{one['name'].replace(' ', '%20').replace('>', '%3E')}")
        async with asyncio.timeout(PATIENCE):
            while not isinstance(
                await tried(connector, "id-2", deadline=PATIENCE, routing_key=queue, body=2), Answer
            ):
                pass
        await connector.close()
    assert {message.body for message in await messages(rabbitmq.url, queue)} == {b"1", b"2"}


def _ours(connection):
    return connection.get("client_properties", {}).get("connection_name") == "pointsman mq"


async def test_a_frozen_broker_leaves_it_unknown_and_the_repeat_has_the_same_id(make_rabbitmq):
    """RELIABILITY 3.4, F23."""
    server = make_rabbitmq(management=False)
    await server.start()
    await declare_queue(server.url, "q", "quorum")
    async with calm():
        connector = rabbit_connector(server.url)
        await publish(connector, "before", routing_key="q", body=0)
        server.freeze()
        began = time.monotonic()
        first = await tried(connector, "frozen", deadline=4.0, routing_key="q", body="x" * 100_000)
        assert isinstance(first, OutcomeUnknown)
        second = await tried(connector, "later", deadline=1.0, routing_key="q", body=2)
        assert isinstance(second, RetryLater)
        assert time.monotonic() - began < 4.0 + 1.0 + SLACK
        server.thaw()
        async with asyncio.timeout(PATIENCE):
            while not isinstance(
                await tried(connector, "frozen", deadline=PATIENCE, routing_key="q", body="x" * 100_000),
                Answer,
            ):
                pass
        await connector.close()
    ids = Counter(message.header.properties.message_id for message in await messages(server.url, "q"))
    assert ids["before"] == 1
    assert ids["frozen"] in {1, 2}
    assert ids["later"] == 0


async def test_a_killed_broker_leaves_three_honest_outcomes(make_rabbitmq):
    server = make_rabbitmq(management=False)
    await server.start()
    await declare_queue(server.url, "orders", "quorum")
    await asyncio.to_thread(await_queue_on_disk, server.directory, "orders", "quorum")
    outcomes: dict[str, list[str]] = {}
    async with calm():
        connector = rabbit_connector(server.url)

        async def send(key: str) -> bool:
            found = await tried(
                connector, key, deadline=2.0, routing_key="orders", body={"id": key, "pad": "x" * 500}
            )
            outcomes.setdefault(key, []).append("ok" if isinstance(found, Answer) else type(found).__name__)
            return isinstance(found, Answer)

        confirmed, killed = asyncio.Event(), asyncio.Event()

        async def keep_sending(worker: int) -> None:
            for number in itertools.count():
                if await send(f"{worker}-{number}"):
                    if number >= 20:
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
    ids = Counter(message.header.properties.message_id for message in await messages(server.url, "orders"))
    assert set(ids) == set(outcomes)
    assert {words for tries in outcomes.values() for words in tries} <= {"ok", "RetryLater", "OutcomeUnknown"}
    sure = [key for key, words in outcomes.items() if "OutcomeUnknown" not in words]
    assert [key for key in sure if ids[key] != 1] == []


def limit_memory(server: LocalRabbitMQ, fraction: str) -> None:
    """Set the share of memory from which on publishers are blocked."""
    program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
    words = [program, "set_vm_memory_high_watermark", fraction]
    subprocess.run(words, env=server._environment(), check=True, capture_output=True, timeout=PATIENCE)


async def test_an_alarm_holds_up_publishers_until_their_deadline_and_nobody_else(make_rabbitmq):
    """RELIABILITY F28."""
    server = make_rabbitmq(management=False)
    await server.start()
    await declare_queue(server.url, "q")
    async with calm():
        connector = rabbit_connector(server.url)
        await publish(connector, "before", routing_key="q", body=0)
        async with channel(server.url) as consuming:
            await asyncio.to_thread(limit_memory, server, "0")
            began = time.monotonic()
            first = await tried(connector, "blocked", deadline=1.0, routing_key="q", body=1)
            assert isinstance(first, OutcomeUnknown | RetryLater)
            second = await tried(connector, "later", deadline=1.0, routing_key="q", body=2)
            assert isinstance(second, RetryLater)
            assert "alarm" in str(second)
            assert time.monotonic() - began < 1.0 + 1.0 + SLACK
            got = await asyncio.wait_for(consuming.basic_get("q", no_ack=True), PATIENCE)
            assert got.body == b"0"
            await asyncio.to_thread(limit_memory, server, "0.6")
        async with asyncio.timeout(PATIENCE):
            while not isinstance(
                await tried(connector, "later", deadline=PATIENCE, routing_key="q", body=2), Answer
            ):
                pass
        await connector.close()
    ids = Counter(message.header.properties.message_id for message in await messages(server.url, "q"))
    assert ids["later"] == 1
    assert ids["blocked"] <= 1


async def test_closing_ends_whatever_is_under_way(make_rabbitmq):
    server = make_rabbitmq(management=False)
    await server.start()
    await declare_queue(server.url, "q")
    async with calm():
        idle = rabbit_connector(server.url)
        await idle.close()
        busy, starting = rabbit_connector(server.url), rabbit_connector(server.url)
        await publish(busy, routing_key="q", body=1)
        server.freeze()
        # More than the sockets hold: the rest waits in our own buffers.
        calls = [
            asyncio.ensure_future(tried(one, f"id-{n}", deadline=30, routing_key="q", body="x" * 900_000))
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


async def test_a_cancelled_call_stays_cancelled(make_rabbitmq):
    server = make_rabbitmq(management=False)
    await server.start()
    await declare_queue(server.url, "q")
    async with calm():
        connector = rabbit_connector(server.url)
        await publish(connector, routing_key="q", body=1)
        server.freeze()
        call = asyncio.ensure_future(publish(connector, routing_key="q", body=2))
        assert not (await asyncio.wait({call}, timeout=0.3))[0]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.thaw()
        assert (await publish(connector, routing_key="q", body=2)).status == 200
        await connector.close()


async def test_wrong_arguments_never_reach_the_channel_that_others_use(rabbitmq):
    async with calm():
        connector = rabbit_connector(rabbitmq.url)
        for arguments in (
            {"routing_key": "k" * 256, "body": 1},
            {"exchange": "no spaces", "body": 1},
            {"routing_key": "k", "body": 1, "properties": {"user_id": "somebody"}},
            {"routing_key": "k", "body": 1, "headers": {"n": 2**64}},
            {"routing_key": "k", "body": 1, "headers": {"n" * 200: 1}},
        ):
            with pytest.raises(Refused):
                await publish(connector, **arguments)
        await connector.close()
