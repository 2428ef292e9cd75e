"""Makes up the login that a description is exercised with: something for every scheme that needs nobody else.

What a login has to fetch first (tokens, challenges) is replaced by a token that is there already: where it
stands in the request is what counts here. Pure.
"""

from collections.abc import Mapping
from typing import Any

from actions.auth import Auth, Described, NoAuth, read_auth
from actions.errors import Refused
from actions.specs.model import Operation, SecurityScheme, Spec

_SECRET = "sample-secret"  # noqa: S105 - nobody's
_NAMED: Mapping[str, dict[str, Any]] = {
    "apiKey": {"api_key": _SECRET},
    "oauth2": {"bearer": _SECRET},
    "openIdConnect": {"bearer": _SECRET},
    "basic": {"basic": {"username": "sample", "password": _SECRET}},
    "bearer": {"bearer": _SECRET},
}


class Logins:
    """The credentials of an exercise, and which operations they are enough for."""

    def __init__(self, spec: Spec, values: Mapping[str, str]) -> None:
        """`values` are those of the connection parameters."""
        described = Described(schemes=spec.security_schemes, parameters=spec.parameters, values=values)
        logins = {name: login for name, one in spec.security_schemes.items() if (login := _login(one))}
        logins |= described.implied()
        self._known = {name: login for name, login in logins.items() if _is_fine(name, login, described)}
        self._open = {name for name, one in spec.security_schemes.items() if one.kind == "mutualTLS"}
        self.auth: Auth = read_auth({"schemes": self._known}, described) if self._known else NoAuth()

    def enough(self, operation: Operation) -> bool:
        """Say whether an operation can be called with what there is."""
        known = self._known.keys() | self._open
        return not operation.security or any(
            {need.scheme for need in needs} <= known for needs in operation.security
        )


def _login(one: SecurityScheme) -> dict[str, Any]:
    if one.problem:
        return {}
    if one.kind == "apiKey":
        return {**_NAMED["apiKey"], "in": one.location, "name": one.parameter}
    return _NAMED.get(one.scheme if one.kind == "http" else one.kind, {})


def _is_fine(name: str, login: Mapping[str, Any], described: Described) -> bool:
    try:
        read_auth({"schemes": {name: login}}, described)
    except Refused:
        return False
    return True
