"""What every store promises. A store's tests inherit `StoreContract` and say how one is made.

Times are plain milliseconds of a clock that the test moves by hand; nothing here sleeps.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from service.delivery import Event, State
from service.errors import Conflict, Invalid, NotFound, Unavailable
from service.store.base import (
    Attempt,
    Claimed,
    Entry,
    EntryBatch,
    Mode,
    NewRun,
    RejectEntry,
    RunKey,
    Settlement,
    Store,
    Stored,
)
from tests.patience import PATIENCE

T0 = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> int:
        return self.now


def identity(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def entry(
    name: str | None = None, *runs: NewRun, body: bytes = b"body", at: int = T0, **changed: Any
) -> Entry:
    values = {
        "source": 1, "received_at": at, "type": "com.example.order", "ruleset": 1, "runs": runs,
        "record": f"record of {name}".encode(), "identity": identity(name) if name else None, "body": body,
    }  # fmt: skip
    return Entry(**{**values, **changed})


def pending(rule: int = 1, lane: int = 1, mode: Mode = "parallel", key: bytes | None = None) -> NewRun:
    return NewRun(rule=rule, lane=lane, mode=mode, key=key)


def running(rule: int = 1, lane: int = 1, mode: Mode = "parallel", key: bytes | None = None) -> NewRun:
    return NewRun(rule=rule, lane=lane, mode=mode, key=key, state=State.RUNNING)


async def accept_all(store: Store, entries: Sequence[Entry | RejectEntry]) -> list[Stored | Exception]:
    """Have everything stored, as many callers at once would, and return what became of it in order."""
    if not entries:
        return []
    gathered: list[Stored | Exception] = []
    finished = asyncio.Event()

    def done(stored: Stored | Exception) -> None:
        gathered.append(stored)
        if len(gathered) == len(entries):
            finished.set()

    for one in entries:
        store.accept(one, done)
    await asyncio.wait_for(finished.wait(), PATIENCE)
    return gathered


async def accept_batch(store: Store, batch: EntryBatch) -> tuple[Stored, ...]:
    """Have a batch stored and return what became of its entries."""
    future: asyncio.Future[tuple[Stored, ...]] = asyncio.get_running_loop().create_future()

    def done(stored: tuple[Stored, ...] | Exception) -> None:
        if isinstance(stored, Exception):
            future.set_exception(stored)
        else:
            future.set_result(stored)

    store.accept_batch(batch, done)
    return await asyncio.wait_for(future, PATIENCE)


REJECT = RejectEntry(source=1, received_at=T0, reason="invalid-json", detail="at byte 1", data=b"{")


async def accept(store: Store, one: Entry | RejectEntry) -> Stored:
    (stored,) = await accept_all(store, [one])
    if isinstance(stored, Exception):
        raise stored
    return stored


async def settle(store: Store, settlement: Settlement) -> bool:
    applied: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    store.settle(settlement, applied.set_result)
    return await asyncio.wait_for(applied, PATIENCE)


def attempt(number: int = 1, outcome: str = "ok", **changed: Any) -> Attempt:
    values = {"number": number, "step": 0, "started_at": T0, "ended_at": T0 + 5, "outcome": outcome}
    return Attempt(**{**values, **changed})


def ended(key: RunKey, number: int = 1, event: Event = Event.SUCCEED, **changed: Any) -> Settlement:
    outcome = "ok" if event in (Event.SUCCEED, Event.ADVANCE) else "retry"
    return Settlement(
        **{"key": key, "number": number, "event": event, "attempt": attempt(number, outcome), **changed}
    )


async def claim_one(store: Store, now: int = T0, lane: int = 1) -> Claimed:
    (claimed,) = await store.claim({lane: 1}, now)
    return claimed


async def states(store: Store) -> list[State]:
    """Return the states of all runs, oldest first."""
    return [row["state"] for row in reversed((await store.deliveries(limit=1000)).rows)]


class StoreContract:
    """Inherit, and override the fixture `make`."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def make(self, clock: Clock) -> Callable[[], Store]:
        """Return what makes a store that is not open; made again, it has the same data."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, make: Callable[[], Store]) -> AsyncIterator[Store]:
        store = make()
        await store.open()
        yield store
        await store.close()

    # -- accept

    async def test_a_message_is_stored_with_everything_it_brought(self, store):
        stored = await accept(store, entry("a", pending(rule=7, lane=3)))
        assert (stored.verdict, stored.number, stored.states) == ("new", 1, (State.PENDING,))
        message = await store.message(1)
        assert message["record"] == b"record of a"
        assert (message["source"], message["type"], message["received_at"]) == (1, "com.example.order", T0)
        assert [(run["rule"], run["lane"], run["state"]) for run in message["runs"]] == [
            (7, 3, State.PENDING)
        ]

    async def test_done_is_called_on_a_later_turn_of_the_loop_and_in_order(self, store):
        seen = []
        for place in range(100):
            store.accept(entry(f"m{place}"), lambda stored, place=place: seen.append((place, stored.number)))
        assert seen == []
        await accept(store, entry("last"))
        assert seen == [(place, place + 1) for place in range(100)]

    async def test_a_callback_that_raises_takes_nothing_from_the_others(self, store):
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))

        def broken(_stored: object) -> None:
            raise ValueError("a caller's mistake")

        store.accept(entry("a"), broken)
        assert (await accept(store, entry("b"))).number == 2
        assert len(failures) == 1

    async def test_a_run_is_born_running_with_its_first_attempt_on_record(self, store):
        stored = await accept(store, entry("a", running()))
        assert stored.states == (State.RUNNING,)
        run = await store.delivery(RunKey(1, 1, 1))
        assert [(one["number"], one["outcome"], one["started_at"]) for one in run["attempts"]] == [
            (1, "", T0)
        ]
        assert await store.claim({1: 10}, T0 + 10**9) == []

    async def test_a_run_born_dead_keeps_its_reason_and_is_never_claimed(self, store):
        stored = await accept(
            store, entry("a", NewRun(rule=1, lane=1, state=State.DEAD, reason="key: no such field"))
        )
        assert stored.states == (State.DEAD,)
        assert (await store.delivery(RunKey(1, 1, 1)))["reason"] == "key: no such field"
        assert await store.claim({1: 10}, T0 + 10**9) == []

    async def test_a_repeat_is_accepted_again_without_effect(self, store):
        await accept(store, entry("a", pending()))
        again = await accept(store, entry("a", pending()))
        assert (again.verdict, again.number, again.states) == ("known", 1, ())
        assert len(await states(store)) == 1

    async def test_fifty_repeats_at_once_are_one_message(self, store):
        verdicts = await accept_all(store, [entry("a", running()) for _ in range(50)])
        assert [one.verdict for one in verdicts] == ["new"] + ["known"] * 49
        assert {one.number for one in verdicts} == {1}
        assert len(await states(store)) == 1

    async def test_the_same_id_with_another_body_is_kept_as_a_reject(self, store):
        first, second = await accept_all(store, [entry("a"), entry("a", pending(), body=b"another")])
        assert (first.verdict, second.verdict) == ("new", "conflict")
        reject = await store.reject(second.number)
        assert (reject["reason"], reject["data"]) == ("id-conflict", b"record of a")
        assert await states(store) == []

    async def test_a_message_without_identity_is_never_a_repeat(self, store):
        verdicts = await accept_all(store, [entry(None), entry(None)])
        assert [(one.verdict, one.number) for one in verdicts] == [("new", 1), ("new", 2)]

    async def test_one_bad_entry_among_five_hundred_fails_alone(self, store):
        entries = [entry(f"m{place}", pending()) for place in range(500)]
        entries[250] = entry("bad", pending(), type="lone \ud800 surrogate")
        entries[300] = entry("double", pending(rule=1), pending(rule=1))
        verdicts = await accept_all(store, entries)
        bad = [place for place, one in enumerate(verdicts) if isinstance(one, Exception)]
        assert bad == [250, 300]
        assert isinstance(verdicts[250], Invalid)
        good = [one.number for one in verdicts if isinstance(one, Stored)]
        assert len(set(good)) == 498
        assert good == sorted(good)
        assert store.health().unfinished == 498 == len(await states(store))

    async def test_a_batch_is_stored_in_order_with_its_positions(self, store):
        entries = (entry(None, pending()), REJECT, entry("b"), entry("b"), entry("b", body=b"other"))
        stored = await accept_batch(
            store, EntryBatch(source=1, entries=entries, positions={"t/0": b"5", "t/1": b"9"})
        )
        assert [one.verdict for one in stored] == ["new", "rejected", "new", "known", "conflict"]
        assert [one.number for one in stored] == [1, 1, 2, 2, 2]
        assert await store.positions(1) == {"t/0": b"5", "t/1": b"9"}
        assert await store.positions(2) == {}
        await accept_batch(store, EntryBatch(source=1, entries=(), positions={"t/0": None, "t/1": b"10"}))
        assert await store.positions(1) == {"t/1": b"10"}

    async def test_batches_and_single_entries_of_one_group_keep_their_order(self, store):
        told: list[object] = []
        many = EntryBatch(source=1, entries=tuple(entry(None) for _ in range(600)), positions={"a": b"1"})
        store.accept(entry("first"), lambda one: told.append(one.number))
        store.accept_batch(many, lambda stored: told.append(stored[-1].number))
        store.accept(entry("last"), lambda one: told.append(one.number))
        await accept(store, entry("behind all"))
        assert told == [1, 601, 602]

    async def test_a_bad_entry_of_a_batch_becomes_a_reject_and_the_position_moves(self, store):
        bad = entry(None, pending(), type="\ud800")
        batch = EntryBatch(
            source=1, entries=(entry(None, pending()), bad, entry(None, pending())), positions={"p": b"3"}
        )
        stored = await accept_batch(store, batch)
        assert [one.verdict for one in stored] == ["new", "rejected", "new"]
        assert await store.positions(1) == {"p": b"3"}
        kept = await store.reject(stored[1].number)
        assert (kept["reason"], kept["data"]) == ("bad-entry", b"record of None")
        assert (await store.counts())["pending"] == 2

    async def test_positions_outlive_a_restart_and_an_operator_changes_them(self, make):
        store = make()
        await store.open()
        await accept_batch(
            store, EntryBatch(source=3, entries=(entry("m"),), positions={"lsn": b"0/16", "part": b"1"})
        )
        await store.close()
        await store.open()
        assert await store.positions(3) == {"lsn": b"0/16", "part": b"1"}
        await store.set_positions(3, {"part": None, "from": b"now"})
        assert await store.positions(3) == {"lsn": b"0/16", "from": b"now"}
        await store.close()

    async def test_unfinished_runs_are_counted_by_source(self, store):
        await accept_all(
            store,
            [entry("a", pending(), running(rule=2)), entry("b", pending(), source=2), entry("c", source=2)],
        )
        assert (await store.unfinished(1), await store.unfinished(2), await store.unfinished(3)) == (2, 1, 0)
        assert await settle(store, ended(RunKey(1, 2, 1)))
        assert await store.unfinished(1) == 1

    async def test_a_reject_keeps_its_bytes(self, store):
        bytes_ = bytes(range(256))
        stored = await accept(
            store,
            RejectEntry(source=2, received_at=T0, reason="bad-json", detail="at 1", data=bytes_, meta=b"{}"),
        )
        assert (stored.verdict, stored.number) == ("rejected", 1)
        reject = await store.reject(1)
        assert (reject["data"], reject["reason"], reject["detail"], reject["bytes"]) == (
            bytes_, "bad-json", "at 1", 256,
        )  # fmt: skip

    # -- claim

    async def test_claims_give_the_longest_due_first_and_only_what_is_due(self, store):
        await accept_all(store, [entry("b", pending(), at=T0 + 20), entry("a", pending(), at=T0 + 10)])
        await accept(store, entry("later", pending(), at=T0 + 1000))
        assert await store.next_due([1]) == T0 + 10
        claimed = await store.claim({1: 10}, T0 + 100)
        assert [(one.key.message, one.number, one.record) for one in claimed] == [
            (2, 1, b"record of a"), (1, 1, b"record of b"),
        ]  # fmt: skip
        assert await store.next_due([1]) == T0 + 1000

    async def test_each_lane_gets_its_own_share(self, store):
        await accept_all(store, [entry(f"slow{n}", pending(lane=1)) for n in range(50)])
        await accept_all(store, [entry(f"quick{n}", pending(lane=2)) for n in range(5)])
        claimed = await store.claim({1: 3, 2: 3}, T0)
        assert sorted(one.lane for one in claimed) == [1, 1, 1, 2, 2, 2]
        assert await store.next_due([3]) is None
        assert {one.lane for one in await store.claim({2: 10, 3: 10}, T0)} == {2}

    async def test_two_claims_at_once_never_give_the_same_run(self, store):
        await accept_all(store, [entry(f"m{n}", pending()) for n in range(30)])
        claims = await asyncio.gather(*(store.claim({1: 10}, T0) for _ in range(5)))
        keys = [one.key for claimed in claims for one in claimed]
        assert len(keys) == len(set(keys)) == 30

    # -- settle

    async def test_success_ends_a_run_with_its_attempt(self, store):
        await accept(store, entry("a", running()))
        assert await settle(
            store, ended(RunKey(1, 1, 1), attempt=attempt(status=202, answer=b"kept", digest=b"d"))
        )
        run = await store.delivery(RunKey(1, 1, 1))
        assert run["state"] is State.DELIVERED
        assert [(one["number"], one["outcome"], one["status"], one["answer"]) for one in run["attempts"]] == [
            (1, "ok", 202, b"kept")
        ]
        assert store.health().unfinished == 0

    async def test_an_ended_run_never_changes(self, store, clock):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        assert await settle(store, ended(key))
        for event in (Event.SUCCEED, Event.FAIL, Event.RETRY, Event.HOLD, Event.ADVANCE):
            assert not await settle(store, ended(key, event=event))
        for event in (Event.RELEASE, Event.DISCARD, Event.EXPIRE, Event.HOLD):
            (answer,) = await store.release(event, [key], reason="x", now=clock())
            assert isinstance(answer, str)
        assert await states(store) == [State.DELIVERED]
        assert store.health().unfinished == 0

    async def test_a_settlement_of_another_attempt_is_recorded_but_not_applied(self, store):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        assert not await settle(store, ended(key, number=2, also=(entry("trouble"),)))
        run = await store.delivery(key)
        assert run["state"] is State.RUNNING
        with pytest.raises(NotFound):
            await store.message(2)
        assert await settle(store, ended(key, number=1))
        assert not await settle(store, ended(RunKey(99, 1, 1)))

    async def test_a_retry_is_claimed_again_when_due_and_knows_what_was_before(self, store, clock):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        failed = attempt(1, "retry", digest=b"first")
        assert await settle(
            store, ended(key, event=Event.RETRY, attempt=failed, due_at=T0 + 500, reason="503")
        )
        assert await store.claim({1: 1}, T0 + 499) == []
        assert await store.next_due([1]) == T0 + 500
        again = await claim_one(store, T0 + 500)
        assert (again.key, again.number, again.retried, again.digest) == (key, 2, 1, b"first")
        assert (again.first_at, again.started_at, again.interrupted) == (T0, T0 + 500, False)
        assert await settle(store, ended(key, 2, Event.FAIL, reason="given up"))
        run = await store.delivery(key)
        assert (run["state"], run["reason"], len(run["attempts"])) == (State.DEAD, "given up", 2)

    async def test_advancing_commits_the_answer_and_the_next_attempt(self, store, clock):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        clock.now = T0 + 50
        assert await settle(store, ended(key, event=Event.ADVANCE, step=1, answers=b"answer of step 0"))
        run = await store.delivery(key)
        assert [(one["number"], one["step"], one["outcome"]) for one in run["attempts"]] == [
            (1, 0, "ok"),
            (2, 1, ""),
        ]
        retry = ended(key, 2, Event.RETRY, step=1, due_at=T0 + 60, attempt=attempt(2, "retry", step=1))
        assert await settle(store, retry)
        again = await claim_one(store, T0 + 60)
        assert (again.step, again.number, again.retried, again.answers) == (1, 3, 1, b"answer of step 0")
        assert again.first_at == T0 + 50

    async def test_a_retry_may_move_to_another_step_and_lane(self, store):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        moved = ended(
            key, event=Event.RETRY, step=1, lane=2, due_at=T0, answers=b"so far", attempt=attempt(digest=b"d")
        )
        assert await settle(store, moved)
        assert await store.claim({1: 1}, T0) == []
        again = await claim_one(store, T0 + 70, lane=2)
        assert (again.step, again.retried, again.digest, again.first_at) == (1, 0, b"", T0 + 70)

    async def test_giving_back_takes_no_attempt(self, store):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        assert await settle(store, ended(key, event=Event.GIVE_BACK, attempt=None))
        assert (await store.delivery(key))["attempts"] == []
        again = await claim_one(store, T0 + 5)
        assert (again.number, again.retried, again.first_at) == (1, 0, T0 + 5)

    async def test_a_settlement_brings_its_messages_along(self, store):
        await accept(store, entry("a", running()))
        trouble = entry("dead", pending(rule=2))
        assert await settle(store, ended(RunKey(1, 1, 1), event=Event.FAIL, also=(trouble,)))
        assert (await store.message(2))["record"] == b"record of dead"
        assert (await claim_one(store)).key == RunKey(2, 2, 1)

    async def test_strange_text_in_a_settlement_does_not_lose_it(self, store):
        await accept(store, entry("a", running()))
        strange = ended(RunKey(1, 1, 1), event=Event.FAIL, reason="\ud800?", attempt=attempt(detail="\udfff"))
        if await settle(store, strange):
            assert await states(store) == [State.DEAD]

    async def test_a_settlement_says_only_what_can_follow_an_attempt(self, store):
        with pytest.raises(Conflict):
            store.settle(ended(RunKey(1, 1, 1), event=Event.START), lambda _applied: None)

    # -- modes by key

    async def test_queued_runs_of_a_key_come_one_after_the_other(self, store):
        run = running(mode="queued", key=b"k")
        verdicts = await accept_all(store, [entry(f"m{n}", run) for n in range(3)])
        assert [one.states[0] for one in verdicts] == [State.RUNNING, State.PENDING, State.PENDING]
        other = await accept(store, entry("other", running(mode="queued", key=b"other")))
        assert other.states == (State.RUNNING,)
        assert await store.claim({1: 10}, T0 + 10**9) == []
        for message in (1, 2):
            number = 1
            assert await settle(store, ended(RunKey(message, 1, 1), number))
            claimed = await claim_one(store, T0 + 10)
            assert (claimed.key, claimed.mode, claimed.run_key) == (RunKey(message + 1, 1, 1), "queued", b"k")

    async def test_a_queued_head_that_is_retried_or_held_keeps_blocking(self, store, clock):
        await accept_all(store, [entry(f"m{n}", running(mode="queued", key=b"k")) for n in range(2)])
        head = RunKey(1, 1, 1)
        assert await settle(store, ended(head, event=Event.RETRY, due_at=T0 + 100))
        assert await store.claim({1: 10}, T0 + 50) == []
        (claimed,) = await store.claim({1: 10}, T0 + 100)
        assert claimed.key == head
        assert await settle(store, ended(head, 2, Event.HOLD, reason="request changed"))
        assert await store.claim({1: 10}, T0 + 10**9) == []
        assert await store.release(Event.DISCARD, [head], reason="by ada", now=clock()) == [State.DISCARDED]
        assert (await claim_one(store, T0 + 10**9)).key == RunKey(2, 1, 1)

    async def test_a_queued_run_ended_in_the_middle_lets_nobody_past_the_head(self, store, clock):
        await accept_all(store, [entry(f"m{n}", running(mode="queued", key=b"k")) for n in range(3)])
        assert await store.release(Event.DISCARD, [RunKey(2, 1, 1)], reason="x", now=clock()) == [
            State.DISCARDED
        ]
        assert await store.claim({1: 10}, T0 + 10**9) == []
        assert await settle(store, ended(RunKey(1, 1, 1)))
        assert (await claim_one(store, T0 + 10**9)).key == RunKey(3, 1, 1)

    async def test_a_queued_run_behind_one_of_another_mode_goes_on_too(self, store, clock):
        """A rule's mode may change while runs of the old one are under way."""
        old = running(mode="single", key=b"k")
        new = running(mode="queued", key=b"k")
        await accept_all(store, [entry("a", old), entry("b", new), entry("c", new)])
        assert await settle(store, ended(RunKey(1, 1, 1), event=Event.HOLD))
        await store.release(Event.DISCARD, [RunKey(1, 1, 1)], reason="x", now=clock())
        assert (await claim_one(store)).key == RunKey(2, 1, 1)
        assert await settle(store, ended(RunKey(2, 1, 1)))
        assert (await claim_one(store)).key == RunKey(3, 1, 1)

    async def test_single_ends_the_newcomer(self, store):
        run = running(mode="single", key=b"k")
        first, second = await accept_all(store, [entry("a", run), entry("b", run)])
        assert (first.states, second.states) == ((State.RUNNING,), (State.SUPERSEDED,))
        assert store.health().unfinished == 1
        await settle(store, ended(RunKey(1, 1, 1)))
        assert (await accept(store, entry("c", run))).states == (State.RUNNING,)

    async def test_restart_ends_what_was_there_and_its_late_settlement_changes_nothing(self, store):
        run = running(mode="restart", key=b"k")
        verdicts = await accept_all(store, [entry("a", run), entry("b", run)])
        assert [one.states[0] for one in verdicts] == [State.RUNNING, State.RUNNING]
        assert await states(store) == [State.SUPERSEDED, State.RUNNING]
        assert not await settle(store, ended(RunKey(1, 1, 1)))
        old = await store.delivery(RunKey(1, 1, 1))
        assert (old["state"], [one["outcome"] for one in old["attempts"]]) == (State.SUPERSEDED, ["ok"])
        assert store.health().unfinished == 1

    async def test_keys_of_different_rules_are_different_keys(self, store):
        stored = await accept(
            store, entry("a", running(1, mode="single", key=b"k"), running(2, mode="single", key=b"k"))
        )
        assert stored.states == (State.RUNNING, State.RUNNING)

    # -- operators

    async def test_holding_and_releasing_counts_the_time_as_paused(self, store, clock):
        await accept(store, entry("a", pending()))
        key = RunKey(1, 1, 1)
        assert await store.release(Event.HOLD, [key], reason="rule: paused", now=T0) == [State.HELD]
        assert await store.claim({1: 1}, T0 + 10**9) == []
        assert await store.release(Event.RELEASE, [key], reason="", now=T0 + 700) == [State.PENDING]
        assert (await claim_one(store, T0 + 800)).paused_ms == 700

    async def test_a_refused_release_says_why_and_the_others_go_on(self, store, clock):
        await accept_all(store, [entry("a", running()), entry("b", pending())])
        answers = await store.release(
            Event.DISCARD, [RunKey(1, 1, 1), RunKey(2, 1, 1), RunKey(9, 9, 9)], reason="by ada", now=clock()
        )
        assert [isinstance(one, str) for one in answers] == [True, False, True]
        assert (await store.delivery(RunKey(2, 1, 1)))["reason"] == "by ada"

    async def test_an_operator_cannot_settle(self, store, clock):
        with pytest.raises(Conflict):
            await store.release(Event.SUCCEED, [], reason="", now=clock())

    async def test_a_waiting_run_can_be_tried_now(self, store, clock):
        await accept(store, entry("a", running()))
        assert await settle(store, ended(RunKey(1, 1, 1), event=Event.RETRY, due_at=T0 + 10**9))
        assert await store.release(Event.RELEASE, [RunKey(1, 1, 1)], reason="", now=T0 + 1) == [State.PENDING]
        assert (await claim_one(store, T0 + 1)).number == 2

    async def test_retry_by_hand_makes_the_next_run_at_the_step_that_failed(self, store, clock):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        await settle(store, ended(key, event=Event.ADVANCE, step=1, answers=b"so far"))
        await settle(store, ended(key, 2, Event.FAIL, attempt=attempt(2, "refused", step=1, digest=b"d")))
        made = await store.next_run(key, generation=None, now=T0 + 9, by="ada")
        assert made == RunKey(1, 1, 2)
        again = await claim_one(store, T0 + 9)
        assert (again.key, again.step, again.answers, again.digest) == (made, 1, b"so far", b"d")
        assert (again.number, again.generation, again.retried) == (1, 0, 0)
        assert (await store.delivery(key))["state"] is State.DEAD
        assert (await store.delivery(made))["made_by"] == "ada"
        with pytest.raises(Conflict):
            await store.next_run(key, generation=None, now=T0 + 9, by="ada")

    async def test_only_a_new_generation_performs_again_what_was_delivered(self, store):
        await accept(store, entry("a", running()))
        key = RunKey(1, 1, 1)
        await settle(store, ended(key))
        with pytest.raises(Conflict):
            await store.next_run(key, generation=None, now=T0, by="ada")
        made = await store.next_run(key, generation=1, now=T0, by="ada")
        again = await claim_one(store)
        assert (again.key, again.generation, again.step, again.digest) == (made, 1, 0, b"")
        with pytest.raises(NotFound):
            await store.next_run(RunKey(1, 2, 1), generation=None, now=T0, by="ada")
        with pytest.raises(NotFound):
            await store.next_run(RunKey(1, 1, 5), generation=None, now=T0, by="ada")

    async def test_retry_by_hand_of_a_queued_run_waits_for_its_key(self, store):
        run = running(mode="queued", key=b"k")
        await accept_all(store, [entry("a", run), entry("b", run)])
        await settle(store, ended(RunKey(1, 1, 1), event=Event.FAIL))
        assert (await claim_one(store)).key == RunKey(2, 1, 1)
        await store.next_run(RunKey(1, 1, 1), generation=None, now=T0, by="ada")
        assert await store.claim({1: 10}, T0 + 10**9) == []
        await settle(store, ended(RunKey(2, 1, 1)))
        assert (await claim_one(store, T0 + 10**9)).key == RunKey(1, 1, 2)

    async def test_retry_by_hand_does_not_displace_a_single_run(self, store):
        run = running(mode="single", key=b"k")
        await accept_all(store, [entry("a", run), entry("b", run)])
        with pytest.raises(Conflict):
            await store.next_run(RunKey(2, 1, 1), generation=None, now=T0, by="ada")

    # -- starting again

    async def test_leftovers_of_a_dead_process_become_due_and_say_so(self, make, clock):
        store = make()
        await store.open()
        await accept(store, entry("a", running()))
        epoch = store.epoch
        await store.close()
        clock.now = T0 + 100
        store = make()
        await store.open()
        assert store.epoch > epoch
        key = RunKey(1, 1, 1)
        left = await store.delivery(key)
        assert left["state"] is State.PENDING
        assert [(one["number"], one["outcome"], one["detail"]) for one in left["attempts"]] == [
            (1, "unknown", "the process ended during the call")
        ]
        again = await claim_one(store, T0 + 100)
        assert (again.number, again.interrupted, again.retried, again.first_at) == (2, True, 1, T0)
        assert await settle(store, ended(key, 2, Event.GIVE_BACK, attempt=None))
        assert (await claim_one(store, T0 + 100)).interrupted
        assert await settle(store, ended(key, 2, Event.RETRY, due_at=T0 + 200))
        assert not (await claim_one(store, T0 + 200)).interrupted
        await store.close()

    async def test_everything_outlives_a_restart(self, make):
        store = make()
        await store.open()
        await accept_all(store, [entry("a", pending()), entry("b", pending(mode="queued", key=b"k"))])
        await store.put("rule/7", b"paused")
        lane = await store.number("lane", "shop")
        await store.close()
        store = make()
        await store.open()
        assert (await accept(store, entry("a"))).verdict == "known"
        assert (await accept(store, entry("c", pending(mode="queued", key=b"k")))).number == 3
        assert await store.get("rule/") == {"rule/7": b"paused"}
        assert await store.number("lane", "shop") == lane
        assert [one.key.message for one in await store.claim({1: 10}, T0 + 10**9)] == [1, 2]
        assert store.health().unfinished == 3
        await store.close()

    async def test_close_is_harmless_twice_and_before_open(self, make):
        store = make()
        await store.close()
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(Unavailable):
            store.accept(entry("a"), lambda _stored: None)

    async def test_what_waits_at_close_is_stored(self, make):
        store = make()
        await store.open()
        verdicts = []
        store.accept(entry("a"), verdicts.append)
        await store.close()
        assert [one.verdict for one in verdicts] == ["new"]

    # -- retention

    async def test_retention_takes_what_is_old_and_finished_and_nothing_else(self, store, clock):
        await accept_all(
            store,
            [entry("done", running()), entry("open", pending()), entry("plain"), entry("fresh", at=T0 + 900)],
        )
        await accept(store, RejectEntry(source=1, received_at=T0, reason="r", detail="", data=b"x"))
        await settle(store, ended(RunKey(1, 1, 1)))
        deleted = await store.sweep(T0 + 1000, retention_ms=500, identities_ms=10**9)
        assert deleted == 3
        assert [row["number"] for row in (await store.messages()).rows] == [4, 2]
        assert (await store.rejects()).rows == ()
        for number in (1, 3):
            with pytest.raises(NotFound):
                await store.message(number)
        assert (await accept(store, entry("done"))).verdict == "known"
        assert await store.sweep(T0 + 1000, retention_ms=500, identities_ms=10**9) == 0

    async def test_a_run_that_ended_lately_keeps_its_message(self, store, clock):
        await accept(store, entry("a", running()))
        clock.now = T0 + 900
        await settle(store, ended(RunKey(1, 1, 1)))
        assert await store.sweep(T0 + 1000, retention_ms=500, identities_ms=10**9) == 0
        assert await store.sweep(T0 + 1500, retention_ms=500, identities_ms=10**9) == 1

    async def test_identities_go_after_their_own_time(self, store):
        await accept(store, entry("a"))
        assert await store.sweep(T0 + 1000, retention_ms=10**9, identities_ms=500) == 1
        assert (await accept(store, entry("a"))).verdict == "new"

    async def test_retention_goes_on_from_bite_to_bite(self, store):
        await accept_all(store, [entry(f"m{n}", *([pending()] if n % 10 == 0 else [])) for n in range(300)])
        deleted = 0
        for _ in range(20):
            deleted += await store.sweep(T0 + 10**6, retention_ms=10, identities_ms=10**9, bite=50)
        assert deleted == 270
        assert len((await store.messages(limit=1000)).rows) == 30

    async def test_numbers_are_not_given_again_after_retention(self, make):
        store = make()
        await store.open()
        await accept(store, entry("a"))
        await accept(store, RejectEntry(source=1, received_at=T0, reason="r", detail="", data=b"x"))
        await store.sweep(T0 + 1000, retention_ms=10, identities_ms=10)
        await store.close()
        store = make()
        await store.open()
        assert (await accept(store, entry("b"))).number == 2
        assert (
            await accept(store, RejectEntry(source=1, received_at=T0, reason="r", detail="", data=b""))
        ).number == 2
        await store.close()

    # -- configuration

    async def test_names_get_numbers_at_first_sight_and_keep_them(self, store):
        assert [await store.number("rule", name) for name in ("a", "b", "a")] == [1, 2, 1]
        assert await store.number("source", "a") == 1
        assert await store.names("rule") == {1: "a", 2: "b"}

    async def test_a_renamed_rule_keeps_its_number_and_the_old_name_gets_a_new_one(self, store):
        assert await store.number("rule", "old") == 1
        assert await store.number("rule", "new", was="old") == 1
        assert await store.number("rule", "new", was="old") == 1
        assert await store.number("rule", "old") == 2
        assert await store.number("rule", "fresh", was="never was") == 3
        assert await store.names("rule") == {1: "new", 2: "old", 3: "fresh"}

    async def test_the_same_ruleset_keeps_its_number(self, store):
        files = {"shop": b"openapi: 3.1.0", "mail": b"{}"}
        assert await store.put_ruleset(b"doc", files) == 1
        assert await store.put_ruleset(b"doc", dict(reversed(files.items()))) == 1
        assert await store.put_ruleset(b"doc", {**files, "mail": b"{ }"}) == 2
        assert await store.put_ruleset(b"other", files) == 3
        assert await store.get_ruleset(1) == (b"doc", files)
        with pytest.raises(NotFound):
            await store.get_ruleset(9)

    async def test_values_are_kept_replaced_and_forgotten(self, store):
        await store.put("held/shop", b"1")
        await store.put("held/mail", b"2")
        await store.put("other", b"3")
        await store.put("held/mail", b"4")
        assert await store.get("held/") == {"held/shop": b"1", "held/mail": b"4"}
        await store.put("held/shop", None)
        assert await store.get("held/") == {"held/mail": b"4"}

    async def test_beating_is_all_that_a_lone_epoch_does(self, store, clock):
        await store.beat(clock())

    # -- readers

    async def test_pages_are_newest_first_and_meet_without_gap(self, store):
        await accept_all(store, [entry(f"m{n}", pending(1), pending(2), source=n % 2) for n in range(25)])
        for read, count in ((store.messages, 25), (store.deliveries, 50)):
            seen, cursor = [], ""
            while True:
                page = await read(cursor=cursor, limit=7)
                assert len(page.rows) <= 7
                seen += page.rows
                cursor = page.next
                if not cursor:
                    break
            assert len(seen) == count
            places = [(row.get("message", row.get("number")), row.get("rule")) for row in seen]
            assert places == sorted(places, reverse=True)
            assert len(set(places)) == count

    async def test_messages_are_filtered_by_source_and_type(self, store):
        await accept_all(
            store, [entry("a", source=1), entry("b", source=2, type="t"), entry("c", pending(), source=2)]
        )
        assert [row["number"] for row in (await store.messages(source=2)).rows] == [3, 2]
        (row,) = (await store.messages(source=2, of_type="com.example.order")).rows
        assert (row["runs"], row["bytes"]) == ({"pending": 1}, len(b"record of c"))

    async def test_deliveries_are_filtered_by_state_rule_lane_and_message(self, store):
        await accept_all(
            store,
            [
                entry("a", running(1, 1), pending(2, 2)),
                entry("b", pending(1, 1), NewRun(rule=3, lane=3, state=State.DEAD, reason="r")),
            ],
        )

        async def found(**wanted: Any) -> list[tuple[int, int]]:
            return [(row["message"], row["rule"]) for row in (await store.deliveries(**wanted)).rows]

        assert await found() == [(2, 3), (2, 1), (1, 2), (1, 1)]
        assert await found(states=[State.PENDING]) == [(2, 1), (1, 2)]
        assert await found(states=[State.DEAD]) == [(2, 3)]
        assert await found(states=[State.DEAD, State.RUNNING]) == [(2, 3), (1, 1)]
        assert await found(rule=1) == [(2, 1), (1, 1)]
        assert await found(lane=2, states=[State.PENDING]) == [(1, 2)]
        assert await found(message=1) == [(1, 2), (1, 1)]
        assert await found(message=1, states=[State.PENDING, State.HELD]) == [(1, 2)]

    async def test_counts_are_by_state_and_by_lane(self, store):
        await accept_all(store, [entry("a", running(1, 1), pending(2, 2)), entry("b", pending(1, 1))])
        counts = await store.counts()
        assert (counts["pending"], counts["running"], counts["waiting"]) == (2, 1, 0)
        assert (counts["1/running"], counts["2/pending"]) == (1, 1)

    async def test_what_is_not_there_is_named(self, store):
        with pytest.raises(NotFound, match="msg_"):
            await store.message(77)
        with pytest.raises(NotFound, match="rej_"):
            await store.reject(77)
        with pytest.raises(NotFound, match="dlv_"):
            await store.delivery(RunKey(77, 1, 1))

    async def test_a_bad_cursor_is_refused(self, store):
        for read in (store.messages, store.rejects, store.deliveries):
            with pytest.raises(Invalid):
                await read(cursor="x; drop table")

    async def test_health_says_that_it_takes_messages(self, store):
        await accept(store, entry("a", pending()))
        health = store.health()
        assert (health.writable, health.unfinished, health.waiting, health.queue_age_ms) == (True, 1, 0, 0)
        assert health.groups >= 1
