"""The connections in force: made from a plan, kept while nothing about them changes, their holds on disk.

Connectors of superseded configurations live on until no call can be under way in them: deliveries are
performed with the description that their own ruleset pins.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from actions.auth import TokenKeeper
from actions.base import Connector, Reached, unarmed
from service.connections import BreakerPolicy, Connection, Limits, Pauses
from service.connectors import PEM, config_digest, make_connector
from service.errors import Unavailable
from service.plan import Plan
from service.planned import PlannedConnection
from service.rules.model import Pin
from service.store.base import Store

RETIRE: Final = 900.0
"""Seconds after which the connectors of a superseded configuration are closed."""

CLOSING: Final = 5.0
"""Seconds that all connectors together may take to close at the end."""

log = structlog.get_logger(__name__)


class Backends:
    """Makes connections and remembers what holds them.

    `stirred` is told that there is something to write; `tokens` keeps what logins must not lose; `pauses`
    says what operators have paused.
    """

    def __init__(
        self,
        store: Store,
        present: Callable[[], Sequence[Connection]],
        *,
        stirred: Callable[[], None],
        tokens: TokenKeeper,
        pauses: Callable[[str], Pauses],
        reached: Reached = unarmed,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._pauses = pauses
        self._reached = reached
        self._present = present
        self._stirred = stirred
        self._connectors: dict[tuple[str, str, str], Connector] = {}
        self._retiring: dict[asyncio.Task[None], Connector] = {}
        self._holds: dict[str, dict[str, Any]] = {}
        self._unwritten: dict[str, bytes | None] = {}

    async def restore(self) -> None:
        """Take up which connections were held."""
        for name, value in (await self._store.get("hold/")).items():
            self._holds[name.removeprefix("hold/")] = msgspec.json.decode(value)

    async def write(self) -> None:
        """Keep on disk what has changed; what cannot be kept now stays for the next time."""
        for name, value in tuple(self._unwritten.items()):
            await self._store.put(name, value)
            if self._unwritten[name] is value:
                del self._unwritten[name]

    async def close(self) -> None:
        """Keep what has changed, and close all connectors, within bounds; none keeps another from it."""
        with contextlib.suppress(Unavailable):
            await self.write()
        connectors = [*self._retiring.values(), *self._connectors.values()]
        for task in tuple(self._retiring):
            task.cancel()
        closing = [asyncio.ensure_future(connector.close()) for connector in connectors]
        if closing:
            await asyncio.wait(closing, timeout=CLOSING)
        for task in closing:
            if not task.done():
                task.cancel()
                log.warning("a connection did not close; it is left alone")
            elif not task.cancelled() and (error := task.exception()) is not None:
                log.warning("a connection closed badly", error=repr(error))

    def retire(self, connections: Sequence[Connection]) -> None:
        """Close the connectors of superseded configurations, once no call can be under way in them."""
        current = {(one.name, one.digest) for one in connections}
        for key in [key for key in self._connectors if key[:2] not in current]:
            connector = self._connectors.pop(key)
            task = asyncio.get_running_loop().create_task(_close_later(connector))
            self._retiring[task] = connector
            task.add_done_callback(self._retiring.pop)

    async def make(self, plan: Plan, pems: Mapping[str, PEM]) -> list[Connection]:
        """Make every connection of a plan; those of which nothing has changed stay as they are."""
        return [await self._connection(planned, pems[name]) for name, planned in plan.connections.items()]

    async def _connection(self, planned: PlannedConnection, pem: PEM) -> Connection:
        """Make a connection; what was held stays held while nothing about it has changed."""
        config = planned.config
        digest = config_digest(planned, pem)
        pin = Pin(planned.spec_digest, planned.spec)

        def connector_for(wanted: Pin) -> Connector:
            key = (planned.name, digest, wanted.digest)
            connector = self._connectors.get(key)
            if connector is None:
                connector = self._connectors[key] = make_connector(
                    planned, wanted.spec, pem, tokens=self._tokens, reached=self._reached
                )
            return connector

        await connector_for(pin).open()
        present = next((one for one in self._present() if one.name == planned.name), None)
        if present is not None and present.digest == digest:
            present.connector_for = connector_for
            return present
        limits = config.limits
        connection = Connection(
            planned.name,
            await self._store.number("lane", planned.name),
            limits=Limits(
                in_flight=limits.in_flight,
                rate=limits.rate.per_second if limits.rate is not None else None,
                timeout=limits.timeout.total_seconds(),
            ),
            breaker=BreakerPolicy(
                failures=config.breaker.failures,
                first=config.breaker.first.total_seconds(),
                longest=config.breaker.max.total_seconds(),
            ),
            connector_for=connector_for,
            digest=digest,
            now=time.monotonic(),
            holds=config.hold,
        )
        connection.pauses = self._pauses(planned.name)
        held = self._holds.get(planned.name)
        if held is not None and held["digest"] == digest:
            connection.hold(held["reason"], now=time.monotonic(), wall=held["since"])
        elif held is not None:
            self._forget_hold(planned.name)
        return connection

    def held_changed(self, connection: Connection) -> None:
        """Keep on disk that a connection is held, or no longer: a restart must not storm the backend."""
        if not connection.hold_reason:
            self._forget_hold(connection.name)
            return
        held = {
            "reason": connection.hold_reason,
            "since": connection.hold_since,
            "digest": connection.digest,
        }
        self._holds[connection.name] = held
        self._write(f"hold/{connection.name}", msgspec.json.encode(held))

    def _forget_hold(self, name: str) -> None:
        self._holds.pop(name, None)
        self._write(f"hold/{name}", None)

    def _write(self, name: str, value: bytes | None) -> None:
        """Keep a small value soon, the latest one only, also when the disk is full just now."""
        self._unwritten[name] = value
        self._stirred()


async def _close_later(connector: Connector) -> None:
    """Close a connector that nobody asks for any more, after its last call must have ended."""
    await asyncio.sleep(RETIRE)
    await connector.close()
