"""What tests do with a RabbitMQ node beside the source: publish, count, look, and make trouble.

Every question goes by a connection of its own, so that nothing of it is left when a test counts sockets. The
management API is asked for what AMQP has no words for: users, permissions, and closing somebody's connection.
"""

import asyncio
import base64
import http.client
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.commands import Basic

from tests.patience import PATIENCE
from triggers.rabbitmq import frames

frames.install()  # RabbitMQ takes names that the driver would refuse, also before a source was opened


class RabbitRoom:
    """A node, seen by a test; `vhost` is where its queues are."""

    def __init__(self, url: str, management: str, vhost: str = "/") -> None:
        parts = urlsplit(url)
        self.host, self.port, self.vhost = parts.hostname or "", parts.port or 0, vhost
        self._management = urlsplit(management).netloc
        self._url = f"amqp://guest:guest@{self.host}:{self.port}/{quote(vhost, safe='')}"

    @property
    def plain_url(self) -> str:
        """The address without credentials, as a source has it."""
        return f"amqp://{self.host}:{self.port}/{quote(self.vhost, safe='') if self.vhost != '/' else ''}"

    @asynccontextmanager
    async def channel(self, *, confirms: bool = True) -> AsyncIterator[AbstractChannel]:
        """Give a channel of a connection of its own."""
        connection = await asyncio.wait_for(aiormq.connect(self._url), PATIENCE)
        try:
            yield await connection.channel(publisher_confirms=confirms)
        finally:
            await connection.close()

    async def publish(
        self, queue: str, bodies: Sequence[bytes], *, exchange: str = "", **properties: Any
    ) -> None:
        """Publish in order; return when the broker has all of it."""
        async with self.channel() as channel:
            waiting = [
                channel.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=queue,
                    properties=Basic.Properties(
                        **{"delivery_mode": 2, "content_type": "application/json", **properties}
                    ),
                )
                for body in bodies
            ]
            await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)

    async def look(self, queue: str) -> tuple[int, int] | None:
        """Return how many messages are ready and how many consumers there are; None when there is no queue."""
        async with self.channel(confirms=False) as channel:
            try:
                found = await channel.queue_declare(queue, passive=True, timeout=PATIENCE)
            except ChannelNotFoundEntity:
                return None
            return found.message_count or 0, found.consumer_count or 0

    async def left(self, queue: str) -> int | None:
        """Return how many messages are not acknowledged; None while somebody consumes, who may hold some."""
        before = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            seen = await self.look(queue)
            if seen is None or seen[1]:
                return None
            if seen == before:
                return seen[0]
            before = seen
            await asyncio.sleep(0.05)  # what a dead channel held goes back in its own time
        raise AssertionError(f"the queue {queue} does not come to rest")

    async def declare(self, queue: str, *, durable: bool = True, **arguments: Any) -> None:
        """Declare a queue."""
        async with self.channel(confirms=False) as channel:
            await channel.queue_declare(queue, durable=durable, arguments=arguments, timeout=PATIENCE)

    async def delete(self, queue: str) -> None:
        """Delete a queue."""
        async with self.channel(confirms=False) as channel:
            await channel.queue_delete(queue, timeout=PATIENCE)

    async def delete_exchanges(self, *names: str) -> None:
        """Delete exchanges, which a source leaves for others to use."""
        async with self.channel(confirms=False) as channel:
            for name in names:
                await channel.exchange_delete(name, timeout=PATIENCE)

    async def api(self, method: str, path: str, body: Any = None, user: str = "guest:guest") -> Any:
        """Ask the management API; return what it answers."""
        return await asyncio.to_thread(self._ask, method, path, body, user)

    def _ask(self, method: str, path: str, body: Any, user: str) -> Any:
        connection = http.client.HTTPConnection(self._management, timeout=PATIENCE)
        try:
            connection.request(
                method,
                f"/api/{path}",
                body=None if body is None else json.dumps(body),
                headers={
                    "authorization": "Basic " + base64.b64encode(user.encode()).decode(),
                    "content-type": "application/json",
                },
            )
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text!r}"
            return json.loads(text) if text else None
        finally:
            connection.close()

    async def make_user(self, name: str, password: str, **permissions: str) -> None:
        """Make a user with these permissions in the virtual host: configure, write, read."""
        await self.api("PUT", f"users/{name}", {"password": password, "tags": ""})
        await self.api(
            "PUT",
            f"permissions/{quote(self.vhost, safe='')}/{name}",
            {"configure": "", "write": "", "read": "", **permissions},
        )

    async def cut(self, name: str) -> None:
        """Close by force each connection whose own name begins so; wait until there is one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = [
                one["name"]
                for one in await self.api("GET", "connections")
                if str(one.get("client_properties", {}).get("connection_name", "")).startswith(name)
            ]
            for one in found:
                await self.api("DELETE", f"connections/{quote(one, safe='')}")
            if found:
                return
            assert time.monotonic() < deadline, f"no connection {name}"
            await asyncio.sleep(0.1)
