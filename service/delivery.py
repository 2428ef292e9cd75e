"""The states of a run, as one table.

A delivery is one message × one matching rule; its run has a state. Every change of state anywhere (store,
dispatch, operator) is a look-up here: a pair that is not in the table does not happen. An ended run never
changes; retry by hand and replay make the next run.
"""

import enum
from typing import Final

from service.errors import Conflict


class State(enum.IntEnum):
    """Where a run is. The numbers are stored: never renumber. Ends are 10 and above."""

    PENDING = 1  # waits for its turn
    RUNNING = 2  # owned by an epoch; an attempt is recorded
    WAITING = 3  # waits for its next attempt
    HELD = 4  # waits for somebody or something; the reason says for what
    DELIVERED = 10
    DEAD = 11
    SUPERSEDED = 12
    EXPIRED = 13
    DISCARDED = 14

    @property
    def ended(self) -> bool:
        """Whether this is one of the ends."""
        return self >= State.DELIVERED


class Event(enum.IntEnum):
    """What can happen to a run."""

    START = 1  # claimed, or born running: owner and attempt are recorded
    ADVANCE = 2  # a step went well and the next one's attempt is recorded
    SUCCEED = 3  # the last step went well
    RETRY = 4  # the attempt failed in a way that is tried again
    FAIL = 5  # refused, given up, or cannot be rendered
    HOLD = 6  # the connection, the key, the rule or the request itself is in the way
    GIVE_BACK = 7  # claimed but not called: the process stops
    ORPHAN = 8  # the owner died; what it did is unknown
    RELEASE = 9  # what held it is gone
    SUPERSEDE = 10  # a newer one of its key took its place, or an older one kept it
    EXPIRE = 11  # the message's own expiry passed
    DISCARD = 12  # a named operator said so


_S, _E = State, Event

TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (_S.PENDING, _E.START): _S.RUNNING,
    (_S.PENDING, _E.HOLD): _S.HELD,
    (_S.PENDING, _E.FAIL): _S.DEAD,
    (_S.PENDING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.PENDING, _E.EXPIRE): _S.EXPIRED,
    (_S.PENDING, _E.DISCARD): _S.DISCARDED,
    (_S.RUNNING, _E.ADVANCE): _S.RUNNING,
    (_S.RUNNING, _E.SUCCEED): _S.DELIVERED,
    (_S.RUNNING, _E.RETRY): _S.WAITING,
    (_S.RUNNING, _E.FAIL): _S.DEAD,
    (_S.RUNNING, _E.HOLD): _S.HELD,
    (_S.RUNNING, _E.GIVE_BACK): _S.PENDING,
    (_S.RUNNING, _E.ORPHAN): _S.PENDING,
    (_S.RUNNING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.RUNNING, _E.EXPIRE): _S.EXPIRED,
    (_S.WAITING, _E.START): _S.RUNNING,
    (_S.WAITING, _E.HOLD): _S.HELD,
    (_S.WAITING, _E.FAIL): _S.DEAD,
    (_S.WAITING, _E.RELEASE): _S.PENDING,  # an operator asks for the next attempt now
    (_S.WAITING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.WAITING, _E.EXPIRE): _S.EXPIRED,
    (_S.WAITING, _E.DISCARD): _S.DISCARDED,
    (_S.HELD, _E.RELEASE): _S.PENDING,
    (_S.HELD, _E.FAIL): _S.DEAD,
    (_S.HELD, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.HELD, _E.EXPIRE): _S.EXPIRED,
    (_S.HELD, _E.DISCARD): _S.DISCARDED,
}
"""State × event → state. What is not here is not allowed."""


def after(state: State, event: Event) -> State:
    """Return the state that follows; raise Conflict when the event cannot happen in this state."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise Conflict(
            f"a run that is {state.name.lower()} cannot {event.name.lower().replace('_', ' ')}"
        ) from None
