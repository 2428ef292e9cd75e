"""Decides where a PostgreSQL source goes on: what we stored against what the server has. Pure.

A replication slot keeps what we have not confirmed, and we confirm only what is stored. So a slot that is
further than our position was moved by somebody else, one that is gone took its changes with it, and an LSN of
another server or history means nothing. Each of these is a declared gap; nothing is papered over.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres.catalog import Identity, Slot
from triggers.postgres.position import Position, format_lsn

ACCEPT_KEY: Final = "accept"
"""Position key: an operator accepts a gap; how to go on (`REWINDS`). Forgotten once we went on."""
SNAPSHOT_KEY: Final = "snapshot"
"""Position key: how far the reading of existing rows is (`snapshot`)."""

REWINDS: Final = {
    "snapshot": "read all rows again, and go on with the next change that is to be had",
    "next": "go on with the next change that is to be had",
    "now": "leave out every change up to now",
}


def judge(
    source: str,
    position: Position | None,
    identity: Identity,
    slot: Slot | None,
    *,
    accept: str = "",
    branches: Mapping[int, int] | None = None,
) -> Position:
    """Return where to go on.

    `branches` says of earlier timelines at which LSN they were left; a position on one of them holds on
    this one when it is not beyond. Raise SourceGap when changes are lost or may be, unless an operator
    accepts it; SourceRejected when there is no usable slot; SourceUnavailable when the server must catch up.
    """
    fresh = position is None or bool(accept)
    usable = _usable(source, identity, slot, fresh=fresh, position=position)
    begin = Position(
        system_id=identity.system_id, timeline=identity.timeline, slot=usable.name, lsn=usable.confirmed
    )
    if accept == "now":
        return msgspec.structs.replace(begin, lsn=max(identity.wal_lsn, usable.confirmed))
    if position is None:
        return begin
    gap = _gap(source, position, identity, usable, branches or {})
    if gap is None:
        return msgspec.structs.replace(position, timeline=identity.timeline, slot=usable.name)
    if accept:
        return begin
    raise gap


def rewind(source: str, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
    """Return which positions to change so that the next run begins at `to`. Raise SourceRejected."""
    if to not in REWINDS:
        ways = "; ".join(f"`{word}`: {meaning}" for word, meaning in REWINDS.items())
        raise SourceRejected(f"{source}: a postgres source cannot begin at {to!r}. Possible are {ways}")
    changed: dict[str, bytes | None] = {ACCEPT_KEY: to.encode()}
    if to == "snapshot":
        changed[SNAPSHOT_KEY] = again(positions.get(SNAPSHOT_KEY))
    return changed


def again(stored: bytes | None) -> bytes:
    """Return the position of a snapshot that begins anew: its number is one that was never used."""
    number = msgspec.json.decode(stored, type=_Number).number + 1 if stored else 1
    return msgspec.json.encode(_Number(number))


class _Number(msgspec.Struct, frozen=True):
    """What is needed of the position of a snapshot; the rest belongs to `snapshot`."""

    number: int


def _usable(
    source: str, identity: Identity, slot: Slot | None, *, fresh: bool, position: Position | None
) -> Slot:
    """Return the slot when it can give us changes. Raise SourceRejected or SourceGap."""
    set_up = f"pointsman sources setup {source}"
    facts = _facts(position, identity, slot)
    if slot is None:
        if fresh:
            raise SourceRejected(f"{source}: there is no replication slot yet; run: {set_up}")
        raise SourceGap(
            f"{source}: the replication slot is gone, and with it the changes since {facts['stored']}",
            fix=f"{set_up}; then {ways(source)}",
            facts={"reason": "slot-missing", **facts},
        )
    if slot.plugin != "pgoutput" or slot.database != identity.database:
        what = "of no plugin" if not slot.plugin else f"of plugin {slot.plugin} and database {slot.database}"
        raise SourceRejected(
            f"{source}: the slot {slot.name} is {what}, not of pgoutput and {identity.database}; "
            "give the source a `slot:` of its own"
        )
    if slot.lost:
        if fresh:
            raise SourceRejected(
                f"{source}: the slot {slot.name} is lost ({slot.lost}); this makes it anew: {set_up}"
            )
        raise SourceGap(
            f"{source}: the server gave up the slot {slot.name} ({slot.lost}): "
            f"the changes since {facts['stored']} are lost",
            fix=f"{set_up}; then {ways(source)}; raise max_slot_wal_keep_size or keep the source running",
            facts={"reason": "slot-lost", **facts},
        )
    return slot


def _gap(
    source: str, position: Position, identity: Identity, slot: Slot, branches: Mapping[int, int]
) -> SourceGap | None:
    """Return what is lost between our position and the slot; None when nothing is."""
    facts = _facts(position, identity, slot)
    furthest = position.part.final_lsn if position.part else position.lsn

    def lost(reason: str, message: str) -> SourceGap:
        return SourceGap(f"{source}: {message}", fix=ways(source), facts={"reason": reason, **facts})

    if position.system_id != identity.system_id:
        return lost("other-server", "this is another server than the one that our position is of")
    if position.timeline != identity.timeline:
        left = branches.get(position.timeline)
        change = f"the server is on timeline {identity.timeline}, our position on {position.timeline}"
        if left is None:
            return lost("other-timeline", f"{change}, and it cannot say where they part")
        if furthest > left:
            return lost(
                "other-timeline",
                f"{change}, left at {format_lsn(left)}: it does not have all that we stored, "
                "and may have other changes instead",
            )
    elif furthest > identity.wal_lsn:
        if identity.standby:
            raise SourceUnavailable(f"{source}: the standby has not replayed up to our position yet")
        return lost("server-behind", "the server ends before our position: an older copy was restored")
    if slot.confirmed > position.lsn:
        return lost(
            "slot-ahead",
            f"the slot {slot.name} is at {format_lsn(slot.confirmed)}, beyond our position: somebody else "
            "consumed or moved it, or our store is an older copy",
        )
    return None


def _facts(position: Position | None, identity: Identity, slot: Slot | None) -> dict[str, object]:
    """Return what is known, as people read it."""
    return {
        "stored": format_lsn(position.lsn) if position else "the beginning",
        "stored_system_id": position.system_id if position else "",
        "stored_timeline": position.timeline if position else 0,
        "system_id": identity.system_id,
        "timeline": identity.timeline,
        "server_lsn": format_lsn(identity.wal_lsn),
        "slot": slot.name if slot else "",
        "slot_confirmed": format_lsn(slot.confirmed) if slot else "",
        "slot_status": (slot.lost or slot.wal_status) if slot else "missing",
    }


def ways(source: str) -> str:
    """Return how an operator can go on after a gap."""
    words = " or ".join(f"--to {word} ({meaning})" for word, meaning in REWINDS.items())
    return f"pointsman sources rewind {source} {words}"
