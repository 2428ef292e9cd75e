"""The composition root: the only module that names implementations.

Starts everything in the order that keeps the promise (store and recovery, rules, dispatcher, listeners),
loads configurations atomically, and stops in the reverse order. No decision about a message is made here.
"""

import asyncio
import contextlib
import functools
import gc
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import msgspec
import structlog

from actions.auth import TokenKeeper
from actions.errors import ActionError
from service import crashpoints
from service.api import AdminServer
from service.backends import Backends
from service.clock import SteadyClock
from service.connections import Connection
from service.descriptions import bounds_of
from service.dispatch import Dispatch
from service.duties import Duties
from service.errors import Invalid, Problem, ServiceError
from service.ingest import IngestServer
from service.ingest.limits import Limits as IngestLimits
from service.intake import OWN_SOURCE, Intake
from service.pausing import Pausing
from service.plan import Plan
from service.polling import make_call
from service.replacing import replace_file
from service.rules.model import Pin
from service.rulesets import Rulesets
from service.running import Hooks, Running
from service.sealed_tokens import LentTokens, SealedTokens, token_keys
from service.settings import Settings
from service.store import LOOKS, STORES
from service.store.base import Entry, Store
from service.store.facts import StoreFacts
from service.supervisor import Supervisor
from service.usecases.checking import check_configuration, source_context
from service.usecases.connecting import list_connections
from service.usecases.desk import Desk
from service.usecases.doctor import Doctor, Question, Surroundings
from service.usecases.tokens import Tokens
from triggers import SOURCES
from triggers.base import HttpSource, Reporter, Source, SourceConfig, SourceContext
from triggers.errors import TriggerError

log = structlog.get_logger(__name__)

Positions = Callable[[], Awaitable[Mapping[str, bytes]]]


class Service:
    """One running instance."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self._environment = environment
        self.clock = SteadyClock()
        self.store = make_store(settings, self.clock)
        self.rulesets = Rulesets(self.store, bounds_of(settings))
        self.dispatch = Dispatch(
            self.store,
            self.rulesets,
            troubles=self._trouble,
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
        self.hooks = Hooks(self.intake, crashpoints.reached)
        self.supervisor = Supervisor(
            self.store,
            self.intake,
            refusing=lambda: self.hooks.refuse,
            make=make_source,
            context=self._source_context,
            reached=crashpoints.reached,
        )
        self.hooks.paused = self.supervisor.paused
        self._call = make_call(self._find_connection, self._find_pin, freed=self.dispatch.nudge)
        self.ingest = IngestServer(
            self.hooks,
            IngestLimits(connections=settings.max_connections),
            report=_report,
            trusted_proxies=settings.trusted_proxies,
        )
        self.doctor = make_doctor(settings, environment, ports=self._ports, checks=self._check_of)
        self.desk = Desk(self.store, self.rulesets, clock_ms=self.clock, live=Running(self))
        self.tokens = Tokens(self.store, settings.data)
        self.admin = AdminServer(self.desk, self.tokens, settings)
        self.plan: Plan | None = None
        self.problems: tuple[Problem, ...] = ()
        self.duties = Duties(
            self.store, self.clock, settings, write=self._write, refuse=self.hooks.refuse_over
        )
        self.pausing = Pausing(self.store, clock_ms=self.clock, changed=self.dispatch.pauses_changed)
        self.backends = Backends(
            self.store,
            self.dispatch.connections,
            stirred=self.duties.stir,
            tokens=SealedTokens(self.store, token_keys(settings.data, environment)),
            pauses=self.pausing.of,
            reached=crashpoints.reached,
        )
        self._tasks: asyncio.TaskGroup | None = None
        self._reloading = asyncio.Lock()

    # -- life

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        """Run everything inside the block; leave it to stop gracefully.

        Raise Invalid when the configuration is wrong, Unavailable when a port or the data cannot be had.
        """
        await self.store.open()
        try:
            await self._restore()
            async with _plainly(), asyncio.TaskGroup() as group:
                self._tasks = group
                dispatching = group.create_task(self.dispatch.run())
                dutiful = [
                    group.create_task(self.duties.beat_for_ever()),
                    group.create_task(self.duties.watch_for_ever()),
                    group.create_task(self.supervisor.watch()),
                ]
                try:
                    await self.ingest.start(self.settings.host, self.settings.port)
                    await self.admin.start()
                    write_port(self.settings.data, self.admin.port)
                    await self.reload()
                    log.info("listening", webhooks=self.ingest.port, admin=self.admin.port)
                    yield self
                finally:
                    await self._stop(dispatching, *dutiful)
        finally:
            crashpoints.reached("stop.before_close")
            await self.store.close()

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP reads the configuration again."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        # Before anything starts: unhandled, a SIGHUP ends the process.
        loop.add_signal_handler(signal.SIGHUP, self.reload_later)
        async with self.running():
            gc.freeze()  # what start-up made stays: the collector need not look at it again
            await stopped.wait()
            log.info("stopping", grace=self.settings.grace)

    async def _restore(self) -> None:
        """Take up what the last process left: the clock, the names, what is paused, the held connections."""
        kept = await self.store.get("clock")
        if "clock" in kept:
            self.clock.not_before(int(kept["clock"]))
        await self.rulesets.load_names()
        await self.tokens.load(self.clock())
        await self.supervisor.restore()
        await self.pausing.restore()
        await self.backends.restore()

    async def _stop(self, *tasks: asyncio.Task[None]) -> None:
        self.hooks.close()
        await self.ingest.stop(min(5.0, self.settings.grace))
        await self.supervisor.close()
        await self.dispatch.stop(self.settings.grace)
        await self.admin.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.backends.close()

    def _ports(self) -> dict[str, int]:
        """Return where this instance listens."""
        return {"webhooks": self.ingest.port, "admin API": self.admin.port}

    def _check_of(self, name: str) -> Question | None:
        """Return the question to a source of the configuration in force, None when it is not in there."""
        names = {status.name for status in self.supervisor.statuses()}
        return functools.partial(self.supervisor.check, name) if name in names else None

    # -- configuration

    def reload_later(self) -> None:
        """Read the configuration again soon; what is wrong in it is logged. For signal handlers."""
        if self._tasks is not None:
            self._tasks.create_task(self._reload_and_say())

    async def _reload_and_say(self) -> None:
        problems: tuple[object, ...] = ()
        try:
            await self.reload()
        except Invalid as error:
            problems = error.problems
        except (ServiceError, TriggerError, ActionError, OSError) as error:
            problems = (error,)
        for problem in problems:
            log.error("configuration", problem=str(problem))
        if problems:
            log.error("the configuration was not taken; the running one stays", problems=len(problems))

    async def reload(self) -> Plan:
        """Read the configuration and put it in force, all of it or nothing.

        Raise Invalid with every problem; then what runs goes on as it was.
        """
        async with self._reloading:
            crashpoints.reached("reload.before")
            candidate = await check_configuration(
                self.settings.config,
                resolve=True,
                env=self._environment,
                bounds=self.rulesets.bounds,
            )
            wanted = candidate.wanted()
            sources = await self._open_sources(wanted)
            plan = await self.rulesets.keep(wanted.configuration, candidate.checked.document, candidate.files)
            crashpoints.reached("reload.stored")
            connections = await self.backends.make(plan, candidate.pems)
            names = (*plan.configuration.sources, OWN_SOURCE)
            numbers = {name: await self.store.number("source", name) for name in names}
            await self._swap(plan, sources, numbers, connections)
            crashpoints.reached("reload.swapped")
            self.problems = candidate.problems
            log.info(
                "configuration in force",
                ruleset=plan.ruleset.number,
                rules=len(plan.ruleset.rules),
                sources=len(plan.configuration.sources),
                warnings=len(self.problems),
            )
            self.backends.retire(connections)
            await self._say_removed()
            return plan

    async def _say_removed(self) -> None:
        """Log which connections are gone while deliveries still want them; it changes nothing."""
        try:
            listed = await list_connections(self.desk)
        except ServiceError as error:
            log.warning("what became of removed connections cannot be looked up now", why=str(error))
            return
        for gone in listed["items"]:
            if gone["state"] == "removed":
                log.warning("connection removed", connection=gone["name"], reason=gone["reason"])

    async def _open_sources(self, plan: Plan) -> dict[str, HttpSource[Any]]:
        """Make and open the sources that the ingest server asks; the supervisor runs the others."""
        sources: dict[str, HttpSource[Any]] = {}
        for name, config in plan.configuration.sources.items():
            source = make_source(name, config)
            if isinstance(source, HttpSource):
                await source.open(source_context(name, crashpoints.reached))
                sources[name] = source
        return sources

    def _source_context(self, name: str, reporter: Reporter, positions: Positions) -> SourceContext:
        return msgspec.structs.replace(
            source_context(name, crashpoints.reached),
            positions=positions,
            report=reporter,
            call=self._call,
        )

    def _find_connection(self, name: str) -> Connection | None:
        return next((one for one in self.dispatch.connections() if one.name == name), None)

    def _find_pin(self, name: str) -> Pin | None:
        planned = self.plan.connections.get(name) if self.plan is not None else None
        return Pin(planned.spec_digest, planned.spec) if planned is not None else None

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
        self.supervisor.use(plan.configuration.sources, numbers)
        for source in old.values():
            await source.close()

    def _held_changed(self, connection: Connection) -> None:
        self.backends.held_changed(connection)

    async def _write(self) -> None:
        await self.backends.write()

    def _trouble(self, kind: str, subject: str, data: Mapping[str, object], cause: str) -> Entry | None:
        return self.intake.trouble(kind, subject, data, cause)


def make_source(name: str, config: SourceConfig) -> Source[Any]:
    """Make a source from its configuration; it is not opened."""
    source: Source[Any] = resolve_name(SOURCES[config.kind])(name, config)
    return source


@contextlib.asynccontextmanager
async def _plainly() -> AsyncIterator[None]:
    """Let an error that came alone leave a task group as itself, so that callers can tell what it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__


def _report(what: str, error: BaseException) -> None:
    """Log an exception that should not have happened while a request was answered."""
    log.error("a request failed in an unforeseen way", what=what, exc_info=error)


def _die(error: BaseException) -> None:
    """End the process at once: after a failed commit nothing may be acknowledged any more."""
    log.critical(
        "the store failed; the process ends so that nothing is acknowledged falsely", error=repr(error)
    )
    os._exit(70)


def make_store(settings: Settings, clock: Callable[[], int]) -> Store:
    """Make the store of an instance; its directory is made for us alone."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    make: Callable[..., Store] = resolve_name(STORES["sqlite"])
    return make(settings.data, reached=crashpoints.reached, clock_ms=clock, on_fatal=_die)


@contextlib.asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Open the store of a stopped instance to work at. Raise Unavailable while one is running."""
    clock = SteadyClock()
    async with _open_store(settings, clock) as store:
        rulesets = Rulesets(store, bounds_of(settings))
        await rulesets.load_names()
        yield Desk(store, rulesets, clock_ms=clock)


@contextlib.asynccontextmanager
async def lent_tokens(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[TokenKeeper]:
    """Give what keeps the tokens of a stopped instance, for a command that logs in as it would."""
    tokens = LentTokens(lambda: _open_store(settings, SteadyClock()), token_keys(settings.data, environment))
    try:
        yield tokens
    finally:
        await tokens.close()


@contextlib.asynccontextmanager
async def _open_store(settings: Settings, clock: SteadyClock) -> AsyncIterator[Store]:
    store = make_store(settings, clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def make_doctor(settings: Settings, environment: Mapping[str, str], **more: Any) -> Doctor:
    """Make who looks at what an instance with these settings stands on."""
    look: Callable[[Path], StoreFacts] = resolve_name(LOOKS["sqlite"])
    clock = SteadyClock()
    return Doctor(Surroundings(settings=settings, environment=environment, look=look, now_ms=clock, **more))


def write_port(data: Path, port: int) -> None:
    """Write down where the admin API listens, so that commands find it."""
    replace_file(data / "admin.port", f"{port}\n".encode())
