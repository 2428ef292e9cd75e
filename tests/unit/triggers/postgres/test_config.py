"""The configuration of a PostgreSQL source says what it wants in plain words."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.tables import every_row
from tests.unit.triggers.postgres.test_rows import config
from triggers.postgres.config import publication_name, slot_name, takes_column, takes_table


def test_slot_and_publication_are_named_after_the_source() -> None:
    assert slot_name("Shop-DB", config()) == "pointsman_shop_db"
    assert publication_name("shop", config()) == "pointsman_shop"
    assert slot_name("x" * 100, config()) == "pointsman_" + "x" * 53
    named = config(slot="mine", publication="Theirs")
    assert (slot_name("shop", named), publication_name("shop", named)) == ("mine", "Theirs")


def test_tables_are_taken_by_name_or_by_schema() -> None:
    both = config(tables=["public.orders", "shop.*"], exclude_tables=["shop.secrets"])
    assert takes_table(both, "public", "orders")
    assert takes_table(both, "shop", "items")
    assert not takes_table(both, "shop", "secrets")
    assert not takes_table(both, "public", "items")
    assert takes_table(config(), "any", "table")
    assert not takes_table(config(exclude_tables=["a.*"]), "a", "b")


def test_columns_are_taken_unless_told_otherwise() -> None:
    only = config(columns={"a.b": ["x"]})
    assert takes_column(only, "a", "b", "x")
    assert not takes_column(only, "a", "b", "y")
    assert takes_column(only, "a", "c", "y")
    assert not takes_column(config(exclude_columns={"a.b": ["x"]}), "a", "b", "x")


@every_row(
    ("settings", "words"),
    [
        ({"tables": ["orders"]}, "write schema.table, for example public.orders"),
        ({"columns": {"a.*": ["x"]}}, "write one table"),
        ({"slot": "Big"}, "a slot's name"),
        ({"mode": "outbox"}, "belong together"),
        ({"cert": "x"}, "belong together"),
        ({"columns": {"a.b": ["x"]}, "exclude_columns": {"a.b": ["y"]}}, "not both"),
        ({"poll_every": "1ms"}, "too short"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"operations": ["upsert"]}, "insert"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(**settings)


def test_the_url_never_shows() -> None:
    secret = config(url="postgresql://u:hunter2@localhost/x")
    assert "hunter2" not in repr(secret)
    with pytest.raises(ValidationError) as caught:
        config(url="postgresql://u:hunter2@localhost/x", tables=["x"])
    assert "hunter2" not in str(caught.value)
