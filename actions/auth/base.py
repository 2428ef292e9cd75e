"""The seam of a login: how credentials get onto a request, and what a login may ask of the world.

Credentials are added after a request was prepared and hashed, right before it is sent, and only here. None
of them stands in an error text, a log line, a state, a `repr` or what `mask` returns.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import msgspec
from typing_extensions import override

from actions.base import Answer, Reached, unarmed
from actions.transport import Request

MASK: Final = "***"

Fetch = Callable[[Request, float], Awaitable[Answer]]
"""Sends one request within so many seconds, where the connection's egress allows; errors as `Engine` says."""


class TokenKeeper(Protocol):
    """Keeps what a login must not lose over a restart. What it gets is secret: it seals it, or forgets it.

    Raises RetryLater while it cannot do what it is asked.
    """

    def alone(self, key: str) -> AbstractAsyncContextManager[Any]:
        """Return a turn, to be waited for, in which nobody else who takes turns changes this key.

        A connection has a login for each version of its description that calls are made with; a refresh
        token that two of them present is void (RFC 9700 §4.14).
        """

    async def load(self, key: str) -> bytes | None:
        """Return what was saved last under a key, None when there is nothing."""

    async def save(self, key: str, value: bytes) -> None:
        """Keep a value durably before returning."""

    async def delete(self, key: str) -> None:
        """Forget a key. Harmless when there is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginContext:
    """What the logins of one connection are handed.

    `name` is the connection's. `clock` tells wall-clock seconds: expiries outlive a process. `jitter`
    gives numbers from 0 to 1. `reached` is told where the crash suite kills.
    """

    name: str
    fetch: Fetch
    tokens: TokenKeeper
    clock: Callable[[], float]
    jitter: Callable[[], float] = random.random
    reached: Reached = unarmed


LoginPhase = Literal["idle", "ready", "failing", "required"]
"""idle: nothing fetched yet · ready · failing: tried again by itself · required: somebody has to act."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a token was asked for: when (wall-clock seconds), why, and what came of it."""

    at: float
    why: str
    result: str
    ok: bool


class LoginState(msgspec.Struct, frozen=True, kw_only=True):
    """How a login stands, for people. Holds no secret.

    `reason` says what is wrong or was narrowed, `fix` what to do about it; `history` has the newest last.
    """

    kind: str
    phase: LoginPhase
    scheme: str = ""
    reason: str = ""
    fix: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    history: tuple[Fetched, ...] = ()


class Auth(ABC):
    """One way to log in. Holds its secret; a new secret is a new object.

    The order of calls is `ready`? `apply` (`again` `ended`?)? for each request, all but `apply` only where
    `needs_ready` says so. Belongs to one event loop.
    """

    needs_ready: bool = False

    @abstractmethod
    def apply(self, request: Request) -> Request:
        """Return the request with credentials; what it had under the same name is replaced."""

    @abstractmethod
    def mask(self, request: Request) -> Request:
        """Return the request as `apply` would, with every secret replaced by `***`."""

    def choose(self, alternatives: Sequence[Sequence[str]]) -> "Auth":
        """Return what to use for an operation that takes any one of these sets of security schemes.

        One login serves every operation that does not say it wants none; `Schemes` differs.
        """
        return NoAuth() if alternatives and not any(alternatives) else self

    async def ready(self, deadline: float) -> None:
        """Have credentials that work, within `deadline` seconds.

        Raise RetryLater while the token server cannot be asked, LoginRequired when somebody has to act,
        Refused when it can never be.
        """
        del deadline

    async def again(self, request: Request, answer: Answer, deadline: float) -> Request | None:
        """Return what to send at once in place of a request (with credentials) that got this answer.

        Asked once for a call. None is the rule; a challenge, or credentials that have just expired, differ:
        then the backend surely did not perform the request. Raises as `ready` does.
        """
        del request, answer, deadline
        return None

    def ended(self, request: Request, answer: Answer) -> None:
        """Be told what came of the request that `again` returned."""
        del request, answer

    @abstractmethod
    async def renew(self) -> bool:
        """Fetch new credentials after the backend refused the old ones; False when there are none."""

    def secrets(self) -> tuple[str, ...]:
        """Return what requests carry and nobody may see: an answer may repeat it."""
        return ()

    def states(self) -> list[LoginState]:
        """Return how each login in here stands that has a state at all."""
        return []

    def browser_logins(self) -> "dict[str, BrowserLogin]":
        """Return the logins in here that a person begins, by the scheme's name ("" for the only one)."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """End what is under way. Twice is harmless."""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A login that a person goes on with: where to send the browser, and what must come back.

    `verifier` proves to the token server that whoever finishes is who began (RFC 7636); it is kept for
    `finish` and is shown to nobody. `expires_at` is in wall-clock seconds.
    """

    url: str
    state: str
    redirect: str
    expires_at: float
    verifier: str

    @override
    def __repr__(self) -> str:
        return f"Begun(redirect={self.redirect!r}, expires_at={self.expires_at})"


class BrowserLogin(ABC):
    """A login in two halves: `begin` gives the address for a browser, `finish` takes what it brought."""

    @abstractmethod
    async def begin(self, redirect: str = "") -> Begun:
        """Begin a login, which ends the one begun before. `redirect` wins over the configured one.

        Raise Refused where the connection cannot do this, RetryLater while discovery fails.
        """

    @abstractmethod
    async def finish(self, returned: Mapping[str, str]) -> None:
        """Take the query of the redirect (`state`, `code` or `error`, perhaps `iss`) and keep the tokens.

        A state is taken once. Raise Refused for what does not belong to the login that was begun, is too
        late or was denied; RetryLater while the token server cannot be asked.
        """


class Fixed(Auth):
    """Credentials that somebody configured: nothing to renew."""

    @override
    async def renew(self) -> bool:
        return False

    @override
    async def close(self) -> None:
        """Nothing is under way."""


class NoAuth(Fixed):
    """No credentials at all."""

    @override
    def apply(self, request: Request) -> Request:
        return request

    @override
    def mask(self, request: Request) -> Request:
        return request
