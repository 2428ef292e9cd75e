"""No bytes that a publisher can send break the decoding of a frame; what the driver reads is read the same."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import decode, encode, frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.tables import every_row
from triggers.rabbitmq import frames

_ORIGINAL = {
    "table": decode.field_table,
    "array": decode.field_array,
    "shortstr": decode.short_str,
    "timestamp": decode.timestamp,
}


@pytest.fixture(autouse=True)
def _installed():
    methods, mapping = dict(decode.METHODS), dict(decode.TABLE_MAPPING)
    frames.install()
    frames.install()
    yield
    decode.METHODS.update(methods)
    decode.TABLE_MAPPING.update(mapping)


def header(flags: int, properties: bytes) -> ContentHeader:
    """Return a content header as the driver decodes it from the wire."""
    payload = struct.pack(">HHQH", 60, 0, 5, flags) + properties
    raw = struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"
    _, _, decoded = frame.unmarshal(raw)
    assert isinstance(decoded, ContentHeader)
    return decoded


def test_a_message_id_that_is_not_utf_8_does_not_end_the_connection() -> None:
    decoded = header(Basic.Properties.flags["message_id"], b"\x03a\xffb")
    assert decoded.properties.message_id == "a\udcffb"


@every_row("number", [10**15, 10**18, (1 << 64) - 1])
def test_a_timestamp_that_is_no_time_does_not_end_the_connection(number: int) -> None:
    decoded = header(Basic.Properties.flags["timestamp"], struct.pack(">Q", number))
    assert decoded.properties.timestamp == number


def test_times_in_seconds_and_milliseconds_are_read_as_the_driver_does() -> None:
    for number in (0, 1_767_323_045, 0xFFFFFFFF, 0x100000000, 1_767_323_045_123):
        raw = struct.pack(">Q", number)
        assert frames.timestamp(raw) == _ORIGINAL["timestamp"](raw)


def test_a_key_of_a_table_that_is_not_utf_8_is_kept() -> None:
    raw = b"\x02a\xfft\x01"
    assert frames.table(struct.pack(">I", len(raw)) + raw) == (9, {"a\udcff": True})


def test_tables_nested_a_thousand_deep_end_as_bytes() -> None:
    raw = b""
    for _ in range(5_000):
        raw = b"\x01kF" + struct.pack(">I", len(raw)) + raw
    _, table = frames.table(struct.pack(">I", len(raw)) + raw)
    depth = 0
    value: Any = table
    while isinstance(value, dict):
        value = value["k"]
        depth += 1
    assert depth == frames.MAX_DEPTH + 1
    assert isinstance(value, bytes)


def test_a_table_of_many_fields_takes_no_more_than_linear_time() -> None:
    fields = b"".join(b"\x05k%04dt\x01" % (number % 10_000) for number in range(16_000))
    _, table = frames.table(struct.pack(">I", len(fields)) + fields)
    assert len(table) == 10_000


@every_row("raw", [b"", b"\x00\x00\x00\x05\x01", b"\x00\x00\x00\x02\x05a", b"\x00\x00\x00\x03\x01aQ"])
def test_a_table_that_is_cut_short_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut short|unknown type"):
        frames.table(raw)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, width=32)
    | st.binary(max_size=20).map(bytearray)
    | st.integers(0, 0xFFFFFFFF).map(lambda seconds: datetime.fromtimestamp(seconds, tz=UTC))
    | st.builds(
        lambda number, scale: Decimal(number).scaleb(-scale), st.integers(0, 9999), st.integers(0, 9)
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=20), _values, max_size=6))
def test_tables_are_read_as_the_driver_reads_them(table: dict[str, Any]) -> None:
    raw = encode.field_table(table)
    assert frames.table(raw) == _ORIGINAL["table"](raw)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_value_error(raw: bytes) -> None:
    for read in (frames.table, frames.array, frames.short_string, frames.timestamp):
        try:
            end, _ = read(raw)
        except ValueError:
            continue
        assert end <= len(raw)
