"""The login of a person: an address for the browser, and what its redirect brings back (RFC 6749 §4.1).

What was begun is kept between the two halves, so that another process may finish it. Only the login that was
begun last can be finished, once, and not for long (RFC 9700: state and PKCE are both bound to it).
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from typing_extensions import override

from actions.auth.answers import Granted
from actions.auth.base import Begun, BrowserLogin, LoginContext
from actions.auth.discovery import same_issuer
from actions.auth.settings import OAuth2Settings, without_secrets
from actions.auth.token_server import TokenServer
from actions.auth.tokens import fingerprint
from actions.errors import Refused, RetryLater

LOGIN_WITHIN: Final = 600.0
"""Seconds from `begin` to `finish`."""

_MAX_RETURNED: Final = 8192


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a login that was begun."""

    of: str
    state: str
    verifier: str
    redirect: str
    expires_at: float
    issuer: str
    names_issuer: bool


class CodeLogin(BrowserLogin):
    """The two halves of one connection's login. `take` keeps the tokens that it brings."""

    def __init__(
        self,
        settings: OAuth2Settings,
        context: LoginContext,
        server: TokenServer,
        *,
        scheme: str,
        take: Callable[[Granted], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._context = context
        self._server = server
        self._scheme = scheme
        self._take = take
        self._key = f"{keeper_key(context.name, scheme)}/pending"

    @override
    async def begin(self, redirect: str = "") -> Begun:
        redirect = redirect or self._settings.redirect
        if not redirect:
            raise Refused("auth: say `redirect`, the URL that the token server sends the browser back to")
        state = f"{quote(self._context.name, safe='')}:{quote(self._scheme, safe='')}:{_random()}"
        verifier = _random()
        provider = await self._server.provider() if self._settings.discovery else None
        begun = Begun(
            url=await self._server.login_url(state=state, verifier=verifier, redirect=redirect),
            state=state,
            redirect=redirect,
            expires_at=self._context.clock() + LOGIN_WITHIN,
            verifier=verifier,
        )
        pending = _Pending(
            of=fingerprint(self._settings),
            state=state,
            verifier=verifier,
            redirect=redirect,
            expires_at=begun.expires_at,
            issuer=provider.issuer if provider else "",
            names_issuer=provider.names_issuer if provider else False,
        )
        await self._context.tokens.save(self._key, msgspec.json.encode(pending))
        self._context.reached("login.begun")
        return begun

    @override
    async def finish(self, returned: Mapping[str, str]) -> None:
        pending = await self._pending(returned.get("state", ""))
        self._context.reached("login.returned")
        hidden = (*self._settings.secrets, pending.verifier, pending.state)
        if "error" in returned:
            said = f"{returned['error']} {returned.get('error_description', '')}"
            raise Refused(f"the login was denied: {without_secrets(said, hidden)}")
        given = returned.get("iss", "")
        if (given or pending.names_issuer) and pending.issuer and not _is_from(pending.issuer, given):
            raise Refused("the redirect came from another issuer than the login was begun with (RFC 9207)")
        code = returned.get("code", "")
        if not code or len(code) > _MAX_RETURNED:
            raise Refused("the redirect brought no code")
        found = await self._server.by_code(code, pending.verifier, pending.redirect)
        if not isinstance(found, Granted):
            words = f"{found.text}; begin the login again"
            raise RetryLater(words) if found.cause == "busy" else Refused(words)
        await self._take(found)

    async def _pending(self, state: str) -> _Pending:
        """Return what was kept for this state, and forget it. Raise Refused when it is another's."""
        async with self._context.tokens.alone(self._key):  # a state that comes twice at once is taken once
            pending = _read_pending(await self._context.tokens.load(self._key))
            if pending is None or not hmac.compare_digest(
                pending.state.encode(), state.encode("utf-8", "replace")
            ):
                raise Refused(
                    "this login was not begun here, was finished already, or another was begun since"
                )
            await self._context.tokens.delete(self._key)
        if self._context.clock() >= pending.expires_at:
            raise Refused(f"the login took longer than {LOGIN_WITHIN:.0f} s: begin it again")
        if pending.of != fingerprint(self._settings):
            raise Refused("the connection has changed since the login was begun: begin it again")
        return pending


def _is_from(issuer: str, given: str) -> bool:
    """Compare the issuer of a redirect (RFC 9207 §2.4); one with a `{placeholder}` is that of any tenant."""
    return given == issuer or ("{" in issuer and same_issuer(issuer, given))


def _read_pending(kept: bytes | None) -> _Pending | None:
    try:
        return None if kept is None else msgspec.json.decode(kept, type=_Pending)
    except msgspec.MsgspecError:
        return None


def keeper_key(connection: str, scheme: str) -> str:
    """Return under which key the tokens of a login are kept."""
    return f"{connection}/{scheme}" if scheme else connection


def login_of(state: str) -> tuple[str, str]:
    """Return the connection and the scheme ("" for the only one) that a redirect's state belongs to.

    The state says so itself and anybody can write one: only `finish` knows whether it is good.
    """
    connection, _, rest = state.partition(":")
    return unquote(connection), unquote(rest.partition(":")[0])


def _random() -> str:
    return secrets.token_urlsafe(48)  # 64 characters: a verifier has 43 to 128 (RFC 7636 §4.1)
