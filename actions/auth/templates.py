"""Fills the templates that Power Platform's identity provider `oauth2generic` is described with. Pure.

A placeholder is `{Name}`, in any case: one of the login's own (ClientId, ClientSecret, RedirectUrl, Scopes,
State, Code, RefreshToken) or a connection parameter, written with or without its `token:`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import quote

PLACEHOLDER: Final = re.compile(r"\{\s*([A-Za-z_][A-Za-z0-9_.:-]{0,127})\s*\}")

_ALIASES: Final = {"scope": "scopes", "redirecturi": "redirecturl", "authorizationcode": "code"}


def name_of(written: str) -> str:
    """Return the one spelling of a placeholder's or parameter's name."""
    lower = written.lower().removeprefix("token:")
    return _ALIASES.get(lower, lower)


def named(values: Mapping[str, str]) -> dict[str, str]:
    """Return values under the one spelling of their names."""
    return {name_of(name): value for name, value in values.items()}


def missing(templates: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the placeholders, as written, that nothing is known for."""
    have = {name_of(name) for name in known}
    found = (written for template in templates for written in PLACEHOLDER.findall(template))
    return list(dict.fromkeys(written for written in found if name_of(written) not in have))


def fill_url(template: str, values: Mapping[str, str]) -> str:
    """Return a URL; values stand in it as they are, for they may be a host, or a whole URL."""
    return _fill(template, values, lambda value: value)


def fill_form(template: str, values: Mapping[str, str]) -> str:
    """Return a query or a form body; values are percent-encoded. Unknown placeholders are empty."""
    return _fill(template, values, lambda value: quote(value, safe=""))


def uses(template: str, name: str) -> bool:
    """Tell whether a template has a placeholder of this name."""
    return any(name_of(written) == name for written in PLACEHOLDER.findall(template))


def _fill(template: str, values: Mapping[str, str], write: Callable[[str], str]) -> str:
    return PLACEHOLDER.sub(lambda found: write(values.get(name_of(found[1]), "")), template)
