"""When the next attempt is due."""

from hypothesis import given
from hypothesis import strategies as st

from service.retry import Policy, next_attempt
from tests.tables import every_row

POLICY = Policy(total=24 * 3_600_000, first=1_000, longest=3_600_000)


def due(failed=1, now=0, first_at=0, paused=0, after=None, chance=1.0, policy=POLICY):
    return next_attempt(
        policy, failed=failed, first_at=first_at, now=now, paused=paused, after=after, chance=chance
    )


@every_row(("failed", "ceiling"), [(1, 1_000), (2, 2_000), (5, 16_000), (12, 2_048_000), (13, 3_600_000)])
def test_the_ceiling_doubles_up_to_the_longest(failed: int, ceiling: int) -> None:
    assert due(failed=failed) == ceiling


def test_jitter_is_full() -> None:
    assert due(failed=5, chance=0.0) == 0
    assert due(failed=5, chance=0.5) == 8_000


def test_a_thousand_failures_do_not_overflow() -> None:
    assert due(failed=1000) == POLICY.longest


def test_the_backends_wish_counts_when_later_and_only_then() -> None:
    assert due(after=60.0) == 60_000
    assert due(failed=12, after=1.0) == 2_048_000


def test_an_absurd_wish_is_cut_to_what_is_left() -> None:
    assert due(now=3_600_000, after=1e9) == POLICY.total


def test_gives_up_when_the_time_is_over() -> None:
    assert due(now=POLICY.total) is None
    assert due(now=POLICY.total - 1, after=10.0) == POLICY.total


def test_time_paused_by_an_operator_does_not_count() -> None:
    assert due(now=POLICY.total + 5, paused=1_000) is not None


@given(
    failed=st.integers(1, 10_000),
    now=st.integers(0, 10**13),
    first_at=st.integers(0, 10**13),
    paused=st.integers(0, 10**9),
    after=st.none() | st.floats(0, 1e10),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_never_due_in_the_past_and_never_beyond_the_policy(
    failed, now, first_at, paused, after, chance
) -> None:
    when = next_attempt(
        POLICY, failed=failed, first_at=first_at, now=now, paused=paused, after=after, chance=chance
    )
    if when is not None:
        assert now <= when <= max(now, first_at + POLICY.total + paused)
