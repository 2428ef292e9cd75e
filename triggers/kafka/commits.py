"""Commits offsets, and says when that fails."""

from collections.abc import Mapping

from triggers.base import Reporter
from triggers.kafka.member import Member, NotCommitted
from triggers.kafka.offsets import Partition


class Commits:
    """The commits of one run. What was stored stays so: records that come again are known as repeats."""

    def __init__(self, member: Member, group: str, report: Reporter) -> None:
        self._member = member
        self._group = group
        self._report = report
        self._failed = 0

    async def commit(self, moved: Mapping[Partition, int]) -> bool:
        """Commit; say whether the group took it. A failure is counted and shown until a commit goes well."""
        try:
            await self._member.commit(moved)
        except NotCommitted as error:
            self._failed += 1
            self._report.warn(
                "commit-failed",
                f"offsets were stored but not committed to group {self._group}"
                f" ({self._failed} times in this run): {error}",
                "nothing is lost; if it stays, look at the coordinator and at members that come and go",
            )
            return False
        if self._failed:
            self._report.clear("commit-failed")
        return True
