"""Tables of cases: no row is passed over, and every row that fails is told."""

import inspect

import pytest

from tests.tables import every_row


@pytest.fixture(autouse=True)
def _together(monkeypatch):
    monkeypatch.setattr("tests.tables._APART", False)


def test_every_row_is_tried_and_all_that_fail_are_told():
    tried = []

    @every_row(("one", "other"), [(1, 1), (1, 2), ("x", "y"), (4, 4)])
    def table(one, other):
        tried.append(one)
        assert one == other

    with pytest.raises(ExceptionGroup) as told:
        table()
    assert tried == [1, 1, "x", 4]
    head, *rows = told.value.message.splitlines()
    assert head == "2 of 4 rows fail"
    assert rows[0].startswith("  row 1: one=1, other=2: AssertionError: ")
    assert rows[1].startswith("  row 2: one='x', other='y': AssertionError: ")
    assert [error.__notes__ for error in told.value.exceptions] == [
        ["row 1 of 4: one=1, other=2"],
        ["row 2 of 4: one='x', other='y'"],
    ]


def test_one_row_that_fails_is_told_as_it_failed():
    @every_row("number", [1, 0, 2])
    def table(number):
        assert 1 / number

    with pytest.raises(ZeroDivisionError) as told:
        table()
    assert told.value.__notes__ == ["row 1 of 3: number=0"]


def test_what_pytest_itself_calls_a_failure_is_one():
    @every_row("error", [ValueError, None, None])
    def table(error):
        with pytest.raises(ValueError):
            if error is not None:
                raise error

    with pytest.raises(BaseExceptionGroup, match="2 of 3 rows fail"):
        table()


def test_two_tables_try_every_pair():
    tried = []

    @every_row("one", [1, 2])
    @every_row("other", "ab")
    def table(one, other):
        tried.append((one, other))

    table()
    assert sorted(tried) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


async def test_rows_may_be_awaited():
    @every_row("number", [1, 2, 3])
    async def table(number):
        assert number == 2

    with pytest.raises(ExceptionGroup, match="2 of 3 rows fail"):
        await table()


def test_what_is_no_column_is_a_fixture():
    @every_row("one", [1])
    def table(one, tmp_path):
        assert (one, tmp_path) == (1, "here")

    assert list(inspect.signature(table).parameters) == ["tmp_path"]
    table(tmp_path="here")


def test_tables_that_would_try_nothing_or_something_else_are_refused():
    with pytest.raises(ValueError, match="the table of 'one' is empty"):
        every_row("one", [])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        every_row(("one", "other"), [(1, 2), (1,)])
    with pytest.raises(ValueError, match="takes no other"):
        every_row(("one", "other"), [(1, 2)])(lambda one: one)
