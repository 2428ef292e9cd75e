"""Sources and the doctor as people use them: the real command, against an instance or without one."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from service.demo.starter import write_starter
from tests.end_to_end.backend import backend
from tests.end_to_end.instance import WEB, document, instance, step, until
from tests.end_to_end.shell import environment, free_port, pointsman, serving
from tests.fakes.sources import MemoryBroker, entry
from tests.patience import PATIENCE, SLACK
from triggers import SOURCES

LAUNCH = """
import sys
from triggers import SOURCES
SOURCES["blocking"] = "tests.fakes.sources:BlockingSource"
SOURCES["memory"] = "tests.unit.api.test_sources:Slotted"
SOURCES["bare"] = "tests.fakes.sources:BareSource"
from service.__main__ import main
main()
"""
"""The command, with kinds of sources that only tests have."""


def launched(
    *words: str, cwd: Path, within: float = PATIENCE, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, *words], check=False, cwd=cwd, env=environment(**variables),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within,
    )  # fmt: skip


# -- a running instance


@pytest.fixture
def broker():
    with MemoryBroker(uuid.uuid4().hex).reachable() as made:
        yield made


@pytest.fixture
async def at(tmp_path, monkeypatch, broker):
    """An instance with a webhook and a source in memory, its backend, and the command to reach it."""
    monkeypatch.setitem(SOURCES, "memory", "tests.unit.api.test_sources:Slotted")
    async with backend() as shop:
        content = document(
            shop.url,
            sources={"web": WEB, "orders": {"kind": "memory", "broker": broker.name, "ordered": True}},
            rules={"all": {"from": ["orders"], "do": [step()]}},
        )
        async with instance(tmp_path, content) as it:

            async def command(*words: str, **more: str):
                return await asyncio.to_thread(
                    pointsman, *words, cwd=tmp_path, POINTSMAN_DATA=str(tmp_path / "data"), **more
                )

            it.command, it.shop, it.broker = command, shop, broker
            await until(lambda: it.service.supervisor.status("orders").state == "running", "it runs")
            yield it


async def test_sources_are_listed_and_shown(at):
    at.broker.append(entry("a"), b"{")
    await until(lambda: at.service.supervisor.status("orders").rejected == 1, "stored")
    ran = await at.command("sources")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:3] == ["NAME", "KIND", "STATE"]
    assert any(line.split()[:3] == ["orders", "memory", "running"] for line in lines)
    shown = json.loads((await at.command("sources", "show", "orders", "-o", "json")).stdout)
    assert shown["counts"]["new"] == 1
    assert shown["unfinished"] in (0, 1)
    ran = await at.command("sources", "show", "ordrs")
    assert ran.returncode == 1
    assert "did you mean orders?" in ran.stderr


async def test_sources_are_ordered_about(at):
    ran = await at.command("sources", "pause", "orders", "web")
    assert ran.returncode == 0
    assert ran.stdout.count("paused") == 2
    assert (await at.post(b"{}")).status_code == 503
    assert (await at.admin("GET", "/health/ready")).status_code == 200
    at.broker.append(entry("a"))
    ran = await at.command("sources", "restart", "orders", "nothing")
    assert ran.returncode == 1
    assert "paused by first" in ran.stdout
    assert "there is no source nothing" in ran.stdout
    assert at.broker.acknowledged == 0
    assert (await at.command("sources", "resume", "--all")).returncode == 0
    await until(lambda: at.broker.acknowledged == 1, "it goes on")
    assert (await at.post(b"{}")).status_code == 202
    assert (await at.command("sources", "restart", "--all")).returncode == 0


@pytest.mark.parametrize("words", [(), ("orders", "--all")])
async def test_which_sources_must_be_said(at, words):
    ran = await at.command("sources", "pause", *words)
    assert ran.returncode == 2
    assert "--all" in ran.stderr


async def test_a_drain_waits_until_every_delivery_has_ended(at):
    at.lane().hold("401", now=1e12, wall=0.0)
    at.broker.append(entry("a"), entry("b"))
    await until(lambda: at.broker.acknowledged == 2, "taken")
    ran = await at.command("sources", "drain", "orders", "--wait", "--within", "0.2")
    assert ran.returncode == 1
    assert "2 deliveries are under way" in ran.stderr
    waiting = asyncio.create_task(at.command("sources", "drain", "orders", "--wait", "--within", "20"))
    at.service.dispatch.release("shop")
    ran = await waiting
    assert ran.returncode == 0, ran.stderr
    assert "all deliveries have ended" in ran.stderr
    assert json.loads((await at.command("sources", "-o", "json")).stdout)["items"][1]["state"] == "draining"


async def test_a_rewind_is_not_done_unasked(at):
    at.broker.append(entry("a"))
    await until(lambda: at.broker.acknowledged == 1, "taken")
    ran = await at.command("sources", "rewind", "orders", "earliest")
    assert ran.returncode == 1
    assert "say --yes" in ran.stderr
    assert await at.service.store.positions(await at.service.store.number("source", "orders"))
    ran = await at.command("sources", "rewind", "orders", "yesterday", "--yes")
    assert ran.returncode == 1
    assert "earliest" in ran.stderr
    assert (await at.command("sources", "rewind", "orders", "earliest", "--yes")).returncode == 0


async def test_what_is_needed_outside_is_shown_before_it_is_done(at):
    ran = await at.command("sources", "setup", "orders")
    assert ran.returncode == 1
    assert "CREATE SLOT" in ran.stdout
    assert "say --yes" in ran.stderr
    ran = await at.command("sources", "setup", "orders", "--yes")
    assert ran.returncode == 0
    assert ran.stdout.rstrip().splitlines()[-2].startswith("✓ a slot")
    assert (await at.command("sources", "setup", "orders")).returncode == 0
    ran = await at.command("sources", "teardown", "orders", "--yes")
    assert ran.returncode == 1
    assert "pause it first" in ran.stderr
    await at.command("sources", "pause", "orders")
    assert (await at.command("sources", "teardown", "orders", "--yes", "-o", "json")).returncode == 0


async def test_a_check_and_the_doctor_see_what_is_wrong_outside(at):
    assert (await at.command("sources", "check", "orders")).returncode == 0
    at.broker.stop()
    ran = await at.command("sources", "check", "orders")
    assert ran.returncode == 1
    assert "unreachable" in ran.stdout
    await until(lambda: at.service.supervisor.status("orders").state == "waiting", "it waits")
    answer = await at.admin("GET", "/api/v1/doctor")
    rows = {(one["section"], one["what"]): one for one in answer.json()["items"]}
    assert rows["sources", "orders"]["code"] == "unreachable"
    assert rows["instance", "orders"]["code"] == "source-waiting"
    assert rows["instance", "web"]["severity"] == "ok"
    assert f"port {at.service.ingest.port}" in rows["network", "webhooks"]["message"]
    assert rows["files", str(at.service.settings.data)]["severity"] == "ok"
    assert (await at.admin("GET", "/health/ready")).status_code == 200


# -- no instance


@pytest.fixture
def project(tmp_path):
    write_starter(tmp_path / "p")
    return tmp_path / "p"


def ports(**more: str) -> dict[str, str]:
    return {"POINTSMAN_PORT": str(free_port()), "POINTSMAN_ADMIN_PORT": str(free_port()), **more}


def rows_of(ran):
    return {(one["section"], one["what"]): one for one in json.loads(ran.stdout)["items"]}


def findings(rows):
    """Return the codes that do not depend on the machine that the tests run on."""
    return {one["code"] for one in rows.values()} - {"", "disk-in-memory", "nofile-low", "disk-nearly-full"}


def tree(folder):
    return {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if not path.name.startswith(".output")
    }


def test_the_doctor_looks_before_the_first_start_and_changes_nothing(project):
    before = tree(project)
    ran = pointsman("doctor", "-o", "json", cwd=project, **ports())
    rows = rows_of(ran)
    assert findings(rows) == set(), ran.stdout
    assert "the first start makes it" in rows["files", "pointsman-data"]["message"]
    assert "is free" in rows["network", "webhooks"]["message"]
    assert rows["sources", "orders"]["message"] == "fine"
    assert rows["connections", "shop"]["message"] == "fine"
    assert tree(project) == before
    shown = pointsman("doctor", cwd=project, **ports())
    assert shown.stdout.count("✓") >= 9
    assert "Traceback" not in shown.stderr


def test_the_doctor_knows_the_instance_that_runs_here(project):
    used = ports()
    with serving(project) as (_, listening):
        used = {
            "POINTSMAN_PORT": str(listening["webhooks"]), "POINTSMAN_ADMIN_PORT": str(listening["admin"])
        }  # fmt: skip
        rows = rows_of(pointsman("doctor", "-o", "json", cwd=project, **used))
    assert findings(rows) == set()
    assert "is ours" in rows["network", "webhooks"]["message"]
    assert "is ours" in rows["network", "admin API"]["message"]
    assert rows["instance", "orders"]["message"] == "the source is running"
    assert "migrations" in {what for section, what in rows if section == "store"}
    stopped = rows_of(pointsman("doctor", "-o", "json", cwd=project, **ports()))
    assert findings(stopped) == set()
    assert not any(section == "instance" for section, _ in stopped)


def test_a_port_that_a_stranger_has_is_found(project):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        used = ports(POINTSMAN_PORT=str(stranger.getsockname()[1]))
        ran = pointsman("doctor", "-o", "json", cwd=project, **used)
    assert ran.returncode == 1
    assert rows_of(ran)["network", "webhooks"]["code"] == "port-taken"


def test_everything_that_is_wrong_is_found_at_once(project):
    path = project / "pointsman.yaml"
    path.write_text(path.read_text("utf-8").replace("kind: webhook", "kind: webhok", 1), "utf-8")
    (project / "pointsman-data").mkdir()
    (project / "pointsman-data/pointsman.db").write_bytes(b"no database")
    for name, mode in (("pointsman-data", 0o755), ("pointsman-data/pointsman.db", 0o644)):
        (project / name).chmod(mode)  # whatever the umask is
    ran = pointsman("doctor", cwd=project, **ports(POINTSMAN_PROT="1"))
    assert ran.returncode == 1
    assert "Traceback" not in ran.stdout + ran.stderr
    for code in ("unknown-variable", "data-mode", "file-mode", "store-foreign"):
        assert f"[{code}]" in ran.stdout, ran.stdout
    assert "did you mean" in ran.stdout
    assert ran.stdout.count("  → ") >= 5


@pytest.mark.parametrize("what", ["missing", "directory", "binary"])
def test_a_configuration_that_cannot_be_read_is_a_finding(tmp_path, what):
    path = tmp_path / "pointsman.yaml"
    if what == "directory":
        path.mkdir()
    elif what == "binary":
        path.write_bytes(b"\xff\x00")
    ran = pointsman("doctor", cwd=tmp_path, **ports())
    assert ran.returncode == 1
    assert "✗ configuration" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_names_that_are_neither_source_nor_connection_are_said(project):
    ran = pointsman("doctor", "ordrs", cwd=project, **ports())
    assert ran.returncode == 1
    assert "did you mean orders?" in ran.stderr


def test_a_check_that_never_lets_go_holds_nobody_up(tmp_path):
    (tmp_path / "pointsman.yaml").write_text(
        json.dumps({"sources": {"stuck": {"kind": "blocking"}, "fine": {"kind": "bare"}}}), "utf-8"
    )
    began = time.monotonic()
    ran = launched("doctor", "--within", "0.3", "-o", "json", cwd=tmp_path, **ports())
    assert time.monotonic() - began < 5.0 + SLACK
    rows = rows_of(ran)
    assert ran.returncode == 1
    assert rows["sources", "stuck"]["code"] == "no-answer"
    assert rows["sources", "fine"]["severity"] == "ok"


def test_a_source_is_checked_and_set_up_without_an_instance(tmp_path):
    (tmp_path / "pointsman.yaml").write_text(
        json.dumps({"sources": {"orders": {"kind": "memory", "broker": "nowhere"}}}), "utf-8"
    )
    ran = launched("sources", "check", "orders", cwd=tmp_path)
    assert ran.returncode == 1
    assert "nothing answers as nowhere" in ran.stdout
    ran = launched("sources", "setup", "orders", "-o", "json", cwd=tmp_path)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["steps"][0]["statement"] == "CREATE SLOT"
    ran = launched("sources", "setup", "orders", "--yes", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    ran = launched("sources", "setup", "ordrs", cwd=tmp_path)
    assert "did you mean orders?" in ran.stderr
    ran = launched("sources", cwd=tmp_path)
    assert ran.returncode == 3


OUTSIDE = {
    "kafka": {"kind": "kafka", "servers": ["127.0.0.1:PORT"], "topics": ["orders"], "group": "pointsman"},
    "rabbit": {"kind": "rabbitmq", "url": "amqp://127.0.0.1:PORT/", "queue": "orders"},
    "shopdb": {"kind": "postgres", "url": {"env": "SHOP_DB"}, "tables": ["public.orders"]},
}


def outside(folder, port):
    """Write a configuration of sources that are to be found at a port; return what its secrets are."""
    text = json.dumps({"sources": OUTSIDE}).replace("PORT", str(port))
    (folder / "pointsman.yaml").write_text(text, "utf-8")
    return ports(SHOP_DB=f"postgresql://me:canary-password@127.0.0.1:{port}/shop")


def test_every_kind_says_that_nothing_answers_and_how_to_mend_it(tmp_path):
    ran = pointsman("doctor", "-o", "json", cwd=tmp_path, **outside(tmp_path, free_port()))
    assert ran.returncode == 1
    rows = rows_of(ran)
    for name in OUTSIDE:
        found = rows["sources", name]
        assert (found["severity"], found["code"]) == ("error", "unreachable"), found
        assert found["fix"]
    assert "canary-password" not in ran.stdout + ran.stderr


def test_no_kind_holds_the_doctor_up_when_something_listens_and_says_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        used = outside(tmp_path, silent.getsockname()[1])
        ran = pointsman("doctor", "--within", "0.5", "-o", "json", cwd=tmp_path, **used)
    assert ran.returncode == 1
    assert {rows_of(ran)["sources", name]["code"] for name in OUTSIDE} == {"no-answer"}
    assert "Traceback" not in ran.stderr
    assert "canary-password" not in ran.stdout + ran.stderr


def test_a_source_whose_configuration_is_wrong_is_not_said_to_be_fine(tmp_path):
    used = outside(tmp_path, free_port())
    del used["SHOP_DB"]
    ran = pointsman("doctor", "shopdb", cwd=tmp_path, **used)
    assert ran.returncode == 1
    assert "SHOP_DB is not set" in ran.stdout
    ran = pointsman("sources", "check", "shopdb", cwd=tmp_path, **used)
    assert ran.returncode == 1
    assert "SHOP_DB is not set" in ran.stderr
