"""One run of a Kafka source: join, place, poll, store, commit.

A batch is stored before its offsets are committed, one batch at a time, so that what is stored of a partition
is always everything up to its position. Whatever was polled under another share of partitions is void: each
share begins with every partition being placed by what is stored, and a record below its partition's position
is a repeat. Trouble with a batch that cannot be opened, an offset that is gone or a commit that is refused is
told, and never passed over.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from triggers.base import Emit, Item, SourceContext
from triggers.errors import SourceUnavailable
from triggers.kafka.cluster import Cluster
from triggers.kafka.commits import Commits
from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoding import Decoding, Record
from triggers.kafka.faults import Damaged
from triggers.kafka.member import Member, OutOfRange
from triggers.kafka.offsets import Partition
from triggers.kafka.placing import Placing, Track
from triggers.kafka.salvage import Salvage
from triggers.kafka.watching import Patience, Watch

POLL_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 0.2


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
        self._commits = Commits(member.commit, config.group, context.report)
        self._salvage = Salvage(config, cluster, decoding)
        self._tracks: dict[Partition, Track] = {}
        self._placed = -1  # the member's generation for which `_tracks` hold

    async def run(self, emit: Emit) -> None:
        """Join the group and store what comes. The member is stopped by whoever made it."""
        config, context, member = self._config, self._context, self._member
        watch = Watch(config, self._cluster, context.report)
        await watch.begin()
        placing = Placing(config, context, self._cluster, member, self._commits, watch.identity)
        patience = Patience(
            "not-placed",
            "look whether every partition has a leader",
            config.unreachable_after.total_seconds(),
            context.report,
        )
        context.report.busy(f"joining group {config.group}")
        topics = watch.topics
        await member.start(topics)
        while True:
            if await watch.look(self._tracks.values(), unplaced=bool(placing.unplaced)):
                self._placed = -1
            if watch.topics != topics:
                topics = watch.topics
                member.subscribe(topics)
            if not await member.assigned(POLL_SECONDS):
                continue
            if self._placed != member.generation and not await self._place(placing, patience, emit):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            await self._step(emit)

    async def _place(self, placing: Placing, patience: Patience, emit: Emit) -> bool:
        """Place our share; say whether that went well. The cluster may fail for a while."""
        generation = self._member.generation
        try:
            tracks = await placing.place(generation, emit)
        except SourceUnavailable as error:
            patience.failed(error)
            return False
        if tracks is None:
            return False
        patience.went_well()
        self._tracks, self._placed = tracks, generation
        return True

    async def _step(self, emit: Emit) -> None:
        """Poll once and store what came."""
        try:
            polled = await self._member.poll(POLL_SECONDS, self._config.batch)
        except OutOfRange:
            self._placed = -1
            await asyncio.sleep(_AGAIN_SECONDS)
        except Damaged as damage:
            await self._pass_damage(damage, emit)
        else:
            if self._placed != self._member.generation:
                return
            if polled:
                await self._store(polled, emit)
            else:
                await self._settle(emit)

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
        """Store that positions moved over what is no record: markers of transactions, what was aborted.

        Commit again what could not be committed: nothing that comes later does, where nothing comes.
        """
        moved = {}
        for partition, track in self._tracks.items():
            reached = await self._member.position(partition)
            if reached > track.next:
                moved[partition] = reached
        if moved:
            await self._keep([], moved, emit)
        elif self._commits.behind(self._tracks):
            with self._member.busy():
                await self._commit()

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

    async def _commit(self, moved: Collection[Partition] = ()) -> None:
        """Commit what is stored of the partitions that moved, and of those that are behind."""
        owed = self._commits.behind(self._tracks).union(moved)
        await self._commits.commit({one: self._tracks[one].next for one in owed})

    async def _pass_damage(self, damage: Damaged, emit: Emit) -> None:
        """Store what cannot be opened as it is, and go on behind it."""
        found = await self._salvage.look(self._tracks, damage)
        self._placed = -1  # what was polled with it is lost to the consumer: seek everywhere
        for partition, (items, reached) in found.items():
            await self._keep(items, {partition: reached}, emit)
