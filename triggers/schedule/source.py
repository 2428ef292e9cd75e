"""Emits a message at each time of a schedule.

The wall clock decides, looked at again at least every half minute, so that a clock that is set, a suspended
machine and daylight saving are all seen. The last time that was dealt with is stored with its message: no
time is fired twice, whatever the clock does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec
from typing_extensions import override

from triggers.base import (
    Emit,
    Expression,
    Finding,
    Item,
    Notice,
    Progress,
    Reject,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.errors import BadEvent, SourceRejected
from triggers.expressions import compile_expressions, expressed
from triggers.message import TriggerMessage
from triggers.schedule.config import ScheduleConfig, review
from triggers.schedule.misfires import Due, count, due

KEY: Final = "fired"

SLICE: Final = 30.0
"""Seconds of waiting between looks at the clock."""

BATCH: Final = 500
"""Messages that are stored at once."""

LONG: Final = 1_000
"""Seconds after which the search for missed times is given to a thread."""

AHEAD: Final = 300
"""Seconds by which the last time may lie in the future before that is told."""


class Fired(msgspec.Struct, frozen=True):
    """The position: the last time that was dealt with, and the clock whose time it was."""

    at: int
    clock: str


_decode: Final = msgspec.json.Decoder(Fired).decode


class ScheduleSource(Source[ScheduleConfig]):
    """A clock. `wait` sleeps."""

    kind: ClassVar[str] = "schedule"
    Config: ClassVar[type[SourceConfig]] = ScheduleConfig

    def __init__(
        self, name: str, config: ScheduleConfig, *, wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        super().__init__(name, config)
        self._wait = wait
        self._times = config.times()
        self._opened: SourceContext | None = None
        self._expressions: dict[str, Expression] = {}

    @override
    def review(self) -> list[Finding]:
        return review(self.config, int(datetime.now(UTC).timestamp()))

    @override
    async def open(self, context: SourceContext) -> None:
        self._expressions = compile_expressions(self.config, context)
        self._opened = context

    @override
    async def check(self) -> list[Finding]:
        """Nothing outside is to be asked."""
        return []

    @override
    async def run(self, emit: Emit) -> None:
        context = self._context()
        last = await self._last()
        if last is None:
            last = int(context.clock())
            await emit([], self._position(last))
        while True:
            coming = next(self._times.after(last), None)
            await self._until(coming, last)
            context.reached("schedule.due")
            now = int(context.clock())
            if now - last <= LONG:
                found = due(self._times, last, now, self.config.misfire)
            else:  # the search may take half a second: not on the loop that everybody shares
                found = await asyncio.to_thread(due, self._times, last, now, self.config.misfire)
            last = await self._fire(emit, found, now)

    @override
    async def close(self) -> None:
        """Nothing is held."""

    @override
    async def progress(self) -> Progress:
        last = await self._last()
        if last is None:
            return Progress(pending=0)
        now = int(self._context().clock())
        return Progress(pending=count(self._times, last, now), position=_instant(last))

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        if to == "now":
            return {KEY: None}
        try:
            moment = datetime.fromisoformat(to)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise SourceRejected(f"a schedule can begin at now or an RFC 3339 time (asked for: {to})")
        return self._position(int(moment.timestamp()))

    # -- waiting

    async def _until(self, coming: int | None, last: int) -> None:
        """Wait for a time, for ever when there is none."""
        context = self._context()
        context.report.running(f"next at {_instant(coming)}" if coming is not None else "never due again")
        while coming is None or context.clock() < coming:
            now = context.clock()
            if last - now > AHEAD:
                context.report.warn(
                    "clock-behind",
                    f"the last time fired was {_instant(last)}, later than it is now: nothing is due before",
                    f"set the clock; or pointsman sources rewind {self.name} --to now",
                )
            else:
                context.report.clear("clock-behind")
            await self._wait(SLICE if coming is None else min(SLICE, max(0.001, coming - now)))

    # -- firing

    async def _fire(self, emit: Emit, found: Due, now: int) -> int:
        """Store what is due with the position behind it, and return that."""
        items: list[Item] = [
            self._message(at, found.passed if place == 0 else 0) for place, at in enumerate(found.fire)
        ]
        if found.lost is not None:
            items.insert(0, self._gap(*found.lost))
        # What was passed over lies before what is fired; where nothing is, all until now is dealt with.
        last = found.fire[-1] if found.fire else now
        for at in range(0, max(1, len(items)), BATCH):
            part = items[at : at + BATCH]
            done = last if at + BATCH >= len(items) else self._time_of(found, at + BATCH - 1)
            await emit(part, self._position(done))
            self._context().reached("schedule.stored")
        return last

    @staticmethod
    def _time_of(found: Due, place: int) -> int:
        """Return the time of the item at a place of a batch that begins with a gap, if there is one."""
        return found.fire[place - (found.lost is not None)]

    def _message(self, at: int, passed: int) -> Item:
        instant = _instant(at)
        local = datetime.fromtimestamp(at, ZoneInfo(self.config.time_zone)).isoformat()
        meta: dict[str, Any] = {"kind": "schedule", "scheduled_at": instant, "local": local}
        if passed:
            meta["missed"] = passed
        data = self.config.data
        message = TriggerMessage(
            id=f"{self.name}/{instant}",
            source=f"/sources/{self.name}",
            type="schedule.tick",
            time=instant,
            datacontenttype="application/json" if data is not None else None,
            format="json" if data is not None else "none",
            data=msgspec.json.encode(data) if data is not None else None,
            meta=meta,
        )
        try:
            return expressed(message, self._expressions) if self._expressions else message
        except BadEvent as error:
            return Reject(reason=error.reason, detail=error.detail, data=message.data or b"", meta=meta)

    def _gap(self, first: int, last: int) -> Notice:
        facts = {
            "from": _instant(first),
            "to": _instant(last),
            "reason": "more times were missed than are kept",
        }
        return Notice(kind="gap", id=f"{self.name}/{facts['from']}/{facts['to']}", data=facts)

    # -- the position

    async def _last(self) -> int | None:
        """Return the last time that was dealt with; None where there is none, or it is another clock's.

        After a change of the schedule nothing was missed: the new one begins when it is put in force.
        """
        kept = (await self._context().positions()).get(KEY)
        try:
            fired = _decode(kept) if kept is not None else None
        except msgspec.MsgspecError as error:
            raise SourceRejected(
                f"{self.name}: the position cannot be read: {error}; sources rewind {self.name} --to now"
            ) from error
        return fired.at if fired is not None and fired.clock == self.config.clock else None

    def _position(self, at: int) -> dict[str, bytes | None]:
        return {KEY: msgspec.json.encode(Fired(at, self.config.clock))}

    def _context(self) -> SourceContext:
        if self._opened is None:
            raise SourceRejected(f"{self.name} is not open")
        return self._opened


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
