"""Rows become the data of messages: what is old, new, changed and missing is told apart."""

from typing import Any

import msgspec
import pytest

from tests.unit.triggers.postgres.encoding import ORDERS
from triggers.postgres.config import PostgresConfig
from triggers.postgres.pgoutput import (
    UNCHANGED,
    Binary,
    Column,
    Delete,
    Insert,
    ProtocolError,
    Relation,
    Truncate,
    Update,
)
from triggers.postgres.rows import RowWriter
from triggers.postgres.types import Types


def config(**settings: Any) -> PostgresConfig:
    return PostgresConfig.model_validate(
        {"kind": "postgres", "url": "postgresql://localhost/shop", **settings}
    )


def writer(relation: Relation = ORDERS, key: tuple[str, ...] = (), **settings: Any) -> RowWriter:
    return RowWriter(relation, config(**settings), Types(), key)


def seen(data: bytes) -> Any:
    return msgspec.json.decode(data)


FULL = msgspec.structs.replace(
    ORDERS, identity="full", columns=tuple(msgspec.structs.replace(each, key=True) for each in ORDERS.columns)
)


def test_a_new_row_has_its_key_and_every_column() -> None:
    data = writer().insert(Insert(100, [b"1", b"1.10", None], True))
    assert data == (
        b'{"schema":"shop","table":"orders","op":"insert","key":{"id":1},"before":null,'
        b'"after":{"id":1,"total":1.10,"note":null},"changed":null,"unchanged":[]}'
    )


def test_a_row_that_was_read_looks_like_one_that_is_new() -> None:
    insert = writer().insert(Insert(100, [b"1", b"1.10", b"x"], True))
    assert writer().read([b"1", b"1.10", b"x"]) == insert.replace(b'"insert"', b'"read"')


def test_an_update_with_nothing_old_says_that_it_does_not_know_what_changed() -> None:
    data = seen(writer().update(Update(100, None, False, [b"1", b"2", b"x"], True)))
    assert (data["before"], data["changed"], data["unchanged"]) == (None, None, [])
    assert data["after"] == {"id": 1, "total": 2, "note": "x"}


def test_an_update_of_the_key_tells_the_old_key_only() -> None:
    change = Update(100, [b"1", None, None], False, [b"7", b"2", b"x"], True)
    data = seen(writer().update(change))
    assert (data["before"], data["key"], data["changed"]) == ({"id": 1}, {"id": 7}, None)


def test_an_update_with_the_whole_old_row_tells_what_changed() -> None:
    change = Update(100, [b"1", b"2", None], True, [b"1", b"3", b"x"], True)
    data = seen(writer(FULL, key=("id",)).update(change))
    assert data["before"] == {"id": 1, "total": 2, "note": None}
    assert data["changed"] == ["total", "note"]
    assert data["key"] == {"id": 1}


def test_a_large_value_that_was_not_touched_is_missing_and_named() -> None:
    change = Update(100, None, False, [b"1", b"2", UNCHANGED], False)
    data = seen(writer().update(change))
    assert data["after"] == {"id": 1, "total": 2}
    assert data["unchanged"] == ["note"]


def test_a_large_value_that_was_not_touched_is_taken_from_the_old_row_where_that_is_whole() -> None:
    change = Update(100, [b"1", b"2", b"long"], True, [b"1", b"3", UNCHANGED], False)
    data = seen(writer(FULL).update(change))
    assert data["after"] == {"id": 1, "total": 3, "note": "long"}
    assert (data["unchanged"], data["changed"]) == ([], ["total"])


def test_a_large_key_that_was_not_touched_is_taken_from_the_old_key() -> None:
    change = Update(100, [b"1", None, None], False, [UNCHANGED, b"3", b"x"], False)
    data = seen(writer().update(change))
    assert data["key"] == {"id": 1}
    assert data["after"]["id"] == 1


def test_a_row_that_is_gone_tells_its_key_or_all_of_it() -> None:
    data = seen(writer().delete(Delete(100, [b"1", None, None], False)))
    assert (data["key"], data["before"], data["after"]) == ({"id": 1}, {"id": 1}, None)
    data = seen(writer(FULL).delete(Delete(100, [b"1", b"2", None], True)))
    assert (data["key"], data["before"]) == (None, {"id": 1, "total": 2, "note": None})


def test_an_emptied_table_tells_how() -> None:
    data = seen(writer().truncate(Truncate((100,), True, False)))
    assert (data["op"], data["key"], data["cascade"], data["restart_identity"]) == (
        "truncate",
        None,
        True,
        False,
    )


def test_columns_that_are_not_taken_never_show() -> None:
    for settings in (
        {"exclude_columns": {"shop.orders": ["note"]}},
        {"columns": {"shop.orders": ["id", "total"]}},
    ):
        each = writer(FULL, key=("id",), **settings)
        for data in (
            each.insert(Insert(100, [b"1", b"2", b"secret"], True)),
            each.update(Update(100, [b"1", b"2", b"secret"], True, [b"1", b"2", b"other secret"], True)),
            each.update(Update(100, None, False, [b"1", b"2", b"secret"], True)),
            each.delete(Delete(100, [b"1", b"2", b"secret"], True)),
        ):
            assert b"note" not in data
            assert b"secret" not in data
            assert seen(data)["key"] == {"id": 1}


def test_a_key_that_is_not_taken_whole_is_no_key() -> None:
    relation = msgspec.structs.replace(ORDERS, identity="nothing")
    each = writer(relation, key=("id", "total"), exclude_columns={"shop.orders": ["total"]})
    assert seen(each.insert(Insert(100, [b"1", b"2", None], True)))["key"] is None


def test_names_are_written_as_they_are() -> None:
    relation = Relation(
        oid=1, schema='a"b', name="100%", identity="default", columns=(Column('%b"ü', True, 25, -1),)
    )
    data = seen(writer(relation).insert(Insert(1, [b"x%b"], True)))
    assert (data["schema"], data["table"], data["after"]) == ('a"b', "100%", {'%b"ü': "x%b"})


def test_a_row_that_does_not_fit_its_table_is_refused() -> None:
    each = writer()
    with pytest.raises(ProtocolError, match="2 columns, not 3"):
        each.insert(Insert(100, [b"1", b"2"], True))
    with pytest.raises(ProtocolError, match="2 columns, not 3"):
        each.delete(Delete(100, [b"1", b"2"], True))
    with pytest.raises(ProtocolError, match="not whole"):
        each.insert(Insert(100, [b"1", b"2", UNCHANGED], False))
    with pytest.raises(ProtocolError, match="text form"):
        each.update(Update(100, None, False, [b"1", b"2", Binary(b"x")], False))
