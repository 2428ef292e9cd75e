"""Positions are stored as JSON that an operator can read, and read back exactly."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.errors import SourceRejected
from triggers.postgres.position import Part, Position, format_lsn, parse_lsn

LSN = st.integers(0, 2**64 - 1)


@given(LSN)
def test_an_lsn_is_written_as_postgresql_does(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


def test_lsns_that_are_none_are_refused() -> None:
    assert format_lsn(0x16B3748) == "0/16B3748"
    for text in ("", "0", "0/", "/0", "0/123456789", "0/x", "0/1 ", "-1/0"):
        with pytest.raises(ValueError, match="not an LSN"):
            parse_lsn(text)


@given(LSN, LSN, st.integers(0, 2**32 - 1), st.one_of(st.none(), st.integers(0, 2**31)))
def test_a_position_is_read_back_as_it_was(lsn: int, final: int, xid: int, index: int | None) -> None:
    part = None if index is None else Part(final_lsn=final, xid=xid, index=index)
    position = Position(system_id="77", timeline=3, slot="s", lsn=lsn, xid=xid, part=part)
    assert Position.decode(position.encode()) == position


def test_a_position_is_json_for_people() -> None:
    position = Position(system_id="77", timeline=1, slot="s", lsn=0x16B3748, xid=5)
    assert msgspec.json.decode(position.encode()) == {
        "system_id": "77",
        "timeline": 1,
        "slot": "s",
        "lsn": "0/16B3748",
        "xid": 5,
    }


@every_row("data", [b"", b"{}", b"[]", b'{"system_id":"1","timeline":1,"slot":"s","lsn":"x"}'])
def test_what_is_no_position_is_refused(data: bytes) -> None:
    with pytest.raises(SourceRejected, match="position"):
        Position.decode(data)
