"""Who finds room, and who must go for it."""

from dataclasses import dataclass, field

from service.ingest import Limits
from service.ingest.census import Census, Full, peer_key
from service.ingest.forwarded import read_address

LIMITS = Limits(connections=3, connections_per_peer=2, held_bytes=100)


@dataclass(eq=False)
class Guest:
    census: Census
    key: str | None = None
    since: float = 0.0
    rank: int | None = 0
    held: int = 0
    evicted: bool = field(default=False)

    def patience(self) -> int | None:
        return self.rank

    def evict(self) -> None:
        self.evicted = True
        self.census.leave(self)


class Time:
    now = 100.0


def census(limits: Limits = LIMITS, descriptors: int = 1_000) -> Census:
    return Census(limits, descriptors, lambda: Time.now)


def test_closes_the_slowest_when_all_places_are_taken() -> None:
    hall = census()
    idle, young, slow = (Guest(hall, since=1, rank=1), Guest(hall, since=99.95), Guest(hall, since=50))
    for guest in (idle, young, slow):
        assert hall.admit(guest) is None
    assert hall.admit(Guest(hall, since=100)) is None
    assert (idle.evicted, young.evicted, slow.evicted) == (False, False, True)
    assert hall.admit(Guest(hall, since=100)) is None
    assert (idle.evicted, young.evicted) == (True, False)
    assert len(hall) == 3
    assert hall.counters.evicted == 2


def test_refuses_when_nobody_is_slow_or_may_go() -> None:
    hall = census()
    for guest in (
        Guest(hall, since=0, rank=None),
        Guest(hall, since=99.95),
        Guest(hall, since=99.95, rank=1),
    ):
        hall.admit(guest)
    assert hall.admit(Guest(hall)) is Full.SERVER
    assert len(hall) == 3
    assert hall.counters.refused == 1


def test_spares_one_that_has_become_useful_since_it_was_chosen() -> None:
    hall = census()
    first, second, third = (Guest(hall, since=1), Guest(hall, since=2), Guest(hall, since=3))
    for guest in (first, second, third):
        hall.admit(guest)
    hall.admit(Guest(hall, since=100))
    second.rank = None
    hall.admit(Guest(hall, since=100))
    assert (first.evicted, second.evicted, third.evicted) == (True, False, True)
    assert hall.admit(Guest(hall)) is Full.SERVER
    hall.tick()
    second.rank = 0
    assert hall.admit(Guest(hall)) is None
    assert second.evicted


def test_looks_for_slow_ones_again_only_after_a_while() -> None:
    now = [100.0]
    hall = Census(Limits(connections=1), 1_000, lambda: now[0])
    first = Guest(hall, since=99.955)
    hall.admit(first)
    assert hall.admit(Guest(hall)) is Full.SERVER
    now[0] = 100.049
    first.since = 0
    assert hall.admit(Guest(hall)) is Full.SERVER
    now[0] = 100.051
    assert hall.admit(Guest(hall)) is None
    assert first.evicted


def test_a_body_is_given_more_time_than_a_head() -> None:
    hall = census()
    body, head = Guest(hall, since=99.1, rank=2), Guest(hall, since=99.85)
    hall.admit(body)
    hall.admit(head)
    hall.admit(Guest(hall, rank=None))
    assert hall.admit(Guest(hall, rank=None)) is None
    assert head.evicted
    assert hall.admit(Guest(hall)) is Full.SERVER
    assert not body.evicted


def test_one_peer_takes_only_its_share_and_pays_for_it_itself() -> None:
    hall = census(Limits(connections=10, connections_per_peer=2))
    other = Guest(hall, key="b", since=0)
    mine = [Guest(hall, key="a", since=99.95), Guest(hall, key="a", since=50)]
    for guest in (other, *mine):
        hall.admit(guest)
    assert hall.admit(Guest(hall, key="a", since=99.95)) is None
    assert mine[1].evicted
    assert hall.admit(Guest(hall, key="a")) is Full.PEER
    assert not other.evicted
    hall.leave(mine[0])
    assert hall.admit(Guest(hall, key="a")) is None


def test_without_a_key_there_is_no_limit_per_peer() -> None:
    hall = census(Limits(connections=10, connections_per_peer=1))
    assert [hall.admit(Guest(hall, key=None)) for _ in range(5)] == [None] * 5


def test_half_of_the_descriptors_is_never_exceeded() -> None:
    hall = census(Limits(connections=1_000), descriptors=8)
    admitted = [hall.admit(Guest(hall, rank=None)) for _ in range(6)]
    assert admitted == [None] * 4 + [Full.SERVER] * 2


def test_memory_is_freed_by_those_that_hold_it_longest() -> None:
    hall = census()
    empty, old, new = (Guest(hall, since=0), Guest(hall, since=50, rank=2), Guest(hall, since=99.95, rank=2))
    for guest in (empty, old, new):
        hall.admit(guest)
    assert hall.hold(old, 60)
    assert hall.hold(new, 40)
    assert hall.held == 100
    assert hall.hold(new, 80)
    assert (empty.evicted, old.evicted) == (False, True)
    assert hall.held == 80
    assert not hall.hold(new, 101)
    assert hall.hold(new, 0)
    assert hall.held == 0


def test_leaving_twice_is_harmless_and_the_last_one_is_told() -> None:
    hall = census()
    gone: list[bool] = []
    hall.emptied = lambda: gone.append(True)
    guest = Guest(hall, key="a")
    hall.admit(guest)
    hall.hold(guest, 10)
    hall.leave(guest)
    hall.leave(guest)
    assert gone == [True]
    assert hall.held == 0
    assert not hall.hold(guest, 5)


def test_an_ipv6_network_is_one_peer() -> None:
    keys = [
        peer_key(address)
        for text in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "1.2.3.4", "::ffff:1.2.3.4")
        if (address := read_address(text))
    ]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4] == "1.2.3.4"
