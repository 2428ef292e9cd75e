"""Where to go on in a stream, and whether it is still the one that was read before.

A stream remembers nothing for its readers, so the position is ours: the offset of the last message that was
stored, with a digest of its body. Reading begins at that very message: when it comes again as it was, nothing
in between is lost. When it does not, the stream was cut or made anew, and that is a gap. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec

from triggers.base import Notice
from triggers.errors import SourceGap, SourceRejected
from triggers.rabbitmq.config import check_start

KEY: Final = "offset"
"""The key under which the position is stored."""

_FROM: Final = "from:"


class Mark(msgspec.Struct, frozen=True):
    """Where to begin: at `start`, or behind the message with this offset and digest."""

    start: str = ""
    offset: int = -1
    digest: str = ""

    def encode(self) -> bytes:
        """Return the mark as it is stored."""
        text = f"{_FROM}{self.start}" if self.start else f"{self.offset} {self.digest}"
        return text.encode("ascii")

    @property
    def argument(self) -> str | int | datetime:
        """What a consumer tells the broker: where to begin."""
        if not self.start:
            return self.offset
        if self.start.isdigit():
            return int(self.start)
        return datetime.fromisoformat(self.start) if "T" in self.start else self.start


def begin(positions: Mapping[str, bytes], start: str, now: float) -> tuple[Mark, bool]:
    """Return where to begin, and whether that is to be stored at once.

    `next` stands for the time of the first beginning: otherwise what comes while we are away would be lost.
    """
    stored = positions.get(KEY)
    if stored is not None:
        return decode(stored), False
    if start == "next":
        return Mark(start=_time(now)), True
    return Mark(start=start), False


def decode(stored: bytes) -> Mark:
    """Return a mark that was stored."""
    text = stored.decode("ascii")
    if text.startswith(_FROM):
        return Mark(start=text.removeprefix(_FROM))
    offset, _, digest = text.partition(" ")
    return Mark(offset=int(offset), digest=digest)


def behind(offset: int, body: bytes) -> Mark:
    """Return the mark behind a message that was stored."""
    return Mark(offset=offset, digest=_digest(body))


def goes_on(mark: Mark, offset: int, body: bytes, queue: str) -> bool:
    """Say whether the first message that came is the one behind which we begin. Raise SourceGap.

    False: it is the one after that, so nothing is missing.
    """
    if offset == mark.offset and _digest(body) == mark.digest:
        return True
    if offset == mark.offset + 1:
        return False
    if offset <= mark.offset:
        raise _gap(mark, offset, queue, "recreated")
    raise _gap(mark, offset, queue, "expired")


def ends_early(mark: Mark, last: int, queue: str) -> SourceGap:
    """Return the gap of a stream that ends before the message that was stored from it."""
    return _gap(mark, last, queue, "recreated")


def passed(gap: SourceGap, policy: Literal["earliest", "latest", "stop"], now: float) -> tuple[Notice, Mark]:
    """Return what is told of a gap, and where to go on behind it. Raise it when a person is to decide."""
    if policy == "stop":
        raise gap
    facts = gap.facts
    where = f"{facts['stream']}/{facts['reason']}/{facts['from']}-{facts['to']}/{facts['digest']}"
    told = {name: value for name, value in facts.items() if name != "digest"}
    mark = Mark(start="first") if policy == "earliest" else Mark(start=_time(now))
    return Notice(kind="gap", id=where, data={**told, "message": str(gap)}), mark


def _gap(mark: Mark, found: int, queue: str, reason: Literal["expired", "recreated"]) -> SourceGap:
    facts: dict[str, object] = {
        "stream": queue,
        "reason": reason,
        "from": mark.offset + 1,
        "to": found,
        "digest": mark.digest,
    }
    if reason == "expired":
        facts["lost"] = found - mark.offset - 1
        said = f"what stood between the offsets {mark.offset} and {found} of the stream {queue} has expired"
    else:
        said = f"the stream {queue} was made anew: {mark.offset} was stored from another one, {found} is here"
    fix = "`sources rewind` to earliest (what is there) or now (what comes), or set `stream.on_gap`"
    return SourceGap(said, fix=fix, facts=facts)


def rewound(to: str, now: float) -> Mapping[str, bytes | None]:
    """Return the position that begins at `to`. Raise SourceRejected."""
    words = {"earliest": "first", "now": _time(now)}
    try:
        start = check_start(words.get(to, to))
    except ValueError as error:
        raise SourceRejected(
            "a stream can begin at: earliest, now, an offset, a time such as 2026-01-31T12:00:00Z "
            f"(asked for: {to})"
        ) from error
    return {KEY: Mark(start=start).encode()}


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=6).hexdigest()


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def offset_of(headers: Mapping[str, Any] | None) -> int:
    """Return the offset of a delivery of a stream."""
    offset = (headers or {}).get("x-stream-offset")
    return offset if isinstance(offset, int) else -1
