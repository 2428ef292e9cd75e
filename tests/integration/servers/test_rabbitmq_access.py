"""How the RabbitMQ source reaches a real broker, what it checks there, sets up and takes down."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiormq
import pytest
from typing_extensions import override

from tests.fakes.certificates import authority, server_context
from tests.fakes.raw_backend import RawBackend, Talk
from tests.fakes.sources import Emitted
from tests.integration.servers.rabbit_faults import (
    Wire,
    config,
    connected,
    opened,
    publish,
    takes,
)
from tests.patience import PATIENCE
from tests.servers import unique
from tests.servers.rabbit_room import RabbitRoom
from tests.servers.values import RabbitServer
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.rabbitmq import RabbitMQConfig, connection

Queue = Callable[..., Awaitable[str]]
PASSWORD = "p@ss:w/rd?%41&ü"


@pytest.fixture
def room(rabbitmq: RabbitServer) -> RabbitRoom:
    return RabbitRoom(rabbitmq.url, rabbitmq.management)


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


async def ended(made: RabbitMQConfig, within: float = PATIENCE) -> BaseException | None:
    async with opened(made, Emitted()) as run:
        return await run.start().ended(within)


async def codes(made: RabbitMQConfig) -> list[str]:
    async with opened(made, Emitted()) as run:
        findings = await run.source.check()
    assert all(finding.message and finding.fix for finding in findings)
    assert PASSWORD not in repr(findings)
    return [finding.code for finding in findings]


# -- logging in


async def test_a_wrong_password_is_refused(room: RabbitRoom, rabbit_queue: Queue) -> None:
    made = config(room, await rabbit_queue(), username="guest", password=PASSWORD)
    error = await ended(made)
    assert isinstance(error, SourceRejected)
    assert "check username and password" in str(error)
    assert PASSWORD not in repr((error, error.__cause__))
    assert await codes(made) == ["bad-login"]


async def test_a_virtual_host_that_is_not_there_is_refused(room: RabbitRoom) -> None:
    made = config(room, "q", url=f"{room.plain_url}nowhere")
    error = await ended(made)
    assert isinstance(error, SourceRejected)
    assert "refuses the virtual host nowhere" in str(error)
    assert await codes(made) == ["no-vhost"]


@pytest.mark.parametrize("vhost", ["a/b", "ünï cödé 100%"])
async def test_odd_names_and_passwords_reach_the_broker_as_they_are(
    rabbitmq: RabbitServer, emitted: Emitted, vhost: str
) -> None:
    from urllib.parse import quote

    vhost = f"{unique('vhost')} {vhost}"
    room = RabbitRoom(rabbitmq.url, rabbitmq.management, vhost)
    await room.api("PUT", f"vhosts/{quote(vhost, safe='')}")
    await room.api(
        "PUT", f"permissions/{quote(vhost, safe='')}/guest", {"configure": ".*", "write": ".*", "read": ".*"}
    )
    user = unique("user")
    await room.make_user(user, PASSWORD, configure=".*", read=".*", write=".*")
    try:
        queue = "wärteschlange ☃"
        made = config(room, queue, username=user, password=PASSWORD, declare={"type": "classic"})
        assert made.vhost == vhost
        await room.declare(queue)
        await publish(room, queue, 1)
        await takes(made, emitted, lambda: len(emitted.items) == 1, "it is stored")
    finally:
        await room.api("DELETE", f"vhosts/{quote(vhost, safe='')}")
        await room.api("DELETE", f"users/{user}")


@pytest.mark.parametrize(
    ("permissions", "declare", "code"),
    [
        ({"configure": ".*"}, {"type": "classic"}, "no-permission"),
        ({"read": ".*"}, {"type": "classic"}, "no-permission"),
        ({}, None, "no-permission"),
    ],
)
async def test_missing_permissions_are_told(
    room: RabbitRoom, rabbit_queue: Queue, permissions: dict[str, str], declare: Any, code: str
) -> None:
    queue = await rabbit_queue()
    user = unique("user")
    await room.make_user(user, PASSWORD, **permissions)
    try:
        made = config(room, queue, username=user, password=PASSWORD, declare=declare)
        error = await ended(made)
        assert isinstance(error, SourceRejected)
        assert "ACCESS_REFUSED" in str(error)
        assert await codes(made) == [code]
    finally:
        await room.api("DELETE", f"users/{user}")


async def test_reading_alone_is_enough_for_a_queue_that_is_there(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    user = unique("user")
    await room.make_user(user, PASSWORD, read=queue)
    try:
        made = config(room, queue, username=user, password=PASSWORD)
        assert await codes(made) == []
        await publish(room, queue, 1)
        await takes(made, emitted, lambda: len(emitted.items) == 1, "it is stored")
    finally:
        await room.api("DELETE", f"users/{user}")


# -- TLS


async def test_tls_with_an_authority_of_our_own(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    queue = await rabbit_queue()
    await publish(room, queue, 1)
    async with Wire(room.host, room.port, server_context(authority().sign("127.0.0.1"))) as wire:
        made = config(room, queue, url=f"amqps://127.0.0.1:{wire.port}", ca=authority().pem.decode())
        assert await codes(made) == []
        await takes(made, emitted, lambda: len(emitted.items) == 1, "it is stored")


@pytest.mark.parametrize(
    ("host", "days", "trusted"), [("127.0.0.1", 5, False), ("127.0.0.2", 5, True), ("127.0.0.1", -1, True)]
)
async def test_a_certificate_that_is_not_trusted_is_refused(
    room: RabbitRoom, host: str, days: int, trusted: bool
) -> None:
    identity = authority().sign(host, days=days)
    async with Wire(room.host, room.port, server_context(identity)) as wire:
        said = {"ca": authority().pem.decode()} if trusted else {}
        made = config(room, "q", url=f"amqps://127.0.0.1:{wire.port}", **said)
        error = await ended(made)
        assert isinstance(error, SourceRejected), error
        assert "certificate that is not trusted" in str(error)
        assert await codes(made) == ["untrusted"]


async def test_our_certificate_is_shown(room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted) -> None:
    queue = await rabbit_queue()
    await publish(room, queue, 1)
    tls = server_context(authority().sign("127.0.0.1"), client_authority=authority().pem)
    identity = authority().sign("client.example.com", client=True).decode()
    certificate, dashes, key = identity.partition("-----BEGIN PRIVATE KEY-----")
    async with Wire(room.host, room.port, tls) as wire:
        said: dict[str, Any] = {
            "url": f"amqps://127.0.0.1:{wire.port}",
            "ca": authority().pem.decode(),
            "cert": certificate,
            "key": dashes + key,
        }
        made = config(room, queue, username="guest", password="guest", **said)
        await takes(made, emitted, lambda: len(emitted.items) == 1, "it is stored")
        # Without a user the certificate is the login, for which this broker lacks the plugin.
        error = await ended(config(room, queue, **said))
    assert isinstance(error, SourceRejected), error
    assert "refuses the login" in str(error)


async def test_tls_where_there_is_none_is_told(room: RabbitRoom) -> None:
    error = await ended(config(room, "q", url=f"amqps://127.0.0.1:{room.port}"))
    assert isinstance(error, SourceUnavailable), error


# -- the queue


async def test_a_queue_that_is_not_there_is_refused_unless_it_is_ours(room: RabbitRoom) -> None:
    queue = unique("absent")
    error = await ended(config(room, queue))
    assert isinstance(error, SourceRejected)
    assert f"there is no queue {queue}" in str(error)
    assert await codes(config(room, queue)) == ["no-queue"]
    assert await codes(config(room, queue, declare={})) == ["no-queue"]
    assert await room.look(queue) is None


@pytest.mark.parametrize(
    ("there", "declare", "differs"),
    [
        ({"x-queue-type": "quorum"}, {"type": "classic"}, "x-queue-type"),
        ({}, {"type": "quorum"}, "x-queue-type"),
        ({"x-max-length": 5}, {"type": "classic"}, "x-max-length"),
        ({"x-message-ttl": 5000}, {"type": "classic", "arguments": {"x-message-ttl": 6000}}, "x-message-ttl"),
    ],
)
async def test_a_queue_that_differs_is_refused_with_what_differs(
    room: RabbitRoom, there: dict[str, Any], declare: dict[str, Any], differs: str
) -> None:
    queue = unique("other")
    await room.declare(queue, **there)
    try:
        made = config(room, queue, declare=declare)
        error = await ended(made)
        assert isinstance(error, SourceRejected)
        assert f"`{differs}`: received" in str(error)
        assert await codes(made) == ["differs"]
        async with opened(made, Emitted()) as run:
            (step,) = await run.source.setup(apply=True)
        assert not step.done
        assert differs in step.problem
        assert step.fix
    finally:
        await room.delete(queue)


async def test_a_queue_that_dies_with_the_broker_is_warned_of(room: RabbitRoom) -> None:
    queue = unique("transient")
    await room.declare(queue, durable=False)
    try:
        assert await codes(config(room, queue)) == ["not-durable"]
        error = await ended(config(room, queue, declare={"type": "classic"}))
        assert isinstance(error, SourceRejected)
        assert "`durable`: received 'true' but current is 'false'" in str(error)
    finally:
        await room.delete(queue)


async def test_another_consumer_is_warned_of(room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted) -> None:
    made = config(room, await rabbit_queue())
    async with opened(made, emitted) as run:
        run.start()
        await connected(run)
        assert await codes(made) == []
        async with opened(made, Emitted()) as other:
            other.start()
            await connected(other)
            findings = await run.source.check()
    assert [finding.code for finding in findings] == ["other-consumers"]


async def test_an_exchange_that_is_not_there_is_told(room: RabbitRoom, rabbit_queue: Queue) -> None:
    queue = await rabbit_queue()
    made = config(room, queue, bindings=[{"exchange": "nowhere"}])
    error = await ended(made)
    assert isinstance(error, SourceRejected)
    assert "no exchange 'nowhere'" in str(error)
    async with opened(made, Emitted()) as run:
        steps = await run.source.setup(apply=True)
    assert [bool(step.problem) for step in steps] == [False, True]


# -- setup and teardown


async def test_setup_shows_then_does_and_teardown_undoes(room: RabbitRoom) -> None:
    queue, exchange = unique("setup"), unique("exchange")
    made = config(
        room,
        queue,
        declare={"type": "classic", "arguments": {"x-max-length": 5}},
        bindings=[{"exchange": exchange, "routing_key": "it's", "declare": {"type": "topic"}}],
    )
    async with opened(made, Emitted()) as run:
        shown = await run.source.setup(apply=False)
        assert [step.done for step in shown] == [False, False, False]
        assert await room.look(queue) is None
        assert shown[0].statement == (
            f"rabbitmqadmin declare queue name={queue} queue_type=classic durable=true 'arguments={{\"x-max-length\":5}}'"
        )
        assert shown[2].statement.endswith("'routing_key=it'\"'\"'s'")
        done = await run.source.setup(apply=True)
        assert [step.done for step in done] == [True, True, True]
        assert await room.look(queue) == (0, 0)
        assert [step.done for step in await run.source.setup(apply=True)] == [True, True, True]
        await publish(room, queue, 1)
        (kept,) = await run.source.teardown(apply=True)
        assert "1 messages are in it" in kept.problem
    await takes(made, emitted := Emitted(), lambda: len(emitted.items) == 1, "it is stored")
    async with opened(made, Emitted()) as run:
        (shown_step,) = await run.source.teardown(apply=False)
        assert not shown_step.done
        (gone,) = await run.source.teardown(apply=True)
        assert gone.done
        (gone,) = await run.source.teardown(apply=True)
        assert gone.done
    assert await room.look(queue) is None
    await room.delete_exchanges(exchange)


async def test_a_queue_that_was_there_before_us_is_only_unbound(
    room: RabbitRoom, rabbit_queue: Queue
) -> None:
    queue = await rabbit_queue()
    made = config(room, queue, bindings=[{"exchange": "amq.topic", "routing_key": "a.b"}])
    async with opened(made, Emitted()) as run:
        assert [step.done for step in await run.source.setup(apply=True)] == [True, True]
        await room.publish("a.b", [b"1"], exchange="amq.topic")
        assert await room.look(queue) == (1, 0)
        assert [step.done for step in await run.source.teardown(apply=True)] == [True]
        await room.publish("a.b", [b"1"], exchange="amq.topic")
        assert await room.look(queue) == (1, 0)


# -- shutting down


async def test_a_cancel_at_any_moment_of_the_beginning_leaves_nothing(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted
) -> None:
    """What FastStream's connection does not bear: its task lives on, and the process never ends."""
    made = config(room, await rabbit_queue())
    for turns in range(0, 120, 4):
        async with opened(made, emitted) as run:
            run.start()
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            await run.cancel()


async def test_a_cancel_in_the_turn_in_which_the_login_succeeds_leaves_no_connection(
    room: RabbitRoom, rabbit_queue: Queue, emitted: Emitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver has a connection, and we have not heard of it yet: nobody but the login itself knows it."""
    made = config(room, await rabbit_queue())
    opened_ones: list[aiormq.Connection] = []

    class Cancelling(aiormq.Connection):
        @override
        async def connect(self, *said: Any, **more: Any) -> bool:
            await super().connect(*said, **more)
            opened_ones.append(self)
            assert run.task is not None
            return run.task.cancel()

    monkeypatch.setattr(connection, "Connection", Cancelling)
    async with opened(made, emitted) as run:
        await asyncio.wait({run.start().task})
        assert run.task.cancelled()
        (one,) = opened_ones
        await asyncio.wait({one.closing}, timeout=PATIENCE)
        assert one.is_closed


async def test_an_address_where_nobody_speaks_amqp_is_not_waited_for(
    room: RabbitRoom, emitted: Emitted
) -> None:
    async with RawBackend(Talk.gone).listening() as silent:
        error = await ended(config(room, "q", url=f"amqp://127.0.0.1:{silent.port}", timeout="500ms"))
    assert isinstance(error, SourceUnavailable)
    assert "has not answered the login within 0.5 s" in str(error)
