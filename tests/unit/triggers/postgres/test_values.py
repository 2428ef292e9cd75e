"""Values of PostgreSQL become JSON without loss."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.tables import every_row
from triggers.postgres.nested import array, composite, multirange, value_range
from triggers.postgres.types import NUMERIC, Types
from triggers.postgres.values import (
    SESSION_SETTINGS,
    binary,
    boolean,
    embedded,
    integer,
    number,
    text,
    time_zoned,
    timestamp,
    timestamp_zoned,
)


def quoted(value: bytes) -> bytes:
    return json.dumps(value.decode(), ensure_ascii=False).encode()


@every_row("value", [b"0", b"-1", b"12345678901234567890", b"1.10", b"0.00000", b"1e-07", b"1.5e+300", b"-0"])
def test_numbers_keep_every_digit(value: bytes) -> None:
    assert number(value) == value


@every_row("value", [b"NaN", b"Infinity", b"-Infinity", b"9" * 301, b"", b"1,2", b"01", b".5", b"1."])
def test_what_is_no_json_number_is_a_string(value: bytes) -> None:
    assert number(value) == quoted(value)


def test_the_longest_number_can_be_read() -> None:
    assert msgspec.json.decode(number(b"9" * 300)) == int("9" * 300)


def test_integers_stand_as_they_are() -> None:
    assert integer(b"-9223372036854775808") == b"-9223372036854775808"
    assert integer(b"1,2") == b'"1,2"'
    assert integer(b"-") == b'"-"'


def test_booleans() -> None:
    assert (boolean(b"t"), boolean(b"f"), boolean(b"x")) == (b"true", b"false", b'"x"')


@examples(50)
@given(st.binary(max_size=40))
def test_bytea_is_base64_in_both_of_its_text_forms(data: bytes) -> None:
    token = b'"%b"' % base64.b64encode(data)
    assert binary(b"\\x" + data.hex().encode()) == token
    escaped = b"".join(
        b"\\\\" if byte == 0x5C else bytes((byte,)) if 32 <= byte < 127 else b"\\%03o" % byte for byte in data
    )
    if not escaped.startswith(b"\\x"):
        assert binary(escaped) == token


def test_bytea_that_is_not_hexadecimal_is_text() -> None:
    assert binary(b"\\xz") == b'"\\\\xz"'


@every_row(
    ("value", "token"),
    [
        (b"2026-01-02 03:04:05+00", b"2026-01-02T03:04:05Z"),
        (b"2026-01-02 03:04:05.123456+00", b"2026-01-02T03:04:05.123456Z"),
        (b"2026-01-02 03:04:05+05:30", b"2026-01-02T03:04:05+05:30"),
        (b"2026-01-02 03:04:05-07", b"2026-01-02T03:04:05-07:00"),
        (b"infinity", b"infinity"),
        (b"0044-03-15 00:00:00+00 BC", b"0044-03-15 00:00:00+00 BC"),
        (b"12026-01-02 03:04:05+00", b"12026-01-02 03:04:05+00"),
    ],
)
def test_moments_with_a_zone_are_rfc_3339_where_its_calendar_holds_them(value: bytes, token: bytes) -> None:
    assert timestamp_zoned(value) == b'"%b"' % token


def test_moments_without_a_zone_and_times() -> None:
    assert timestamp(b"2026-01-02 03:04:05.5") == b'"2026-01-02T03:04:05.5"'
    assert timestamp(b"-infinity") == b'"-infinity"'
    assert time_zoned(b"03:04:05+02") == b'"03:04:05+02:00"'
    assert time_zoned(b"03:04:05+02:30") == b'"03:04:05+02:30"'


def test_json_is_embedded_as_it_stands() -> None:
    assert (
        embedded(b' {"a": 1.10, "b": [12345678901234567890]}\n')
        == b'{"a": 1.10, "b": [12345678901234567890]}'
    )


@every_row("value", [b'{"a": 1e999}', b'"\\ud800"', b"[" * 70 + b"]" * 70, b"{", b""])
def test_json_that_readers_would_refuse_is_a_string(value: bytes) -> None:
    assert embedded(value) == quoted(value)


def test_text_that_is_not_utf_8_is_an_error_to_be_rejected() -> None:
    with pytest.raises(UnicodeDecodeError):
        text(b"\xff")


# -- what is made of others

ELEMENTS = st.one_of(
    st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
)


def array_text(value: Any) -> str:
    """Write an array as PostgreSQL does, with every element in quotes."""
    if isinstance(value, list):
        return "{" + ",".join(map(array_text, value)) + "}"
    return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@examples(100)
@given(
    st.one_of(
        st.lists(ELEMENTS, max_size=5), st.lists(st.lists(ELEMENTS, min_size=1, max_size=3), max_size=3)
    )
)
def test_arrays_of_any_text_are_arrays(value: Any) -> None:
    assert msgspec.json.decode(array(text)(array_text(value).encode())) == value


@every_row(
    ("value", "token"),
    [
        (b"{}", b"[]"),
        (b"{1,2,NULL}", b"[1,2,null]"),
        (b"{{1,2},{3,4}}", b"[[1,2],[3,4]]"),
        (b"[0:1]={1,2}", b'"[0:1]={1,2}"'),
        (b"{1,}", b'"{1,}"'),
        (b"{1", b'"{1"'),
        (b"{1}}", b'"{1}}"'),
        (b"{1{", b'"{1{"'),
        (b"{,}", b'"{,}"'),
        (b"", b'""'),
    ],
)
def test_arrays_that_do_not_read_as_such_are_text(value: bytes, token: bytes) -> None:
    assert array(integer)(value) == token


def test_boxes_are_parted_by_another_mark() -> None:
    assert array(text, b";")(b"{(1,2),(3,4);(5,6),(7,8)}") == b'["(1,2),(3,4)","(5,6),(7,8)"]'


@examples(50)
@given(ELEMENTS, ELEMENTS)
def test_composites_are_objects(one: str | None, two: str | None) -> None:
    def field(value: str | None) -> str:
        return "" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'

    value = f"({field(one)},{field(two)})".encode()
    assert msgspec.json.decode(composite([("a", text), ("ü", text)])(value)) == {"a": one, "ü": two}


@every_row("value", [b"(1)", b"(1,2,3)", b"(1,2", b"1,2", b"(1,2)x", b""])
def test_composites_with_other_attributes_are_text(value: bytes) -> None:
    assert composite([("a", integer), ("b", integer)])(value) == quoted(value)


@every_row(
    ("value", "seen"),
    [
        (b"[1,10)", {"lower": 1, "upper": 10, "bounds": "[)"}),
        (b"(,5]", {"lower": None, "upper": 5, "bounds": "(]"}),
        (b"empty", {"empty": True}),
        (b"[1", "[1"),
        (b"[1,2,3)", "[1,2,3)"),
    ],
)
def test_ranges_are_objects(value: bytes, seen: Any) -> None:
    assert msgspec.json.decode(value_range(integer)(value)) == seen


def test_bounds_in_quotes_are_read() -> None:
    value = b'["2020-01-01 00:00:00","2020-01-02 00:00:00")'
    assert (
        value_range(timestamp)(value)
        == b'{"lower":"2020-01-01T00:00:00","upper":"2020-01-02T00:00:00","bounds":"[)"}'
    )


def test_multiranges_are_arrays_of_ranges() -> None:
    encode = multirange(integer)
    assert encode(b"{}") == b"[]"
    assert msgspec.json.decode(encode(b"{[1,3),[5,7)}")) == [
        {"lower": 1, "upper": 3, "bounds": "[)"},
        {"lower": 5, "upper": 7, "bounds": "[)"},
    ]
    for value in (b"{[1,3)", b"{[1,3),}", b"x", b"{[1,3)}}"):
        assert encode(value) == quoted(value)


@examples(200)
@given(st.text(st.sampled_from('{}[]()",\\N1a '), max_size=14))
def test_whatever_stands_there_the_token_is_json(value: str) -> None:
    for encode in (
        array(integer),
        array(text),
        composite([("a", text), ("b", array(integer))]),
        value_range(number),
        multirange(integer),
        integer,
        number,
        embedded,
    ):
        msgspec.json.decode(encode(value.encode()))


# -- types


def row(oid: int, typtype: str, **rest: Any) -> dict[str, Any]:
    return {
        "oid": oid,
        "name": f"t{oid}",
        "typtype": typtype,
        "category": "U",
        "delimiter": ",",
        "parts": None,
        "names": None,
        **rest,
    }


def test_types_are_asked_for_until_everything_they_are_made_of_is_known() -> None:
    types = Types()
    assert types.unknown([23, 20_000, 25]) == [20_000]
    assert types.learn([row(20_000, "d", parts=[20_001])], [20_000]) == [20_001]
    assert types.learn([row(20_001, "b", category="A", parts=[20_002])], [20_001]) == [20_002]
    assert types.learn([row(20_002, "c", parts=[23, 20_003], names=["n", "mood"])], [20_002]) == [20_003]
    assert types.learn([row(20_003, "e")], [20_003]) == []
    assert types.encoder(20_000)(b'{"(1,happy)"}') == b'[{"n":1,"mood":"happy"}]'


def test_a_type_that_nobody_knows_is_text() -> None:
    types = Types()
    assert types.encoder(99_999)(b"x") == b'"x"'
    assert types.learn([], [99_999]) == []
    assert types.unknown([99_999]) == []
    types.forget([99_999])
    assert types.unknown([99_999]) == [99_999]


def test_a_type_that_is_made_of_itself_ends_as_text() -> None:
    types = Types()
    types.learn([row(20_000, "d", parts=[20_000])])
    assert types.encoder(20_000)(b"x") == b'"x"'


def test_numeric_may_be_a_string() -> None:
    assert Types(numeric="string").encoder(NUMERIC)(b"1.10") == b'"1.10"'
    assert Types().encoder(NUMERIC)(b"1.10") == b"1.10"


def test_the_session_writes_iso_and_utc() -> None:
    assert SESSION_SETTINGS["TimeZone"] == "UTC"
    assert SESSION_SETTINGS["IntervalStyle"] == "iso_8601"
