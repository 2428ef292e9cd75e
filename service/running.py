"""The running parts, as the listeners and the use cases see them. It starts and stops nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from service import crashpoints
from service.connections import Connection
from service.dispatch import Dispatch
from service.errors import Problem, Unavailable
from service.intake import Intake, RuleCounts
from service.pausing import Pausing
from service.plan import Plan
from service.store.base import Store
from service.supervisor import Supervisor
from service.usecases.doctor import Doctor
from triggers.base import Accepted, Batch, HttpSource


class Hooks:
    """What the ingest server asks: which sources there are, and where batches go."""

    def __init__(self, intake: Intake, reached: Callable[[str], None]) -> None:
        self._intake = intake
        self._reached = reached
        self._loaded = False
        self.sources: dict[str, HttpSource[Any]] = {}
        self.refuse = ""
        self.paused: Callable[[str], bool] = lambda _source: False
        self._armed = reached is not crashpoints.nothing

    @property
    def ready(self) -> bool:
        """Whether rules are loaded and the store takes messages."""
        return self._loaded and not self.refuse

    def use(self, sources: dict[str, HttpSource[Any]]) -> None:
        """Answer for these sources from now on."""
        self.sources = sources
        self._loaded = True

    def refuse_over(self, reason: str) -> None:
        """Take nothing while there is a reason; none: take again."""
        self.refuse = reason

    def close(self) -> None:
        """Take nothing any more."""
        self._loaded = False

    def source(self, name: str) -> HttpSource[Any] | None:
        """Return a source by its name."""
        self._reached("ingest.before_receive")
        return self.sources.get(name)

    def accept(self, source: str, batch: Batch) -> asyncio.Future[Accepted]:
        """Store a batch. Raise Unavailable when the store takes nothing now."""
        self._reached("ingest.before_accept")
        if not self.ready:
            raise Unavailable(self.refuse or "no rules are loaded", after=1.0)
        if self.paused(source):
            raise Unavailable(f"source {source} is paused by an operator", after=5.0)
        future = self._intake.receive(source, batch)
        if self._armed:
            loop = asyncio.get_running_loop()
            future.add_done_callback(lambda _: loop.call_soon(self._reached, "ingest.after_answer"))
        return future


class Counted(Protocol):
    """The ingest server, as far as it is counted."""

    @property
    def counters(self) -> Any:
        """What happened since the start."""

    @property
    def connections(self) -> int:
        """How many connections there are."""


class Parts(Protocol):
    """What runs, as the composition root has it."""

    store: Store
    intake: Intake
    dispatch: Dispatch
    hooks: Hooks

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""

    @property
    def problems(self) -> Sequence[Problem]:
        """The warnings of the configuration in force."""

    @property
    def ingest(self) -> Counted:
        """The ingest server."""

    supervisor: Supervisor
    pausing: Pausing
    doctor: Doctor

    async def reload(self) -> Plan:
        """Read the configuration again."""


class Running:
    """The running parts, as the use cases need them (`usecases.desk.Live`)."""

    def __init__(self, service: Parts) -> None:
        self._service = service

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self._service.plan

    def connections(self) -> list[Connection]:
        """Return the connections in use."""
        return self._service.dispatch.connections()

    def waiting(self, connection: str) -> int:
        """Return how many deliveries of a connection wait in memory."""
        return self._service.dispatch.waiting(connection)

    def nudge(self) -> None:
        """Look for due work now."""
        self._service.dispatch.nudge()

    def release(self, connection: str) -> bool:
        """Let a held connection through again."""
        return self._service.dispatch.release(connection)

    @property
    def pausing(self) -> Pausing:
        """What pauses connections."""
        return self._service.pausing

    def refusing(self) -> str:
        """Return why webhooks are refused now, "" when they are not."""
        hooks = self._service.hooks
        return "" if hooks.ready else hooks.refuse or "no rules are loaded"

    def last_messages(self) -> Mapping[str, int]:
        """Return when each source's last message was received, in milliseconds."""
        return self._service.intake.last_at

    def rule_counts(self) -> Mapping[int, RuleCounts]:
        """Return what happened to each rule since the start."""
        return self._service.intake.rules

    def open_connections(self) -> int:
        """Return how many ingest connections are open."""
        return self._service.ingest.connections

    def problems(self) -> Sequence[Problem]:
        """Return the warnings of the configuration in force."""
        return self._service.problems

    @property
    def supervisor(self) -> Supervisor:
        """What runs the sources."""
        return self._service.supervisor

    @property
    def doctor(self) -> Doctor:
        """Who looks at what the instance stands on."""
        return self._service.doctor

    async def reload(self) -> Plan:
        """Read the configuration again. Raise Invalid."""
        return await self._service.reload()

    def counters(self) -> Mapping[str, tuple[str, Mapping[str, int]]]:
        """Return the plain counters by metric: the label's name ("" for none) and the value by label."""
        service = self._service
        names = {rule.number: rule.name for rule in service.intake.ruleset.rules}
        counted = {names[number]: one for number, one in service.intake.rules.items() if number in names}
        answers = service.ingest.counters.answers
        return {
            "pointsman_messages_total": ("verdict", service.intake.accepted),
            "pointsman_messages_unmatched_total": ("", {"": service.intake.unmatched}),
            "pointsman_attempts_total": ("outcome", service.dispatch.outcomes),
            "pointsman_deliveries_ended_total": ("end", service.dispatch.ended),
            "pointsman_rule_matched_total": ("rule", {name: one.matched for name, one in counted.items()}),
            "pointsman_rule_errors_total": ("rule", {name: one.when_errors for name, one in counted.items()}),
            "pointsman_store_commits_total": ("", {"": service.store.health().groups}),
            "pointsman_source_restarts_total": (
                "source",
                {one.name: one.restarts for one in service.supervisor.statuses()},
            ),
            "pointsman_ingest_requests_total": (
                "status",
                {str(status): count for status, count in answers.items()},
            ),
        }
