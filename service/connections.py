"""A connection at run time: its connector, its limits, its breaker, and what holds it.

One connection is one lane of the dispatcher: a dead backend fills only its own lane. Pure apart from the
connector it holds: the clock (seconds, monotonic) comes in as an argument; nothing here waits or stores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from actions.base import Connector
from service.rules.model import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a connection takes. `rate` is calls per second, None for no limit; `timeout` in seconds."""

    in_flight: int = 16
    rate: float | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens and when it probes, in seconds.

    It opens after `failures` unhealthy answers in a row; the first probe comes after `first`, each
    further one after twice as long, at most `longest`.
    """

    failures: int = 10
    first: float = 1.0
    longest: float = 30.0


HOLD_PROBE: Final = 60.0
"""Seconds between the probes of a connection whose credentials were not taken."""


PAUSES_KEPT: Final = 100
"""How many pauses of a connection that are over are remembered."""

Stopped = Literal["paused", "held", "open"]
"""What can keep calls back: an operator's pause, credentials that were not taken, an open breaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One thing that keeps calls back. `since` in milliseconds; None where no moment is known."""

    state: Stopped
    reason: str
    since: int | None = None
    by: str = ""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word that nothing new is called; `since` in milliseconds of the steady clock."""

    by: str
    reason: str = ""
    since: int


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a connection's pauses by hand: the present one, and when earlier ones were.

    The earlier ones are kept because time paused by an operator does not count against the retry time.
    """

    present: Pause | None = None
    past: tuple[tuple[int, int], ...] = ()

    def begun(self, by: str, reason: str, now: int) -> "Pauses":
        """Return them with a pause that begins; one that is under way goes on, in other words."""
        since = now if self.present is None else self.present.since
        return msgspec.structs.replace(self, present=Pause(by=by, reason=reason, since=since))

    def ended(self, now: int) -> "Pauses":
        """Return them with the present pause over."""
        if self.present is None:
            return self
        past = (*self.past, (self.present.since, max(now, self.present.since)))
        return Pauses(past=past[-PAUSES_KEPT:])

    def lasted(self, since: int, now: int) -> int:
        """Return how many milliseconds between two moments were paused."""
        all_ = self.past if self.present is None else (*self.past, (self.present.since, now))
        return sum(max(0, min(end, now) - max(begin, since)) for begin, end in all_)


class Rate:
    """A token bucket: `per_second` on average, a burst of at most one second's worth (at least 1)."""

    __slots__ = ("_at", "_tokens", "burst", "per_second")

    def __init__(self, per_second: float, now: float) -> None:
        self.per_second = per_second
        self.burst = max(1.0, per_second)
        self._tokens = self.burst
        self._at = now

    def wait(self, now: float) -> float:
        """Return how many seconds until a call may start; 0.0 when one may start now."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        # A millionth of a token is rounding, not a reason to wait.
        return 0.0 if self._tokens > 1.0 - 1e-6 else (1.0 - self._tokens) / self.per_second

    def take(self) -> None:
        """Take one token; call `wait` first."""
        self._tokens -= 1.0


class Breaker:
    """Counts unhealthy answers; open, it lets nothing through but one probe at a time.

    After a probe went well the lane opens up by doubling: 1, 2, 4, … calls in flight, so that a backend
    that has just come back is not stormed.
    """

    __slots__ = ("_delay", "_failures", "allowed", "opened_at", "policy", "probe_at", "reason")

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.allowed: int | None = None  # None: no limit of the breaker's own
        self.opened_at: float | None = None
        self.probe_at = 0.0
        self.reason = ""
        self._failures = 0
        self._delay = policy.first

    @property
    def open(self) -> bool:
        """Whether calls are kept back."""
        return self.opened_at is not None

    def healthy(self) -> bool:
        """Note a healthy answer; return whether it closed the breaker."""
        self._failures = 0
        if self.opened_at is not None:
            self.opened_at = None
            self._delay = self.policy.first
            self.allowed = 1
            return True
        if self.allowed is not None:
            self.allowed = self.allowed * 2 if self.allowed < 1 << 16 else None
        return False

    def unhealthy(self, reason: str, now: float) -> bool:
        """Note an unhealthy answer or none; return whether it opened the breaker."""
        self._failures += 1
        self.reason = reason
        if self.opened_at is not None:
            if now < self.probe_at:
                return False  # no probe: a call that was in flight when the breaker opened
            self._delay = min(self._delay * 2, self.policy.longest)
            self.probe_at = now + self._delay
            return False
        if self._failures < self.policy.failures:
            return False
        self.opened_at = now
        self.probe_at = now + self._delay
        return True


class Connection:
    """A connection as the dispatcher uses it.

    `lane` is its number in the store. `connector_for` returns the connector for a pinned
    description: a delivery is performed with the one its own ruleset pins. `digest` changes when the
    connection's configuration does, credentials included. `holds`: refused credentials hold all deliveries;
    else each delivery that meets them is dead.
    """

    def __init__(
        self,
        name: str,
        lane: int,
        *,
        limits: Limits,
        breaker: BreakerPolicy,
        connector_for: Callable[[Pin], Connector],
        digest: str,
        now: float,
        holds: bool = True,
    ) -> None:
        self.name = name
        self.lane = lane
        self.limits = limits
        self.breaker = Breaker(breaker)
        self.rate = Rate(limits.rate, now) if limits.rate is not None else None
        self.connector_for = connector_for
        self.digest = digest
        self.holds = holds
        self.pauses = Pauses()
        self.in_flight = 0
        self.others = 0  # calls beside the lane's: of sources that poll, waiting for room or under way
        self.hold_reason = ""
        self.hold_since = 0.0  # wall clock, for people
        self.probe_at = 0.0
        self.fresh_login = False  # one was asked for since the last healthy answer
        self.logged_in_at = 0.0
        self.calls = 0
        self.last_error = ""

    @property
    def paused(self) -> bool:
        """Whether an operator wants nothing new called."""
        return self.pauses.present is not None

    @property
    def state(self) -> Literal["ok", "paused", "held", "open"]:
        """What the outside is told: ok, paused (by hand), held (credentials), or open (breaker).

        They are independent of each other: the first that applies, in this order.
        """
        if self.paused:
            return "paused"
        if self.hold_reason:
            return "held"
        return "open" if self.breaker.open else "ok"

    def stops(self) -> list[Stop]:
        """Return everything that keeps calls back, the one that `state` tells first."""
        found = []
        pause = self.pauses.present
        if pause is not None:
            why = f"by hand by {pause.by}" + (f": {pause.reason}" if pause.reason else "")
            found.append(Stop(state="paused", reason=why, since=pause.since, by=pause.by))
        if self.hold_reason:
            since = int(self.hold_since * 1000)
            found.append(Stop(state="held", reason=self.hold_reason, since=since))
        if self.breaker.open:
            found.append(Stop(state="open", reason=self.breaker.reason))
        return found

    def room(self, now: float) -> int:
        """Return how many more calls may be in flight now, rate apart."""
        if self.paused:
            return 0
        if self.hold_reason:
            return 1 if now >= self.probe_at and not self.in_flight and not self.others else 0
        if self.breaker.open:
            return 1 if now >= self.breaker.probe_at and not self.in_flight and not self.others else 0
        limit = self.limits.in_flight
        if self.breaker.allowed is not None:
            limit = min(limit, self.breaker.allowed)
        return max(0, limit - self.in_flight - self.others)

    def wakes_at(self) -> float | None:
        """Return when a held or open connection wants its next probe; None when it wants none."""
        if self.paused:
            return None
        if self.hold_reason:
            return self.probe_at
        return self.breaker.probe_at if self.breaker.open else None

    def hold(self, reason: str, *, now: float, wall: float) -> bool:
        """Keep everything back until somebody mends the credentials; return whether this is new."""
        new = not self.hold_reason
        if new:
            self.hold_since = wall
        self.hold_reason = reason
        self.probe_at = now + HOLD_PROBE
        return new

    def unhold(self) -> bool:
        """Let calls through again; return whether anything was held."""
        held = bool(self.hold_reason)
        self.hold_reason = ""
        return held
