"""The decoder of pgoutput reads what the plugin writes, and refuses everything else in plain words."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.triggers.postgres.encoding import ORDERS, encode
from triggers.postgres.pgoutput import (
    UNCHANGED,
    Begin,
    Binary,
    Column,
    Commit,
    Decoded,
    Decoder,
    Delete,
    Insert,
    LogicalMessage,
    Origin,
    ProtocolError,
    Relation,
    Row,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
MOMENTS = st.integers(-(2**62), 2**62)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
PLAIN = st.one_of(st.none(), st.binary(max_size=20))
VALUES = st.one_of(PLAIN, st.just(UNCHANGED), st.builds(Binary, st.binary(max_size=5)))
ROWS = st.lists(VALUES, max_size=6)


def plain(row: Row) -> bool:
    return all(value is None or isinstance(value, bytes) for value in row)


CHANGES: st.SearchStrategy[Decoded] = st.one_of(
    st.builds(lambda oid, row, xid: Insert(oid, row, plain(row), xid), U32, ROWS, U32),
    st.builds(
        lambda oid, old, whole, new, xid: Update(oid, old, whole and old is not None, new, plain(new), xid),
        U32,
        st.one_of(st.none(), ROWS),
        st.booleans(),
        ROWS,
        U32,
    ),
    st.builds(Delete, U32, ROWS, st.booleans(), U32),
    st.builds(Truncate, st.lists(U32, max_size=4).map(tuple), st.booleans(), st.booleans(), U32),
    st.builds(LogicalMessage, st.booleans(), U64, NAMES, st.binary(max_size=20), U32),
    st.builds(Type, oid=U32, schema=NAMES, name=NAMES, xid=U32),
    st.builds(
        Relation,
        oid=U32,
        schema=NAMES,
        name=NAMES,
        identity=st.sampled_from(["default", "full", "index", "nothing"]),
        columns=st.lists(
            st.builds(Column, NAMES, st.booleans(), U32, st.integers(-(2**31), 2**31 - 1)), max_size=4
        ).map(tuple),
        xid=U32,
    ),
)
OTHERS: st.SearchStrategy[Decoded] = st.one_of(
    st.builds(Begin, U64, MOMENTS, U32),
    st.builds(Commit, U64, U64, MOMENTS),
    st.builds(Origin, U64, NAMES),
    st.builds(StreamStart, U32, st.booleans()),
    st.builds(StreamCommit, U32, U64, U64, MOMENTS),
    st.builds(StreamAbort, U32, U32),
)


def without_xid(message: Any) -> Any:
    return msgspec.structs.replace(message, xid=0)


@examples(150)
@given(CHANGES)
def test_reads_every_change_of_version_1(message: Decoded) -> None:
    assert Decoder().decode(encode(message)) == without_xid(message)


@examples(100)
@given(OTHERS)
def test_reads_every_frame_of_a_transaction(message: Decoded) -> None:
    assert Decoder().decode(encode(message)) == message


@examples(100)
@given(CHANGES)
def test_reads_changes_with_their_xid_within_a_streamed_block_only(message: Decoded) -> None:
    decoder = Decoder()
    decoder.decode(encode(StreamStart(7, True)))
    assert decoder.decode(encode(message, streamed=True)) == message
    decoder.decode(encode(StreamStop()))
    assert decoder.decode(encode(message)) == without_xid(message)


@examples(100)
@given(CHANGES, st.data())
def test_a_message_that_is_cut_is_refused(message: Decoded, data: st.DataObject) -> None:
    whole = encode(message)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ProtocolError):
        Decoder().decode(whole[:end])


@examples(300)
@given(st.one_of(CHANGES, OTHERS), st.data())
def test_damaged_bytes_give_a_message_or_a_protocol_error(message: Decoded, data: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        Decoder().decode(bytes(damaged))


@examples(200)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_message_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        Decoder().decode(data)


def test_bytes_behind_a_message_are_refused() -> None:
    with pytest.raises(ProtocolError, match="expected"):
        Decoder().decode(encode(ORDERS) + b"\0")


def test_a_length_beyond_the_end_is_refused_without_taking_memory() -> None:
    huge = b"I" + bytes(4) + b"N" + b"\x00\x01t\xff\xff\xff\xff"
    with pytest.raises(ProtocolError):
        Decoder().decode(huge)
    with pytest.raises(ProtocolError):
        Decoder().decode(b"T\xff\xff\xff\xff\x00")


def test_reads_from_an_offset_as_a_frame_has_a_header() -> None:
    assert Decoder().decode(b"w" * 25 + encode(ORDERS), 25) == ORDERS


def test_an_empty_schema_is_that_of_the_catalogue() -> None:
    relation = Relation(oid=1, schema="pg_catalog", name="x", identity="nothing", columns=())
    assert Decoder().decode(encode(relation)) == relation
