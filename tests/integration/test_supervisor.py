"""The supervisor keeps sources running over the real store, whatever they do, and never waits for them."""

import asyncio
import time

import pytest

from service.errors import Conflict, NotFound, Unavailable
from service.supervisor import supervised
from tests.fakes.sources import (
    BareConfig,
    BareSource,
    BlockingSource,
    FailingSource,
    entry,
)
from tests.integration.house import House, memory
from tests.patience import SLACK
from triggers.base import Progress
from triggers.errors import SourceGap, SourceRejected


async def test_a_source_brings_its_messages_into_the_store_and_says_so(house, broker):
    broker.append(*(entry(f"{n}") for n in range(250)), b"{bad")
    await house.use(orders=memory(broker, ordered=True))
    await house.until(lambda: broker.acknowledged == 251, "acknowledged")
    status = await house.state("orders", "running")
    assert (status.new, status.rejected, status.known) == (250, 1, 0)
    assert status.last_message_at > 0
    assert status.restarts == 0
    assert await house.stored() == 250
    assert (await house.room.store.positions(house.supervisor._numbers["orders"])) == {"next": b"251"}


async def test_a_source_whose_outside_is_away_is_started_again_until_it_is_back(house, broker):
    broker.stop()
    await house.use(orders=memory(broker))
    status = await house.state("orders", "waiting")
    assert "nothing answers" in status.last_error
    await house.until(lambda: house.supervisor.status("orders").restarts >= 3, "restarts")
    broker.start()
    broker.append(entry("a"))
    await house.until(lambda: broker.acknowledged == 1, "acknowledged")
    assert (await house.state("orders", "running")).retry_at == 0


async def test_nothing_is_acknowledged_while_the_store_refuses_and_nothing_is_lost(
    house, broker, monkeypatch
):
    from service.supervisor import emitting

    monkeypatch.setattr(emitting, "PATIENCE", 0.2)
    house.refusing = "the disk is nearly full"
    broker.append(entry("a"))
    await house.use(orders=memory(broker))
    await house.until(lambda: house.room.points.count("source.before_emit") >= 1, "an emit")
    assert broker.acknowledged == 0
    house.refusing = ""
    await house.until(lambda: broker.acknowledged == 1, "acknowledged")
    assert await house.stored() == 1


async def test_the_trouble_of_one_source_does_not_touch_another(house, broker):
    house.kinds["bare"] = lambda name, config: FailingSource(
        name, config, errors=[RuntimeError("broken inside")]
    )
    await house.use(bad=BareConfig(kind="bare"), orders=memory(broker))
    await house.until(lambda: house.supervisor.status("bad").restarts >= 2, "restarts")
    broker.append(entry("a"))
    await house.until(lambda: broker.acknowledged == 1, "acknowledged")
    assert house.supervisor.status("bad").last_error == "broken inside"


async def test_a_cancellation_of_a_library_is_a_failure_and_not_an_end(house):
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[asyncio.CancelledError()])
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: house.supervisor.status("odd").restarts >= 2, "restarts")


async def test_orders_and_questions_never_wait_for_a_source_that_blocks_for_ever(house):
    house.kinds["bare"] = BlockingSource
    await house.use(stuck=BareConfig(kind="bare"))
    await house.until(
        lambda: any(isinstance(one, BlockingSource) and one.running.is_set() for one in house.made), "run"
    )
    began = time.monotonic()
    house.supervisor.status("stuck")
    house.supervisor.restart("stuck")
    await house.supervisor.pause("stuck", "anna")
    await house.supervisor.resume("stuck")
    assert time.monotonic() - began < 1.0 + SLACK
    running = [one for one in house.made if one.name == "stuck" and one.running.is_set()]
    await house.until(
        lambda: len([one for one in house.made if one.running.is_set()]) > len(running), "its successor"
    )


async def test_what_a_run_that_was_told_to_end_still_brings_is_not_stored(house, broker):
    class Stubborn(BlockingSource):
        async def run(self, emit):
            self.emit = emit
            await super().run(emit)

    house.kinds["bare"] = Stubborn
    await house.use(old=BareConfig(kind="bare"))
    old = await house.until(lambda: next((one for one in house.made if one.running.is_set()), None), "run")
    house.supervisor.restart("old")
    with pytest.raises(Exception, match="has ended"):
        await old.emit([])


async def test_a_pause_outlives_the_process_and_takes_nothing(house, broker):
    await house.use(orders=memory(broker))
    await house.state("orders", "running")
    status = await house.supervisor.pause("orders", "anna")
    assert (status.state, status.paused_by) == ("paused", "anna")
    broker.append(entry("a"))
    with pytest.raises(Conflict, match="resume"):
        house.supervisor.restart("orders")
    again = House(house.room)
    await again.supervisor.restore()
    await again.use(orders=memory(broker))
    assert again.supervisor.status("orders").state == "paused"
    assert broker.acknowledged == 0
    await again.supervisor.resume("orders")
    await again.until(lambda: broker.acknowledged == 1, "acknowledged")
    await again.supervisor.close()


async def test_a_changed_source_begins_anew_and_an_unchanged_one_is_left_alone(house, broker):
    await house.use(a=memory(broker), b=memory(broker))
    await house.state("a", "running")
    await house.state("b", "running")
    sources = {one.name: one for one in house.made if one._context is not None}
    await house.use(a=memory(broker, batch=7), b=memory(broker))
    await house.until(
        lambda: any(one.name == "a" and one.config.batch == 7 and one._session for one in house.made), "new a"
    )
    assert sources["b"]._session is not None
    assert house.supervisor.status("b").restarts == 0
    await house.use(b=memory(broker))
    with pytest.raises(NotFound, match="no source a"):
        house.supervisor.status("a")


async def test_a_gap_stops_a_source_until_a_person_decides_and_is_told_once(house):
    gap = SourceGap("slot gone", fix="pointsman sources rewind db --to now", facts={"slot": "s"})
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[gap])
    await house.use(db=BareConfig(kind="bare"))
    status = await house.state("db", "gap")
    assert status.fix.endswith("--to now")
    house.supervisor.restart("db")
    await house.state("db", "gap")
    await house.until(lambda: len([one for one in house.made if getattr(one, "runs", 0)]) == 2, "second run")
    await house.told("pointsman.source.gap", 1)


async def test_a_refused_source_says_why_and_is_tried_again(house, monkeypatch):
    monkeypatch.setattr(supervised, "REFUSED_DELAY", 0.05)
    house.kinds["bare"] = lambda name, config: FailingSource(
        name, config, errors=[SourceRejected("no such topic")]
    )
    await house.use(db=BareConfig(kind="bare"))
    assert (await house.state("db", "refused")).detail == "no such topic"
    await house.until(lambda: house.supervisor.status("db").restarts >= 2, "tried again")
    await house.told("pointsman.source.refused", 1)


async def test_work_that_waits_while_the_position_stands_still_is_seen_and_told(house, broker):
    broker.freeze()
    broker.append(entry("a"))
    await house.use(orders=memory(broker))
    await house.until(lambda: house.supervisor.status("orders").stuck, "stuck")
    assert not house.supervisor.status("orders").healthy
    await house.until(lambda: house.supervisor.status("orders").restarts >= 1, "begun anew")
    await house.told("pointsman.source.stuck", 1)
    broker.freeze(frozen=False)
    await house.until(lambda: not house.supervisor.status("orders").stuck, "moves again")


async def test_a_source_without_pending_work_is_never_stuck(house):
    class Idle(BareSource):
        async def progress(self):
            return Progress(pending=0, position="7")

    house.kinds["bare"] = Idle
    await house.use(idle=BareConfig(kind="bare"))
    await asyncio.sleep(0.8)  # longer than a stall: nothing else can show that nothing happens
    assert not house.supervisor.status("idle").stuck


async def test_rewinding_changes_the_positions_of_the_next_run(house, broker):
    broker.append(*(entry(f"{n}") for n in range(10)))
    await house.use(orders=memory(broker, ordered=True))
    await house.until(lambda: broker.acknowledged == 10, "acknowledged")
    with pytest.raises(Conflict, match="earliest"):
        await house.supervisor.rewind("orders", "yesterday")
    assert house.supervisor.status("orders").restarts == 0
    broker.acknowledged = 0
    await house.supervisor.rewind("orders", "earliest")
    await house.until(lambda: house.supervisor.status("orders").new == 20, "brought again")


async def test_a_check_that_never_comes_back_is_given_up(house, monkeypatch):
    from service.supervisor import supervisor

    monkeypatch.setattr(supervisor, "WORK", 0.1)
    house.kinds["bare"] = BlockingSource
    await house.use(stuck=BareConfig(kind="bare"))
    with pytest.raises(Unavailable, match="no answer"):
        await house.supervisor.check("stuck")


async def test_a_warning_is_told_when_it_is_new_and_forgotten_when_it_is_over(house, broker):
    await house.use(orders=memory(broker))
    await house.state("orders", "running")
    running = next(one for one in house.made if one._session)
    running._context.report.warn("wal-budget", "2 GB held", "drop the slot")
    running._context.report.warn("wal-budget", "3 GB held", "drop the slot")
    (warned,) = house.supervisor.status("orders").warnings
    assert (warned.code, warned.message) == ("wal-budget", "3 GB held")
    running._context.report.clear("wal-budget")
    assert house.supervisor.status("orders").warnings == ()
    running._context.report.warn("lag", "1 GB behind", "wait")  # stored after the others, so they are, too
    await house.told("pointsman.source.warning", 2)  # one of wal-budget, one of lag
