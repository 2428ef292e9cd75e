"""Migrations run in order, once, and never upon data of another history."""

import pytest

from service.errors import Invalid
from service.store.migrate import Applied, migrate, migration, read
from service.store.sqlite.connect import statements

ONE = migration(1, "first", "CREATE TABLE a (x);")
TWO = migration(2, "second", "CREATE TABLE b (x);")


class Ledger:
    """A store that only remembers what ran."""

    def __init__(self, *had):
        self.had = [Applied(number=one.number, name=one.name, digest=one.digest) for one in had]
        self.ran = []

    def applied(self):
        return self.had

    def apply(self, one, reached):
        reached("migration.inside")
        reached("migration.before_commit")
        self.ran.append(one.number)


def run(ledger, *migrations):
    points = []
    return migrate(ledger, migrations, reached=points.append), points


def test_missing_migrations_run_in_order():
    empty, half, whole = Ledger(), Ledger(ONE), Ledger(ONE, TWO)
    assert (run(empty, ONE, TWO)[0], empty.ran) == (2, [1, 2])
    assert (run(half, ONE, TWO)[0], half.ran) == (1, [2])
    assert run(whole, ONE, TWO) == (0, [])


def test_points_stand_around_each_migration():
    _count, points = run(Ledger(), ONE, TWO)
    assert points == [
        "migration.before", "migration.inside", "migration.before_commit", "migration.after_commit",
    ] * 2  # fmt: skip


def test_newer_data_is_refused_and_nothing_runs():
    ledger = Ledger(ONE, TWO)
    with pytest.raises(Invalid) as refused:
        run(ledger, ONE)
    assert [problem.code for problem in refused.value.problems] == ["store-newer"]
    assert "version 2" in str(refused.value)
    assert "up to 1" in str(refused.value)
    assert ledger.ran == []


def test_another_history_is_refused_with_every_difference():
    ledger = Ledger(migration(1, "first", "CREATE TABLE other (x);"), migration(2, "second", "other"))
    with pytest.raises(Invalid) as refused:
        run(ledger, ONE, TWO, migration(3, "third", ""))
    assert [problem.code for problem in refused.value.problems] == ["store-differs"] * 2
    assert ledger.ran == []


def test_ours_are_numbered_without_a_gap():
    ours = read("sqlite")
    assert [one.number for one in ours] == list(range(1, len(ours) + 1))
    assert all(len(one.digest) == 64 and one.text for one in ours)


def test_text_is_split_into_statements():
    text = "-- a; comment\nCREATE TABLE a (x);\nINSERT INTO a VALUES ('one;\ntwo');\n-- the end\n"
    parts = list(statements(text))
    assert [part.strip().splitlines()[-1] for part in parts] == [
        "CREATE TABLE a (x);",
        "two');",
        "-- the end",
    ]
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
    assert list(statements(trigger)) == [trigger]
