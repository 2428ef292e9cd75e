"""The verifier on histories made by hand: one that is sound, and one for each way to break the promise."""

from dataclasses import replace

import pytest

from tests.crash.history import DEAD, DELIVERED, Call, History, Kill, Run, Sent, Stored, Tried
from tests.crash.verifier import merge, verify

T = 1_800_000_000
"""When the histories begin, in seconds."""


def sent(
    event: str,
    uid: str,
    at: float,
    *,
    kind: str = "one",
    intent: str = "first",
    given: str = "",
    key: str = "",
) -> Sent:
    body = f"body of {uid}"
    return Sent(
        event=event, at=T + at, id=uid.removesuffix("-other"), source="orders", intent=intent, body=body, kind=kind, uid=uid,
        key=key, given=given,
    )  # fmt: skip


def stored(number: int, uid: str) -> Stored:
    return Stored(number=number, source="orders", id=uid, type="order", body=f"body of {uid}")


def call(
    uid: str, at: float, op: str = "records", *, cause: str = "msg_000001", does: str = "ok", key: str = "K"
) -> Call:
    return Call(
        at=T + at, op=op, uid=uid, key=f"{key}-{uid}-{op}", body=f"{op} {uid}", cause=cause, does=does
    )


def run(number: int, rule: str = "one", state: int = DELIVERED, *, at: float = 9, again: int = 1) -> Run:
    return Run(message=number, rule=rule, run=again, state=state, changed_at=int((T + at) * 1000))


def tried(
    number: int, rule: str, begin: float, end: float, *, step: int = 0, count: int = 1, outcome: str = "ok"
) -> Tried:
    return Tried(
        message=number, rule=rule, run=1, number=count, step=step, started_at=int((T + begin) * 1000),
        ended_at=int((T + end) * 1000), outcome=outcome,
    )  # fmt: skip


@pytest.fixture
def history() -> History:
    """A sound one: a one-step message with a repeat, a two-step one, two queued ones of a key, one that matches nothing."""
    return History(
        sent=[
            sent("attempt", "a", 0), sent("unknown", "a", 0.1), sent("attempt", "a", 0.2), sent("ack", "a", 0.3, given="msg_000001"),
            sent("attempt", "b", 1, kind="two"), sent("ack", "b", 1.1, given="msg_000002"),
            sent("attempt", "c", 2, kind="queued", key="k"), sent("ack", "c", 2.1, given="msg_000003"),
            sent("attempt", "d", 3, kind="queued", key="k"), sent("ack", "d", 3.1, given="msg_000004"),
            sent("attempt", "e", 4, kind="nothing"), sent("ack", "e", 4.1, given="msg_000005"),
            sent("attempt", "a-other", 5, intent="other"), sent("ack", "a-other", 5.1, intent="other", given="rej_000001"),
        ],
        calls=[
            call("a", 1, does="cut"), call("a", 2),
            call("b", 2, "reservations", cause="msg_000002"), call("b", 3, "confirmations", cause="msg_000002", does="slow"),
            call("c", 4, "sequences", cause="msg_000003"), call("d", 5, "sequences", cause="msg_000004"),
        ],
        messages=[stored(number, uid) for number, uid in enumerate("abcde", 1)],
        runs=[run(1), run(2, "two"), run(3, "queued", at=4.5), run(4, "queued")],
        attempts=[
            tried(1, "one", 0.9, 1.1, outcome="unknown"), tried(1, "one", 1.9, 2.1, count=2),
            tried(2, "two", 1.9, 2.1), tried(2, "two", 2.9, 3.2, step=1, count=2),
            tried(3, "queued", 3.9, 4.1), tried(4, "queued", 4.9, 5.1),
        ],
        rejects={1: "id-conflict"},
        kills=[Kill(point="random", status=-9), Kill(point="store.accept.before", status=-9)],
        seen=[run(1)],
    )  # fmt: skip


def test_a_sound_history_is_clean_and_counted(history):
    verdict = verify(history)
    assert verdict.clean, verdict.shown()
    counts = verdict.counts
    assert (
        counts["accepted"],
        counts["delivered"],
        counts["pending"],
        counts["calls"],
        counts["repeats"],
    ) == (5, 4, 0, 6, 1)
    assert verdict.kills == {"random": 1, "store.accept.before": 1}


def broken(history: History, kind: str, times: int = 1) -> None:
    verdict = verify(history)
    assert dict(verdict.breaches) == {kind: times}, verdict.shown()
    assert verdict.samples[kind]


def without_messages(history: History, *numbers: int) -> None:
    for name in ("messages", "runs", "attempts"):
        kept = [
            one
            for one in getattr(history, name)
            if getattr(one, "number" if name == "messages" else "message") not in numbers
        ]
        setattr(history, name, kept)


def test_an_acknowledged_message_that_is_not_there_is_lost(history):
    without_messages(history, 5)
    broken(history, "lost")


def test_an_acknowledged_message_with_another_body_is_lost(history):
    history.messages[4] = replace(history.messages[4], body="something else")
    broken(history, "lost")


def test_a_message_without_the_run_of_its_rule_is_lost(history):
    history.messages.append(stored(6, "f"))
    history.sent += [sent("attempt", "f", 6), sent("ack", "f", 6.1, given="msg_000006")]
    broken(history, "lost")


@pytest.mark.parametrize("does", ["503", "429", "cut", "422"])
def test_a_delivered_run_whose_step_was_never_answered_well_is_lost(history, does):
    history.calls[1] = replace(history.calls[1], does=does)
    broken(history, "lost")


def test_a_delivered_run_without_its_last_step_is_lost(history):
    del history.calls[3]
    broken(history, "lost")


def test_a_conflict_without_its_reject_is_lost(history):
    history.rejects = {}
    broken(history, "lost")


def test_another_body_under_a_known_id_must_not_be_accepted(history):
    history.sent[-1] = replace(history.sent[-1], given="msg_000001")
    broken(history, "conflict accepted")


def test_a_message_never_acknowledged_is_recovered_or_gone_and_no_breach(history):
    del history.sent[-3]
    assert verify(history).clean
    assert verify(history).counts["recovered"] == 1
    without_messages(history, 5)
    assert verify(history).clean


def test_two_ids_for_one_identity_are_accepted_twice(history):
    history.sent.append(sent("attempt", "e", 6, kind="nothing", intent="twice"))
    history.sent.append(sent("ack", "e", 6.1, kind="nothing", intent="twice", given="msg_000006"))
    history.messages.append(stored(6, "e"))
    assert verify(history).breaches["accepted twice"] == 2


def test_a_run_that_has_not_ended_is_pending_and_not_lost(history):
    history.runs[3] = run(4, "queued", state=3)
    del history.calls[5], history.attempts[5]
    broken(history, "pending")


def test_a_call_that_nobody_asked_for_is_unexpected(history):
    history.calls.append(call("x", 6))
    broken(history, "unexpected")


def test_a_call_for_a_message_that_matches_nothing_is_unexpected(history):
    history.calls.append(call("e", 6, cause="msg_000005"))
    broken(history, "unexpected")


def test_a_call_of_another_rules_operation_is_unexpected(history):
    history.calls.append(call("a", 2.5, "sequences"))
    broken(history, "unexpected")


def test_a_call_for_a_message_that_is_not_there_is_unexpected(history):
    history.sent.append(sent("attempt", "f", 6))
    history.calls.append(call("f", 6, cause="msg_000006"))
    broken(history, "unexpected")


def test_a_call_that_names_another_cause_is_unexpected(history):
    history.calls.insert(0, call("a", 1, cause="msg_000002"))
    assert verify(history).breaches["unexpected"] == 1


def test_a_run_of_a_rule_that_does_not_match_is_unexpected(history):
    history.runs.append(run(5, "one"))
    assert verify(history).breaches["unexpected"] == 1


def test_a_message_that_nobody_sent_is_unexpected(history):
    history.messages.append(stored(6, "f"))
    broken(history, "unexpected")


def test_a_repeat_with_another_key_is_found(history):
    history.calls[1] = replace(history.calls[1], key="another")
    broken(history, "other key")


def test_a_call_without_a_key_is_found(history):
    history.calls[4] = replace(history.calls[4], key="")
    broken(history, "other key")


def test_a_repeat_with_another_body_is_found(history):
    history.calls[1] = replace(history.calls[1], body="another")
    broken(history, "other body")


def test_a_call_without_an_attempt_is_found(history):
    del history.attempts[0]
    broken(history, "intent")


def test_two_calls_in_one_attempt_are_found(history):
    history.calls.append(call("b", 3.05, "confirmations", cause="msg_000002"))
    broken(history, "intent")


def test_an_attempt_of_another_step_is_no_intent(history):
    history.attempts[3] = replace(history.attempts[3], step=0)
    broken(history, "intent")


def test_queued_calls_out_of_the_order_of_acceptance_are_found(history):
    history.calls[4], history.calls[5] = (
        replace(history.calls[4], at=T + 5),
        replace(history.calls[5], at=T + 4),
    )
    history.attempts[4] = tried(3, "queued", 4.9, 5.1)
    history.attempts[5] = tried(4, "queued", 3.9, 4.1)
    history.runs[2] = run(3, "queued")
    broken(history, "order")


def test_queued_calls_that_overlap_are_found(history):
    history.calls.append(call("c", 5.5, "sequences", cause="msg_000003"))
    history.attempts.append(tried(3, "queued", 5.4, 5.6, count=2))
    history.runs[2] = run(3, "queued")
    broken(history, "order")


def test_a_number_older_than_the_message_is_found(history):
    history.sent[-3] = replace(history.sent[-3], given="msg_000000")
    history.messages[4] = replace(history.messages[4], number=0)
    broken(history, "order")


def test_an_end_that_changed_is_found(history):
    history.seen.append(run(2, "two", state=DEAD))
    broken(history, "ends")


def test_an_end_that_vanished_is_found(history):
    history.seen.append(run(5, "one"))
    broken(history, "ends")


def test_a_call_after_the_end_is_found(history):
    history.runs[0] = run(1, at=0.5)
    broken(history, "ends")


def test_a_run_after_a_delivered_one_is_found(history):
    history.runs.append(run(1, again=2))
    broken(history, "ends")


def test_a_gap_among_the_runs_is_found(history):
    history.seen = []
    history.runs[0] = run(1, again=2)
    broken(history, "ends")


@pytest.fixture
def refused(history) -> History:
    """A refused delivery, told, and retried by hand to its good end."""
    history.sent += [
        sent("attempt", "r", 6, kind="refused"),
        sent("ack", "r", 6.1, kind="refused", given="msg_000006"),
    ]
    history.messages.append(stored(6, "r"))
    history.messages.append(
        Stored(
            number=7,
            source="pointsman",
            id="t",
            type="pointsman.delivery.dead",
            body="",
            subject="msg_000006/refused/1",
        )
    )
    history.calls += [
        call("r", 7, "refusals", cause="msg_000006", does="422"),
        call("msg_000006/refused/1", 7.5, "notices", cause="msg_000007"),
        call("r", 8, "refusals", cause="msg_000006"),
    ]
    history.runs += [run(6, "refused", DEAD, at=7.2), run(6, "refused", again=2), run(7, "told")]
    history.attempts += [
        tried(6, "refused", 6.9, 7.1, outcome="refused"),
        replace(tried(6, "refused", 7.9, 8.1), run=2),
        tried(7, "told", 7.4, 7.6),
    ]
    return history


def test_a_death_that_is_told_and_mended_by_hand_is_clean(refused):
    assert verify(refused).clean, verify(refused).shown()
    assert verify(refused).counts["runs by hand"] == 1


def test_a_death_in_silence_is_found(refused):
    without_messages(refused, 7)
    refused.calls = [one for one in refused.calls if one.op != "notices"]
    broken(refused, "untold")


def test_a_death_that_nobody_refused_is_found(refused):
    refused.attempts[-3] = replace(refused.attempts[-3], outcome="retry")
    broken(refused, "ends")


def test_a_death_of_what_was_never_refused_is_found(history):
    history.runs[0] = run(1, state=DEAD)
    history.seen = []
    assert verify(history).breaches["ends"] == 2
    assert verify(history).breaches["untold"] == 1


def test_a_point_that_fired_too_seldom_is_found(history):
    assert merge([verify(history)], {"store.accept.before": 1, "random": 1}).clean
    whole = merge([verify(history)], {"store.accept.before": 2, "store.accept.inside": 1})
    assert dict(whole.breaches) == {"point": 2}


def test_troubles_are_breaches(history):
    history.troubles.append("process 1 ended by itself")
    broken(history, "trouble")


def test_the_sum_of_verdicts_is_as_bad_as_the_worst(history):
    good = verify(history)
    history.troubles.append("process 1 ended by itself")
    whole = merge([good, verify(history)])
    assert not whole.clean
    assert whole.counts["accepted"] == 10
    assert whole.kills["random"] == 2
