"""Connections: how they are, trying them, logging in, and calling operations by hand."""

import html
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from service.api.resources import AtDesk, Given, resource
from service.api.security import Operator, Reader
from service.errors import Invalid, ServiceError
from service.usecases import choosing, connecting, logging_in

router = resource()
callback = APIRouter()


class Call(Given):
    """What an operation is called with."""

    arguments: dict[str, Any] = Field(alias="with", default_factory=dict, description="The inputs.")
    preset: str = Field(default="", description="A request of the description that is sent beside them.")
    dry_run: bool = Field(default=False, description="Show the exact request, secrets masked; send nothing.")


class Pause(Given):
    """Why a connection is paused."""

    reason: str = Field(default="", max_length=500, description="What is said of the deliveries that wait.")


class Try(Given):
    """What a connection is tried with."""

    operation: str = Field(default="", description="The operation; absent: the declared one, or a safe one.")
    arguments: dict[str, Any] = Field(alias="with", default_factory=dict, description="Its inputs.")


class Choose(Given):
    """The input to ask for."""

    input: str = Field(description="The place, as `GET …/operations/{operation}` lists it under `offers`.")
    arguments: dict[str, Any] = Field(alias="with", default_factory=dict, description="The inputs so far.")
    node: Any = Field(default=None, description="Of a tree: the `item` of the node to look below.")


class Begin(Given):
    """The login to begin."""

    scheme: str = Field(default="", description="The security scheme; absent: the only one.")
    redirect: str = Field(default="", description="Where the token server sends the browser back to.")


class Finish(Given):
    """What the redirect has brought."""

    query: dict[str, str] = Field(description="The query parameters of the redirect: state, code, …")


@router.get("/connections", tags=["connections"])
async def list_connections(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List connections with their state."""
    return await connecting.list_connections(desk)


@router.post("/connections/{connection}/release", tags=["connections"])
async def release_connection(_caller: Operator, desk: AtDesk, connection: str) -> dict[str, Any]:
    """Let a held connection through again; a pause it does not end."""
    return connecting.release_connection(desk, connection)


@router.post("/connections/{connection}/pause", tags=["connections"])
async def pause_connection(
    caller: Operator, desk: AtDesk, connection: str, given: Pause | None = None
) -> dict[str, Any]:
    """Call nothing new until it is resumed: its deliveries wait, what is in flight ends as it may."""
    reason = given.reason if given is not None else ""
    return await connecting.pause_connection(desk, connection, by=caller.name, reason=reason)


@router.post("/connections/{connection}/resume", tags=["connections"])
async def resume_connection(caller: Operator, desk: AtDesk, connection: str) -> dict[str, Any]:
    """Call again what waits on a connection that was paused."""
    return await connecting.resume_connection(desk, connection, by=caller.name)


@router.post("/connections/{connection}/operations/{operation}/call", tags=["connections"])
async def call(
    _caller: Operator,
    desk: AtDesk,
    connection: str,
    operation: str,
    given: Call,
) -> dict[str, Any]:
    """Perform an operation by hand, or show the exact request."""
    return await connecting.call_connection(
        desk,
        connection,
        operation,
        given.arguments,
        preset=given.preset,
        dry_run=given.dry_run,
        now=time.time(),
    )


@router.get("/connections/{connection}", tags=["connections"])
async def show_connection(_caller: Reader, desk: AtDesk, connection: str) -> dict[str, Any]:
    """Show a connection: its state, its logins, and where calls differed from the description."""
    return await logging_in.show_connection(desk, connection)


@router.post("/connections/{connection}/test", tags=["connections"])
async def try_connection(_caller: Operator, desk: AtDesk, connection: str, given: Try) -> dict[str, Any]:
    """Call an operation that changes nothing, and say whether the connection works."""
    return await logging_in.try_running(
        desk, connection, operation=given.operation, arguments=given.arguments, now=time.time()
    )


@router.post("/connections/{connection}/login", tags=["connections"])
async def begin_login(_caller: Operator, desk: AtDesk, connection: str, given: Begin) -> dict[str, Any]:
    """Begin a person's login; the answer has the address for a browser."""
    return await logging_in.begin_login(desk, connection, scheme=given.scheme, redirect=given.redirect)


@router.post("/login/finish", tags=["connections"])
async def finish_login(_caller: Operator, desk: AtDesk, given: Finish) -> dict[str, Any]:
    """Finish a login with what the redirect has brought; its state says for which connection."""
    return await logging_in.finish_login(desk, given.query)


@router.post("/connections/{connection}/operations/{operation}/choices", tags=["connections"])
async def choices(
    _caller: Operator, desk: AtDesk, connection: str, operation: str, given: Choose
) -> dict[str, Any]:
    """Ask the backend what may stand at an input: values, a schema, or the nodes of a tree."""
    return await choosing.running_choices(
        desk, connection, operation, given.input, given.arguments, node=given.node, now=time.time()
    )


@callback.get("/oauth/callback", include_in_schema=False)
async def login_callback(request: Request, desk: AtDesk) -> HTMLResponse:
    """Take the redirect of a login in a browser. Its state, made for this login and good once, is the key."""
    try:
        done = await logging_in.finish_login(desk, dict(request.query_params))
    except ServiceError as error:
        said = error.problems[0].message if isinstance(error, Invalid) else str(error)
        return HTMLResponse(_page("The login did not work", said), status_code=400)
    return HTMLResponse(
        _page("Logged in", f"Connection {done['connection']} works now. You may close this page.")
    )


def _page(title: str, text: str) -> str:
    shown = (html.escape(title), html.escape(title), html.escape(text))
    return "<!doctype html><meta charset=utf-8><title>{}</title><h1>{}</h1><p>{}</p>".format(*shown)
