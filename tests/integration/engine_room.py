"""Intake, dispatch and the real SQLite store around a scripted connector, without sockets."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from service.clock import SteadyClock
from service.config.check import canonical
from service.config.model import Configuration
from service.connections import BreakerPolicy, Connection, Limits
from service.delivery import State
from service.dispatch import Dispatch
from service.intake import Intake
from service.plan import build
from service.rulesets import Rulesets
from service.store.base import Store
from service.store.sqlite import SQLiteStore
from tests.fakes.connector import ScriptedConnector
from tests.patience import PATIENCE
from triggers.base import Accepted
from triggers.message import TriggerMessage

SPEC = b"""
openapi: 3.0.3
info: {title: t, version: "1"}
servers: [{url: "http://127.0.0.1:1"}]
paths:
  /a: {post: {operationId: one, requestBody: {content: {application/json: {schema: {}}}}, responses: {"200": {description: ok}}}}
  /b: {post: {operationId: two, requestBody: {content: {application/json: {schema: {}}}}, responses: {"200": {description: ok}}}}
"""


class Room:
    """One engine room. `connectors` are by connection name."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self.store = store
        self.clock = clock
        self.connectors: dict[str, ScriptedConnector] = {}
        self.held: list[str] = []
        self.points: list[str] = []
        self.task: asyncio.Task[None] | None = None
        self.killed = False
        self.rulesets = Rulesets(store)
        self.dispatch = Dispatch(
            store,
            self.rulesets,
            troubles=self._trouble,
            held_changed=lambda connection: self.held.append(f"{connection.name}:{connection.hold_reason}"),
            clock_ms=clock,
            chance=lambda: 0.5,
            reached=self.points.append,
            max_in_memory=500,
        )
        ids = itertools.count(1)
        self.intake = Intake(
            store,
            self.dispatch,
            clock_ms=clock,
            reached=self.points.append,
            new_id=lambda: f"own-{next(ids)}",
        )

    def _trouble(self, kind: str, subject: str, data: Any, cause: str) -> Any:
        return self.intake.trouble(kind, subject, data, cause)

    async def use(
        self,
        rules: Mapping[str, Any],
        *,
        connections: Mapping[str, Limits] | None = None,
        breaker: BreakerPolicy | None = None,
    ) -> None:
        """Put rules in force over connections to scripted connectors."""
        connections = connections or {"shop": Limits()}
        document = {
            "connectors": {"shop": {"spec": "shop.yaml"}},
            "connections": {name: {"connector": "shop"} for name in connections},
            "rules": rules,
        }
        configuration = Configuration.model_validate(document)
        errors = build(configuration, {"shop": SPEC}).errors
        assert not errors, [str(error) for error in errors]
        plan = await self.rulesets.keep(configuration, canonical(document), {"shop": SPEC})
        made = []
        present = {one.name: one for one in self.dispatch.connections()}
        for name, limits in connections.items():
            connector = self.connectors.setdefault(name, ScriptedConnector())
            made.append(
                present.get(name)
                or Connection(
                    name,
                    await self.store.number("lane", name),
                    limits=limits,
                    breaker=breaker or BreakerPolicy(failures=1000),
                    connector_for=lambda _pin, connector=connector: connector,
                    digest="",
                    now=0.0,
                )
            )
        self.dispatch.use(made)
        numbers = {name: await self.store.number("source", name) for name in ("web", "pointsman")}
        await self.rulesets.load_names()
        self.intake.use(plan.ruleset, numbers)

    async def send(self, data: Any, *, name: str | None = None, of_type: str = "t", **more: Any) -> Accepted:
        """Accept one message and return what became of it."""
        self._sent = getattr(self, "_sent", 0) + 1
        message = TriggerMessage(
            id=name or f"m{self._sent}",
            source="/sources/web",
            type=of_type,
            datacontenttype="application/json",
            format="json",
            data=data if isinstance(data, bytes) else msgspec.json.encode(data),
            meta={"kind": "webhook", "headers": {}},
            **more,
        )
        return await self.intake.take("web", [message])

    async def runs(self, *states: State) -> list[dict[str, Any]]:
        """Return all runs in these states (all states: none named), oldest first."""
        page = await self.store.deliveries(limit=500, states=states)
        return list(reversed(page.rows))

    async def until(self, looks_right: Callable[[], Any], within: float = PATIENCE) -> None:
        """Wait until a condition holds; it may be a coroutine function."""
        async with asyncio.timeout(within):
            while True:
                result = looks_right()
                if asyncio.iscoroutine(result):
                    result = await result
                if result:
                    return
                await asyncio.sleep(0.005)

    async def kill(self) -> None:
        """End the dispatcher at once, as a crash does: nothing is settled."""
        assert self.task is not None
        self.killed = True
        self.connectors = {}
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def ended(self, count: int, state: State = State.DELIVERED) -> list[dict[str, Any]]:
        """Wait until so many runs have ended in a state, and return them."""

        async def enough() -> bool:
            return len(await self.runs(state)) >= count

        await self.until(enough)
        return await self.runs(state)


@contextlib.asynccontextmanager
async def engine_room(
    folder: Path, clock: Callable[[], int] | None = None, *, working: bool = True
) -> AsyncIterator[Room]:
    """Open a room over a folder; leave it to stop gracefully."""
    clock = clock or SteadyClock()

    def fatal(error: BaseException) -> None:
        raise AssertionError("the store failed") from error

    store = SQLiteStore(folder, reached=lambda _point: None, clock_ms=clock, on_fatal=fatal)
    await store.open()
    room = Room(store, clock)
    await room.rulesets.load_names()
    try:
        if not working:
            yield room
            return
        task = room.task = asyncio.create_task(room.dispatch.run())
        try:
            yield room
        finally:
            for connector in room.connectors.values():
                if connector.gate is not None:
                    connector.gate.set()
            await room.dispatch.stop(5.0)
            await asyncio.gather(task, return_exceptions=room.killed)
    finally:
        await store.close()
