"""Rows as COPY writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.postgres.copytext import Full, Rows, row

_ESCAPES = {
    b"\\": b"\\\\",
    b"\b": b"\\b",
    b"\f": b"\\f",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\t": b"\\t",
    b"\v": b"\\v",
}


def written(values):
    """Write a row as PostgreSQL does."""
    fields = []
    for value in values:
        if value is None:
            fields.append(rb"\N")
        else:
            fields.append(b"".join(_ESCAPES.get(bytes([byte]), bytes([byte])) for byte in value))
    return b"\t".join(fields)


values = st.lists(st.none() | st.binary(max_size=12), min_size=1, max_size=5)


@given(values)
def test_a_row_reads_as_it_was(row_values):
    assert row(written(row_values)) == row_values


@given(st.lists(values, min_size=1, max_size=6), st.integers(1, 9))
async def test_pieces_may_end_anywhere(rows, size):
    text = b"".join(written(one) + b"\n" for one in rows)
    gathered = Rows(limit=1_000_000)
    for start in range(0, len(text), size):
        await gathered(text[start : start + size])
    assert gathered.rows == rows
    assert gathered.bytes == len(text)


async def test_stops_when_enough_is_gathered_but_never_before_one_row():
    gathered = Rows(limit=10)
    await gathered(b"x" * 100)
    with pytest.raises(Full):
        await gathered(b"x\ny")
    assert gathered.rows == [[b"x" * 101]]
