"""Keeps an eye on the server while a source runs, by a plain connection of its own.

The heartbeat is a transaction that writes nothing but a logical message. It comes back to us like any
change, so an idle source moves its position, and its slot lets WAL go that a busy neighbour database writes.
It must be transactional: only a commit makes the server compute anew from where it needs WAL
(PeerDB PR #3904).

Each look also judges slot and publication again, as at the begin of a run, and raises an alarm while there is
still disk: what our slot holds back, what the server would give up, and who keeps it from moving.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from triggers.base import SourceContext
from triggers.errors import SourceUnavailable
from triggers.postgres.begin import CARRIED_KEY, Start, carries
from triggers.postgres.catalog import Catalog, Holder, Identity, Slot
from triggers.postgres.changes import HEARTBEAT_PREFIX
from triggers.postgres.config import PostgresConfig, publication_name, slot_name
from triggers.postgres.connection import connected, mapped
from triggers.postgres.gate import Gate
from triggers.postgres.position import parse_lsn
from triggers.postgres.slot import judge

EVERY: Final = 10.0
"""Seconds between two looks, where no heartbeat says otherwise."""

OLD_TRANSACTION: Final = 300.0
"""Seconds after which an open transaction is named, if it holds WAL back."""

_MEBIBYTE: Final = 1024 * 1024


class Beat(msgspec.Struct, frozen=True):
    """The last heartbeat: the LSN of its message, and when it was written (monotonic clock)."""

    lsn: int
    at: float


class Watch:
    """One watch over one run. `beat` is None until the first heartbeat was written."""

    def __init__(
        self, name: str, config: PostgresConfig, context: SourceContext, gate: Gate, start: Start
    ) -> None:
        self.beat: Beat | None = None
        self._name = name
        self._config = config
        self._context = context
        self._gate = gate
        self._identity = start.identity
        self._carried: Mapping[str, int] = start.carried
        self._moved = False

    async def run(self) -> None:
        """Look, again and again, until cancelled. Raise SourceGap, SourceRejected for what ends the source.

        A server that cannot be reached is the stream's business: here it is a warning, and one more try.
        One that changed its timeline is SourceUnavailable: the next run judges it.
        """
        heartbeat = self._config.heartbeat
        seconds = heartbeat.total_seconds() if heartbeat else EVERY
        while True:
            try:
                async with connected(self._name, self._config) as sql:
                    catalog = Catalog(sql)
                    while True:
                        await self.look(catalog)
                        self._context.report.clear("watch")
                        await asyncio.sleep(seconds)
            except SourceUnavailable as error:
                if self._moved:
                    raise
                self._context.report.warn("watch", f"the server cannot be watched: {error}")
                await asyncio.sleep(seconds)

    async def look(self, catalog: Catalog) -> None:
        """Write a heartbeat, judge what stands on the server, and raise or clear alarms."""
        name, config = self._name, self._config
        # In this order: only what is stored is ever confirmed, and only what is written is ever stored.
        slot = await catalog.slot(slot_name(name, config))
        position = self._gate.position
        identity = await catalog.identity()
        if identity.timeline != self._identity.timeline:
            self._moved = True
            raise SourceUnavailable(f"{name}: the server changed to timeline {identity.timeline}")
        judge(name, position, identity, slot)
        await self._look_at_publication(catalog)
        if config.heartbeat is not None and not identity.standby:
            with mapped("writing a heartbeat"):
                lsn = await catalog.sql.fetchval(
                    "SELECT pg_logical_emit_message(true, $1, $2::text)::text", HEARTBEAT_PREFIX, name
                )
            self.beat = Beat(parse_lsn(lsn), asyncio.get_running_loop().time())
        if slot is not None:
            await self._look_at_wal(catalog, identity, slot)

    async def _look_at_publication(self, catalog: Catalog) -> None:
        """Raise SourceGap when a table is gone from the publication; tell and remember other changes."""
        publication = await catalog.publication(publication_name(self._name, self._config))
        before = msgspec.json.encode(self._carried)
        now = await carries(self._name, self._config, catalog, publication, before, fresh=False)
        if now.tables != self._carried:
            async with self._gate.page() as emit:
                await emit(now.notices, {CARRIED_KEY: msgspec.json.encode(now.tables)})
            self._carried = now.tables

    async def _look_at_wal(self, catalog: Catalog, identity: Identity, slot: Slot) -> None:
        """Warn while our slot holds more WAL than it may, or will be given up soon."""
        alarm = wal_alarm(self._config, identity, slot, (await catalog.server()).keep_mebibytes)
        holders = await catalog.holders()
        report = self._context.report
        if alarm:
            report.warn("wal-budget", alarm, pinned(identity, slot, holders))
        else:
            report.clear("wal-budget")
        old = [holder for holder in holders if holder.seconds >= OLD_TRANSACTION]
        if old and slot.restart < slot.confirmed:
            report.warn("old-transaction", f"WAL is held back by {old[0]}", _end(old[0]))
        else:
            report.clear("old-transaction")


def wal_alarm(config: PostgresConfig, identity: Identity, slot: Slot, keep_mebibytes: int) -> str:
    """Return what is alarming about the WAL that our slot holds back, "" when nothing is. Pure."""
    held = max(0, identity.wal_lsn - slot.restart)
    words = f"the slot {slot.name} holds back {_size(held)} of WAL"
    if slot.wal_status == "unreserved":
        return f"{words}, more than max_slot_wal_keep_size: the server gives it up at the next checkpoint"
    if keep_mebibytes >= 0 and held > keep_mebibytes * _MEBIBYTE * 3 // 4:
        return f"{words}; beyond max_slot_wal_keep_size ({keep_mebibytes} MiB) the server gives it up"
    if held > config.wal_budget:
        return f"{words}, more than its `wal_budget` of {_size(config.wal_budget)}"
    return ""


def pinned(identity: Identity, slot: Slot, holders: list[Holder]) -> str:
    """Return what keeps the slot from letting WAL go, and what to do. Pure."""
    waiting = max(0, identity.wal_lsn - slot.confirmed)
    unread = f"{_size(waiting)} of it is not taken yet: see whether the source runs and the store takes"
    if slot.confirmed - slot.restart > waiting and holders:
        return f"it is held back by {holders[0]}: {_end(holders[0])}"
    return f"{unread}; the oldest open transaction is {holders[0]}" if holders else unread


def _end(holder: Holder) -> str:
    """Return how to end an open transaction."""
    kind, _, which = holder.who.rpartition(" ")
    if kind == "pid":
        return f"end it: SELECT pg_terminate_backend({which})"
    return f"end it: COMMIT PREPARED or ROLLBACK PREPARED {which!r}"


def _size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / _MEBIBYTE:,.0f} MiB" if count >= _MEBIBYTE else f"{count:,} bytes"


def fully_taken(beat: Beat | None, slot: Slot, now: float, heartbeat: float) -> bool:
    """Say whether all that was there at the last heartbeat is stored, if there was one lately. Pure."""
    return beat is not None and now - beat.at < 3 * heartbeat and slot.confirmed >= beat.lsn
