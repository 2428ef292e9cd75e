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
from actions.presets import no_preset
from actions.publishing import Compose, compile_publication, digest
from actions.rabbitmq.link import TROUBLES, Access, Link
from actions.rabbitmq.messages import Publication, make_publication
from actions.specs.model import Operation, Spec

DEFAULT_LOGIN = ("guest", "guest")
"""Whom RabbitMQ takes us for when a connection has no `auth`; it lets him in from the same host only."""


_OF_THIS_MESSAGE = (aiormq.DeliveryError, aiormq.ChannelClosed, aiormq.ChannelInvalidStateError)
"""What happens to one message or channel: the link goes on."""


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
    def prepare(
        self, operation: str, arguments: Mapping[str, Any], *, key: str, at: float = 0.0, preset: str = ""
    ) -> Prepared:
        no_preset(operation, preset)
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
            await self._publish(publication, deadline)
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

    async def _publish(self, publication: Publication, deadline: float) -> None:
        """Return when the broker has confirmed. Raise what is known of it otherwise."""
        link: Link | None = None
        written = False
        try:
            async with self._deadlines.within(deadline):
                link = await self._opened()
                link.calls += 1
                if not link.ready_for(publication.exchange):
                    await link.make_ready(publication.exchange)
                await link.wait_writable()
                written = True
                await link.publish(publication)
        except (TimeoutError, asyncio.CancelledError, *TROUBLES) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                if link is not None:
                    link.retired = True  # a call of the driver that was cut off may have left it in any state
                raise
            blocked = link is not None and isinstance(error, TimeoutError) and await link.blocked()
            if link is not None and not isinstance(error, _OF_THIS_MESSAGE):
                # What a blocked broker has not read waits in this link; another would only add to it.
                link.retired = link.retired or not blocked
            if written and link is not None:
                raise self._judged(error, publication, link) from error
            raise RetryLater(f"{self.name}: {self._why(error, deadline, blocked=blocked)}") from error
        finally:
            if link is not None:
                await self._let_go(link)

    def _why(self, error: BaseException, deadline: float, *, blocked: bool) -> str:
        """Return why nothing was written."""
        if blocked:
            return "the broker takes nothing from publishers (memory or disk alarm)"
        if self._closed:
            return "the connection is closed"
        if isinstance(error, TimeoutError):
            return f"the broker was not ready within {deadline:g} s; nothing was sent"
        return f"{error or type(error).__name__}; nothing was sent"

    def _judged(self, error: BaseException, publication: Publication, link: Link) -> Exception:
        """Return what an error means that came after a message was handed over to be written."""
        place = f"{self.name}: {_place(publication)}"
        if isinstance(error, aiormq.PublishError):
            if publication.answers:
                return Denied(404, f"{place}: nobody waits for an answer there")
            return RetryLater(f"{self.name}: nothing is bound to {_place(publication)}")
        if isinstance(error, aiormq.DeliveryError):
            return OutcomeUnknown(f"{place}: the broker did not take responsibility; some queue may have it")
        if isinstance(error, aiormq.ChannelInvalidStateError):  # looked at before anything is written
            return RetryLater(f"{place}: the channel is closed; nothing was sent")
        if isinstance(error, aiormq.ChannelClosed):
            link.forget(publication.exchange)
            return _channel_error(self.name, publication, error)
        why = "not confirmed in time" if isinstance(error, TimeoutError) else "the connection was lost"
        return OutcomeUnknown(f"{place}: {why}; it may have been published")

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
