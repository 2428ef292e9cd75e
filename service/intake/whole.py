"""A batch that is stored whole with its source's positions: entries made one by one, one callback for all."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from service.intake.taken import MAX_HOPS, Taken, looping, unfit
from service.job import hops
from service.rules.model import Hit, Ruleset
from service.store.base import Entry, EntryBatch, NewRun, RejectEntry, Stored
from triggers.base import Accepted, Item, Notice, Reject
from triggers.message import TriggerMessage

UNFIT: Final = (UnicodeEncodeError, OverflowError, TypeError)
"""What encoding raises over a message with half a surrogate pair, or a number of more than 64 bits, in it."""


class Desk(Protocol):
    """What a batch needs of intake."""

    accepted: dict[str, int]

    @property
    def ruleset(self) -> Ruleset:
        """The ruleset that messages are matched against now."""

    def match(
        self, source: str, message: TriggerMessage, now: int
    ) -> tuple[list[Hit], dict[str, Any] | None]:
        """Return the rules that a message matches, and the JSON object they saw if it was needed."""

    def runs(self, hits: Sequence[Hit]) -> tuple[tuple[NewRun, ...], list[bool]]:
        """Return the runs to be born, and for each whether a slot is reserved for it."""

    def cancel(self, hits: Sequence[Hit], reserved: Sequence[bool]) -> None:
        """Give reserved slots back."""

    def entry(
        self,
        source: str,
        message: TriggerMessage,
        now: int,
        runs: tuple[NewRun, ...],
        *,
        identified: bool = True,
    ) -> Entry:
        """Return the entry of a message."""

    def reject(self, source: str, reject: Reject, now: int) -> RejectEntry:
        """Return the entry of a reject."""

    def own(self, kind: str, subject: str, data: Mapping[str, object], told_as: str) -> Entry:
        """Return the entry of a message about the service's own trouble."""

    def stored(self, taken: Taken, stored: Stored) -> None:
        """Hand over what was born running; give the other slots back."""


class WholeBatch:
    """Makes the entries of a batch, and settles its future when they are stored."""

    __slots__ = ("_born", "_desk", "_entries", "_now", "_ordered", "_slots", "_source", "future")

    def __init__(self, desk: Desk, source: str, now: int, *, ordered: bool) -> None:
        self._desk = desk
        self._source = source
        self._now = now
        self._ordered = ordered
        self._entries: list[Entry | RejectEntry] = []
        self._born: list[Taken | None] = []
        self._slots: list[tuple[list[Hit], list[bool]]] = []
        self.future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()

    def add(self, item: Item) -> None:
        """Match one item and make its entry."""
        desk, source, now = self._desk, self._source, self._now
        if not isinstance(item, TriggerMessage):
            self._born.append(None)
            self._entries.append(self._odd(item))
            return
        if hops(item) > MAX_HOPS:
            self._born.append(None)
            self._entries.append(desk.reject(source, looping(item), now))
            return
        slots = len(self._slots)
        try:
            taken, entry = self._made(item)
        except UNFIT as error:  # kept as it is, or its source would bring it again for ever
            while len(self._slots) > slots:
                desk.cancel(*self._slots.pop())
            taken, entry = None, desk.reject(source, unfit(item, error), now)
        self._born.append(taken)
        self._entries.append(entry)

    def _made(self, message: TriggerMessage) -> tuple[Taken | None, Entry | RejectEntry]:
        """Match a message and make its entry. Raise UNFIT when no record can hold it."""
        desk, source, now = self._desk, self._source, self._now
        hits, seen = desk.match(source, message, now)
        runs: tuple[NewRun, ...] = ()
        taken = None
        if hits:
            runs, reserved = desk.runs(hits)
            self._slots.append((hits, reserved))
            taken = Taken(source, message, now, desk.ruleset, hits, runs, seen)
        return taken, desk.entry(source, message, now, runs, identified=not self._ordered)

    def _odd(self, item: Reject | Notice) -> Entry | RejectEntry:
        if isinstance(item, Reject):
            return self._desk.reject(self._source, item, self._now)
        data = {"source": self._source, **item.data}
        return self._desk.own(f"pointsman.source.{item.kind}", self._source, data, item.id)

    def batch(self, source: int, positions: Mapping[str, bytes | None]) -> EntryBatch:
        """Return what is to be stored."""
        return EntryBatch(source=source, entries=tuple(self._entries), positions=positions)

    def cancel(self) -> None:
        """Give all reserved slots back."""
        for hits, reserved in self._slots:
            self._desk.cancel(hits, reserved)

    def done(self, stored: tuple[Stored, ...] | Exception) -> None:
        """Take what became of the batch. Called in the commit's callback."""
        counts = self._desk.accepted
        if isinstance(stored, Exception):
            self.cancel()
            counts["refused"] += len(self._entries)
            if not self.future.done():
                self.future.set_exception(stored)
            return
        tally = {"new": 0, "known": 0, "conflict": 0, "rejected": 0}
        for taken, one in zip(self._born, stored, strict=True):
            tally[one.verdict] += 1
            if taken is None:
                counts[one.verdict] += 1
            else:
                self._desk.stored(taken, one)
        if not self.future.done():
            rejected = tally["rejected"] + tally["conflict"]
            self.future.set_result(Accepted(new=tally["new"], known=tally["known"], rejected=rejected))
