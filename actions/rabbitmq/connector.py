"""Publishes messages to RabbitMQ: persistent, mandatory, and confirmed before a call is answered.

It has connections of its own, which consume nothing: an alarm that blocks publishers holds up no source.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import aiormq
from typing_extensions import override

from actions.base import Answer, Connector, Finding, OperationInfo, Prepared
from actions.brokers import Deadlines, Denied, Gate, answer, in_clear, read_brokers
from actions.cloudevents import EventStyle
from actions.egress import Egress, Resolver, SystemResolver
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.operations import Infos, find
from actions.publishing import Compose, compile_publication, digest
from actions.rabbitmq.link import TROUBLES, Access, Link
from actions.rabbitmq.messages import Publication, make_publication
from actions.specs.model import Operation, Spec

DEFAULT_LOGIN = ("guest", "guest")
"""Whom RabbitMQ takes us for when a connection has no `auth`; it lets him in from the same host only."""


class RabbitMQConnector(Connector):
    """Performs operations of a `Spec` in one virtual host. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        server: str,
        login: tuple[str, str] | None = None,
        context: Callable[[], ssl.SSLContext] | None = None,
        egress: Egress | None = None,
        resolver: Resolver | None = None,
        style: EventStyle | None = None,
    ) -> None:
        """Take user name and password as `login`, and over the resolver.

        Raise Refused when the server's URL cannot be called at all.
        """
        brokers = read_brokers(server, ("amqp", "amqps"))
        self.name = name
        self._spec = spec
        self._brokers = brokers
        self._gate = Gate(name, egress or Egress(), resolver or SystemResolver())
        self._style = style or EventStyle()
        self._access = Access(
            name,
            brokers,
            self._gate,
            context=(context or ssl.create_default_context)() if brokers.secure else None,
            login=login or DEFAULT_LOGIN,
        )
        self._compiled: dict[str, tuple[Operation, Compose]] = {}
        self._current: Link | None = None
        self._living: set[Link] = set()
        self._starting = asyncio.Lock()
        self._deadlines = Deadlines()
        self._closed = False

    @override
    async def check(self) -> list[Finding]:
        found = await self._gate.check(self._brokers.servers)
        if self._access.login != DEFAULT_LOGIN:
            found += in_clear(self.name, self._brokers, self._gate.egress)
        return found

    @override
    async def open(self) -> None:
        """Nothing to do: the first call connects."""

    @override
    def operations(self) -> Mapping[str, OperationInfo]:
        return Infos(self._spec)

    @override
    def prepare(self, operation: str, arguments: Mapping[str, Any], *, key: str) -> Prepared:
        found, compose = self._compiled.get(operation) or self._compile(operation)
        outgoing = compose(arguments)
        made = make_publication(outgoing, self._style, found, key=key, user=self._access.login[0])
        return Prepared(operation=found.id, key=key, digest=digest(outgoing), request=made)

    @override
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        began = time.monotonic()
        if prepared.request is None:
            return Answer(status=204)  # nobody asked for an answer
        publication: Publication = prepared.request.with_attempt(headers)
        try:
            link = await self._ready(publication, deadline)
            try:
                await self._publish(link, publication, deadline - (time.monotonic() - began))
            finally:
                await self._let_go(link)
        except Denied as denied:
            return answer(denied.status, {"error": str(denied)}, began)
        place = {"exchange": publication.exchange, "routing_key": publication.routing_key}
        return answer(200, place, began)

    @override
    def show(self, prepared: Prepared) -> dict[str, Any]:
        publication: Publication | None = prepared.request
        if publication is None:
            return {
                "method": "PUBLISH",
                "url": "nowhere: there is nobody to answer",
                "headers": {},
                "body": "",
            }
        place = (
            f"{quote(publication.exchange, safe='')}?routing_key={quote(publication.routing_key, safe='')}"
        )
        shown = {name.replace("_", "-"): str(value) for name, value in publication.properties.items()}
        return {
            "method": "PUBLISH",
            "url": f"{self._brokers.url}/{place}",
            "headers": {**shown, **{name: str(value) for name, value in publication.headers.items()}},
            "body": publication.body.decode("utf-8", "replace"),
        }

    @override
    async def login_again(self) -> bool:
        return False  # each connection logs in anew with what is configured

    @override
    async def close(self) -> None:
        self._closed = True
        self._current = None
        self._deadlines.end()
        for link in list(self._living):
            await link.close()
            self._living.discard(link)
        self._gate.close()

    # The way of a message

    async def _ready(self, publication: Publication, deadline: float) -> Link:
        """Return a link, marked as in use, on which the message can be written. Nothing is sent here."""
        link: Link | None = None
        try:
            async with self._deadlines.within(deadline):
                link = await self._opened()
                link.calls += 1
                await link.make_ready(publication.exchange)
                return link
        except BaseException as error:
            late = isinstance(error, TimeoutError)
            blocked = late and link is not None and await link.blocked()
            if link is not None:
                link.retired = link.retired or (not blocked and not isinstance(error, RetryLater))
                await self._let_go(link)
            if blocked:
                raise RetryLater(
                    f"{self.name}: the broker takes nothing from publishers (memory or disk alarm)"
                ) from None
            if late:
                why = (
                    "the connection is closed"
                    if self._closed
                    else f"the broker was not ready within {deadline:g} s"
                )
                raise RetryLater(f"{self.name}: {why}; nothing was sent") from None
            if isinstance(error, TROUBLES):
                raise RetryLater(f"{self.name}: {error}; nothing was sent") from error
            raise

    async def _opened(self) -> Link:
        """Return the link in use, or open one."""
        while True:
            if self._closed:
                raise RetryLater(f"{self.name}: the connection is closed")
            link = self._current
            if link is not None and link.usable:
                return link
            async with self._starting:
                if self._current is link:
                    if link is not None:
                        link.retired = True
                        await self._drop(link)
                    self._current = await self._open()
                if self._closed and self._current is not None:
                    self._current.retired = True
                    await self._drop(self._current)

    async def _open(self) -> Link:
        link = Link(self._access)
        self._living.add(link)
        try:
            await link.open()
        except BaseException:
            await link.abort()
            self._living.discard(link)
            raise
        return link

    async def _publish(self, link: Link, publication: Publication, left: float) -> None:
        """Return when the broker has confirmed. Raise what is known of it otherwise."""
        place = _place(publication)
        try:
            async with asyncio.timeout(left):
                await link.publish(publication)
        except aiormq.PublishError as error:
            if publication.answers:
                raise Denied(404, f"{self.name}: nobody waits for an answer at {place}") from error
            raise RetryLater(f"{self.name}: nothing is bound to {place}") from error
        except aiormq.DeliveryError as error:
            raise OutcomeUnknown(
                f"{self.name}: {place}: the broker did not take responsibility; some queue may have it"
            ) from error
        except aiormq.ChannelInvalidStateError as error:  # looked at before anything is written
            raise RetryLater(f"{self.name}: {place}: the channel is closed; nothing was sent") from error
        except aiormq.ChannelClosed as error:
            link.forget(publication.exchange)
            raise _channel_error(self.name, publication, error) from error
        except TimeoutError as error:
            # What a blocked broker has not read waits in this connection; another would only add to it.
            link.retired = link.retired or not await link.blocked()
            raise OutcomeUnknown(
                f"{self.name}: {place}: not confirmed in time; it may have been published"
            ) from error
        except (*TROUBLES, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            link.retired = True
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise OutcomeUnknown(
                f"{self.name}: {place}: the connection was lost; it may have been published"
            ) from error

    async def _let_go(self, link: Link) -> None:
        """End a call's use of a link; the last one of a retired link cuts it."""
        link.calls -= 1
        if link.retired and self._current is link:
            self._current = None
        await self._drop(link)

    async def _drop(self, link: Link) -> None:
        if link.retired and not link.calls and link in self._living:
            self._living.discard(link)
            await link.abort()

    def _compile(self, name: str) -> tuple[Operation, Compose]:
        operation = find(self._spec, name, self.name)
        found = operation, compile_publication(operation, self._spec, "amqp")
        self._compiled[operation.id] = found
        if name in self._spec.aliases:  # only names of the description: callers cannot make this grow
            self._compiled[name] = found
        return found


def _place(publication: Publication) -> str:
    if publication.exchange:
        return f"exchange {publication.exchange} with the key {publication.routing_key!r}"
    return f"the queue {publication.routing_key!r}"


def _channel_error(name: str, publication: Publication, error: aiormq.ChannelClosed) -> Exception:
    """Return what it means that the broker closed the channel: perhaps over another call's message."""
    words, place = str(error), _place(publication)
    ours = f"'{publication.exchange}'" in words if publication.exchange else False
    if isinstance(error, aiormq.ChannelAccessRefused) and ours:
        return Denied(403, f"{name}: the broker does not let us publish to {place}")
    if isinstance(error, aiormq.ChannelPreconditionFailed) and str(len(publication.body)) in words:
        return Refused(f"{name}: {place}: {words}")
    if isinstance(error, aiormq.ChannelNotFoundEntity) and ours:
        return RetryLater(f"{name}: there is no exchange {publication.exchange}")
    return OutcomeUnknown(f"{name}: {place}: the channel was closed ({words}); it may have been published")
