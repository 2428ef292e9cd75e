"""A token server of ours, over loopback sockets: what RFC 6749, 7523, 7636 and discovery ask of one.

It checks what it gets with code of its own and refuses what is not right; `faults` make it misbehave, one
request each. Secrets that it knows never leave it.
"""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from tests.fakes.raw_backend import RawBackend, Talk

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True)
class Heard:
    """One request, read."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[str, ...] = ("Content-Type: application/json",)


class Denied(Exception):
    """A token request that is refused."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.said = Said(
            status,
            msgspec.json.encode({"error": error, "error_description": description or f"because of {error}"}),
        )


Fault = Callable[[Heard], Awaitable[Said | None]]


def read(raw: bytes) -> Heard:
    """Read a request as the backend noted it."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    headers: dict[str, str] = {}
    for one in fields:
        name, _, value = one.partition(":")
        headers[name.lower()] = (
            f"{headers[name.lower()]}, {value.strip()}" if name.lower() in headers else value.strip()
        )
    return Heard(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)


async def serve(talk: Talk, answer: Callable[[Heard], Awaitable[Said]]) -> None:
    """Answer the requests of one connection, until it ends."""
    while True:
        said = await answer(read(await talk.request()))
        await talk.answer(said.body, f"{said.status} Said", *said.headers)


@dataclass
class TokenServer:
    """Knows clients, users and keys; gives tokens, and tells afterwards what it was asked.

    `life` is what it says of a token's life: seconds, a text, or None to say nothing. With `rotates` a refresh
    token is good once, and using it twice voids all that grew of it.
    """

    clients: dict[str, str] = field(default_factory=lambda: {"shop": "s3cr+t/=&client"})
    users: dict[str, str] = field(default_factory=lambda: {"anna": "p4ss wörd"})
    keys: dict[str, Any] = field(default_factory=dict)  # issuer → public key
    life: Any = 3600
    token_type: str = "Bearer"
    rotates: bool = False
    takes: tuple[str, ...] = ("basic", "post")
    scopes: Callable[[str], str | None] = lambda asked: None
    shape: str = "json"
    redirects: tuple[str, ...] = ("http://127.0.0.1:9/back",)
    names_issuer: bool = False
    issuer: str = ""
    refreshes: bool = True  # whether refresh tokens are given at all
    asked: list[Heard] = field(default_factory=list)
    discovered: int = 0
    faults: deque[Fault] = field(default_factory=deque)
    tokens: dict[str, str] = field(default_factory=dict)  # access token → scope
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # refresh token → family
    spent: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen_jti: set[str] = field(default_factory=set)
    base: str = ""

    @contextlib.asynccontextmanager
    async def listening(
        self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> AsyncIterator["TokenServer"]:
        backend = RawBackend(lambda talk: serve(talk, self._answer))
        async with backend.listening(context):
            self.base = f"{'https' if context else 'http'}://{host}:{backend.port}"
            self.issuer = self.issuer or self.base
            yield self

    @property
    def token_url(self) -> str:
        return f"{self.base}/token"

    @property
    def authorization_url(self) -> str:
        return f"{self.base}/authorize"

    def good(self, authorization: str) -> bool:
        """Say whether this field value carries a token that counts."""
        return authorization.removeprefix("Bearer ") in self.tokens

    def revoke(self) -> None:
        """Make all tokens given so far worthless."""
        self.tokens.clear()

    def secrets(self) -> set[str]:
        """Everything that was ever secret here."""
        return {*self.clients.values(), *self.users.values(), *self.tokens, *self.refresh_tokens, *self.spent}

    def first_refresh_token(self) -> str:
        """Make the first refresh token of a family."""
        token = f"refresh-{secrets.token_hex(12)}"
        self.refresh_tokens[token] = token
        return token

    # -- what browsers do

    def log_in(self, url: str, user: str = "anna") -> dict[str, str]:
        """Do what a person does at this address; return the query of the redirect."""
        parts = urlsplit(url)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        assert asked["client_id"] in self.clients
        assert asked["redirect_uri"] in self.redirects
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{secrets.token_hex(12)}"
        self.codes[code] = asked | {"user": user}
        issuer = {"iss": self.issuer} if self.names_issuer else {}
        return {"code": code, "state": asked["state"], **issuer}

    # -- what clients ask

    async def _answer(self, heard: Heard) -> Said:
        if heard.path in ("/.well-known/openid-configuration", "/tenant/.well-known/openid-configuration"):
            self.discovered += 1
            return self._discovery()
        self.asked.append(heard)
        if self.faults:
            said = await self.faults.popleft()(heard)
            if said is not None:
                return said
        if heard.path != "/token" or heard.method != "POST":
            return Said(404, b"nothing here", ("Content-Type: text/plain",))
        try:
            return self._grant(heard)
        except Denied as denied:
            return denied.said

    def _discovery(self) -> Said:
        return Said(
            body=msgspec.json.encode(
                {
                    "issuer": self.issuer,
                    "token_endpoint": self.token_url,
                    "authorization_endpoint": self.authorization_url,
                    "token_endpoint_auth_methods_supported": [f"client_secret_{one}" for one in self.takes],
                    "authorization_response_iss_parameter_supported": self.names_issuer,
                }
            )
        )

    def _grant(self, heard: Heard) -> Said:
        assert heard.headers["content-type"] == "application/x-www-form-urlencoded"
        form = heard.form
        grant = form.get("grant_type", "")
        if grant == JWT_BEARER:
            self._assertion(form["assertion"], self.token_url)
        else:
            client = self._client(heard, form)
        if grant == "client_credentials":
            return self._give(form)
        if grant == "password":
            if self.users.get(form.get("username", "")) != form.get("password"):
                raise Denied("invalid_grant", f"wrong password {form.get('password')}")
            return self._give(form, self.first_refresh_token() if self.refreshes else "")
        if grant == "refresh_token":
            return self._refresh(form)
        if grant == "authorization_code":
            return self._code(form, client)
        if grant == JWT_BEARER:
            return self._give(form)
        raise Denied("unsupported_grant_type")

    def _client(self, heard: Heard, form: Mapping[str, str]) -> str:
        header = heard.headers.get("authorization", "")
        if form.get("client_assertion"):
            claims = self._assertion(form["client_assertion"], self.token_url)
            if claims["sub"] != claims["iss"] or claims["sub"] not in self.clients:
                raise Denied("invalid_client", status=401)
            return str(claims["sub"])
        if header.startswith("Basic "):
            if "basic" not in self.takes:
                raise Denied("invalid_client", "the header is not taken", 401)
            name, _, secret = base64.b64decode(header[6:]).decode().partition(":")
            name, secret = unquote_plus(name), unquote_plus(secret)
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret", "")
            if secret and "post" not in self.takes:
                raise Denied("invalid_client", "the form is not taken", 401)
        if name not in self.clients or (self.clients[name] and self.clients[name] != secret):
            raise Denied("invalid_client", f"{name} is not {secret}", 401)
        return name

    def _assertion(self, text: str, audience: str) -> Mapping[str, Any]:
        try:
            issuer = msgspec.json.decode(base64.urlsafe_b64decode(text.split(".")[1] + "=="))["iss"]
            decoded = jwt.decode(text, self.keys[issuer], algorithms=["RS256", "ES256", "HS256"])
        except (JoseError, KeyError, ValueError) as error:
            raise Denied("invalid_grant", f"bad assertion: {type(error).__name__}") from error
        claims = decoded.claims
        if claims["aud"] != audience or claims["exp"] <= claims["iat"] or claims["jti"] in self.seen_jti:
            raise Denied("invalid_grant", "the assertion is for another, over, or was seen")
        self.seen_jti.add(claims["jti"])
        return claims

    def _refresh(self, form: Mapping[str, str]) -> Said:
        token = form.get("refresh_token", "")
        if token in self.spent:  # somebody has stolen one: void the whole family (RFC 9700 §4.14)
            family = self.spent[token]
            self.refresh_tokens = {one: of for one, of in self.refresh_tokens.items() if of != family}
        if token not in self.refresh_tokens:
            raise Denied("invalid_grant", f"the refresh token {token} is not known")
        following = ""
        if self.rotates:
            family = self.refresh_tokens.pop(token)
            self.spent[token] = family
            following = f"refresh-{secrets.token_hex(12)}"
            self.refresh_tokens[following] = family
        return self._give(form, following)

    def _code(self, form: Mapping[str, str], client: str) -> Said:
        begun = self.codes.pop(form.get("code", ""), None)
        if begun is None or begun["client_id"] != client or begun["redirect_uri"] != form.get("redirect_uri"):
            raise Denied("invalid_grant", "the code is not known")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
            raise Denied("invalid_grant", "the verifier does not fit the challenge")
        return self._give(begun, self.first_refresh_token() if self.refreshes else "")

    def _give(self, form: Mapping[str, str], refresh: str = "") -> Said:
        token = f"access-{secrets.token_hex(12)}"
        self.tokens[token] = form.get("scope", "")
        fields: dict[str, Any] = {"access_token": token, "token_type": self.token_type}
        if self.life is not None:
            fields["expires_in"] = self.life
        if refresh:
            fields["refresh_token"] = refresh
        scope = self.scopes(form.get("scope", ""))
        if scope is not None:
            fields["scope"] = scope
        if self.shape == "form":
            return Said(200, urlencode(fields).encode(), ("Content-Type: application/x-www-form-urlencoded",))
        return Said(200, msgspec.json.encode(fields))


# -- faults


def says(said: Said) -> Fault:
    """Answer one request with this."""

    async def fault(heard: Heard) -> Said:
        return said

    return fault


def fails(status: int = 503, *headers: str) -> Fault:
    return says(Said(status, b"<html>oops</html>", ("Content-Type: text/html", *headers)))


def denies(error: str, description: str = "", status: int = 400) -> Fault:
    return says(Denied(error, description, status).said)


class Held:
    """Holds one request back until `let_go`; tells when it is there."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, heard: Heard) -> Said | None:
        self.there.set()
        await self.let_go.wait()
        return None


async def breaks(heard: Heard) -> Said | None:
    """End the connection without an answer."""
    raise ConnectionResetError


@dataclass
class ProtectedAPI:
    """A backend that takes what `allows` allows, and counts."""

    allows: Callable[[Heard], bool]
    refuses: Said = Said(
        401, b'{"why": "token"}', ("WWW-Authenticate: Bearer", "Content-Type: application/json")
    )
    calls: list[Heard] = field(default_factory=list)
    taken: int = 0
    base: str = ""

    @contextlib.asynccontextmanager
    async def listening(
        self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> AsyncIterator["ProtectedAPI"]:
        backend = RawBackend(lambda talk: serve(talk, self._answer))
        async with backend.listening(context):
            self.base = f"{'https' if context else 'http'}://{host}:{backend.port}"
            yield self

    async def _answer(self, heard: Heard) -> Said:
        self.calls.append(heard)
        if not self.allows(heard):
            return self.refuses
        self.taken += 1
        return Said(200, b'{"ok": true}')


def public_key(private: str) -> Any:
    """Return the public half of a private key in PEM."""
    for kind in ("RSA", "EC"):
        with contextlib.suppress(JoseError, ValueError, AttributeError, TypeError):
            return jwk.import_key(jwk.import_key(private, kind).as_dict(private=False))
    raise AssertionError("no key")
