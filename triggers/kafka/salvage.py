"""Finds the record batches that cannot be opened, and makes rejects of them.

A consumer that meets such a batch raises for ever at the same place and does not say where. So each partition
is read again from its position, by a connection of our own: what can be opened becomes messages, the first
batch that cannot becomes one reject with its bytes.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from triggers.base import Item, Reject
from triggers.errors import SourceUnavailable
from triggers.kafka.batches import Batch, batch_at
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoding import Decoding
from triggers.kafka.faults import DAMAGE, Damaged, plain
from triggers.kafka.offsets import Partition

TRIES: Final = 3
"""How often nothing may be found to be wrong: a batch may have been damaged on its way only."""


class Tracked(Protocol):
    """What is known of a partition."""

    next: int
    ids: str


class Salvage:
    """Looks for damage in the partitions of one run."""

    def __init__(self, config: KafkaConfig, cluster: Cluster, decoding: Decoding) -> None:
        self._isolation = int(config.isolation == "read_committed")
        self._most = config.max_fetch
        self._cluster = cluster
        self._decoding = decoding
        self._in_vain = 0

    async def look(
        self, tracks: Mapping[Partition, Tracked], damage: Damaged
    ) -> dict[Partition, tuple[list[Item], int]]:
        """Return what to store of each partition that has damage, and the offset behind it."""
        found = {}
        logs = await self._cluster.logs(tracks)
        for partition, track in tracks.items():
            if partition in logs and logs[partition].end > track.next:
                passed = await self._open(partition, track)
                if passed is not None:
                    found[partition] = passed
        self._in_vain = 0 if found else self._in_vain + 1
        if self._in_vain >= TRIES:
            raise SourceUnavailable(f"records cannot be read: {damage}") from damage
        return found

    async def _open(self, partition: Partition, track: Tracked) -> tuple[list[Item], int] | None:
        """Open what comes next in a partition; None when all of it can be."""
        raw, aborted = await self._cluster.raw(partition, track.next, self._most, self._isolation)
        records = PartitionRecords(
            partition, MemoryRecords(raw), aborted, track.next, None, None, True, self._isolation
        )
        items: list[Item] = []
        try:
            items.extend(self._decoding.each(records, partition, track.ids))
        except DAMAGE as error:  # what came before stays in the list
            at: int = records.next_fetch_offset
            batch = batch_at(raw, at)
            if batch is None:
                raise SourceUnavailable(
                    f"{partition.topic}/{partition.partition} at {at}: {error}"
                ) from error
            return [*items, _reject(partition, batch, at, error)], batch.last + 1
        return None


def _reject(partition: Partition, batch: Batch, at: int, error: Exception) -> Reject:
    """Return the reject that keeps a batch: the bytes as they lie in the log, compressed or not."""
    codec = "" if batch.codec == "none" else f", compressed with {batch.codec}"
    return Reject(
        reason="unreadable-batch",
        detail=f"the record batch of offsets {at} to {batch.last}{codec} cannot be opened: {plain(error)}",
        data=batch.data,
        meta={
            "kind": "kafka",
            "topic": partition.topic,
            "partition": partition.partition,
            "offset": at,
            "last_offset": batch.last,
            "codec": batch.codec,
        },
    )
