"""What every resource file stands on: the desk of the running instance, pages, and closed requests."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from service.errors import Invalid, Problem, nearest
from service.usecases.desk import Desk


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before; empty for the first.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items of a page.")]


class Given(BaseModel):
    """A request's body: closed, so that a misspelt field is an error and not nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


async def only_known(request: Request) -> None:
    """Refuse query parameters that the resource does not know: a misspelt filter would show everything."""
    route = request.scope["route"]
    known = list(_names(route.dependant)) if isinstance(route, APIRoute) else []
    problems = [
        Problem(
            message="unknown parameter",
            code="unknown-parameter",
            pointer=f"/query/{name}",
            found=name[:80],
            fix=f"did you mean {near}?"
            if (near := nearest(name, known))
            else f"there are: {', '.join(known)}",
        )
        for name in request.query_params
        if name not in known
    ]
    if problems:
        raise Invalid(problems)


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for below in dependant.dependencies:
        yield from _names(below)


def resource(*tags: str) -> APIRouter:
    """Return the router of a resource file."""
    return APIRouter(tags=list(tags), dependencies=[Depends(only_known)])
