"""The lanes of the dispatcher: what waits for each connection in memory, and the slots that they share.

One lane per connection, so that a dead backend fills only its own. Keeps count, and says what may start, what
may be claimed and when to look again; it claims nothing, calls nothing and settles nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from service.connections import Connection
from service.job import Job

log = structlog.get_logger(__name__)

IDLE_CLAIM: Final = 30.0
"""Seconds after which due work is looked for even when nothing asked: a safety net, not the way."""

WAITING: Final = 4
"""How many deliveries wait in a lane's memory for each one that may be in flight."""


class Lane:
    """What waits for one connection in memory, and whether the store may hold more of it."""

    __slots__ = ("backlog", "connection", "next_due", "queue", "reserved", "spawned", "stirred", "timer")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.queue: deque[Job] = deque()
        self.reserved = 0  # slots of deliveries that are being accepted
        self.spawned = 0  # workers alive
        self.backlog = True  # the store may hold due runs of this lane
        self.stirred = 0  # how often it was said that it does
        self.next_due: int | None = None
        self.timer: asyncio.TimerHandle | None = None

    def stir(self) -> None:
        """Note that the store may hold due runs, also where a claim is under way that will not see them."""
        self.backlog = True
        self.stirred += 1


class Lanes:
    """All lanes. `in_memory` counts the slots that are taken: reserved, waiting, or at work."""

    def __init__(self, *, clock_ms: Callable[[], int], max_in_memory: int) -> None:
        self._clock_ms = clock_ms
        self._max_in_memory = max_in_memory
        self._by_number: dict[int, Lane] = {}
        self._leaving: dict[str, Lane] = {}  # no longer configured, but something of them is in memory
        self._start: Callable[[Lane], None] | None = None
        self._drained = asyncio.Event()
        self.used: dict[str, Lane] = {}
        self.in_memory = 0
        self.claiming = False
        self.stopping = False
        self.wake = asyncio.Event()

    def begin(self, start: Callable[[Lane], None]) -> None:
        """Let work start: `start` starts a worker of a lane."""
        self._start = start
        self.pump_all()

    def replace(self, connections: Sequence[Connection]) -> list[Lane]:
        """Take a new set of connections; one that stays keeps its queue and what is in flight.

        Return the lanes that are no longer used: what waits in them is to be given back.
        """
        kept = {}
        known = {**self._leaving, **self.used}
        for connection in connections:
            lane = known.get(connection.name)
            if lane is None:
                lane = Lane(connection)
            elif lane.connection is not connection:
                connection.in_flight = lane.connection.in_flight
                connection.pauses = lane.connection.pauses  # one may have begun or ended since it was made
                lane.connection = connection
            lane.stir()
            kept[connection.name] = lane
        leaving = {name: lane for name, lane in known.items() if name not in kept}
        self._leaving = {name: lane for name, lane in leaving.items() if lane.reserved or lane.spawned}
        self.used = kept
        self._by_number = {lane.connection.lane: lane for lane in kept.values()}
        return list(leaving.values())

    def numbered(self, number: int) -> Lane | None:
        """Return the lane that has this number in the store."""
        return self._by_number.get(number)

    # -- slots

    def reserve(self, connection: str) -> tuple[int, bool]:
        """Return a connection's lane number, and whether a slot was reserved in memory for one delivery."""
        lane = self.used[connection]
        room = lane.connection.limits.in_flight * WAITING
        if (
            self.stopping
            or lane.backlog
            or self.in_memory >= self._max_in_memory
            or lane.reserved + len(lane.queue) >= room
            or lane.connection.state != "ok"
        ):
            lane.backlog = True
            return lane.connection.lane, False
        self.in_memory += 1
        lane.reserved += 1
        return lane.connection.lane, True

    def unreserve(self, connection: str) -> Lane | None:
        """End a reservation, the slot stays taken; return the connection's lane if it is still used."""
        lane = self.used.get(connection)
        reserved = lane or self._leaving.get(connection)
        if reserved is not None:
            reserved.reserved -= 1
        return lane

    def release_slot(self) -> None:
        """Free a slot: what was in it is committed, or was never born."""
        if self.in_memory >= self._max_in_memory:
            self.wake.set()  # claims may have waited for this one
        self.in_memory -= 1
        self.note_drained()

    # -- what may start, and when

    def pump(self, lane: Lane) -> None:
        """Start as many workers as the lane has work and room for."""
        if self._start is None or self.stopping or lane.timer is not None:
            return
        room = min(len(lane.queue), lane.connection.room(time.monotonic()))
        while lane.spawned - lane.connection.in_flight < room:
            lane.spawned += 1
            self._start(lane)

    def pump_all(self) -> None:
        """Start what may start in any lane."""
        for lane in self.used.values():
            self.pump(lane)

    def next_job(self, lane: Lane) -> Job | None:
        """Take the next job that may be called now; None when there is none or the rate says later."""
        connection = lane.connection
        if self.stopping or not lane.queue:
            return None
        now = time.monotonic()
        if connection.room(now) <= 0:
            return None
        if connection.rate is not None:
            wait = connection.rate.wait(now)
            if wait > 0:
                if lane.timer is None:
                    lane.timer = asyncio.get_running_loop().call_later(wait, self._rate_again, lane)
                return None
            connection.rate.take()
        return lane.queue.popleft()

    def _rate_again(self, lane: Lane) -> None:
        lane.timer = None
        self.pump(lane)

    def nudge(self, connection: str | None = None) -> None:
        """Look for due work now: something was released, retried or stored as pending."""
        for name, lane in self.used.items():
            if connection is None or name == connection:
                lane.stir()
                self.pump(lane)
        self.wake.set()

    def due(self, number: int, due_at: int) -> None:
        """Note that a run of a lane will be due."""
        lane = self._by_number.get(number)
        if lane is not None and (lane.next_due is None or due_at < lane.next_due):
            lane.next_due = due_at
            self.wake.set()

    def wanted(self, now: float, steady: int) -> dict[int, int]:
        """Return how many runs of each lane may be claimed at this instant, for those that may have any.

        `now` is the monotonic clock (breakers), `steady` the service's own (due times).
        """
        wanted: dict[int, int] = {}
        for lane in self.used.values():
            self.pump(lane)  # a probe may wait there
            if not (lane.backlog or (lane.next_due is not None and lane.next_due <= steady)):
                continue
            lane.backlog = True  # new ones line up behind these, also while there is no room
            room = lane.connection.room(now)
            if lane.connection.state == "ok":
                room = max(0, 2 * lane.connection.limits.in_flight - lane.connection.in_flight)
            room = min(room - len(lane.queue), self._max_in_memory - self.in_memory - sum(wanted.values()))
            if room > 0:
                wanted[lane.connection.lane] = room
        return wanted

    def sleep_time(self, now: float, steady: int) -> float:
        """Return how many seconds until something may be done: a retry, or a probe of a closed lane.

        What could be done at the instant of the last look (`wanted`) already waits for room: whoever makes
        room wakes the loop. What came due since then could not, so it is that instant that counts here.
        """
        waits, since = [IDLE_CLAIM], time.monotonic() - now
        for lane in self.used.values():
            if lane.backlog or lane.queue:
                due = 0.0
            elif lane.next_due is not None:
                due = (lane.next_due - steady) / 1000
            else:
                continue
            wait = max(due, (lane.connection.wakes_at() or now) - now)
            if wait > 0:
                waits.append(max(0.001, wait - since))
        return min(waits)

    # -- the end

    def note_drained(self) -> None:
        """While stopping: say when nothing is left in memory."""
        if self.stopping and not self.in_memory and not self.claiming:
            self._drained.set()

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds until nothing is left in memory, then let go of what is."""
        if self.in_memory or self.claiming:
            try:
                async with asyncio.timeout(grace):
                    await self._drained.wait()
            except TimeoutError:
                log.warning(
                    "stopped with calls in flight; they will be found interrupted", calls=self.in_memory
                )
        self._drained.set()

    async def drained(self) -> None:
        """Wait until nothing is left in memory, or it was let go."""
        if self.in_memory:
            await self._drained.wait()
