"""Limits, breaker and holds of one connection, in virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from service.connections import (
    HOLD_PROBE,
    PAUSES_KEPT,
    Breaker,
    BreakerPolicy,
    Connection,
    Limits,
    Pauses,
    Rate,
)
from tests.tables import every_row


def connection(**limits) -> Connection:
    def none(_digest: str):
        raise AssertionError("no connector is asked for here")

    return Connection(
        "shop",
        1,
        limits=Limits(**limits),
        breaker=BreakerPolicy(failures=3),
        connector_for=none,
        digest="",
        now=0.0,
    )


@given(st.floats(0.5, 500), st.integers(50, 300))
def test_rate_holds_on_average_and_bursts_one_second_at_most(per_second: float, steps: int) -> None:
    rate, now, taken = Rate(per_second, 0.0), 0.0, 0
    for _ in range(steps):
        wait = rate.wait(now)
        if wait > 0:
            now += wait
            assert rate.wait(now) == 0.0
        rate.take()
        taken += 1
    assert taken <= max(1.0, per_second) + now * per_second + 1


def test_the_breaker_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(BreakerPolicy(failures=3))
    for _ in range(5):
        assert not breaker.unhealthy("503", 0.0)
        assert not breaker.unhealthy("503", 0.0)
        breaker.healthy()
    breaker.unhealthy("503", 0.0)
    breaker.unhealthy("503", 0.0)
    assert breaker.unhealthy("503", 10.0)
    assert breaker.open
    assert breaker.probe_at == 11.0


def test_probes_come_later_and_later_up_to_the_longest() -> None:
    breaker = Breaker(BreakerPolicy(failures=1, first=1.0, longest=30.0))
    breaker.unhealthy("down", 0.0)
    delays = []
    now = breaker.probe_at
    for _ in range(7):
        breaker.unhealthy("down", now)
        delays.append(breaker.probe_at - now)
        now = breaker.probe_at
    assert delays == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_backend_that_came_back_is_met_with_doubling_not_with_a_storm() -> None:
    shop = connection(in_flight=16)
    for _ in range(3):
        shop.breaker.unhealthy("down", 0.0)
    assert shop.room(0.5) == 0
    assert shop.room(1.0) == 1
    assert shop.breaker.healthy()
    rooms = []
    for _ in range(6):
        rooms.append(shop.room(1.0))
        shop.breaker.healthy()
    assert rooms == [1, 2, 4, 8, 16, 16]


def test_only_one_probe_at_a_time() -> None:
    shop = connection()
    for _ in range(3):
        shop.breaker.unhealthy("down", 0.0)
    shop.in_flight = 1
    assert shop.room(100.0) == 0


def test_a_held_connection_lets_one_probe_through_a_minute() -> None:
    shop = connection()
    assert shop.hold("401", now=0.0, wall=1.0)
    assert not shop.hold("401", now=10.0, wall=11.0)
    assert shop.hold_since == 1.0
    assert shop.room(10.0 + HOLD_PROBE - 1) == 0
    assert shop.room(10.0 + HOLD_PROBE) == 1
    assert shop.unhold()
    assert not shop.unhold()
    assert shop.room(11.0) == 16


@every_row(
    ("prepare", "state"),
    [
        (lambda c: None, "ok"),
        (lambda c: c.hold("401", now=0.0, wall=0.0), "held"),
        (lambda c: [c.breaker.unhealthy("x", 0.0) for _ in range(3)], "open"),
        (lambda c: setattr(c, "pauses", Pauses().begun("anna", "", 0)), "paused"),
    ],
)
def test_state_says_what_keeps_it_back(prepare, state) -> None:
    shop = connection()
    prepare(shop)
    assert shop.state == state


def test_a_pause_a_hold_and_an_open_breaker_are_three_things() -> None:
    shop = connection()
    shop.pauses = Pauses().begun("anna", "the shop moves", 1_000)
    shop.hold("401", now=0.0, wall=2.0)
    for _ in range(3):
        shop.breaker.unhealthy("503", 0.0)
    assert shop.room(1e9) == 0, "no probe goes through a pause"
    assert shop.wakes_at() is None
    assert [(one.state, one.reason, one.since, one.by) for one in shop.stops()] == [
        ("paused", "by hand by anna: the shop moves", 1_000, "anna"),
        ("held", "401", 2_000, ""),
        ("open", "503", None, ""),
    ]
    shop.unhold()
    shop.breaker.healthy()
    assert [one.state for one in shop.stops()] == ["paused"]
    shop.pauses = shop.pauses.ended(5_000)
    assert shop.stops() == []
    assert (shop.state, shop.room(0.0)) == ("ok", 1)  # the breaker has just closed: it opens up by doubling


def test_who_pauses_again_gives_the_reason_anew_and_the_pause_goes_on() -> None:
    again = Pauses().begun("anna", "the shop moves", 1_000).begun("bert", "", 9_000)
    assert again.present is not None
    assert (again.present.by, again.present.reason, again.present.since) == ("bert", "", 1_000)
    assert Pauses().ended(1_000) == Pauses()


def test_the_time_paused_is_what_falls_between_two_moments() -> None:
    pauses = (
        Pauses().begun("anna", "", 100).ended(200).begun("anna", "", 300).ended(400).begun("anna", "", 500)
    )
    assert pauses.lasted(0, 600) == 300
    assert pauses.lasted(150, 350) == 100
    assert pauses.lasted(200, 300) == 0
    assert pauses.lasted(1_000, 1_010) == 10
    assert pauses.ended(400).past[-1] == (500, 500), "a clock that goes back makes no time"


def test_old_pauses_are_forgotten() -> None:
    pauses = Pauses()
    for number in range(PAUSES_KEPT + 5):
        pauses = pauses.begun("anna", "", number * 10).ended(number * 10 + 1)
    assert len(pauses.past) == PAUSES_KEPT
    assert pauses.past[0] == (50, 51)
