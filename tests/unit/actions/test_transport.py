import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.base import Answer
from actions.engines import DEFAULT, ENGINES
from actions.errors import OutcomeUnknown
from actions.transport import OWN_HEADERS, Request, as_read, header_problems, line_problems
from tests.tables import every_row


def answer(body, encoding, status=200, truncated=False):
    headers = (("content-encoding", encoding), ("content-length", str(len(body))), ("x", "y"))
    return Answer(status=status, headers=headers, body=body, truncated=truncated)


@every_row(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)],
)
def test_a_packed_body_is_unpacked(encoding, pack):
    read = as_read(answer(pack(b'{"a": 1}'), encoding), 100)
    assert (read.body, read.truncated, read.headers) == (b'{"a": 1}', False, (("x", "y"),))


def test_unpacking_stops_at_the_cap():
    read = as_read(answer(gzip.compress(bytes(10_000_000)), "gzip"), 1000)
    assert (len(read.body), read.truncated) == (1000, True)


def test_what_was_cut_while_packed_is_unpacked_as_far_as_it_goes():
    packed = gzip.compress(b"abc" * 100, compresslevel=0)[:-20]
    read = as_read(answer(packed, "gzip", truncated=True), 1000)
    assert read.truncated
    assert read.body.startswith(b"abcabc")


@every_row("encoding", ["br", "identity", "gzip, gzip", "zstd"])
def test_other_encodings_stay_as_they_came(encoding):
    one = answer(b"whatever", encoding)
    assert as_read(one, 100) is one


@every_row("body", [b"not packed at all", b"", gzip.compress(b"x", mtime=0)[:5] + b"\xff\xff\xff\xff"])
def test_a_body_that_lies_about_its_encoding_stays_as_it_came(body):
    one = answer(body, "gzip")
    assert as_read(one, 100).body in {body, b""}


@every_row("status", [100, 101, 103, 199, 0])
def test_an_interim_status_is_no_answer(status):
    with pytest.raises(OutcomeUnknown):
        as_read(Answer(status=status), 100)


@every_row("name", sorted(OWN_HEADERS) + [name.title() for name in sorted(OWN_HEADERS)])
def test_nobody_sets_the_headers_of_the_engine(name):
    assert header_problems([(name, "x")])


@every_row("name", ["", "a b", "a:b", ":authority", "a\r\nb", "é", "a\x00", "a(b)"])
def test_header_names_are_tokens(name):
    assert header_problems([(name, "x")])


@every_row(
    "value", ["q\r\nz: q", "q\nz", "q\rz", "q\x00z", "\x7f", "é", " qz", "qz ", "\tqz", "q\x0bz", "\u2028"]
)
def test_header_values_are_plain_text_and_never_repeated(value):
    (problem,) = header_problems([("X-A", value)])
    assert "q" not in problem
    assert "z" not in problem


@every_row("value", ["", "a", "a b", "a\tb", '"q"', 'a, b; c="d"'])
def test_plain_header_values_are_fine(value):
    assert header_problems([("X-A", value)]) == []


def test_all_header_problems_are_told():
    assert len(header_problems([("a b", "x"), ("Host", "x"), ("X", "\n"), ("Y", "fine")])) == 3


@every_row(
    "url",
    [
        "https://h/a/../b",
        "https://h/..",
        "https://h/a/%2e%2E/b",
        "https://h/%252e%252e/b",
        "https://h/a%2f..%2fb",
        "https://h/a%00",
        "https://h/a\\b",
        "https://h/a b",
        "https://h/a\tb",
        "https://h/a\nb",
        "https://h/ä",
        "https://h/%zz",
        "https://h/%2",
        "https://h/a?b c",
        "https://h/a#b",
        "https://h/a?b<c",
        "https:/h/a",
        "ftp://h/a",
        "",
    ],
)
def test_urls_that_would_change_on_their_way_are_refused(url):
    assert line_problems("GET", url)


@every_row(
    "url",
    [
        "https://h",
        "https://h/",
        "https://h:8/a;b=1/c%20d?e=%2F&f[]=g&h=i+j",
        "http://[::1]/a.b/..c",
        "https://h?x",
    ],
)
def test_plain_urls_are_fine(url):
    assert line_problems("GET", url) == []


@every_row("method", ["get", "GE T", "", "GET\r\n", "GÉT", "1GET", "A" * 40])
def test_methods_are_upper_case_tokens(method):
    assert line_problems(method, "https://h/")


@given(st.text(), st.text())
def test_no_text_breaks_the_checks(name, value):
    header_problems([(name, value)])
    line_problems(name, value)


def test_headers_are_found_whatever_their_case():
    request = Request("GET", "https://h/", (("X-Key", "1"), ("x-key", "2")))
    assert request.header("X-KEY") == "1"
    assert request.header("other") is None


def test_the_default_engine_is_in_the_registry():
    assert DEFAULT in ENGINES
