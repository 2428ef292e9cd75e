"""The dispatcher as the rest of the service sees it: joins the parts of this package, decides nothing."""

import asyncio
from collections.abc import Callable, Sequence

from service.connections import Connection, Pauses
from service.dispatch.claiming import Claiming, Rulesets
from service.dispatch.health import Health
from service.dispatch.lanes import Lane, Lanes
from service.dispatch.settling import Settling, Troubles
from service.dispatch.working import Working
from service.job import Job
from service.store.base import Store


class Dispatch:
    """The dispatcher. `run` works until `stop`; `reserve` and `hand_over` are called by intake.

    `clock_ms` is the service's steady clock (due times), `chance` a random number in [0, 1).
    """

    def __init__(
        self,
        store: Store,
        rulesets: Rulesets,
        *,
        troubles: Troubles,
        held_changed: Callable[[Connection], None],
        clock_ms: Callable[[], int],
        chance: Callable[[], float],
        reached: Callable[[str], None],
        max_in_memory: int,
    ) -> None:
        self._reached = reached
        self.lanes = Lanes(clock_ms=clock_ms, max_in_memory=max_in_memory)
        self._settling = Settling(
            store, self.lanes, troubles=troubles, clock_ms=clock_ms, chance=chance, reached=reached
        )
        self._health = Health(store, self.lanes, self._settling, troubles=troubles, held_changed=held_changed)
        self.claiming = Claiming(
            store, rulesets, self.lanes, self._settling, clock_ms=clock_ms, reached=reached
        )
        self._working = Working(self.lanes, self._settling, self._health, clock_ms=clock_ms, reached=reached)
        self.outcomes = self._working.outcomes
        self.ended = self._settling.ended

    # -- connections

    def use(self, connections: Sequence[Connection]) -> None:
        """Take a new set of connections; one that stays keeps its queue and what is in flight."""
        for lane in self.lanes.replace(connections):
            self._settling.back_all(lane)
        self.lanes.pump_all()
        self.lanes.wake.set()

    def connections(self) -> list[Connection]:
        """Return the connections in use."""
        return [lane.connection for lane in self.lanes.used.values()]

    def waiting(self, name: str) -> int:
        """Return how many jobs of a connection wait in memory."""
        lane = self.lanes.used.get(name)
        return len(lane.queue) if lane is not None else 0

    def release(self, name: str) -> bool:
        """Let a held connection through again; return whether it was held."""
        return self._health.release(name)

    def pauses_changed(self, name: str, pauses: Pauses) -> None:
        """Let an operator's pause of a connection begin or end."""
        self._health.pauses_changed(name, pauses)

    def nudge(self, connection: str | None = None) -> None:
        """Look for due work now: something was released, retried or stored as pending."""
        self.lanes.nudge(connection)

    # -- from intake

    def reserve(self, connection: str) -> tuple[int, bool]:
        """Return a connection's lane number, and whether a slot was reserved in memory for one delivery.

        A reserved slot ends with `hand_over` or `cancel`.
        """
        return self.lanes.reserve(connection)

    def cancel(self, connection: str) -> None:
        """Give a reserved slot back: the delivery was not born running."""
        self.lanes.unreserve(connection)
        self.lanes.release_slot()

    def hand_over(self, connection: str, job: Job) -> None:
        """Take a delivery that was born running, straight from the commit's callback."""
        self._reached("dispatch.handed_over")
        lane = self.lanes.unreserve(connection)
        if lane is None or self.lanes.stopping or lane.connection.state != "ok":
            self._settling.back(job, lane)
            return
        lane.queue.append(job)
        self.lanes.pump(lane)

    # -- life

    async def run(self) -> None:
        """Work until `stop`. The tasks of all calls belong to this one."""
        async with asyncio.TaskGroup() as group:

            def start(lane: Lane) -> None:
                group.create_task(self._working.work(lane))

            self.lanes.begin(start)
            await self.claiming.until_stopped()
            await self.lanes.drained()

    async def stop(self, grace: float) -> None:
        """Give back what was not called, wait up to `grace` seconds for calls in flight, then let go.

        What is still in flight then stays RUNNING in the store: the next start finds it interrupted.
        """
        self.lanes.stopping = True
        self._reached("stop.draining")
        for lane in self.lanes.used.values():
            self._settling.back_all(lane)
        self.lanes.wake.set()
        await self.lanes.drain(grace)
