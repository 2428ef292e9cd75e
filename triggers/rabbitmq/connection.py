"""Connections to a RabbitMQ broker: how they are made, what their errors mean, how long anything may take.

A connection is made once and never brought back: whoever holds a `Link` is told as soon as it ends, closes
it, and is begun anew by the service. (FastStream and aio-pika bring connections and consumers back by
themselves; docs/adr/0012 says why that is not used.) No error of the driver leaves this file, and none of its
cancellations either: a driver that cancels what we wait for (it does, when a connection dies) is not the
service stopping.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiormq import Connection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from typing_extensions import override
from yarl import URL

from triggers.errors import SourceRejected, SourceUnavailable, TriggerError
from triggers.rabbitmq import frames
from triggers.rabbitmq.config import RabbitMQConfig
from triggers.tls import tls_context

T = TypeVar("T")

DRIVER_ERRORS: Final = (AMQPError, OSError, RuntimeError, EOFError)
"""What the drivers raise. Their RuntimeErrors say that something is closed; TimeoutError is an OSError."""

_NOT_NOW: Final = (
    "in exclusive use",  # another consumer has the queue for itself
    "is down or inaccessible",  # the node of the queue is away, or its stream not up yet
    "does not have a replica on the local node",  # so does a stream say that is not up yet
)
"""Refusals that go by, told with the codes of such as do not."""

_GUEST: Final = "guest"
"""The user of a new broker, and its password."""

_LEAVE: Final = 5.0
"""Seconds that closing a connection may take; a dead one is left to the driver, which gives up by itself."""


class Access:
    """How the broker is reached; made without touching it. Raises SourceRejected."""

    def __init__(self, name: str, config: RabbitMQConfig) -> None:
        self.where = f"RabbitMQ at {config.host}"
        self._name = name
        self._config = config
        self._tls = (
            tls_context(f"{name}: ", ca=config.ca, cert=config.cert, key=config.key) if config.tls else None
        )
        frames.install()
        # What they have to say is in the errors they raise, which are reported once and in plain words.
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)

    async def connect(self, purpose: str = "") -> "Link":
        """Return a new connection. Raise SourceUnavailable or SourceRejected."""
        config = self._config
        connection = Connection(self._url(purpose), context=self._tls)
        link = Link(connection, self.where, config.timeout.total_seconds())
        try:
            await link.open()
        except TriggerError as error:
            raise _about_login(error, config) from error.__cause__
        return link

    def _url(self, purpose: str) -> URL:
        """Return the address as the driver wants it, with the login."""
        config = self._config
        url = URL(config.url, encoded=True)
        query: dict[str, str | int] = {
            "heartbeat": _seconds(config),
            "name": f"pointsman {self._name}{purpose and ' '}{purpose}",
        }
        if config.username is not None and config.password is not None:
            url = url.with_user(config.username).with_password(config.password.get_secret_value())
        elif config.cert is not None:
            query["auth"] = "EXTERNAL"
        else:
            url = url.with_user(_GUEST).with_password(_GUEST)
        return url.with_query(query)


class Link(contextlib.AbstractAsyncContextManager["Link"]):
    """One connection. Every wait has a deadline, whatever the driver does."""

    def __init__(self, connection: Connection, where: str, timeout: float) -> None:
        self.where = where
        self._connection = connection
        self._timeout = timeout
        self._silent = False
        self._left: set[asyncio.Future[Any]] = set()

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def version(self) -> str:
        """The broker's version."""
        return str((self._connection.server_properties or {}).get("version", ""))

    @property
    def alive(self) -> bool:
        """Whether nobody has closed it yet, as far as is known."""
        return not self._connection.is_closed

    @property
    def closing(self) -> "asyncio.Future[Any]":
        """Done when the connection is closed, with the reason."""
        return self._connection.closing

    async def open(self) -> None:
        """Connect and log in. Raise SourceUnavailable or SourceRejected.

        Given up, a login may succeed at that very moment: what it opened is nobody's then, and is closed.
        """
        login = asyncio.ensure_future(self._connection.connect())
        try:
            await self.call(login, "the login")
        except (asyncio.CancelledError, TriggerError):
            login.add_done_callback(self._disown)
            raise

    async def channel(self) -> AbstractChannel:
        """Return a new channel."""
        return await self.call(self._connection.channel(publisher_confirms=False), "opening a channel")

    async def call(self, work: Awaitable[T], what: str, *, within: float | None = None) -> T:
        """Return what the driver answers. Raise SourceUnavailable or SourceRejected.

        The driver may wait in the middle of being cancelled, for a broker that never answers: so it is not
        waited for.
        """
        limit = self._timeout if within is None else within
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            self._leave(task)
            raise
        if not done:
            self._silent = True
            self._leave(task)
            raise SourceUnavailable(f"{self.where} has not answered {what} within {limit:g} s")
        try:
            return task.result()
        except asyncio.CancelledError as error:
            raise SourceUnavailable(f"the connection to {self.where} was closed during {what}") from error
        except DRIVER_ERRORS as error:
            raise explained(error, self.where, what) from error

    async def tell(self, work: Awaitable[None], what: str) -> None:
        """Send what has no answer: the driver only puts it into its queue. Raise SourceUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                await work
        except TimeoutError as error:
            self._silent = True
            raise SourceUnavailable(f"{self.where} takes nothing: {what}") from error
        except DRIVER_ERRORS as error:
            raise explained(error, self.where, what) from error

    async def close(self) -> None:
        """Close the connection. Twice is harmless."""
        if self._connection.is_closed:
            return
        if self._silent:  # nobody will answer our goodbye
            self._connection.READER_CLOSE_TIMEOUT = 0
        closing = asyncio.ensure_future(self._connection.close())
        try:
            await asyncio.wait({closing}, timeout=_LEAVE)
        finally:
            self._leave(closing, cancel=False)

    def _disown(self, _login: "asyncio.Future[Any]") -> None:
        """Close what a login that nobody waits for any more has opened."""
        if self._connection.is_opened:
            self._leave(asyncio.ensure_future(self.close()), cancel=False)

    def _leave(self, task: "asyncio.Future[Any]", *, cancel: bool = True) -> None:
        """Wait for a task no longer; its end is nobody's trouble."""
        if cancel:
            task.cancel()
        self._left.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: "asyncio.Future[Any]") -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is warned of it


def explained(error: BaseException, where: str, what: str) -> TriggerError:
    """Return what an error of the driver means for a source."""
    text = said(error)
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return SourceRejected(f"{where} refuses the login: {text}")
    if any(words in text for words in _NOT_NOW):
        return SourceUnavailable(f"{where} refuses {what} for now: {text}")
    refused = (
        ChannelAccessRefused,
        ChannelLockedResource,
        ChannelNotFoundEntity,
        ChannelPreconditionFailed,
        ConnectionNotAllowed,
    )
    if isinstance(error, refused):
        return SourceRejected(f"{where} refuses {what}: {text}")
    certificate = _certificate_problem(error)
    if certificate:
        return SourceRejected(f"{where} shows a certificate that is not trusted: {certificate}")
    return SourceUnavailable(f"{where}: {what}: {text}")


def said(error: BaseException) -> str:
    """Return the text of an error of the driver, which may stand anywhere in its arguments."""
    texts = [argument for argument in error.args if isinstance(argument, str)]
    return (texts[-1] if texts else str(error) or type(error).__name__)[:400]


def _about_login(error: TriggerError, config: RabbitMQConfig) -> TriggerError:
    """Return the error of a connection that could not be made, with what to do about it."""
    if isinstance(error, SourceRejected) and "refuses the login" in str(error):
        return SourceRejected(f"{error}; check username and password")
    cause = error.__cause__
    if isinstance(cause, InvalidFrameError) and "OpenOk" in said(cause):
        # The driver hides what the broker said (NOT_ALLOWED) behind the frame that it had expected.
        return SourceRejected(
            f"RabbitMQ at {config.host} refuses the virtual host {config.vhost}: it is not there, is down, "
            f"or {config.username or 'the user'} has no permissions in it"
        )
    return error


def _certificate_problem(error: BaseException | None) -> str:
    """Return why a certificate is not trusted, found among the causes of an error; "" for another trouble."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return str(error.verify_message)
        error = error.__cause__ or error.__context__
    return ""


def _seconds(config: RabbitMQConfig) -> int:
    return max(1, round(config.heartbeat.total_seconds()))
