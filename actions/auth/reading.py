"""From a connection's `auth` to its logins, with the help of the description. Raises all problems at once."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast, get_args

from actions.auth.assertions import SelfSigned, read_assertion
from actions.auth.base import Auth, LoginContext, NoAuth
from actions.auth.described import Described
from actions.auth.digest import Digest
from actions.auth.fixed import APIKey, Basic, Bearer
from actions.auth.oauth2 import OAuth2
from actions.auth.oauth2_reading import oauth2_settings
from actions.auth.placing import AUTHORIZATION, Place, Spot
from actions.auth.together import Schemes
from actions.errors import Refused
from actions.specs.model import SecurityScheme


def read_auth(
    login: Mapping[str, Any] | None,
    described: Described | Mapping[str, SecurityScheme],
    context: LoginContext | None = None,
) -> Auth:
    """Return the credentials that a connection's `auth` means, secrets in plain text.

    `login` is the configuration's `auth` as plain values, see `service.config.logins`; where it does not say
    something, the description does. None means what the connection parameters alone are enough for. Raise
    Refused with every problem. Logins that fetch something need the context.
    """
    if not isinstance(described, Described):
        described = Described(schemes=described)
    if login is None:
        logins = described.implied()
        return _schemes(logins, described, context) if logins else NoAuth()
    if login.get("schemes") is None:
        return _read_one(login, described, context, "")
    return _schemes(login["schemes"], described, context)


def _schemes(
    logins: Mapping[str, Mapping[str, Any]], described: Described, context: LoginContext | None
) -> Auth:
    named: dict[str, Auth] = {}
    problems: list[tuple[str, str]] = []
    for name, one in logins.items():
        try:
            named[name] = _read_named(name, one, described, context)
        except Refused as error:
            below = error.problems or (("", str(error)),)
            problems += [(f"/schemes/{name}{pointer}", text) for pointer, text in below]
    if problems:
        raise Refused("; ".join(text for _, text in problems), tuple(problems))
    return Schemes(named)


def _read_named(
    name: str, login: Mapping[str, Any], described: Described, context: LoginContext | None
) -> Auth:
    if name not in described.schemes:
        near = get_close_matches(name, list(described.schemes), n=1, cutoff=0.6)
        known = f"; it has {', '.join(described.schemes)}" if described.schemes else ""
        meant = f"; did you mean {near[0]!r}?" if near else known
        raise Refused(f"auth: the description has no security scheme {name!r}{meant}")
    return _read_one(login, described.only(name), context, name)


def _read_one(
    login: Mapping[str, Any], described: Described, context: LoginContext | None, scheme: str
) -> Auth:
    prefix = login.get("prefix")
    if login.get("bearer") is not None:
        return Bearer(login["bearer"], AUTHORIZATION.prefix if prefix is None else prefix)
    for kind, made in (("basic", Basic), ("digest", Digest)):
        given = login.get(kind)
        if given is not None:
            return made(given["username"], given["password"])
    if login.get("jwt") is not None:
        return SelfSigned(read_assertion(login["jwt"]), _needed(context).clock, _spot(login))
    if login.get("oauth2") is not None:
        settings = oauth2_settings(login["oauth2"], described, _spot(login))
        return OAuth2(settings, _needed(context), scheme)
    return _api_key(login, described.schemes)


def _api_key(login: Mapping[str, Any], schemes: Mapping[str, SecurityScheme]) -> Auth:
    place, name = login.get("in"), login.get("name")
    if place is None or name is None:
        keys = {(one.location, one.parameter) for one in schemes.values() if one.kind == "apiKey"}
        if len(keys) != 1:
            told = "does not say where an API key goes" if not keys else "has several kinds of API keys"
            raise Refused(f"auth: the description {told}: say `in` and `name`")
        place, name = keys.pop()
    if place not in get_args(Place):
        raise Refused(f"auth: an API key goes into header, query or cookie, not {place!r}")
    return APIKey(cast(Place, place), name, login["api_key"], login.get("prefix") or "")


def _spot(login: Mapping[str, Any]) -> Spot:
    """Return where a token goes: into Authorization, unless `in`, `name` or `prefix` say otherwise."""
    place, name, prefix = login.get("in"), login.get("name"), login.get("prefix")
    if place is None:
        return AUTHORIZATION if prefix is None else Spot("header", AUTHORIZATION.name, prefix)
    return Spot(cast(Place, place), str(name), prefix or "")


def _needed(context: LoginContext | None) -> LoginContext:
    if context is None:
        raise Refused("auth: this login fetches tokens, which cannot be done here")
    return context
