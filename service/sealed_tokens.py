"""The tokens of logins, kept in the store, sealed with a key that lies beside it. Knows no protocol."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from actions.auth import TokenKeeper, Turns
from actions.errors import RetryLater
from service.config.sealing import RING_VARIABLE, Ring, Unsealable, add_key, read_ring
from service.errors import ServiceError, Unavailable
from service.store.base import Store

KEY_FILE: Final = "seal.key"
"""The key ring of what the service seals, in the data directory unless POINTSMAN_SEAL_KEY names another."""

_PREFIX: Final = "login/"


class SealedTokens(TokenKeeper):
    """Keeps values durably and unreadable without the key. Belongs to the store's event loop."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._ring: Ring | None = None
        self._turns = Turns()

    @override
    def alone(self, key: str) -> AbstractAsyncContextManager[Any]:
        return self._turns.of(key)

    @override
    async def load(self, key: str) -> bytes | None:
        with _later():
            found = (await self._store.get(_PREFIX + key)).get(_PREFIX + key)
        if found is None:
            return None
        for _ in range(2):
            try:
                with _later():
                    return self._keys().open(found.decode()).encode()
            except (Unsealable, UnicodeDecodeError):
                self._ring = None  # a key may have been added since the ring was read
        return None  # no key opens it: somebody has to log in again, which the login will say

    @override
    async def save(self, key: str, value: bytes) -> None:
        with _later():
            await self._store.put(_PREFIX + key, self._keys().seal(value.decode()).encode())

    @override
    async def delete(self, key: str) -> None:
        with _later():
            await self._store.put(_PREFIX + key, None)

    def _keys(self) -> Ring:
        """Return the key ring; the first value to be sealed makes it."""
        if self._ring is None:
            try:
                self._ring = read_ring(self._path) if self._path.exists() else add_key(self._path)
            except Unsealable as error:
                raise Unavailable(f"tokens cannot be kept: {error}; {error.fix}") from error
        return self._ring


class LentTokens(TokenKeeper):
    """The tokens of an instance that is stopped. Its store is opened when a login asks, not before.

    While the instance runs they are its own: whoever presented one beside it would end the login.
    """

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Store]], path: Path) -> None:
        self._opened = opened
        self._path = path
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._tokens: SealedTokens | None = None
        self._turns = Turns()

    @override
    def alone(self, key: str) -> AbstractAsyncContextManager[Any]:
        return self._turns.of(key)

    @override
    async def load(self, key: str) -> bytes | None:
        return await (await self._lent()).load(key)

    @override
    async def save(self, key: str, value: bytes) -> None:
        await (await self._lent()).save(key, value)

    @override
    async def delete(self, key: str) -> None:
        await (await self._lent()).delete(key)

    async def close(self) -> None:
        """Close the store, if it was opened."""
        await self._stack.aclose()

    async def _lent(self) -> SealedTokens:
        async with self._opening:
            if self._tokens is None:
                try:
                    store = await self._stack.enter_async_context(self._opened())
                except ServiceError as error:
                    raise RetryLater(f"its tokens cannot be had: {error}") from error
                self._tokens = SealedTokens(store, self._path)
            return self._tokens


@contextmanager
def _later() -> Iterator[None]:
    """Say to a login what it understands: that its tokens cannot be kept just now."""
    try:
        yield
    except Unavailable as error:
        raise RetryLater(str(error), after=error.after) from error


def token_keys(data: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the key ring for tokens is."""
    return Path(environment.get(RING_VARIABLE) or data / KEY_FILE)
