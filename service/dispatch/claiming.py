"""Claims what is due: retries, what a dead process left, what found no slot when it was born.

It queues claimed runs in their lanes, with the ruleset that made them; it performs none.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from service.delivery import Event
from service.dispatch.lanes import IDLE_CLAIM, Lanes
from service.dispatch.settling import Settling
from service.errors import ServiceError, Unavailable
from service.job import Failed, Job
from service.rules.model import Ruleset
from service.store.base import Claimed, Store

log = structlog.get_logger(__name__)


class Rulesets(Protocol):
    """Where rulesets of any number come from."""

    async def ruleset(self, number: int) -> Ruleset:
        """Return a ruleset by its number."""

    def source_name(self, number: int) -> str:
        """Return the name of a source by its number."""


class Claiming:
    """Claims for all lanes."""

    def __init__(
        self,
        store: Store,
        rulesets: Rulesets,
        lanes: Lanes,
        settling: Settling,
        *,
        clock_ms: Callable[[], int],
        reached: Callable[[str], None],
    ) -> None:
        self._store = store
        self._rulesets = rulesets
        self._lanes = lanes
        self._settling = settling
        self._clock_ms = clock_ms
        self._reached = reached

    async def until_stopped(self) -> None:
        """Claim whenever something may be due, until the lanes stop."""
        lanes = self._lanes
        while not lanes.stopping:
            lanes.wake.clear()
            lanes.claiming = True
            now, steady = time.monotonic(), self._clock_ms()
            try:
                again = await self.once(now, steady)
            except Unavailable as error:  # a full disk: the store says so itself
                await asyncio.sleep(error.after or 1.0)
                continue
            finally:
                lanes.claiming = False
                lanes.note_drained()
            if again or lanes.stopping:
                continue
            sleep = lanes.sleep_time(now, steady)
            try:
                async with asyncio.timeout(sleep):
                    await lanes.wake.wait()
            except TimeoutError:
                if sleep >= IDLE_CLAIM:
                    for lane in lanes.used.values():
                        lane.stir()

    async def once(self, now: float, steady: int) -> bool:
        """Claim what there is room for at this instant; return whether more may be had at once."""
        lanes = self._lanes
        wanted = lanes.wanted(now, steady)
        if not wanted:
            return False
        claimed = await self._store.claim(wanted, steady)
        lanes.in_memory += len(claimed)
        counts = dict.fromkeys(wanted, 0)
        for item in claimed:
            counts[item.lane] += 1
            await self._take(item)
        lanes.pump_all()
        more = False
        for number, count in counts.items():
            lane = lanes.numbered(number)
            if lane is None:
                continue
            if count == wanted[number]:
                more = True
                continue
            stirred = lane.stirred
            due = lane.next_due = await self._store.next_due([number])
            if lane.stirred == stirred:
                lane.backlog = due is not None and due <= self._clock_ms()
            more = more or lane.backlog  # one became due, or was stored, meanwhile
        return more and any(lane.connection.room(time.monotonic()) for lane in lanes.used.values())

    async def _take(self, item: Claimed) -> None:
        """Queue a claimed run, with the ruleset that made it; what cannot be queued is held or goes back."""
        self._reached("dispatch.claimed")
        lane = self._lanes.numbered(item.lane)
        settling = self._settling
        try:
            job = Job.of(item, self._rulesets.source_name(item.source))
            job.ruleset = await self._rulesets.ruleset(item.ruleset)
            job.step_of()
        except Unavailable as error:
            log.warning("a claimed delivery goes back: its rule cannot be read now", why=str(error))
            settling.claimed(item, Event.GIVE_BACK, due_at=self._clock_ms() + 1000)
        except (Failed, ServiceError) as failure:
            settling.claimed(item, Event.HOLD, reason=f"rule: {failure}")
        except Exception as error:  # one run's poison must not end the dispatcher for all
            log.exception("a claimed delivery could not be taken, in an unforeseen way")
            settling.claimed(item, Event.HOLD, reason=f"rule: internal error: {type(error).__name__}")
        else:
            if lane is None or self._lanes.stopping or lane.connection.paused:
                settling.back(job, lane)
            else:
                lane.queue.append(job)
