"""What a Power Platform identity provider means for an OAuth 2 login: templates, tenants, resources. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from actions.auth.described import POWER_PLATFORM, Described, takes
from actions.auth.settings import Templates
from actions.auth.templates import named
from actions.specs.model import SecurityScheme

AZURE: Final = frozenset({"aad", "aadcertificate"})
_EXPRESSION: Final = re.compile(
    r"@\{?connectionParameters\(\s*'([^']*)'\s*(?:,\s*'([^']*)'\s*)?\)\}?", re.IGNORECASE
)


def defaults_of(scheme: SecurityScheme, described: Described) -> dict[str, Any]:
    """Return what the identity provider says about a login, under the names of the configuration."""
    platform = scheme.extras.get(POWER_PLATFORM)
    if not isinstance(platform, Mapping):
        return {}
    custom = {
        key.lower(): _resolved(str(value), described)
        for key, value in (platform.get("customParameters") or {}).items()
    }
    values = _values(scheme, described)
    provider = str(platform.get("identityProvider") or "").lower()
    found: dict[str, Any] = {
        "client_id": values.get("clientid", ""),
        "client_secret": values.get("clientsecret", ""),
        "client_auth": "client_secret_post",  # what the platform does
        "scopes": list(platform.get("scopes") or ()),
        "delimiter": custom.get("scopelistdelimiter") or " ",
    }
    if provider in AZURE:
        resource = custom.get("resourceuri", "")
        found |= (
            {"extra": {"resource": resource}, "authorization_extra": {"resource": resource}}
            if resource
            else {}
        )
    if provider == "oauth2generic":
        found["templates"] = _templates(scheme, custom, values, described)
    return {key: value for key, value in found.items() if value}


def tenant_url(scheme: SecurityScheme, url: str, described: Described) -> str:
    """Return a URL of Azure's for the tenant that the connection names instead of any tenant."""
    platform = scheme.extras.get(POWER_PLATFORM)
    if not isinstance(platform, Mapping):
        return url
    custom = {key.lower(): str(value) for key, value in (platform.get("customParameters") or {}).items()}
    tenant = _values(scheme, described).get("tenantid", "")
    return url.replace(f"/{custom.get('tenantid') or 'common'}/", f"/{tenant}/", 1) if tenant else url


def _values(scheme: SecurityScheme, described: Described) -> dict[str, str]:
    """Return what the parameters that belong to the login are, under the one spelling of their names."""
    return named(
        {word: described.value(name) for word, name in takes(scheme).items() if described.value(name)}
    )


def _templates(
    scheme: SecurityScheme, custom: Mapping[str, str], values: Mapping[str, str], described: Described
) -> Templates:
    parts = takes(scheme)
    hidden = (
        described.value(name) for name in {*parts.values(), *described.parameters} if described.hidden(name)
    )
    # Whatever the connection is given may stand in a template, the login's own parameters before all.
    every = named({name: described.value(name) for name in described.parameters if described.value(name)})
    return Templates(
        authorization_query=custom.get("authorizationurlquerystringtemplate", ""),
        token_query=custom.get("tokenurlquerystringtemplate", ""),
        token_body=custom.get("tokenbodytemplate", ""),
        refresh_query=custom.get("refreshurlquerystringtemplate", ""),
        refresh_body=custom.get("refreshbodytemplate", ""),
        values={**every, **values},
        hidden=tuple(one for one in hidden if one),
    )


def _resolved(text: str, described: Described) -> str:
    return _EXPRESSION.sub(lambda found: described.value(found[1]) or found[2] or "", text)
