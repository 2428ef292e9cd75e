"""Rules, connectors, tokens, and the configuration that is in force."""

from typing import Any

from fastapi import Request
from pydantic import Field

from service.api.problems import shown
from service.api.resources import AtDesk, Given, resource
from service.api.security import Admin, Reader
from service.usecases import connecting
from service.usecases.tokens import ROLES, Tokens

router = resource()


class NewToken(Given):
    """The token to make."""

    name: str = Field(
        description="Letters, digits, - and _, at most 63.",
        json_schema_extra={"maxLength": 63, "pattern": "^[-_]*[A-Za-z0-9][-_A-Za-z0-9]*$"},
    )
    role: str = Field(default="reader", json_schema_extra={"enum": list(ROLES)})


def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


@router.get("/rules", tags=["rules"])
async def list_rules(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List rules with what happened to them since the start."""
    return await connecting.list_rules(desk)


@router.get("/connectors", tags=["connectors"])
async def list_connectors(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List connectors."""
    return connecting.list_connectors(desk.plan())


@router.get("/connectors/{connector}", tags=["connectors"])
async def show_connector(_caller: Reader, desk: AtDesk, connector: str) -> dict[str, Any]:
    """Show what a connector holds: servers, logins, parameters, triggers, versions, who uses it."""
    return connecting.show_connector(desk.plan(), connector)


@router.get("/connectors/{connector}/operations", tags=["connectors"])
async def list_operations(_caller: Reader, desk: AtDesk, connector: str) -> dict[str, Any]:
    """List a connector's operations."""
    return connecting.list_operations(connecting.connector_spec(desk.plan(), connector))


@router.get("/connectors/{connector}/operations/{operation}", tags=["connectors"])
async def show_operation(_caller: Reader, desk: AtDesk, connector: str, operation: str) -> dict[str, Any]:
    """Show an operation with its schemas."""
    return connecting.show_operation(connecting.connector_spec(desk.plan(), connector), operation)


@router.get("/configuration", tags=["configuration"])
async def configuration(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """Show which ruleset is in force, and the warnings it came with."""
    plan = desk.plan()
    return {
        "ruleset": plan.ruleset.number,
        "rules": len(plan.ruleset.rules),
        "problems": [shown(one) for one in desk.running().problems()],
    }


@router.post("/configuration/reload", tags=["configuration"])
async def reload(_caller: Admin, desk: AtDesk) -> dict[str, Any]:
    """Read the configuration files again: all of it or nothing."""
    plan = await desk.running().reload()
    return {"ruleset": plan.ruleset.number, "rules": len(plan.ruleset.rules)}


@router.get("/tokens", tags=["tokens"])
async def list_tokens(request: Request, _caller: Admin) -> dict[str, Any]:
    """List tokens, never the tokens themselves."""
    return _tokens(request).list_tokens()


@router.post("/tokens", tags=["tokens"], status_code=201)
async def make_token(request: Request, caller: Admin, desk: AtDesk, given: NewToken) -> dict[str, Any]:
    """Make a token; the answer shows it this once."""
    return await _tokens(request).make(given.name, given.role, now=desk.now(), by=caller.name)


@router.delete("/tokens/{name}", tags=["tokens"])
async def revoke_token(request: Request, _caller: Admin, name: str) -> dict[str, Any]:
    """Make a token worthless at once."""
    return await _tokens(request).revoke(name)
