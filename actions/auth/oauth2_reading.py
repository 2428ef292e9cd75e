"""From a connection's `auth: {oauth2: …}` and a description's scheme to the settings of one login. Pure."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

from actions.addresses import read_server
from actions.auth.assertions import read_assertion
from actions.auth.described import FLOWS, Described
from actions.auth.placing import Spot
from actions.auth.power_platform import defaults_of, tenant_url
from actions.auth.settings import GRANTS, ClientAuth, Expired, Grant, OAuth2Settings, Templates
from actions.auth.templates import missing
from actions.errors import Refused
from actions.specs.model import SecurityScheme
from actions.transport import line_problems

_LOGINS: Final = frozenset({"oauth2", "openIdConnect"})
_OWN: Final = ("clientid", "clientsecret", "scopes", "redirecturl", "state", "code", "refreshtoken")


def oauth2_settings(given: Mapping[str, Any], described: Described, spot: Spot) -> OAuth2Settings:
    """Return one login's settings. Raise Refused with every problem, as (pointer, text) too."""
    reader = _Reader(given, described)
    settings = reader.read(spot)
    if reader.problems:
        text = "; ".join(text for _, text in reader.problems)
        raise Refused(f"auth: {text}", tuple((f"/oauth2{where}", why) for where, why in reader.problems))
    return settings


class _Reader:
    """Puts a login together: what the configuration says wins over what the description does."""

    def __init__(self, given: Mapping[str, Any], described: Described) -> None:
        self.problems: list[tuple[str, str]] = []
        self._described = described
        self._scheme = self._one_scheme()
        defaults = defaults_of(self._scheme, described) if self._scheme else {}
        self._given = {**defaults, **{key: value for key, value in given.items() if _said(value)}}
        for key in ("extra", "authorization_extra"):
            self._given[key] = {**defaults.get(key, {}), **(given.get(key) or {})}
        self._grant = self._choose_grant()

    def read(self, spot: Spot) -> OAuth2Settings:
        given, grant = self._given, self._grant
        flow = self._flow()
        templates: Templates | None = given.get("templates")
        discovery = self._url("discovery", self._discovered_by_scheme(), None)
        token_url = self._url("token_url", flow.get("tokenUrl"), templates)
        assertion = self._assertion()
        settings = OAuth2Settings(
            grant=grant,
            token_url=token_url,
            refresh_url=self._url("refresh_url", flow.get("refreshUrl"), templates),
            authorization_url=self._url("authorization_url", flow.get("authorizationUrl"), templates),
            client_id=given.get("client_id") or "",
            client_secret=given.get("client_secret") or "",
            client_auth=self._client_auth(),
            scopes=tuple(given.get("scopes") or ()),
            delimiter=given.get("delimiter") or " ",
            username=given.get("username") or "",
            password=given.get("password") or "",
            refresh_token=given.get("refresh_token") or "",
            assertion=assertion,
            extra=given["extra"],
            authorization_extra=given["authorization_extra"],
            discovery="" if token_url and not given.get("discovery") else discovery,
            redirect=given.get("redirect") or "",
            spot=spot,
            expired=_expired(given.get("expired_when")),
            templates=templates,
        )
        self._judge(settings)
        return settings

    # -- what the description says

    def _one_scheme(self) -> SecurityScheme | None:
        """Return the scheme that the login belongs to; several are fine where they mean the same server."""
        found = [one for one in self._described.schemes.values() if one.kind in _LOGINS]
        return found[0] if found else None

    def _flow(self) -> Mapping[str, Any]:
        """Return the URLs of the flow for our grant; any other flow's where it has none of its own."""
        wanted = FLOWS.get(self._grant, "")
        flows = [one for one in self._flows().values() if isinstance(one, Mapping)]
        own = self._flows().get(wanted)
        if isinstance(own, Mapping):
            return own
        urls = {one.get("tokenUrl") for one in flows if one.get("tokenUrl")}
        if len(urls) > 1 and "token_url" not in self._given:
            self.problems.append(("/token_url", "the description has several token URLs: say `token_url`"))
        known = next((one for one in flows if one.get("tokenUrl")), None)
        return known or next(iter(flows), {})  # the implicit flow knows where people log in

    def _flows(self) -> Mapping[str, Any]:
        return self._scheme.flows if self._scheme else {}

    def _discovered_by_scheme(self) -> str:
        scheme = self._scheme
        return scheme.url if scheme is not None and scheme.kind == "openIdConnect" else ""

    def _choose_grant(self) -> Grant:
        given = self._given
        if given.get("grant") in GRANTS:
            grant: Grant = given["grant"]
            return grant
        if given.get("refresh_token"):
            return "refresh_token"
        if given.get("username"):
            return "password"
        if given.get("assertion") and not given.get("client_id"):
            return "jwt_bearer"
        flows = self._flows()
        if flows and "clientCredentials" not in flows and "authorizationCode" in flows:
            return "authorization_code"
        return "client_credentials"

    # -- single parts

    def _url(self, field: str, told: Any, templates: Templates | None) -> str:
        """Return a URL of ours, absolute; a description's may be relative to the API."""
        url = self._given.get(field) or (told if isinstance(told, str) else "")
        if not url:
            return ""
        if self._scheme is not None:
            url = tenant_url(self._scheme, url, self._described)
        if templates is not None:
            unknown = missing([url], [*templates.values, *_OWN])
            if unknown:
                what = ", ".join(unknown)
                self.problems.append((f"/{field}", f"the URL needs {what}: give it under `parameters`"))
            if "{" in url:
                return url
        if "://" not in url and self._described.base:
            url = urljoin(self._described.base.rstrip("/") + "/", url)
        page = field == "authorization_url"
        wrong = _wrong_with(url, page=page) or self._described.unsafe(url)
        if wrong:
            self.problems.append((f"/{field}", f"`{field}` cannot be called: {wrong}"))
        return url

    def _assertion(self) -> Any:
        if not self._given.get("assertion"):
            return None
        try:
            return read_assertion(self._given["assertion"])
        except Refused as error:
            self.problems.append(("/assertion", str(error).removeprefix("auth: ")))
            return None

    def _client_auth(self) -> ClientAuth:
        given: ClientAuth | None = self._given.get("client_auth")
        if given:
            return given
        if self._given.get("assertion") and self._grant != "jwt_bearer":
            return "private_key_jwt"
        return "auto" if self._given.get("client_secret") else "none"

    def _judge(self, settings: OAuth2Settings) -> None:
        """Find what is missing for the grant."""
        if not settings.token_url and not settings.discovery and not self.problems:
            self.problems.append(
                (
                    "",
                    "neither the description nor the connection says where tokens come from: say `token_url`",
                )
            )
        wanted: dict[Grant, tuple[str, ...]] = {
            "client_credentials": ("client_id",),
            "password": ("username", "password"),
            "refresh_token": ("refresh_token",),
            "jwt_bearer": ("assertion",),
            "authorization_code": ("client_id",),
        }
        templates = settings.templates
        for field in wanted[settings.grant]:
            if field == "client_id" and templates and _has_client(templates):
                continue
            if not self._given.get(field):
                self.problems.append((f"/{field}", f"the grant {settings.grant} needs `{field}`"))
        needs_secret = settings.client_auth in ("client_secret_basic", "client_secret_post")
        if needs_secret and not settings.client_secret and settings.grant == "client_credentials":
            self.problems.append(("/client_secret", "the client has to prove itself: give `client_secret`"))
        if settings.client_auth == "private_key_jwt" and settings.assertion is None and not self.problems:
            self.problems.append(
                ("/assertion", "private_key_jwt signs with a key: give `assertion: {key: …}`")
            )
        if (
            settings.grant == "authorization_code"
            and not settings.authorization_url
            and not settings.discovery
        ):
            self.problems.append(
                ("/authorization_url", "nobody says where people log in: say `authorization_url`")
            )


def _wrong_with(url: str, *, page: bool) -> str:
    """Return why a URL cannot be called; authors leave `<<your tenant here>>` in theirs.

    A `page` is for a browser, which does more with a URL than we do: some have a fragment.
    """
    scheme, mark, rest = url.partition("://")
    authority = rest.partition("?")[0].partition("/")[0]
    place, wrong = read_server(f"{scheme}{mark}{authority}")
    if place is None or scheme not in ("http", "https"):
        return "; ".join(wrong) or "it is not https://host/path"
    return "; ".join(line_problems("GET", url.replace("#", "", 1) if page else url))


def _has_client(templates: Templates) -> bool:
    return any(name.endswith("clientid") for name in templates.values)


def _said(value: Any) -> bool:
    return value is not None and value not in ("", (), [], {})


def _expired(given: Mapping[str, Any] | None) -> Expired:
    if not given:
        return Expired()
    return Expired(statuses=tuple(given.get("status") or ()), body_contains=given.get("body_contains") or "")
