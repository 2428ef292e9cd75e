"""Seeks the partitions of a share to where they have to be read from, and remembers where that was.

What is decided is stored before anything is read, with the gaps that lie before it: a source that began at
the end begins there again, whether a record came meanwhile or not, and a gap is told once.
"""

from collections.abc import Mapping
from typing import Any

from triggers.base import Emit, Notice, SourceContext
from triggers.errors import SourceGap
from triggers.kafka import offsets
from triggers.kafka.cluster import Cluster
from triggers.kafka.commits import Commits
from triggers.kafka.config import KafkaConfig
from triggers.kafka.member import Member
from triggers.kafka.offsets import Gap, Moment, Partition, Placed, Position


class Track:
    """A partition that is ours: where it is, and what its keys and ids look like."""

    __slots__ = ("ids", "key", "next", "partition", "renewed", "topic_id")

    def __init__(self, cluster: str, partition: Partition, position: Position) -> None:
        self.partition = partition
        self.key = offsets.key(cluster, partition)
        self.ids = offsets.ids(cluster, partition, position)
        self.topic_id = position.topic_id
        self.renewed = position.renewed
        self.next = position.next

    def at(self, offset: int) -> bytes:
        """Return what is stored when everything before an offset is."""
        return offsets.write(Position(offset, self.topic_id, self.renewed))


class Placing:
    """Places the shares of one run. `unplaced` are partitions that the cluster did not know the last time."""

    def __init__(
        self,
        config: KafkaConfig,
        context: SourceContext,
        cluster: Cluster,
        member: Member,
        commits: Commits,
        identity: str,
    ) -> None:
        self.unplaced: frozenset[Partition] = frozenset()
        self._config = config
        self._context = context
        self._cluster = cluster
        self._member = member
        self._commits = commits
        self._id = identity
        self._start: Moment = offsets.moment(config.start)
        self._placed_before = False
        self._read_before: frozenset[str] | None = None

    async def place(self, generation: int, emit: Emit) -> dict[Partition, Track] | None:
        """Return the tracks of our share, each sought to its place; None when it is ours no longer."""
        member, policy = self._member, self._config.on_gap
        share = member.share()
        stored = offsets.read(await self._context.positions(), self._id)
        family = share | await self._siblings(share, stored)
        logs = await self._cluster.logs(family)
        committed = await self._cluster.committed(self._config.group, family)
        wanted = self._moments(family, share, stored, committed)
        moments = await self._cluster.offsets_at({one: at for one, at in wanted.items() if one in logs})
        placed = {
            one: offsets.place(stored.get(one), committed.get(one), log, at=moments.get(one), policy=policy)
            for one, log in logs.items()
            if one in share or one in moments
        }
        if policy == "stop":
            _stop_at_gaps(self._context.name, placed)
        if generation != member.generation or not await self._remember(placed, share, stored, emit):
            return None
        tracks = {one: Track(self._id, one, this.position) for one, this in placed.items() if one in share}
        if generation != member.generation:
            return None
        if not all(member.seek(one, track.next) for one, track in tracks.items()):
            return None
        self.unplaced = share - logs.keys()
        self._placed_before = True
        self._tell(share)
        return tracks

    async def _siblings(
        self, share: frozenset[Partition], stored: Mapping[Partition, Position]
    ) -> frozenset[Partition]:
        """Return the other partitions of topics that are new to us and do not begin with their first record.

        Their beginning is decided with that of ours, so that a partition we know nothing of is always one
        that came later.
        """
        new = {one.topic for one in share} - {one.topic for one in stored}
        if self._start == "earliest" or self._placed_before or not new:
            return frozenset()
        metadata = await self._cluster.metadata(new)
        return frozenset(
            Partition(topic.name, number) for topic in metadata.topics.values() for number in topic.leaders
        )

    def _moments(
        self,
        family: frozenset[Partition],
        share: frozenset[Partition],
        stored: Mapping[Partition, Position],
        committed: Mapping[Partition, int],
    ) -> dict[Partition, Moment]:
        """Return the moments at which partitions begin that nobody has read.

        `start:` is for topics that are new to us. A partition that came to a topic we read, a topic that came
        while we run, and one that a pattern finds in a later run are read from their first record.
        """
        if self._read_before is None:
            self._read_before = frozenset(one.topic for one in stored)
        known = {*self._read_before, *(one.topic for one in committed if one in share)}
        by_pattern = self._config.pattern is not None and bool(self._read_before)
        later = self._placed_before or by_pattern
        moments: dict[Partition, Moment] = {}
        for one in family:
            start: Moment = "earliest" if later or one.topic in known else self._start
            moment = offsets.wanted(stored.get(one), committed.get(one), start)
            if moment is not None:
                moments[one] = moment
        return moments

    async def _remember(
        self,
        placed: Mapping[Partition, Placed],
        share: frozenset[Partition],
        stored: Mapping[Partition, Position],
        emit: Emit,
    ) -> bool:
        """Store where partitions begin, with the gaps before them; say whether the group took it, too.

        Where reading goes back, the group's offset goes first: behind a stored position it is overruled,
        before one it would make us skip.
        """
        changed = {one: this for one, this in placed.items() if this.position != stored.get(one)}
        if not changed:
            return True
        ours = {one: this for one, this in changed.items() if one in share}
        back = {one: this.position.next for one, this in ours.items() if this.move}
        with self._member.busy():
            if back and not await self._commits.commit(back):
                return False
            notices = [_notice(self._id, one, this, this.gap) for one, this in changed.items() if this.gap]
            await emit(
                notices,
                {offsets.key(self._id, one): offsets.write(this.position) for one, this in changed.items()},
            )
            await self._commits.commit(
                {one: this.position.next for one, this in ours.items() if not this.move}
            )
        return True

    def _tell(self, share: frozenset[Partition]) -> None:
        count = len({one.topic for one in share})
        self._context.report.running(
            f"{len(share)} partition{'s' * (len(share) != 1)} of {count} topic{'s' * (count != 1)}"
            if share
            else f"no partition is ours now: the other members of group {self._config.group} have them"
        )


def _stop_at_gaps(name: str, placed: Mapping[Partition, Placed]) -> None:
    """Raise SourceGap when there are gaps."""
    gaps = {f"{one.topic}/{one.partition}": this.gap for one, this in placed.items() if this.gap}
    if not gaps:
        return
    said = "; ".join(
        f"{where}: {gap.reason} at offset {gap.at}, the log goes on at {gap.to}"
        for where, gap in sorted(gaps.items())
    )
    facts: dict[str, Any] = {
        where: {"reason": gap.reason, "at": gap.at, "to": gap.to, "lost": gap.lost}
        for where, gap in gaps.items()
    }
    raise SourceGap(
        f"records that were not taken are gone: {said}",
        fix=f"`pointsman sources rewind {name} earliest` (or `latest`, or a time), or set `on_gap:`",
        facts=facts,
    )


def _notice(cluster: str, partition: Partition, placed: Placed, gap: Gap) -> Notice:
    """Return the notice of a gap."""
    where = offsets.ids(cluster, partition, placed.position)
    return Notice(
        kind="gap",
        id=f"{where}{gap.reason}/{gap.at}-{gap.to}",
        data={
            "topic": partition.topic,
            "partition": partition.partition,
            "reason": gap.reason,
            "from": gap.at,
            "to": gap.to,
            "lost": gap.lost,
        },
    )
