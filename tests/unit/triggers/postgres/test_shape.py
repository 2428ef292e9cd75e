"""A row that is written by a pattern is the row that is written value by value, or it is left to that."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.tables import every_row
from tests.unit.triggers.postgres.encoding import ORDERS, encode, row
from tests.unit.triggers.postgres.test_changes import AT, START, changes, feed, ids, insert, transaction
from tests.unit.triggers.postgres.test_rows import FULL, writer
from triggers.base import Reject
from triggers.postgres.changes import PLAIN_ROW
from triggers.postgres.pgoutput import UNCHANGED, Begin, Binary, Column, Insert, Relation, Update
from triggers.postgres.shape import LEARNT_AFTER, MAX_PLAIN, MAX_SOMETIMES_NULL

OIDS = (20, 25, 1700, 16, 1184, 1114, 3802, 1043)
TABLE = Relation(
    oid=7,
    schema="public",
    name="100%b",
    identity="default",
    columns=tuple(Column(f"%{number}", number < 1, oid, -1) for number, oid in enumerate(OIDS)),
)
TEXTS = [
    b"",
    b"n",
    b"nn",
    b"tn",
    b"xnt",
    b'"',
    b"a\nb",
    b"gr\xc3\xbc\xc3\x9f",
    b"\\",
    b"%b",
    b"\x7f",
    b"n" * 300,
]
VALUES = {
    20: [b"0", b"-12", b"x"],
    25: TEXTS,
    1700: [b"1.10", b"NaN", b"9" * 301, b"1e5"],
    16: [b"t", b"f", b"n"],
    1184: [b"2026-01-02 03:04:05.5+00", b"infinity", b"2026-01-02 03:04:05+02"],
    1114: [b"2026-01-02 03:04:05", b"-infinity"],
    3802: [b"{}", b'{"a": 1}', b"[" * 70 + b"]" * 70, b"nn"],
    1043: TEXTS,
}
ROWS = st.tuples(*(st.one_of(st.none(), st.sampled_from(VALUES[oid])) for oid in OIDS)).map(list)


def written(each: Any, values: Any, *, update: bool = False) -> bytes | None:
    return each.write_bytes(b"header" + row(values), 6, update)


@examples(60)
@given(st.lists(ROWS, min_size=1, max_size=4), st.lists(ROWS, min_size=1, max_size=8), st.booleans())
def test_a_row_becomes_the_same_by_its_bytes_and_value_by_value(
    taught: list[list[bytes | None]], rows: list[list[bytes | None]], narrow: bool
) -> None:
    """Also where an `n` at the end of a value looks like a NULL behind it, and with columns left out."""
    settings: dict[str, Any] = {"exclude_columns": {"public.100%b": ["%1", "%4"]}} if narrow else {}
    each, careful = writer(TABLE, **settings), writer(TABLE, **settings)
    for number in range(LEARNT_AFTER):
        each.insert(Insert(7, [*taught[number % len(taught)]], True))
    if len(taught) == 1 and taught[0][0] is not None:  # else it may be left to the decoder
        assert written(each, taught[0]) == careful.insert(Insert(7, [*taught[0]], True))
    for values in (*taught, *rows):
        whole = [*values]
        assert written(each, values) in (None, careful.insert(Insert(7, whole, True)))
        assert written(each, values, update=True) in (
            None,
            careful.update(Update(7, None, False, whole, True)),
        )


def test_an_n_before_a_null_is_told_from_a_null() -> None:
    """Both rows are the same bytes but for a length."""
    columns = tuple(Column(name, name == "a", 25, -1) for name in "abc")
    table = msgspec.structs.replace(ORDERS, columns=columns)
    each = writer(table)
    for _ in range(LEARNT_AFTER):
        each.insert(Insert(100, [b"x", b"y", None], True))
    assert b'"after":{"a":"xn","b":"yn","c":null}' in (written(each, [b"xn", b"yn", None]) or b"")
    assert written(each, [b"x", None, b"yn"]) is None


def test_nothing_is_written_by_bytes_before_enough_is_learnt() -> None:
    each = writer()
    values = [b"1", b"2", b"x"]
    for _ in range(LEARNT_AFTER - 1):
        each.insert(Insert(100, [*values], True))
    assert written(each, values) is None
    each.insert(Insert(100, [*values], True))
    assert written(each, values) is not None


def test_what_comes_often_is_learnt_later_too() -> None:
    each = writer()
    for _ in range(LEARNT_AFTER):
        each.insert(Insert(100, [b"1", b"2", b"x"], True))
    quoted = [b"1", b"2", b'"' * (MAX_PLAIN + 1)]
    assert written(each, quoted) is None
    for _ in range(LEARNT_AFTER):
        each.insert(Insert(100, [*quoted], True))
    assert written(each, quoted) == writer().insert(Insert(100, [*quoted], True))


@every_row(
    "bad",
    [
        row([b"1", b"2"]),
        row([b"1", b"2", b"x", b"y"]),
        row([b"1", b"2", UNCHANGED]),
        row([b"1", b"2", Binary(b"x")]),
        row([b"1", b"2", b"x"])[:-1] + b"\0",
        row([b"1", b"2", b"x"]) + b"n",
        row([b"1", b"2", b"x" * 70_000]),
        row([b"1", b"2"])[:-1],
        b"",
    ],
)
def test_what_is_no_row_of_text_and_null_is_left_to_the_decoder(bad: bytes) -> None:
    each = writer()
    for number in range(4 * LEARNT_AFTER):
        each.insert(Insert(100, [b"1", b"2", b"x" if number % 2 else b"xyz"], True))
    assert written(each, [b"1", b"2", b"x"]) is not None
    found = each.write_bytes(bad, 0, False)
    assert found is None or bad.endswith(b"xn"), found


def test_a_table_of_one_column_without_a_key_is_read_value_by_value() -> None:
    each = writer(
        Relation(oid=1, schema="a", name="b", identity="nothing", columns=(Column("n", False, 25, -1),))
    )
    for _ in range(2 * LEARNT_AFTER):
        each.insert(Insert(1, [b"x"], True))
    assert written(each, [b"x"]) is None


@every_row("width", [MAX_SOMETIMES_NULL, 40])
def test_values_that_look_like_nulls_cost_no_more_than_some_hundred_ways(width: int) -> None:
    columns = tuple(Column(f"c{number}", number == 0, 25, -1) for number in range(width + 1))
    each = writer(msgspec.structs.replace(ORDERS, columns=columns))
    for number in range(LEARNT_AFTER):
        each.insert(Insert(100, [b"x", *[None if number % 2 else b"y"] * width], True))
    full = written(each, [b"n" * 40] * (width + 1))
    assert (full is None) == (width > MAX_SOMETIMES_NULL)
    assert written(each, [*[b"n" * 40] * width, UNCHANGED]) is None


# -- in a stream


def taught(**settings: Any) -> Any:
    each = changes(**settings)
    feed(each, ORDERS, *transaction(8, 0x180, *map(insert, range(LEARNT_AFTER))))
    each.whole()
    return each


def test_a_message_is_the_same_by_bytes() -> None:
    by_bytes, decoded = taught(), taught()
    change = insert(5)
    feed(by_bytes, Begin(0x200, AT, 9))
    feed(decoded, Begin(0x200, AT, 9), change)
    assert by_bytes.take_bytes(b"w" * 25 + encode(change), 25) is False
    assert by_bytes.part() == decoded.part()


def test_a_batch_is_full_by_bytes_too() -> None:
    each = taught(batch=2)
    feed(each, Begin(0x200, AT, 9))
    assert [each.take_bytes(encode(insert(number)), 0) for number in range(2)] == [False, True]


def test_what_is_stored_is_skipped_by_the_decoded_way() -> None:
    each = taught()
    feed(each, Begin(0x200, AT, 9))
    each.take_bytes(encode(insert(1)), 0)
    again = changes(each.part().position)
    feed(again, ORDERS)
    writers = list(again._writers.values())
    for _ in range(LEARNT_AFTER):
        writers[0].insert(insert(1))
    feed(again, Begin(0x200, AT, 9))
    assert again.take_bytes(encode(insert(1)), 0) is None
    feed(again, insert(1))
    assert again.take_bytes(encode(insert(2)), 0) is False
    assert ids(again.part().items) == ["77/1/0/200/9/2"]


def test_only_rows_within_a_transaction_of_a_table_and_operation_that_are_taken_go_by_bytes() -> None:
    each = taught(operations=["update"])
    assert each.take_bytes(encode(insert(1)), 0) is None
    feed(each, Begin(0x200, AT, 9))
    for message in (insert(1), insert(1, 101), Update(100, [b"1", None, None], False, [b"2"], True)):
        assert each.take_bytes(encode(message), 0) is None
    assert each.take_bytes(b"", 0) is None


def test_a_row_that_is_not_utf_8_is_left_to_become_a_reject() -> None:
    each = taught()
    plain = [b"1", b"1", b"x"]
    feed(each, *transaction(9, 0x200, *[Insert(100, [*plain], True)] * 2 * LEARNT_AFTER))
    each.whole()
    bad = Insert(100, [b"1", b"1", b"\xff"], True)
    feed(each, Begin(0x300, AT, 10))
    assert each.take_bytes(encode(bad), 0) is None
    feed(each, bad)
    (reject,) = each.part().items
    assert isinstance(reject, Reject)


def test_a_table_that_is_described_anew_forgets_its_shape() -> None:
    each = taught()
    feed(each, Begin(0x200, AT, 9), FULL)
    assert each.take_bytes(encode(insert(1)), 0) is None
    assert encode(insert(1))[: PLAIN_ROW.size] == PLAIN_ROW.pack(b"I", 100, b"N")
    assert START.part is None
