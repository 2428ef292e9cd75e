"""Where a partition is read from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.errors import SourceRejected
from triggers.kafka import offsets
from triggers.kafka.offsets import Gap, Log, Partition, Placed, Position

ONE = Partition("orders", 3)
LOG = Log(start=10, end=100, topic_id="t1")


def place(stored: Position | None, committed: int | None = None, log: Log = LOG, **changes: Any) -> Placed:
    return offsets.place(stored, committed, log, **{"at": None, "policy": "earliest", **changes})


@every_row(
    ("stored", "committed", "next_"),
    [
        (Position(50, "t1"), None, 50),
        (Position(50, "t1"), 50, 50),
        (Position(50, "t1"), 20, 50),  # set back by an operator: repeats
        (Position(50, "t1"), 70, 70),  # another member took them, or an operator skips
        (None, 70, 70),
        (Position(10, "t1"), None, 10),
        (Position(100, "t1"), None, 100),
        (Position(50), None, 50),  # an older broker told no topic ids
    ],
)
def test_the_farther_of_stored_and_committed_counts(
    stored: Position | None, committed: int | None, next_: int
) -> None:
    assert place(stored, committed) == Placed(Position(next_, "t1"))


@every_row(("policy", "to"), [("earliest", 10), ("latest", 100), ("stop", 10)])
def test_what_expired_is_a_gap_of_known_size(policy: Any, to: int) -> None:
    placed = place(Position(4, "t1"), policy=policy)
    assert placed == Placed(Position(to, "t1"), Gap("expired", 4, to, 6))


def test_a_topic_made_anew_is_read_from_its_first_record_and_the_group_goes_back() -> None:
    placed = place(Position(50, "t0"), 50)
    assert placed == Placed(Position(10, "t1", renewed=True), Gap("recreated", 50, 10, None), move=True)
    assert offsets.ids("c", ONE, placed.position) == "c/orders@t1/3/"
    assert offsets.ids("c", ONE, Position(1, "t1")) == "c/orders/3/"


def test_a_topic_stays_known_as_made_anew() -> None:
    assert place(Position(50, "t1", renewed=True)).position.renewed
    assert place(Position(4, "t1", renewed=True)).position.renewed


def test_a_log_that_lost_its_end_is_gone_on_with_at_its_end() -> None:
    placed = place(Position(120, "t1"), 120)
    assert placed == Placed(Position(100, "t1"), Gap("truncated", 120, 100, None), move=True)


def test_a_log_that_ends_too_early_and_may_be_another_is_read_from_its_first_record() -> None:
    for stored, log in ((Position(120), LOG), (Position(120), Log(10, 100)), (None, LOG)):
        placed = place(stored, 120, log)
        assert placed.gap == Gap("recreated", 120, 10, None)
        assert placed.position.renewed
        assert placed.move


def test_a_moment_places_within_the_log() -> None:
    assert place(None, at=55) == Placed(Position(55, "t1"))
    assert place(None, at=5).position.next == 10
    assert place(None, at=500).position.next == 100


def test_a_rewind_goes_where_it_says_once_and_takes_the_group_along() -> None:
    stored = Position(50, "t1", rewind="earliest")
    assert offsets.wanted(stored, 50, "latest") == "earliest"
    placed = place(stored, 50, at=10)
    assert placed == Placed(Position(10, "t1"), move=True)
    assert place(Position(50, "t0", rewind="earliest"), at=10).position.renewed


def test_a_moment_is_wanted_only_where_nobody_has_read() -> None:
    assert offsets.wanted(None, None, "latest") == "latest"
    assert offsets.wanted(None, None, 17) == 17
    assert offsets.wanted(None, 3, "latest") is None
    assert offsets.wanted(Position(3), None, "latest") is None


@given(
    stored=st.none()
    | st.builds(Position, st.integers(0, 30), st.sampled_from(["", "t0", "t1"]), st.booleans()),
    committed=st.none() | st.integers(0, 30),
    start=st.integers(0, 20),
    length=st.integers(0, 10),
    topic=st.sampled_from(["", "t1"]),
    policy=st.sampled_from(["earliest", "latest", "stop"]),
)
def test_a_place_lies_in_the_log_and_a_jump_is_never_silent(
    stored: Position | None, committed: int | None, start: int, length: int, topic: str, policy: Any
) -> None:
    log = Log(start, start + length, topic)
    at = log.start if offsets.wanted(stored, committed, "earliest") is not None else None
    placed = offsets.place(stored, committed, log, at=at, policy=policy)
    assert log.start <= placed.position.next <= log.end
    assert not placed.position.rewind
    taken = max(stored.next if stored else 0, committed or 0)
    if at is None and placed.position.next != taken:
        assert placed.gap is not None
        assert placed.gap.at in (taken, stored.next if stored else taken)
        assert placed.gap.to == placed.position.next
    if placed.gap is not None and policy != "latest":
        assert placed.position.next in (log.start, log.end)
        assert placed.gap.reason == "truncated" or placed.position.next == log.start
    if placed.position.next < taken:
        assert placed.move, "the group would take us forward again"
    # What was decided and stored is what the next run finds.
    again = offsets.place(placed.position, placed.position.next, log, at=None, policy=policy)
    assert (again.position.next, again.gap) == (placed.position.next, None)


def test_positions_are_read_back_and_those_of_other_clusters_left_alone() -> None:
    stored = {
        offsets.key("c", ONE): offsets.write(Position(7, "t1", renewed=True)),
        offsets.key("other", ONE): offsets.write(Position(9)),
        "c2/orders/3": b"nonsense",
    }
    assert offsets.read(stored, "c") == {ONE: Position(7, "t1", renewed=True)}
    assert offsets.write(Position(7)) == b'{"next":7}'


@every_row("value", [b"", b"nonsense", b"{}", b'{"next":"7"}'])
def test_a_position_that_cannot_be_read_is_said(value: bytes) -> None:
    with pytest.raises(SourceRejected, match="c/orders/3 cannot be read"):
        offsets.read({"c/orders/3": value}, "c")


@every_row(
    ("text", "moment"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("now", "latest"),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01t01:00:00+01:00", 0),
        ("2026-11-21T08:00:00Z", 1_795_248_000_000),
    ],
)
def test_moments_are_read(text: str, moment: Any) -> None:
    assert offsets.moment(text) == moment


@every_row(
    "text",
    ["", "yesterday", "2026-11-21", "2026-11-21T08:00:00", "2026-13-21T08:00:00Z", "1969-01-01T00:00:00Z"],
)
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        offsets.moment(text)


def test_rewinding_keeps_what_is_known_and_says_what_is_possible() -> None:
    stored = {"c/orders/3": offsets.write(Position(7, "t1"))}
    wishes = offsets.rewound(stored, "earliest")
    assert wishes == {"c/orders/3": offsets.write(Position(7, "t1", rewind="earliest"))}
    with pytest.raises(SourceRejected, match="write earliest, latest or a time"):
        offsets.rewound(stored, "snapshot")
    with pytest.raises(SourceRejected, match="nothing was read yet"):
        offsets.rewound({}, "earliest")
    with pytest.raises(SourceRejected, match="cannot be read"):
        offsets.rewound({"c/orders/3": b"x"}, "earliest")
