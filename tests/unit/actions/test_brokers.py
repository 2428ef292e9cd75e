"""Where brokers live, and whether they may be called."""

import asyncio

import pytest

from actions.addresses import Server
from actions.brokers import Deadlines, Gate, read_brokers
from actions.egress import PINNED_FOR, read_egress
from actions.errors import Refused, RetryLater
from tests.tables import every_row
from tests.unit.actions.calling import Clock, Names


@every_row(
    ("url", "servers", "vhost", "secure"),
    [
        ("kafka://one:9092,two:9093", [("one", 9092), ("two", 9093)], "/", False),
        ("kafka-secure://one", [("one", 9093)], "/", True),
        ("kafka://[::1]:9092,[fd00::2]", [("[::1]", 9092), ("[fd00::2]", 9092)], "/", False),
        ("amqp://MQ.example", [("mq.example", 5672)], "/", False),
        ("amqps://mq/orders", [("mq", 5671)], "orders", True),
        ("amqp://mq:1/%2Fa%20b", [("mq", 1)], "/a b", False),
        ("amqp://mq/", [("mq", 5672)], "/", False),
    ],
)
def test_a_url_names_brokers(url, servers, vhost, secure):
    brokers = read_brokers(url)
    assert [(one.host, one.port) for one in brokers.servers] == servers
    assert (brokers.vhost, brokers.secure) == (vhost, secure)


@every_row(
    ("url", "words"),
    [
        ("http://x", "write kafka:// or"),
        ("kafka:x", "write kafka:// or"),
        ("kafka://", "the host is missing"),
        ("kafka://a:1,", "the host is missing"),
        ("kafka://u:p@h:1", "use the connection's `auth`"),
        ("kafka://h:99999", "from 1 to 65535"),
        ("kafka://h:0", "from 1 to 65535"),
        ("kafka://127.1:9092", "plain form"),
        ("kafka://h/topic", "the topic belongs to the call"),
        ("amqp://h/a/b", "written %2F"),
        ("amqp://h/a?b=c", "without query and fragment"),
        ("amqp://h h", "without query and fragment"),
    ],
)
def test_what_names_none_is_refused_with_the_reason(url, words):
    with pytest.raises(Refused, match="server") as caught:
        read_brokers(url)
    assert words in str(caught.value)


def test_all_that_is_wrong_is_said():
    with pytest.raises(Refused) as caught:
        read_brokers("kafka://u@a:1,127.1,x:0/y")
    assert all(words in str(caught.value) for words in ("auth", "plain form", "65535", "topic"))


def test_a_password_in_a_url_is_not_repeated_for_people():
    assert read_brokers("amqp://mq:5672/v").url == "amqp://mq:5672/v"


async def test_a_verdict_is_good_for_a_while():
    clock, names = Clock(), Names(["10.0.0.1"], ["8.8.8.8"], OSError("gone"))
    gate = Gate("bus", read_egress(["10.0.0.0/8"]), names, clock=clock)
    server = Server("kafka", "broker", 9092)
    assert await gate.addresses(server) == ("10.0.0.1",)
    clock.now += PINNED_FOR - 1
    assert await gate.addresses(server) == ("10.0.0.1",)
    clock.now += 2
    with pytest.raises(Refused, match="may not be called"):
        await gate.addresses(server)
    clock.now += PINNED_FOR + 1
    with pytest.raises(RetryLater, match="was not found"):
        await gate.addresses(server)
    gate.close()
    assert names.closed


async def test_checking_names_what_is_refused_and_what_is_not_found():
    gate = Gate("bus", read_egress("public"), Names(["127.0.0.1"], OSError("gone"), ["8.8.8.8"]))
    servers = [Server("kafka", name, 9092) for name in ("a", "b", "c")]
    assert [one.code for one in await gate.check(servers)] == ["egress-refused", "server-not-found"]


async def test_deadlines_end_together():
    deadlines = Deadlines()

    async def wait():
        with pytest.raises(TimeoutError):
            async with deadlines.within(1000):
                await asyncio.Event().wait()

    waiting = [asyncio.ensure_future(wait()) for _ in range(3)]
    assert not (await asyncio.wait(waiting, timeout=0))[0]
    deadlines.end()
    deadlines.end()
    await asyncio.gather(*waiting)
    async with deadlines.within(1000):
        pass
    deadlines.end()
