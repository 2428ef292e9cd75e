"""Writes what is sent to a token server, and the address that a person's browser is sent to. Pure.

RFC 6749 (grants, client authentication), 7523 (assertions), 7636 (PKCE). The client's secret stands in these
requests and in nothing else.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote_plus, urlencode

from actions.auth.settings import ClientAuth, OAuth2Settings
from actions.auth.templates import fill_form, fill_url, uses
from actions.transport import Request

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ACCEPT: Final = "application/json"

_HARMLESS: Final = frozenset(
    {
        "audience",
        "client_assertion_type",
        "client_id",
        "grant_type",
        "redirect_uri",
        "resource",
        "scope",
        "username",
    }
)
"""The fields of a token request that may be repeated."""

_FORM: Final = "application/x-www-form-urlencoded"


def primary_request(settings: OAuth2Settings, url: str, client_auth: ClientAuth, now: float) -> Request:
    """Return the request for a token by the configured grant; not for those that a person begins."""
    fields: dict[str, str] = {"grant_type": settings.grant}
    if settings.grant == "password":
        fields |= {"username": settings.username, "password": settings.password}
    elif settings.grant == "jwt_bearer" and settings.assertion is not None:
        assertion = settings.assertion.sign(now, issuer=settings.client_id, audience=url)
        fields = {"grant_type": JWT_BEARER, "assertion": assertion}
    if settings.scopes:
        fields["scope"] = settings.delimiter.join(settings.scopes)
    return _request(settings, url, fields | dict(settings.extra), client_auth, now)


def refresh_request(
    settings: OAuth2Settings, url: str, client_auth: ClientAuth, now: float, refresh_token: str
) -> Request:
    """Return the request that turns a refresh token into a token; the scopes stay as granted."""
    templates = settings.templates
    if templates and uses(templates.refresh_body, "refreshtoken"):
        values = _values(settings, refreshtoken=refresh_token)
        return _filled(url, templates.refresh_query, templates.refresh_body, values)
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    query = fill_form(templates.refresh_query, _values(settings)) if templates else ""
    return _request(settings, with_query(url, query), fields | dict(settings.extra), client_auth, now)


def code_request(
    settings: OAuth2Settings,
    url: str,
    client_auth: ClientAuth,
    now: float,
    *,
    code: str,
    verifier: str,
    redirect: str,
) -> Request:
    """Return the request that turns the code of a browser's redirect into a token."""
    templates = settings.templates
    if templates and templates.token_body:
        values = _values(settings, code=code, redirecturl=redirect)
        body = templates.token_body + f"&code_verifier={verifier}"
        return _filled(url, templates.token_query, body, values)
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier,
    }
    query = fill_form(templates.token_query, _values(settings)) if templates else ""
    return _request(settings, with_query(url, query), fields | dict(settings.extra), client_auth, now)


def authorization_url(settings: OAuth2Settings, url: str, *, state: str, verifier: str, redirect: str) -> str:
    """Return where a person logs in; what comes back is proven by `verifier` (S256)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    proof = {"code_challenge": challenge, "code_challenge_method": "S256"}
    templates = settings.templates
    if templates and templates.authorization_query:
        values = _values(settings, state=state, redirecturl=redirect)
        url = with_query(url, fill_form(templates.authorization_query, values))
        if not uses(templates.authorization_query, "state"):
            proof["state"] = state  # what comes back without it belongs to nobody
        return with_query(url, urlencode(proof | dict(settings.authorization_extra)))
    fields = {"response_type": "code", "client_id": settings.client_id, "redirect_uri": redirect}
    if settings.scopes:
        fields["scope"] = settings.delimiter.join(settings.scopes)
    return with_query(url, urlencode(fields | {"state": state} | proof | dict(settings.authorization_extra)))


def secrets_in(request: Request) -> tuple[str, ...]:
    """Return what in a token request nobody may see: an answer may repeat it."""
    form = parse_qsl(request.body.decode(), keep_blank_values=True) + parse_qsl(request.url.partition("?")[2])
    proof = (request.header("authorization") or "").removeprefix("Basic ")
    return tuple(value for name, value in (*form, ("", proof)) if value and name.lower() not in _HARMLESS)


def with_query(url: str, query: str) -> str:
    """Return the URL with more fields in its query; `query` may begin with a question mark."""
    query = query.lstrip("?&")
    if not query:
        return url
    base, mark, before = url.partition("?")
    before = before.rstrip("&")
    return f"{base}?{before}&{query}" if mark and before else f"{base}?{query}"


def _request(
    settings: OAuth2Settings, url: str, fields: Mapping[str, str], client_auth: ClientAuth, now: float
) -> Request:
    """Return a token request in which the client proves itself."""
    fields = dict(fields)
    headers: tuple[tuple[str, str], ...] = (("Content-Type", _FORM), ("Accept", ACCEPT))
    secret = settings.client_secret
    if client_auth == "private_key_jwt" and settings.assertion is not None:
        client = settings.client_id
        proof = settings.assertion.sign(now, issuer=client, subject=client, audience=url)
        fields |= {"client_assertion_type": CLIENT_ASSERTION, "client_assertion": proof, "client_id": client}
    elif client_auth in ("auto", "client_secret_basic") and secret:
        # RFC 6749 §2.3.1: both are form-encoded before they are put together.
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
        encoded = base64.b64encode(pair.encode()).decode("ascii")
        headers = (*headers, ("Authorization", f"Basic {encoded}"))
    elif settings.client_id:
        fields["client_id"] = settings.client_id
        if client_auth == "client_secret_post" and secret:
            fields["client_secret"] = secret
    return Request("POST", url, headers, urlencode(fields).encode())


def _filled(url: str, query: str, body: str, values: Mapping[str, str]) -> Request:
    headers = (("Content-Type", _FORM), ("Accept", ACCEPT))
    return Request(
        "POST", with_query(url, fill_form(query, values)), headers, fill_form(body, values).encode()
    )


def _values(settings: OAuth2Settings, **more: str) -> dict[str, str]:
    """Return what the placeholders mean; the connection's parameters win where they bring the name."""
    own = {
        "clientid": settings.client_id,
        "clientsecret": settings.client_secret,
        "scopes": settings.delimiter.join(settings.scopes),
        "redirecturl": settings.redirect,
    }
    given = settings.templates.values if settings.templates else {}
    return {**own, **given, **more}


def filled_url(settings: OAuth2Settings, template: str) -> str:
    """Return the URL that a template means; one without placeholders is itself."""
    return fill_url(template, _values(settings)) if settings.templates else template
