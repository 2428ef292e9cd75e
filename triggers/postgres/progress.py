"""Says how far a source is, asked of the server and not of the source itself.

What waits is counted in bytes of WAL between what the slot has confirmed and where the WAL ends. On a
server with busy neighbours most of those bytes are not for us, and only decoding would tell which.
So the heartbeat is the measure: when the slot is past the last one, all that was there then is stored, and
nothing is pending. When it is not, or none was written lately, all up to the end of the WAL counts; the
position moves with each heartbeat, so a position that stands still is a source that is stuck.
"""

import asyncio

from triggers.base import Progress
from triggers.errors import SourceUnavailable
from triggers.postgres.catalog import Catalog
from triggers.postgres.config import PostgresConfig, slot_name
from triggers.postgres.connection import connected
from triggers.postgres.heartbeat import Watch, fully_taken
from triggers.postgres.outbox import outbox_progress
from triggers.postgres.position import format_lsn


async def progress(name: str, config: PostgresConfig, watch: Watch | None) -> Progress:
    """Return how much waits; `watch` is the one of the run that is under way, if one is."""
    if config.mode == "outbox":
        return await outbox_progress(name, config)
    async with connected(name, config) as sql:
        catalog = Catalog(sql)
        slot = await catalog.slot(slot_name(name, config))
        identity = await catalog.identity()
    if slot is None:
        raise SourceUnavailable(f"{name}: there is no replication slot {slot_name(name, config)}")
    pending = max(0, identity.wal_lsn - slot.confirmed)
    if watch is not None and config.heartbeat is not None:
        now = asyncio.get_running_loop().time()
        if fully_taken(watch.beat, slot, now, config.heartbeat.total_seconds()):
            pending = 0
    return Progress(pending=pending, unit="bytes", position=format_lsn(slot.confirmed))
