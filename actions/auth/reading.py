"""From a connection's `auth` to its logins, with the help of the description. All problems at once."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from actions.auth.base import Auth
from actions.auth.fixed import APIKey, Basic, Bearer, NoAuth
from actions.auth.placing import Place
from actions.auth.together import Schemes
from actions.errors import Refused
from actions.specs.model import SecurityScheme


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
