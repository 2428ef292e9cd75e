"""Collects what became of the items of one batch, each stored by itself, until all are known."""

import asyncio
from collections import Counter
from collections.abc import Callable

from service.store.base import Stored
from service.store.ids import reject_id
from triggers.base import Accepted


class Gathering:
    """Resolves the future of a batch when all its items are stored; fails it when one was not."""

    __slots__ = ("_counts", "_error", "_future", "_ids", "_left", "_reached", "known", "new", "rejected")

    def __init__(
        self,
        count: int,
        future: asyncio.Future[Accepted],
        reached: Callable[[str], None],
        counts: Counter[str],
    ) -> None:
        """`counts` are those of the source; each item is added when it is stored."""
        self._counts = counts
        self._left = count
        self._future = future
        self._ids = [""] * count
        self._error: Exception | None = None
        self._reached = reached
        self.new = self.known = self.rejected = 0

    def stored(self, place: int, stored: Stored, public: str) -> None:
        """Note what became of the item at a place; `public` is the id it would be told by."""
        self._ids[place] = public if stored.verdict in ("new", "known") else reject_id(stored.number)
        self._counts[stored.verdict] += 1
        if stored.verdict == "new":
            self.new += 1
        elif stored.verdict == "known":
            self.known += 1
        else:
            self.rejected += 1
        self._one_less()

    def failed(self, error: Exception) -> None:
        """Note that an item was not stored."""
        self._error = error
        self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        if self._left or self._future.done():
            return
        self._reached("ingest.before_answer")
        if self._error is not None:
            self._future.set_exception(self._error)
            return
        self._future.set_result(
            Accepted(new=self.new, known=self.known, rejected=self.rejected, ids=tuple(self._ids))
        )
