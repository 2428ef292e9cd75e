"""Connectors, connections and rules, as people see them; and calling an operation by hand."""

import secrets
from collections.abc import Mapping
from typing import Any

from actions.base import Connector
from actions.drift import Drift
from actions.errors import ActionError, Refused
from actions.hiding import without_secrets
from actions.raw import RAW, find_called
from actions.specs.model import Operation, Preset, Spec
from service.connections import Connection
from service.errors import Conflict, Invalid, NotFound, Problem, nearest
from service.outcome import judge, judge_error
from service.plan import Plan
from service.planned import PlannedConnection
from service.rules.model import Pin
from service.usecases.desk import Desk
from service.usecases.logins import logins
from service.usecases.messages import instant
from service.usecases.overview import overview
from service.usecases.standing import standing, stopped


def list_connectors(plan: Plan) -> dict[str, Any]:
    """Return every connector with how many operations it has and what is wrong with it."""
    items = []
    for name, config in plan.configuration.connectors.items():
        spec = plan.specs.get(name)
        items.append(
            {
                "name": name,
                "spec": config.title,
                "title": spec.title if spec else "",
                "version": spec.version if spec else "",
                "format": spec.dialect if spec else "",
                "operations": len(spec.operations) if spec else None,
                "broken": sum(bool(one.problem) for one in spec.operations.values()) if spec else None,
            }
        )
    return {"items": items, "next": ""}


def show_connector(plan: Plan, name: str) -> dict[str, Any]:
    """Return what a connector's description holds, its versions and who uses it. Raise NotFound."""
    spec = connector_spec(plan, name)
    if name not in plan.configuration.connectors:  # a connection was named
        name = plan.connections[name].config.connector
    config = plan.configuration.connectors[name]
    return {
        "name": name,
        "spec": config.title,
        **overview(spec),
        "versions": [_version(plan, name, version) for version in config.versions],
        "connections": [one.name for one in plan.connections.values() if one.config.connector == name],
    }


def _version(plan: Plan, connector: str, version: str) -> dict[str, Any]:
    """Return an earlier version of a connector: whether it is still to be used, and the rules that pin it."""
    said = plan.configuration.connectors[connector].versions[version]
    mine = {one.name for one in plan.connections.values() if one.config.connector == connector}
    pinned = [
        rule.name
        for rule in plan.ruleset.rules
        if any(step.version == version and step.connection in mine for step in rule.steps)
    ]
    return {
        "version": version,
        "spec": said.spec or "",
        "state": said.state,
        "reason": said.reason,
        "rules": pinned,
    }


def list_operations(spec: Spec) -> dict[str, Any]:
    """Return every operation of a description in one line each."""
    return {
        "items": [
            {
                "id": one.id,
                "method": one.method.upper(),
                "path": one.path,
                "summary": one.summary,
                "deprecated": one.deprecated,
                "problem": one.problem,
            }
            for one in spec.operations.values()
        ],
        "next": "",
    }


def show_operation(spec: Spec, name: str) -> dict[str, Any]:
    """Return one operation with its input and output schemas. Raise NotFound.

    What is to be given can be read alone: everything that it refers to stands with it, under `$defs`. What
    comes back may reach half of an API: its `$ref`s lead into the description.
    """
    operation = find_operation(spec, name)
    return {
        "id": operation.id,
        "aliases": list(operation.aliases),
        "method": operation.method.upper(),
        "path": operation.path,
        "summary": operation.summary,
        "description": operation.description,
        "deprecated": operation.deprecated,
        "problem": operation.problem,
        "idempotency_header": operation.key_header or None,
        "presets": [_preset(one) for one in operation.presets],
        "input": spec.standalone(spec.input_schema(operation)),
        "output": dict(spec.output_schemas(operation)),
    }


def _preset(one: Preset) -> dict[str, Any]:
    """Return a preset with what it gives, what it needs, and the variables without a value in it."""
    told = {name: one.extras[name] for name in ("needs", "variables", "problem") if one.extras.get(name)}
    return {"name": one.name, "with": dict(one.arguments), **told}


def find_operation(spec: Spec, name: str, given: Mapping[str, Any] | None = None) -> Operation:
    """Return an operation by id or alias, or `:http` of what is given. Raise NotFound with what was meant."""
    try:
        operation = find_called(spec, name, given)
    except Refused as error:
        raise NotFound(str(error)) from error
    left_out = spec.why_left_out(name)
    if operation is None and left_out is not None:
        raise NotFound(f"operation {name} is left out by `operations` of its connector: {left_out.reason}")
    if operation is None:
        near = nearest(name, [alias for one in spec.operations.values() for alias in (one.id, *one.aliases)])
        raise NotFound(f"there is no operation {name}" + (f"; did you mean {near}?" if near else ""))
    return operation


def whole_spec(plan: Plan, name: str) -> Spec:
    """Return a description as `connector_spec`, with the operations that are left out."""
    planned = plan.connections.get(name) if name not in plan.whole else None
    name = planned.config.connector if planned is not None else name
    return plan.whole[name] if name in plan.whole else connector_spec(plan, name)


def connector_spec(plan: Plan, name: str) -> Spec:
    """Return the description of a connector, or of a connection's connector. Raise NotFound."""
    if name in plan.specs:
        return plan.specs[name]
    if name in plan.connections:
        return plan.connections[name].spec
    near = nearest(name, list(plan.configuration.connectors))
    raise NotFound(f"there is no connector {name}" + (f"; did you mean {near}?" if near else ""))


async def list_connections(desk: Desk) -> dict[str, Any]:
    """Return every connection with its state, what is in flight, and what waits.

    One that is not configured any more is shown as removed for as long as deliveries wait for it.
    """
    plan = desk.plan()
    counts = await desk.store.counts()
    items = []
    for connection in desk.running().connections():
        planned = plan.connections.get(connection.name)
        items.append(
            {
                "name": connection.name,
                **standing(connection),
                "server": planned.server if planned else None,
                "in_flight": connection.in_flight,
                "in_memory": desk.running().waiting(connection.name),
                **_unfinished(counts, connection.lane),
                "calls": connection.calls,
                "last_error": connection.last_error,
                **_looked_at(connection, planned),
            }
        )
    present = {connection.lane for connection in desk.running().connections()}
    for lane, name in (await desk.lane_names()).items():
        unfinished = _unfinished(counts, lane)
        if lane not in present and any(unfinished.values()):
            items.append(
                {
                    "name": name,
                    "state": "removed",
                    "reason": "deliveries wait for it and it is not configured any more",
                    "since": None,
                    "healthy": False,
                    "paused_by": "",
                    "stopped_by": [],
                    "server": None,
                    "in_flight": 0,
                    "in_memory": 0,
                    **unfinished,
                    "calls": 0,
                    "last_error": "",
                    "logins": [],
                    "differing": 0,
                }
            )
    return {"items": items, "next": ""}


def _looked_at(connection: Connection, planned: PlannedConnection | None) -> dict[str, Any]:
    """Return how its logins stand, and how many operations differ from their description."""
    if planned is None:
        return {"logins": [], "differing": 0}
    connector = connection.connector_for(Pin(planned.spec_digest, planned.spec))
    return {"logins": logins(connector), "differing": len(connector.differences())}


def _unfinished(counts: Mapping[str, int], lane: int) -> dict[str, int]:
    return {state: counts.get(f"{lane}/{state}", 0) for state in ("pending", "waiting", "held")}


def release_connection(desk: Desk, name: str) -> dict[str, Any]:
    """Let a held connection through again; a pause by hand it does not end.

    Raise NotFound, or Conflict when it is not held.
    """
    found, _ = connection_of(desk, name)
    if not desk.running().release(name):
        resume = f"; it is paused: pointsman connections resume {name}" if found.paused else ""
        raise Conflict(f"connection {name} is not held{resume}")
    return {"name": name, "state": found.state}


async def pause_connection(desk: Desk, name: str, *, by: str, reason: str = "") -> dict[str, Any]:
    """Call nothing new on a connection until it is resumed; its deliveries wait. Raise NotFound, Unavailable.

    One that is paused already stays paused, with the new name and reason.
    """
    connection_of(desk, name)
    await desk.running().pausing.pause(name, by=by, reason=reason)
    return await _listed(desk, name)


async def resume_connection(desk: Desk, name: str, *, by: str) -> dict[str, Any]:
    """Call again on a connection that was paused; nothing happens to another. Raise NotFound, Unavailable."""
    connection_of(desk, name)
    await desk.running().pausing.resume(name, by=by)
    return await _listed(desk, name)


async def _listed(desk: Desk, name: str) -> dict[str, Any]:
    """Return a connection as the list has it."""
    return next(one for one in (await list_connections(desk))["items"] if one["name"] == name)


async def list_rules(desk: Desk) -> dict[str, Any]:
    """Return every rule with what happened to it since the start."""
    plan = desk.plan()
    counts = desk.running().rule_counts()
    items = []
    for rule in plan.ruleset.rules:
        seen = counts.get(rule.number)
        items.append(
            {
                "name": rule.name,
                "from": sorted(rule.sources) if rule.sources is not None else None,
                "mode": rule.mode,
                "paused": rule.paused,
                "steps": [f"{step.connection}.{step.operation}" for step in rule.steps],
                "matched": seen.matched if seen else 0,
                "when_errors": seen.when_errors if seen else 0,
                "last_when_errors": [
                    {"at": instant(one.at), "type": one.type, "id": one.id, "error": one.error}
                    for one in (seen.failures if seen else ())
                ],
            }
        )
    return {"items": items, "next": ""}


def connection_of(desk: Desk, name: str) -> tuple[Connection, Connector]:
    """Return a running connection with the connector of its present description. Raise NotFound."""
    plan = desk.plan()
    found = next((one for one in desk.running().connections() if one.name == name), None)
    if found is None or name not in plan.connections:
        near = nearest(name, list(plan.connections))
        raise NotFound(f"there is no connection {name}" + (f"; did you mean {near}?" if near else ""))
    return found, found.connector_for(plan.ruleset.pins[name])


async def call_connection(
    desk: Desk,
    connection: str,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    preset: str = "",
    dry_run: bool,
    now: float,
) -> dict[str, Any]:
    """Call an operation of a running instance's connection by hand, as `call`. Raise NotFound.

    Nothing that keeps deliveries back keeps back what an operator does by hand: `stopped` tells of it.
    """
    found, connector = connection_of(desk, connection)
    planned = desk.plan().connections[connection]
    called = await call(
        connector,
        planned,
        find_operation(planned.spec, operation, arguments),
        arguments,
        preset=preset,
        dry_run=dry_run,
        deadline=found.limits.timeout,
        now=now,
    )
    return {**called, "stopped": stopped(found)}


async def call(
    connector: Connector,
    planned: PlannedConnection,
    operation: Operation,
    arguments: Mapping[str, Any],
    *,
    preset: str = "",
    dry_run: bool,
    deadline: float,
    now: float,
) -> dict[str, Any]:
    """Perform an operation by hand, or show the exact request with secrets masked.

    Nothing is stored and nothing is tried again: who calls by hand sees what came back, and where that or
    what was given differs from the description. Raise Invalid when the request cannot be built.
    """
    drift = _drift(planned)
    try:
        key = f"by-hand-{secrets.token_hex(8)}"
        prepared = connector.prepare(operation.id, arguments, key=key, at=now, preset=preset)
    except Refused as error:
        problems = error.problems or (("", str(error)),)
        raise Invalid(
            [Problem(message=text, code="bad-arguments", pointer=pointer) for pointer, text in problems]
        ) from error
    described = operation.method and operation.id != RAW  # a message is looked at while it is encoded
    if described and not preset:
        drift.check_arguments(operation, arguments)
    shown: dict[str, Any] = {"request": connector.show(prepared), "differences": _differences(drift)}
    if dry_run:
        return shown
    try:
        answer = await connector.call(prepared, deadline=deadline, headers={})
    except ActionError as error:
        verdict = judge_error(error, connector.secrets())
        return {**shown, "outcome": verdict.outcome.value, "detail": verdict.detail}
    answer = without_secrets(answer, connector.secrets(), most=len(answer.body))
    verdict = judge(answer, {}, now)
    if described:
        drift.check_answer(operation, answer)
    return {
        **shown,
        "differences": _differences(drift),
        "outcome": "refused" if verdict.outcome.value == "login" else verdict.outcome.value,
        "answer": {
            "status": answer.status,
            "headers": {name: value for name, value in answer.headers if name != "set-cookie"},
            "body": answer.body.decode("utf-8", "replace"),
            "cut": answer.truncated,
            "took_ms": round(answer.elapsed * 1000, 1),
        },
    }


def _drift(planned: PlannedConnection) -> Drift:
    """Return what looks at one call alone; it refuses nothing, for making the request did that already."""
    wanted = planned.config.validate_
    return Drift(
        planned.spec,
        arguments="off" if wanted.arguments == "off" else "warn",
        answers="off" if wanted.answers == "off" else "warn",
    )


def _differences(drift: Drift) -> list[dict[str, Any]]:
    return [{"side": one.side, "samples": one.samples} for one in reversed(drift.report())]
