"""What every resource file stands on: the desk of the running instance, pages, and closed requests."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response
from typing_extensions import override

from service.errors import Invalid, Problem, ServiceError, nearest
from service.usecases.desk import Desk

log = structlog.get_logger(__name__)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before; empty for the first.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items of a page.")]

MOST: Final = 50
"""Most parameters or fields of a request that an answer tells about: what was meant takes a search."""


class Given(BaseModel):
    """A request's body: closed, so that a misspelt field is an error and not nothing.

    And strict: what was no boolean does nothing outside.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


async def only_known(request: Request) -> None:
    """Refuse query parameters that the resource does not know: a misspelt filter would show everything."""
    route = request.scope["route"]
    known = list(_names(route.dependant)) if isinstance(route, APIRoute) else []
    unknown = [name for name in request.query_params if name not in known]
    problems = [
        Problem(
            message="unknown parameter",
            code="unknown-parameter",
            pointer=f"/query/{name}",
            found=name[:80],
            fix=meant(name, known),
        )
        for name in unknown[:MOST]
    ]
    if len(unknown) > MOST:
        problems.append(Problem(message=f"{len(unknown) - MOST} more are unknown", code="more"))
    if problems:
        raise Invalid(problems)


def meant(name: str, known: Sequence[str]) -> str:
    """Return what would be right in the place of a name that is not known."""
    near = nearest(name, list(known))
    if near:
        return f"did you mean {near}?"
    return f"there are: {', '.join(known)}" if known else "none is taken here"


def body_fields(request: Request) -> list[str]:
    """Return the names of the fields that the body of a request may have."""
    route = request.scope.get("route")
    body = route.body_field if isinstance(route, APIRoute) else None
    model = body.field_info.annotation if body is not None else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for below in dependant.dependencies:
        yield from _names(below)


class Audited(APIRoute):
    """A route that leaves one line in the log for each request that may change something.

    `id` is the endpoint's name and never changes; bodies are left out: they may hold secrets.
    """

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if (self.methods or set()) <= {"GET", "HEAD"}:
            return handle

        async def audited(request: Request) -> Response:
            outcome = "failed"
            try:
                response = await handle(request)
                outcome = "done"
            except (ServiceError, HTTPException, RequestValidationError) as error:
                outcome = f"refused: {type(error).__name__}"
                raise
            else:
                return response
            finally:
                caller = getattr(request.state, "caller", None)
                by = caller.name if caller is not None else "?"
                log.info("admin call", id=self.name, by=by, outcome=outcome, **request.path_params)

        return audited


def resource(*tags: str) -> APIRouter:
    """Return the router of a resource file."""
    return APIRouter(tags=list(tags), dependencies=[Depends(only_known)], route_class=Audited)
