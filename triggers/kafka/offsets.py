"""Where a partition is read from: what we stored, what the group committed, what the log still has. Pure.

The stored position decides, because it stands in one transaction with the messages; the group's offset only
adds what another member took. Whatever that costs is said: a place that the log no longer has is a gap,
declared with what is lost, and never a silent jump to the end.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from triggers.errors import SourceRejected

Moment = Literal["earliest", "latest"] | int
"""The oldest record there is, the next one to come, or the first since a time (epoch milliseconds)."""

GapPolicy = Literal["earliest", "latest", "stop"]
"""How to go on after a gap: with the oldest record not yet taken, with the next to come, or not at all."""

_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored of a partition, under `key`.

    `next` is the offset to read next. `topic_id` tells a topic from another one of the same name; `renewed`
    says that the topic was once made anew, so that its records need ids of their own. `rewind` asks the next
    run to begin elsewhere, once.
    """

    next: int
    topic_id: str = ""
    renewed: bool = False
    rewind: str = ""


class Log(msgspec.Struct, frozen=True):
    """What a partition has: its oldest offset, the one that comes next, and the topic's id ("" unknown)."""

    start: int
    end: int
    topic_id: str = ""


class Gap(msgspec.Struct, frozen=True):
    """What is lost for us: from `at` on the log is not what it was; reading goes on at `to`.

    `lost` is how many offsets that is at most; None when nobody can know.
    """

    reason: Literal["expired", "recreated", "truncated"]
    at: int
    to: int
    lost: int | None


class Placed(msgspec.Struct, frozen=True):
    """Where a partition is read from. `move` is set when the group's offset has to go there first."""

    position: Position
    gap: Gap | None = None
    move: bool = False


class Partition(NamedTuple):
    """A partition of a topic, as aiokafka writes one."""

    topic: str
    partition: int


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Position).decode


def key(cluster: str, partition: Partition) -> str:
    """Return the key under which a partition's position is stored."""
    return f"{cluster}/{partition.topic}/{partition.partition}"


def write(position: Position) -> bytes:
    """Return what is stored of a partition."""
    return _encode(position)


def read(stored: Mapping[str, bytes], cluster: str) -> dict[Partition, Position]:
    """Return the positions of a cluster. Raise SourceRejected when one cannot be read."""
    found = {}
    for name, value in stored.items():
        if not name.startswith(cluster + "/"):
            continue
        topic, _, partition = name[len(cluster) + 1 :].rpartition("/")
        try:
            found[Partition(topic, int(partition))] = _decode(value)
        except (msgspec.MsgspecError, ValueError) as error:
            raise SourceRejected(f"the stored position {name} cannot be read: {error}") from error
    return found


def moment(text: str) -> Moment:
    """Read `earliest`, `latest` (or `now`) or an RFC 3339 time. Raise ValueError."""
    if text in ("earliest", "latest"):
        return "earliest" if text == "earliest" else "latest"
    if text == "now":
        return "latest"
    if not _TIME.fullmatch(text):
        raise ValueError("write earliest, latest or a time such as 2026-11-21T08:00:00Z")
    at = datetime.fromisoformat(text.upper())
    milliseconds = int(at.timestamp() * 1000)
    if milliseconds < 0:
        raise ValueError("the time lies before 1970")
    return milliseconds


def rewound(stored: Mapping[str, bytes], to: str) -> dict[str, bytes | None]:
    """Return the positions with the wish to begin elsewhere. Raise SourceRejected."""
    try:
        moment(to)
    except ValueError as error:
        raise SourceRejected(f"a kafka source cannot begin at {to[:40]!r}: {error}") from None
    if not stored:
        raise SourceRejected("nothing was read yet: where to begin is said by `start:`")
    wishes: dict[str, bytes | None] = {}
    for name, value in stored.items():
        try:
            wishes[name] = write(msgspec.structs.replace(_decode(value), rewind=to))
        except msgspec.MsgspecError as error:
            raise SourceRejected(f"the stored position {name} cannot be read: {error}") from error
    return wishes


def wanted(stored: Position | None, committed: int | None, start: Moment) -> Moment | None:
    """Return the moment whose offset has to be known to place a partition; None when none has to."""
    if stored is not None and stored.rewind:
        return moment(stored.rewind)
    return start if stored is None and committed is None else None


def place(
    stored: Position | None, committed: int | None, log: Log, *, at: int | None, policy: GapPolicy
) -> Placed:
    """Decide where to read a partition from. `at` is the offset of the moment that was `wanted`."""
    renewed = stored.renewed if stored else False
    recreated = bool(stored and stored.topic_id and log.topic_id and stored.topic_id != log.topic_id)
    if at is not None:
        inside = min(max(at, log.start), log.end)
        again = stored is not None and bool(stored.rewind)
        return Placed(Position(inside, log.topic_id, renewed or recreated), move=again)
    if stored is not None and recreated:
        gap = Gap("recreated", stored.next, log.end if policy == "latest" else log.start, None)
        return Placed(Position(gap.to, log.topic_id, renewed=True), gap, move=True)
    taken = max(stored.next if stored else 0, committed or 0)
    if taken < log.start:
        gap = Gap("expired", taken, log.end if policy == "latest" else log.start, log.start - taken)
    elif taken > log.end:
        same = bool(stored and stored.topic_id and stored.topic_id == log.topic_id)
        gap = _shorter(taken, log, policy, same=same)
    else:
        return Placed(Position(taken, log.topic_id or (stored.topic_id if stored else ""), renewed))
    renewed = renewed or (gap.reason == "recreated")
    return Placed(Position(gap.to, log.topic_id, renewed), gap, move=gap.to < taken)


def _shorter(taken: int, log: Log, policy: GapPolicy, *, same: bool) -> Gap:
    """Return the gap of a log that ends before what was taken.

    When its id says that it is the same topic, it lost its end (an unclean election): what is below was
    taken, so reading goes on at the end. Otherwise the topic may be a new one: all of it is read.
    """
    if same or policy == "latest":
        return Gap("truncated", taken, log.end, None)
    return Gap("recreated", taken, log.start, None)


def ids(cluster: str, partition: Partition, position: Position) -> str:
    """Return what the ids of a partition's records begin with; those of a topic made anew are told apart."""
    topic = f"{partition.topic}@{position.topic_id}" if position.renewed else partition.topic
    return f"{cluster}/{topic}/{partition.partition}/"
