"""The embedded store keeps what every store promises, and what a file on a disk promises besides."""

import asyncio
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.delivery import Event, State
from service.errors import Invalid, Unavailable
from service.store import migrate
from service.store.base import RunKey
from service.store.sqlite import SQLiteStore, claim, connect, ledger, operate, read, recover, retain, writer
from service.store.sqlite import accept as accept_module
from service.store.sqlite import settle as settle_module
from tests.contract.store_contract import (
    T0,
    StoreContract,
    accept,
    accept_all,
    claim_one,
    ended,
    entry,
    pending,
    running,
    settle,
    states,
)
from tests.patience import PATIENCE

OURS = migrate.read("sqlite")


def fatal(error):
    raise AssertionError("a commit failed") from error


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def make(self, clock, data):
        return lambda: SQLiteStore(data, reached=lambda _point: None, clock_ms=clock, on_fatal=fatal)


class Opened:
    """A store over a directory, with what it told us."""

    def __init__(self, directory, **changed):
        self.points: list[str] = []
        self.fatal: list[BaseException] = []
        self.store = SQLiteStore(
            directory, reached=self.points.append, clock_ms=lambda: T0, on_fatal=self.fatal.append, **changed
        )

    async def __aenter__(self):
        await self.store.open()
        return self

    async def __aexit__(self, *_exc):
        await self.store.close()


# -- on disk


async def test_what_done_reported_is_in_a_copy_of_the_files(data, tmp_path):
    async with Opened(data) as opened:
        await accept_all(opened.store, [entry(f"m{n}", running()) for n in range(20)])
        await settle(opened.store, ended(RunKey(1, 1, 1)))
        shutil.copytree(data, tmp_path / "copy")
    async with Opened(tmp_path / "copy") as copied:
        assert await states(copied.store) == [State.DELIVERED] + [State.PENDING] * 19
        assert copied.store.interrupted == 19


async def test_everything_that_waits_shares_one_commit(data):
    async with Opened(data) as opened:
        before = opened.store.health()
        await accept_all(opened.store, [entry(f"m{n}", running()) for n in range(200)])
        after = opened.store.health()
        assert (after.groups - before.groups, after.fsyncs - before.fsyncs) == (1, 1)


async def test_a_claim_that_finds_nothing_writes_nothing(data):
    async with Opened(data) as opened:
        before = opened.store.health().fsyncs
        assert await opened.store.claim({1: 10}, T0) == []
        assert opened.store.health().fsyncs == before


async def test_only_the_owner_may_read_the_files(data):
    mask = os.umask(0)
    try:
        async with Opened(data) as opened:
            await accept(opened.store, entry("a"))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
    finally:
        os.umask(mask)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert set(modes) == {"pointsman.db", "pointsman.db-wal", "pointsman.db-shm", "pointsman.lock"}
    assert set(modes.values()) == {0o600}


async def test_every_commit_is_synced(data):
    async with Opened(data) as opened:
        assert opened.store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert opened.store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_claim_cancelled_before_or_during_its_commit_loses_no_run(data, turns):
    async with Opened(data) as opened:
        await accept(opened.store, entry("a", pending()))
        task = asyncio.ensure_future(opened.store.claim({1: 1}, T0))
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            assert await settle(
                opened.store, ended(task.result()[0].key, event=Event.GIVE_BACK, attempt=None)
            )
        assert (await claim_one(opened.store)).number == 1


async def test_points_stand_around_the_commits(data):
    async with Opened(data) as opened:
        start = list(opened.points)
        await accept(opened.store, entry("a", running(), pending(2)))
        accepted = opened.points[len(start) :]
        await settle(opened.store, ended(RunKey(1, 1, 1)))
        await claim_one(opened.store)
        await opened.store.release(Event.DISCARD, [], reason="", now=T0)
    assert start == [
        *["migration.before", "migration.inside", "migration.before_commit", "migration.after_commit"] * len(OURS),
        "recovery.before", "recovery.inside", "recovery.before_commit", "recovery.after_commit",
    ]  # fmt: skip
    assert accepted == [
        f"store.accept.{place}" for place in ("before", "inside", "before_commit", "after_commit")
    ]
    assert [point for point in opened.points if point.startswith(("store.settle", "store.claim", "release"))] == [
        "store.settle.before", "store.settle.inside", "store.settle.before_commit", "store.settle.after_commit",
        "store.claim.before", "store.claim.inside", "store.claim.after_commit",
        "release.before_commit", "release.after_commit",
    ]  # fmt: skip


async def test_the_log_does_not_grow_beyond_its_bound(data, monkeypatch):
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 200)
    async with Opened(data) as opened:
        for turn in range(40):
            await accept_all(opened.store, [entry(f"m{turn}/{n}", record=b"x" * 2000) for n in range(20)])
            await opened.store.messages(limit=1)
        assert opened.store._writer.checkpoints >= 3
        assert (data / "pointsman.db-wal").stat().st_size < 4096 * 1000


async def test_a_page_looks_through_windows_and_goes_on_where_it_stopped(data, monkeypatch):
    monkeypatch.setattr(read, "WINDOW", 10)
    monkeypatch.setattr(read, "WINDOWS", 2)
    async with Opened(data) as opened:
        await accept_all(opened.store, [entry("rare", pending(), source=2)])
        await accept_all(opened.store, [entry(f"m{n}", running()) for n in range(55)])
        for ask, wanted in (
            (opened.store.messages, {"source": 2}),
            (opened.store.deliveries, {"states": [State.PENDING, State.DELIVERED]}),
            (opened.store.deliveries, {"states": [State.PENDING]}),
        ):
            cursor, pages, rows = "", 0, []
            while not pages or cursor:
                page = await ask(cursor=cursor, limit=5, **wanted)
                rows, cursor, pages = [*rows, *page.rows], page.next, pages + 1
            assert [row.get("number", row.get("message")) for row in rows] == [1]
            assert pages == (1 if wanted == {"states": [State.PENDING]} else 3)


# -- one process, one version


async def test_a_second_process_is_refused_and_told_who_holds_the_data(data):
    async with Opened(data):
        code = (
            "import asyncio, sys; from pathlib import Path; from service.store.sqlite import SQLiteStore\n"
            f"store = SQLiteStore(Path({str(data)!r}), reached=print, clock_ms=lambda: 1, on_fatal=print)\n"
            "try: asyncio.run(store.open())\n"
            "except Exception as error: print(type(error).__name__, error); sys.exit(3)\n"
        )
        result = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert result.returncode == 3, result.stderr
    assert result.stdout.startswith("Unavailable ")
    assert f"process {os.getpid()}" in result.stdout


async def test_a_second_store_in_this_process_is_refused_too_and_harms_nothing(data):
    async with Opened(data) as opened:
        with pytest.raises(Unavailable, match="in use"):
            await Opened(data).store.open()
        assert (await accept(opened.store, entry("a"))).number == 1
    async with Opened(data) as opened:
        assert (await accept(opened.store, entry("a"))).verdict == "known"


async def test_a_newer_database_is_refused_naming_both_versions(data):
    newer = [*OURS, migrate.migration(len(OURS) + 1, "later", "CREATE TABLE later (x);")]
    async with Opened(data, migrations=newer) as opened:
        await accept(opened.store, entry("a"))
    before = (data / "pointsman.db").read_bytes()
    with pytest.raises(Invalid, match=rf"version {len(newer)}.*up to {len(OURS)}"):
        await Opened(data).store.open()
    assert (data / "pointsman.db").read_bytes() == before
    async with Opened(data, migrations=newer) as opened:
        assert (await accept(opened.store, entry("a"))).verdict == "known"


async def test_a_database_of_other_migrations_is_refused(data):
    first = migrate.read("sqlite")[0]
    changed = [migrate.migration(1, "first", first.text + "-- changed\n")]
    async with Opened(data, migrations=changed):
        pass
    with pytest.raises(Invalid, match="not this program's"):
        await Opened(data).store.open()


async def test_a_migration_killed_at_any_point_is_finished_by_the_next_start(data):
    two = [
        *OURS,
        migrate.migration(len(OURS) + 1, "later", "CREATE TABLE later (x);\nINSERT INTO later VALUES (1);\n"),
    ]

    class Killed(BaseException):
        pass

    for point in (
        "migration.before",
        "migration.inside",
        "migration.before_commit",
        "migration.after_commit",
    ):
        for hit in (1, 2):
            seen = []

            def reached(name, seen=seen, point=point, hit=hit):
                seen.append(name)
                if seen.count(point) == hit:
                    raise Killed

            store = SQLiteStore(data, reached=reached, clock_ms=lambda: T0, on_fatal=fatal, migrations=two)
            with pytest.raises(Killed):
                await store.open()
            async with Opened(data, migrations=two) as opened:
                assert opened.store._connection.execute("SELECT x FROM later").fetchall() == [(1,)]
                assert (await accept(opened.store, entry("a"))).number == 1
            shutil.rmtree(data)


async def test_a_schema_without_its_migration_row_is_refused(data):
    async with Opened(data):
        pass
    connection = sqlite3.connect(data / "pointsman.db")
    connection.execute("DELETE FROM migrations")
    connection.commit()
    connection.close()
    with pytest.raises(Invalid, match="only in part"):
        await Opened(data).store.open()


async def test_foreign_files_are_refused(data):
    data.mkdir()
    connection = sqlite3.connect(data / "pointsman.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(Invalid, match="another program"):
        await Opened(data).store.open()
    (data / "pointsman.db").write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    with pytest.raises(Invalid, match="not a SQLite database"):
        await Opened(data).store.open()


async def test_a_directory_that_cannot_be_used_is_refused_with_a_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        await Opened(tmp_path / "file" / "data").store.open()


async def test_an_old_sqlite_is_refused(data, monkeypatch):
    monkeypatch.setattr(connect, "OLDEST", (99, 0, 0))
    with pytest.raises(Invalid, match="too old"):
        await Opened(data).store.open()


# -- a full disk


@contextmanager
def tiny_disk(path: Path, size: str):
    """Mount a small disk; skip where that is not allowed."""
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    if subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=False, capture_output=True
    ).returncode:
        pytest.skip("this container may not mount")
    try:
        yield
    finally:
        subprocess.run([shutil.which("umount") or "umount", path], check=True)


@pytest.fixture
def quick_probe(monkeypatch):
    monkeypatch.setattr(writer, "PROBE_SECONDS", 0.02)


async def fill(store, size=3000):
    """Accept until the disk is full; return how many were stored."""
    stored = 0
    while True:
        verdicts = await accept_all(
            store, [entry(f"fill{stored + n}", record=b"x" * size) for n in range(20)]
        )
        bad = [one for one in verdicts if isinstance(one, Exception)]
        if bad:
            assert all(isinstance(one, Unavailable) and one.after for one in bad)
            assert len(bad) == 20
            return stored
        stored += 20


async def check_full_and_free(opened, free):
    """A full disk: nothing is acknowledged, settlements wait; then space comes back."""
    store, applied = opened.store, asyncio.get_running_loop().create_future()
    await accept(store, entry("first", running()))
    stored = await fill(store)
    assert stored >= 20
    assert not store.health().writable
    with pytest.raises(Unavailable):
        store.accept(entry("refused"), lambda _stored: None)
    with pytest.raises(Unavailable):
        await store.claim({1: 1}, T0)
    store.settle(ended(RunKey(1, 1, 1)), applied.set_result)
    assert (await store.message(1))["record"] == b"record of first"  # readers go on
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(applied), 0.1)  # some probes fail meanwhile
    assert not store.health().writable
    free()
    assert await asyncio.wait_for(applied, PATIENCE)
    assert store.health().writable
    assert (await accept(store, entry("after"))).verdict == "new"
    assert (await accept(store, entry(f"fill{stored - 1}", record=b"x" * 3000))).verdict == "known"
    assert not opened.fatal
    return stored


async def test_a_full_database_refuses_everything_until_there_is_space(data, quick_probe):
    async with Opened(data) as opened:
        opened.store._connection.execute("PRAGMA max_page_count = 200")
        await check_full_and_free(
            opened, lambda: opened.store._connection.execute("PRAGMA max_page_count = 100000")
        )


async def test_a_full_disk_refuses_everything_until_there_is_space(tmp_path, quick_probe):
    disk = tmp_path / "disk"
    with tiny_disk(disk, "7m"):
        ballast = disk / "ballast"
        ballast.write_bytes(b"0" * 4_500_000)
        async with Opened(disk / "data") as opened:
            stored = await check_full_and_free(opened, ballast.unlink)
        async with Opened(disk / "data") as opened:
            assert (
                await accept(opened.store, entry(f"fill{stored - 1}", record=b"x" * 3000))
            ).verdict == "known"
            assert not opened.store.interrupted


async def test_closing_on_a_full_disk_leaves_the_run_to_the_next_start(data, quick_probe):
    applied = []
    async with Opened(data) as opened:
        await accept(opened.store, entry("first", running()))
        opened.store._connection.execute("PRAGMA max_page_count = 100")
        await fill(opened.store)
        opened.store.settle(ended(RunKey(1, 1, 1)), applied.append)
    assert applied == [False]
    async with Opened(data) as opened:
        assert (await claim_one(opened.store)).interrupted


# -- worse


async def test_an_error_of_the_disk_at_commit_ends_the_process_and_acknowledges_nothing(data):
    """Writing beyond the limit for files fails like a broken disk: not with "full"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Opened(data) as opened:
        await accept(opened.store, entry("before"))
        resource.setrlimit(resource.RLIMIT_FSIZE, ((data / "pointsman.db-wal").stat().st_size, hard))
        try:
            verdicts = await accept_all(opened.store, [entry("a", record=b"x" * 100_000), entry("b")])
            with pytest.raises(Unavailable):
                opened.store.accept(entry("c"), lambda _stored: None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert all(isinstance(one, Unavailable) for one in verdicts)
        assert [error.sqlite_errorname for error in opened.fatal] == ["SQLITE_IOERR_WRITE"]
        assert not opened.store.health().writable
    async with Opened(data) as opened:
        assert [(await accept(opened.store, entry(name))).verdict for name in ("before", "a")] == [
            "known",
            "new",
        ]


async def test_a_statement_that_fails_ends_the_process_and_leaves_settlements_open(data):
    async with Opened(data) as opened:
        await accept(opened.store, entry("before", running()))
        opened.store._connection.execute("ALTER TABLE messages RENAME TO gone")
        settled = []
        verdicts = await accept_all(opened.store, [entry("a"), entry("b")])
        opened.store.settle(ended(RunKey(1, 1, 1)), settled.append)
        assert all(isinstance(one, Unavailable) for one in verdicts)
        assert len(opened.fatal) == 1
    assert settled == [False]


# -- speed that must not fade

HOT = {
    "claim": (claim._DUE, (1, 1, T0, 10)),
    "claimed": (claim._READ, (1, 1, 1)),
    "next due": (read._NEXT_DUE, (1,)),
    "key active": (ledger._ACTIVE, (1, b"k")),
    "key unfinished": (ledger._ANY, (1, b"k")),
    "key first": (ledger._FIRST, (1, b"k", 1)),
    "identities": (accept_module._KNOWN[8], (b"h",) * 8),
    "settle": (settle_module._END, (10, T0, "", None, 1, 1, 1, 1, 1)),
    "retention": (retain._OLD, (T0, 0, 40)),
    "last run": (operate._LAST, (1, 1)),
    "recovery": (recover._FREED, (1, 1)),
}


@pytest.mark.parametrize("name", HOT)
async def test_no_frequent_statement_looks_through_a_table_or_sorts(data, name):
    async with Opened(data) as opened:
        plan = opened.store._connection.execute("EXPLAIN QUERY PLAN " + HOT[name][0], HOT[name][1]).fetchall()
    steps = [row[3] for row in plan]
    for step in steps:
        assert "TEMP B-TREE" not in step, steps
        assert "state<?" not in step or name == "key unfinished", steps
        assert not step.startswith("SCAN runs"), steps
        assert not step.startswith("SCAN messages"), steps
