"""An OAuth 2 login: one token for all calls of a connection, fetched once, renewed in time, never by storm.

Whoever needs a token waits for the one fetch that is under way. It is a task of its own, so that a caller
who gives up does not lose a rotated refresh token; it ends by itself, and `close` waits for it a little.
Logins of the same connection, one for each version of its description, take turns where a token is kept.
What a token server gave is kept first and used then.
"""

import asyncio
import logging
from collections import deque
from typing import Final

import msgspec
from typing_extensions import override

from actions.auth.answers import Denied, Granted
from actions.auth.base import MASK, Auth, BrowserLogin, Fetched, LoginContext, LoginPhase, LoginState
from actions.auth.browser import CodeLogin, keeper_key
from actions.auth.settings import OAuth2Settings
from actions.auth.token_server import FETCH_WITHIN, TokenServer
from actions.auth.tokens import Record, Token, decode, encode, fingerprint, make_token
from actions.base import Answer
from actions.errors import ActionError, LoginRequired, RetryLater
from actions.transport import Request

FRESH: Final = 1.0
"""Seconds. Where a token that replaced a refused one is refused too, the next one would not be better."""

KEPT_REASONS: Final = 20
"""How many fetches `states` tells of."""

_CARRIED: Final = 3
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 300.0
_CLOSE_WITHIN: Final = 4.0  # a request that is given up may cost a refresh token
_NEVER_ECHOED: Final = frozenset({"offline_access", "openid"})
_log = logging.getLogger(__name__)


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no token. Nobody is asked again before `until`; `person`: somebody has to act."""

    text: str
    until: float
    person: bool
    fix: str = ""

    def error(self, now: float) -> ActionError:
        """Return what to raise to a caller."""
        if self.person:
            return LoginRequired(f"{self.text}; {self.fix}")
        return RetryLater(self.text, after=max(self.until - now, 0.0))


class OAuth2(Auth):
    """Tokens by one grant. Shared by all calls of a connection; belongs to one event loop."""

    needs_ready = True

    def __init__(self, settings: OAuth2Settings, context: LoginContext, scheme: str = "") -> None:
        self._settings = settings
        self._context = context
        self._scheme = scheme
        self._server = TokenServer(settings, context)
        self._key = keeper_key(context.name, scheme)
        self._of = fingerprint(settings)
        # These two cannot get a first token by themselves, so what they hold must outlive the process.
        self._kept = settings.grant in ("authorization_code", "refresh_token")
        self._refresh = settings.refresh_token
        self._spent: set[str] = set()  # refresh tokens that are not taken any more
        self._token: Token | None = None
        self._used: deque[str] = deque(maxlen=_CARRIED)  # a call under way carries the one before
        self._stale = False  # the backend refused the token that we have
        self._replaced_at = float("-inf")  # when it did so last
        self._unkept: Record | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failure: _Failure | None = None
        self._failures = 0
        self._history: deque[Fetched] = deque(maxlen=KEPT_REASONS)
        self._closed = False
        self._browser = CodeLogin(settings, context, self._server, scheme=scheme, take=self._logged_in)

    @override
    def apply(self, request: Request) -> Request:
        if self._token is None:
            raise LoginRequired(f"{self._context.name}: there is no token yet")
        return self._settings.spot.put(request, self._token.access)

    @override
    def mask(self, request: Request) -> Request:
        return self._settings.spot.put(request, MASK)

    @override
    async def ready(self, deadline: float) -> None:
        token, now = self._token, self._context.clock()
        if token is None or not self._works(now):
            await self._obtain(self._why(now), deadline)
        elif token.due(now) and not self._closed and not self._resting(now):
            self._start(self._why(now))  # the old one works meanwhile

    @override
    async def again(self, request: Request, answer: Answer, deadline: float) -> Request | None:
        expired = self._settings.expired.matches(answer.status, answer.body)
        if answer.status != 401 and not expired:
            return None
        token, now = self._token, self._context.clock()
        if token is not None and self._settings.spot.found(request, token.access):
            if not self._refused(now):
                return None
            said = "said what means expired" if expired else "refused the token"
            await self._obtain(f"the backend answered {answer.status} and {said}", deadline)
        else:
            await self.ready(deadline)  # somebody has renewed it since
        return self.apply(request)

    @override
    async def renew(self) -> bool:
        now = self._context.clock()
        if not self._refused(now) and self._works(now):
            return True
        try:
            await self._obtain("a new login was asked for", FETCH_WITHIN)
        except ActionError:
            return False
        return True

    @override
    def secrets(self) -> tuple[str, ...]:
        return tuple(self._used)

    @override
    def states(self) -> list[LoginState]:
        token, failure, now = self._token, self._failure, self._context.clock()
        usable = self._works(now)
        phase: LoginPhase = "ready" if usable else "idle"
        if failure is not None and not usable:
            phase = "required" if failure.person else "failing"
        reasons = [failure.text] if failure is not None else []
        if token is not None and usable:
            narrowed = self._narrowed(token)
            reasons += [f"the token server did not grant {', '.join(narrowed)}"] * bool(narrowed)
            reasons += [token.note] * bool(token.note)
        return [
            LoginState(
                kind=f"oauth2 {self._settings.grant}",
                phase=phase,
                scheme=self._scheme,
                reason="; ".join(reasons),
                fix=failure.fix if failure is not None else "",
                token_url=self._server.url,
                scopes=(token.scopes if token and token.scopes is not None else self._settings.scopes),
                expires_at=token.expires_at if token else None,
                history=tuple(self._history),
            )
        ]

    @override
    def browser_logins(self) -> dict[str, BrowserLogin]:
        settings = self._settings
        asks = settings.grant == "authorization_code" or (
            settings.grant == "refresh_token" and bool(settings.authorization_url or settings.discovery)
        )
        return {self._scheme: self._browser} if asks else {}

    @override
    async def close(self) -> None:
        self._closed = True
        if self._fetching is not None:
            await asyncio.wait([self._fetching], timeout=_CLOSE_WITHIN)
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _refused(self, now: float) -> bool:
        """Put the token aside that the backend refused; False when it has only just replaced another."""
        if self._stale:
            return True  # somebody else has done so
        if now - self._replaced_at < FRESH:
            return False
        self._replaced_at = now
        self._stale = True
        return True

    # -- getting a token

    async def _obtain(self, why: str, deadline: float) -> None:
        """Wait for a token that works. Raise what keeps us from it."""
        if self._closed:
            raise RetryLater(f"{self._context.name}: is closed")
        now = self._context.clock()
        if self._fetching is None and self._failure is not None and self._resting(now):
            raise self._failure.error(now)
        task = self._start(why)
        try:
            async with asyncio.timeout(deadline):
                await asyncio.wait([task])
        except TimeoutError:
            raise RetryLater(f"{self._context.name}: the token server did not answer in time") from None
        if task.cancelled():
            raise RetryLater(f"{self._context.name}: is closed")
        task.result()  # it fails for a fault of ours only
        now = self._context.clock()
        if self._failure is not None and not self._works(now):
            raise self._failure.error(now)

    def _works(self, now: float) -> bool:
        return self._token is not None and not self._stale and self._token.usable(now)

    def _resting(self, now: float) -> bool:
        return self._failure is not None and now < self._failure.until

    def _start(self, why: str) -> asyncio.Task[None]:
        """Return the fetch that is under way; begin one where there is none."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(why), name=f"{self._context.name}: token")
            self._fetching.add_done_callback(self._done)
        return self._fetching

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._fetching is task:
            self._fetching = None

    async def _fetch(self, why: str) -> None:
        """Get a token from where there is one; leaves a token or a failure."""
        if not self._kept:
            await self._fetch_alone(why)
            return
        async with self._context.tokens.alone(self._key):
            await self._fetch_alone(why)

    async def _fetch_alone(self, why: str) -> None:
        try:
            kept = await self._keep() or await self._from_keeper()
            if kept is not None:
                self._use(kept, f"{why}: one was kept")
                return
            found = await self._ask()
            if isinstance(found, Granted):
                await self._take(found, why)
            else:
                self._fail(found, why)
        except RetryLater as error:  # the keeper cannot now
            self._fail(Denied(cause="busy", code="", text=str(error), after=error.after), why)

    async def _ask(self) -> Granted | Denied:
        """Ask for a token, by the refresh token as long as there is one that is taken."""
        while self._refresh and self._refresh not in self._spent:
            refresh = self._refresh
            self._context.reached("login.before_ask")
            found = await self._server.by_refresh(refresh)
            if isinstance(found, Granted) or found.cause != "grant":
                return found
            self._spent.add(refresh)
            record = await self._load()
            if record is not None:
                self._refresh = record.refresh  # perhaps another process was faster
            if self._kept and self._refresh in self._spent:
                return found
        if self._kept:
            return Denied(cause="grant", code="", text="nobody has logged in")
        self._context.reached("login.before_ask")
        return await self._server.by_grant()

    async def _take(self, granted: Granted, why: str) -> None:
        """Keep what was granted, then use it."""
        self._context.reached("login.granted")
        token = make_token(granted, self._context.clock(), self._context.jitter())
        if self._kept or self._settings.grant == "password":
            self._refresh = granted.refresh_token or self._refresh
        if self._kept:
            self._unkept = Record(of=self._of, refresh=self._refresh, token=token)
            await self._keep()
            self._context.reached("login.kept")
        self._use(token, why)

    async def _logged_in(self, granted: Granted) -> None:
        """Take what a person's login brought; a token without a refresh token is better than none."""
        async with self._context.tokens.alone(self._key):
            self._refresh = granted.refresh_token
            await self._take(granted, "somebody logged in")

    async def _keep(self) -> Token | None:
        """Save what is not saved yet and return its token: the refresh token before it may be void."""
        if self._unkept is None:
            return None
        record = self._unkept
        await self._context.tokens.save(self._key, encode(record))
        self._unkept = None
        return record.token

    def _use(self, token: Token, why: str) -> None:
        self._token, self._stale = token, False
        self._used.append(token.access)
        self._failure, self._failures = None, 0
        self._note(why, "a token" if token.expires_at is None else f"a token for {self._left(token):.0f} s")
        narrowed = self._narrowed(token)
        if narrowed:
            _log.warning("%s: the token server did not grant %s", self._context.name, ", ".join(narrowed))

    def _fail(self, denied: Denied, why: str) -> None:
        """Note why there is no token, and until when nobody asks again."""
        now = self._context.clock()
        self._failures += 1
        wait = min(_FIRST_WAIT * 2.0 ** min(self._failures - 1, 16), _LONGEST_WAIT)
        wait *= 0.75 + 0.25 * self._context.jitter()
        lost = denied.cause == "grant" and self._kept
        if lost:
            wait = FRESH  # only the keeper is looked at, for a login that somebody made
        self._failure = _Failure(
            text=f"{self._context.name}: {denied.text}",
            until=now + max(wait, denied.after or 0.0),
            person=denied.cause != "busy",
            fix=self._fix(denied),
        )
        self._note(why, denied.text, ok=False)
        _log.warning("%s: no token: %s", self._context.name, denied.text)

    def _fix(self, denied: Denied) -> str:
        if denied.cause == "busy":
            return "it is asked again by itself"
        if denied.cause == "nonsense":
            return "check `token_url` or `discovery` of the connection, and its `egress`"
        if denied.cause == "client":
            return "check `client_id`, `client_secret` and `scopes` of the connection"
        scheme = f" --scheme {self._scheme}" if self._scheme else ""
        if self.browser_logins():
            return f"log in: pointsman connections login {self._context.name}{scheme}"
        if self._settings.grant == "refresh_token":
            return "put a new `refresh_token` where the connection takes it from"
        return "check `username`, `password` or `assertion` of the connection"

    # -- what is kept

    async def _load(self) -> Record | None:
        if not self._kept:
            return None
        return decode(await self._context.tokens.load(self._key), self._of)

    async def _from_keeper(self) -> Token | None:
        """Return a token that another process, or an earlier one, got; take over its refresh token too."""
        record = await self._load()
        if record is None or (record.refresh and record.refresh in self._spent):
            return None
        self._refresh = record.refresh or self._refresh
        token, now = record.token, self._context.clock()
        known = self._token is not None and token is not None and token.access == self._token.access
        if token is None or known or not token.usable(now) or token.due(now):
            return None
        return token

    # -- words

    def _why(self, now: float) -> str:
        token = self._token
        if token is None:
            return "there was none" if self._failure is None else "the last try failed"
        if self._stale:
            return "the backend refused the token"
        left = self._left(token, now)
        return f"it ends in {left:.0f} s" if left > 0 else f"it ended {-left:.0f} s ago"

    def _left(self, token: Token, now: float | None = None) -> float:
        return (token.expires_at or 0.0) - (self._context.clock() if now is None else now)

    def _note(self, why: str, result: str, *, ok: bool = True) -> None:
        self._history.append(Fetched(at=self._context.clock(), why=why, result=result, ok=ok))

    def _narrowed(self, token: Token) -> list[str]:
        """Return the scopes that were asked for and not granted; some are never echoed."""
        if token.scopes is None:
            return []
        given = set(token.scopes) | _NEVER_ECHOED
        return [one for one in self._settings.scopes if one not in given and not one.endswith("/.default")]
