"""What a description and a connection's own values tell a login: schemes, flows, parameters. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actions.specs.model import ConnectionParameter, SecurityScheme, Spec

FLOWS: Final = {
    "client_credentials": "clientCredentials",
    "password": "password",
    "authorization_code": "authorizationCode",
}
"""The flow of a description that a grant belongs to."""

POWER_PLATFORM: Final = "power-platform"
_POSTMAN: Final = "x-postman-variables"


def _anywhere(url: str) -> str:
    del url
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The security schemes of a description, and what a connection says beside its `auth`.

    `values` are those of the connection parameters in plain text, by name; `base` is the URL that relative
    ones are relative to; `unsafe` says why no secret may be sent to a URL, "" when it may.
    """

    schemes: Mapping[str, SecurityScheme] = field(default_factory=dict)
    parameters: Mapping[str, ConnectionParameter] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    base: str = ""
    unsafe: Callable[[str], str] = _anywhere

    def value(self, name: str) -> str:
        """Return the value of a connection parameter: the connection's, or the default; "" for neither."""
        found = self.values.get(name)
        if found is None and name in self.parameters:
            found = self.parameters[name].default
        return found or ""

    def hidden(self, name: str) -> bool:
        """Tell whether the value of a parameter may not be shown."""
        known = self.parameters.get(name)
        return known is None or known.kind in ("secret", "oauth")

    def only(self, name: str) -> "Described":
        """Return the same with one scheme alone."""
        return replace(self, schemes={name: self.schemes[name]})

    def implied(self) -> dict[str, dict[str, Any]]:
        """Return the logins, by scheme, that the connection parameters alone are enough for."""
        found = {}
        for name, scheme in self.schemes.items():
            login = None if scheme.problem else self._implied(scheme)
            if login is not None:
                found[name] = login
        return found

    def _implied(self, scheme: SecurityScheme) -> dict[str, Any] | None:
        given = {word: self.value(name) for word, name in takes(scheme).items()}
        if scheme.kind == "apiKey" and given.get("value"):
            return {"api_key": given["value"]}
        if scheme.kind == "http" and scheme.scheme in ("basic", "digest"):
            user, password = given.get("username", ""), given.get("password", "")
            return {scheme.scheme: {"username": user, "password": password}} if user else None
        if scheme.kind == "http" and given.get("token"):
            return {"bearer": given["token"]}
        if scheme.kind == "oauth2" and any(
            word.lower().endswith("clientid") for word in given if given[word]
        ):
            return {"oauth2": {}}
        return None


def described(
    spec: Spec, values: Mapping[str, str], base: str, unsafe: Callable[[str], str] = _anywhere
) -> Described:
    """Return what a description tells the logins of one connection."""
    return Described(
        schemes=spec.security_schemes, parameters=spec.parameters, values=values, base=base, unsafe=unsafe
    )


def takes(scheme: SecurityScheme) -> dict[str, str]:
    """Return which connection parameter fills which part of a scheme."""
    platform = scheme.extras.get(POWER_PLATFORM)
    if isinstance(platform, Mapping):
        return dict(platform.get("parameters") or {})
    variables = scheme.extras.get(_POSTMAN)
    if not isinstance(variables, Mapping):
        return {}
    return {
        "token" if word == "bearerToken" else word: names[0]
        for word, names in variables.items()
        if len(names) == 1
    }
