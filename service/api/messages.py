"""Messages and rejects."""

from typing import Annotated, Any

from fastapi import Query

from service.api.resources import AtDesk, Cursor, Limit, resource
from service.api.security import Reader
from service.usecases import explaining, messages

router = resource("messages")


@router.get("/messages")
async def list_messages(
    _caller: Reader,
    desk: AtDesk,
    cursor: Cursor = "",
    limit: Limit = 50,
    source: str | None = None,
    of_type: Annotated[str | None, Query(alias="type")] = None,
) -> dict[str, Any]:
    """List messages, newest first."""
    return await messages.list_messages(desk, cursor=cursor, limit=limit, source=source, of_type=of_type)


@router.get("/messages/{message}")
async def show_message(_caller: Reader, desk: AtDesk, message: str) -> dict[str, Any]:
    """Show one message with its deliveries."""
    return await messages.show_message(desk, message)


@router.get("/messages/{message}/explain")
async def explain(_caller: Reader, desk: AtDesk, message: str, rule: str | None = None) -> dict[str, Any]:
    """Say why each rule, or the one named, did or did not match the message."""
    return await explaining.explain(desk, message, rule)


@router.get("/rejects")
async def list_rejects(
    _caller: Reader, desk: AtDesk, cursor: Cursor = "", limit: Limit = 50, source: str | None = None
) -> dict[str, Any]:
    """List what came in and could not become a message, newest first."""
    return await messages.list_rejects(desk, cursor=cursor, limit=limit, source=source)


@router.get("/rejects/{reject}")
async def show_reject(_caller: Reader, desk: AtDesk, reject: str) -> dict[str, Any]:
    """Show one reject with its bytes."""
    return await messages.show_reject(desk, reject)
