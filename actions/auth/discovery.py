"""Asks a provider where its endpoints are: OpenID Connect Discovery 1.0, RFC 8414. Trusts its issuer only."""

import re
from typing import Any, Final

import msgspec

from actions.auth.base import Fetch
from actions.errors import Refused, RetryLater
from actions.transport import Request, line_problems

KEPT_FOR: Final = 24 * 3600.0
"""Seconds for which what was found is used without asking again."""

_OPENID: Final = "/.well-known/openid-configuration"
_OAUTH: Final = "/.well-known/oauth-authorization-server"


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of itself."""

    issuer: str
    token_url: str
    authorization_url: str = ""
    client_auth: tuple[str, ...] = ()
    names_issuer: bool = False  # whether its redirects carry `iss` (RFC 9207)


async def discover(fetch: Fetch, url: str, deadline: float) -> Provider:
    """Fetch and check a provider's metadata; `url` is the issuer's or that of the document itself.

    Raise RetryLater while it does not answer, Refused when what it says cannot be trusted.
    """
    document, issuer = _places(url)
    answer = await fetch(Request("GET", document, (("Accept", "application/json"),)), deadline)
    if answer.status >= 500 or answer.status in (408, 429):
        raise RetryLater(f"discovery: {document} answered {answer.status}")
    if answer.status != 200:
        raise Refused(f"discovery: {document} answered {answer.status}: is this the issuer's URL?")
    try:
        found = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(f"discovery: {document} is no JSON object") from None
    return _provider(found, document, issuer)


def _places(url: str) -> tuple[str, str]:
    """Return where the document is, and which issuer it must name."""
    base = url.partition("?")[0].rstrip("/")
    if base.endswith(_OPENID):
        return url, base.removesuffix(_OPENID)
    if _OAUTH in base:  # RFC 8414 §3.1: between the host and the path of the issuer
        return url, base.replace(_OAUTH, "")
    return base + _OPENID, base


def _provider(found: dict[str, Any], document: str, issuer: str) -> Provider:
    says = found.get("issuer")
    if not isinstance(says, str) or not same_issuer(says, issuer):
        shown = f"{says[:200]!r}" if isinstance(says, str) else "none"
        raise Refused(f"discovery: {document} names the issuer {shown}, not {issuer!r}: it is not trusted")
    token_url, authorization_url = found.get("token_endpoint"), found.get("authorization_endpoint")
    if not isinstance(token_url, str) or not token_url:
        raise Refused(f"discovery: {document} names no token_endpoint")
    page = authorization_url if isinstance(authorization_url, str) else ""
    if page and line_problems("GET", page.replace("#", "", 1)):
        raise Refused(f"discovery: {document} names an authorization_endpoint that no browser may be sent to")
    methods = found.get("token_endpoint_auth_methods_supported")
    return Provider(
        issuer=says,
        token_url=token_url,
        authorization_url=page,
        client_auth=tuple(one for one in methods if isinstance(one, str))
        if isinstance(methods, list)
        else (),
        names_issuer=found.get("authorization_response_iss_parameter_supported") is True,
    )


def same_issuer(says: str, wanted: str) -> bool:
    """Compare issuers; a `{placeholder}` in what the provider says (Azure) stands for one segment."""
    pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^{}/]*\}", says.rstrip("/")))
    return re.fullmatch(pattern, wanted) is not None
