"""Counting: what is refused, performed by a script, or sent to a bus does not count among what can be called."""

from service.usecases.exercising import accepted_share, is_sound, rows, summary
from service.usecases.exercising.totals import totals

OPERATIONS = [
    {
        "id": "a",
        "method": "GET",
        "path": "/a",
        "accepted": True,
        "calls": 2,
        "requests": 3,
        "accepted_requests": 2,
        "reasons": [],
    },
    {"id": "b", "method": "GET", "path": "/b", "accepted": False, "calls": 1, "reasons": ["x", "y"]},
    {"id": "c", "method": "GET", "path": "/c", "accepted": False, "refused": True, "reasons": ["z"]},
    {"id": "d", "method": "PUBLISH", "path": "d", "accepted": None, "reasons": ["bus"]},
    {
        "id": "e",
        "method": "GET",
        "path": "/e",
        "accepted": True,
        "needs_code": True,
        "calls": 1,
        "reasons": [],
    },
]
LINE = {"path": "p", "operations": OPERATIONS, "totals": totals(OPERATIONS)}


def test_totals() -> None:
    assert LINE["totals"] == {
        "operations": 5, "accepted": 1, "failed": 1, "refused": 1, "bus": 1, "code": 1, "code_accepted": 1, "calls": 4,
        "requests": 3, "accepted_requests": 2,
    }  # fmt: skip


def test_the_share_is_of_what_can_be_called() -> None:
    assert accepted_share([LINE, {"path": "q", "error": {}}]) == 0.5
    assert accepted_share([]) == 1.0


def test_rows_tell_of_what_was_not_accepted() -> None:
    assert [(one["id"], one["reason"]) for one in rows(LINE)] == [("b", "x; y"), ("c", "z")]
    assert not is_sound(LINE)
    assert summary(LINE)["failed"] == 1
    assert summary({"path": "q", "error": {"message": "broken"}}) == {"path": "q", "error": "broken"}
