"""The judge on records made by hand: sound ones, and one for each way in which a source can break the promise."""

from dataclasses import replace

import pytest

from tests.crash.history import DELIVERED, Call, History, Run, Sent, Stored, Tried
from tests.crash.outside.judge import judge
from tests.crash.outside.records import Event, Published, Records, Rejected, Taken
from tests.crash.outside.room import STOCK

T = 1_800_000_000
"""When the records begin, in seconds."""

NAMES = {"log": ("0:{}", "forwarded"), "jobs": ("jobs-{}", "fetched"), "rows": ("orders-0-{}", "changed"), "box": ("box-{}", "boxed")}  # fmt: skip


def event(source: str, number: int, kind: str = "nothing", *, confirmed: bool = True) -> Event:
    name = NAMES[source][0].format(number)
    return Event(
        source=source, id=name, uid=f"u-{name}", kind=kind, body=f"body of {name}", at=T + number, confirmed=confirmed
    )  # fmt: skip


def taken(number: int, one: Event, **more: int) -> Taken:
    return Taken(
        number=number, source=one.source, id=one.id, type="any", message_id=one.id, body=one.body, **more
    )


def tick(number: int, second: int) -> Taken:
    name = f"clock/2027-01-15T08:00:{second:02}Z"
    return Taken(number=number, source="clock", id=name, type="schedule.tick", message_id=name, body="")


def read(number: int, row: int, snapshot: int = 1) -> Taken:
    return Taken(
        number=number, source="stock", id="row", type="postgres.read", message_id=f"x/{row}", body="", read=snapshot
    )  # fmt: skip


@pytest.fixture
def records() -> Records:
    """Two records of a partition, one forwarded; a message that calls; two changes of a commit; a snapshot; ticks."""
    forwarded, plain = event("log", 1, "forwarded"), event("log", 2)
    fetched, bad = event("jobs", 1, "fetched"), event("jobs", 2, "bad")
    first, second = event("rows", 1), event("rows", 2)
    doubtful = event("box", 1, confirmed=False)
    events = [forwarded, plain, fetched, bad, first, second, doubtful]
    stored = [
        taken(1, forwarded), taken(2, plain), taken(3, fetched), taken(4, first, lsn=9, index=0),
        taken(5, second, lsn=9, index=1), tick(6, 1), tick(7, 2),
    ]  # fmt: skip
    stored += [read(10 + row, row) for row in range(STOCK)]
    return Records(
        history=History(
            sent=[
                Sent(
                    event="attempt", at=one.at, id=one.id, source=one.source, intent="first", body=one.body,
                    kind=one.kind, uid=one.uid,
                )
                for one in events
            ],
            calls=[Call(at=T + 5, op="records", uid=fetched.uid, key="K", body="B", cause="msg_000003", does="ok")],
            messages=[
                Stored(number=one.number, source=one.source, id=one.id, type=one.type, body=one.body)
                for one in stored
                if one.source != "clock" and not one.read
            ],
            runs=[
                Run(message=1, rule="forwarded", run=1, state=DELIVERED, changed_at=(T + 9) * 1000),
                Run(message=3, rule="fetched", run=1, state=DELIVERED, changed_at=(T + 9) * 1000),
            ],
            attempts=[
                tried(1, "forwarded", 1), tried(1, "forwarded", 2),
                replace(tried(3, "fetched", 1), started_at=(T + 4) * 1000, ended_at=(T + 6) * 1000),
            ],
            rejects={},
        ),
        events={(one.source, one.id): one for one in events},
        taken=stored,
        rejected=[Rejected(source="jobs", reason="invalid-json", body=bad.body, id="")],
        published=[published(), published()],
        looks=[{"kafka": {"0": [2, 3]}, "postgres": {"rows": [9, 9]}, "rabbitmq": {"ready": 2, "owed": 1}}, {"kafka": None}],
        told=[("pointsman.source.snapshot-done", {"number": 1})],
    )  # fmt: skip


def tried(message: int, rule: str, number: int) -> Tried:
    return Tried(
        message=message, rule=rule, run=1, number=number, step=0, started_at=T * 1000, ended_at=T * 1000, outcome="ok"
    )  # fmt: skip


def published(**changes: str) -> Published:
    return replace(Published(rule="forwarded", key="K", cause="msg_000001", body="B", uid="u"), **changes)


def broken(records: Records, *kinds: str) -> None:
    verdict = judge(records)
    assert set(verdict.breaches) == set(kinds), verdict.shown()
    assert all(verdict.samples[kind] for kind in kinds)


def without(records: Records, number: int) -> None:
    records.taken = [one for one in records.taken if one.number != number]
    records.history.messages = [one for one in records.history.messages if one.number != number]


def test_sound_records_are_clean_and_counted(records):
    verdict = judge(records)
    assert verdict.clean, verdict.shown()
    counts = verdict.counts
    assert (counts["confirmed"], counts["published"], counts["published again"], counts["snapshots"]) == (
        6,
        2,
        1,
        1,
    )
    assert (counts["looks at kafka"], counts["from log"], counts["rejects"]) == (1, 2, 1)


@pytest.mark.parametrize("number", [2, 4])
def test_what_a_server_confirmed_and_is_not_there_is_lost(records, number):
    without(records, number)
    broken(records, "lost")


def test_what_a_server_left_in_doubt_may_be_there_or_not(records):
    records.taken.append(taken(90, records.events["box", "box-1"]))
    assert judge(records).clean


def test_a_message_stored_with_another_body_is_changed(records):
    records.taken[1] = replace(records.taken[1], body="another")
    broken(records, "changed")


def test_a_message_that_nobody_wrote_is_unexpected(records):
    records.history.messages.append(Stored(number=90, source="log", id="0:9", type="any", body="?"))
    broken(records, "unexpected")


def test_a_change_stored_twice_is_accepted_twice(records):
    records.history.messages.append(replace(records.history.messages[3], number=90))
    broken(records, "accepted twice")


def test_something_bad_without_its_reject_is_lost(records):
    records.rejected.clear()
    broken(records, "lost")


def test_a_reject_of_something_good_is_unexpected(records):
    records.rejected.append(Rejected(source="jobs", reason="invalid-json", body="body of jobs-1", id=""))
    broken(records, "unexpected")


def test_a_place_in_a_log_that_is_rejected_twice_is_accepted_twice(records):
    bad = event("log", 3, "bad")
    records.events = {**records.events, ("log", bad.id): bad}
    records.rejected += [Rejected(source="log", reason="invalid-json", body=bad.body, id=bad.id)] * 2
    broken(records, "accepted twice")


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 4)])
def test_what_is_stored_in_another_order_breaks_the_order(records, one, other):
    records.taken[one], records.taken[other] = records.taken[other], records.taken[one]
    broken(records, "order")


def test_commits_stored_in_another_order_break_the_order(records):
    records.taken[4] = replace(records.taken[4], lsn=8)
    broken(records, "order")


@pytest.mark.parametrize(
    "look",
    [
        {"kafka": {"0": [4, 3]}},
        {"postgres": {"rows": [10, 9]}},
        {"rabbitmq": {"ready": 0, "owed": 1}},
    ],
)
def test_a_position_beyond_the_store_is_ahead(records, look):
    records.looks.append(look)
    broken(records, "ahead")


def test_a_snapshot_that_is_done_without_a_row_has_lost_it(records):
    without(records, 10)
    broken(records, "lost")


def test_a_second_without_its_tick_is_lost(records):
    records.taken.append(tick(90, 4))
    broken(records, "lost")


def test_a_tick_that_is_there_twice_is_accepted_twice(records):
    records.taken.append(tick(90, 2))
    broken(records, "accepted twice")


def test_a_delivered_run_that_has_published_nothing_is_lost(records):
    records.published.clear()
    broken(records, "lost")


@pytest.mark.parametrize(("changes", "kind"), [({"key": "L"}, "other key"), ({"body": "C"}, "other body")])
def test_what_is_published_again_as_something_else_is_told(records, changes, kind):
    records.published[1] = published(**changes)
    broken(records, kind)


def test_more_published_than_attempts_has_no_intent(records):
    records.published.append(published())
    broken(records, "intent")


def test_what_is_published_without_a_run_is_unexpected(records):
    records.published.append(published(cause="msg_000002"))
    broken(records, "unexpected")


@pytest.mark.parametrize("kind", ["gap", "refused", "stuck"])
def test_a_source_that_declares_itself_lost_is_trouble(records, kind):
    records.told.append((f"pointsman.source.{kind}", {"source": "rows"}))
    broken(records, "trouble")
