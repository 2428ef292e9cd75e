"""One call, understood: its method, where it goes, how it logs in, what it sends."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from actions.specs.model import NEVER_SET
from actions.specs.postman import auth
from actions.specs.postman.bodies import Bodies, Sent
from actions.specs.postman.calls import Call, Login, Pair
from actions.specs.postman.scripts import Effects, Scripts
from actions.specs.postman.urls import SCHEME, Address, address
from actions.specs.postman.variables import PLACEHOLDER, Variables
from actions.specs.reading import CONTROL, METHODS, Reading

_MORE_METHODS: Final = (
    "copy", "link", "lock", "mkcol", "move", "propfind", "proppatch", "purge", "report", "search", "unlink",
    "unlock", "view",
)  # fmt: skip
_NO_INPUT: Final = NEVER_SET | {"content-type", "accept", "cookie", "accept-encoding", "postman-token"}
_BLANKS: Final = re.compile(r"\s")
_KNOWN: Final = frozenset(one.upper() for one in (*METHODS, *_MORE_METHODS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A call, and what was made of it. `problem` says why it cannot be made; `place` is the base, filled."""

    call: Call
    method: str
    address: Address
    place: str
    variables: Variables
    effects: Effects
    sent: Sent | None
    headers: tuple[Pair, ...]
    query: tuple[Pair, ...]
    logins: tuple[Login, ...]
    problem: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What calls of one operation have in common."""
        return self.method, self.problem or self.place, self.address.shape

    @property
    def label(self) -> str:
        """What people call it."""
        return self.call.name or f"{self.method} {self.call.shown_url[:100]}".strip()


class Drafts:
    """Makes drafts of all calls of a collection."""

    def __init__(self, reading: Reading, variables: Variables) -> None:
        self._reading = reading
        self._variables = variables
        self._scripts = Scripts()
        self._bodies = Bodies()
        self._locals: dict[tuple[tuple[str, str], ...], Variables] = {(): variables}

    def draft(self, call: Call) -> Draft:
        """Understand one call."""
        effects = self._scripts.effects(call.scripts)
        variables = self._local(effects.literals)
        method, problem = self._method(call)
        found = address(call, variables)
        place = variables.fill(found.base).rstrip("/")
        if _BLANKS.search(place) and not _BLANKS.search(found.base):
            place = found.base  # what the variable holds now is no host: the connection says where
        problem = problem or _problem(found, place)
        logins, headers, query = _logins(call, found)
        return Draft(
            call=call,
            method=method,
            address=found,
            place=place if SCHEME.match(place) or place.startswith("{{") or not place else f"http://{place}",
            variables=variables,
            effects=effects,
            sent=self._bodies.sent(call, method, variables),
            headers=headers,
            query=query,
            logins=logins,
            problem=problem,
        )

    def _local(self, literals: Mapping[str, str]) -> Variables:
        key = tuple(sorted(literals.items()))
        if key not in self._locals:
            self._locals[key] = self._variables.over(literals)
        return self._locals[key]

    def _method(self, call: Call) -> tuple[str, str]:
        """Return the method that is sent, and why there is none."""
        method = call.method.strip().upper()
        if method in _KNOWN:
            if method != call.method:
                message = f"{_label(call)}: the method {call.method[:40]!r} is read as {method}"
                self._reading.add("method", message, call.pointer, severity="info")
            return method, ""
        if not method:
            message = f"{_label(call)}: no method is named; Postman sends GET, so that is what it is"
            self._reading.add("method", message, call.pointer)
            return "GET", ""
        return method[:40], f"{call.method[:40]!r} is no method of HTTP"


def _label(call: Call) -> str:
    return (
        f"{call.name[:80]!r} ({call.shown_url[:80]})" if call.name else call.shown_url[:120] or call.pointer
    )


def _problem(found: Address, place: str) -> str:
    if not found.base and not found.path:
        return "the request has no URL"
    if CONTROL.search(found.path) or CONTROL.search(place):
        return "the URL has control characters"
    if any(segment in (".", "..") for segment in found.path.split("/")):
        return "the path has dot segments"
    scheme = SCHEME.match(place)
    if scheme and scheme.group().lower() not in ("http://", "https://"):
        return f"the URL begins with {scheme.group()}, which is not HTTP"
    return "the host has blanks in it" if _BLANKS.search(PLACEHOLDER.sub("", place)) else ""


def _logins(call: Call, found: Address) -> tuple[tuple[Login, ...], tuple[Pair, ...], tuple[Pair, ...]]:
    """Return how a call logs in, and its headers and query without that."""
    told = call.login if call.login and call.login.kind != "noauth" else None
    logins = [told] if told else []
    if not told and found.user:
        logins.append(Login(kind="basic", values={"password": "of the URL"}))
    headers = []
    for one in call.headers:
        login = None if one.disabled else auth.of_header(one.name, one.value or "")
        if one.name.lower() == "authorization":
            if login and not logins:
                logins.append(login)
        elif login:
            logins.append(login)
        else:
            headers.append(one)
    query = []
    for one in found.query:
        login = None if one.disabled else auth.of_query(one.name, one.value or "")
        if login:
            logins.append(login)
        else:
            query.append(one)
    return tuple(_distinct(logins)), tuple(headers), tuple(query)


def _distinct(logins: list[Login]) -> Iterator[Login]:
    """Yield logins without those that carry a key to the same place again."""
    seen = set()
    for one in logins:
        place = (one.kind, one.values.get("key", "").lower())
        if place not in seen:
            seen.add(place)
            yield one


def sendable(headers: tuple[Pair, ...]) -> Iterator[Pair]:
    """Yield the headers that are inputs: not the transport's own, and not those said in another way."""
    return (one for one in headers if one.name.lower() not in _NO_INPUT)
