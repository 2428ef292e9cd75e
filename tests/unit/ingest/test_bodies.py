"""Bodies are taken to the byte, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ingest.bodies import ChunkedBody, CountedBody
from service.ingest.refusals import Refusal
from tests.tables import every_row


def frame(chunks: list[bytes], trailer: bytes = b"") -> bytes:
    framed = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return framed + b"0\r\n" + trailer + b"\r\n"


def feed(body: ChunkedBody | CountedBody, data: bytes, cuts: list[int]) -> bytes:
    """Feed `data` in pieces and return what the body left over."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        piece = data[start:end]
        if body.done:
            return data[start:]
        taken = body.feed(piece, 0)
        if body.done:
            return piece[taken:] + data[end:]
        assert taken == len(piece)
    return b""


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.integers(0, 500), max_size=12),
    st.sampled_from([b"", b"X-Sum: 12\r\n", b"A: \xe9\r\nB:\r\n"]),
    st.binary(max_size=10),
)
def test_chunks_come_out_whole_however_they_are_cut(
    chunks: list[bytes], cuts: list[int], trailer: bytes, rest: bytes
) -> None:
    body = ChunkedBody(1_000)
    assert feed(body, frame(chunks, trailer) + rest, cuts) == rest
    assert body.done
    assert body.take() == b"".join(chunks)


@given(st.binary(min_size=1, max_size=80), st.lists(st.integers(0, 100), max_size=8), st.binary(max_size=10))
def test_a_counted_body_leaves_what_follows(content: bytes, cuts: list[int], rest: bytes) -> None:
    body = CountedBody(len(content))
    assert feed(body, content + rest, cuts) == rest
    assert body.take() == content


@every_row("line", [b"3;a", b"3;a=b", b'3;a="b c";d=e', b"0003"])
def test_sound_extensions_are_read_over(line: bytes) -> None:
    body = ChunkedBody(10)
    body.feed(line + b"\r\nabc\r\n0\r\n\r\n", 0)
    assert body.take() == b"abc"


@every_row(
    "data",
    [
        b"3 \r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"-1\r\n",
        b"3_\r\n",
        b"\r\n",
        b"g\r\n",
        b"\xb2\r\n",
        b"3\nabc\r\n",
        b"3\r\rabc\r\n",
        b"3;\r\nabc\r\n",
        b"3; a\r\nabc\r\n",
        b"3;a\nb\r\nabc\r\n",
        b'3;a="b\r\nabc\r\n',
        b"3;a\x00\r\nabc\r\n",
        b"000000003\r\nabc\r\n",
        b"fffffffffffffffff\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcX\r\n",
        b"3;" + b"a" * 300,
        b"0\r\nno field\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nA: " + b"b" * 9_000,
        b"0\r\n" + b"A: b\r\n" * 3_000 + b"\r\n",
    ],
)
def test_unsound_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        ChunkedBody(1_000).feed(data, 0)
    assert caught.value.reply.status == 400


def test_a_chunk_over_the_limit_is_refused_when_it_says_its_size() -> None:
    body = ChunkedBody(10)
    body.feed(b"8\r\n12345678\r\n", 0)
    with pytest.raises(Refusal) as caught:
        body.feed(b"3\r\n", 0)
    assert caught.value.reply.status == 413


def test_a_body_of_a_million_tiny_chunks_is_refused_soon() -> None:
    body = ChunkedBody(10_000_000)
    with pytest.raises(Refusal) as caught:
        body.feed(b"1\r\nx\r\n" * 2_000, 0)
    assert caught.value.reply.status == 400
    ChunkedBody(10_000_000).feed(b"20\r\n%b\r\n" % (b"x" * 32) * 3_000, 0)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_are_chunks_or_refused(data: bytes, cuts: list[int]) -> None:
    body = ChunkedBody(100)
    status = 200
    try:
        feed(body, data, cuts)
    except Refusal as caught:
        status = caught.reply.status
    assert status in {200, 400, 413}
    assert body.received <= 100
