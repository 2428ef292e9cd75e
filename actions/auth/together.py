"""Several logins of one connection: all of them at once, or for each operation those that it asks for."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from typing_extensions import override

from actions.auth.base import Auth, LoginState
from actions.auth.fixed import NoAuth
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
    async def renew(self) -> bool:
        renewed = [await part.renew() for part in self._parts]
        return any(renewed)

    @override
    def states(self) -> list[LoginState]:
        return [state for part in self._parts for state in part.states()]

    @override
    async def close(self) -> None:
        for part in self._parts:
            await part.close()


class Schemes(All):
    """Credentials by the name of a description's security scheme; each operation gets those it asks for.

    `default` is for operations that say nothing about security. An operation that asks for nothing gets
    nothing; one that may be called either way gets what there is.
    """

    def __init__(self, named: Mapping[str, Auth], default: Auth | None = None) -> None:
        super().__init__(tuple(named.values()))
        self._named = named
        self._default = default

    @override
    def choose(self, alternatives: Sequence[Sequence[str]]) -> Auth:
        for names in alternatives:
            if names and all(name in self._named for name in names):
                return All(tuple(self._named[name] for name in names))
        if () in [tuple(names) for names in alternatives]:
            return NoAuth()
        return self

    @override
    def states(self) -> list[LoginState]:
        return [
            msgspec.structs.replace(state, scheme=name)
            for name, part in self._named.items()
            for state in part.states()
        ]
