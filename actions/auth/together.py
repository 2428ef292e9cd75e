"""Several logins of one connection: all of them at once, or for each operation those that it asks for."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from typing_extensions import override

from actions.auth.base import Auth, BrowserLogin, LoginState, NoAuth
from actions.base import Answer
from actions.transport import Request


class All(Auth):
    """Several ways at once, where a description demands all of them (AND)."""

    def __init__(self, parts: tuple[Auth, ...]) -> None:
        self._parts = parts
        self.needs_ready = any(part.needs_ready for part in parts)

    @override
    def apply(self, request: Request) -> Request:
        for part in self._parts:
            request = part.apply(request)
        return request

    @override
    def mask(self, request: Request) -> Request:
        for part in self._parts:
            request = part.mask(request)
        return request

    @override
    async def ready(self, deadline: float) -> None:
        until = asyncio.get_running_loop().time() + deadline
        for part in self._parts:
            if part.needs_ready:
                await part.ready(until - asyncio.get_running_loop().time())

    @override
    async def again(self, request: Request, answer: Answer, deadline: float) -> Request | None:
        """Return what the first part wants that has an answer to this; the others' credentials stay."""
        for part in self._parts:
            if part.needs_ready:
                found = await part.again(request, answer, deadline)
                if found is not None:
                    return found
        return None

    @override
    def ended(self, request: Request, answer: Answer) -> None:
        for part in self._parts:
            part.ended(request, answer)

    @override
    async def renew(self) -> bool:
        renewed = [await part.renew() for part in self._parts]
        return any(renewed)

    @override
    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for part in self._parts for secret in part.secrets())

    @override
    def states(self) -> list[LoginState]:
        return [state for part in self._parts for state in part.states()]

    @override
    def browser_logins(self) -> dict[str, BrowserLogin]:
        return {name: login for part in self._parts for name, login in part.browser_logins().items()}

    @override
    async def close(self) -> None:
        for part in self._parts:
            await part.close()


class Schemes(All):
    """Credentials by the name of a description's security scheme; each operation gets those it asks for.

    One that may be called without a login gets what there is for it; one that wants none gets none. Where
    the description says nothing, or asks for what nobody declared, all are sent.
    """

    def __init__(self, named: Mapping[str, Auth]) -> None:
        super().__init__(tuple(named.values()))
        self._named = named

    @override
    def choose(self, alternatives: Sequence[Sequence[str]]) -> Auth:
        for names in alternatives:
            if names and all(name in self._named for name in names):
                return self._all(names)
        if any(not names for names in alternatives):
            return NoAuth()
        # None can be met whole: what there is of one is the best that can be sent.
        most = max(alternatives, key=lambda names: len(self._named.keys() & set(names)), default=())
        return self._all(most) if self._named.keys() & set(most) else self

    def _all(self, names: Sequence[str]) -> Auth:
        parts = tuple(self._named[name] for name in names if name in self._named)
        return parts[0] if len(parts) == 1 else All(parts)

    @override
    def states(self) -> list[LoginState]:
        return [
            msgspec.structs.replace(state, scheme=name)
            for name, part in self._named.items()
            for state in part.states()
        ]
