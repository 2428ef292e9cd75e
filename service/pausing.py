"""Pauses of connections by hand: on disk first, then in force.

A pause outlives the process, a changed configuration, and a connection that is removed and comes back. What a
pause means for deliveries is the dispatcher's to do.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from service.connections import Pauses
from service.store.base import Store

PAUSED: Final = "paused/connection/"
"""Where an operator's pauses are kept."""

log = structlog.get_logger(__name__)


class Pausing:
    """Begins and ends pauses, by the steady clock. `changed` is told of each one when it is on disk."""

    def __init__(
        self, store: Store, *, clock_ms: Callable[[], int], changed: Callable[[str, Pauses], None]
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._changed = changed
        self._known: dict[str, Pauses] = {}
        self._in_order = asyncio.Lock()

    async def restore(self) -> None:
        """Take up what operators had paused."""
        for name, value in (await self._store.get(PAUSED)).items():
            self._known[name.removeprefix(PAUSED)] = msgspec.json.decode(value, type=Pauses)

    def of(self, connection: str) -> Pauses:
        """Return what is known of a connection's pauses."""
        return self._known.get(connection, Pauses())

    async def pause(self, connection: str, *, by: str, reason: str) -> None:
        """Let nothing new be called; a connection that is paused stays it, with the new name and reason.

        Raise Unavailable when that cannot be kept; then nothing has changed.
        """
        async with self._in_order:
            await self._use(connection, self.of(connection).begun(by, reason, self._clock_ms()))
        log.info("connection paused", connection=connection, by=by, reason=reason)

    async def resume(self, connection: str, *, by: str) -> None:
        """Let calls through again; nothing happens to a connection that is not paused. Raise Unavailable."""
        async with self._in_order:
            known = self.of(connection)
            if known.present is None:
                return
            await self._use(connection, known.ended(self._clock_ms()))
        log.info("connection resumed", connection=connection, by=by)

    async def _use(self, connection: str, pauses: Pauses) -> None:
        await self._store.put(PAUSED + connection, msgspec.json.encode(pauses))
        self._known[connection] = pauses
        self._changed(connection, pauses)
