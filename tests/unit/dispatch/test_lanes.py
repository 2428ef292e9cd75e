"""When the dispatcher looks again: nothing that comes due between its look and its sleep is slept over."""

import time

import pytest

from service.connections import BreakerPolicy, Connection, Limits, Pauses
from service.dispatch.lanes import IDLE_CLAIM, Lane, Lanes
from tests.patience import SLACK


def lane_of(lanes: Lanes, *, backlog: bool = False) -> Lane:
    def none(_pin: object):
        raise AssertionError("no connector is asked for here")

    made = Connection(
        "shop", 1, limits=Limits(), breaker=BreakerPolicy(failures=1), connector_for=none, digest="", now=0.0
    )
    lanes.replace([made])
    lane = lanes.used["shop"]
    lane.backlog = backlog
    return lane


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(clock_ms=lambda: 0, max_in_memory=100)


async def test_sleeps_until_the_next_one_is_due(lanes: Lanes) -> None:
    lane_of(lanes).next_due = 5_000
    now = time.monotonic()
    assert lanes.wanted(now, 1_000) == {}
    assert 4.0 - SLACK < lanes.sleep_time(now, 1_000) <= 4.0


async def test_what_came_due_since_the_look_is_not_slept_over(lanes: Lanes) -> None:
    lane_of(lanes).next_due = 1_001
    looked = time.monotonic() - 0.05  # the look took longer than was left
    assert lanes.wanted(looked, 1_000) == {}
    assert lanes.sleep_time(looked, 1_000) <= 0.001


async def test_a_probe_that_came_due_since_the_look_is_not_slept_over(lanes: Lanes) -> None:
    lane = lane_of(lanes, backlog=True)
    looked = time.monotonic() - 0.05
    lane.connection.breaker.unhealthy("503", looked - 0.99)
    assert lanes.wanted(looked, 1_000) == {}
    assert lane.connection.breaker.probe_at <= time.monotonic()
    assert lanes.sleep_time(looked, 1_000) <= 0.001


async def test_what_waits_for_room_is_not_asked_for_again_and_again(lanes: Lanes) -> None:
    lane = lane_of(lanes, backlog=True)
    lane.connection.in_flight = 2 * lane.connection.limits.in_flight
    now = time.monotonic()
    assert lanes.wanted(now, 1_000) == {}
    assert lanes.sleep_time(now, 1_000) == IDLE_CLAIM


async def test_a_pause_that_began_while_a_connection_was_made_anew_holds_for_the_new_one(
    lanes: Lanes,
) -> None:
    lane = lane_of(lanes, backlog=True)
    lane.connection.pauses = Pauses().begun("anna", "", 0)
    again = lane_of(lanes, backlog=True)
    assert again is lane
    assert again.connection.paused
    now = time.monotonic()
    assert lanes.wanted(now, 1_000) == {}
    assert lanes.sleep_time(now, 1_000) == IDLE_CLAIM
