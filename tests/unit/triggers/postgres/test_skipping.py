"""A source that skips for long says so (F46)."""

import msgspec

from tests.fakes.sources import Reports
from tests.unit.triggers.postgres.test_changes import START, changes, feed, transaction
from triggers.postgres.skipping import SkippingAlarm


def test_skipping_for_a_moment_is_nothing_and_for_minutes_an_alarm():
    each = changes(msgspec.structs.replace(START, lsn=0x10_0000))
    report = Reports()
    alarm = SkippingAlarm(each, report)
    for number, now in enumerate((0.0, 30.0, 59.0)):
        feed(each, *transaction(number, 0x200 + number * 16))
        alarm.look(now)
    assert report.warnings == {}
    feed(each, *transaction(9, 0x400))
    alarm.look(61.0)
    assert list(report.warnings) == ["skipping"]
    assert "stored already (4)" in report.warnings["skipping"][0]
    alarm.look(70.0)
    assert report.warnings == {}
    feed(each, *transaction(10, 0x500))
    alarm.look(200.0)
    assert report.warned == ["skipping"]
