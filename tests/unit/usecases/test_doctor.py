"""The doctor finds what is wrong, says how to mend it, and changes nothing."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from actions.errors import RetryLater
from service.errors import NotFound, Problem
from service.settings import Settings
from service.store.facts import StoreFacts
from service.usecases.bounds import Bounds
from service.usecases.doctor import Doctor, Surroundings, page, sound
from service.usecases.doctor import surroundings as around
from service.usecases.doctor.outside import answers
from tests.fakes.sources import BareSource, BlockingSource
from tests.tables import every_row
from triggers import SOURCES
from triggers.base import Finding
from triggers.errors import SourceUnavailable

DATA = StoreFacts(engine="SQLite 3", there=True, wal=True, migrations=2)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a sound configuration of one bare source."""
    monkeypatch.setitem(SOURCES, "bare", "tests.fakes.sources:BareSource")
    monkeypatch.setitem(SOURCES, "blocking", "tests.fakes.sources:BlockingSource")
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, orders={"kind": "bare"})
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path


def configure(folder, **sources):
    (folder / "pointsman.yaml").write_text(json.dumps({"sources": sources}), "utf-8")


def settings(folder, **more):
    return Settings(config=folder / "pointsman.yaml", data=folder / "data", **more)


def doctor(folder, *, look=lambda _folder: DATA, deadline=5.0, **more):
    said = {"ports": lambda: {"webhooks": 8080}, "now_ms": lambda: 1_000_000, **more}
    return Doctor(
        Surroundings(settings=settings(folder), environment={}, look=look, deadline=deadline, **said)
    )


def codes(rows):
    return {row.code for row in rows if row.severity != "ok"}


def row(rows, code):
    (found,) = [row for row in rows if row.code == code]
    assert found.message
    assert found.fix
    return found


async def test_what_is_fine_is_said_section_by_section(project):
    told = []
    rows = await doctor(project).examine(told=told.append)
    assert codes(rows) <= {"disk-in-memory", "nofile-low"}
    assert {one.section for one in rows} == {
        "process", "files", "store", "configuration", "network", "sources",
    }  # fmt: skip
    assert told == rows
    assert json.loads(msgspec.json.encode(page(rows)))["items"][0]["severity"] in ("ok", "warning")


async def test_nothing_is_changed(project):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    await doctor(project).examine()
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


# -- files


def test_modes_that_let_others_in_are_found(project):
    (project / "data").chmod(0o755)
    for name, mode in (("pointsman.db", 0o644), ("admin.token", 0o600), ("admin.port", 0o644)):
        (project / "data" / name).touch()
        (project / "data" / name).chmod(mode)
    rows = list(around.file_rows(settings(project)))
    assert "chmod 700" in row(rows, "data-mode").fix
    assert row(rows, "file-mode").fix.endswith("pointsman.db")


def test_a_data_directory_that_is_not_there_is_made_later(project):
    (project / "data").rmdir()
    rows = list(around.file_rows(settings(project)))
    assert codes(rows) <= {"disk-in-memory"}
    assert "the first start makes it" in rows[0].message


def test_a_data_directory_that_is_a_file_is_found(project):
    (project / "data").rmdir()
    (project / "data").touch()
    assert codes(around.file_rows(settings(project))) == {"data-unusable"}


def test_too_little_space_is_found(project):
    assert "disk-full" in codes(around.file_rows(settings(project, min_free_bytes=2**62)))
    free = os.statvfs(project).f_bavail * os.statvfs(project).f_frsize
    assert "disk-nearly-full" in codes(around.file_rows(settings(project, min_free_bytes=free // 4)))


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/root rw
40 22 0:40 / /srv/my\\040data rw - nfs4 host:/x rw
41 22 0:41 / /srv/my\\040data/ram rw - tmpfs tmpfs rw
42 22 0:42 / /mnt/phone rw - fuse.sshfs x rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home/me", "ext4"), ("/srv/my data/x", "nfs4"), ("/srv/my data/ram/x", "tmpfs"),
     ("/srv/my database", "ext4"), ("/mnt/phone", "fuse.sshfs")],
)  # fmt: skip
def test_the_file_system_of_a_directory_is_the_one_mounted_nearest(tmp_path, monkeypatch, folder, kind):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(around, "_MOUNTS", tmp_path / "mountinfo")
    assert around.file_system(Path(folder)) == kind
    found = around._file_system(Path(folder))
    wanted = {"ext4": "", "tmpfs": "disk-in-memory"}.get(kind, "disk-not-local")
    assert found.code == wanted


def test_a_system_that_tells_nothing_of_its_mounts_is_no_finding(tmp_path, monkeypatch):
    monkeypatch.setattr(around, "_MOUNTS", tmp_path / "nothing")
    assert around._file_system(tmp_path).severity == "ok"


def test_few_open_files_are_found(project, monkeypatch):
    monkeypatch.setattr(around.resource, "getrlimit", lambda _what: (256, 4096))
    rows = list(around.process_rows(settings(project)))
    assert "at most 128 webhook connections" in row(rows, "nofile-low").message


# -- the store


def store(facts, now_ms=1_000_000):
    return list(around.store_rows(Path(), lambda _folder: facts, now_ms))


def test_the_store_s_own_problems_are_findings():
    problem = Problem(message="the data is of version 9", code="store-newer", fix="start the newer one")
    rows = store(msgspec.structs.replace(DATA, problems=(problem,)))
    assert row(rows, "store-newer").severity == "error"
    assert len(rows) == 1


def test_missing_migrations_are_no_finding():
    rows = store(msgspec.structs.replace(DATA, missing=1))
    assert sound(rows)
    assert "the next start makes them" in rows[0].message


def test_a_database_without_a_log_and_a_clock_that_went_back_are_findings():
    rows = store(msgspec.structs.replace(DATA, wal=False, clock_ms=2_000_000))
    assert codes(rows) == {"no-wal", "clock-back"}
    assert "1000 s behind" in row(rows, "clock-back").message


async def test_a_disk_that_does_not_answer_is_a_finding_and_holds_nobody_up(project, monkeypatch):
    monkeypatch.setattr("service.usecases.bounds._PARTING", 0.01)
    import threading

    let_go = threading.Event()

    def hangs(_folder):
        let_go.wait(10)
        return DATA

    asked = doctor(project, look=hangs, deadline=0.05)
    rows = await asked.examine()
    assert "does not answer" in row(rows, "data-unusable").message
    assert {one.section for one in rows} >= {"sources", "configuration"}
    let_go.set()


# -- the configuration


async def test_a_wrong_configuration_is_found_with_its_place(project):
    configure(project, orders={"kind": "bear"})
    rows = await doctor(project).examine()
    found = next(one for one in rows if one.section == "configuration")
    assert found.severity == "error"
    assert "did you mean `bare`" in found.fix + found.message
    assert not any(one.section == "sources" for one in rows)


async def test_a_configuration_that_is_not_there_is_found(project):
    (project / "pointsman.yaml").unlink()
    assert any(one.section == "configuration" for one in await doctor(project).examine() if one.code)


# -- outside


async def ask(question, deadline=5.0):
    return await answers("sources", {"orders": question}, Bounds(deadline), lambda _row: None)


async def test_findings_of_a_source_are_rows():
    async def question():
        return [
            Finding(severity="error", code="no-topic", message="the topic is missing", fix="make it"),
            Finding(severity="warning", code="lag", message="far behind", fix="wait"),
        ]

    rows = await ask(question)
    assert [(one.what, one.severity, one.code) for one in rows] == [
        ("orders", "error", "no-topic"), ("orders", "warning", "lag"),
    ]  # fmt: skip


@every_row("error", [SourceUnavailable("gone"), RetryLater("gone"), NotFound("gone")])
async def test_what_a_check_raises_is_a_row(error):
    async def question():
        raise error

    assert [(one.code, one.message) for one in await ask(question)] == [("refused", "gone")]


async def test_a_fault_of_a_check_is_a_row_and_no_traceback():
    async def question():
        raise ZeroDivisionError("in the adapter")

    (found,) = await ask(question)
    assert found.code == "check-failed"
    assert "ZeroDivisionError: in the adapter" in found.message


async def test_a_check_that_hangs_is_a_row_and_holds_no_other_up(project, monkeypatch):
    monkeypatch.setattr("service.usecases.bounds._PARTING", 0.02)
    configure(project, stuck={"kind": "blocking"}, orders={"kind": "bare"})
    asked = doctor(project, deadline=0.05)
    try:
        rows = {one.what: one for one in await asked.examine() if one.section == "sources"}
        assert rows["orders"].severity == "ok"
        assert rows["stuck"].code == "no-answer"
        rows = {one.what: one for one in await asked.examine() if one.section == "sources"}
        assert rows["stuck"].code == "still-asking"
    finally:
        BlockingSource.release()


async def test_a_source_is_opened_and_closed_for_its_check(project, monkeypatch):
    made = []

    class Seen(BareSource):
        def __init__(self, name, config):
            super().__init__(name, config)
            made.append(self)

    monkeypatch.setattr("tests.fakes.sources.BareSource", Seen)
    await doctor(project).examine(["orders"])
    assert made
    assert all(one.closed for one in made)


async def test_only_what_is_named_is_asked(project):
    configure(project, orders={"kind": "bare"}, shopdb={"kind": "bare"})
    rows = await doctor(project).examine(["shopdb"])
    assert [(one.section, one.what) for one in rows] == [("sources", "shopdb")]
    with pytest.raises(NotFound, match=r"did you mean shopdb\?"):
        await doctor(project).examine(["shopbd"])


async def test_a_source_that_runs_here_is_asked_itself(project):
    async def itself():
        return [Finding(severity="warning", code="itself", message="asked", fix="none")]

    rows = await doctor(project, checks=lambda name: itself if name == "orders" else None).examine(["orders"])
    assert [one.code for one in rows] == ["itself"]


# -- a running instance


def source(name="orders", **more):
    return {"name": name, "state": "running", "stuck": False, "warnings": [], "detail": "", **more}


def stop(state, reason, since=None):
    return {"state": state, "reason": reason, "since": since, "by": ""}


def connection(*stops):
    return {
        "name": "shop",
        "state": stops[0]["state"],
        "reason": stops[0]["reason"],
        "stopped_by": list(stops),
    }


async def test_a_connection_that_is_gone_while_deliveries_wait_is_a_finding(project):
    gone = {"name": "shop", "state": "removed", "reason": "deliveries wait", "stopped_by": []}
    rows = await doctor(project).examine(instance={"connections": [gone]})
    assert row(rows, "connection-removed").message == "the connection is removed: deliveries wait"


@every_row(
    ("said", "code", "text"),
    [
        ({"state": "gap", "detail": "the slot is gone", "fix": "rewind"}, "source-gap", "the slot is gone"),
        ({"state": "refused", "detail": "no right"}, "source-refused", "no right"),
        ({"state": "waiting", "detail": "", "last_error": "reset"}, "source-waiting", "reset"),
        ({"stuck": True, "pending": 7, "unit": "bytes"}, "source-stuck", "7 bytes wait"),
        ({"warnings": [{"code": "wal", "message": "much", "fix": "look"}]}, "wal", "much"),
    ],
)
async def test_troubles_of_a_running_source_are_findings(project, said, code, text):
    rows = await doctor(project).examine(["orders"], instance={"sources": [source(**said), source("other")]})
    assert text in row(rows, code).message
    assert not any(one.what == "other" for one in rows)


async def test_a_held_connection_and_refused_webhooks_are_findings(project):
    said = {
        "refusing": "the disk is full",
        "connections": [
            connection(stop("paused", "by hand by anna", "2026-01-02T03:04:05Z"), stop("held", "401"))
        ],
        "sources": [source()],
    }
    rows = await doctor(project).examine(instance=said)
    assert "the disk is full" in row(rows, "refusing").message
    assert row(rows, "connection-held").message == "the connection is held: 401"
    paused = row(rows, "connection-paused")
    assert paused.message == "the connection is paused since 2026-01-02T03:04:05Z by hand by anna"
    assert paused.fix == "pointsman connections resume shop"
    assert any(one.section == "instance" and one.what == "orders" and not one.code for one in rows)
