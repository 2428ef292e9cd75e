"""Performs the steps of one delivery: renders, calls, judges.

A worker takes jobs from its lane until none may be started. What follows an attempt is settling's to decide,
what it says of the connection health's.
"""

import time
from collections.abc import Callable

import structlog

from actions.base import Connector, Prepared
from actions.errors import ActionError, OutcomeUnknown
from actions.hiding import without_secrets
from service.connections import Connection
from service.delivery import Event
from service.dispatch.health import Health
from service.dispatch.lanes import Lane, Lanes
from service.dispatch.settling import STORED, Settling
from service.job import Failed, Job, attempt_headers, encode_answer, encode_answers, prepare, remember
from service.outcome import Outcome, Verdict, judge, judge_error
from service.rules.model import Step
from service.store.base import Attempt

log = structlog.get_logger(__name__)


class Working:
    """Performs deliveries. `outcomes` counts the attempts since the start."""

    def __init__(
        self,
        lanes: Lanes,
        settling: Settling,
        health: Health,
        *,
        clock_ms: Callable[[], int],
        reached: Callable[[str], None],
    ) -> None:
        self._lanes = lanes
        self._settling = settling
        self._health = health
        self._clock_ms = clock_ms
        self._reached = reached
        self.outcomes: dict[str, int] = dict.fromkeys((outcome.value for outcome in Outcome), 0)

    async def work(self, lane: Lane) -> None:
        """Perform jobs of a lane until none may be started."""
        lanes = self._lanes
        try:
            while (job := lanes.next_job(lane)) is not None:
                lane.connection.in_flight += 1
                try:
                    await self._perform(lane, job)
                except Exception as error:  # a bug must not end the dispatcher for all
                    log.exception("a delivery failed in an unforeseen way", delivery=job.public_id())
                    self._settling.put_by(job, f"internal error: {type(error).__name__}; the log says more")
                finally:
                    lane.connection.in_flight -= 1
        finally:
            lane.spawned -= 1
        if lane.connection.state != "ok":
            lanes.wake.set()  # a probe has failed: the next one has another time
        elif lane.queue and not lanes.stopping and lane.timer is None:
            lanes.pump(lane)
        elif lane.backlog or lane.next_due is not None:
            lanes.wake.set()

    async def _perform(self, lane: Lane, job: Job) -> None:
        """Perform the steps of one job until it ends, waits, or goes to another lane."""
        while True:
            verdict, attempt = await self._attempt(lane, job)
            if attempt is None:
                return
            if verdict.outcome is not Outcome.OK:
                self._settling.fail(lane, job, verdict, attempt)
                return
            following = job.following()
            if following is None:
                self._settling.finish(job, Event.SUCCEED, attempt=attempt)
                return
            answers = encode_answers(job.answers)
            next_lane = self._lanes.used.get(following.connection)
            if next_lane is not lane:
                self._settling.pass_on(job, attempt, answers, next_lane)
                return
            if not await self._settling.advance(job, attempt, answers):
                return
            self._reached("dispatch.between_steps")
            if lane.connection.paused:
                self._settling.back(job, lane)
                return

    async def _attempt(self, lane: Lane, job: Job) -> tuple[Verdict, Attempt | None]:
        """Make one attempt; the second value is None when the job was settled on the way."""
        connection = lane.connection
        step = job.step_of()
        if job.expired(self._clock_ms()):
            self._settling.finish(job, Event.EXPIRE, reason="the message's expirytime has passed")
            return _NOTHING, None
        if job.interrupted and step.on_unknown == "dead":
            self._settling.die(job, "interrupted; the step says on_unknown: dead")
            return _NOTHING, None
        made = self._prepare(connection, job, step)
        if made is None:
            return _NOTHING, None
        connector, prepared = made
        timeout = connection.limits.timeout if step.timeout_ms is None else step.timeout_ms / 1000
        if step.follow is not None:
            timeout += step.follow.wait
        connection.calls += 1
        self._reached("dispatch.before_call")
        started = time.monotonic()
        verdict, status, body = await _called(connector, prepared, job, step, timeout)
        self._reached("dispatch.after_call")
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome is Outcome.LOGIN:
            verdict = await self._health.login_refused(lane, job, connector, verdict, started)
        else:
            self._health.note(lane, job, verdict)
        return verdict, Attempt(
            number=job.number,
            step=job.step,
            started_at=job.started_at,
            ended_at=self._clock_ms(),
            outcome=STORED[verdict.outcome],
            status=status,
            detail=verdict.detail,
            digest=prepared.digest,
            answer=body,
        )

    def _prepare(self, connection: Connection, job: Job, step: Step) -> tuple[Connector, Prepared] | None:
        """Build the request of a step; None when that ended the job."""
        try:
            connector = connection.connector_for(job.pin(step))
            prepared = prepare(connector, job, step)
        except Failed as failure:
            self._settling.die(job, str(failure))
            return None
        except Exception as error:  # one message's poison must not end the dispatcher for all
            log.exception("a request could not be prepared, in an unforeseen way", delivery=job.public_id())
            self._settling.die(job, f"step {step.name}: internal error: {type(error).__name__}")
            return None
        if job.digest and job.digest != prepared.digest:
            self._settling.finish(
                job, Event.HOLD, reason="request changed: rendering again gave another request"
            )
            return None
        job.digest = prepared.digest
        return connector, prepared


async def _called(
    connector: Connector, prepared: Prepared, job: Job, step: Step, deadline: float
) -> tuple[Verdict, int, bytes]:
    """Make a call and judge it; return the verdict, the answer's status, and what is kept of the answer."""
    status, body = 0, b""
    try:
        answer = await connector.call(prepared, deadline=deadline, headers=attempt_headers(job))
    except ActionError as error:
        verdict = judge_error(error, connector.secrets())
        if isinstance(error, OutcomeUnknown) and error.accepted:
            job.remember_accepted(step, error.accepted)  # the next attempt looks, and sends nothing anew
    except Exception as error:
        log.exception("a connector failed in an unforeseen way", connection=step.connection)
        verdict = Verdict(outcome=Outcome.UNKNOWN, detail=f"internal error: {type(error).__name__}")
    else:
        shown = without_secrets(answer, connector.secrets())
        verdict = judge(shown, step.on, time.time())
        status = answer.status
        body = encode_answer(shown, well=verdict.outcome is Outcome.OK)
        if verdict.outcome is Outcome.OK:
            remember(job, step, answer)
    if verdict.outcome in (Outcome.OK, Outcome.REFUSED):
        job.remember_accepted(step, ())
    return verdict, status, body


_NOTHING = Verdict(outcome=Outcome.OK)
