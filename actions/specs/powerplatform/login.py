"""What an apiProperties.json says about connections: parameters, parameter sets and how to log in.

Where a definition and its properties disagree about OAuth, the properties are right: they are what the
platform runs. Every scheme says in `extras["power-platform"]` which connection parameters it takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import (
    ConnectionParameter,
    Need,
    ParameterKind,
    Security,
    SecurityScheme,
    Spec,
)
from actions.specs.reading import Reading, text

POINTER: Final = "/properties"
_KINDS: Final[dict[str, ParameterKind]] = {
    "string": "string",
    "securestring": "secret",
    "int": "integer",
    "bool": "boolean",
    "oauthsetting": "oauth",
    "gatewaysetting": "gateway",
}
_LOGIN_URIS: Final = {
    "aad": ("https://login.windows.net", "/{tenant}/oauth2/authorize", "/{tenant}/oauth2/token"),
    "aadcertificate": ("https://login.windows.net", "/{tenant}/oauth2/authorize", "/{tenant}/oauth2/token"),
    "docusign": ("https://account.docusign.com", "/oauth/auth", "/oauth/token"),
}
"""Identity providers that are known by a login URI: its default, and what follows it."""
_URLS: Final = {
    "facebook": {
        "authorizationUrl": "https://www.facebook.com/v9.0/dialog/oauth",
        "tokenUrl": "https://graph.facebook.com/v9.0/oauth/access_token",
    },
}
_NAMES: Final = {
    "authorizationUrl": ("authorizationurl", "authorizationurltemplate"),
    "tokenUrl": ("tokenurl", "tokenurltemplate"),
    "refreshUrl": ("refreshurl", "refreshurltemplate"),
}
"""The URLs of a flow by the custom parameters that give them, in small letters."""
_KEPT: Final = ("clientId", "redirectMode", "redirectUrl", "properties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What connections to one connector give, and the OAuth scheme among it."""

    parameters: Mapping[str, ConnectionParameter] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    oauth: SecurityScheme | None = None

    def login(self, declared: Mapping[str, SecurityScheme]) -> SecurityScheme | None:
        """Return what a scheme means that the definition uses but does not declare."""
        if self.oauth:
            return self.oauth
        usable = next((one for one in declared.values() if not one.problem), None)
        if usable:
            return usable
        if self._named("username") and self._named("password"):
            return SecurityScheme(name="basic", kind="http", scheme="basic")
        return None

    def applied(self, spec: Spec) -> Spec:
        """Return the description with these parameters, and with security as the platform has it."""
        schemes = {name: self._linked(one) for name, one in spec.security_schemes.items()}
        oauth = self.oauth
        if oauth and not any(one.kind == "oauth2" for one in schemes.values()):
            schemes[oauth.name] = oauth
        spec = replace(spec, parameters=self.parameters, parameter_sets=self.sets, security_schemes=schemes)
        named = any(needs for one in spec.operations.values() for needs in one.security)
        if named or not schemes or not self.parameters:
            return spec
        security = self._implied(schemes)
        operations = {id_: replace(one, security=security) for id_, one in spec.operations.items()}
        return replace(spec, operations=operations)

    def _implied(self, schemes: Mapping[str, SecurityScheme]) -> Security:
        """Return the security of operations that name none: the platform takes the first scheme.

        Where only some of the sets take it, each of the others will do, and so will none.
        """
        name = next((name for name, one in schemes.items() if self.oauth and one.kind == "oauth2"), "")
        needed = (Need(scheme=name or next(iter(schemes))),)
        sets = self.parameters[self.oauth.name].sets if name and self.oauth else ()
        if not sets or len(sets) == len(self.sets):
            return (needed,)
        others = (
            (Need(scheme=other),) for other, one in schemes.items() if other != name and not one.problem
        )
        return (needed, *others, ())

    def _linked(self, scheme: SecurityScheme) -> SecurityScheme:
        """Return a scheme with the connection parameters that it takes."""
        oauth = self.oauth
        if scheme.kind == "oauth2" and oauth:
            given = dict(oauth.flows.get("authorizationCode", {}))
            written: dict[str, Any] = next(iter(scheme.flows.values()), {})
            if given.get("tokenUrl") or not written:
                given["scopes"] = {**written.get("scopes", {}), **given.get("scopes", {})}
                scheme = replace(scheme, kind="oauth2", problem="", flows={"authorizationCode": given})
            return replace(scheme, extras={**scheme.extras, **oauth.extras})
        taken: dict[str, str] = {}
        if scheme.kind == "http" and scheme.scheme == "basic":
            taken = {word: self._named(word) for word in ("username", "password")}
        elif scheme.kind == "apiKey":
            taken = {"value": self._key(scheme)}
        if not taken or not all(taken.values()):
            return scheme
        return replace(scheme, extras={**scheme.extras, "power-platform": {"parameters": taken}})

    def _named(self, word: str) -> str:
        """Return the parameter that is called like this, however it is spelt: `apiKey` is `api_key`."""
        wanted = _letters(word)
        return next((name for name in self.parameters if wanted and _letters(name) == wanted), "")

    def _key(self, scheme: SecurityScheme) -> str:
        for word in ("api_key", scheme.parameter.lower(), scheme.name.lower()):
            if self._named(word):
                return self._named(word)
        secrets = [one.name for one in self.parameters.values() if one.kind == "secret"]
        return secrets[0] if len(secrets) == 1 else ""


def _letters(name: str) -> str:
    return "".join(mark for mark in name.lower() if mark.isalnum())


def read_connection(reading: Reading, properties: Mapping[str, Any]) -> Connection:
    """Read `connectionParameters` and `connectionParameterSets`."""
    parameters: dict[str, ConnectionParameter] = {}
    oauth: list[SecurityScheme] = []
    sets: dict[str, str] = {}
    pointer = f"{POINTER}/connectionParameterSets/values"
    listed = reading.mapping(properties.get("connectionParameterSets"), pointer.rpartition("/")[0])
    for index, entry in enumerate(reading.listing(listed.get("values"), pointer)):
        value = reading.mapping(entry, f"{pointer}/{index}")
        name = text(value.get("name")) or f"set{index + 1}"
        sets[name] = _title(value.get("uiDefinition")) or name
        given = reading.mapping(value.get("parameters"), f"{pointer}/{index}/parameters")
        for key, member in given.items():
            at = f"{pointer}/{index}/parameters/{escape(key)}"
            one = _parameter(reading, key, member, at, oauth)
            known = parameters.get(key)
            if known and known.kind != one.kind:
                reading.add("connection-parameter", f"{key} is {known.kind} in another set; {name} too", at)
            base = known or one
            parameters[key] = replace(base, required=base.required or one.required, sets=(*base.sets, name))
    pointer = f"{POINTER}/connectionParameters"
    for key, member in reading.mapping(properties.get("connectionParameters"), pointer).items():
        if key not in parameters:
            parameters[key] = _parameter(reading, key, member, f"{pointer}/{escape(key)}", oauth)
    first = oauth[0] if oauth else None
    if first:
        links = {name.partition(":")[2]: name for name in parameters if name.startswith(f"{first.name}:")}
        kept = {**first.extras["power-platform"], "parameters": {"oauth": first.name, **links}}
        first = replace(first, extras={"power-platform": kept})
    return Connection(parameters=parameters, sets=sets, oauth=first)


def _parameter(
    reading: Reading, name: str, entry: Any, pointer: str, oauth: list[SecurityScheme]
) -> ConnectionParameter:
    value = reading.mapping(entry, pointer)
    written = text(value.get("type"))
    kind = _KINDS.get(written.strip().lower())
    if kind is None:
        reading.add("connection-parameter", f"{name}: the type {written[:40]!r} is not known", pointer)
    if kind == "oauth":
        settings = reading.mapping(value.get("oAuthSettings"), f"{pointer}/oAuthSettings")
        oauth.append(_scheme(reading, name, settings, f"{pointer}/oAuthSettings"))
    shown = value.get("uiDefinition")
    constraints = shown.get("constraints") if isinstance(shown, dict) else None
    constraints = constraints if isinstance(constraints, dict) else {}
    default = value.get("defaultValue", constraints.get("default"))
    allowed = value.get("allowedValues", constraints.get("allowedValues"))
    return ConnectionParameter(
        name=name,
        kind=kind or "string",
        required=text(constraints.get("required")).lower() == "true",
        default=None if default is None or isinstance(default, dict | list) else _word(default),
        enum=_allowed(allowed),
        description=_description(shown),
        extras={key: one for key, one in value.items() if key not in {"type", "oAuthSettings"}},
    )


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value)


def _allowed(value: Any) -> tuple[str, ...]:
    """Return the values allowed: plain ones, or objects with `value` and `text`."""
    listed = value if isinstance(value, list) else []
    values = [one.get("value", one.get("text")) if isinstance(one, dict) else one for one in listed]
    return tuple(_word(one) for one in values if isinstance(one, str | int | float | bool))


def _title(value: Any) -> str:
    shown = value if isinstance(value, dict) else {}
    return text(shown.get("displayName") or shown.get("displayname"))


def _description(value: Any) -> str:
    shown = value if isinstance(value, dict) else {}
    return text(shown.get("description") or shown.get("tooltip")) or _title(shown)


def _scheme(reading: Reading, name: str, settings: Mapping[str, Any], pointer: str) -> SecurityScheme:
    """Return the OAuth scheme of an `oauthSetting`; a client secret that was published is not kept."""
    provider = text(settings.get("identityProvider"))
    custom = _custom(settings.get("customParameters"))
    lower = {key.lower(): value for key, value in custom.items()}
    urls = {key: lower[word] for key, words in _NAMES.items() for word in words if lower.get(word)}
    urls = urls or dict(_URLS.get(provider.lower(), {})) or _login_urls(provider.lower(), lower)
    if not urls:
        message = f"the identity provider {provider[:60]!r} names no URL; the connection has to"
        reading.add("identity-provider", message, pointer)
    scopes = [
        word
        for one in reading.listing(settings.get("scopes"), f"{pointer}/scopes")
        for word in text(one).split()
    ]
    kept = {key: settings[key] for key in _KEPT if settings.get(key) is not None}
    return SecurityScheme(
        name=name,
        kind="oauth2",
        flows={"authorizationCode": {**urls, "scopes": dict.fromkeys(scopes, "")}},
        extras={
            "power-platform": {
                "identityProvider": provider,
                "customParameters": custom,
                "scopes": scopes,
                **kept,
            }
        },
    )


def _custom(value: Any) -> dict[str, str]:
    """Return custom parameters by name; each is written as `{"value": …}` or plainly."""
    given = value if isinstance(value, dict) else {}
    plain = {key: one.get("value") if isinstance(one, dict) else one for key, one in given.items()}
    return {key: _word(one) for key, one in plain.items() if isinstance(one, str | int | float | bool)}


def _login_urls(provider: str, custom: Mapping[str, str]) -> dict[str, str]:
    if provider not in _LOGIN_URIS:
        return {}
    base, login, token = _LOGIN_URIS[provider]
    base = (custom.get("loginuri") or base).rstrip("/")
    tenant = custom.get("tenantid") or "common"
    return {
        "authorizationUrl": base + login.replace("{tenant}", tenant),
        "tokenUrl": base + token.replace("{tenant}", tenant),
    }
