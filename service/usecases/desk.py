"""What every use case stands on: the store, the rulesets, and the running parts where there are some.

The command line works at a desk over a stopped instance's store, the API at one with the live parts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from service.connections import Connection
from service.errors import NotFound, Problem, Unavailable, nearest
from service.pausing import Pausing
from service.plan import Plan
from service.rulesets import Rulesets
from service.store.base import RunKey, Store
from service.store.ids import parse_delivery_id, parse_id
from service.supervisor import Supervisor
from service.usecases.doctor import Doctor


class Live(Protocol):
    """The running parts of an instance, as use cases need them."""

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""

    def connections(self) -> list[Connection]:
        """Return the connections in use."""

    def waiting(self, connection: str) -> int:
        """Return how many deliveries of a connection wait in memory."""

    def nudge(self) -> None:
        """Look for due work now."""

    def release(self, connection: str) -> bool:
        """Let a held connection through again."""

    @property
    def pausing(self) -> Pausing:
        """What pauses connections."""

    def counters(self) -> Mapping[str, tuple[str, Mapping[str, int]]]:
        """Return the plain counters by metric: the label's name ("" for none) and the value by label."""

    def open_connections(self) -> int:
        """Return how many ingest connections are open."""

    def problems(self) -> Sequence[Problem]:
        """Return the warnings of the configuration in force."""

    def refusing(self) -> str:
        """Return why webhooks are refused now, "" when they are not."""

    def last_messages(self) -> Mapping[str, int]:
        """Return when each source's last message was received, in milliseconds."""

    def rule_counts(self) -> Mapping[int, Any]:
        """Return what happened to each rule since the start, by rule number."""

    @property
    def supervisor(self) -> Supervisor:
        """What runs the sources."""

    @property
    def doctor(self) -> Doctor:
        """Who looks at what the instance stands on."""

    async def reload(self) -> Plan:
        """Read the configuration again. Raise Invalid."""


class Desk:
    """A place to work at. `live` is None over a stopped instance."""

    def __init__(
        self, store: Store, rulesets: Rulesets, *, clock_ms: Callable[[], int], live: Live | None = None
    ) -> None:
        self.store = store
        self.rulesets = rulesets
        self.now = clock_ms
        self.live = live

    def refusing(self) -> str:
        """Return why webhooks are refused now, "" when they are taken."""
        if self.live is None:
            return "the instance is stopped"
        store = self.store.health()
        if not store.writable:
            return store.reason or "the store takes nothing"
        return self.live.refusing()

    def running(self) -> Live:
        """Return the running parts. Raise Unavailable over a stopped instance."""
        if self.live is None:
            raise Unavailable("the instance is stopped")
        return self.live

    def plan(self) -> Plan:
        """Return the plan in force. Raise Unavailable when there is none."""
        plan = self.running().plan
        if plan is None:
            raise Unavailable("no configuration is in force yet", after=1.0)
        return plan

    async def rule_names(self) -> dict[int, str]:
        """Return every rule number with its present name."""
        return await self.store.names("rule")

    async def lane_names(self) -> dict[int, str]:
        """Return every lane number with its connection's name."""
        return await self.store.names("lane")

    async def number_of(self, kind: Any, name: str | None) -> int | None:
        """Return the number of a source, lane or rule by name; None for None. Raise NotFound."""
        if name is None:
            return None
        names = {text: number for number, text in (await self.store.names(kind)).items()}
        if name not in names:
            what = "connection" if kind == "lane" else kind
            near = nearest(name, list(names))
            raise NotFound(f"there is no {what} {name}" + (f"; did you mean {near}?" if near else ""))
        return names[name]


def message_number(text: str) -> int:
    """Return the number behind `msg_…`. Raise NotFound for what is no such id."""
    number = parse_id(text, "msg_")
    if number is None:
        raise NotFound(f"{text!r} is no message id; one looks like msg_00004a")
    return number


def reject_number(text: str) -> int:
    """Return the number behind `rej_…`. Raise NotFound for what is no such id."""
    number = parse_id(text, "rej_")
    if number is None:
        raise NotFound(f"{text!r} is no reject id; one looks like rej_00004a")
    return number


def run_key(text: str) -> RunKey:
    """Return the key behind `dlv_…`. Raise NotFound for what is no such id."""
    key = parse_delivery_id(text)
    if key is None:
        raise NotFound(f"{text!r} is no delivery id; one looks like dlv_00004a-1-1")
    return key
