"""Errors as `application/problem+json` (RFC 9457): stable types, all problems, never a stack trace."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from service.api.resources import MOST, body_fields, meant
from service.errors import Conflict, Invalid, NotFound, Problem, ServiceError, Unavailable
from triggers.base import PROBLEM_TYPE

log = structlog.get_logger(__name__)

STATUSES: Final[dict[type[ServiceError], tuple[int, str, str]]] = {
    Invalid: (422, "invalid", "What was given is wrong"),
    NotFound: (404, "not-found", "There is no such thing"),
    Conflict: (409, "conflict", "The state of the thing does not allow this"),
    Unavailable: (503, "unavailable", "Cannot be done now"),
}
"""Status, slug and title by class of error."""

_HTTP: Final = {
    400: ("bad-request", "The request cannot be read"),
    401: ("unauthorized", "A token is needed"),
    403: ("forbidden", "The token may not do this"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "The resource does not know this method"),
    413: ("body-too-large", "The body is too large"),
}
"""Slug and title of what is answered before a use case is reached."""


def problem_document(
    status: int, slug: str, title: str, detail: str = "", errors: Sequence[dict[str, Any]] = ()
) -> bytes:
    """Return a problem document."""
    document: dict[str, Any] = {"type": PROBLEM_TYPE + slug, "title": title, "status": status}
    if detail:
        document["detail"] = detail
    if errors:
        document["errors"] = list(errors)
    # Not msgspec: what is wrong may hold half a surrogate pair, which has no UTF-8.
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def problem_response(
    status: int,
    slug: str,
    title: str,
    detail: str = "",
    *,
    errors: Sequence[dict[str, Any]] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a problem document."""
    return Response(
        problem_document(status, slug, title, detail, errors),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def shown(problem: Problem) -> dict[str, Any]:
    """Return a problem as the API and `-o json` show it, empty fields left out."""
    return {
        name: value
        for name, value in msgspec.structs.asdict(problem).items()
        if value not in ("", None, 0) or name == "pointer"
    }


def _invalid(place: Sequence[str | int], kind: str, message: str, known: Sequence[str]) -> dict[str, Any]:
    """Return a problem with a parameter or a field; what was given is not repeated: it may be a secret.

    `known` are the fields that the body may have.
    """
    if kind == "json_invalid":
        return {"pointer": "/body", "code": "no-json", "message": f"the body is no JSON: {message}"}
    pointer = "/" + "/".join(map(str, place))
    if kind == "extra_forbidden" and len(place) == 2:
        fix = meant(str(place[1]), known)
        return {"pointer": pointer, "code": "unknown-field", "message": "unknown field", "fix": fix}
    return {"pointer": pointer, "code": kind.replace("_", "-"), "message": message}


def methods(request: Request) -> list[str]:
    """Return every method that some route has for a path; Starlette names those of one route alone."""

    def known(method: str) -> bool:
        scope = {**request.scope, "method": method, "path_params": {}}
        return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if known("GET" if method == "HEAD" else method)]


_METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    @app.exception_handler(ServiceError)
    async def service_error(_request: Request, error: ServiceError) -> Response:
        status, slug, title = next(
            (row for kind, row in STATUSES.items() if isinstance(error, kind)),
            (500, "internal", "Something failed in the service"),
        )
        if isinstance(error, Invalid):
            worst_first = sorted(error.problems, key=lambda one: one.severity != "error")
            return problem_response(status, slug, title, errors=[shown(one) for one in worst_first])
        headers = None
        if isinstance(error, Unavailable) and error.after is not None:
            headers = {"retry-after": str(max(1, round(error.after)))}
        return problem_response(status, slug, title, str(error), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def bad_request(request: Request, error: RequestValidationError) -> Response:
        known, found = body_fields(request), error.errors()
        errors = [_invalid(one["loc"], one["type"], one["msg"], known) for one in found[:MOST]]
        if len(found) > MOST:
            errors.append({"pointer": "", "code": "more", "message": f"{len(found) - MOST} more are wrong"})
        return problem_response(422, "invalid", "What was given is wrong", errors=errors)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        slug, title = _HTTP.get(error.status_code, ("http", "The request was refused"))
        detail = "" if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 405:
            headers = {"allow": ", ".join(methods(request))}
        return problem_response(error.status_code, slug, title, detail, headers=headers)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_request: Request, _error: ClientDisconnect) -> Response:
        return problem_response(400, *_HTTP[400], "its body did not arrive")  # nobody reads this

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("the admin API failed in an unforeseen way", path=request.url.path, exc_info=error)
        return problem_response(500, "internal", "Something failed in the service; its log says what")
