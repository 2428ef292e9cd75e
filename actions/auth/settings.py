"""What an OAuth 2 login is made of, worked out from configuration and description. Values only."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote, quote_plus

from actions.auth.assertions import Assertion
from actions.auth.base import MASK
from actions.auth.placing import AUTHORIZATION, Spot

Grant = Literal["client_credentials", "password", "refresh_token", "jwt_bearer", "authorization_code"]
GRANTS: Final[tuple[Grant, ...]] = (
    "client_credentials",
    "password",
    "refresh_token",
    "jwt_bearer",
    "authorization_code",
)

ClientAuth = Literal["auto", "client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
"""How the client proves itself to the token server; auto: basic, and post where basic is not taken."""

_SHORTEST: Final = 4
_MAX_TEXT: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """When an answer of the backend means that the token has expired, beside 401."""

    statuses: tuple[int, ...] = ()
    body_contains: str = ""

    def matches(self, status: int, body: bytes) -> bool:
        """Tell whether this answer says so: where both are given, both must fit."""
        if not self.statuses and not self.body_contains:
            return False
        fits = not self.statuses or status in self.statuses
        return fits and (not self.body_contains or self.body_contains.encode() in body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """Request bodies and queries as Power Platform's `oauth2generic` writes them, "" where there is none.

    `values` are what the `{placeholders}` mean, by lower-case name; the names that belong to a login under
    way (`code`, `state`, …) are added when it is. `hidden` are those values that nobody may see.
    """

    authorization_query: str = ""
    token_query: str = ""
    token_body: str = ""
    refresh_query: str = ""
    refresh_body: str = ""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Settings:
    """One OAuth 2 login. URLs are absolute, or empty where `discovery` is to tell them."""

    grant: Grant
    token_url: str = ""
    refresh_url: str = ""
    authorization_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    client_auth: ClientAuth = "auto"
    scopes: tuple[str, ...] = ()
    delimiter: str = " "
    username: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    assertion: Assertion | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    authorization_extra: Mapping[str, str] = field(default_factory=dict, repr=False)
    discovery: str = ""
    redirect: str = ""
    spot: Spot = AUTHORIZATION
    expired: Expired = Expired()
    templates: Templates | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything in here that nobody may see."""
        extra = (one for one in (*self.extra.values(), *self.authorization_extra.values()) if len(one) > 5)
        more = self.templates.hidden if self.templates else ()
        given = (self.client_secret, self.password, self.refresh_token, *extra, *more)
        return tuple(one for one in given if one)


def without_secrets(text: str, hidden: Iterable[str]) -> str:
    """Return what a server said, printable and short, without any of these secrets in any spelling.

    Where a secret is so short that hiding it would garble everything, nothing is repeated at all.
    """
    spellings: set[str] = set()
    for secret in hidden:
        if secret:
            encoded = base64.b64encode(secret.encode()).decode("ascii")
            spellings |= {secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")}
    if any(len(one) < _SHORTEST and one in text for one in spellings):
        return ""
    for one in sorted(spellings, key=len, reverse=True):
        text = text.replace(one, MASK)
    cleaned = "".join(mark if mark.isprintable() else " " for mark in text)
    cleaned = " ".join(cleaned.split())
    return cleaned if len(cleaned) <= _MAX_TEXT else cleaned[:_MAX_TEXT] + "…"
