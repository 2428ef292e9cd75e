"""Keeps the order between what the stream stores and what a page of the snapshot stores.

A page is read and stored while the stream stores nothing; so a row that was read is never older than
anything stored before it. What the stream brings afterwards may be older than the read, and leads to the
same last state, because every later change follows.

A commit can be in the WAL, hence streamed, before new snapshots of the server see it (it may wait for a
synchronous standby). So the gate remembers which transactions were stored lately, and a page whose snapshot
still takes one of them for running is read again.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from triggers.base import Accepted, Emit, Item
from triggers.postgres.position import POSITION_KEY, Position

REMEMBERED: Final = 65_536
"""How many transactions are remembered: far more than can be committed and still invisible at once."""


class Gate:
    """Between the stream, the snapshot and `emit`. `position` is what is stored."""

    def __init__(self, emit: Emit, position: Position) -> None:
        self.position = position
        self._emit = emit
        self._lock = asyncio.Lock()  # first come, first served: neither side starves
        self._xids: deque[int] = deque([position.xid] if position.xid else (), maxlen=REMEMBERED)

    async def changes(
        self,
        batch: Sequence[Item],
        position: Position,
        xids: Iterable[int] = (),
        also: Mapping[str, bytes | None] | None = None,
    ) -> Accepted:
        """Store what the stream brought. `xids` (32 bits): the transactions that a part of it belongs to.

        It may wait while a page of the snapshot is read.
        """
        async with self._lock:
            accepted = await self._emit(batch, {POSITION_KEY: position.encode(), **(also or {})})
            self._xids.extend(xids)
            self.position = position
            return accepted

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Emit]:
        """Keep the stream from storing, and give what stores a page."""
        async with self._lock:
            yield self._emit

    def remember(self, xids: Iterable[int]) -> None:
        """Take these transactions for stored: an earlier run may have done so."""
        self._xids.extend(xids)

    def sees_all(self, snapshot: str) -> bool:
        """Say whether a snapshot (`xmin:xmax:xip,…`) sees every transaction that was stored.

        Those that it sees need not be looked at again: later snapshots see them too.
        """
        _, end, running = snapshot.split(":")
        first_unseen = int(end) & 0xFFFFFFFF
        unseen = {int(xid) & 0xFFFFFFFF for xid in running.split(",") if xid}
        # xids wrap around: within half of their range behind `first_unseen` they are earlier.
        late = [xid for xid in self._xids if xid in unseen or (xid - first_unseen) & 0xFFFFFFFF < 0x80000000]
        self._xids = deque(late, maxlen=REMEMBERED)
        return not late
