"""The store in memory and the one on disk do the same, whatever happens in whatever order.

Random histories run on both; after each step everything that can be read must be equal. The SQLite store is
closed and opened in between.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.delivery import Event, State
from service.errors import ServiceError
from service.store.base import EntryBatch, NewRun, RunKey
from service.store.sqlite import SQLiteStore
from tests.contract.store_contract import Clock, accept_all, accept_batch, attempt, ended, entry, settle
from tests.fakes.memory_store import MemoryStore

KEYS = st.sampled_from([None, b"k", b"l"])
RUNS = st.builds(
    NewRun,
    rule=st.just(1),
    lane=st.integers(1, 2),
    mode=st.sampled_from(["parallel", "queued", "queued", "single", "restart"]),
    key=KEYS,
    state=st.sampled_from([State.PENDING, State.RUNNING, State.RUNNING, State.DEAD]),
)
SETTLING = st.sampled_from(
    [
        Event.SUCCEED,
        Event.SUCCEED,
        Event.FAIL,
        Event.RETRY,
        Event.ADVANCE,
        Event.HOLD,
        Event.GIVE_BACK,
        Event.EXPIRE,
    ]
)


class Agreement(RuleBasedStateMachine):
    """Both stores side by side, on one clock."""

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="agreement-"))
        self.clock = Clock()
        self.memory = MemoryStore(clock_ms=self.clock)
        self.disk = self.new_disk()
        self.both(lambda store: store.open())

    def new_disk(self):
        return SQLiteStore(
            self.directory, reached=lambda _point: None, clock_ms=self.clock, on_fatal=lambda error: None
        )

    def both(self, ask):
        """Do the same to both, which must answer the same, refusals included."""

        async def answer(store):
            try:
                return await ask(store)
            except ServiceError as error:
                return type(error).__name__, str(error)

        memory, disk = (self.loop.run_until_complete(answer(store)) for store in (self.memory, self.disk))
        assert memory == disk
        return memory

    def runs(self):
        return [
            RunKey(row["message"], row["rule"], row["run"])
            for row in self.loop.run_until_complete(self.memory.deliveries(limit=1000)).rows
        ]

    @rule(
        names=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=4),
        runs=st.lists(RUNS, max_size=1),
        body=st.sampled_from([b"1", b"1", b"2"]),
    )
    def accept(self, names, runs, body):
        entries = [entry(name, *runs, body=body, at=self.clock.now) for name in names]

        async def ask(store):
            return [
                str(one) if isinstance(one, Exception) else one for one in await accept_all(store, entries)
            ]

        self.both(ask)

    @rule(
        names=st.lists(st.sampled_from(["a", "b", None, None]), max_size=5),
        runs=st.lists(RUNS, max_size=1),
        position=st.sampled_from([None, b"1", b"2"]),
    )
    def accept_batch(self, names, runs, position):
        entries = [entry(name, *runs, at=self.clock.now) for name in names]
        batch = EntryBatch(source=1, entries=tuple(entries), positions={"p": position})

        async def ask(store):
            stored = await accept_batch(store, batch)
            return stored, await store.positions(1), await store.unfinished(1)

        self.both(ask)

    @rule(lane=st.integers(1, 2), count=st.integers(1, 4))
    def claim(self, lane, count):
        self.both(lambda store: store.claim({lane: count}, self.clock.now))

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), event=SETTLING, late=st.integers(0, 5), step=st.integers(0, 2))
    def settle(self, data, event, late, step):
        key = data.draw(st.sampled_from(self.runs()))
        number = self.loop.run_until_complete(self.memory.delivery(key))["attempts"]
        number = (number[-1]["number"] if number else 1) + (1 if late == 0 else 0)
        tried = None if event is Event.GIVE_BACK else attempt(number, digest=b"d%d" % number)
        settlement = ended(
            key, number, event, attempt=tried, step=step, due_at=self.clock.now + 20 if event is Event.RETRY else None,
            reason="why", answers=b"answers" if step else None, lane=2 if step == 2 else None,
        )  # fmt: skip
        self.both(lambda store: settle(store, settlement))

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), event=st.sampled_from([Event.RELEASE, Event.DISCARD, Event.EXPIRE, Event.HOLD]))
    def operate(self, data, event):
        keys = data.draw(st.lists(st.sampled_from(self.runs()), max_size=3))
        self.both(lambda store: store.release(event, keys, reason="by ada", now=self.clock.now))

    @precondition(lambda self: self.runs())
    @rule(data=st.data(), generation=st.sampled_from([None, None, 0, 1, 2]))
    def next_run(self, data, generation):
        key = data.draw(st.sampled_from(self.runs()))
        self.both(lambda store: store.next_run(key, generation=generation, now=self.clock.now, by="ada"))

    @rule(retention=st.sampled_from([30, 100, 1000]), identities=st.sampled_from([30, 100, 1000]))
    def sweep(self, retention, identities):
        now = self.clock.now
        self.both(lambda store: store.sweep(now, retention_ms=retention, identities_ms=identities))

    @rule(milliseconds=st.integers(1, 50))
    def wait(self, milliseconds):
        self.clock.now += milliseconds

    @rule()
    def restart(self):
        self.both(lambda store: store.close())
        self.disk = self.new_disk()
        self.both(lambda store: store.open())

    @invariant()
    def all_that_can_be_read_is_equal(self):
        self.both(lambda store: store.deliveries(limit=1000))
        self.both(lambda store: store.messages(limit=1000))
        self.both(lambda store: store.rejects(limit=1000))
        self.both(lambda store: store.counts())
        self.both(lambda store: store.next_due([1, 2]))
        assert self.memory.health().unfinished == self.disk.health().unfinished

    @invariant()
    def a_queued_key_has_one_at_work_and_never_stands_still(self):
        rows = [
            row for row in self.loop.run_until_complete(self.disk.deliveries(limit=1000)).rows
            if row["key"] is not None and not row["state"].ended
        ]  # fmt: skip
        for key in {row["key"] for row in rows}:
            mine = sorted(
                (row for row in rows if row["key"] == key), key=lambda row: (row["message"], row["run"])
            )
            at_work = [row for row in mine if row["due_at"] is not None or row["state"] is State.RUNNING]
            assert len([row for row in at_work if row["mode"] == "queued"]) <= 1
            assert at_work or mine[0]["state"] is State.HELD

    def teardown(self):
        if hasattr(self, "loop"):
            for key in self.runs():
                self.both(lambda store, key=key: store.delivery(key))
            self.both(lambda store: store.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.directory)


class TestAgreement(Agreement.TestCase):
    settings = settings(
        max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
