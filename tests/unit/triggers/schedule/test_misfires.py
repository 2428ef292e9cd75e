"""What becomes of times that passed: skipped, fired once, or all fired, and never more than is said."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.schedule.cron import Cron
from triggers.schedule.misfires import MOST, PUNCTUAL, Due, count, due
from triggers.schedule.times import CronTimes, EveryTimes


class Listed:
    """A schedule of listed times."""

    def __init__(self, *times: int) -> None:
        self.times = sorted(times)

    def after(self, instant: int) -> Iterator[int]:
        yield from (one for one in self.times if one > instant)


NOW = 10_000
LATE = (1_000, 2_000, 3_000)


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_what_is_on_time_is_fired_whatever_the_policy(misfire):
    times = Listed(NOW - PUNCTUAL + 1, NOW - 1, NOW, NOW + 1)
    assert due(times, 0, NOW, misfire) == Due(fire=(NOW - PUNCTUAL + 1, NOW - 1, NOW))


@pytest.mark.parametrize(
    ("misfire", "found"),
    [
        ("skip", Due(fire=(), passed=3)),
        ("once", Due(fire=(3_000,), passed=2)),
        ("all", Due(fire=LATE)),
    ],
)
def test_missed_times_go_by_the_policy(misfire, found):
    assert due(Listed(*LATE), 0, NOW, misfire) == found


@pytest.mark.parametrize(
    ("misfire", "found"),
    [
        ("skip", Due(fire=(NOW,), passed=3)),
        ("once", Due(fire=(NOW,), passed=3)),  # the latest is on time
        ("all", Due(fire=(*LATE, NOW))),
    ],
)
def test_missed_times_before_one_that_is_on_time(misfire, found):
    assert due(Listed(*LATE, NOW), 0, NOW, misfire) == found


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_nothing_is_due_before_its_time_and_twice(misfire):
    assert due(Listed(5, NOW, NOW + 1), NOW, NOW, misfire) == Due()
    assert due(Listed(5, NOW + 1), 5, NOW, misfire) == Due()
    assert due(Listed(NOW + 50), NOW + 100, NOW, misfire) == Due()  # the clock was set back


def test_more_than_a_thousand_missed_times_are_the_latest_and_a_gap():
    times = EveryTimes(10)
    found = due(times, 0, 100_005, "all")
    assert len(found.fire) == MOST
    assert found.fire[-1] == 100_000
    assert found.fire[0] == 90_010
    assert found.lost == (10, 90_000)
    assert due(times, 0, 10_000, "all").lost is None


def test_a_year_of_seconds_is_bounded_work():
    every_second = CronTimes(Cron("* * * * * *"), ZoneInfo("Europe/Rome"))
    now = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    found = due(every_second, now - 365 * 86_400, now, "all")
    assert found.fire == tuple(range(now - MOST + 1, now + 1))
    assert due(every_second, now - 365 * 86_400, now, "once").passed == MOST  # at least


def test_the_latest_of_a_burst_long_ago_is_found():
    """Every second of a day, half a year ago."""
    burst = CronTimes(Cron("* * * 1 1 *"), ZoneInfo("UTC"))
    now = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
    last = int(datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC).timestamp())
    assert due(burst, last - 86_400, now, "once").fire == (last,)
    assert due(burst, last - 86_400, now, "all").fire == tuple(range(last - MOST + 1, last + 1))


@given(st.sets(st.integers(1, 300), max_size=60), st.integers(0, 300), st.integers(0, 300))
def test_every_time_is_fired_or_counted_exactly_once(listed, after, now):
    times = Listed(*listed)
    span = [one for one in sorted(listed) if after < one <= now]
    everything = due(times, after, now, "all")
    assert list(everything.fire) == span
    once = due(times, after, now, "once")
    assert len(once.fire) + once.passed == len(span)
    assert not span or once.fire[-1] == span[-1]
    skip = due(times, after, now, "skip")
    assert len(skip.fire) + skip.passed == len(span)
    assert list(skip.fire) == [one for one in span if one > now - PUNCTUAL]
    assert count(times, after, now) == len(span)


@given(st.integers(1, 50), st.integers(0, 10_000), st.integers(0, 200_000))
def test_too_many_are_the_latest_whatever_the_distance(seconds, after, span):
    times = EveryTimes(seconds)
    found = due(times, after, after + span, "all")
    whole = list(takewhile(lambda one: one <= after + span, times.after(after)))
    assert list(found.fire) == whole[-MOST:]
    assert (found.lost is None) == (len(whole) <= MOST)
    if found.lost is not None:
        assert found.lost == (whole[0], whole[-MOST - 1])
