"""Watches the cluster around a running source, by a way of its own.

aiokafka goes on trying for ever and says what is wrong to its log only.
"""

import time
from collections.abc import Iterable
from typing import Final

from triggers.base import Reporter
from triggers.errors import SourceUnavailable
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.placing import Track
from triggers.kafka.wire import Metadata

PROBE_SECONDS: Final = 5.0
PROBE_AGAIN_SECONDS: Final = 1.0


class Patience:
    """Lets something fail for a while before it ends the run; shows it meanwhile as a warning `code`."""

    def __init__(self, code: str, fix: str, seconds: float, report: Reporter) -> None:
        self._code = code
        self._fix = fix
        self._seconds = seconds
        self._report = report
        self._since: float | None = None

    def failed(self, error: SourceUnavailable) -> None:
        """Note a failure; raise it when it has lasted too long."""
        now = time.monotonic()
        self._since = self._since if self._since is not None else now
        if now - self._since >= self._seconds:
            raise error
        self._report.warn(self._code, str(error), self._fix)

    def went_well(self) -> None:
        """Note a success."""
        if self._since is not None:
            self._since = None
            self._report.clear(self._code)


class Watch:
    """Asks now and then. `identity` is the cluster's, `topics` are the configured ones that are there."""

    def __init__(self, config: KafkaConfig, cluster: Cluster, report: Reporter) -> None:
        self.identity = ""
        self.topics: frozenset[str] = frozenset()
        self._wanted = config.topics
        self._cluster = cluster
        self._report = report
        self._due_at = 0.0
        self._reach = Patience(
            "unreachable",
            "look whether the brokers are up",
            config.unreachable_after.total_seconds(),
            report,
        )

    async def begin(self) -> None:
        """Ask for the first time. Raise when nobody answers, or when there is nothing to read."""
        self._see(await self._cluster.metadata(self._wanted))
        self._due_at = time.monotonic() + PROBE_SECONDS

    async def look(self, tracks: Iterable[Track], *, unplaced: bool) -> bool:
        """Ask when it is time; say whether the share is to be placed anew.

        That is when a topic was made anew, and when partitions could not be placed last time. Raise when the
        cluster was out of reach for too long.
        """
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + PROBE_AGAIN_SECONDS
        read = list(tracks)
        try:
            metadata = await self._cluster.metadata(self._wanted or {track.partition.topic for track in read})
        except SourceUnavailable as error:
            self._reach.failed(error)
            return False
        self._due_at = time.monotonic() + PROBE_SECONDS
        self._reach.went_well()
        self._see(metadata)
        return unplaced or any(_another(track, metadata) for track in read)

    def _see(self, metadata: Metadata) -> None:
        """Learn which of the configured topics there are; without any there is nothing to do."""
        self.identity = self.identity or metadata.cluster
        if metadata.cluster != self.identity:
            raise SourceUnavailable(
                f"the servers are another cluster now: {metadata.cluster}, not {self.identity}"
            )
        if not self._wanted:
            return
        there = {name for name, topic in metadata.topics.items() if not topic.error}
        missing = sorted(set(self._wanted) - there)
        if not there:
            raise SourceUnavailable(f"there is no topic {', '.join(missing)}, or this user may not see it")
        if missing:
            self._report.warn(
                "topic-missing",
                f"there is no topic {', '.join(missing)}, or this user may not see it",
                "create it, mend its name, or permit DESCRIBE and READ",
            )
        elif self.topics != frozenset(there):
            self._report.clear("topic-missing")
        self.topics = frozenset(there)


def _another(track: Track, metadata: Metadata) -> bool:
    """Say whether a partition belongs to another topic of the same name now."""
    topic = metadata.topics.get(track.partition.topic)
    return topic is not None and "" not in (topic.id, track.topic_id) and topic.id != track.topic_id
