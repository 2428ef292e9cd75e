"""Commits offsets, says when that fails, and knows of which partitions the group has still to be told."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from triggers.base import Reporter
from triggers.kafka.member import NotCommitted
from triggers.kafka.offsets import Partition


class Commits:
    """The commits of one run, made by `tell`, which may raise NotCommitted.

    What was stored stays so: records that come again are known as repeats.
    """

    def __init__(
        self, tell: Callable[[Mapping[Partition, int]], Awaitable[None]], group: str, report: Reporter
    ) -> None:
        self._tell = tell
        self._group = group
        self._report = report
        self._failed = 0
        self._behind: frozenset[Partition] = frozenset()

    async def commit(self, moved: Mapping[Partition, int]) -> bool:
        """Commit; say whether the group took it. A failure is counted, and shown until nothing is behind."""
        if not moved:
            return True
        try:
            await self._tell(moved)
        except NotCommitted as error:
            self._failed += 1
            self._behind |= moved.keys()
            self._report.warn(
                "commit-failed",
                f"offsets were stored but not committed to group {self._group}"
                f" ({self._failed} times in this run): {error}",
                "nothing is lost; if it stays, look at the coordinator and at members that come and go",
            )
            return False
        self._leave_behind(self._behind - moved.keys())
        return True

    def behind(self, ours: Collection[Partition]) -> frozenset[Partition]:
        """Return those of our share whose last commit failed; those of others are theirs to commit."""
        self._leave_behind(self._behind.intersection(ours))
        return self._behind

    def _leave_behind(self, partitions: frozenset[Partition]) -> None:
        if self._behind and not partitions:
            self._report.clear("commit-failed")
        self._behind = partitions
