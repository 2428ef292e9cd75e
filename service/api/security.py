"""Who may call the admin API: a bearer token with a role, from a host that is ours.

Host and Origin are checked before the token, so that a web page cannot reach the API through somebody's
browser (DNS rebinding, cross-site requests). Failures are uniform and say nothing about tokens.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_response
from service.usecases.tokens import ROLES, Role, Tokens

LARGEST_BODY: Final = 1024 * 1024
"""Bytes of the largest body that a request may have."""

_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer says to a browser that gets hold of it: keep nothing, guess nothing, show nothing."""


_OPEN: Final = frozenset({"/health/live", "/health/ready", "/oauth/callback"})
"""What may be asked without a token: up or not; and a browser's login, which brings a state made for it."""

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="pointsman"'}


class Guard:
    """ASGI middleware: refuses hosts and origins that are not ours, strangers, and bodies that are too large.

    Nothing of a stranger's body is read. What a token may do is each endpoint's to say (`needs`).
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is ours, answer the rest."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, answer)
        else:
            # An answer to HEAD is one to GET whose body the server leaves out.
            asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self.app(asked, _limited(receive), answer)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further, None when it may."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if [_without_port(host) in self.hosts for host in hosts] != [True]:
            detail = "set POINTSMAN_ADMIN_HOSTS to allow it"
            return problem_response(421, "unknown-host", "This host is not served here", detail)
        if not all(_without_port(origin.partition("://")[2]) in self.hosts for origin in origins):
            return problem_response(403, "foreign-origin", "Requests from this origin are refused")
        if scope["path"] not in _OPEN and _known(scope["app"].state.tokens, scope) is None:
            return problem_response(401, "unauthorized", "A token is needed", _WANTED, headers=_CHALLENGE)
        if any(int(length) > LARGEST_BODY for length in lengths if length.isdigit()):
            return problem_response(413, "body-too-large", "The body is too large", _TOO_LARGE)
        return None


def _known(tokens: Tokens, scope: Scope) -> tuple[str, Role] | None:
    """Return whose token a request brings, None when it is none of ours."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return tokens.role_of(token.strip()) if scheme.lower() == "bearer" else None


_WANTED: Final = "send one as Authorization: Bearer …"
_TOO_LARGE: Final = f"at most {LARGEST_BODY} bytes are read"


def _limited(receive: Receive) -> Receive:
    """Return `receive` that gives up on a body whose length was not said and that does not end."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > LARGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return answer


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


class Caller:
    """Who is calling: the token's name and role."""

    __slots__ = ("name", "role")

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.role = role


_BEARER: Final = HTTPBearer(auto_error=False, description="A token of `pointsman tokens make`.")


def must_be(role: Role, caller: Caller) -> None:
    """Refuse a caller of a lesser role: what a request asks for may want more than its path."""
    if ROLES.index(caller.role) < ROLES.index(role):
        raise HTTPException(403, f"This needs the role {role}; the token {caller.name} has {caller.role}")


def needs(role: Role) -> Callable[..., Caller]:
    """Return the dependency that lets callers of at least this role through."""

    def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        tokens: Tokens = request.app.state.tokens
        found = tokens.role_of(given.credentials.strip()) if given is not None else None
        if found is None:
            raise HTTPException(401, _WANTED, headers=_CHALLENGE)
        caller = Caller(*found)
        request.state.caller = caller
        must_be(role, caller)
        return caller

    return check


def known(request: Request) -> Caller | None:
    """Return who is calling where no token is wanted, None for a stranger."""
    found = _known(request.app.state.tokens, request.scope)
    return Caller(*found) if found is not None else None


Known = Annotated[Caller | None, Depends(known)]
Reader = Annotated[Caller, Depends(needs("reader"))]
Operator = Annotated[Caller, Depends(needs("operator"))]
Admin = Annotated[Caller, Depends(needs("admin"))]
