"""Sources over the API: how they are, and what is done with them, whatever state they are in."""

import asyncio
import time
import uuid
from typing import ClassVar

import pytest
import structlog

from tests.fakes.sources import BlockingSource, MemoryBroker, MemorySource, entry
from tests.patience import PATIENCE, SLACK
from tests.unit.api.house import CONFIGURATION, house, write
from tests.unit.api.test_health import figures
from triggers import SOURCES
from triggers.base import SetupStep
from triggers.errors import SourceGap, SourceRejected


class Slotted(MemorySource):
    """A memory source that needs something outside, and whose trouble is the test's to choose."""

    made: ClassVar[list[str]] = []
    error: Exception | None = None

    async def setup(self, *, apply):
        if apply and "slot" not in self.made:
            self.made.append("slot")
        return [SetupStep(what="a slot", statement="CREATE SLOT", done="slot" in self.made)]

    async def teardown(self, *, apply):
        if apply:
            self.made.clear()
        return [SetupStep(what="a slot", statement="DROP SLOT", done=not self.made)]

    async def run(self, emit):
        if self.error is not None:
            raise self.error
        await super().run(emit)


@pytest.fixture
def broker():
    with MemoryBroker(uuid.uuid4().hex).reachable() as made:
        yield made


@pytest.fixture
async def at(tmp_path, monkeypatch, broker):
    """A house with a source in memory, one that blocks for ever, and the two webhooks."""
    monkeypatch.setitem(SOURCES, "memory", "tests.unit.api.test_sources:Slotted")
    monkeypatch.setitem(SOURCES, "blocking", "tests.fakes.sources:BlockingSource")
    monkeypatch.setattr(Slotted, "made", [])
    monkeypatch.setattr(Slotted, "error", None)
    async with house(tmp_path) as home:
        home.service.supervisor.grace = 0.05
        sources = {
            **CONFIGURATION["sources"],
            "orders": {"kind": "memory", "broker": broker.name, "ordered": True},
            "stuck": {"kind": "blocking"},
        }
        write(tmp_path, {**CONFIGURATION, "sources": sources})
        await home.service.reload()
        watching = asyncio.create_task(home.service.supervisor.watch())
        yield home
        watching.cancel()
        BlockingSource.release()
        await home.service.supervisor.close()


async def state(at, name="orders"):
    return (await at.get(f"/api/v1/sources/{name}"))["state"]


async def until(at, wanted, name="orders"):
    deadline = time.monotonic() + PATIENCE
    while (seen := await state(at, name)) != wanted:
        assert time.monotonic() < deadline, f"still {seen}"
        await asyncio.sleep(0.005)


async def stored(at, count):
    deadline = time.monotonic() + PATIENCE
    while len((await at.get("/api/v1/messages", source="orders"))["items"]) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def post(at, path, role="operator", **more):
    answer = await at.ask("POST", f"/api/v1/sources/{path}", role, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_source_is_listed_with_its_state(at, broker):
    broker.append(entry("a"), b"no json", entry("b"))
    await stored(at, 2)
    await until(at, "running")
    items = {one["name"]: one for one in (await at.get("/api/v1/sources"))["items"]}
    assert set(items) == {"open", "signed", "orders", "stuck"}
    assert items["open"]["path"] == "/hooks/open"
    orders = items["orders"]
    assert (orders["kind"], orders["path"], orders["stuck"]) == ("memory", None, False)
    assert orders["detail"] == f"connected to {broker.name}"
    assert orders["counts"]["new"] == 2
    assert orders["counts"]["rejected"] == 1
    assert orders["last_message_at"].endswith("Z")
    assert orders["last_error_at"] is None


async def test_one_source_shows_how_much_is_unfinished(at, broker):
    shown = await at.get("/api/v1/sources/orders")
    assert shown["unfinished"] == 0
    answer = await at.ask("GET", "/api/v1/sources/ordrs")
    assert answer.status_code == 404
    assert "did you mean orders?" in answer.json()["detail"]


async def test_a_paused_source_takes_nothing_until_it_is_resumed(at, broker):
    await until(at, "running")
    assert (await post(at, "orders/pause"))["state"] == "paused"
    broker.append(entry("a"))
    assert (await at.get("/api/v1/sources/orders"))["paused_by"] == "operator"
    assert broker.acknowledged == 0
    answer = await at.ask("POST", "/api/v1/sources/orders/restart", "operator")
    assert answer.status_code == 409
    assert "resume" in answer.json()["detail"]
    await post(at, "orders/resume")
    await stored(at, 1)


async def test_a_drained_source_says_how_much_is_under_way(at, broker):
    shop = next(one for one in at.service.dispatch.connections() if one.name == "shop")
    shop.hold("401", now=1e12, wall=0.0)
    await until(at, "running")
    broker.append(b'{"n": "x"}')
    await stored(at, 1)
    shown = await post(at, "orders/drain")
    assert shown["state"] == "draining"
    listed = next(one for one in (await at.get("/api/v1/sources"))["items"] if one["name"] == "orders")
    assert listed["unfinished"] == shown["unfinished"]


async def test_all_sources_are_ordered_about_and_one_that_refuses_is_named(at):
    await until(at, "running")
    await post(at, "orders/pause")
    page = await post(at, "restart")
    refused = {one["name"]: one.get("error", "") for one in page["items"]}
    assert "paused by operator" in refused["orders"]
    assert refused["open"] == ""
    page = await post(at, "resume")
    assert not any("error" in one for one in page["items"])


async def test_a_source_begins_elsewhere_and_says_what_is_possible(at, broker):
    broker.append(entry("a"))
    await stored(at, 1)
    answer = await at.ask("POST", "/api/v1/sources/orders/rewind", "admin", json={"to": "tomorrow"})
    assert answer.status_code == 409
    assert "earliest" in answer.json()["detail"]
    assert (await at.ask("POST", "/api/v1/sources/orders/rewind", "admin", json={})).status_code == 422
    await post(at, "orders/rewind", "admin", json={"to": "earliest"})
    await until(at, "running")


async def test_setting_up_shows_first_and_changes_only_for_an_admin(at):
    shown = await post(at, "orders/setup")
    assert shown["applied"] is False
    assert shown["steps"] == [
        {"what": "a slot", "statement": "CREATE SLOT", "done": False, "problem": "", "fix": ""}
    ]
    assert Slotted.made == []
    answer = await at.ask("POST", "/api/v1/sources/orders/setup", "operator", json={"apply": True})
    assert answer.status_code == 403
    assert Slotted.made == []
    done = await post(at, "orders/setup", "admin", json={"apply": True})
    assert (done["applied"], done["steps"][0]["done"]) == (True, True)


async def test_a_source_that_runs_is_not_torn_down(at):
    Slotted.made.append("slot")
    await until(at, "running")
    answer = await at.ask("POST", "/api/v1/sources/orders/teardown", "admin", json={"apply": True})
    assert answer.status_code == 409
    assert "pause it first" in answer.json()["detail"]
    assert (await post(at, "orders/teardown"))["steps"][0]["done"] is False
    await post(at, "orders/pause")
    assert (await post(at, "orders/teardown", "admin", json={"apply": True}))["steps"][0]["done"] is True
    assert Slotted.made == []


async def test_a_check_proves_access(at, broker):
    assert await post(at, "orders/check") == {"name": "orders", "findings": []}
    broker.stop()
    (finding,) = (await post(at, "orders/check"))["findings"]
    assert (finding["severity"], finding["code"]) == ("error", "unreachable")


@pytest.mark.parametrize(
    ("error", "wanted", "fix"),
    [
        (SourceGap("the slot is gone", fix="rewind to snapshot"), "gap", "rewind to snapshot"),
        (SourceRejected("no right to read"), "refused", "pointsman sources check orders"),
        (ZeroDivisionError("a fault of ours"), "waiting", ""),
    ],
)
async def test_a_source_in_trouble_says_so_and_touches_no_other(at, broker, error, wanted, fix):
    await until(at, "running")
    Slotted.error = error
    await post(at, "orders/restart")
    await until(at, wanted)
    shown = await at.get("/api/v1/sources/orders")
    assert str(error) in shown["last_error"]
    assert shown["fix"] == fix
    assert await state(at, "open") == "running"
    assert (await at.ask("GET", "/health/ready", None)).status_code == 200
    assert (await at.get("/api/v1/health"))["status"] == "degraded"
    rows = (await at.get("/api/v1/health"))["sources"]
    assert rows["orders"]["state"] == wanted
    Slotted.error = None
    await post(at, "orders/restart")
    await until(at, "running")


async def test_readiness_shows_every_source_to_whom_it_knows(at):
    await until(at, "running")
    said = (await at.ask("GET", "/health/ready", "reader")).json()
    assert said["status"] == "ready"
    assert said["sources"]["orders"]["state"] == "running"
    assert "sources" not in (await at.ask("GET", "/health/ready", None)).json()


async def test_no_management_call_waits_for_a_source_that_blocks(at):
    """F14: each answers within a second, also while the source lets nobody end it."""
    await asyncio.wait_for(BlockingSource.made[-1].running.wait(), PATIENCE)
    calls = [
        ("GET", "/api/v1/sources"), ("GET", "/api/v1/sources/stuck"), ("POST", "/api/v1/sources/stuck/restart"),
        ("GET", "/health/ready"), ("GET", "/api/v1/health"), ("GET", "/metrics"),
        ("POST", "/api/v1/sources/stuck/pause"), ("POST", "/api/v1/sources/stuck/resume"),
        ("POST", "/api/v1/sources/stuck/drain"), ("POST", "/api/v1/sources/restart"),
    ]  # fmt: skip
    for method, path in calls:
        began = time.monotonic()
        answer = await at.ask(method, path)
        assert answer.status_code == 200, (path, answer.text)
        assert time.monotonic() - began < 1.0 + SLACK, path


async def test_a_check_of_a_source_that_blocks_is_given_up(at, monkeypatch):
    monkeypatch.setattr("service.supervisor.supervisor.WORK", 0.05)
    answer = await at.ask("POST", "/api/v1/sources/stuck/check")
    assert answer.status_code == 503
    assert "gave no answer" in answer.json()["detail"]


async def test_the_metrics_say_how_sources_are(at, broker):
    await until(at, "running")
    await post(at, "orders/restart")
    await until(at, "running")
    broker.freeze()
    broker.append(entry("a"))
    supervised = at.service.supervisor._sources["orders"]
    deadline = time.monotonic() + PATIENCE
    while not supervised.standing.progress.pending:
        assert time.monotonic() < deadline
        at.service.supervisor._watching.look(supervised)
        await asyncio.sleep(0.005)
    found = figures(await at.ask("GET", "/metrics"))
    assert found["pointsman_source_state"]["orders", "running"] == 1
    assert found["pointsman_source_pending"]["orders", "messages"] == 1
    assert found["pointsman_source_stuck"]["orders",] == 0
    assert found["pointsman_source_restarts_total"]["orders",] >= 1
    broker.freeze(frozen=False)


async def test_every_admin_call_leaves_one_line_in_the_log(at):
    await until(at, "running")
    with structlog.testing.capture_logs() as lines:
        await post(at, "orders/pause")
        await at.ask("POST", "/api/v1/sources/nothing/pause", "operator")
        await at.ask("POST", "/api/v1/sources/orders/rewind", "reader", json={"to": "canary"})
        await at.get("/api/v1/sources")
    calls = [one for one in lines if one["event"] == "admin call"]
    assert [(one["id"], one["by"], one["outcome"]) for one in calls] == [
        ("order_source", "operator", "done"),
        ("order_source", "operator", "refused: NotFound"),
        ("rewind_source", "reader", "refused: HTTPException"),
    ]
    assert calls[0]["source"] == "orders"
    assert calls[0]["verb"] == "pause"
    assert "canary" not in repr(lines)
    changes = [one for one in lines if one["event"] == "source"]
    assert [(one["source"], one["state"], one["before"]) for one in changes] == [
        ("orders", "paused", "running")
    ]


async def test_the_doctor_asks_the_sources_that_run(at, broker, monkeypatch):
    monkeypatch.setattr(at.service.doctor._bounds, "seconds", 0.2)
    monkeypatch.setattr("service.usecases.bounds._PARTING", 0.02)
    monkeypatch.setattr(at.service, "_ports", None)
    monkeypatch.setattr("service.usecases.doctor.doctor.port_rows", _no_ports)
    await until(at, "running")
    broker.stop()
    answer = await at.ask("GET", "/api/v1/doctor", "operator", params={"name": ["orders", "stuck", "open"]})
    rows = answer.json()["items"]
    found = {(one["section"], one["what"]): one["code"] for one in rows}
    assert found["sources", "orders"] == "unreachable"
    assert found["sources", "stuck"] == "no-answer"
    assert found["sources", "open"] == ""
    assert found["instance", "open"] == ""
    assert ("sources", "signed") not in found
    assert (await at.ask("GET", "/api/v1/doctor", "reader")).status_code == 403


async def _no_ports(_settings):
    return []
