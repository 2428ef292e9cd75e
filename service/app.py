"""The composition root: the only module that names implementations.

Starts everything in the order that keeps the promise (store and recovery, rules, dispatcher, listeners),
loads configurations atomically, and stops in the reverse order. No decision about a message is made here.
"""

import asyncio
import contextlib
import functools
import os
import random
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final

import msgspec
import structlog

from actions import CONNECTORS
from actions.base import Connector
from service import crashpoints
from service.api import AdminServer
from service.clock import SteadyClock
from service.config.check import Checked, load_configuration
from service.connections import BreakerPolicy, Connection, Limits
from service.dispatch import Dispatch
from service.errors import Invalid, Problem, Unavailable
from service.ingest import IngestServer
from service.ingest.limits import Limits as IngestLimits
from service.intake import Intake
from service.plan import Plan, PlannedConnection, build
from service.rules.cel import Budget, CELError, EvaluationError, compile_expression, to_json
from service.rules.model import Pin
from service.rulesets import Rulesets
from service.settings import Settings
from service.store import STORES
from service.store.base import Store
from service.usecases.desk import Desk
from triggers import SOURCES
from triggers.base import Accepted, Batch, Expression, HttpSource, SourceContext

log = structlog.get_logger(__name__)

BEAT: Final = 2.0
"""Seconds between heartbeats, looks at the disk and bites of retention."""

EXPRESSION_BUDGET: Final = 50_000
"""Evaluation steps for a source's `id`, `type` or `subject` expression on one message."""


class Service:
    """One running instance."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self._environment = environment
        self.clock = SteadyClock()
        store_class: Callable[..., Store] = resolve_name(STORES["sqlite"])
        self.store: Store = store_class(
            settings.data, reached=crashpoints.reached, clock_ms=self.clock, on_fatal=_die
        )
        self.rulesets = Rulesets(self.store)
        self.dispatch = Dispatch(
            self.store,
            self.rulesets,
            troubles=lambda *facts: self.intake.trouble(*facts),
            held_changed=self._held_changed,
            clock_ms=self.clock,
            chance=random.SystemRandom().random,
            reached=crashpoints.reached,
            max_in_memory=settings.max_in_memory,
        )
        self.intake = Intake(
            self.store,
            self.dispatch,
            clock_ms=self.clock,
            reached=crashpoints.reached,
            new_id=functools.partial(secrets.token_hex, 16),
        )
        self.hooks = Hooks(self.intake)
        self.ingest = IngestServer(
            self.hooks,
            IngestLimits(connections=settings.max_connections),
            trusted_proxies=settings.trusted_proxies,
        )
        self.desk = Desk(self.store, self.rulesets, clock_ms=self.clock, live=Running(self))
        self.admin = AdminServer(self.desk, settings)
        self.plan: Plan | None = None
        self.problems: tuple[Problem, ...] = ()
        self._connectors: dict[tuple[str, str, str], Connector] = {}
        self._holds: dict[str, dict[str, Any]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._reloading = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()

    # -- life

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        """Run everything inside the block; leave it to stop gracefully."""
        await self.store.open()
        try:
            await self._restore()
            async with asyncio.TaskGroup() as group:
                self._tasks = group
                dispatching = group.create_task(self.dispatch.run())
                beating = group.create_task(self._beat_for_ever())
                try:
                    await self.ingest.start(self.settings.host, self.settings.port)
                    await self.admin.start()
                    await self.reload()
                    yield self
                finally:
                    await self._stop(dispatching, beating)
        finally:
            crashpoints.reached("stop.before_close")
            await self.store.close()

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reads the configuration again."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        async with self.running():
            assert self._tasks is not None
            group = self._tasks
            loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(self._reload_and_say()))
            await stopped.wait()
            log.info("stopping", grace=self.settings.grace)

    async def _restore(self) -> None:
        """Take up what the last process left: the clock, the names, the held connections."""
        kept = await self.store.get("clock")
        if "clock" in kept:
            self.clock.not_before(int(kept["clock"]))
        await self.rulesets.load_names()
        for name, value in (await self.store.get("hold/")).items():
            self._holds[name.removeprefix("hold/")] = msgspec.json.decode(value)

    async def _stop(self, dispatching: asyncio.Task[None], beating: asyncio.Task[None]) -> None:
        self.hooks.close()
        await self.ingest.stop(min(5.0, self.settings.grace))
        await self.dispatch.stop(self.settings.grace)
        await self.admin.stop()
        beating.cancel()
        dispatching.cancel()
        await asyncio.gather(dispatching, beating, *self._writes, return_exceptions=True)
        for connector in self._connectors.values():
            await connector.close()

    async def _beat_for_ever(self) -> None:
        """Heartbeat, retention in small bites, and the conditions under which webhooks are refused."""
        day = 86_400_000
        while True:
            now = self.clock()
            self.hooks.refuse = self._why_refuse()
            await self.store.beat(now)
            await self.store.put("clock", str(now).encode())
            await self.store.sweep(
                now,
                retention_ms=int(self.settings.retention_days * day),
                identities_ms=int(self.settings.identity_days * day),
            )
            await asyncio.sleep(BEAT)

    def _why_refuse(self) -> str:
        """Return why webhooks are refused now, "" when they are not (`DESIGN.md` §10)."""
        health = self.store.health()
        if not health.writable:
            return health.reason or "the store takes nothing"
        if health.queue_age_ms > self.settings.queue_age * 1000:
            return "the store is behind"
        if shutil.disk_usage(self.settings.data).free < self.settings.min_free_bytes:
            return "the disk is nearly full"
        return ""

    # -- configuration

    async def _reload_and_say(self) -> None:
        try:
            await self.reload()
        except Invalid as error:
            for problem in error.problems:
                log.error("configuration", problem=str(problem))
            log.error("the configuration was not taken; the running one stays", problems=len(error.problems))

    async def reload(self) -> Plan:
        """Read the configuration and put it in force, all of it or nothing. Raise Invalid with every problem."""
        async with self._reloading:
            crashpoints.reached("reload.before")
            checked, plan = await asyncio.to_thread(self._check)
            configuration = plan.configuration
            sources = await self._open_sources(checked)
            plan = await self.rulesets.keep(configuration, checked.canonical, checked.files)
            crashpoints.reached("reload.stored")
            connections = await self._connections(plan)
            numbers = {name: await self.store.number("source", name) for name in (*sources, "pointsman")}
            await self._swap(plan, sources, numbers, connections)
            crashpoints.reached("reload.swapped")
            self.problems = tuple(problem for problem in checked.problems if problem.severity == "warning")
            log.info(
                "configuration in force",
                ruleset=plan.ruleset.number,
                rules=len(plan.ruleset.rules),
                sources=len(sources),
                warnings=len(self.problems),
            )
            return plan

    def _check(self) -> tuple[Checked, Plan]:
        """Read and build everything without touching what runs. Raise Invalid. Runs in a thread."""
        checked = load_configuration(self.settings.config, resolve=True, env=self._environment)
        if checked.configuration is None:
            raise Invalid(checked.problems)
        plan = build(checked.configuration, checked.files)
        problems = (*checked.problems, *checked.place(plan.problems))
        if any(problem.severity == "error" for problem in problems):
            raise Invalid(problems)
        return checked, plan

    async def _open_sources(self, checked: Checked) -> dict[str, HttpSource[Any]]:
        """Make and open the sources of a configuration. Raise Invalid with every one that refuses."""
        assert checked.configuration is not None
        sources, problems = {}, []
        for name, config in checked.configuration.sources.items():
            source = resolve_name(SOURCES[config.kind])(name, config)
            for finding in await source.check():
                problems.append(
                    Problem(
                        message=finding.message,
                        code=finding.code,
                        severity=finding.severity,
                        pointer=f"/sources/{name}"
                        + "".join(f"/{part}" for part in finding.field.split(".") if part),
                        fix=finding.fix,
                    )
                )
            if not any(problem.severity == "error" for problem in problems):
                await source.open(
                    SourceContext(
                        name=name, reached=crashpoints.reached, clock=time.time, expression=_expression
                    )
                )
            sources[name] = source
        placed = checked.place(tuple(problems))
        if any(problem.severity == "error" for problem in placed):
            raise Invalid(placed)
        return sources

    async def _swap(
        self,
        plan: Plan,
        sources: dict[str, HttpSource[Any]],
        numbers: Mapping[str, int],
        connections: list[Connection],
    ) -> None:
        """Put everything new in force in one go: nothing waits between the first and the last line."""
        old = self.hooks.sources
        self.dispatch.use(connections)
        self.intake.use(plan.ruleset, numbers)
        self.hooks.use(sources)
        self.plan = plan
        for source in old.values():
            await source.close()

    # -- connections

    async def _connections(self, plan: Plan) -> list[Connection]:
        return [await self._connection(planned) for planned in plan.connections.values()]

    async def _connection(self, planned: PlannedConnection) -> Connection:
        """Make a connection; what was held stays held while nothing about it has changed."""
        config = planned.config
        digest = _config_digest(planned)
        pin = Pin(planned.spec_digest, planned.spec)

        def connector_for(wanted: Pin) -> Connector:
            key = (planned.name, digest, wanted.digest)
            connector = self._connectors.get(key)
            if connector is None:
                make = resolve_name(CONNECTORS["http"])
                connector = self._connectors[key] = make(
                    planned.name, wanted.spec, server=planned.server, config=config
                )
            return connector

        await connector_for(pin).open()
        present = next((one for one in self.dispatch.connections() if one.name == planned.name), None)
        if present is not None and present.digest == digest:
            present.connector_for = connector_for
            return present
        limits = config.limits
        connection = Connection(
            planned.name,
            await self.store.number("lane", planned.name),
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
        )
        held = self._holds.get(planned.name)
        if held is not None and held["digest"] == digest:
            connection.hold(held["reason"], now=time.monotonic(), wall=held["since"])
        elif held is not None:
            self._forget_hold(planned.name)
        return connection

    def _held_changed(self, connection: Connection) -> None:
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
        if self._tasks is not None:
            task = self._tasks.create_task(self.store.put(name, value))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)


class Hooks:
    """What the ingest server asks: which sources there are, and where batches go."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._loaded = False
        self.sources: dict[str, HttpSource[Any]] = {}
        self.refuse = ""
        self._armed = crashpoints.reached is not crashpoints.nothing

    @property
    def ready(self) -> bool:
        """Whether rules are loaded and the store takes messages."""
        return self._loaded and not self.refuse

    def use(self, sources: dict[str, HttpSource[Any]]) -> None:
        """Answer for these sources from now on."""
        self.sources = sources
        self._loaded = True

    def close(self) -> None:
        """Take nothing any more."""
        self._loaded = False

    def source(self, name: str) -> HttpSource[Any] | None:
        """Return a source by its name."""
        crashpoints.reached("ingest.before_receive")
        return self.sources.get(name)

    def accept(self, source: str, batch: Batch) -> asyncio.Future[Accepted]:
        """Store a batch. Raise Unavailable when the store takes nothing now."""
        crashpoints.reached("ingest.before_accept")
        if not self.ready:
            raise Unavailable(self.refuse or "no rules are loaded", after=1.0)
        future = self._intake.receive(source, batch)
        if self._armed:
            loop = asyncio.get_running_loop()
            future.add_done_callback(lambda _: loop.call_soon(crashpoints.reached, "ingest.after_answer"))
        return future


def _expression(text: str) -> Expression:
    """Compile an expression for a source; it is given the JSON object that rules see."""
    try:
        program = compile_expression(text, variables=("event", "data", "meta"))
    except CELError as error:
        raise ValueError(str(error)) from error

    def evaluate(event: Mapping[str, Any]) -> Any:
        variables = {"event": event, "data": event.get("data"), "meta": event.get("meta")}
        try:
            return to_json(program.evaluate(variables, Budget(EXPRESSION_BUDGET)))
        except EvaluationError as error:
            raise ValueError(str(error)) from error

    return evaluate


def _config_digest(planned: PlannedConnection) -> str:
    """Return a hash over all that could make a held connection work again, secrets included."""
    import hashlib

    shown = planned.config.model_dump(mode="python")
    return hashlib.blake2b(
        repr((planned.server, _revealed(shown))).encode(), digest_size=16, key=b"connection"
    ).hexdigest()


def _revealed(value: Any) -> Any:
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return value


def _die(error: BaseException) -> None:
    """End the process at once: after a failed commit nothing may be acknowledged any more."""
    log.critical(
        "the store failed; the process ends so that nothing is acknowledged falsely", error=repr(error)
    )
    os._exit(70)


def data_directory(settings: Settings) -> Path:
    """Make the data directory, for us alone."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings.data
