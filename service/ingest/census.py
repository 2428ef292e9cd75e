"""Counts connections and what they hold, and chooses who must go when there is no room.

Slow ones go first: those that owe us a head, then idle ones, then those whose bodies drip; never one whose
request is being stored. So a flood of slow connections keeps out nobody but itself. Nothing here does I/O.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from math import inf
from typing import Final, Protocol

from service.ingest.limits import Limits


@dataclass(slots=True)
class Counters:
    """What happened since the start; plain numbers for the metrics."""

    connections: int = 0
    refused: int = 0
    """Connections closed at once because there was no room."""
    evicted: int = 0
    """Slow connections closed to make room."""
    timed_out: int = 0
    """Connections closed by a deadline."""
    requests: int = 0
    """Requests that reached a source."""
    unanswered: int = 0
    """Requests whose client was gone before the answer."""
    answers: dict[int, int] = field(default_factory=dict)
    """Answers by status."""


class Full(Enum):
    """Why a connection finds no room."""

    SERVER = "server"
    PEER = "peer"


class Member(Protocol):
    """A connection, as the census sees it."""

    key: str | None
    """Whose connection it is, for the limit per peer; None is not limited."""
    held: int
    since: float

    def patience(self) -> int | None:
        """Return how early it may be closed to make room, or None: it may not.

        0 owes us a head, 1 is idle, 2 brings a body.
        """

    def evict(self) -> None:
        """Close at once."""


_LOOK_SECONDS: Final = 0.05
"""How soon we look for slow connections again when those of the last look are used up."""
_MEMORY: Final = ""
"""Stands for a peer's key where room is made in memory."""


class Census:
    """All connections there are. A connection is `admit`ted once and leaves once (twice is harmless)."""

    def __init__(self, limits: Limits, descriptors: int, monotonic: Callable[[], float]) -> None:
        self._most = min(limits.connections, max(1, descriptors // 2))
        self._most_of_peer = limits.connections_per_peer
        self._most_held = limits.held_bytes
        after = limits.evict_after.total_seconds()
        self._slow_after = (after, after, limits.evict_body_after.total_seconds())
        self._monotonic = monotonic
        self._members: set[Member] = set()
        self._of_peer: dict[str, int] = {}
        self._victims: dict[str | None, tuple[float, deque[Member]]] = {}
        self.held = 0
        self.counters = Counters()
        self.emptied: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[Member, ...]:
        """The connections of this moment; they may leave while you go through them."""
        return tuple(self._members)

    def admit(self, member: Member) -> Full | None:
        """Count a connection in, closing a slow one if need be; or say why there is no room."""
        key = member.key
        if key is not None and self._of_peer.get(key, 0) >= self._most_of_peer and not self._make_room(key):
            self.counters.refused += 1
            return Full.PEER
        if len(self._members) >= self._most and not self._make_room(None):
            self.counters.refused += 1
            return Full.SERVER
        self._members.add(member)
        self.counters.connections += 1
        if key is not None:
            self._of_peer[key] = self._of_peer.get(key, 0) + 1
        return None

    def leave(self, member: Member) -> None:
        """Count a connection out, with all that it held."""
        if member not in self._members:
            return
        self._members.remove(member)
        self.held -= member.held
        member.held = 0
        if member.key is not None:
            left = self._of_peer[member.key] - 1
            if left:
                self._of_peer[member.key] = left
            else:
                del self._of_peer[member.key]
        if not self._members:
            self.emptied()

    def hold(self, member: Member, amount: int) -> bool:
        """Note how many bytes a connection holds now; False when there is no room for them.

        The connection itself may be the one that is closed for it.
        """
        if member not in self._members:
            return False
        grown = amount > member.held
        self.held += amount - member.held
        member.held = amount
        while grown and self.held > self._most_held:
            if not self._make_room(_MEMORY):
                return False
        return True

    def tick(self) -> None:
        """Forget whom we would close; called by the sweep."""
        self._victims.clear()

    def _make_room(self, key: str | None) -> bool:
        """Close the slowest connection (of one peer; of those that hold memory). False: there is none."""
        now = self._monotonic()
        looked_at, victims = self._victims.get(key, (-inf, deque[Member]()))
        # However many knock, we look at all connections only so often.
        if not victims and now - looked_at >= _LOOK_SECONDS:
            victims = deque(self._slow(key))
            self._victims[key] = (now, victims)
        while victims:
            victim = victims.popleft()
            if victim in self._members and self._is_slow(victim, now):
                self.counters.evicted += 1
                victim.evict()
                return True
        return False

    def _slow(self, key: str | None) -> list[Member]:
        now = self._monotonic()
        found = [
            member
            for member in self._members
            if self._is_slow(member, now)
            and (key is None or (member.held > 0 if key == _MEMORY else member.key == key))
        ]
        found.sort(key=lambda member: (member.patience() or 0, member.since))
        return found

    def _is_slow(self, member: Member, now: float) -> bool:
        patience = member.patience()
        return patience is not None and now - member.since >= self._slow_after[patience]


def peer_key(address: IPv4Address | IPv6Address) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 of an IPv6 one."""
    return str(address) if isinstance(address, IPv4Address) else address.packed[:8].hex()
