"""Sources, rules, connectors, connections, tokens, and the configuration that is in force."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from service.api.problems import shown
from service.api.resources import AtDesk
from service.api.security import Admin, Operator, Reader
from service.errors import NotFound, Unavailable, nearest
from service.plan import Plan
from service.usecases import connecting
from service.usecases.desk import Desk, Live
from service.usecases.tokens import Tokens

router = APIRouter()


def _live(desk: Desk) -> Live:
    if desk.live is None:
        raise Unavailable("the instance is stopping")
    return desk.live


def _plan(desk: Desk) -> Plan:
    plan = _live(desk).plan
    if plan is None:
        raise Unavailable("no configuration is in force yet")
    return plan


def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


@router.get("/sources", tags=["sources"])
async def list_sources(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List sources with their state."""
    return connecting.list_sources(desk)


@router.get("/rules", tags=["rules"])
async def list_rules(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List rules with what happened to them since the start."""
    return await connecting.list_rules(desk)


@router.get("/connectors", tags=["connectors"])
async def list_connectors(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List connectors."""
    return connecting.list_connectors(_plan(desk))


@router.get("/connectors/{connector}/operations", tags=["connectors"])
async def list_operations(_caller: Reader, desk: AtDesk, connector: str) -> dict[str, Any]:
    """List a connector's operations."""
    return connecting.list_operations(connecting.connector_spec(_plan(desk), connector))


@router.get("/connectors/{connector}/operations/{operation}", tags=["connectors"])
async def show_operation(_caller: Reader, desk: AtDesk, connector: str, operation: str) -> dict[str, Any]:
    """Show an operation with its schemas."""
    return connecting.show_operation(connecting.connector_spec(_plan(desk), connector), operation)


@router.get("/connections", tags=["connections"])
async def list_connections(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List connections with their state."""
    return await connecting.list_connections(desk)


@router.post("/connections/{connection}/release", tags=["connections"])
async def release_connection(_caller: Operator, desk: AtDesk, connection: str) -> dict[str, Any]:
    """Let a held connection through again."""
    return connecting.release_connection(desk, connection)


@router.post("/connections/{connection}/operations/{operation}/call", tags=["connections"])
async def call(
    _caller: Operator,
    desk: AtDesk,
    connection: str,
    operation: str,
    arguments: Annotated[dict[str, Any], Body(alias="with", embed=True)],
    dry_run: Annotated[bool, Body(embed=True)] = False,
) -> dict[str, Any]:
    """Perform an operation by hand, or show the exact request."""
    plan = _plan(desk)
    found = next((one for one in _live(desk).connections() if one.name == connection), None)
    if found is None:
        near = nearest(connection, list(plan.connections))
        raise NotFound(f"there is no connection {connection}" + (f"; did you mean {near}?" if near else ""))
    spec = plan.connections[connection].spec
    return await connecting.call(
        found.connector_for(plan.ruleset.pins[connection]),
        connecting.find_operation(spec, operation).id,
        arguments,
        dry_run=dry_run,
        deadline=found.limits.timeout,
        now=time.time(),
    )


@router.get("/configuration", tags=["configuration"])
async def configuration(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """Show which ruleset is in force, and the warnings it came with."""
    plan = _plan(desk)
    return {
        "ruleset": plan.ruleset.number,
        "rules": len(plan.ruleset.rules),
        "problems": [shown(one) for one in _live(desk).problems()],
    }


@router.post("/configuration/reload", tags=["configuration"])
async def reload(_caller: Admin, desk: AtDesk) -> dict[str, Any]:
    """Read the configuration files again: all of it or nothing."""
    plan = await _live(desk).reload()
    return {"ruleset": plan.ruleset.number, "rules": len(plan.ruleset.rules)}


@router.get("/tokens", tags=["tokens"])
async def list_tokens(request: Request, _caller: Admin) -> dict[str, Any]:
    """List tokens, never the tokens themselves."""
    return _tokens(request).list_tokens()


@router.post("/tokens", tags=["tokens"], status_code=201)
async def make_token(
    request: Request,
    caller: Admin,
    desk: AtDesk,
    name: Annotated[str, Body(embed=True)],
    role: Annotated[str, Body(embed=True)] = "reader",
) -> dict[str, Any]:
    """Make a token; the answer shows it this once."""
    return await _tokens(request).make(name, role, now=desk.now(), by=caller.name)


@router.delete("/tokens/{name}", tags=["tokens"])
async def revoke_token(request: Request, _caller: Admin, name: str) -> dict[str, Any]:
    """Make a token worthless at once."""
    return await _tokens(request).revoke(name)
