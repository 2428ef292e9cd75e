"""Every cell of the table of states and events: what follows, or that it cannot happen."""

import itertools

import pytest

from service.delivery import TRANSITIONS, Event, State, after
from service.errors import Conflict
from tests.tables import every_row

# One row for each state, one sign for each event in the order of the enumeration:
# START ADVANCE SUCCEED RETRY FAIL HOLD GIVE_BACK ORPHAN RELEASE SUPERSEDE EXPIRE DISCARD
SIGNS = {
    "p": State.PENDING, "r": State.RUNNING, "w": State.WAITING, "h": State.HELD, "D": State.DELIVERED,
    "X": State.DEAD, "S": State.SUPERSEDED, "E": State.EXPIRED, "C": State.DISCARDED, ".": None,
}  # fmt: skip
TABLE = {
    State.PENDING: "r...Xh...SEC",
    State.RUNNING: ".rDwXhpp.SE.",
    State.WAITING: "r...Xh..pSEC",
    State.HELD: "....X...pSEC",
    State.DELIVERED: "............",
    State.DEAD: "............",
    State.SUPERSEDED: "............",
    State.EXPIRED: "............",
    State.DISCARDED: "............",
}
CELLS = [
    (state, event, SIGNS[sign])
    for state, row in TABLE.items()
    for event, sign in zip(Event, row, strict=True)
]


@every_row(("state", "event", "expected"), CELLS, ids=lambda value: getattr(value, "name", "-"))
def test_each_cell_is_as_the_table_says(state, event, expected):
    if expected is None:
        with pytest.raises(Conflict, match=state.name.lower()):
            after(state, event)
    else:
        assert after(state, event) is expected


def test_the_table_here_has_every_state_and_the_code_no_more():
    assert set(TABLE) == set(State)
    assert {(state, event) for state, event, expected in CELLS if expected is not None} == set(TRANSITIONS)


def test_an_ended_run_never_changes():
    for state, event in itertools.product(State, Event):
        assert not (state.ended and (state, event) in TRANSITIONS)


def test_every_state_but_the_first_can_be_reached_and_every_unfinished_one_can_end():
    assert set(TRANSITIONS.values()) == set(State)
    for state in State:
        if not state.ended:
            assert any(was is state and new.ended for (was, _event), new in TRANSITIONS.items())


def test_the_stored_numbers_are_never_changed():
    assert [(state.name, state.value) for state in State] == [
        ("PENDING", 1), ("RUNNING", 2), ("WAITING", 3), ("HELD", 4), ("DELIVERED", 10), ("DEAD", 11),
        ("SUPERSEDED", 12), ("EXPIRED", 13), ("DISCARDED", 14),
    ]  # fmt: skip
    assert [state for state in State if state.ended] == [state for state in State if state >= 10]
