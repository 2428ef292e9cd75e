"""When a schedule emits, what it emits, and what a clock that is set does to it."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from service.usecases.checking import compile_for_source
from tests.fakes.sources import Emitted, Reports, source_context
from tests.tables import every_row
from triggers import SOURCES
from triggers.errors import NotStored, SourceRejected
from triggers.message import TriggerMessage
from triggers.schedule import ScheduleConfig, ScheduleSource
from triggers.schedule.source import KEY, SLICE


class Enough(Exception):
    """The time that the test wanted to see is over."""


def config(**more: Any) -> ScheduleConfig:
    return ScheduleConfig.model_validate({"kind": "schedule", **more})


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Clock:
    """A wall clock that goes on when somebody waits, for `left` seconds, and jumps when it is told to."""

    def __init__(self, start: str) -> None:
        self.now = at(start)
        self.left = 0.0
        self.jumps: dict[int, float] = {}
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        if not self.left:
            raise Enough
        seconds = min(seconds, self.left)
        self.left -= seconds
        self.waits.append(seconds)
        self.now += self.jumps.pop(len(self.waits), seconds)


class Ticks:
    """One schedule and its clock; `run` lets it run for so many seconds, as a new process would go on."""

    def __init__(self, start: str = "2026-01-01T06:00:10+00:00", **more: Any) -> None:
        self.config = config(**more)
        self.clock = Clock(start)
        self.emitted = Emitted()
        self.report = Reports()
        self.points: list[str] = []

    async def opened(self) -> ScheduleSource:
        source = ScheduleSource("daily", self.config, wait=self.clock.wait)
        context = source_context(
            self.emitted,
            name="daily",
            reached=self.points.append,
            report=self.report,
            clock=self.clock,
            expression=compile_for_source,
        )
        await source.open(context)
        return source

    async def run(self, seconds: float) -> None:
        """Run so long."""
        self.clock.left = float(seconds)
        source = await self.opened()
        try:
            await source.run(self.emitted.begin())
        except Enough:
            return
        finally:
            await source.close()

    def times(self) -> list[str]:
        return [str(message.time) for message in self.emitted.messages]


def test_it_is_registered():
    assert SOURCES["schedule"] == "triggers.schedule:ScheduleSource"
    assert ScheduleSource.kind == "schedule"


async def test_a_message_is_as_documented():
    ticks = Ticks(
        cron="0 7 * * *",
        time_zone="Europe/Rome",
        data={"report": "sales"},
        type="'report.due'",
        subject="data.report",
    )
    await ticks.run(86_400)
    assert ticks.emitted.messages == [
        TriggerMessage(
            id="daily/2026-01-02T06:00:00Z",
            source="/sources/daily",
            type="report.due",
            subject="sales",
            time="2026-01-02T06:00:00Z",
            datacontenttype="application/json",
            format="json",
            data=b'{"report":"sales"}',
            meta={
                "kind": "schedule",
                "scheduled_at": "2026-01-02T06:00:00Z",
                "local": "2026-01-02T07:00:00+01:00",
            },
        )
    ]
    assert ticks.points == ["schedule.due", "schedule.stored"]


async def test_without_data_there_is_none():
    ticks = Ticks(every="1h")
    await ticks.run(3600)
    (message,) = ticks.emitted.messages
    assert (message.type, message.format, message.data) == ("schedule.tick", "none", None)


async def test_it_fires_at_its_times_and_does_not_drift():
    ticks = Ticks(every="15m")
    await ticks.run(3600)
    assert ticks.times() == [f"2026-01-01T{time}:00Z" for time in ("06:15", "06:30", "06:45", "07:00")]
    assert max(ticks.clock.waits) <= SLICE
    assert ticks.clock.now == at("2026-01-01T07:00:10+00:00")


async def test_a_restart_fires_nothing_again_and_a_short_one_misses_nothing():
    ticks = Ticks(every="1m", misfire="skip")
    await ticks.run(120)
    ticks.clock.now += 55
    await ticks.run(60)
    assert [time[11:16] for time in ticks.times()] == ["06:01", "06:02", "06:03", "06:04"]
    assert ticks.emitted.repeats == []


@pytest.mark.parametrize(
    ("misfire", "times", "missed"),
    [("skip", [], 0), ("once", ["10:00"], 3), ("all", ["07:00", "08:00", "09:00", "10:00"], 0)],
)
async def test_what_passed_while_nothing_ran_goes_by_the_policy(misfire, times, missed):
    ticks = Ticks(every="1h", misfire=misfire)
    await ticks.run(60)
    ticks.clock.now = at("2026-01-01T10:30:00+00:00")
    await ticks.run(1)
    assert [time[11:16] for time in ticks.times()] == times
    assert [message.meta.get("missed", 0) for message in ticks.emitted.messages] == (
        [missed] if missed else [0] * len(times)
    )
    await ticks.run(1800)
    assert [time[11:16] for time in ticks.times()] == [*times, "11:00"]


async def test_more_missed_times_than_are_kept_are_declared_and_a_crash_between_repeats_none():
    ticks = Ticks(every="1s", misfire="all")
    await ticks.run(0.0)
    ticks.clock.now += 3_000
    source, emit = await ticks.opened(), ticks.emitted.begin()
    stored = len(ticks.emitted.batches)

    async def breaks(batch, positions=None):
        if len(ticks.emitted.batches) == stored + 1:
            raise NotStored("full")
        return await emit(batch, positions)

    with pytest.raises(NotStored):
        await source.run(breaks)
    await ticks.run(0.0)
    (gap,) = ticks.emitted.notices
    assert gap.kind == "gap"
    assert (gap.data["from"], gap.data["to"]) == ("2026-01-01T06:00:11Z", "2026-01-01T06:33:30Z")
    assert len(ticks.times()) == len(set(ticks.times())) == 1_000
    assert ticks.emitted.repeats == []


async def test_a_clock_that_is_set_back_fires_nothing_twice():
    ticks = Ticks(every="1m")
    ticks.clock.jumps = {4: -3600.0}
    await ticks.run(180)
    fired = ticks.times()
    assert "clock-behind" in ticks.report.warnings
    assert fired == ["2026-01-01T06:01:00Z"]
    await ticks.run(4000)
    assert ticks.times()[:3] == [f"2026-01-01T06:0{n}:00Z" for n in (1, 2, 3)]
    assert ticks.emitted.repeats == []
    assert ticks.report.warnings == {}


async def test_a_clock_that_is_set_forward_is_a_missed_time():
    ticks = Ticks(every="1h", misfire="once")
    ticks.clock.jumps = {1: 7200.0}
    await ticks.run(60)
    assert ticks.times() == ["2026-01-01T08:00:00Z"]


async def test_another_schedule_has_missed_nothing():
    ticks = Ticks(cron="0 6 * * *", start="2026-01-01T05:59:00+00:00")
    await ticks.run(120)
    assert ticks.times() == ["2026-01-01T06:00:00Z"]
    ticks.config = config(cron="30 5 * * *")
    ticks.clock.now = at("2026-01-01T09:00:00+00:00")
    await ticks.run(60)
    ticks.config = config(cron="30 5 * * *", time_zone="Asia/Tokyo")
    await ticks.run(60)
    assert len(ticks.times()) == 1


async def test_what_was_not_stored_comes_again():
    ticks = Ticks(every="1m")
    await ticks.run(0.0)
    ticks.emitted.fail()
    with pytest.raises(NotStored):
        await ticks.run(120)
    await ticks.run(60)
    assert ticks.times()[0] == "2026-01-01T06:01:00Z"


async def test_one_that_never_fires_waits():
    ticks = Ticks(cron="0 0 30 2 *")
    await ticks.run(120)
    assert ticks.emitted.items == []
    assert ticks.report.details[-1] == "never due again"


async def test_an_expression_without_a_value_is_a_reject():
    ticks = Ticks(every="1m", type="data.missing", data={"a": 1})
    await ticks.run(60)
    (reject,) = ticks.emitted.rejects
    assert (reject.reason, reject.data) == ("no-type", b'{"a":1}')


async def test_progress_counts_what_is_due_and_not_stored():
    ticks = Ticks(every="1m")
    source = await ticks.opened()
    assert (await source.progress()).pending == 0
    await ticks.run(60)
    before = await source.progress()
    ticks.clock.now += 300
    after = await source.progress()
    assert (before.pending, after.pending) == (0, 5)
    assert after.position == before.position == "2026-01-01T06:01:00Z"
    assert await source.check() == []


async def test_rewinding_goes_to_a_time_or_to_now():
    ticks = Ticks(every="1m", misfire="all")
    await ticks.run(60)
    source = await ticks.opened()
    assert source.rewind(ticks.emitted.kept, "now") == {KEY: None}
    changes = source.rewind(ticks.emitted.kept, "2026-01-01T07:58:30+02:00")
    await ticks.emitted.begin()([], changes)
    await ticks.run(1)
    assert [time[11:16] for time in ticks.times()] == ["06:01", "05:59", "06:00"]
    assert len(ticks.emitted.repeats) == 1
    for elsewhere in ("earliest", "2026-01-01T00:00:00", "x"):
        with pytest.raises(SourceRejected, match="now or an RFC 3339 time"):
            source.rewind({}, elsewhere)


async def test_a_position_of_something_else_is_refused_in_words():
    ticks = Ticks(every="1m")
    ticks.emitted.kept[KEY] = b"x"
    with pytest.raises(SourceRejected, match="sources rewind daily --to now"):
        await ticks.run(1)
    with pytest.raises(SourceRejected, match="not open"):
        await ScheduleSource("daily", ticks.config).progress()


@every_row(
    ("bad", "words"),
    [
        ({}, "give either `cron` or `every`"),
        ({"cron": "@daily", "every": "1h"}, "give either `cron` or `every`"),
        ({"cron": "0 25 * * *"}, "`25` is no hour"),
        ({"cron": "@daily", "time_zone": "Europe/Roma"}, "did you mean Europe/Rome"),
        ({"cron": "@daily", "time_zone": "../../etc/passwd"}, "no such time zone"),
        ({"cron": "@daily", "time_zone": "Europe"}, "no such time zone"),
        ({"every": "1h", "time_zone": "Europe/Rome"}, "knows no time zone"),
        ({"every": "500ms"}, "1s to 366d"),
        ({"every": "1500ms"}, "1s to 366d"),
        ({"cron": "@daily", "misfire": "twice"}, "misfire"),
    ],
)
def test_a_bad_configuration_is_refused_in_words(bad, words):
    with pytest.raises(ValueError, match="validation error") as caught:
        config(**bad)
    assert words in str(caught.value)


def test_one_that_never_fires_is_warned_of():
    assert [one.code for one in ScheduleSource("daily", config(cron="0 0 31 4 *")).review()] == [
        "never-fires"
    ]
    assert ScheduleSource("daily", config(cron="@daily")).review() == []


def test_the_clock_of_a_configuration_is_told_apart():
    clocks = [
        config(cron="@daily"), config(cron="0 0 * * *"), config(cron="@daily", time_zone="Europe/Rome"),
        config(every="1h"), config(every="2h"),
    ]  # fmt: skip
    assert len({one.clock for one in clocks}) == 5
    assert msgspec.json.encode([one.clock for one in clocks])
