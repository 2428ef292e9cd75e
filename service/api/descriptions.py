"""Descriptions that are sent to be looked at, as `connectors read` and `connectors lint` look at files.

Nothing is kept, nothing is called, and nothing beside what was sent is opened.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import Request

from service.api.resources import AtDesk, resource
from service.api.security import Operator
from service.descriptions import Unit, sent
from service.usecases import describing, linting
from service.usecases.desk import Desk

router = resource("descriptions")

NAME: Final = "description"
"""What a description is called that came without a name."""

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "The text of a description, or a zip archive of several.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/descriptions/read", openapi_extra=_BODY)
async def read_descriptions(_caller: Operator, desk: AtDesk, request: Request) -> dict[str, Any]:
    """Say what descriptions hold: operations with their status, triggers, logins, findings."""
    return await _each(desk, request, lambda unit: [describing.read_line(unit, unit.name)])


@router.post("/descriptions/lint", openapi_extra=_BODY)
async def lint_descriptions(_caller: Operator, desk: AtDesk, request: Request) -> dict[str, Any]:
    """Say everything that is wrong with descriptions: code, place and hint."""
    return await _each(desk, request, linting.lint)


async def _each(desk: Desk, request: Request, look: Callable[[Unit], list[dict[str, Any]]]) -> dict[str, Any]:
    """Look at every description of a body, off the loop: a megabyte of YAML takes a while."""
    body = await request.body()

    def looked() -> list[dict[str, Any]]:
        return [one for unit in sent(NAME, body, desk.rulesets.bounds) for one in look(unit)]

    return {"items": await asyncio.to_thread(looked), "next": ""}
