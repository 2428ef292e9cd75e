"""Looking at the store's file from outside tells the truth and changes nothing."""

import os
import sqlite3

import pytest

from service.errors import Unavailable
from service.store import LOOKS
from service.store.migrate import read
from service.store.sqlite import SQLiteStore
from service.store.sqlite.look import look


@pytest.fixture
async def data(tmp_path):
    """A data directory whose instance was stopped."""
    store = SQLiteStore(tmp_path / "data", reached=lambda _: None, clock_ms=lambda: 1_000, on_fatal=print)
    await store.open()
    await store.put("clock", b"123456")
    await store.close()
    return tmp_path / "data"


def files(folder):
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_it_is_registered():
    assert LOOKS["sqlite"] == "service.store.sqlite.look:look"


def test_no_data_are_said_to_be_none(tmp_path):
    assert not look(tmp_path).there
    assert not look(tmp_path / "nothing").there
    (tmp_path / "pointsman.db").touch()
    assert not look(tmp_path).there
    assert look(tmp_path).engine == f"SQLite {sqlite3.sqlite_version}"


async def test_data_of_this_program_are_fine_and_untouched(data):
    before = files(data)
    facts = look(data)
    assert facts.there
    assert facts.wal
    assert facts.problems == ()
    assert (facts.migrations, facts.missing) == (len(read("sqlite")), 0)
    assert facts.clock_ms == 123_456
    assert files(data) == before


async def test_a_running_instance_can_be_looked_at(tmp_path):
    store = SQLiteStore(tmp_path, reached=lambda _: None, clock_ms=lambda: 1_000, on_fatal=print)
    await store.open()
    await store.put("clock", b"77")
    assert look(tmp_path).clock_ms == 77
    await store.put("clock", b"78")
    await store.close()
    assert look(tmp_path).clock_ms == 78


def test_what_is_no_database_is_said(tmp_path):
    (tmp_path / "pointsman.db").write_bytes(b"something else" * 100)
    assert [one.code for one in look(tmp_path).problems] == ["store-foreign"]


def test_a_database_of_another_program_is_said(tmp_path):
    with sqlite3.connect(tmp_path / "pointsman.db") as other:
        other.execute("CREATE TABLE x (y)")
    other.close()
    assert [one.code for one in look(tmp_path).problems] == ["store-foreign"]


def change(data, statement):
    connection = sqlite3.connect(data / "pointsman.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


async def test_newer_data_are_said(data):
    number = len(read("sqlite")) + 1
    change(data, f"INSERT INTO migrations VALUES ({number}, 'later', 'x', 1)")
    change(data, f"PRAGMA user_version = {number}")
    assert [one.code for one in look(data).problems] == ["store-newer"]


async def test_other_data_are_said(data):
    change(data, "UPDATE migrations SET digest = 'other' WHERE number = 1")
    assert [one.code for one in look(data).problems] == ["store-differs"]


async def test_missing_migrations_are_counted(data):
    number = len(read("sqlite"))
    change(data, f"DELETE FROM migrations WHERE number = {number}")
    change(data, f"PRAGMA user_version = {number - 1}")
    facts = look(data)
    assert (facts.migrations, facts.missing, facts.problems) == (number - 1, 1, ())


async def test_a_damaged_database_is_no_traceback(data):
    path = data / "pointsman.db"
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(bytes(content))
    with pytest.raises(Unavailable, match="cannot be used"):
        look(data)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path):
    (tmp_path / "pointsman.db").touch(mode=0)
    with pytest.raises(Unavailable, match="cannot be read"):
        look(tmp_path)
