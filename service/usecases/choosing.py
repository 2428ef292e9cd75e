"""Values, schemas and trees that a backend gives for its own inputs: asked through a connection, once."""

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from actions.base import Answer, Connector
from actions.dynamic import DynamicCall, DynamicTree, NotAsDescribed, dynamic, dynamics
from actions.errors import ActionError, Refused
from actions.hiding import without_secrets
from actions.specs.model import Operation, Spec
from service.errors import Conflict, Invalid, Problem, Unavailable
from service.outcome import judge
from service.usecases.connecting import connection_of, find_operation
from service.usecases.desk import Desk


def offers(spec: Spec, operation: Operation) -> list[dict[str, Any]]:
    """Return for which places of an operation its API gives values, schemas or trees."""
    return [
        {
            "input": place,
            "kind": found.kind if isinstance(found, DynamicCall) else "tree",
            "operation": _call_of(found).operation,
            "needs": list(_call_of(found).needs),
            "problem": found.problem,
        }
        for place, found in dynamics(spec, operation).items()
    ]


def _call_of(found: DynamicCall | DynamicTree) -> DynamicCall:
    return found if isinstance(found, DynamicCall) else found.open


async def choices(
    connector: Connector,
    spec: Spec,
    operation: Operation,
    place: str,
    arguments: Mapping[str, Any],
    *,
    node: Any = None,
    deadline: float,
    now: float,
) -> dict[str, Any]:
    """Ask the backend what may stand at a place, given the arguments so far.

    `node` is the `item` of a tree's node to look below. Raise Invalid when something has to be chosen first
    or the place is not one of them, Conflict when the backend answers something else, Unavailable when it
    does not answer.
    """
    try:
        place = place if place.startswith("/") else f"/{place}"
        found = dynamic(spec, operation, place)
        call = _call_of(found) if node is None or isinstance(found, DynamicCall) else found.browse
        if call.problem:
            raise Refused(call.problem)  # noqa: TRY301 - the same way out as what the package refuses
        prepared = connector.prepare(
            call.operation, call.arguments(arguments, node), key=f"choices-{secrets.token_hex(8)}"
        )
    except Refused as error:
        problems = error.problems or ((f"/{place}", str(error)),)
        raise Invalid(
            [Problem(message=text, code="no-choices", pointer=pointer) for pointer, text in problems]
        ) from error
    try:
        answer = await connector.call(prepared, deadline=deadline, headers={})
    except ActionError as error:
        raise Unavailable(str(error)) from error
    value = _value(answer, call, now, connector.secrets())
    try:
        return {"input": place, "operation": call.operation, **_read(found, call, value)}
    except NotAsDescribed as error:
        raise Conflict(f"{call.operation} answered something else than described: {error}") from error


def _value(answer: Answer, call: DynamicCall, now: float, secrets_: tuple[str, ...]) -> Any:
    verdict = judge(without_secrets(answer, secrets_), {}, now)
    if verdict.outcome.value != "ok":
        raise Conflict(f"{call.operation}: {verdict.detail}")
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Conflict(f"{call.operation} answered no JSON: {str(error)[:200]}") from error


def _read(found: DynamicCall | DynamicTree, call: DynamicCall, value: Any) -> dict[str, Any]:
    if isinstance(found, DynamicTree):
        nodes = [msgspec.structs.asdict(node) for node in found.nodes(call, value)]
        return {"kind": "tree", "items": nodes}
    if call.kind == "schema":
        return {"kind": "schema", "schema": call.schema(value)}
    return {
        "kind": "values",
        "items": [{"value": one.value, "title": one.title} for one in call.values(value)],
    }


async def running_choices(
    desk: Desk,
    connection: str,
    name: str,
    place: str,
    arguments: Mapping[str, Any],
    *,
    node: Any = None,
    now: float,
) -> dict[str, Any]:
    """Ask through a connection of a running instance, as `choices`. Raise NotFound."""
    found, connector = connection_of(desk, connection)
    spec = desk.plan().connections[connection].spec
    return await choices(
        connector,
        spec,
        find_operation(spec, name),
        place,
        arguments,
        node=node,
        deadline=found.limits.timeout,
        now=now,
    )
