"""Performs deliveries: claims what is due, renders, calls, settles.

One process owns a run from its claim (or birth) to its settlement. A process that dies loses it, and the
run becomes due again: an operation may be called twice, never zero times. Nothing here knows which store,
engine or source is in use. Everything is bounded: by connection (in flight, rate), and in memory.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from actions.base import Connector, Prepared
from actions.errors import ActionError
from service.connections import Connection
from service.delivery import Event, State
from service.errors import ServiceError, Unavailable
from service.job import Failed, Job, attempt_headers, encode_answer, encode_answers, prepare, remember
from service.outcome import Outcome, Verdict, judge, judge_error
from service.retry import next_attempt
from service.rules.model import Ruleset, Step
from service.store.base import Attempt, Claimed, Entry, Settlement, Store, Stored

log = structlog.get_logger(__name__)

IDLE_CLAIM: Final = 30.0
"""Seconds after which due work is looked for even when nothing asked: a safety net, not the way."""


class Rulesets(Protocol):
    """Where rulesets of any number come from."""

    async def ruleset(self, number: int) -> Ruleset:
        """Return a ruleset by its number."""

    def source_name(self, number: int) -> str:
        """Return the name of a source by its number."""


class Troubles(Protocol):
    """Makes a message about the service's own troubles; None when it must not be made (a loop)."""

    def __call__(self, kind: str, subject: str, data: Mapping[str, object], cause: str) -> Entry | None:
        """Return the message as an entry for the store."""


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

    def resting(self) -> bool:
        """Return whether nothing of it is in memory."""
        return not (self.reserved or self.spawned or self.queue)


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
        self._store = store
        self._rulesets = rulesets
        self._troubles = troubles
        self._held_changed = held_changed
        self._clock_ms = clock_ms
        self._chance = chance
        self._reached = reached
        self._max_in_memory = max_in_memory
        self._lanes: dict[str, Lane] = {}
        self._by_number: dict[int, Lane] = {}
        self._leaving: dict[str, Lane] = {}  # no longer configured, but something of them is in memory
        self._in_memory = 0
        self._claiming = False
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None
        self.outcomes: dict[str, int] = dict.fromkeys((outcome.value for outcome in Outcome), 0)
        self.ended: dict[str, int] = {"delivered": 0, "dead": 0, "expired": 0}

    # -- connections

    def use(self, connections: Sequence[Connection]) -> None:
        """Take a new set of connections; one that stays keeps its queue and what is in flight."""
        kept = {}
        known = {**self._leaving, **self._lanes}
        for connection in connections:
            lane = known.get(connection.name)
            if lane is None:
                lane = Lane(connection)
            elif lane.connection is not connection:
                connection.in_flight = lane.connection.in_flight
                lane.connection = connection
            lane.stir()
            kept[connection.name] = lane
        leaving = {name: lane for name, lane in known.items() if name not in kept}
        for lane in leaving.values():
            self._give_back(lane)
        self._leaving = {name: lane for name, lane in leaving.items() if not lane.resting()}
        self._lanes = kept
        self._by_number = {lane.connection.lane: lane for lane in kept.values()}
        for lane in kept.values():
            self._pump(lane)
        self._wake.set()

    def connections(self) -> list[Connection]:
        """Return the connections in use."""
        return [lane.connection for lane in self._lanes.values()]

    def waiting(self, name: str) -> int:
        """Return how many jobs of a connection wait in memory."""
        lane = self._lanes.get(name)
        return len(lane.queue) if lane is not None else 0

    # -- from intake

    def reserve(self, connection: str) -> tuple[int, bool]:
        """Return a connection's lane number, and whether a slot was reserved in memory for one delivery.

        A reserved slot ends with `hand_over` or `cancel`.
        """
        lane = self._lanes[connection]
        room = lane.connection.limits.in_flight
        if (
            self._stopping
            or lane.backlog
            or self._in_memory >= self._max_in_memory
            or lane.reserved + len(lane.queue) >= room * 4
            or lane.connection.state != "ok"
        ):
            lane.backlog = True
            return lane.connection.lane, False
        self._in_memory += 1
        lane.reserved += 1
        return lane.connection.lane, True

    def cancel(self, connection: str) -> None:
        """Give a reserved slot back: the delivery was not born running."""
        self._unreserve(connection)
        self._release_slot()

    def hand_over(self, connection: str, job: Job) -> None:
        """Take a delivery that was born running, straight from the commit's callback."""
        self._reached("dispatch.handed_over")
        self._unreserve(connection)
        lane = self._lanes.get(connection)
        if lane is None or self._stopping or lane.connection.state != "ok":
            self._settle_back(job, lane)
            return
        lane.queue.append(job)
        self._pump(lane)

    def _unreserve(self, connection: str) -> None:
        lane = self._lanes.get(connection) or self._leaving.get(connection)
        if lane is not None:
            lane.reserved -= 1

    def nudge(self, connection: str | None = None) -> None:
        """Look for due work now: something was released, retried or stored as pending."""
        for name, lane in self._lanes.items():
            if connection is None or name == connection:
                lane.stir()
                self._pump(lane)
        self._wake.set()

    # -- life

    async def run(self) -> None:
        """Work until `stop`. The tasks of all calls belong to this one."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for lane in self._lanes.values():
                self._pump(lane)
            await self._claim_for_ever()
            if self._in_memory:
                await self._drained.wait()

    async def stop(self, grace: float) -> None:
        """Give back what was not called, wait up to `grace` seconds for calls in flight, then let go.

        What is still in flight then stays RUNNING in the store: the next start finds it interrupted.
        """
        self._stopping = True
        self._reached("stop.draining")
        for lane in self._lanes.values():
            self._give_back(lane)
        self._wake.set()
        if self._in_memory or self._claiming:
            try:
                await asyncio.wait_for(self._drained.wait(), grace)
            except TimeoutError:
                log.warning(
                    "stopped with calls in flight; they will be found interrupted", calls=self._in_memory
                )
        self._drained.set()

    # -- claiming

    async def _claim_for_ever(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._claiming = True
            try:
                again = await self._claim_once()
            except Unavailable as error:  # a full disk: the store says so itself
                await asyncio.sleep(error.after or 1.0)
                continue
            finally:
                self._claiming = False
                self._note_drained()
            if again or self._stopping:
                continue
            sleep = self._sleep_time()
            try:
                await asyncio.wait_for(self._wake.wait(), sleep)
            except TimeoutError:
                if sleep >= IDLE_CLAIM:
                    for lane in self._lanes.values():
                        lane.stir()

    async def _claim_once(self) -> bool:
        """Claim what there is room for; return whether more may be had at once."""
        steady = self._clock_ms()
        wanted = self._wanted(steady)
        if not wanted:
            return False
        claimed = await self._store.claim(wanted, steady)
        self._in_memory += len(claimed)
        counts = dict.fromkeys(wanted, 0)
        for item in claimed:
            counts[item.lane] += 1
            await self._take(item)
        for lane in self._lanes.values():
            self._pump(lane)
        more = False
        for number, count in counts.items():
            claimed_for = self._by_number.get(number)
            if claimed_for is None:
                continue
            if count == wanted[number]:
                more = True
                continue
            stirred = claimed_for.stirred
            due = claimed_for.next_due = await self._store.next_due([number])
            if claimed_for.stirred == stirred:
                claimed_for.backlog = due is not None and due <= self._clock_ms()
            more = more or claimed_for.backlog  # one became due, or was stored, meanwhile
        return more and any(lane.connection.room(time.monotonic()) for lane in self._lanes.values())

    def _wanted(self, steady: int) -> dict[int, int]:
        """Return how many runs of each lane may be claimed, for those that may have any."""
        now = time.monotonic()
        wanted: dict[int, int] = {}
        for lane in self._lanes.values():
            self._pump(lane)  # a probe may wait there
            if not (lane.backlog or (lane.next_due is not None and lane.next_due <= steady)):
                continue
            lane.backlog = True  # new ones line up behind these, also while there is no room
            room = lane.connection.room(now)
            if lane.connection.state == "ok":
                room = max(0, 2 * lane.connection.limits.in_flight - lane.connection.in_flight)
            room = min(room - len(lane.queue), self._max_in_memory - self._in_memory - sum(wanted.values()))
            if room > 0:
                wanted[lane.connection.lane] = room
        return wanted

    async def _take(self, item: Claimed) -> None:
        """Queue a claimed run, with the ruleset that made it; what cannot be queued is held or goes back."""
        self._reached("dispatch.claimed")
        lane = self._by_number.get(item.lane)
        try:
            job = Job.of(item, self._rulesets.source_name(item.source))
            job.ruleset = await self._rulesets.ruleset(item.ruleset)
            job.step_of()
        except Unavailable as error:
            log.warning("a claimed delivery goes back: its rule cannot be read now", why=str(error))
            self._settle_claimed(item, Event.GIVE_BACK, due_at=self._clock_ms() + 1000)
        except (Failed, ServiceError) as failure:
            self._settle_claimed(item, Event.HOLD, reason=f"rule: {failure}")
        except Exception as error:  # one run's poison must not end the dispatcher for all
            log.exception("a claimed delivery could not be taken, in an unforeseen way")
            self._settle_claimed(item, Event.HOLD, reason=f"rule: internal error: {type(error).__name__}")
        else:
            if lane is None or self._stopping:
                self._settle_back(job, lane)
            else:
                lane.queue.append(job)

    def _settle_claimed(
        self, item: Claimed, event: Event, *, reason: str = "", due_at: int | None = None
    ) -> None:
        """Settle a claimed run that could not be made a job."""
        settlement = Settlement(key=item.key, number=item.number, event=event, reason=reason, due_at=due_at)

        def done(_applied: bool) -> None:
            self._release_slot()
            if due_at is not None:
                self._due(item.lane, due_at)

        self._store.settle(settlement, done)

    def _due(self, number: int, due_at: int) -> None:
        """Note that a run of a lane will be due."""
        lane = self._by_number.get(number)
        if lane is not None and (lane.next_due is None or due_at < lane.next_due):
            lane.next_due = due_at
            self._wake.set()

    def _sleep_time(self) -> float:
        """Return how many seconds until something may be done: a retry, or a probe of a closed lane.

        What could be done already waits for room: whoever makes room wakes the loop.
        """
        now, steady = time.monotonic(), self._clock_ms()
        waits = [IDLE_CLAIM]
        for lane in self._lanes.values():
            if lane.backlog or lane.queue:
                due = 0.0
            elif lane.next_due is not None:
                due = (lane.next_due - steady) / 1000
            else:
                continue
            wait = max(due, (lane.connection.wakes_at() or now) - now)
            if wait > 0:
                waits.append(wait)
        return max(0.001, min(waits))

    # -- working

    def _pump(self, lane: Lane) -> None:
        """Start as many workers as the lane has work and room for."""
        if self._group is None or self._stopping or lane.timer is not None:
            return
        now = time.monotonic()
        room = min(len(lane.queue), lane.connection.room(now))
        while lane.spawned - lane.connection.in_flight < room:
            lane.spawned += 1
            self._group.create_task(self._work(lane))

    def _next_job(self, lane: Lane) -> Job | None:
        """Take the next job that may be called now; None when there is none or the rate says later."""
        connection = lane.connection
        if self._stopping or not lane.queue:
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
        self._pump(lane)

    async def _work(self, lane: Lane) -> None:
        """Perform jobs of a lane until none may be started."""
        try:
            while (job := self._next_job(lane)) is not None:
                lane.connection.in_flight += 1
                try:
                    await self._perform(lane, job)
                except Exception as error:  # a bug must not end the dispatcher for all
                    log.exception("a delivery failed in an unforeseen way", delivery=job.public_id())
                    self._put_by(job, f"internal error: {type(error).__name__}; the log says more")
                finally:
                    lane.connection.in_flight -= 1
        finally:
            lane.spawned -= 1
        if lane.queue and not self._stopping and lane.timer is None:
            self._pump(lane)
        elif lane.backlog or lane.next_due is not None:
            self._wake.set()

    async def _perform(self, lane: Lane, job: Job) -> None:
        """Perform the steps of one job until it ends, waits, or goes to another lane."""
        while True:
            verdict, attempt = await self._attempt(lane, job)
            if attempt is None:
                return
            if verdict.outcome is not Outcome.OK:
                self._settle_failure(lane, job, verdict, attempt)
                return
            following = job.following()
            if following is None:
                self._finish(job, Event.SUCCEED, attempt=attempt)
                return
            answers = encode_answers(job.answers)
            next_lane = self._lanes.get(following.connection)
            if next_lane is not lane:
                self._go_on_elsewhere(job, attempt, answers, next_lane)
                return
            if not await self._advance(job, attempt, answers):
                return
            self._reached("dispatch.between_steps")

    async def _attempt(self, lane: Lane, job: Job) -> tuple[Verdict, Attempt | None]:
        """Make one attempt; the second value is None when the job was settled on the way."""
        connection = lane.connection
        step = job.step_of()
        if job.expired(self._clock_ms()):
            self._finish(job, Event.EXPIRE, reason="the message's expirytime has passed")
            return _NOTHING, None
        if job.interrupted and step.on_unknown == "dead":
            self._die(job, "interrupted; the step says on_unknown: dead")
            return _NOTHING, None
        made = self._prepare(connection, job, step)
        if made is None:
            return _NOTHING, None
        connector, prepared = made
        timeout = connection.limits.timeout if step.timeout_ms is None else step.timeout_ms / 1000
        connection.calls += 1
        self._reached("dispatch.before_call")
        status, body, started = 0, b"", time.monotonic()
        try:
            answer = await connector.call(prepared, deadline=timeout, headers=attempt_headers(job))
        except ActionError as error:
            verdict = judge_error(error)
        except Exception as error:
            log.exception("a connector failed in an unforeseen way", connection=connection.name)
            verdict = Verdict(outcome=Outcome.UNKNOWN, detail=f"internal error: {type(error).__name__}")
        else:
            verdict = judge(answer, step.on, time.time())
            status = answer.status
            body = encode_answer(answer, well=verdict.outcome is Outcome.OK)
            if verdict.outcome is Outcome.OK:
                remember(job, step, answer)
        self._reached("dispatch.after_call")
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome is Outcome.LOGIN:
            verdict = await self._login_refused(lane, job, connector, verdict, started)
        else:
            self._note_health(lane, job, verdict)
        return verdict, Attempt(
            number=job.number,
            step=job.step,
            started_at=job.started_at,
            ended_at=self._clock_ms(),
            outcome=_STORED[verdict.outcome],
            status=status,
            detail=verdict.detail,
            digest=prepared.digest,
            answer=body,
        )

    def _prepare(self, connection: Connection, job: Job, step: Step) -> tuple[Connector, Prepared] | None:
        """Build the request of a step; None when that ended the job."""
        try:
            connector = connection.connector_for(job.pin(step.connection))
            prepared = prepare(connector, job, step)
        except Failed as failure:
            self._die(job, str(failure))
            return None
        except Exception as error:  # one message's poison must not end the dispatcher for all
            log.exception("a request could not be prepared, in an unforeseen way", delivery=job.public_id())
            self._die(job, f"step {step.name}: internal error: {type(error).__name__}")
            return None
        if job.digest and job.digest != prepared.digest:
            self._finish(job, Event.HOLD, reason="request changed: rendering again gave another request")
            return None
        job.digest = prepared.digest
        return connector, prepared

    async def _advance(self, job: Job, attempt: Attempt, answers: bytes) -> bool:
        """Commit a step's answer and the next step's attempt before the next call."""
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
            self._release_slot()
            return False
        job.advance(self._clock_ms())
        return True

    def _go_on_elsewhere(self, job: Job, attempt: Attempt, answers: bytes, lane: Lane | None) -> None:
        """Settle a step whose next one belongs to another connection: its lane claims it."""
        following = job.following()
        if lane is None or following is None:
            self._die(job, "the next step's connection is not configured", attempt)
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

        def done(_applied: bool) -> None:
            self._release_slot()
            lane.stir()
            self._wake.set()

        self._store.settle(settlement, done)

    # -- settling

    def _settle_failure(self, lane: Lane, job: Job, verdict: Verdict, attempt: Attempt) -> None:
        """Decide what follows an attempt that did not go well."""
        step = job.step_of()
        if verdict.outcome is Outcome.LOGIN:
            # The connection is held, or has logged in anew: the delivery waits for its lane, not for time.
            self._finish(job, Event.RETRY, attempt=attempt, due_at=self._clock_ms(), lane=lane)
            return
        if verdict.outcome is Outcome.REFUSED:
            self._die(job, verdict.detail, attempt)
            return
        if verdict.outcome is Outcome.UNKNOWN and step.on_unknown == "dead":
            self._die(job, f"{verdict.detail}; the step says on_unknown: dead", attempt)
            return
        due_at = next_attempt(
            step.retry,
            failed=job.retried + 1,
            first_at=job.first_at,
            now=self._clock_ms(),
            paused=job.paused_ms,
            after=verdict.after,
            chance=self._chance(),
        )
        if due_at is None:
            self._die(job, f"{verdict.detail}; given up after {job.retried + 1} attempts", attempt)
            return
        self._finish(job, Event.RETRY, attempt=attempt, due_at=due_at, lane=lane)

    def _die(self, job: Job, reason: str, attempt: Attempt | None = None) -> None:
        self._finish(job, Event.FAIL, attempt=attempt, reason=reason, trouble="pointsman.delivery.dead")

    def _finish(
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
                self._due(lane.connection.lane, due_at)
            if job.mode == "queued" or also:
                self.nudge()
            self._release_slot()

        self._store.settle(settlement, done)

    def _put_by(self, job: Job, reason: str) -> None:
        """Hold a job whose attempt ended in an exception that nobody foresaw; what it did is unknown."""
        attempt = Attempt(
            number=job.number,
            step=job.step,
            started_at=job.started_at,
            ended_at=self._clock_ms(),
            outcome=_STORED[Outcome.UNKNOWN],
            detail=reason,
            digest=job.digest,
        )
        self._finish(job, Event.HOLD, attempt=attempt, reason=reason)

    def _settle_back(self, job: Job, lane: Lane | None) -> None:
        """Give a run back that was not called; its lane claims it when it may."""
        settlement = Settlement(key=job.key, number=job.number, event=Event.GIVE_BACK, step=job.step)

        def done(_applied: bool) -> None:
            self._release_slot()
            if lane is not None:
                lane.stir()
                self._wake.set()

        self._store.settle(settlement, done)

    def _give_back(self, lane: Lane) -> None:
        while lane.queue:
            self._settle_back(lane.queue.popleft(), lane)
        lane.stir()

    def _release_slot(self) -> None:
        if self._in_memory >= self._max_in_memory:
            self._wake.set()  # claims may have waited for this one
        self._in_memory -= 1
        self._note_drained()

    def _note_drained(self) -> None:
        if self._stopping and not self._in_memory and not self._claiming:
            self._drained.set()

    # -- health of a lane

    def _note_health(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        """Feed the breaker and the hold of a connection with one verdict."""
        connection, now = lane.connection, time.monotonic()
        if verdict.outcome is not Outcome.OK:
            connection.last_error = verdict.detail
        if not verdict.healthy:
            if connection.breaker.unhealthy(verdict.detail, now):
                self._give_back(lane)
                log.warning("breaker opened", connection=connection.name, reason=verdict.detail)
                self._tell("pointsman.connection.open", connection, job)
            return
        connection.fresh_login = False
        if connection.breaker.healthy():
            log.info("breaker closed", connection=connection.name)
            self._tell("pointsman.connection.closed", connection, job)
            self._wake.set()
        if connection.breaker.allowed is not None:
            self._pump(lane)
        if connection.hold_reason:
            self.release(connection.name)

    async def _login_refused(
        self, lane: Lane, job: Job, connector: Connector, verdict: Verdict, started: float
    ) -> Verdict:
        """After one fresh login, hold the connection: no delivery is lost to a wrong password.

        Where the connection is not to be held, what refused the credentials is the delivery's own verdict.
        """
        connection = lane.connection
        connection.last_error = verdict.detail
        if started < connection.logged_in_at:
            return verdict  # this call still used the old credentials
        if not connection.fresh_login:
            connection.fresh_login = True
            if await connector.login_again():
                connection.logged_in_at = time.monotonic()
                return verdict
        if not connection.holds:
            return msgspec.structs.replace(verdict, outcome=Outcome.REFUSED)
        if connection.hold(verdict.detail, now=time.monotonic(), wall=time.time()):
            log.error("connection held: its credentials are not taken", connection=connection.name)
            self._tell("pointsman.connection.expired", connection, job)
            self._held_changed(connection)
        self._give_back(lane)
        return verdict

    def release(self, name: str) -> bool:
        """Let a held connection through again; return whether it was held."""
        lane = self._lanes.get(name)
        if lane is None or not lane.connection.unhold():
            return False
        self._held_changed(lane.connection)
        self.nudge(name)
        return True

    def _tell(self, kind: str, connection: Connection, job: Job) -> None:
        """Store a message about a connection's trouble, on its own: nothing else depends on it.

        `job` brought the trouble about: a message about a trouble must not bring about the next one.
        """
        facts = {"connection": connection.name, "reason": connection.last_error, "state": connection.state}
        entry = self._troubles(kind, connection.name, facts, job.cause())
        if entry is None:
            return

        def done(stored: Stored | Exception) -> None:
            if isinstance(stored, Exception):
                log.warning(
                    "a message about a trouble was not stored",
                    kind=kind,
                    subject=connection.name,
                    why=str(stored),
                )
            self.nudge()

        try:
            self._store.accept(entry, done)
        except Unavailable as error:
            done(error)


_NOTHING: Final = Verdict(outcome=Outcome.OK)
_STORED: Final = {
    Outcome.OK: "ok",
    Outcome.RETRY: "retry",
    Outcome.REFUSED: "refused",
    Outcome.UNKNOWN: "unknown",
    Outcome.LOGIN: "refused",
}
_ENDS: Final = {
    Event.SUCCEED: State.DELIVERED.name.lower(),
    Event.FAIL: State.DEAD.name.lower(),
    Event.EXPIRE: State.EXPIRED.name.lower(),
}
