"""Where reading a stream goes on, and when that would lose something."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.tables import every_row
from triggers.errors import SourceGap, SourceRejected
from triggers.rabbitmq import streams
from triggers.rabbitmq.streams import KEY, Mark

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


@every_row(
    ("start", "argument"),
    [
        ("first", "first"),
        ("17", 17),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_it_begins_as_configured_while_nothing_is_stored(start: str, argument: object) -> None:
    mark, new = streams.begin({}, start, NOW)
    assert mark.argument == argument
    assert not new


def test_next_is_the_time_of_the_first_beginning_and_stored_at_once() -> None:
    mark, new = streams.begin({}, "next", NOW)
    assert new
    assert mark.argument == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    again, new = streams.begin({KEY: mark.encode()}, "next", NOW + 100)
    assert again == mark
    assert not new


def test_it_begins_at_the_very_message_that_was_stored() -> None:
    mark = streams.behind(41, b"body")
    again, _ = streams.begin({KEY: mark.encode()}, "first", NOW)
    assert again == mark
    assert again.argument == 41
    assert streams.goes_on(again, 41, b"body", "q") is True


def test_the_one_after_is_as_good() -> None:
    assert streams.goes_on(streams.behind(41, b"body"), 42, b"other", "q") is False


@every_row(
    ("offset", "body", "reason", "lost"),
    [(50, b"x", "expired", 8), (41, b"other", "recreated", None), (3, b"body", "recreated", None)],
)
def test_anything_else_is_a_gap(offset: int, body: bytes, reason: str, lost: int | None) -> None:
    with pytest.raises(SourceGap) as caught:
        streams.goes_on(streams.behind(41, b"body"), offset, body, "q")
    assert caught.value.facts["reason"] == reason
    assert caught.value.facts.get("lost") == lost
    assert "rewind" in caught.value.fix


@every_row(
    ("policy", "argument"), [("earliest", "first"), ("latest", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))]
)
def test_a_gap_is_told_and_passed_as_configured(policy: Any, argument: object) -> None:
    gap = streams.ends_early(streams.behind(41, b"body"), 7, "q")
    notice, mark = streams.passed(gap, policy, NOW)
    assert mark.argument == argument
    assert notice.kind == "gap"
    assert notice.id.startswith("q/recreated/42-7/")
    assert notice.data == {"stream": "q", "reason": "recreated", "from": 42, "to": 7, "message": str(gap)}


def test_a_gap_stops_where_a_person_is_to_decide() -> None:
    gap = streams.ends_early(streams.behind(41, b"body"), 7, "q")
    with pytest.raises(SourceGap):
        streams.passed(gap, "stop", NOW)


@every_row(
    ("to", "argument"),
    [
        ("earliest", "first"),
        ("now", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("12", 12),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_it_can_be_rewound(to: str, argument: object) -> None:
    stored = streams.rewound(to, NOW)[KEY]
    assert stored is not None
    assert streams.decode(stored).argument == argument


@every_row("to", ["yesterday", "snapshot", "-1", "", "2026-02-31T12:00:00Z"])
def test_it_cannot_be_rewound_to_nowhere(to: str) -> None:
    with pytest.raises(SourceRejected, match="earliest, now"):
        streams.rewound(to, NOW)


def test_a_delivery_without_an_offset_has_none() -> None:
    assert streams.offset_of(None) == -1
    assert streams.offset_of({"x-stream-offset": "x"}) == -1
    assert Mark(start="first").encode() == b"from:first"
