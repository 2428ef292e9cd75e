"""Bodies in parts: what is read, and what is refused."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.mock.multipart import BadMultipart, header_parameters, split
from tests.tables import every_row

TYPE = "multipart/form-data; boundary=x"


def part(head: bytes, content: bytes = b"hi") -> bytes:
    return b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


@every_row(
    ("head", "name", "filename", "content_type"),
    [
        (b'Content-Disposition: form-data; name="a"', "a", None, "text/plain"),
        (b"content-disposition: form-data; name=a", "a", None, "text/plain"),
        (b'Content-Disposition: form-data; name="a b"; filename="c;d.txt"', "a b", "c;d.txt", "text/plain"),
        (b'Content-Disposition: form-data; name="a\\"b"', 'a"b', None, "text/plain"),
        (b'Content-Disposition: form-data; name="a%22b"', 'a"b', None, "text/plain"),
        (
            b'Content-Disposition: form-data; name="a"; filename="x"; filename*=UTF-8\'\'%e2%82%ac',
            "a",
            "€",
            "text/plain",
        ),
        (b'Content-Disposition: form-data; name="\xc3\xa4"', "ä", None, "text/plain"),
        (b'Content-Type: text/html\r\nContent-Disposition: form-data; name="a"', "a", None, "text/html"),
        (b"Content-Disposition: form-data", "", None, "text/plain"),
    ],
)
def test_the_headers_of_a_part_are_read(head, name, filename, content_type):
    (one,) = split(TYPE, part(head))
    assert (one.name, one.filename, one.content_type, one.content) == (name, filename, content_type, b"hi")


def test_content_is_kept_to_the_byte():
    content = b"\r\n--y\r\n\x00\xff--x\r\n"
    (one,) = split(TYPE, part(b'Content-Disposition: form-data; name="a"', content))
    assert one.content == content


def test_a_preamble_and_an_epilogue_mean_nothing():
    body = b"preamble\r\n" + part(b'Content-Disposition: form-data; name="a"') + b"epilogue"
    assert [one.name for one in split(TYPE, body)] == ["a"]


def test_no_parts_is_no_fault():
    assert split(TYPE, b"--x--\r\n") == []


@every_row(
    ("content_type", "body", "told"),
    [
        ("multipart/form-data", b"--x--", "no usable boundary"),
        ("multipart/form-data; boundary=", b"--x--", "no usable boundary"),
        ('multipart/form-data; boundary="a\r\nb"', b"--x--", "no usable boundary"),
        ("multipart/form-data; boundary=" + "x" * 71, b"--x--", "no usable boundary"),
        ('multipart/form-data; boundary="x "', b"--x --", "no usable boundary"),
        ("multipart/form-data; boundary=ä", "--ä--".encode(), "no usable boundary"),
        (TYPE, b"", "does not contain its boundary"),
        (TYPE, b"hello", "does not contain its boundary"),
        (TYPE, b"--y--\r\n", "does not contain its boundary"),
        (TYPE, b"--x\r\n\r\nhi\r\n", "closing boundary"),
        (TYPE, b"--x\r\n\r\nhi\r\n--x\r\n", "closing boundary"),
        (TYPE, b"--x\r\n\r\nhi\r\n--x--more", "closing boundary"),
        (TYPE, b"--xy\r\n\r\nhi\r\n--x--", "followed by something else"),
        (TYPE, b"--x\r\nContent-Disposition: form-data; name=a\r\nhi\r\n--x--", "do not end"),
        (TYPE, b"--x\r\nno header\r\n\r\nhi\r\n--x--", "malformed header"),
        (TYPE, b"--x\r\nA: b\r\n c\r\n\r\nhi\r\n--x--", "malformed header"),
        (TYPE, b"--x\r\nA: b\r\na: c\r\n\r\nhi\r\n--x--", "two headers a"),
        (TYPE, b"--x\r\nA: " + b"b" * 9_000 + b"\r\n\r\nhi\r\n--x--", "bytes of headers"),
        (TYPE, b"--x\r\n\r\n\r\n" * 1_001 + b"--x--", "more than 1000 parts"),
        (TYPE, b"--x\n\nhi\n--x--", "does not contain|followed by|closing"),
    ],
)
def test_what_is_no_multipart_is_refused(content_type, body, told):
    with pytest.raises(BadMultipart, match=told):
        split(content_type, body)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body, head):
    for tried in (body, b"--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n--x--"):
        with suppress(BadMultipart):
            split(TYPE, tried)


@given(st.text(max_size=200))
def test_any_header_has_parameters(value):
    assert all(isinstance(one, str) for one in header_parameters(value).values())


@every_row(
    "value", ["x;" + "a" * 100_000, "x;" + 'a="' * 50_000, "x;" + "; " * 50_000, "x" + ";a=b" * 50_000]
)
def test_long_headers_take_no_time(value):
    began = time.thread_time()
    header_parameters(value)
    assert time.thread_time() - began < 1


def test_many_boundaries_take_no_time():
    began = time.thread_time()
    with pytest.raises(BadMultipart):
        split(TYPE, b"\r\n--x" * 500_000)
    assert time.thread_time() - began < 2
