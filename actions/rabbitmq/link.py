"""One connection to a RabbitMQ broker with one channel, on which messages are published and confirmed.

aiormq is used as it is, without aio-pika's robust connections and FastStream's broker around it: what is
restored behind our back cannot be told apart from what was confirmed, and the connection goes to an address
that was judged. A link that failed is not mended: the next call opens another.

Three habits of the driver are dealt with here, and nowhere else. A call of its own that is cancelled may
itself wait for a broker that does not read, so such calls run in tasks that nobody waits for for ever. It
raises CancelledError when a connection dies. And it knows returned messages by their message id alone.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import aiormq
from aiormq.abc import AbstractChannel
from typing_extensions import override

from actions.addresses import Server
from actions.brokers import Brokers, Denied, Gate
from actions.errors import RetryLater
from actions.rabbitmq.messages import Publication

HEARTBEAT: Final = 10
"""Seconds; a broker that says nothing is given up after three of them."""

CLOSE_WITHIN: Final = 1.0
_KNOWN_EXCHANGES: Final = 1_000
TROUBLES: Final = (aiormq.AMQPError, OSError, RuntimeError, EOFError)
"""What the driver raises of its own."""

# It prints tracebacks of what is judged here anyway.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)


class Access:
    """How a connection reaches its broker: the brokers, what judges them, and the login."""

    def __init__(
        self,
        name: str,
        brokers: Brokers,
        gate: Gate,
        *,
        context: ssl.SSLContext | None,
        login: tuple[str, str],
    ) -> None:
        """Take user name and password as the login."""
        self.name = name
        self.brokers = brokers
        self.gate = gate
        self.context = context
        self.login = login

    def url(self, server: Server) -> str:
        """Return the URL for the driver, with credentials: never to be shown."""
        user, password = (quote(one, safe="") for one in self.login)
        place = f"{server.host}:{server.port}/{quote(self.brokers.vhost, safe='')}"
        name = quote(f"pointsman {self.name}", safe="")
        return f"amqp://{user}:{password}@{place}?heartbeat={HEARTBEAT}&name={name}"


class _Socket(aiormq.TransportFactory):
    """Opens the socket to a judged address, and keeps hold of it."""

    def __init__(self, address: str, server: Server, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._server = server
        self._context = context
        self.writer: asyncio.StreamWriter | None = None

    @override
    async def create(self, url: Any, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._server.host.strip("[]") if self._context is not None else None
        reader, self.writer = await asyncio.open_connection(
            self._address, self._server.port, ssl=self._context, server_hostname=name
        )
        return reader, self.writer


class Link:
    """Publishes over one connection. Open it once, abort or close it once."""

    def __init__(self, access: Access) -> None:
        """Connect nowhere yet."""
        self._access = access
        self._socket: _Socket | None = None
        self._connection: aiormq.Connection | None = None
        self._channel: AbstractChannel | None = None
        self._exchanges: set[str] = {""}
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.calls = 0  # how many use it
        self.retired = False  # it takes no more calls

    async def open(self) -> None:
        """Connect to the first broker that takes us. Raise RetryLater, Denied or Refused."""
        reasons = []
        for server in self._access.brokers.servers:
            for address in await self._access.gate.addresses(server):
                if self.retired:
                    raise RetryLater(f"{self._access.name}: the connection is closed")
                reason = await self._connect(server, address)
                if not reason:
                    return
                reasons.append(f"{server.host}:{server.port} {reason}")
        raise RetryLater(f"{self._access.name}: no broker can be reached: {'; '.join(reasons)}")

    async def _connect(self, server: Server, address: str) -> str:
        """Connect to one address; return why that failed, "" when it did not."""
        self._socket = _Socket(address, server, self._access.context)
        self._connection = aiormq.Connection(self._access.url(server), transport_factory=self._socket)
        try:
            await self._driven(self._connection.connect())
        except (aiormq.ProbableAuthenticationError, aiormq.AuthenticationError) as error:
            raise Denied(401, f"{self._access.name}: the broker does not take the login") from error
        except aiormq.InvalidFrameError:
            return f"does not let us into the virtual host {self._access.brokers.vhost}: is it there?"
        except TROUBLES as error:
            return str(error) or type(error).__name__
        return ""

    @property
    def usable(self) -> bool:
        """Whether calls may still use it."""
        return not self.retired and self._connection is not None and self._connection.is_opened

    async def blocked(self) -> bool:
        """Tell whether the broker takes nothing from publishers just now (memory or disk alarm)."""
        try:
            async with asyncio.timeout(0):
                await self._wait_ready()
        except TimeoutError:
            return True
        return False

    async def _wait_ready(self) -> None:
        if self._connection is not None:
            await self._connection.ready()

    async def wait_writable(self) -> None:
        """Wait until the broker takes what is written: no alarm blocks it, and it reads from the socket."""
        await self._wait_ready()
        if self._socket is not None and self._socket.writer is not None:
            await self._socket.writer.drain()

    def ready_for(self, exchange: str) -> bool:
        """Tell whether there is a channel and the exchange is known to be there."""
        return self._channel is not None and not self._channel.is_closed and exchange in self._exchanges

    async def make_ready(self, exchange: str) -> None:
        """Open a channel and ask for the exchange, where that is wanted. Nothing is published.

        Raise RetryLater when the exchange is not there.
        """
        await self.wait_writable()
        async with self._changing:
            if self._channel is None or self._channel.is_closed:
                self._channel = await self._new_channel(publisher_confirms=True, on_return_raises=True)
            if exchange not in self._exchanges:
                await self._find(exchange)

    async def _new_channel(self, **options: Any) -> AbstractChannel:
        if self._connection is None:
            raise RetryLater(f"{self._access.name}: the connection is closed")
        try:
            channel: AbstractChannel = await self._driven(self._connection.channel(**options))
        except TROUBLES as error:
            raise RetryLater(f"{self._access.name}: no channel can be opened: {error}") from error
        return channel

    async def _find(self, exchange: str) -> None:
        """Ask for an exchange on a channel of its own: a publish to one that is missing ends the channel."""
        channel = await self._new_channel(publisher_confirms=False)
        try:
            await self._driven(channel.exchange_declare(exchange, passive=True))
            await self._driven(channel.close())
        except aiormq.ChannelNotFoundEntity as error:
            raise RetryLater(f"{self._access.name}: there is no exchange {exchange}") from error
        except TROUBLES as error:
            raise RetryLater(f"{self._access.name}: exchange {exchange}: {error}") from error
        if len(self._exchanges) >= _KNOWN_EXCHANGES:
            self._exchanges = {""}
        self._exchanges.add(exchange)

    async def publish(self, publication: Publication) -> None:
        """Publish and wait for the confirmation; errors are the driver's. Call `make_ready` before."""
        if self._channel is None:
            raise aiormq.ChannelInvalidStateError("no channel")
        await self._channel.basic_publish(
            publication.body,
            exchange=publication.exchange,
            routing_key=publication.routing_key,
            properties=_properties(publication),
            mandatory=publication.mandatory,
        )

    def forget(self, exchange: str) -> None:
        """Ask for an exchange again before the next publish to it."""
        self._exchanges.discard(exchange)

    async def close(self) -> None:
        """Say goodbye, and cut the connection when the broker does not answer. Twice is harmless."""
        self.retired = True
        connection = self._connection
        if connection is not None and connection.is_opened:
            saying = self._task(connection.close(aiormq.ConnectionClosed(200, "closed")))
            await asyncio.wait({saying}, timeout=CLOSE_WITHIN)
        await self.abort()

    async def abort(self) -> None:
        """Cut the connection; whoever waits on it is told. Twice is harmless, in any state."""
        self.retired = True
        if self._socket is not None and self._socket.writer is not None:
            self._socket.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            self._task(connection.close(aiormq.ConnectionClosed(320, "cut")))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSE_WITHIN)

    async def _driven(self, call: Awaitable[Any]) -> Any:
        """Return what a call of the driver returns. Its own CancelledError becomes a ConnectionError.

        Cancelled, this does not wait for the driver: `abort` ends what is left.
        """
        task = self._task(call)
        await asyncio.wait({task})
        if task.cancelled():
            raise ConnectionError("the connection was lost")
        return task.result()

    def _task(self, call: Awaitable[Any]) -> asyncio.Task[Any]:
        """Return a running task that `abort` ends, and whose error nobody has to look at."""

        async def run() -> Any:
            return await call

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()


def _properties(publication: Publication) -> aiormq.spec.Basic.Properties:
    said: Mapping[str, Any] = publication.properties
    stamp = said.get("timestamp")
    return aiormq.spec.Basic.Properties(
        content_type=said.get("content_type"),
        content_encoding=said.get("content_encoding"),
        headers=dict(publication.headers),
        delivery_mode=said["delivery_mode"],
        priority=said.get("priority"),
        correlation_id=said.get("correlation_id"),
        reply_to=said.get("reply_to"),
        expiration=str(said["expiration"]) if "expiration" in said else None,
        message_id=said["message_id"],
        timestamp=None if stamp is None else datetime.fromtimestamp(stamp, UTC),
        message_type=said.get("type"),
        user_id=said.get("user_id"),
        app_id=said.get("app_id"),
    )
