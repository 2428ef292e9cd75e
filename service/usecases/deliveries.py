"""Deliveries, as people see them and what people do with them: show, retry, discard."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from service.delivery import Event, State
from service.errors import Conflict, Invalid, NotFound, Problem, nearest
from service.job import Failed, Job, StepAnswer, decode_kept, prepare
from service.rules.model import Step
from service.store.base import Claimed, RunKey
from service.store.ids import delivery_id, message_id
from service.usecases.desk import Desk, message_number, run_key
from service.usecases.messages import instant
from service.usecases.standing import stopped

STATES: Final = tuple(state.name.lower() for state in State)

LOOKS: Final = 20
"""How often the store is asked for one page."""


async def list_deliveries(
    desk: Desk,
    *,
    cursor: str = "",
    limit: int = 50,
    state: str | None = None,
    rule: str | None = None,
    connection: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    """Return a page of deliveries, newest first. Raise NotFound for an unknown name, Invalid for a state.

    What a paused or held connection keeps back is shown as held and found as held, whatever the store says
    of it. For that rows are left out here; where that is most of them a page is shorter than `limit` and has
    a `next`.
    """
    wanted = _states(state)
    stored = {*wanted, State.PENDING, State.WAITING} if State.HELD in wanted else wanted
    rule_number, lane = await desk.number_of("rule", rule), await desk.number_of("lane", connection)
    of_message = message_number(message) if message is not None else None
    rules, lanes = await desk.rule_names(), await desk.lane_names()
    items: list[dict[str, Any]] = []
    for _ in range(LOOKS):
        page = await desk.store.deliveries(
            cursor=cursor, limit=limit - len(items), states=tuple(stored), rule=rule_number, lane=lane,
            message=of_message,
        )  # fmt: skip
        rows = [_row(desk, row, rules, lanes) for row in page.rows]
        items += [row for row in rows if not wanted or State[row["state"].upper()] in wanted]
        cursor = page.next
        if not cursor or len(items) >= limit:
            break
    return {"items": items, "next": cursor}


async def show_delivery(desk: Desk, public_id: str) -> dict[str, Any]:
    """Return one delivery with every attempt and what was kept of each answer. Raise NotFound."""
    row = await desk.store.delivery(run_key(public_id))
    shown = _row(desk, row, await desk.rule_names(), await desk.lane_names())
    names = await _step_names(desk, row)
    shown["step"], shown["step_name"] = row["step"], _name(names, row["step"])
    shown["received_at"] = instant(row["received_at"])
    shown["ruleset"] = row["ruleset"]
    shown["request"] = await _request(desk, row)
    shown["attempts"] = [_attempt(attempt, names) for attempt in row["attempts"]]
    return shown


async def _step_names(desk: Desk, row: dict[str, Any]) -> Sequence[str]:
    """Return the names of the steps of the rule that made a delivery; nothing when they cannot be had."""
    try:
        ruleset = await desk.rulesets.ruleset(row["ruleset"])
    except NotFound:
        return ()
    rule = ruleset.by_number.get(row["rule"])
    return [step.name for step in rule.steps] if rule is not None else ()


def _name(names: Sequence[str], step: int) -> str:
    """Return a step's name, or its number where the name is not known."""
    return names[step] if step < len(names) else str(step + 1)


async def retry(desk: Desk, public_id: str, *, by: str) -> dict[str, Any]:
    """Make the next run of a delivery that has ended, with the same idempotency key.

    A delivery that waits for its next attempt is tried now instead. Raise NotFound, or Conflict when it was
    delivered or is running.
    """
    key = run_key(public_id)
    row = await desk.store.delivery(key)
    state, now = row["state"], desk.now()
    if state is State.DELIVERED:
        raise Conflict(f"{public_id} was delivered; a retry would be a replay")
    if state in (State.WAITING, State.HELD):
        result = (await desk.store.release(Event.RELEASE, [key], reason=f"retried by {by}", now=now))[0]
        if isinstance(result, str):
            raise Conflict(result)
        made = key
    elif state.ended:
        made = await desk.store.next_run(key, generation=None, now=now, by=by)
    else:
        raise Conflict(f"{public_id} is {state.name.lower()}: it is under way already")
    if desk.live is not None:
        desk.live.nudge()
    return {"id": delivery_id(made), "of": public_id}


async def discard(desk: Desk, public_id: str, *, by: str, reason: str = "") -> dict[str, Any]:
    """End a delivery that has not ended, by name of who said so. Raise NotFound, or Conflict."""
    key = run_key(public_id)
    await desk.store.delivery(key)
    words = f"discarded by {by}" + (f": {reason}" if reason else "")
    result = (await desk.store.release(Event.DISCARD, [key], reason=words, now=desk.now()))[0]
    if isinstance(result, str):
        raise Conflict(f"{public_id}: {result}")
    if desk.live is not None:
        desk.live.nudge()
    return {"id": public_id, "state": result.name.lower(), "reason": words}


def _states(text: str | None) -> tuple[State, ...]:
    if text is None:
        return ()
    states = []
    problems = []
    for word in text.split(","):
        try:
            states.append(State[word.strip().upper()])
        except KeyError:
            near = nearest(word.strip(), STATES)
            fix = f"did you mean {near}?" if near else f"one of {', '.join(STATES)}"
            problems.append(
                Problem(message="no such state", code="unknown-state", found=word.strip(), fix=fix)
            )
    if problems:
        raise Invalid(problems)
    return tuple(states)


def _row(desk: Desk, row: dict[str, Any], rules: dict[int, str], lanes: dict[int, str]) -> dict[str, Any]:
    key = _key(row)
    connection = lanes.get(row["lane"], str(row["lane"]))
    state, reason = row["state"].name.lower(), row["reason"]
    held = _held_by(desk, connection) if state in ("pending", "waiting") else ""
    if held:
        state, reason = "held", held
    return {
        "id": delivery_id(key),
        "message": message_id(key.message),
        "rule": rules.get(key.rule, str(key.rule)),
        "run": key.run,
        "state": state,
        "reason": reason,
        "connection": connection,
        "attempts": row["attempts"],
        "due_at": instant(row["due_at"]),
        "changed_at": instant(row["changed_at"]),
    }


def _key(row: dict[str, Any]) -> RunKey:
    return RunKey(row["message"], row["rule"], row["run"])


def _held_by(desk: Desk, name: str) -> str:
    """Return why a connection keeps its deliveries back, "" when it does not (or nothing runs)."""
    if desk.live is None or desk.live.plan is None:
        return ""
    connection = next((one for one in desk.live.connections() if one.name == name), None)
    if connection is None:
        return f"connection {name} is not configured any more: configure it again, or discard the delivery"
    return stopped(connection)


def _attempt(attempt: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    kept = decode_kept(attempt["answer"])
    shown = {
        "number": attempt["number"],
        "step": attempt["step"],
        "step_name": _name(names, attempt["step"]),
        "started_at": instant(attempt["started_at"]),
        "ended_at": instant(attempt["ended_at"]),
        "took_ms": attempt["ended_at"] - attempt["started_at"] if attempt["ended_at"] else None,
        "outcome": attempt["outcome"] or "under way",
        "status": attempt["status"] or None,
        "detail": attempt["detail"],
    }
    if kept is not None:
        shown["answer"] = {
            "headers": dict(kept.headers),
            "body": kept.body.decode("utf-8", "replace"),
            "cut": kept.truncated,
        }
    return shown


async def _request(desk: Desk, row: dict[str, Any]) -> dict[str, Any]:
    """Return the request of the present step, rendered again, secrets masked; or why it cannot be."""
    if desk.live is None:
        return {"problem": "the instance is stopped: requests are rendered by a running one"}
    message = await desk.store.message(row["message"])
    claimed = Claimed(
        key=_key(row),
        number=row["number"],
        step=row["step"],
        lane=row["lane"],
        source=message["source"],
        ruleset=row["ruleset"],
        generation=row["generation"],
        started_at=0,
        first_at=0,
        received_at=row["received_at"],
        record=message["record"],
        answers=row["answers"],
    )
    job = Job.of(claimed, desk.rulesets.source_name(message["source"]))
    try:
        job.ruleset = await desk.rulesets.ruleset(row["ruleset"])
        step = job.step_of()
        job.answers = job.answers or _kept_answers(row, job.rule().steps)
        connection = next((one for one in desk.live.connections() if one.name == step.connection), None)
        if connection is None:
            return {"problem": f"connection {step.connection} is not configured"}
        connector = connection.connector_for(job.pin(step))
        return connector.show(prepare(connector, job, step))
    except (Failed, msgspec.DecodeError) as error:
        return {"problem": str(error)}


def _kept_answers(row: dict[str, Any], steps: Sequence[Step]) -> dict[str, StepAnswer]:
    """Return what is still known of the answers of earlier steps: a run that ended gave up the whole ones."""
    answers = {}
    for attempt in row["attempts"]:
        kept = decode_kept(attempt["answer"])
        if attempt["outcome"] == "ok" and attempt["step"] < row["step"] and kept is not None:
            name = steps[attempt["step"]].name
            answers[name] = StepAnswer(kept.status, dict(kept.headers), kept.body, kept.truncated)
    return answers
