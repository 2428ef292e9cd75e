"""Token keepers without a store: one in memory, for tests, and one for where nothing can be kept.

And the turns that every keeper in one process gives.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

from typing_extensions import override

from actions.auth.base import TokenKeeper
from actions.errors import RetryLater

NOT_HERE: Final = "the tokens of this login have to be kept, which only the instance can do"


class Turns:
    """One turn at a time for each key: as many keys as there are logins. Belongs to one event loop."""

    def __init__(self) -> None:
        self._turns: dict[str, asyncio.Lock] = {}

    def of(self, key: str) -> AbstractAsyncContextManager[Any]:
        """Return the turn for a key."""
        return self._turns.setdefault(key, asyncio.Lock())


class NoKeeper(TokenKeeper):
    """Keeps nothing, and says so before a token is asked for whose successor would be lost."""

    @override
    def alone(self, key: str) -> AbstractAsyncContextManager[Any]:
        return nullcontext()

    @override
    async def load(self, key: str) -> bytes | None:
        raise RetryLater(NOT_HERE)

    @override
    async def save(self, key: str, value: bytes) -> None:
        raise RetryLater(NOT_HERE)

    @override
    async def delete(self, key: str) -> None:
        raise RetryLater(NOT_HERE)


class MemoryKeeper(TokenKeeper):
    """Forgets everything with the process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._turns = Turns()

    @override
    def alone(self, key: str) -> AbstractAsyncContextManager[Any]:
        return self._turns.of(key)

    @override
    async def load(self, key: str) -> bytes | None:
        return self._values.get(key)

    @override
    async def save(self, key: str, value: bytes) -> None:
        self._values[key] = value

    @override
    async def delete(self, key: str) -> None:
        self._values.pop(key, None)
