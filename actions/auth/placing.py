"""Puts one value into a header, the query or a cookie of a request, in place of what stood there. Pure."""

from typing import Final, Literal
from urllib.parse import quote

import msgspec

from actions.auth.base import MASK
from actions.errors import Refused
from actions.transport import Request, header_problems

Place = Literal["header", "query", "cookie"]
"""Where a credential stands."""

_TRIM: Final = " (a secret file often ends with a line break)"


class Spot(msgspec.Struct, frozen=True):
    """Where a credential goes, and what stands before it: `Bearer `, `Token `."""

    place: Place
    name: str
    prefix: str = ""

    def put(self, request: Request, value: str) -> Request:
        """Return the request with the value; `***` is put as it is."""
        text = self.prefix + value
        if self.place == "header":
            return with_header(request, self.name, text)
        if self.place == "query":
            safe = "*" if value == MASK else ""
            return with_query(request, quote(self.name, safe=""), quote(text, safe=safe))
        before = request.header("cookie")
        crumbs = [
            crumb for crumb in (before or "").split("; ") if crumb and not crumb.startswith(f"{self.name}=")
        ]
        return with_header(request, "cookie", "; ".join([*crumbs, f"{self.name}={text}"]))

    def found(self, request: Request, value: str) -> bool:
        """Tell whether a request carries this value here, whatever was added behind it."""
        text = self.prefix + value
        if self.place == "header":
            return any(name.lower() == self.name.lower() and given == text for name, given in request.headers)
        if self.place == "query":
            field = f"{quote(self.name, safe='')}={quote(text, safe='')}"
            return field in request.url.partition("?")[2].split("&")
        return f"{self.name}={text}" in (request.header("cookie") or "").split("; ")

    def problems(self, value: str) -> list[str]:
        """Return why this value cannot be sent here; never repeats it."""
        text = self.prefix + value
        if not self.name:
            return ["it needs the name of a header, query parameter or cookie"]
        if self.place == "header":
            return [one + _TRIM for one in header_problems(((self.name, text),))]
        if self.place == "cookie":
            if any(mark in text for mark in ' ",;\\') or any(mark in self.name for mark in ' ",;\\='):
                return [f"the cookie {self.name!r} holds characters that a cookie cannot hold"]
            return [one + _TRIM for one in header_problems((("cookie", f"{self.name}={text}"),))]
        return []


AUTHORIZATION: Final = Spot("header", "authorization", "Bearer ")
"""Where tokens go unless somebody says otherwise (RFC 6750)."""


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


def refuse(what: str, problems: list[str]) -> None:
    """Raise Refused when there are problems with a credential."""
    if problems:
        raise Refused(f"auth: {what}: " + "; ".join(problems))
