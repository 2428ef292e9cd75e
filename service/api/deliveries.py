"""Deliveries: look, retry, discard."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from service.api.resources import AtDesk, Cursor, Given, Limit, resource
from service.api.security import Operator, Reader
from service.usecases import deliveries

router = resource("deliveries")


class Discard(Given):
    """Why a delivery is ended."""

    reason: str = Field(default="", max_length=500)


@router.get("/deliveries")
async def list_deliveries(
    _caller: Reader,
    desk: AtDesk,
    cursor: Cursor = "",
    limit: Limit = 50,
    state: Annotated[str | None, Query(description="States, separated by commas.")] = None,
    rule: str | None = None,
    connection: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    """List deliveries, newest first."""
    return await deliveries.list_deliveries(
        desk, cursor=cursor, limit=limit, state=state, rule=rule, connection=connection, message=message
    )


@router.get("/deliveries/{delivery}")
async def show_delivery(_caller: Reader, desk: AtDesk, delivery: str) -> dict[str, Any]:
    """Show one delivery with every attempt."""
    return await deliveries.show_delivery(desk, delivery)


@router.post("/deliveries/{delivery}/retry", status_code=202)
async def retry(caller: Operator, desk: AtDesk, delivery: str) -> dict[str, Any]:
    """Make the next run of an ended delivery, or try a waiting one now."""
    return await deliveries.retry(desk, delivery, by=caller.name)


@router.post("/deliveries/{delivery}/discard")
async def discard(
    caller: Operator, desk: AtDesk, delivery: str, given: Discard | None = None
) -> dict[str, Any]:
    """End a delivery that has not ended."""
    reason = given.reason if given is not None else ""
    return await deliveries.discard(desk, delivery, by=caller.name, reason=reason)
