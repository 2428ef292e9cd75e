"""Credentials: how each security scheme puts them on a request, and how it hides them from people.

Credentials are added after a request was prepared and hashed, right before it is sent, and only here. None of
them stands in an error text, a log line or what `mask` returns.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, cast, get_args
from urllib.parse import quote

import msgspec
from typing_extensions import override

from actions.base import Answer
from actions.errors import Refused
from actions.specs.model import SecurityScheme
from actions.transport import Request, header_problems

MASK: Final = "***"

Place = Literal["header", "query", "cookie"]
"""Where an API key stands."""


class Auth(ABC):
    """One way to log in. Holds its secret; a new secret is a new object."""

    needs_ready: ClassVar[bool] = False
    """Whether `ready` and `again` have anything to do: a call without them is shorter."""

    @abstractmethod
    def apply(self, request: Request) -> Request:
        """Return the request with credentials; what it had under the same name is replaced."""

    @abstractmethod
    def mask(self, request: Request) -> Request:
        """Return the request as `apply` would, with every secret replaced by `***`."""

    def choose(self, alternatives: Sequence[Sequence[str]]) -> "Auth":
        """Return what to use for an operation that takes any one of these sets of security schemes."""
        del alternatives  # one login serves every operation; `Schemes` differs
        return self

    async def ready(self, deadline: float) -> None:
        """Fetch what is missing before `apply`, within so many seconds. Raise RetryLater or Refused."""
        del deadline

    def again(self, request: Request, answer: Answer) -> Request | None:
        """Return the request to send at once, when the answer is a challenge to this one."""
        del request, answer
        return None

    @abstractmethod
    async def renew(self) -> bool:
        """Fetch new credentials after the backend refused the old ones; False when there are none."""


class Fixed(Auth):
    """Credentials that somebody configured: nothing to renew."""

    @override
    async def renew(self) -> bool:
        return False


class NoAuth(Fixed):
    """No credentials at all."""

    @override
    def apply(self, request: Request) -> Request:
        return request

    @override
    def mask(self, request: Request) -> Request:
        return request


class APIKey(Fixed):
    """A key under a given name in a header, the query or a cookie. Raises Refused for what cannot be sent."""

    def __init__(self, place: Place, name: str, value: str) -> None:
        self._place = place
        self._name = name
        self._value = value
        if not name or not value:
            raise Refused("auth: an API key needs a name and a value that is not empty")
        if place == "header":
            _check(((name, value),))
        elif place == "cookie":
            if any(mark in value for mark in ' ",;\\') or any(mark in name for mark in ' ",;\\='):
                raise Refused(f"auth: the cookie {name!r} holds characters that a cookie cannot hold")
            _check((("cookie", f"{name}={value}"),))

    @override
    def apply(self, request: Request) -> Request:
        return self._put(request, self._value)

    @override
    def mask(self, request: Request) -> Request:
        return self._put(request, MASK)

    def _put(self, request: Request, value: str) -> Request:
        if self._place == "header":
            return with_header(request, self._name, value)
        if self._place == "query":
            safe = "*" if value == MASK else ""
            return with_query(request, quote(self._name, safe=""), quote(value, safe=safe))
        before = request.header("cookie")
        crumbs = [
            crumb for crumb in (before or "").split("; ") if crumb and not crumb.startswith(f"{self._name}=")
        ]
        return with_header(request, "cookie", "; ".join([*crumbs, f"{self._name}={value}"]))


class Bearer(Fixed):
    """`Authorization: Bearer …` (RFC 6750)."""

    def __init__(self, token: str) -> None:
        if not token:
            raise Refused("auth: the bearer token is empty")
        self._header = ("authorization", f"Bearer {token}")
        _check((self._header,))

    @override
    def apply(self, request: Request) -> Request:
        return with_header(request, *self._header)

    @override
    def mask(self, request: Request) -> Request:
        return with_header(request, "authorization", f"Bearer {MASK}")


class Basic(Fixed):
    """`Authorization: Basic …` (RFC 7617), in UTF-8."""

    def __init__(self, user: str, password: str) -> None:
        if ":" in user or not (user + password).isprintable():
            raise Refused(
                "auth: a user name holds no colon, and neither it nor the password a control character"
            )
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        self._header = ("authorization", f"Basic {encoded}")

    @override
    def apply(self, request: Request) -> Request:
        return with_header(request, *self._header)

    @override
    def mask(self, request: Request) -> Request:
        return with_header(request, "authorization", f"Basic {MASK}")


class All(Auth):
    """Several ways at once, where a description demands all of them (AND)."""

    def __init__(self, parts: tuple[Auth, ...]) -> None:
        self._parts = parts

    @override
    def apply(self, request: Request) -> Request:
        for part in self._parts:
            request = part.apply(request)
        return request

    @override
    def mask(self, request: Request) -> Request:
        for part in self._parts:
            request = part.mask(request)
        return request

    @override
    async def renew(self) -> bool:
        renewed = [await part.renew() for part in self._parts]
        return any(renewed)


class Schemes(All):
    """Credentials by the name of a description's security scheme; each operation gets those it asks for."""

    def __init__(self, named: Mapping[str, Auth]) -> None:
        super().__init__(tuple(named.values()))
        self._named = named

    @override
    def choose(self, alternatives: Sequence[Sequence[str]]) -> Auth:
        for names in alternatives:
            if names and all(name in self._named for name in names):
                return All(tuple(self._named[name] for name in names))
        return self


def read_auth(login: Mapping[str, Any] | None, schemes: Mapping[str, SecurityScheme]) -> Auth:
    """Return the credentials that a connection's `auth` means, secrets in plain text.

    One of `{bearer: text}`, `{basic: {username, password}}`, `{api_key: text, in?, name?}` or
    `{schemes: {name: one of these}}`; where an API key does not say its place, the description does.
    Raise Refused with every problem.
    """
    if login is None:
        return NoAuth()
    if login.get("schemes") is None:
        return _read_one(login, schemes)
    named: dict[str, Auth] = {}
    problems: list[tuple[str, str]] = []
    for name, one in login["schemes"].items():
        try:
            named[name] = _read_named(name, one, schemes)
        except Refused as error:
            problems.append((f"/schemes/{name}", str(error)))
    if problems:
        raise Refused("; ".join(text for _, text in problems), tuple(problems))
    return Schemes(named)


def _read_named(name: str, login: Mapping[str, Any], schemes: Mapping[str, SecurityScheme]) -> Auth:
    if name not in schemes:
        known = f"; it has {', '.join(schemes)}" if schemes else ""
        raise Refused(f"auth: the description has no security scheme {name!r}{known}")
    return _read_one(login, {name: schemes[name]})


def _read_one(login: Mapping[str, Any], schemes: Mapping[str, SecurityScheme]) -> Auth:
    if login.get("bearer") is not None:
        return Bearer(login["bearer"])
    if login.get("basic") is not None:
        return Basic(login["basic"]["username"], login["basic"]["password"])
    place, name = login.get("in"), login.get("name")
    if place is None or name is None:
        keys = {(one.location, one.parameter) for one in schemes.values() if one.kind == "apiKey"}
        if len(keys) != 1:
            told = "does not say where an API key goes" if not keys else "has several kinds of API keys"
            raise Refused(f"auth: the description {told}: say `in` and `name`")
        place, name = keys.pop()
    if place not in get_args(Place):
        raise Refused(f"auth: an API key goes into header, query or cookie, not {place!r}")
    return APIKey(cast(Place, place), name, login["api_key"])


def with_header(request: Request, name: str, value: str) -> Request:
    """Return the request with this header; earlier ones of the name are dropped."""
    lower, kept = name.lower(), request.headers
    for given, _ in kept:
        if len(given) == len(name) and given.lower() == lower:
            kept = tuple(pair for pair in kept if pair[0].lower() != lower)
            break
    return Request(request.method, request.url, (*kept, (name, value)), request.body)


def with_query(request: Request, name: str, value: str) -> Request:
    """Return the request with this query field (both already encoded); earlier ones are dropped."""
    base, _, query = request.url.partition("?")
    kept = [field for field in query.split("&") if field and field.partition("=")[0] != name]
    return msgspec.structs.replace(request, url=f"{base}?{'&'.join([*kept, f'{name}={value}'])}")


def _check(headers: tuple[tuple[str, str], ...]) -> None:
    problems = header_problems(headers)
    if problems:
        raise Refused("auth: " + "; ".join(problems) + " (a secret file often ends with a line break)")
