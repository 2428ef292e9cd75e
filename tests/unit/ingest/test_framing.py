"""What is a sound head, and what is not. Expected results are written down, not computed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ingest import Limits
from service.ingest.framing import CHUNKED, Head, check_short, read_head
from service.ingest.refusals import Refusal
from tests.tables import every_row

LINE = b"POST /hooks/x HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def read(data: bytes, limits: Limits | None = None) -> Head:
    return read_head(data, 0, len(data), limits or Limits())


def refusal(data: bytes, limits: Limits | None = None) -> int:
    with pytest.raises(Refusal) as caught:
        read(data, limits)
    return caught.value.reply.status


def test_reads_names_in_lower_case_and_values_as_latin_1_without_white_space_around() -> None:
    head = read(LINE + HOST + b"X-Event:  push\xe9 it \t\r\nEmpty:\r\n\r\n")
    assert head.headers == (("host", "a"), ("x-event", "push\xe9 it"), ("empty", ""))
    assert (head.method, head.target, head.host, head.length) == ("POST", "/hooks/x", "a", 0)
    assert not head.close
    assert not head.awaits
    assert not head.coded


@every_row("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_counts_a_body_by_its_content_length(name: bytes) -> None:
    assert read(LINE + HOST + name + b": 0012 \r\n\r\n").length == 12


@every_row("coding", [b"chunked", b"Chunked", b" chunked "])
def test_takes_a_chunked_body(coding: bytes) -> None:
    assert read(LINE + HOST + b"Transfer-Encoding:" + coding + b"\r\n\r\n").length == CHUNKED


@every_row(
    "head",
    [
        LINE + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        LINE + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        LINE + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        LINE + HOST + b"Content-Length: 3, 3\r\n\r\n",
        LINE + HOST + b"Content-Length: +3\r\n\r\n",
        LINE + HOST + b"Content-Length: -3\r\n\r\n",
        LINE + HOST + b"Content-Length: 0x3\r\n\r\n",
        LINE + HOST + b"Content-Length: 3_0\r\n\r\n",
        LINE + HOST + b"Content-Length: \xb3\r\n\r\n",
        LINE + HOST + b"Content-Length:\r\n\r\n",
        LINE + HOST + b"Content-Length: 9999999999999999999\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: identity\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding : chunked\r\n\r\n",
        LINE + HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_refuses_every_doubtful_framing_of_the_body(head: bytes) -> None:
    assert refusal(head) == 400


@every_row(
    "head",
    [
        b"POST / HTTP/1.1\nHost: a\r\n\r\n",
        LINE + b"Host: a\nX: y\r\n\r\n",
        LINE + b"Host: a\rX: y\r\n\r\n",
        LINE + HOST + b"X: y\r\r\n\r\n",
        LINE + HOST + b"X: a\r\n b\r\n\r\n",
        LINE + HOST + b"\tX: a\r\n\r\n",
        LINE + b" Host: a\r\n\r\n",
        LINE + HOST + b"X : a\r\n\r\n",
        LINE + HOST + b"X\t: a\r\n\r\n",
        LINE + HOST + b": a\r\n\r\n",
        LINE + HOST + b"X\r\n\r\n",
        LINE + HOST + b"X(y): a\r\n\r\n",
        LINE + HOST + b"X\xe9: a\r\n\r\n",
        LINE + HOST + b"X: a\x00b\r\n\r\n",
        LINE + HOST + b"X: a\x01b\r\n\r\n",
        LINE + HOST + b"X: a\x7fb\r\n\r\n",
        LINE + HOST + b"X\x00: ab\r\n\r\n",
        b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b" POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"POST /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / http/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/11\r\nHost: a\r\n\r\n",
        b"POST /\r\nHost: a\r\n\r\n",
        b"POST\r\n\r\n",
    ],
)
def test_refuses_a_head_that_breaks_the_grammar(head: bytes) -> None:
    assert refusal(head) == 400


@every_row(
    ("head", "detail"),
    [
        (b"POST / HTTP/1.1\nHost: a\r\n\r\n", "A CR or LF stands alone; lines end in CRLF."),
        (LINE + HOST + b"X: a\r\n b\r\n\r\n", "A header field is folded over two lines."),
        (LINE + HOST + b"X : a\r\n\r\n", "White space stands before the colon of a header field."),
        (LINE + HOST + b"X: a\x00b\r\n\r\n", "There is a control character in the head."),
        (LINE + HOST + b"X\r\n\r\n", "A line is no header field."),
        (b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n", "The request line is not METHOD target HTTP/1.1."),
        (LINE + b"X: y\r\n\r\n", "The header field host is missing."),
    ],
)
def test_says_what_is_wrong_with_a_head(head: bytes, detail: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(head)
    assert json.loads(caught.value.reply.body)["detail"] == detail


@every_row("version", [b"2.0", b"0.9", b"1.2", b"3.0"])
def test_refuses_other_versions_by_name(version: bytes) -> None:
    assert refusal(b"POST / HTTP/" + version + b"\r\nHost: a\r\n\r\n") == 505


def test_refuses_the_preface_of_http_2() -> None:
    assert refusal(b"PRI * HTTP/2.0\r\n\r\n") == 505


@every_row(
    "host",
    [b"", HOST + HOST, b"Host: a\r\nhost: b\r\n", b"Host: a b\r\n", b"Host: a/b\r\n", b"Host: a@b\r\n"],
)
def test_wants_exactly_one_host_that_is_one(host: bytes) -> None:
    assert refusal(LINE + host + b"X: y\r\n\r\n") == 400


@every_row("host", [b"a.example:8080", b"[::1]:80", b"127.0.0.1", b"a_b", b"a:"])
def test_takes_hosts_of_every_form(host: bytes) -> None:
    assert read(LINE + b"Host: " + host + b"\r\n\r\n").host == host.decode()


def test_http_1_0_needs_no_host_and_closes() -> None:
    head = read(b"POST / HTTP/1.0\r\n\r\n")
    assert head.host == ""
    assert head.close


@every_row(
    ("fields", "close"),
    [
        (b"Connection: close\r\n", True),
        (b"Connection: Keep-Alive, CLOSE\r\n", True),
        (b"Connection: keep-alive\r\nConnection: close\r\n", True),
        (b"Connection: keep-alive\r\n", False),
        (b"Connection: closed\r\n", False),
    ],
)
def test_heeds_the_connection_field(fields: bytes, close: bool) -> None:
    assert read(LINE + HOST + fields + b"\r\n").close is close


def test_awaits_only_with_a_body_and_http_1_1() -> None:
    expect = b"Expect: 100-Continue\r\n"
    assert read(LINE + HOST + expect + b"Content-Length: 1\r\n\r\n").awaits
    assert not read(LINE + HOST + expect + b"\r\n").awaits
    assert not read(b"POST / HTTP/1.0\r\n" + expect + b"Content-Length: 1\r\n\r\n").awaits
    assert refusal(LINE + HOST + b"Expect: a miracle\r\n\r\n") == 417


@every_row(("coding", "coded"), [(b"gzip", True), (b"identity", False), (b"", False), (b"gzip, br", True)])
def test_notes_a_content_coding(coding: bytes, coded: bool) -> None:
    assert read(LINE + HOST + b"Content-Encoding: " + coding + b"\r\n\r\n").coded is coded


def test_ignores_an_upgrade() -> None:
    head = read(
        LINE + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"
    )
    assert head.length == 3


def test_leaves_the_method_to_others() -> None:
    assert read(b"FROB /x HTTP/1.1\r\nHost: a\r\n\r\n").method == "FROB"
    assert read(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n").method == "CONNECT"


def test_limits_the_target_and_the_number_of_fields() -> None:
    limits = Limits(target_bytes=10, headers=2)
    assert refusal(b"POST /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n", limits) == 414
    assert read(b"POST /123456789 HTTP/1.1\r\nHost: a\r\nB: b\r\n\r\n", limits).target == "/123456789"
    assert refusal(LINE[:6] + b" HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n\r\n", limits) == 431


def short(data: bytes, seen: int = 0, limits: Limits | None = None) -> int | None:
    try:
        check_short(data, seen, limits or Limits())
    except Refusal as caught:
        return caught.reply.status
    return None


@every_row(
    ("data", "status"),
    [
        (b"P", None),
        (b"\r", None),
        (b"\r\n", None),
        (b"POST / HTTP/1.1\r", None),
        (b"POST / HTTP/1.1\r\nHost: a", None),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"\x00", 400),
        (b"\xff\xff", 400),
        (b" POST", 400),
        (b"\n", 400),
        (b"POST / HTTP/1.1\nHost: a\n\n", 400),
        (b"POST / HTTP/1.1\rH", 400),
        (b"A" * 300, 414),
        (b"POST / HTTP/1.1\r\nX: " + b"y" * 1000, 431),
    ],
)
def test_tells_at_once_what_never_becomes_a_head(data: bytes, status: int | None) -> None:
    assert short(data, limits=Limits(target_bytes=200, head_bytes=900)) == status


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_a_refusal(data: bytes) -> None:
    status = 200
    try:
        read(data + b"\r\n\r\n")
    except Refusal as caught:
        status = caught.reply.status
    assert status in {200, 400, 417, 431, 505}


@given(st.binary(max_size=40), st.integers(0, 60))
def test_bytes_put_into_a_sound_head_never_add_a_line(noise: bytes, at: int) -> None:
    sound = LINE + HOST + b"Content-Length: 3\r\nX-Event: push\r\n\r\n"
    try:
        head = read(sound[:at] + noise + sound[at:])
    except Refusal:
        return
    assert len(head.headers) <= 3 + noise.count(b"\r\n")
