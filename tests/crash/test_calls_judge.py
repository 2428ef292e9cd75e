"""The judge on records made by hand: sound ones, and one for each way in which a login or a call can break the promise."""

from dataclasses import replace

import pytest

from tests.crash.calls.judge import Look, Needed, Records, Token, judge
from tests.crash.calls.look import Kept
from tests.crash.history import DELIVERED, Call, History, Run, Sent, Stored, Tried, base32

T = 1_800_000_000
"""When the records begin, in seconds."""

FIX = "log in: pointsman connections login market"
CAUSE = f"msg_{base32(1)}"


def token(at: float, number: int, does: str = "ok", login: int = 1) -> Token:
    return Token(at=T + at, login=login, number=number, does=does)


def look(at: float, number: int, login: int = 1) -> Look:
    return Look(at=T + at, kept=Kept(login, number))


@pytest.fixture
def records() -> Records:
    """A login whose second token is lost by a kill between its grant and the store, and told; and a job."""
    history = History(
        sent=[
            Sent(event=event, at=T + 1, id="evt-1", source="orders", intent="first", body="b", kind="job", uid="u1",
                 given=CAUSE if event == "ack" else "")
            for event in ("attempt", "ack")
        ],
        messages=[Stored(number=1, source="orders", id="evt-1", type="order.job", body="b")],
        calls=[Call(at=T + 2, op="jobs", uid="u1", key="k1", body="x", cause=CAUSE, does="ok")],
        runs=[Run(message=1, rule="job", run=1, state=DELIVERED, changed_at=(T + 4) * 1000, id="dlv_1")],
        attempts=[
            Tried(message=1, rule="job", run=1, number=1, step=0, started_at=(T + 1) * 1000, ended_at=(T + 4) * 1000,
                  outcome="ok", status=200)
        ],
    )  # fmt: skip
    return Records(
        history=history,
        grants=[token(1, 1), token(3, 2), token(6, 1, login=2)],
        uses=[token(1.5, 1), token(6.5, 1, login=2)],
        refusals=[token(5, 1)],
        denied=[("u1", "k1")],
        done={"u1": T + 3.9},
        looks=[look(3.5, 1), look(7, 1, login=2)],
        needed=[Needed(at=T + 5.5, reason="market: the token server answered 400 invalid_grant", fix=FIX)],
        logins=[T + 6.0],
        lives=[T + 0.0, T + 4.0],
    )


def test_sound_records_have_no_breach(records):
    verdict = judge(records)
    assert verdict.clean, verdict.shown()
    assert verdict.counts["refresh tokens lost by a kill or a cut answer"] == 1
    assert (verdict.counts["tokens"], verdict.counts["jobs done"]) == (3, 1)


def test_a_token_that_was_used_and_is_not_kept_is_ahead(records):
    records.uses.append(token(3.2, 2))
    assert judge(records).breaches == {"ahead": 1}


def test_a_token_that_was_used_when_none_is_kept_is_ahead(records):
    records.looks.insert(0, look(2, 0, login=0))
    assert judge(records).breaches == {"ahead": 1}


def test_a_token_that_is_older_than_the_one_kept_is_not_ahead(records):
    records.looks.append(look(8, 3, login=2))
    assert judge(records).clean


def test_a_refresh_token_that_comes_again_without_a_kill_is_lost(records):
    records.looks = [look(7, 1, login=2)]
    assert judge(records).breaches == {"token lost": 1}


def test_a_refresh_token_that_comes_again_although_its_successor_was_kept_is_lost(records):
    records.looks[0] = look(3.5, 2)
    assert judge(records).breaches == {"token lost": 1}


def test_an_answer_that_was_cut_explains_a_lost_token(records):
    records.looks = [look(7, 1, login=2)]
    records.grants[1] = replace(records.grants[1], does="cut")
    assert judge(records).clean


def test_what_is_presented_of_a_login_that_has_ended_is_no_second_loss(records):
    records.refusals.append(token(5.2, 1))
    assert judge(records).clean


def test_a_refresh_token_that_nobody_granted_is_lost(records):
    records.refusals.append(token(5.2, -1, login=-1))
    assert judge(records).breaches == {"token lost": 1}


def test_a_refused_token_that_is_presented_for_ever_is_a_loop(records):
    records.refusals += [token(5.1 + number / 10, 1) for number in range(5)]
    assert judge(records).breaches == {"loop": 1}


@pytest.mark.parametrize(
    "needed",
    [[], [Needed(at=T + 5.5, reason="", fix="")], [Needed(at=T + 5.5, reason="something is wrong", fix="")]],
)
def test_a_lost_login_of_which_nobody_hears_is_untold(records, needed):
    records.needed = needed
    assert judge(records).breaches == {"untold": 1}


@pytest.mark.parametrize("done", [{}, {"u1": T + 4.5}])
def test_a_job_that_is_delivered_before_it_is_done_is_early(records, done):
    records.done = done
    assert judge(records).breaches == {"early": 1}


def test_what_is_sent_again_after_a_login_under_another_key_is_found(records):
    records.denied = [("u1", "k0")]
    assert judge(records).breaches == {"other key": 1}


def test_a_job_that_is_started_again_under_another_key_is_found(records):
    records.history.calls.append(
        Call(at=T + 3, op="jobs", uid="u1", key="k2", body="x", cause=CAUSE, does="ok")
    )
    records.history.attempts.append(
        Tried(message=1, rule="job", run=1, number=2, step=0, started_at=(T + 2) * 1000, ended_at=(T + 4) * 1000,
              outcome="ok", status=200)
    )  # fmt: skip
    assert judge(records).breaches == {"other key": 1}
