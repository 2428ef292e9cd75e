"""Who may call the admin API: a bearer token with a role, from a host that is ours.

Host and Origin are checked before the token, so that a web page cannot reach the API through somebody's
browser (DNS rebinding, cross-site requests). Failures are uniform and say nothing about tokens.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import problem_response
from service.usecases.tokens import ROLES, Role, Tokens

OPEN_PATHS: Final = frozenset({"/health/live", "/health/ready"})
"""What load balancers may ask without a token: it says up or not, and nothing else."""


class HostGuard:
    """ASGI middleware: refuses requests whose Host or Origin is not one of ours."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is ours, answer the rest."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = _without_port(headers.get(b"host", ""))
        origin = headers.get(b"origin")
        if host not in self.hosts:
            response = problem_response(
                421, "unknown-host", "This host is not served here", "set POINTSMAN_ADMIN_HOSTS to allow it"
            )
            await response(scope, receive, send)
        elif origin is not None and _without_port(origin.partition("://")[2]) not in self.hosts:
            response = problem_response(403, "foreign-origin", "Requests from this origin are refused")
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


class Caller:
    """Who is calling: the token's name and role."""

    __slots__ = ("name", "role")

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.role = role


def needs(role: Role) -> Callable[[Request], Caller]:
    """Return the dependency that lets callers of at least this role through."""

    def check(request: Request) -> Caller:
        tokens: Tokens = request.app.state.tokens
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = tokens.role_of(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise HTTPException(
                401,
                "A token is needed: Authorization: Bearer pmt_…",
                headers={"www-authenticate": 'Bearer realm="pointsman"'},
            )
        name, has = found
        if ROLES.index(has) < ROLES.index(role):
            raise HTTPException(403, f"This needs the role {role}; the token {name} has {has}")
        return Caller(name, has)

    return check


Reader = Annotated[Caller, Depends(needs("reader"))]
Operator = Annotated[Caller, Depends(needs("operator"))]
Admin = Annotated[Caller, Depends(needs("admin"))]
