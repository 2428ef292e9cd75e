"""What goes wrong around a supervised source loses nothing, repeats nothing and is shown as it is."""

import asyncio
import sqlite3
import time

import pytest
from structlog.testing import capture_logs

from service.errors import Conflict, Unavailable
from service.supervisor import supervised
from tests.fakes.sources import BareConfig, BareSource, BlockingSource, FailingSource, entry
from tests.integration.house import memory, slow_disk, under_way
from tests.patience import PATIENCE
from triggers.base import Progress, Reject
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.message import TriggerMessage


async def turns(count=30):
    """Let the loop go round: whatever does not wait for something outside happens meanwhile."""
    for _ in range(count):
        await asyncio.sleep(0.005)


def running(house, name="orders"):
    return [one for one in house.made if one.name == name and getattr(one, "_session", None)]


def message(token, **changes):
    fields = {"id": token, "source": "/sources/odd", "type": "t", "datacontenttype": "application/json"}
    return TriggerMessage(**{**fields, "format": "json", "data": b"{}", "meta": {}, **changes})


# -- one run after the other


@pytest.mark.parametrize("how", ["restart", "reload", "pause", "remove"])
async def test_a_run_begins_after_the_batch_of_the_one_before_is_stored(house, broker, how):
    await house.use(orders=memory(broker, ordered=True))
    await house.state("orders", "running")
    with slow_disk(house):
        await under_way(house, broker)
        supervisor = house.supervisor
        config = memory(broker, ordered=True)
        if how == "restart":
            supervisor.restart("orders")
        elif how == "reload":
            supervisor.use({"orders": memory(broker, ordered=True, batch=7)}, supervisor._numbers)
        elif how == "pause":
            pausing = asyncio.create_task(supervisor.pause("orders", "anna"))
            resuming = asyncio.create_task(supervisor.resume("orders"))
        else:
            numbers = dict(supervisor._numbers)
            supervisor.use({}, numbers)
            supervisor.use({"orders": config}, numbers)
        await turns()
    if how == "pause":
        await asyncio.gather(pausing, resuming)
    await house.until(lambda: broker.acknowledged == 10, "acknowledged")
    broker.append(entry("last"))
    await house.until(lambda: broker.acknowledged == 11, "acknowledged")
    assert await house.stored() == 11


async def test_a_rewind_is_not_undone_by_the_batch_that_was_on_its_way(house, broker):
    await house.use(orders=memory(broker, ordered=True))
    await house.state("orders", "running")
    with slow_disk(house):
        await under_way(house, broker)
        rewinding = asyncio.create_task(house.supervisor.rewind("orders", "earliest"))
        await turns()
        broker.acknowledged = 0
    await rewinding
    await house.until(lambda: broker.acknowledged == 10, "acknowledged")
    assert await house.stored() == 20  # all ten again, as was asked for


@pytest.mark.parametrize("order", ["restart", "reload", "resume", "rewind"])
async def test_nothing_starts_a_source_while_it_is_being_rewound(house, broker, order):
    broker.append(*(entry(f"{n}") for n in range(10)))
    await house.use(orders=memory(broker, ordered=True))
    await house.until(lambda: broker.acknowledged == 10, "acknowledged")
    supervisor, made = house.supervisor, len(house.made)
    with slow_disk(house):
        rewinding = asyncio.create_task(supervisor.rewind("orders", "earliest"))
        await turns()
        others = []
        if order == "restart":
            supervisor.restart("orders")
        elif order == "reload":
            supervisor.use({"orders": memory(broker, ordered=True, batch=7)}, supervisor._numbers)
        elif order == "resume":
            others = [
                asyncio.create_task(supervisor.pause("orders", "anna")),
                asyncio.create_task(supervisor.resume("orders")),
            ]
        else:
            with pytest.raises(Conflict, match="being rewound"):
                await supervisor.rewind("orders", "earliest")
        await turns()
        assert not [one for one in house.made[made:] if getattr(one, "_session", None)]
        broker.acknowledged = 0
    await asyncio.gather(rewinding, *others)
    await house.until(lambda: broker.acknowledged == 10, "brought again")
    assert await house.stored() == 20


async def test_a_closed_supervisor_starts_nothing(house, broker):
    await house.use(orders=memory(broker))
    await house.state("orders", "running")
    await house.supervisor.close()
    await house.use(orders=memory(broker, batch=7), more=memory(broker))
    await turns()
    assert not running(house)
    assert not running(house, "more")


async def test_a_source_that_drains_goes_on_draining_when_its_configuration_changes(house, broker):
    await house.use(orders=memory(broker))
    await house.supervisor.pause("orders", "anna", drain=True)
    await house.use(orders=memory(broker, batch=7))
    status = house.supervisor.status("orders")
    assert (status.state, status.detail, status.paused_by) == ("draining", "by anna", "anna")
    await house.supervisor.rewind("orders", "earliest")
    assert house.supervisor.status("orders").state == "draining"


async def test_a_pause_and_a_resume_end_as_the_last_of_them_says(house, broker):
    await house.use(orders=memory(broker))
    with slow_disk(house):
        orders = [
            asyncio.create_task(one)
            for one in (
                house.supervisor.pause("orders", "anna"),
                house.supervisor.resume("orders"),
                house.supervisor.pause("orders", "bert"),
            )
        ]
        await turns()
    await asyncio.gather(*orders)
    assert house.supervisor.status("orders").paused_by == "bert"
    assert list(await house.room.store.get("paused/source/")) == ["paused/source/orders"]


# -- how a source ends


async def test_a_library_that_gives_up_while_a_source_closes_does_not_end_it_for_good(house):
    class Odd(FailingSource):
        async def close(self):
            raise asyncio.CancelledError

    house.kinds["bare"] = Odd
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: house.supervisor.status("odd").restarts >= 2, "restarts")


async def test_a_library_that_gives_up_during_a_check_is_an_answer(house):
    class Odd(BareSource):
        async def check(self):
            raise asyncio.CancelledError

    house.kinds["bare"] = Odd
    await house.use(odd=BareConfig(kind="bare"))
    with pytest.raises(Conflict, match="gave up"):
        await house.supervisor.check("odd")


async def test_a_trouble_whose_facts_cannot_be_written_is_told_all_the_same(house):
    facts = {"slot": object(), "name": "\ud800"}
    gap = SourceGap("slot \udcff gone", fix="rewind", facts=facts)
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[gap])
    await house.use(db=BareConfig(kind="bare"))
    await house.state("db", "gap")
    await turns()
    await house.told("pointsman.source.gap", 1)


async def test_what_no_store_can_hold_becomes_a_reject_and_the_source_goes_on(house):
    class Odd(BareSource):
        async def run(self, emit):
            self.took = await emit(
                [
                    message("a"),
                    message("half \ud800", data=b"{}"),
                    message("long", meta={"number": 1 << 70}),
                    Reject(reason="odd", detail="half \ud800", data=b"1", meta={"half": "\ud800"}),
                    message("b"),
                ]
            )
            await asyncio.Event().wait()

    house.kinds["bare"] = Odd
    await house.use(odd=BareConfig(kind="bare"))
    odd = await house.until(lambda: next((one for one in house.made if hasattr(one, "took")), None), "stored")
    assert (odd.took.new, odd.took.rejected) == (2, 3)


# -- what is told


async def test_a_refusal_is_told_again_when_the_source_had_run_in_between(house, monkeypatch):
    monkeypatch.setattr(supervised, "REFUSED_DELAY", 0.02)
    monkeypatch.setattr(supervised, "PROVEN", 0.05)
    mended = []

    class Odd(BareSource):
        async def run(self, emit):
            if len(mended) == 1:
                mended.append(1)
                self.context.report.running()
                await asyncio.sleep(0.1)
            raise SourceRejected("no such topic")

    house.kinds["bare"] = Odd
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: house.supervisor.status("odd").restarts >= 3, "tried again")
    await house.told("pointsman.source.refused", 1)
    mended.append(1)
    restarts = house.supervisor.status("odd").restarts
    await house.until(lambda: house.supervisor.status("odd").restarts >= restarts + 3, "tried again")
    await house.told("pointsman.source.refused", 2)


async def test_a_warning_that_comes_and_goes_is_told_once(house, broker):
    await house.use(orders=memory(broker))
    await house.state("orders", "running")
    report = running(house)[0]._context.report
    with capture_logs() as lines:
        for _ in range(50):
            report.warn("flaps", "the clock is behind")
            report.clear("flaps")
    await turns()
    await house.told("pointsman.source.warning", 1)
    assert len(lines) <= 2


async def test_what_cannot_be_told_while_the_store_refuses_is_told_later_and_once(house, monkeypatch):
    monkeypatch.setattr(supervised, "REFUSED_DELAY", 0.01)
    writer = house.room.store._writer
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[SourceRejected("no")])
    writer._refusing = "the disk is full"
    numbers = {"odd": 1, "pointsman": 2}
    house.room.intake.use(house.room.intake.ruleset, numbers)
    house.supervisor.use({"odd": BareConfig(kind="bare")}, numbers)
    await house.until(lambda: house.supervisor.status("odd").restarts >= 5, "tried again")
    assert house.supervisor.untold == 1
    writer._refusing = ""
    await house.until(lambda: house.supervisor.untold == 0, "told")
    await turns()
    await house.told("pointsman.source.refused", 1)


async def test_what_the_disk_had_no_room_for_is_told_when_there_is_room(house, monkeypatch):
    def full(*_):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    gap = SourceGap("slot gone", fix="rewind")
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[gap])
    await house.use(other=BareConfig(kind="bare"))
    await house.state("other", "gap")
    await turns()
    with monkeypatch.context() as patch:
        patch.setattr("service.store.sqlite.group.accept", full)
        house.supervisor.tell("gap", "other", {"message": "more"}, told_as="other/gap/2")
        await house.until(lambda: house.room.store._writer.refusing, "a full disk")
    await house.until(lambda: not house.room.store._writer.refusing, "room again")
    await house.until(lambda: house.supervisor.untold == 0, "told")
    await turns()
    await house.told("pointsman.source.gap", 2)


# -- honest states


async def test_a_stuck_source_stays_red_through_its_new_beginnings_and_is_told_once(house, broker):
    broker.freeze()
    broker.append(entry("a"))
    await house.use(orders=memory(broker))
    await house.until(lambda: house.supervisor.status("orders").stuck, "stuck")
    await house.until(lambda: house.supervisor.status("orders").restarts >= 1, "begun anew")
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        assert house.supervisor.status("orders").stuck
        await asyncio.sleep(0.02)
    await house.told("pointsman.source.stuck", 1)
    broker.freeze(frozen=False)
    await house.until(lambda: not house.supervisor.status("orders").stuck, "moves again")


async def test_a_source_is_begun_anew_when_it_is_stuck_still_after_the_store_took_again(house, broker):
    broker.freeze()
    broker.append(entry("a"))
    house.refusing = "the store is behind"
    await house.use(orders=memory(broker))
    await house.until(lambda: house.supervisor.status("orders").stuck, "stuck")
    assert house.supervisor.status("orders").restarts == 0
    house.refusing = ""
    await house.until(lambda: house.supervisor.status("orders").restarts >= 1, "begun anew")


async def test_a_source_that_brings_what_is_new_is_not_stuck_although_its_position_stands(house):
    class Long(BareSource):
        """A transaction without an end."""

        async def run(self, emit):
            count = 0
            while True:
                count += 1
                await emit([message(f"{count}")])
                await asyncio.sleep(0.02)

        async def progress(self):
            return Progress(pending=1 << 30, unit="bytes", position="0/1")

    house.kinds["bare"] = Long
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: house.supervisor.status("odd").new >= 50, "a second of work")
    assert not house.supervisor.status("odd").stuck
    assert house.supervisor.status("odd").restarts == 0


async def test_a_snapshot_that_gets_on_is_not_stuck(house):
    class Long(BareSource):
        async def run(self, emit):
            for rows in range(1000):
                self.context.report.busy(f"snapshot: {rows} rows")
                await asyncio.sleep(0.02)

        async def progress(self):
            return Progress(pending=1, position="0/1")

    house.kinds["bare"] = Long
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: "50 rows" in house.supervisor.status("odd").detail, "a second of work")
    assert not house.supervisor.status("odd").stuck


async def test_a_source_that_does_not_get_connected_is_not_healthy_for_ever(house):
    house.kinds["bare"] = BareSource  # it never says that it runs
    await house.use(odd=BareConfig(kind="bare"))
    assert house.supervisor.status("odd").healthy
    await house.until(lambda: not house.supervisor.status("odd").healthy, "seen")
    (warned,) = house.supervisor.status("odd").warnings
    assert warned.code == "not-connected"


@pytest.mark.parametrize(
    "error", [SourceUnavailable("nobody answers"), RuntimeError("odd"), asyncio.CancelledError()]
)
async def test_a_progress_that_cannot_be_asked_becomes_a_warning_and_no_old_number_is_shown(house, error):
    class Odd(BareSource):
        fails = False

        async def run(self, emit):
            self.context.report.running()
            await asyncio.Event().wait()

        async def progress(self):
            if self.fails:
                raise error
            return Progress(pending=0, position="7")

    house.kinds["bare"] = Odd
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: house.supervisor.status("odd").pending == 0, "a look")
    with capture_logs() as lines:
        Odd.fails = True
        warned = await house.until(lambda: house.supervisor.status("odd").warnings, "a warning")
        await turns(60)
    assert warned[0].code == "progress-unknown"
    assert house.supervisor.status("odd").pending is None
    assert len([one for one in lines if one["log_level"] == "error"]) <= 1
    Odd.fails = False
    await house.until(lambda: not house.supervisor.status("odd").warnings, "over")


async def test_a_progress_that_hangs_is_not_asked_again_and_again(house, monkeypatch):
    from service.supervisor import watching

    monkeypatch.setattr(watching, "LOOK", 0.02)
    house.kinds["bare"] = BlockingSource
    await house.use(odd=BareConfig(kind="bare"))
    before = len(asyncio.all_tasks())
    await house.until(lambda: house.supervisor.status("odd").warnings, "a warning")
    assert len(asyncio.all_tasks()) <= before + 2
    for one in house.made:
        one.let_go.set()


async def test_a_source_is_asked_no_more_before_it_is_closed(house):
    """What `progress` opens while `close` lets go of everything would be nobody's."""
    told = []

    class Asked(BareSource):
        async def progress(self):
            told.append("asked")
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # as a driver that says goodbye
                told.append("left")
            return Progress()

        async def close(self):
            told.append("closed")

    house.kinds["bare"] = Asked
    await house.use(odd=BareConfig(kind="bare"))
    await house.until(lambda: told == ["asked"], "a look")
    house.supervisor.restart("odd")
    await house.until(lambda: len(told) >= 4, "a look at the next one")
    assert told == ["asked", "left", "closed", "asked"]


async def test_a_paused_source_shows_nothing_pending_from_before(house, broker):
    await house.use(orders=memory(broker))
    await house.until(lambda: house.supervisor.status("orders").pending == 0, "a look")
    status = await house.supervisor.pause("orders", "anna")
    assert status.pending is None


async def test_the_line_of_a_state_says_what_helps(house):
    gap = SourceGap("slot gone", fix="pointsman sources rewind db --to now")
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[gap])
    with capture_logs() as lines:
        await house.use(db=BareConfig(kind="bare"))
        await house.state("db", "gap")
    (line,) = [one for one in lines if one.get("state") == "gap"]
    assert line["fix"] == "pointsman sources rewind db --to now"
    assert line["log_level"] == "error"


async def test_an_outside_that_stays_away_is_logged_once(house):
    house.kinds["bare"] = lambda name, config: FailingSource(
        name, config, errors=[RuntimeError("broken inside")]
    )
    with capture_logs() as lines:
        await house.use(odd=BareConfig(kind="bare"))
        await house.until(lambda: house.supervisor.status("odd").restarts >= 5, "restarts")
    assert len([one for one in lines if one.get("source") == "odd"]) <= 4


async def test_no_password_of_a_url_is_shown(house):
    error = RuntimeError("cannot connect to amqp://anna:s3cret!x@broker:5672/")
    house.kinds["bare"] = lambda name, config: FailingSource(name, config, errors=[error])
    with capture_logs() as lines:
        await house.use(odd=BareConfig(kind="bare"))
        status = await house.state("odd", "waiting")
    assert "s3cret" not in repr(status)
    assert "s3cret" not in repr([one for one in lines if "exc_info" not in one])
    assert "broker:5672" in status.last_error


async def test_orders_to_a_store_that_has_closed_are_refused(house, broker):
    await house.use(orders=memory(broker))
    await house.supervisor.close()
    await house.room.store._writer.close()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(house.supervisor.pause("orders", "anna"), PATIENCE)
