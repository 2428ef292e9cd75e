"""Calls operations for sources that poll: the `Call` that they are handed.

A poll goes through its connection as a delivery does: it takes a place and a token, waits for room, and
stays away from a connection that is paused, held or open. It feeds no breaker and no hold: those are what
deliveries say of a backend. Nothing is stored or judged here.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from actions.base import Answer, Connector, Prepared
from actions.errors import ActionError, Refused
from actions.hiding import hidden, without_secrets
from actions.specs.model import Operation, Parameter, Spec
from service.connections import Connection
from service.rules.model import Pin
from triggers.base import Call, Polled
from triggers.errors import SourceRejected, SourceUnavailable

LOOK: Final = 0.05
"""Seconds between looks whether a full connection has room. Its place is reserved: none comes first."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that are defined to change nothing (RFC 9110 §9.2.1)."""


def make_call(
    find: Callable[[str], Connection | None],
    pin: Callable[[str], Pin | None],
    *,
    freed: Callable[[str], object],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Call:
    """Return what calls `connection.operation` for sources.

    `find` returns a connection in use by its name, `pin` the description that the ruleset in force pins for
    it: both are asked at every call, so a reload needs no new Call. `freed` is told that a connection which
    was full has room again.
    """
    return _Caller(find, pin, freed, wait, clock)


class _Caller:
    """Calls operations of connections."""

    def __init__(
        self,
        find: Callable[[str], Connection | None],
        pin: Callable[[str], Pin | None],
        freed: Callable[[str], object],
        wait: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._find = find
        self._pin = pin
        self._freed = freed
        self._wait = wait
        self._clock = clock

    async def __call__(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Polled:
        """Call an operation once; once more after a fresh login when its credentials were not taken."""
        connection, pin, described = self._described(operation)
        given, ignored = with_query(arguments, query, described)
        connector, prepared = self._prepared(connection, pin, described, given)
        async with self._place(connection):
            answer = await self._send(connection, connector, prepared, headers or {})
            if answer.status in (401, 403) and await connector.login_again():
                answer = await self._send(connection, connector, prepared, headers or {})
        return Polled(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            truncated=answer.truncated,
            url=str(connector.show(prepared).get("url", "")),
            ignored=ignored,
        )

    def changes_nothing(self, operation: str) -> bool:
        """Say whether the operation's method is one that changes nothing. Raise SourceRejected."""
        return self._described(operation)[2].method.upper() in _SAFE

    def _described(self, call: str) -> tuple[Connection, Pin, Operation]:
        """Return what `connection.operation` names. Raise SourceRejected."""
        name, _, wanted = call.partition(".")
        connection, pin = self._find(name), self._pin(name)
        if connection is None or pin is None:
            raise SourceRejected(f"{call}: there is no connection {name}")
        spec: Spec = pin.spec
        operation = spec.find(wanted)
        if operation is None:
            raise SourceRejected(f"{call}: the description of connection {name} has no operation {wanted}")
        return connection, pin, operation

    def _prepared(
        self, connection: Connection, pin: Pin, operation: Operation, arguments: Mapping[str, Any]
    ) -> tuple[Connector, Prepared]:
        connector = connection.connector_for(pin)
        try:
            key = f"poll-{secrets.token_hex(8)}"
            return connector, connector.prepare(operation.id, arguments, key=key, at=time.time())
        except Refused as error:
            reasons = "; ".join(f"{pointer} {text}".strip() for pointer, text in error.problems)
            what = f"{connection.name}.{operation.id}"
            raise SourceRejected(f"{what} cannot be called: {reasons or error}") from error

    async def _send(
        self, connection: Connection, connector: Connector, prepared: Prepared, headers: Mapping[str, str]
    ) -> Answer:
        """Make one call. Raise SourceUnavailable when no answer came, SourceRejected when none may."""
        what = f"{connection.name}.{prepared.operation}"
        connection.calls += 1
        try:
            answer = await connector.call(prepared, deadline=connection.limits.timeout, headers=headers)
        except ActionError as error:
            said = connection.last_error = hidden(str(error), connector.secrets())[:512]
            if isinstance(error, Refused):
                raise SourceRejected(f"{what} may not be called: {said}") from error
            raise SourceUnavailable(f"{what}: no answer: {said}") from error
        return answer if answer.status < 400 else without_secrets(answer, connector.secrets())

    @asynccontextmanager
    async def _place(self, connection: Connection) -> AsyncIterator[None]:
        """Hold a place in a connection. Raise SourceUnavailable when it is closed to calls, or stays full.

        The place is reserved before there is one: deliveries that end then leave it to us, so that a busy
        connection does not starve its polls. A token is taken in advance: the next delivery waits for it.
        """
        if connection.state != "ok" and (connection.state != "open" or connection.room(self._clock()) <= 0):
            raise SourceUnavailable(f"connection {connection.name} is {_closed(connection)}")
        connection.others += 1
        try:
            await self._room(connection)
            if connection.paused:
                raise SourceUnavailable(f"connection {connection.name} is {_closed(connection)}")
            if connection.rate is not None:
                connection.rate.wait(self._clock())
                connection.rate.take()
            yield
        finally:
            full = connection.room(self._clock()) <= 0
            connection.others -= 1
            if full:
                self._freed(connection.name)

    async def _room(self, connection: Connection) -> None:
        """Wait until the place that was reserved is free. Raise SourceUnavailable after the time-out."""
        limit, waited = connection.limits.in_flight, 0.0
        while connection.in_flight + connection.others > limit:
            if waited >= connection.limits.timeout:
                raise SourceUnavailable(
                    f"connection {connection.name} was full for {waited:.0f} s ({limit} calls in flight)"
                )
            await self._wait(LOOK)
            waited += LOOK


def _closed(connection: Connection) -> str:
    """Say in which state a connection is that takes no calls, and why."""
    stop = connection.stops()[0]
    return f"{stop.state} {stop.reason}" if stop.state == "paused" else f"{stop.state}: {stop.reason}"


def with_query(
    arguments: Mapping[str, Any], query: Sequence[tuple[str, str]], operation: Operation
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments with query parameters laid over them, and the names that the operation has not.

    Only parameters that the description declares are taken, in the form that it gives them; whatever is
    written in a form of its own (`deepObject`, a media type) is not.
    """
    declared = {
        one.name: one
        for one in operation.parameters
        if one.location == "query" and not one.content_type and one.style != "deepObject"
    }
    given: dict[str, list[str]] = {}
    ignored: dict[str, None] = {}
    for name, value in query:
        if name in declared:
            given.setdefault(name, []).append(value)
        else:
            ignored[name] = None
    laid = {name: _value(declared[name], values) for name, values in given.items()}
    made = dict(arguments)
    if operation.grouped and laid:
        made["query"] = {**(made.get("query") or {}), **laid}
    else:
        made.update(laid)
    return made, tuple(ignored)


def _value(parameter: Parameter, values: list[str]) -> str | list[str]:
    """Return what a parameter that was given as text stands for: the last one counts unless it is a list."""
    schema = parameter.schema if isinstance(parameter.schema, Mapping) else {}
    if schema.get("type") != "array":
        return values[-1]
    return values if parameter.explode else values[-1].split(",")
