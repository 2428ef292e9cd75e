"""The steady clock survives jumps of the wall clock, in both directions."""

from service.clock import SteadyClock


class Times:
    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic)


def test_a_jump_of_the_wall_clock_while_running_changes_nothing() -> None:
    times = Times()
    clock = times.clock()
    before = clock()
    times.wall += 3600
    times.pass_(1)
    times.wall -= 7200
    assert clock() - before == 1000


def test_a_wall_clock_set_back_between_two_lives_does_not_send_due_times_into_the_future() -> None:
    times = Times()
    last_beat = times.clock()()
    times.wall -= 3600
    times.pass_(5)
    clock = times.clock()
    clock.not_before(last_beat)
    assert 0 <= clock() - last_beat <= 1
    times.pass_(10)
    assert 10_000 <= clock() - last_beat <= 10_001


def test_a_wall_clock_set_forward_is_believed_at_start() -> None:
    times = Times()
    last_beat = times.clock()()
    times.wall += 3600
    clock = times.clock()
    clock.not_before(last_beat)
    assert clock() - last_beat == 3_600_000
