"""What an instance does all the time beside its work: heartbeat, retention, and a look at its own disk.

Nothing here is on the path of a message, and nothing here decides about one.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Final

from service.errors import Unavailable
from service.settings import Settings
from service.store.base import Store

BEAT: Final = 2.0
"""Seconds between heartbeats and bites of retention."""

BITE: Final = 500
"""Rows that retention deletes before it looks again whether it has time for more."""

SWEEPING: Final = 0.5
"""Seconds of each beat in which retention goes on while there is something to delete."""

WATCH: Final = 0.5
"""Seconds between looks at the conditions under which webhooks are refused."""

_DAY: Final = 86_400_000


class Duties:
    """Beats and watches for ever. `write` keeps what has changed; `refuse` hears why to take nothing."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        settings: Settings,
        *,
        write: Callable[[], Awaitable[None]],
        refuse: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._write = write
        self._refuse = refuse
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        """Let the next beat come at once: there is something to write."""
        self._stirred.set()

    async def beat_for_ever(self) -> None:
        """Beat; outlive a full disk."""
        while True:
            self._stirred.clear()
            with contextlib.suppress(Unavailable):  # the store says itself why; the next beat tries again
                await self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._stirred.wait()

    async def watch_for_ever(self) -> None:
        """Look whether webhooks must be refused. Never waits for the store: it may be what hangs."""
        while True:
            self._refuse(self._why_refuse())
            await asyncio.sleep(WATCH)

    async def _beat(self) -> None:
        """Heartbeat, what has to be kept on disk, and a bite of retention."""
        now = self._clock()
        await self._store.beat(now)
        await self._store.put("clock", str(now).encode())
        await self._write()
        until = time.monotonic() + SWEEPING
        deleted = BITE
        while deleted >= BITE and time.monotonic() < until:  # as much goes as comes, from a full bus too
            deleted = await self._store.sweep(
                now,
                retention_ms=int(self._settings.retention_days * _DAY),
                identities_ms=int(self._settings.identity_days * _DAY),
                bite=BITE,
            )

    def _why_refuse(self) -> str:
        """Return why webhooks are refused now, "" when they are not (`DESIGN.md` §10)."""
        health = self._store.health()
        if not health.writable:
            return health.reason or "the store takes nothing"
        if health.queue_age_ms > self._settings.queue_age * 1000:
            return "the store is behind"
        try:
            free = shutil.disk_usage(self._settings.data).free
        except OSError as error:
            return f"the data directory cannot be looked at: {error.strerror}"
        return "the disk is nearly full" if free < self._settings.min_free_bytes else ""
