"""Asks one token server: works out where it is, proves the client, and reads the answer. Keeps no token.

Nothing of an engine leaves here: a server that cannot be reached is busy, one that may never be called is
nonsense. The client's secret goes to the token server's URL and nowhere else.
"""

from collections.abc import Callable
from typing import Final

from actions.auth.answers import Denied, Granted, read_token
from actions.auth.base import LoginContext
from actions.auth.discovery import KEPT_FOR, Provider, discover
from actions.auth.requests import (
    authorization_url,
    code_request,
    filled_url,
    primary_request,
    refresh_request,
    secrets_in,
)
from actions.auth.settings import ClientAuth, OAuth2Settings, without_secrets
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.transport import Request

FETCH_WITHIN: Final = 15.0
"""Seconds for one request to a token server; who waits for it may give up earlier."""

_Write = Callable[[str, ClientAuth], Request]


class TokenServer:
    """The token server of one login. Belongs to one event loop."""

    def __init__(self, settings: OAuth2Settings, context: LoginContext) -> None:
        self._settings = settings
        self._context = context
        self._client_auth: ClientAuth = settings.client_auth
        self._provider: Provider | None = None
        self._provider_until = float("-inf")

    @property
    def url(self) -> str:
        """Where tokens come from, as far as that is known; without its query, which may hold a secret."""
        settings = self._settings
        url = filled_url(settings, settings.token_url) or (self._provider.token_url if self._provider else "")
        return without_secrets(url.partition("?")[0], settings.secrets)

    async def by_grant(self) -> Granted | Denied:
        """Ask for a token by the configured grant."""
        return await self._ask(
            self._settings.token_url,
            lambda url, how: primary_request(self._settings, url, how, self._context.clock()),
        )

    async def by_refresh(self, refresh_token: str) -> Granted | Denied:
        """Ask for a token for a refresh token."""
        settings = self._settings
        return await self._ask(
            settings.refresh_url or settings.token_url,
            lambda url, how: refresh_request(settings, url, how, self._context.clock(), refresh_token),
            hidden=(refresh_token,),
        )

    async def by_code(self, code: str, verifier: str, redirect: str) -> Granted | Denied:
        """Ask for a token for the code that a browser brought."""
        settings = self._settings
        return await self._ask(
            settings.token_url,
            lambda url, how: code_request(
                settings, url, how, self._context.clock(), code=code, verifier=verifier, redirect=redirect
            ),
            hidden=(code, verifier),
        )

    async def login_url(self, *, state: str, verifier: str, redirect: str) -> str:
        """Return where a person logs in. Raise Refused where nobody says, RetryLater as discovery does."""
        settings = self._settings
        url = filled_url(settings, settings.authorization_url)
        if not url and settings.discovery:
            url = (await self.provider()).authorization_url
        if not url:
            raise Refused("auth: there is no authorization URL: say `authorization_url` or `discovery`")
        return authorization_url(settings, url, state=state, verifier=verifier, redirect=redirect)

    async def provider(self) -> Provider:
        """Return what the provider says of itself, asked once a day. Raises as `discover` does."""
        now = self._context.clock()
        if self._provider is None or now >= self._provider_until:
            self._provider = await discover(self._context.fetch, self._settings.discovery, FETCH_WITHIN)
            self._provider_until = now + KEPT_FOR
        return self._provider

    async def _ask(self, template: str, write: _Write, hidden: tuple[str, ...] = ()) -> Granted | Denied:
        hidden = (*hidden, *self._settings.secrets)
        try:
            url = filled_url(self._settings, template) or await self._discovered()
        except (RetryLater, OutcomeUnknown, Refused) as error:
            return _unanswered(error, hidden)
        found = await self._send(write(url, self._client_auth), hidden)
        if self._client_auth == "auto" and self._settings.client_secret:
            found = await self._settle_client_auth(found, url, write, hidden)
        return found

    async def _discovered(self) -> str:
        if not self._settings.discovery:
            raise Refused("auth: there is no token URL: say `token_url` or `discovery`")
        provider = await self.provider()
        takes = provider.client_auth
        if (
            self._client_auth == "auto"
            and "client_secret_basic" not in takes
            and "client_secret_post" in takes
        ):
            self._client_auth = "client_secret_post"
        return provider.token_url

    async def _send(self, request: Request, hidden: tuple[str, ...]) -> Granted | Denied:
        hidden = (*hidden, *secrets_in(request))
        try:
            answer = await self._context.fetch(request, FETCH_WITHIN)
        except (RetryLater, OutcomeUnknown, Refused) as error:
            return _unanswered(error, hidden)
        return read_token(answer, hidden, self._context.clock(), self._settings.delimiter)

    async def _settle_client_auth(
        self, found: Granted | Denied, url: str, write: _Write, hidden: tuple[str, ...]
    ) -> Granted | Denied:
        """Find out once whether the secret goes into the header or into the form."""
        if isinstance(found, Granted):
            self._client_auth = "client_secret_basic"
        elif found.cause == "client":
            other = await self._send(write(url, "client_secret_post"), hidden)
            if isinstance(other, Granted) or other.cause == "grant":
                self._client_auth = "client_secret_post"
                return other
        return found


def _unanswered(error: ActionError, hidden: tuple[str, ...]) -> Denied:
    """Return what it means that nothing came back."""
    text = without_secrets(str(error), hidden) or "the token server was not asked"
    after = error.after if isinstance(error, RetryLater) else None
    return Denied(cause="nonsense" if isinstance(error, Refused) else "busy", code="", text=text, after=after)
