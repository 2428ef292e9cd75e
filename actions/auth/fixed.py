"""Credentials that never change: keys, tokens and passwords that somebody configured."""

import base64

from typing_extensions import override

from actions.auth.base import MASK, Fixed
from actions.auth.placing import AUTHORIZATION, Place, Spot, refuse, with_header
from actions.errors import Refused
from actions.transport import Request


class Placed(Fixed):
    """One secret text at one spot. Raises Refused for what cannot be sent."""

    def __init__(self, spot: Spot, value: str, what: str = "the credential") -> None:
        self._spot = spot
        self._value = value
        if not value:
            raise Refused(f"auth: {what} is empty")
        refuse(what, spot.problems(value))

    @override
    def apply(self, request: Request) -> Request:
        return self._spot.put(request, self._value)

    @override
    def mask(self, request: Request) -> Request:
        return self._spot.put(request, MASK)

    @override
    def secrets(self) -> tuple[str, ...]:
        return (self._value,)


class APIKey(Placed):
    """A key under a given name in a header, the query or a cookie, perhaps with a word before it."""

    def __init__(self, place: Place, name: str, value: str, prefix: str = "") -> None:
        super().__init__(Spot(place, name, prefix), value, "the API key")


class Bearer(Placed):
    """`Authorization: Bearer …` (RFC 6750), or with another word before the token."""

    def __init__(self, token: str, prefix: str = AUTHORIZATION.prefix) -> None:
        super().__init__(Spot("header", AUTHORIZATION.name, prefix), token, "the bearer token")


class Basic(Fixed):
    """`Authorization: Basic …` (RFC 7617), in UTF-8."""

    def __init__(self, user: str, password: str) -> None:
        self._header = ("authorization", basic_value(user, password))
        self._secrets = (self._header[1].removeprefix("Basic "), password)

    @override
    def apply(self, request: Request) -> Request:
        return with_header(request, *self._header)

    @override
    def mask(self, request: Request) -> Request:
        return with_header(request, "authorization", f"Basic {MASK}")

    @override
    def secrets(self) -> tuple[str, ...]:
        return self._secrets


def basic_value(user: str, password: str) -> str:
    """Return the field value that carries user name and password. Raise Refused for what it cannot carry."""
    if ":" in user or not (user + password).isprintable():
        raise Refused("auth: a user name holds no colon, and neither it nor the password a control character")
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return f"Basic {encoded}"
