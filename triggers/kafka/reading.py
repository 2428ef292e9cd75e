"""One run of a Kafka source: join, place, poll, store, commit.

A batch is stored before its offsets are committed, one batch at a time, so that what is stored of a partition
is always everything up to its position. Whatever was polled under another share of partitions is void: each
share begins with every partition being placed by what is stored, and a record below its partition's position
is a repeat. Trouble with a batch that cannot be opened, an offset that is gone or a commit that is refused is
told, and never passed over.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from triggers.base import Emit, Item, Notice, Reporter, SourceContext
from triggers.errors import SourceGap, SourceUnavailable
from triggers.kafka import offsets
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoding import Decoding, Record
from triggers.kafka.faults import Damaged
from triggers.kafka.member import Member, NotCommitted, OutOfRange
from triggers.kafka.offsets import Gap, Moment, Partition, Placed, Position
from triggers.kafka.salvage import Salvage
from triggers.kafka.wire import Metadata

POLL_SECONDS: Final = 0.5
PROBE_SECONDS: Final = 5.0
PROBE_AGAIN_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2


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


class Reading:
    """Reads as one member of the group until it is cancelled or something ends it."""

    def __init__(
        self,
        config: KafkaConfig,
        context: SourceContext,
        cluster: Cluster,
        member: Member,
        decoding: Decoding,
    ) -> None:
        self._config = config
        self._context = context
        self._cluster = cluster
        self._member = member
        self._decoding = decoding
        self._salvage = Salvage(config, cluster, decoding)
        self._start: Moment = offsets.moment(config.start)
        self._id = ""
        self._topics: frozenset[str] = frozenset()
        self._tracks: dict[Partition, Track] = {}
        self._placed = -1
        self._ever_placed = False
        self._read_before: frozenset[str] = frozenset()
        self._first_run = True
        self._unplaced: frozenset[Partition] = frozenset()
        self._probe_at = 0.0
        self._uncommitted = 0
        seconds = config.unreachable_after.total_seconds()
        self._reach = Patience("unreachable", "look whether the brokers are up", seconds, context.report)
        self._placing = Patience(
            "not-placed", "look whether every partition has a leader", seconds, context.report
        )

    async def run(self, emit: Emit) -> None:
        """Join the group and store what comes. The member is stopped by whoever made it."""
        member = self._member
        self._see(await self._cluster.metadata(self._config.topics or ()))
        stored = offsets.read(await self._context.positions(), self._id)
        self._first_run = not stored
        self._context.report.busy(f"joining group {self._config.group}")
        await member.start(self._topics)
        self._probe_at = time.monotonic() + PROBE_SECONDS
        while True:
            await self._probe()
            if not await member.assigned(POLL_SECONDS):
                continue
            generation = member.generation
            if generation != self._placed and not await self._try_to_place(generation, emit):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            try:
                polled = await member.poll(POLL_SECONDS, self._config.batch)
            except OutOfRange:
                self._placed = -1
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            except Damaged as damage:
                await self._pass_damage(damage, emit)
                continue
            if generation != member.generation:
                continue
            if polled:
                await self._store(polled, emit)
            else:
                await self._settle(emit)

    # -- records

    async def _store(self, polled: Mapping[Partition, Sequence[Record]], emit: Emit) -> None:
        """Store what was polled, then commit it."""
        items: list[Item] = []
        moved: dict[Partition, int] = {}
        decode = self._decoding.decode
        for partition, records in polled.items():
            track = self._tracks.get(partition)
            if track is None:
                continue  # it could not be placed yet; it is sought again when it can
            fresh = records
            if records[0].offset < track.next:
                fresh = [record for record in records if record.offset >= track.next]
            items += decode(fresh, partition, track.ids)
            reached = max(records[-1].offset + 1, await self._member.position(partition))
            if reached > track.next:
                moved[partition] = reached
        if moved:
            await self._keep(items, moved, emit)

    async def _settle(self, emit: Emit) -> None:
        """Store that positions moved over what is no record: markers of transactions, what was aborted."""
        moved = {}
        for partition, track in self._tracks.items():
            reached = await self._member.position(partition)
            if reached > track.next:
                moved[partition] = reached
        if moved:
            await self._keep([], moved, emit)

    async def _keep(self, items: Sequence[Item], moved: Mapping[Partition, int], emit: Emit) -> None:
        """Store items with the positions behind them, then commit."""
        tracks = self._tracks
        with self._member.busy():
            await emit(items, {tracks[one].key: tracks[one].at(offset) for one, offset in moved.items()})
            for one, offset in moved.items():
                tracks[one].next = offset
            self._context.reached("kafka.before_commit")
            await self._commit(moved)
            self._context.reached("kafka.after_commit")

    async def _commit(self, moved: Mapping[Partition, int]) -> None:
        """Commit; say when that fails. What was stored stays so: its records will be known as repeats."""
        report = self._context.report
        try:
            await self._member.commit(moved)
        except NotCommitted as error:
            self._uncommitted += 1
            report.warn(
                "commit-failed",
                f"offsets were stored but not committed to group {self._config.group}"
                f" ({self._uncommitted} times in this run): {error}",
                "nothing is lost; if it stays, look at the coordinator and at members that come and go",
            )
        else:
            if self._uncommitted:
                report.clear("commit-failed")

    async def _pass_damage(self, damage: Damaged, emit: Emit) -> None:
        """Store what cannot be opened as it is, and go on behind it."""
        found = await self._salvage.look(self._tracks, damage)
        self._placed = -1  # what was polled with it is lost to the consumer: seek everywhere
        for partition, (items, reached) in found.items():
            await self._keep(items, {partition: reached}, emit)

    # -- placing

    async def _try_to_place(self, generation: int, emit: Emit) -> bool:
        """Place our share; let the cluster fail for a while."""
        try:
            placed = await self._place(generation, emit)
        except SourceUnavailable as error:
            self._placing.failed(error)
            return False
        if placed:
            self._placing.went_well()
        return placed

    async def _place(self, generation: int, emit: Emit) -> bool:
        """Seek every partition of our share to where it is read from; say whether it is still ours."""
        context, member = self._context, self._member
        share = member.share()
        stored = offsets.read(await context.positions(), self._id)
        logs = await self._cluster.logs(share)
        committed = await self._cluster.committed(self._config.group, share)
        wanted = self._moments(share, stored, committed)
        moments = await self._cluster.offsets_at({one: at for one, at in wanted.items() if one in logs})
        placed = {
            one: offsets.place(
                stored.get(one), committed.get(one), log, at=moments.get(one), policy=self._config.on_gap
            )
            for one, log in logs.items()
        }
        if self._config.on_gap == "stop":
            _stop_at_gaps(context.name, placed)
        if generation != member.generation or not await self._remember(placed, stored, emit):
            return False
        if generation != member.generation:
            return False
        self._tracks = {one: Track(self._id, one, this.position) for one, this in placed.items()}
        for one, track in self._tracks.items():
            if not member.seek(one, track.next):
                return False
        self._placed = generation
        self._unplaced = share - logs.keys()
        self._ever_placed = True
        self._read_before |= {one.topic for one in placed}
        self._tell(share)
        return True

    def _moments(
        self,
        share: frozenset[Partition],
        stored: Mapping[Partition, Position],
        committed: Mapping[Partition, int],
    ) -> dict[Partition, Moment]:
        """Return the moments at which partitions begin that nobody has read.

        `start:` is for topics that are new to us. A partition that came to a topic we read, a topic that came
        while we run, and one that a pattern finds in a later run are read from their first record.
        """
        known = {one.topic for one in (*stored, *committed)} | self._read_before
        later = self._ever_placed or (self._config.pattern is not None and not self._first_run)
        moments: dict[Partition, Moment] = {}
        for one in share:
            start: Moment = "earliest" if later or one.topic in known else self._start
            moment = offsets.wanted(stored.get(one), committed.get(one), start)
            if moment is not None:
                moments[one] = moment
        return moments

    async def _remember(
        self, placed: Mapping[Partition, Placed], stored: Mapping[Partition, Position], emit: Emit
    ) -> bool:
        """Store where partitions begin, with the gaps before them; say whether the group took it, too.

        Where reading goes back, the group's offset goes first: behind a stored position it is overruled,
        before one it would make us skip.
        """
        changed = {one: this for one, this in placed.items() if this.position != stored.get(one)}
        if not changed:
            return True
        back = {one: this.position.next for one, this in changed.items() if this.move}
        with self._member.busy():
            if back:
                try:
                    await self._member.commit(back)
                except NotCommitted:
                    return False
            notices = [_notice(self._id, one, this, this.gap) for one, this in changed.items() if this.gap]
            await emit(
                notices,
                {offsets.key(self._id, one): offsets.write(this.position) for one, this in changed.items()},
            )
            await self._commit({one: this.position.next for one, this in changed.items() if not this.move})
        return True

    def _tell(self, share: frozenset[Partition]) -> None:
        count = len({one.topic for one in share})
        self._context.report.running(
            f"{len(share)} partition{'s' * (len(share) != 1)} of {count} topic{'s' * (count != 1)}"
            if share
            else f"no partition is ours now: the other members of group {self._config.group} have them"
        )

    # -- the cluster around

    async def _probe(self) -> None:
        """Look now and then whether the cluster is there, and whether its topics are still the same."""
        now = time.monotonic()
        if now < self._probe_at:
            return
        self._probe_at = now + PROBE_AGAIN_SECONDS
        names = self._config.topics or {one.topic for one in self._tracks}
        try:
            metadata = await self._cluster.metadata(names)
        except SourceUnavailable as error:
            self._reach.failed(error)
            return
        self._probe_at = time.monotonic() + PROBE_SECONDS
        self._reach.went_well()
        topics = self._topics
        self._see(metadata)
        if self._topics != topics:
            self._member.subscribe(self._topics)
        if self._unplaced or any(_another(track, metadata) for track in self._tracks.values()):
            self._placed = -1

    def _see(self, metadata: Metadata) -> None:
        """Learn which of the configured topics there are; without any there is nothing to do."""
        self._id = self._id or metadata.cluster
        if metadata.cluster != self._id:
            raise SourceUnavailable(
                f"the servers are another cluster now: {metadata.cluster}, not {self._id}"
            )
        wanted = self._config.topics
        if not wanted:
            return
        there = {name for name, topic in metadata.topics.items() if not topic.error}
        missing = sorted(set(wanted) - there)
        if not there:
            raise SourceUnavailable(f"there is no topic {', '.join(missing)}, or this user may not see it")
        report = self._context.report
        if missing:
            report.warn(
                "topic-missing",
                f"there is no topic {', '.join(missing)}, or this user may not see it",
                "create it, mend its name, or permit DESCRIBE and READ",
            )
        elif self._topics != frozenset(there):
            report.clear("topic-missing")
        self._topics = frozenset(there)


def _another(track: Track, metadata: Metadata) -> bool:
    """Say whether a partition belongs to another topic of the same name now."""
    topic = metadata.topics.get(track.partition.topic)
    return topic is not None and "" not in (topic.id, track.topic_id) and topic.id != track.topic_id


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
