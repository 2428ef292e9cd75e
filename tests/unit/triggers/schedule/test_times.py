"""When a schedule is due: cron fields, time zones, and clocks that are set."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.tables import every_row
from triggers.schedule.cron import ALIASES, Cron
from triggers.schedule.times import CronTimes, EveryTimes


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def due(cron: str, zone: str, start: str, count: int) -> list[str]:
    """Return the next times as the wall clock of the zone shows them, with their offset from UTC."""
    place = ZoneInfo(zone)
    times = CronTimes(Cron(cron), place).after(int(datetime.fromisoformat(start).timestamp()))
    return [datetime.fromtimestamp(one, place).isoformat()[5:] for one in islice(times, count)]


def test_working_days_at_seven():
    assert due("0 7 * * 1-5", "Europe/Rome", "2026-01-02T12:00:00+00:00", 3) == [
        "01-05T07:00:00+01:00",
        "01-06T07:00:00+01:00",
        "01-07T07:00:00+01:00",
    ]


def test_six_fields_begin_with_the_second():
    assert due("*/20 0 7 * jan mon", "UTC", "2026-01-05T07:00:20+00:00", 2) == [
        "01-05T07:00:40+00:00",
        "01-12T07:00:00+00:00",
    ]


@every_row("alias", list(ALIASES))
def test_an_alias_is_its_expression(alias):
    start = "2026-05-05T05:05:05+00:00"
    assert due(alias.upper(), "UTC", start, 3) == due(ALIASES[alias], "UTC", start, 3)


def test_a_time_of_day_that_is_skipped_is_fired_at_the_end_of_the_gap():
    assert due("30 2 * * *", "Europe/Rome", "2026-03-28T00:00:00+00:00", 3) == [
        "03-28T02:30:00+01:00",
        "03-29T03:00:00+02:00",
        "03-30T02:30:00+02:00",
    ]


def test_several_skipped_times_of_day_are_one():
    assert due("0,20,40 2,3 * * *", "Europe/Rome", "2026-03-29T00:00:00+00:00", 3) == [
        "03-29T03:00:00+02:00",
        "03-29T03:20:00+02:00",
        "03-29T03:40:00+02:00",
    ]


def test_a_time_of_day_that_is_repeated_is_fired_the_first_time_only():
    assert due("30 2 * * *", "Europe/Rome", "2026-10-24T12:00:00+00:00", 2) == [
        "10-25T02:30:00+02:00",
        "10-26T02:30:00+01:00",
    ]
    assert due("30 2 * * *", "Europe/Rome", "2026-10-25T01:10:00+00:00", 1) == ["10-26T02:30:00+01:00"]


def test_what_names_every_hour_goes_with_the_clock_that_runs():
    assert due("*/30 * * * *", "Europe/Rome", "2026-03-29T00:15:00+00:00", 3) == [
        "03-29T01:30:00+01:00",
        "03-29T03:00:00+02:00",
        "03-29T03:30:00+02:00",
    ]
    assert due("*/30 * * * *", "Europe/Rome", "2026-10-24T23:45:00+00:00", 7) == [
        "10-25T02:00:00+02:00",
        "10-25T02:30:00+02:00",
        "10-25T02:00:00+01:00",
        "10-25T02:30:00+01:00",
        "10-25T03:00:00+01:00",
        "10-25T03:30:00+01:00",
        "10-25T04:00:00+01:00",
    ]


def test_a_day_that_is_repeated_at_midnight_is_seen_though_the_next_time_is_a_year_away():
    """Havana sets its clocks back from 1:00 to 0:00."""
    assert due("30 0-23 1 11 *", "America/Havana", "2026-11-01T04:45:00+00:00", 2) == [
        "11-01T00:30:00-05:00",
        "11-01T01:30:00-05:00",
    ]
    assert due("30 * 31 10 *", "America/Havana", "2026-11-01T03:45:00+00:00", 1) == ["10-31T00:30:00-04:00"]


def test_a_day_that_never_was_is_fired_when_it_would_have_ended():
    """Samoa left out the 30th of December 2011."""
    assert due("0 12 30 12 *", "Pacific/Apia", "2011-12-28T00:00:00+00:00", 1) == ["12-31T00:00:00+14:00"]


def test_a_leap_day_is_waited_for():
    assert due("0 0 29 2 *", "UTC", "2026-01-01T00:00:00+00:00", 1) == ["02-29T00:00:00+00:00"]


@every_row("cron", ["0 0 30 2 *", "* * 31 4 *"])
def test_a_day_that_never_comes_ends_the_times(cron):
    assert due(cron, "Europe/Rome", "2026-01-01T00:00:00+00:00", 1) == []


def test_so_often_is_counted_from_the_epoch():
    assert list(islice(EveryTimes(900).after(at("2026-01-01T00:07:00")), 2)) == [
        at("2026-01-01T00:15:00"),
        at("2026-01-01T00:30:00"),
    ]
    assert next(EveryTimes(7).after(14)) == 21
    assert next(EveryTimes(7).after(13)) == 14


@every_row(
    ("text", "words"),
    [
        ("", "this has 0"),
        ("* * * *", "this has 4"),
        ("* * * * * * *", "this has 7"),
        ("61 * * * *", "`61` is no minute: write 0 to 59"),
        ("* 24 * * *", "`24` is no hour: write 0 to 23"),
        ("* * 0 * *", "`0` is no day of the month: write 1 to 31"),
        ("* * * 13 *", "`13` is no month: write 1 to 12 or jan to dec"),
        ("* * * foo *", "`foo` is no month"),
        ("* * * mon *", "`mon` is no month"),
        ("* * * * 8", "`8` is no day of the week: write 0 to 7 or sun to sat"),
        ("60 * * * * *", "`60` is no second"),
        ("R * * * *", "`R` is no minute"),
        ("R(0-10) * * * *", "is no minute"),
        ("H * * * *", "`H` is no minute"),
        ("*/0 * * * *", "`*/0` is no minute"),
        ("*/90 * * * *", "the step is longer than all of the minutes"),
        ("1.5 * * * *", "is no minute"),
        ("٣ * * * *", "is no minute"),
        ("-1 * * * *", "is no minute"),
        ("1,,2 * * * *", "is no minute"),
        ("0 0 ? ? *", "`?` is no month"),
        ("0 0 1 * 1#1", "not both"),
        ("@reboot", "there is no @reboot: there are @yearly"),
        ("@every 5m", "there is no @every"),
        ("0 0 * * fri#6", "is no day of the week"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_of_its_field(text, words):
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        Cron(text)
    assert words in str(caught.value)


@every_row(
    "text",
    [
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * L5",
        "0 0 * * fri#2",
        "0 0 ? * MON-FRI",
        "5/10 22-2 1-31/7 jan,jul *",
    ],
)
def test_what_else_may_stand_in_a_field(text):
    assert next(CronTimes(Cron(text), ZoneInfo("UTC")).after(0)) > 0


# -- against counting every minute

ZONES = [
    "Europe/Rome", "America/New_York", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata",
    "Africa/Cairo", "America/Santiago", "Asia/Gaza", "Pacific/Apia", "Atlantic/Azores", "UTC", "Asia/Tehran",
    "America/Asuncion", "Africa/Casablanca", "Antarctica/Troll", "Europe/Dublin",
]  # fmt: skip


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> str:
    kind = draw(st.sampled_from(["*", "*", "one", "list", "range", "step"]))
    if kind == "one":
        return str(draw(st.integers(least, most)))
    if kind == "list":
        return ",".join(
            map(str, draw(st.lists(st.integers(least, most), min_size=1, max_size=4, unique=True)))
        )
    if kind == "range":
        low = draw(st.integers(least, most - 1))
        return f"{low}-{draw(st.integers(low + 1, most))}"
    return f"*/{draw(st.integers(2, most))}" if kind == "step" else "*"


def members(field: str, least: int, most: int) -> set[int]:
    """Return what a field names: written anew, so that croniter and this must agree."""
    found: set[int] = set()
    for part in field.split(","):
        whole, _, step = part.partition("/")
        low, _, high = whole.partition("-")
        span = (least, most) if whole == "*" else (int(low), int(high or low))
        found |= set(range(span[0], span[1] + 1, int(step or 1)))
    return found


def brute(cron: str, zone: str, start: int, minutes: int) -> list[int]:
    """Return the times of an expression by looking at every minute, and at every minute that is skipped."""
    minute, hour, day, month, weekday = cron.split()
    wanted = (
        members(minute, 0, 59), members(hour, 0, 23), members(day, 1, 31), members(month, 1, 12),
        {one % 7 for one in members(weekday, 0, 7)} if weekday != "*" else set(range(7)),
    )  # fmt: skip
    either = day != "*" and weekday != "*"

    def matches(moment: datetime) -> bool:
        of_month, of_week = moment.day in wanted[2], moment.isoweekday() % 7 in wanted[4]
        days = of_month or of_week if either else of_month and of_week
        return days and moment.minute in wanted[0] and moment.hour in wanted[1] and moment.month in wanted[3]

    place = ZoneInfo(zone)
    running = len(wanted[1]) == 24
    before = datetime.fromtimestamp(start, place).replace(tzinfo=None)
    # What came before the start counts as fired; a day back is further than any clock was set, but for Samoa's.
    back = datetime.fromtimestamp(start - 86_400, place).replace(tzinfo=None)
    latest = max(before, *(local(start - 60 * n, place) for n in range(1, 1440))) if not running else back
    found = []
    for instant in range(start + 60, start + 60 * minutes + 1, 60):
        moment = local(instant, place)
        if running:
            fire = matches(moment)
        else:
            ahead = moment > latest
            skipped = latest + timedelta(minutes=1)
            fire = ahead and matches(moment)
            while ahead and skipped < moment and not fire:
                fire = matches(skipped)
                skipped += timedelta(minutes=1)
            latest = max(latest, moment)
        if fire:
            found.append(instant)
    return found


def local(instant: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None)


def changes(zone: str, year: int) -> list[int]:
    """Return the hours of a year after which the offset is another."""
    place, start = ZoneInfo(zone), int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    offsets = [datetime.fromtimestamp(start + 3600 * n, place).utcoffset() for n in range(8784)]
    return [start + 3600 * n for n in range(8783) if offsets[n] != offsets[n + 1]] or [start]


@examples(20)  # counting takes 70 ms
@given(st.data())
def test_times_are_those_of_counting_every_minute(data):
    zone = data.draw(st.sampled_from(ZONES))
    year = data.draw(st.sampled_from([2011, 2018, 2024, 2026]))
    change = data.draw(st.sampled_from(changes(zone, year)))
    start = change - change % 60 - 60 * data.draw(st.integers(0, 1500))
    cron = " ".join(
        [
            data.draw(fields(0, 59)), data.draw(fields(0, 23)), data.draw(st.one_of(st.just("*"), fields(1, 31))),
            data.draw(st.one_of(st.just("*"), fields(1, 12))), data.draw(st.one_of(st.just("*"), fields(0, 7))),
        ]
    )  # fmt: skip
    minutes = 2 * 1440
    times = CronTimes(Cron(cron), ZoneInfo(zone)).after(start)
    found = []
    for one in times:
        if one > start + 60 * minutes:
            break
        found.append(one)
    assert found == brute(cron, zone, start, minutes), (cron, zone, start)


def test_a_repeated_hour_at_the_end_of_all_times_is_repeated_no_more():
    """Nothing of the expression comes after the clocks are set back, not in 50 years."""
    assert due("30 * 30 2 *", "Europe/Rome", "2026-10-25T00:45:00+00:00", 1) == []
