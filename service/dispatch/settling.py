"""Settles deliveries: what follows an attempt, and what goes back uncalled.

Each settlement goes to the store. Only when it is committed, the delivery's slot in memory is free and who
waits for what it brought about hears of it. It makes no call.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from service.delivery import Event, State
from service.dispatch.lanes import Lane, Lanes
from service.job import Job, encode_answers
from service.outcome import Outcome, Verdict
from service.retry import next_attempt
from service.store.base import Attempt, Claimed, Entry, Settlement, Store

STORED: Final = {
    Outcome.OK: "ok",
    Outcome.RETRY: "retry",
    Outcome.REFUSED: "refused",
    Outcome.UNKNOWN: "unknown",
    Outcome.LOGIN: "refused",
}
"""How an outcome is written in an attempt's row."""

_ENDS: Final = {
    Event.SUCCEED: State.DELIVERED.name.lower(),
    Event.FAIL: State.DEAD.name.lower(),
    Event.EXPIRE: State.EXPIRED.name.lower(),
}


class Troubles(Protocol):
    """Makes a message about the service's own troubles; None when it must not be made (a loop)."""

    def __call__(self, kind: str, subject: str, data: Mapping[str, object], cause: str) -> Entry | None:
        """Return the message as an entry for the store."""


class Settling:
    """Settles. `chance` gives a random number in [0, 1); `ended` counts the ends since the start."""

    def __init__(
        self,
        store: Store,
        lanes: Lanes,
        *,
        troubles: Troubles,
        clock_ms: Callable[[], int],
        chance: Callable[[], float],
        reached: Callable[[str], None],
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._troubles = troubles
        self._clock_ms = clock_ms
        self._chance = chance
        self._reached = reached
        self.ended: dict[str, int] = {"delivered": 0, "dead": 0, "expired": 0}

    def finish(
        self,
        job: Job,
        event: Event,
        *,
        attempt: Attempt | None = None,
        reason: str = "",
        due_at: int | None = None,
        lane: Lane | None = None,
        trouble: str = "",
    ) -> None:
        """Settle the end of a job's stay in memory; its slot is free once that is committed."""
        self._reached("dispatch.before_settle")
        also: tuple[Entry, ...] = ()
        if trouble:
            entry = self._troubles(trouble, job.public_id(), job.facts(reason), job.cause())
            also = (entry,) if entry is not None else ()
        settlement = Settlement(
            key=job.key,
            number=job.number,
            event=event,
            attempt=attempt,
            due_at=due_at,
            reason=reason,
            step=job.step,
            answers=encode_answers(job.answers) if job.answers else None,
            also=also,
        )

        def done(applied: bool) -> None:
            self._reached("dispatch.after_settle")
            if applied and event in _ENDS:
                self.ended[_ENDS[event]] += 1
            if due_at is not None and lane is not None:
                self._reached("dispatch.retry_scheduled")
                self._lanes.due(lane.connection.lane, due_at)
            if job.mode == "queued" or also:
                self._lanes.nudge()
            self._lanes.release_slot()

        self._store.settle(settlement, done)

    def fail(self, lane: Lane, job: Job, verdict: Verdict, attempt: Attempt) -> None:
        """Decide what follows an attempt that did not go well, and settle it."""
        step = job.step_of()
        if verdict.outcome is Outcome.LOGIN:
            # The connection is held, or has logged in anew: the delivery waits for its lane, not for time.
            self.finish(job, Event.RETRY, attempt=attempt, due_at=self._clock_ms(), lane=lane)
            return
        if verdict.outcome is Outcome.REFUSED:
            self.die(job, verdict.detail, attempt)
            return
        if verdict.outcome is Outcome.UNKNOWN and step.on_unknown == "dead":
            self.die(job, f"{verdict.detail}; the step says on_unknown: dead", attempt)
            return
        now = self._clock_ms()
        due_at = next_attempt(
            step.retry,
            failed=job.retried + 1,
            first_at=job.first_at,
            now=now,
            paused=job.paused_ms + lane.connection.pauses.lasted(job.first_at, now),
            after=verdict.after,
            chance=self._chance(),
        )
        if due_at is None:
            self.die(job, f"{verdict.detail}; given up after {job.retried + 1} attempts", attempt)
            return
        self.finish(job, Event.RETRY, attempt=attempt, due_at=due_at, lane=lane)

    def die(self, job: Job, reason: str, attempt: Attempt | None = None) -> None:
        """End a job for good, and tell of it."""
        self.finish(job, Event.FAIL, attempt=attempt, reason=reason, trouble="pointsman.delivery.dead")

    def put_by(self, job: Job, reason: str) -> None:
        """Hold a job whose attempt ended in an exception that nobody foresaw; what it did is unknown."""
        attempt = Attempt(
            number=job.number,
            step=job.step,
            started_at=job.started_at,
            ended_at=self._clock_ms(),
            outcome=STORED[Outcome.UNKNOWN],
            detail=reason,
            digest=job.digest,
        )
        self.finish(job, Event.HOLD, attempt=attempt, reason=reason)

    # -- from step to step

    async def advance(self, job: Job, attempt: Attempt, answers: bytes) -> bool:
        """Commit a step's answer and the next step's attempt before the next call; False: it is not ours."""
        applied: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._reached("dispatch.before_settle")
        settlement = Settlement(
            key=job.key,
            number=job.number,
            event=Event.ADVANCE,
            attempt=attempt,
            step=job.step + 1,
            answers=answers,
        )
        self._store.settle(settlement, applied.set_result)
        if not await applied:
            self._lanes.release_slot()
            return False
        job.advance(self._clock_ms())
        return True

    def pass_on(self, job: Job, attempt: Attempt, answers: bytes, lane: Lane | None) -> None:
        """Settle a step whose next one belongs to another connection: its lane claims it."""
        following = job.following()
        if lane is None or following is None:
            self.die(job, "the next step's connection is not configured", attempt)
            return
        self._reached("dispatch.before_settle")
        settlement = Settlement(
            key=job.key,
            number=job.number,
            event=Event.RETRY,
            attempt=attempt,
            step=job.step + 1,
            lane=lane.connection.lane,
            due_at=self._clock_ms(),
            answers=answers,
        )
        self._store.settle(settlement, self._stirring(lane))

    # -- back

    def claimed(self, item: Claimed, event: Event, *, reason: str = "", due_at: int | None = None) -> None:
        """Settle a claimed run that could not be made a job."""
        settlement = Settlement(key=item.key, number=item.number, event=event, reason=reason, due_at=due_at)

        def done(_applied: bool) -> None:
            self._lanes.release_slot()
            if due_at is not None:
                self._lanes.due(item.lane, due_at)

        self._store.settle(settlement, done)

    def back(self, job: Job, lane: Lane | None) -> None:
        """Give a run back that was not called; its lane claims it when it may."""
        settlement = Settlement(key=job.key, number=job.number, event=Event.GIVE_BACK, step=job.step)
        self._store.settle(settlement, self._stirring(lane))

    def back_all(self, lane: Lane) -> None:
        """Give everything back that waits in a lane."""
        while lane.queue:
            self.back(lane.queue.popleft(), lane)
        lane.stir()

    def _stirring(self, lane: Lane | None) -> Callable[[bool], None]:
        """Return what to do when a run has gone back to the store, for a lane to claim."""

        def done(_applied: bool) -> None:
            self._lanes.release_slot()
            if lane is not None:
                lane.stir()
                self._lanes.wake.set()

        return done
