"""Logins of a collection as security schemes. Credentials that stand in a collection are never kept.

What is kept is which `{{variables}}` a login is made of, so that people know what to give the connection.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from actions.specs.model import Need, SecurityScheme
from actions.specs.postman.calls import Login
from actions.specs.postman.variables import PLACEHOLDER, Variables, names
from actions.specs.reading import TOKEN, Reading

_UNABLE: Final[Mapping[str, str]] = {
    "oauth1": "signs every request by OAuth 1, which is not done here",
    "hawk": "signs every request by Hawk, which is not done here",
    "awsv4": "signs every request by AWS Signature Version 4, which is not done here",
    "ntlm": "logs in by NTLM, which binds a connection to a user; that is not done here",
    "edgegrid": "signs every request by Akamai EdgeGrid, which is not done here",
    "jwt": "makes a signed token for every request, which is not done here; give the token as a bearer's",
    "asap": "makes a signed ASAP token for every request, which is not done here",
}
_SECRET: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("password", "username"),
    "digest": ("password", "username"),
    "bearer": ("token", "bearerToken"),
    "apikey": ("value",),
    "oauth2": ("accessToken", "clientSecret", "clientId", "password", "username", "refreshToken"),
}
"""The parts that are a credential, the one that tells logins apart first."""

_GRANTS: Final[Mapping[str, str]] = {
    "authorization_code": "authorizationCode",
    "authorization_code_with_pkce": "authorizationCode",
    "implicit": "implicit",
    "password_credentials": "password",
    "password": "password",
    "client_credentials": "clientCredentials",
}
KEY_NAME: Final = re.compile(
    r"(?:x-(?:[a-z0-9]+-){0,2})?(?:api[-_]?key|(?:auth|access|secret)[-_]?token|(?:ocp-apim-)?subscription-key)",
    re.IGNORECASE,
)
"""Headers and parameters that are a login, vendors' own (`X-V-Api-Key`) too, whatever else is said."""
_WORD: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class Schemes:
    """The security schemes of a collection, named once all logins are known."""

    def __init__(self, reading: Reading, variables: Variables) -> None:
        self._reading = reading
        self._variables = variables
        self._wanted: dict[tuple[str, ...], tuple[Login, str]] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def see(self, login: Login, pointer: str) -> None:
        """Take note of a login, and of where it stands first."""
        if login.kind != "noauth":
            self._wanted.setdefault(_identity(login), (login, pointer))

    def need(self, login: Login) -> Need:
        """Return the scheme of a login that was seen; call `schemes` before."""
        scopes = names_of_scopes(login) if login.kind == "oauth2" else ()
        return Need(scheme=self._names[_identity(login)], scopes=scopes)

    def schemes(self) -> dict[str, SecurityScheme]:
        """Name and return all schemes."""
        words: dict[str, list[tuple[str, ...]]] = {}
        for identity, (login, _) in self._wanted.items():
            words.setdefault(_word(login), []).append(identity)
        made: dict[str, SecurityScheme] = {}
        for word, identities in words.items():
            for identity in identities:
                login, pointer = self._wanted[identity]
                name = word if len(identities) == 1 else _apart(word, identity[-1], made)
                self._names[identity] = name
                made[name] = self._scheme(name, login, pointer)
        return made

    def _scheme(self, name: str, login: Login, pointer: str) -> SecurityScheme:
        kind, values = login.kind, login.values
        secrets = {key: values[key] for key in _SECRET.get(kind, ()) if values.get(key)}
        if any(PLACEHOLDER.sub("", value).strip() for value in secrets.values()):
            message = f"the login {name} stands in the collection itself; not kept, the connection gives it"
            self._reading.add("credential", message, pointer, severity="info")
        variables = {key: names(value) for key, value in secrets.items() if names(value)}
        extras: dict[str, Any] = {"x-postman-auth": kind}
        if variables:
            extras["x-postman-variables"] = variables
        problem = _UNABLE.get(kind, "")
        if kind in ("basic", "digest", "bearer"):
            return SecurityScheme(name=name, kind="http", scheme=kind, extras=extras)
        if kind == "apikey":
            parameter = values.get("key", "")
            location = "query" if values.get("in") == "query" else "header"
            if not parameter or (location == "header" and not TOKEN.fullmatch(parameter)):
                problem = "names no header or parameter that could carry the key"
            made = SecurityScheme(
                name=name,
                kind="apiKey",
                location=location,
                parameter=parameter,
                problem=problem,
                extras=extras,
            )
        elif kind == "oauth2":
            made = _oauth2(name, login, self._variables, extras)
        else:
            problem = problem or f"logs in by {kind[:40]!r}, which is not known"
            made = SecurityScheme(
                name=name, kind="http", scheme=kind[:40].lower(), problem=problem, extras=extras
            )
        if made.problem:
            self._reading.add("security-scheme", f"the login {name} {made.problem}", pointer)
        return made


def names_of_scopes(login: Login) -> tuple[str, ...]:
    """Return the scopes that a login asks for."""
    scope = login.values.get("scope", "")
    return tuple(one for one in re.split(r"[\s,]+", scope) if one and "{{" not in one)


def _identity(login: Login) -> tuple[str, ...]:
    """Return what makes two logins the same: the way, where it goes, and the variable that it is made of."""
    values = login.values
    deciding = values.get(next(iter(_SECRET.get(login.kind, ("",)))), "")
    variable = ",".join(names(deciding))
    if login.kind == "apikey":
        return "apikey", values.get("in", "header"), values.get("key", "").lower(), variable
    if login.kind == "oauth2":
        return (
            "oauth2",
            _grant(login),
            values.get("authUrl", ""),
            values.get("accessTokenUrl", ""),
            values.get("addTokenTo", ""),
            variable,
        )
    return login.kind, variable


def _word(login: Login) -> str:
    word = login.values.get("key", "") if login.kind == "apikey" else login.kind
    return _WORD.sub("_", word)[:40] or "login"


def _apart(word: str, variable: str, taken: Iterable[str]) -> str:
    name = _WORD.sub("_", f"{word}_{variable}" if variable else word)[:60]
    count, made = 1, name
    while made in taken:
        count += 1
        made = f"{name}_{count}"
    return made


def _grant(login: Login) -> str:
    return login.values.get("grant_type") or login.values.get("grantType", "")


def _oauth2(name: str, login: Login, variables: Variables, extras: dict[str, Any]) -> SecurityScheme:
    """Return OAuth 2 as the flow that is described, or as the bearer of a token where none is."""
    values = login.values
    if values.get("addTokenTo") in ("queryParams", "url"):
        return SecurityScheme(
            name=name, kind="apiKey", location="query", parameter="access_token", extras=extras
        )
    flow: dict[str, Any] = {"scopes": dict.fromkeys(names_of_scopes(login), "")}
    kind = _GRANTS.get(_grant(login), "authorizationCode" if values.get("authUrl") else "clientCredentials")
    if values.get("authUrl") and kind in ("authorizationCode", "implicit"):
        flow["authorizationUrl"] = variables.fill(values["authUrl"])
    if values.get("accessTokenUrl") and kind != "implicit":
        flow["tokenUrl"] = variables.fill(values["accessTokenUrl"])
    if len(flow) == 1:  # only a token that somebody has already
        return SecurityScheme(name=name, kind="http", scheme="bearer", extras=extras)
    return SecurityScheme(name=name, kind="oauth2", flows={kind: flow}, extras=extras)


def of_query(name: str, value: str) -> Login | None:
    """Return the login that a parameter of the query is, None when it is none."""
    if KEY_NAME.fullmatch(name) and value.strip():
        return Login(kind="apikey", values={"key": name, "in": "query", "value": value})
    return None


def of_header(name: str, value: str) -> Login | None:
    """Return the login that a header is, None when it is none."""
    if name.lower() == "authorization":
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return Login(kind="bearer", values={"token": rest})
        if scheme.lower() == "basic":
            return Login(kind="basic", values={"password": rest})
        return Login(kind="apikey", values={"key": name, "in": "header", "value": value})
    if KEY_NAME.fullmatch(name) and value.strip():
        return Login(kind="apikey", values={"key": name, "in": "header", "value": value})
    return None
