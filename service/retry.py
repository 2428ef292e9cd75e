"""When to try again. Pure: time and chance come in as arguments."""

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A step's retry policy, in milliseconds: how long in all, the first delay, the longest delay."""

    total: int = 24 * 3_600_000
    first: int = 1_000
    longest: int = 3_600_000


def next_attempt(
    policy: Policy, *, failed: int, first_at: int, now: int, paused: int, after: float | None, chance: float
) -> int | None:
    """Return when to try again (milliseconds), or None to give up.

    Exponential with full jitter: a uniform delay (`chance` in [0, 1)) up to `first` × 2^(failed - 1), at
    most `longest`. `failed` counts the failed attempts so far, from 1. The backend's own Retry-After
    (seconds) wins when it is later, up to what is left of `total`. `total` runs from the first attempt;
    the time an operator held the run (`paused`) does not count.
    """
    left = first_at + policy.total + paused - now
    if left <= 0:
        return None
    ceiling = min(policy.longest, policy.first << min(failed - 1, 40))
    delay = int(ceiling * chance)
    if after is not None:
        delay = max(delay, int(after * 1000))
    return now + min(delay, left)
