"""The RabbitMQ source keeps what every source promises, on a real broker and each kind of queue."""

import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from typing_extensions import override

from tests.contract.source_contract import Outside, SourceContract
from tests.servers import unique
from tests.servers.rabbit_room import RabbitRoom
from tests.servers.values import RabbitServer
from triggers.base import Source, SourceConfig
from triggers.rabbitmq import RabbitMQConfig, RabbitMQSource

PASSWORD = "pa55word-of-the-room"


class Queue(Outside):
    """One queue of a shared broker, and a user for it."""

    credentials = (PASSWORD,)
    crash_points = ("rabbitmq.before_ack", "rabbitmq.after_ack")

    def __init__(self, room: RabbitRoom, queue: str, user: str, kind: str) -> None:
        self.room = room
        self.queue = queue
        self.user = user
        self.kind = kind

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {
            "kind": "rabbitmq",
            "url": self.room.plain_url,
            "username": self.user,
            "password": PASSWORD,
            "queue": self.queue,
            "declare": {"type": self.kind},
            "batch": 10,
        }
        return RabbitMQConfig.model_validate({**said, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        return self.config(url="amqp://127.0.0.1:1")

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        async with self.room.channel() as channel:
            for token in tokens:
                await channel.basic_publish(
                    json.dumps({"n": token}).encode(),
                    routing_key=self.queue,
                    properties=_properties(token, password=PASSWORD),
                )
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        body = b'{"n": '
        await self.room.publish(self.queue, [body])
        return body

    @override
    async def unacknowledged(self) -> int | None:
        return None if self.kind == "stream" else await self.room.left(self.queue)


def _properties(token: str, **headers: str) -> Any:
    from pamqp.commands import Basic

    return Basic.Properties(
        message_id=f"id-{token}", content_type="application/json", delivery_mode=2, headers=dict(headers)
    )


class TestClassicQueue(SourceContract):
    queue_kind: ClassVar[str] = "classic"

    @pytest.fixture
    async def outside(self, rabbitmq: RabbitServer) -> AsyncIterator[Outside]:
        room = RabbitRoom(rabbitmq.url, rabbitmq.management)
        queue, user = unique("contract"), unique("user")
        await room.make_user(user, PASSWORD, configure=queue, write=queue, read=queue)
        await room.declare(
            queue, **({} if self.queue_kind == "classic" else {"x-queue-type": self.queue_kind})
        )
        yield Queue(room, queue, user, self.queue_kind)
        await room.delete(queue)
        await room.api("DELETE", f"users/{user}")

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, RabbitMQConfig)
        return RabbitMQSource(name, config)


class TestQuorumQueue(TestClassicQueue):
    queue_kind = "quorum"


class TestStream(TestClassicQueue):
    queue_kind = "stream"
