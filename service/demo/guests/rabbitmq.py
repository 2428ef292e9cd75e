"""The demo in a RabbitMQ broker: a queue, one message in, and an answer to who asked."""

import asyncio
import contextlib
from typing import Any, ClassVar, Final
from urllib.parse import quote, unquote, urlsplit

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPError, DeliveryError
from typing_extensions import override

from service.demo.guests.base import WITHIN, Guest, Order, told
from service.errors import Unavailable


class RabbitMQGuest(Guest):
    """A guest of one virtual host; without a user in the address it is `guest`."""

    kind: ClassVar[str] = "rabbitmq"
    title: ClassVar[str] = "RabbitMQ"
    event: ClassVar[str] = "message"
    usual: ClassVar[str] = "amqp://guest:guest@127.0.0.1:5672/"
    example: ClassVar[str] = "amqp://guest:guest@127.0.0.1:5672/"
    # The last is what aio-pika makes of some refusals.
    failures: ClassVar[tuple[type[Exception], ...]] = (AMQPError, OSError, TimeoutError, RuntimeError)

    @override
    def __init__(self, address: str, name: str, orders: str = "") -> None:
        super().__init__(address, name, orders)
        parts = urlsplit(address)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write amqp://user:password@host:port/vhost")
        self._host: Final = parts.hostname
        self._user: Final = unquote(parts.username or "guest")
        self._password: Final = unquote(parts.password or "guest")
        shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        path = parts.path.removeprefix("/")
        login = f"{quote(self._user, safe='')}:{quote(self._password, safe='')}"
        self._bare: Final = f"{parts.scheme}://{shown}:{port}/{path}"
        self._whole: Final = f"{parts.scheme}://{login}@{shown}:{port}/{path}"
        self._asking: AbstractConnection | None = None
        self._replies: AbstractQueue | None = None
        self._at: Final = f"{shown}:{port}"

    @property
    @override
    def place(self) -> str:
        return self._at

    @override
    async def refusal(self) -> str:
        try:
            async with asyncio.timeout(WITHIN), await self._connect() as connection:
                await connection.channel()
        except self.failures as error:
            return told(error)
        return ""

    @override
    async def arrive(self) -> None:
        """Make nothing: the source declares its queue."""

    @override
    def values(self) -> dict[str, Any]:
        return {"url": self._bare, "user": self._user, "hosts": [self._host], "orders": self.orders}

    @override
    def secrets(self) -> dict[str, str]:
        return {"rabbitmq": self._password}

    @override
    async def bring(self, order: Order) -> str:
        """Bring a question: its answer goes to a queue that lives as long as we do."""
        with self.mapped("publishing a message"):
            async with asyncio.timeout(WITHIN):
                await self.rest()
                connection = self._asking = await self._connect()
                channel = await connection.channel(on_return_raises=True)
                replies = self._replies = await channel.declare_queue(exclusive=True)
                message = aio_pika.Message(
                    order.event(),
                    content_type="application/json",
                    message_id=order.id,
                    correlation_id=order.id,
                    reply_to=replies.name,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                try:
                    await channel.default_exchange.publish(message, self.orders, mandatory=True)
                except DeliveryError as error:
                    raise Unavailable(f"{self.title} at {self.place}: no queue {self.orders} yet") from error
        return f"queue {self.orders}"

    @override
    async def answer(self, order: Order, patience: float) -> str:
        if self._replies is None:
            raise Unavailable(f"{self.title} at {self.place}: nothing was asked")
        with self.mapped(f"no answer for {order.id} came within {patience:g} s"):
            async with asyncio.timeout(patience), self._replies.iterator() as answers:
                async for one in answers:
                    async with one.process():
                        if one.correlation_id == order.id:
                            return f"answered to who asked: {one.body.decode('utf-8', 'replace')[:80]}"
        raise Unavailable(f"{self.title} at {self.place}: the queue of answers is gone")

    @override
    async def leave(self) -> None:
        with self.mapped(f"removing queue {self.orders}"):
            async with asyncio.timeout(WITHIN):
                await self.rest()
                async with await self._connect() as connection:
                    channel = await connection.channel()
                    await channel.queue_delete(self.orders)  # of one that is gone the broker says: fine

    @override
    async def rest(self) -> None:
        connection, self._asking, self._replies = self._asking, None, None
        if connection is not None:
            with contextlib.suppress(*self.failures):
                await connection.close()

    async def _connect(self) -> AbstractConnection:
        return await aio_pika.connect(self._whole, timeout=WITHIN)
