"""One connection, without a socket and with a clock that the test moves."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ingest import Limits
from tests.fakes.ingest import AnySource, Client, FakeHooks, House, chunked, read_answers, request
from triggers.base import Reply


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture
async def slow_house() -> House:
    """A house whose store answers when the test says so."""
    return House(hooks=FakeHooks(later=True), limits=Limits(pipelined=3))


async def store(house: House, index: int) -> None:
    """Let the store resolve one of its futures, and the answer go out."""
    house.hooks.waiting[index].set_result(FakeHooks.accepted(index))
    await asyncio.sleep(0)


def ids(client: Client) -> list[str]:
    return [answer.json["id"] for answer in client.answers()]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs, for futures that are done when they are born."""
    idle = asyncio.new_event_loop()
    yield idle
    idle.close()


# Framing over a connection.


async def test_a_connection_serves_one_request_after_the_other(house: House) -> None:
    client = house.client()
    for body in (b"1", b"", b"333"):
        client.send(request(body)).send(chunked(b"ab", b"c" * 30))
    assert [answer.status for answer in client.answers()] == [202] * 6
    bodies = [seen.body for seen in house.source.requests]
    assert bodies == [b"1", b"ab" + b"c" * 30, b"", b"ab" + b"c" * 30, b"333", b"ab" + b"c" * 30]


SEQUENCE = (
    request(b"first", "X-Event: a")
    + b"\r\n"
    + chunked(b"sec", b"ond", trailer=b"X-Sum: 1\r\n")
    + request(b"", method="GET")
    + request(b"x" * 300)
    + request(b"last", "Connection: close")
)


@given(st.lists(st.integers(0, len(SEQUENCE)), max_size=30))
def test_however_requests_are_cut_they_are_the_same(loop: asyncio.AbstractEventLoop, cuts: list[int]) -> None:
    house = House()
    house.hooks.loop = loop
    client = house.client()
    edges = [0, *sorted(cuts), len(SEQUENCE)]
    for start, end in zip(edges, edges[1:], strict=False):  # noqa: RUF007 # empty pieces are of interest
        if start != end:
            client.send(SEQUENCE[start:end])
    assert [answer.status for answer in client.answers()] == [202, 202, 405, 202, 202]
    assert [seen.body for seen in house.source.requests] == [b"first", b"second", b"x" * 300, b"last"]
    assert client.wire.closed
    assert house.census.held == 0


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_any_bytes_end_in_answers_or_a_close(
    loop: asyncio.AbstractEventLoop, pieces: list[bytes], sound_first: bool
) -> None:
    house = House()
    house.hooks.loop = loop
    client = house.client()
    if sound_first:
        client.send(request(b"{}"))
    for piece in pieces:
        if piece:
            client.send(piece)
    for _ in range(3):
        house.pass_time(100)
    assert client.over
    statuses = [answer.status for answer in client.answers()]
    assert set(statuses) <= {202, 400, 408, 404, 431, 505}


@given(
    st.integers(0, 200),
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"\r\n", b"\n", b"\r", b"\x00", b" ", b"Content-Length: 1\r\n"]),
    ),
)
def test_a_changed_request_never_harms_the_server(
    loop: asyncio.AbstractEventLoop, at: int, change: bytes
) -> None:
    house = House()
    house.hooks.loop = loop
    data = chunked(b"abc", b"defg", fields=("X-Event: push",))
    client = house.client().send(data[: at % len(data)] + change + data[at % len(data) + len(change) :])
    house.pass_time(100)
    house.pass_time(100)
    assert client.over
    assert read_answers(client.wire.written)


async def test_input_that_is_no_http_is_refused_at_once(house: House) -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\n",
    ):
        client = house.client().send(data)
        assert client.answer.status in {400, 505}
        assert client.over


async def test_a_line_end_that_is_cut_in_two_is_still_seen(house: House) -> None:
    assert house.client().send(b"POST / HTTP/1.1\r").send(b"X").answer.status == 400
    assert house.client().send(b"POST / HTTP/1.1\r").send(b"\nX: y").wire.written == b""


async def test_smuggling_is_refused_and_nothing_behind_it_is_read(house: House) -> None:
    hidden = request(b"hidden")
    attacks = (
        request(b"", "Content-Length: 0", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
        request(b"", "Content-Length: 0", f"Content-Length: {len(hidden)}") + hidden,
        request(b"", "Transfer-Encoding: xchunked") + b"0\r\n\r\n" + hidden,
        request(b"", "X: y\nTransfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
        chunked(b"abc").replace(b"3\r\n", b"3\n") + hidden,
    )
    for attack in attacks:
        client = house.client().send(attack)
        assert client.answer.status == 400
        assert client.answer.headers["connection"] == "close"
        assert client.over
    assert house.source.requests == []


async def test_the_head_is_limited_in_bytes(house: House) -> None:
    client = house.client()
    client.send(b"POST /hooks/x HTTP/1.1\r\n")
    sent = 0
    while not client.over:
        client.send(b"X-Filler: " + b"y" * 990 + b"\r\n")
        sent += 1_002
    assert client.answer.slug == "headers-too-large"
    assert sent < 34_000
    whole = house.client().send(request(b"", "X: " + "y" * 33_000))
    assert whole.answer.status == 431
    assert house.client().send(request(b"", target="/" + "a" * 9_000)).answer.status == 414
    assert house.client().send(b"POST /" + b"a" * 9_000).answer.status == 414


async def test_chunks_beyond_the_limit_of_the_source_are_413(house: House) -> None:
    client = house.client().send(chunked(b"x" * 100_000))
    assert client.answer.status == 202
    client = house.client().send(chunked(b"x" * 60_000, b"y" * 60_000))
    assert client.answer.status == 413
    assert house.census.held == 0


# Order and back-pressure.


async def test_answers_keep_the_order_of_requests(slow_house: House) -> None:
    client = slow_house.client()
    client.send(request(b"1") + request(b"2") + request(b"3"))
    await store(slow_house, 2)
    await store(slow_house, 1)
    assert client.answers() == []
    await store(slow_house, 0)
    assert ids(client) == ["msg_0_0", "msg_1_0", "msg_2_0"]


async def test_a_refusal_waits_for_the_answers_before_it(slow_house: House) -> None:
    client = slow_house.client()
    client.send(request(b"1") + request(b"", method="GET") + b"\x00")
    assert client.answers() == []
    await store(slow_house, 0)
    assert [answer.status for answer in client.answers()] == [202, 405, 400]
    assert client.over


async def test_only_so_many_requests_are_in_work_and_the_rest_is_not_read(slow_house: House) -> None:
    client = slow_house.client()
    client.send(b"".join(request(b"%d" % number) for number in range(5)))
    assert len(slow_house.hooks.waiting) == 3
    assert client.wire.paused
    await store(slow_house, 1)
    assert len(slow_house.hooks.waiting) == 3
    await store(slow_house, 0)
    assert len(slow_house.hooks.waiting) == 5
    assert client.wire.paused  # three are in work again
    for index in (4, 3, 2):
        await store(slow_house, index)
    assert len(client.answers()) == 5
    assert not client.wire.paused


async def test_time_counts_for_nobody_who_is_not_read(slow_house: House) -> None:
    client = slow_house.client()
    client.send(b"".join(request(b"%d" % number) for number in range(3)) + request(b"4")[:20])
    slow_house.pass_time(12)
    assert client.answers() == []
    for index in range(3):
        await store(slow_house, index)
    slow_house.pass_time(9)
    client.send(request(b"4")[20:])
    assert len(slow_house.hooks.waiting) == 4


async def test_a_client_that_does_not_read_its_answers_is_not_read_either(house: House) -> None:
    client = house.client().send(request())
    client.connection.pause_writing()
    client.send(request(b"later"))
    assert client.wire.paused
    assert len(house.source.requests) == 1
    client.connection.resume_writing()
    assert not client.wire.paused
    assert len(house.source.requests) == 2
    client.connection.pause_writing()
    house.pass_time(9)
    assert not client.wire.aborted
    house.pass_time(1)
    assert client.wire.aborted


# Ends of connections.


async def test_http_1_0_gets_one_answer(house: House) -> None:
    client = house.client().send(request(b"abc", version="1.0"))
    assert client.answer.headers["connection"] == "close"
    assert client.wire.closed


async def test_nothing_is_read_after_connection_close(house: House) -> None:
    client = house.client().send(request(b"1", "Connection: close") + request(b"2"))
    assert client.answer.status == 202
    assert client.wire.closed
    assert len(house.source.requests) == 1


async def test_after_a_refusal_the_client_has_time_to_read_it(house: House) -> None:
    client = house.client().send(request(b"", "Content-Length: 100001"))
    assert client.wire.ended
    client.send(b"x" * 50_000)
    assert not client.wire.closed
    assert house.census.held == 0
    house.pass_time(2)
    assert client.wire.aborted


async def test_a_client_that_leaves_before_the_answer_changes_nothing(slow_house: House) -> None:
    client = slow_house.client().send(request(b"1"))
    client.leave()
    await store(slow_house, 0)
    assert len(slow_house.hooks.stored) == 1
    assert client.wire.written == b""
    assert slow_house.hall.counters.unanswered == 1
    assert len(slow_house.census) == 0


async def test_a_client_that_leaves_amid_a_body_stores_nothing(house: House) -> None:
    client = house.client().send(request(b"12345")[:-1])
    assert not client.connection.eof_received()
    client.leave()
    assert house.source.requests == []
    assert house.census.held == 0


async def test_a_client_that_ends_its_side_still_gets_its_answers(slow_house: House) -> None:
    client = slow_house.client().send(request(b"1") + request(b"2"))
    assert client.connection.eof_received()
    await store(slow_house, 0)
    await store(slow_house, 1)
    assert [answer.headers.get("connection") for answer in client.answers()] == [None, "close"]
    assert client.wire.closed


async def test_one_that_is_gone_before_it_begins_is_let_go() -> None:
    house = House()
    wire = house.client().wire
    gone = type(house.client().connection)(house.hall)
    wire._extra["peername"] = None  # type: ignore[attr-defined]
    gone.connection_made(wire)
    assert wire.aborted


# Expect: 100-continue.


async def test_invites_the_body_when_the_head_is_fine(house: House) -> None:
    data = request(b"abc", "Expect: 100-continue")
    client = house.client().send(data[:-3])
    assert client.wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.wire.written = b""
    client.send(b"abc")
    assert client.answer.status == 202


async def test_does_not_invite_a_body_that_is_there_or_refused(house: House) -> None:
    expect = "Expect: 100-continue"
    assert house.client().send(request(b"abc", expect)).answer.status == 202
    begun = house.client().send(request(b"abc", expect)[:-1])
    assert begun.wire.written == b""
    assert house.client().send(request(b"", expect, "Content-Length: 100001")).answer.status == 413
    assert house.client().send(request(b"abc", expect, target="/no")[:-3]).answer.status == 404
    assert house.client().send(request(b"abc", "Expect: more")[:-3]).answer.status == 417


async def test_an_invitation_waits_for_the_answers_before_it(slow_house: House) -> None:
    client = slow_house.client()
    client.send(request(b"1") + request(b"abc", "Expect: 100-continue")[:-3])
    slow_house.pass_time(20)
    assert client.wire.written == b""
    await store(slow_house, 0)
    assert client.wire.written.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")


# Deadlines.


async def test_a_head_must_be_whole_in_time_however_it_drips(house: House) -> None:
    client = house.client().send(request())
    client.wire.written = b""
    house.pass_time(30)
    client.send(b"POST /hooks/x HTTP/1.1\r\n")
    for _ in range(9):
        house.pass_time(1)
        client.send(b"X-Drip: 1\r\n")
    assert client.wire.written == b""
    house.pass_time(1)
    assert (client.answer.status, client.answer.slug) == (408, "request-timeout")
    assert client.over
    assert house.hall.counters.timed_out == 1


async def test_empty_lines_do_not_keep_a_connection_alive(house: House) -> None:
    client = house.client()
    for _ in range(11):
        if not client.over:
            client.send(b"\r\n")
        house.pass_time(1)
    assert client.over


async def test_a_connection_that_says_nothing_is_closed(house: House) -> None:
    client = house.client()
    house.pass_time(9.9)
    assert not client.over
    house.pass_time(0.1)
    assert client.wire.closed
    assert client.wire.written == b""


async def test_an_idle_connection_is_closed_later(house: House) -> None:
    client = house.client().send(request())
    house.pass_time(74)
    assert not client.over
    house.pass_time(1)
    assert client.wire.closed


async def test_a_body_must_keep_its_rate(house: House) -> None:
    stuck = house.client().send(request(b"x" * 90_000)[:1_000])
    steady = house.client().send(request(b"x" * 90_000)[:1_000])
    for _ in range(30):
        house.pass_time(1)
        steady.send(b"x" * 2_000)
    assert stuck.answer.status == 408
    assert steady.wire.written == b""


async def test_a_body_must_end_in_time_whatever_its_rate(house: House) -> None:
    client = house.client().send(request(b"x" * 99_000)[:95_000])
    house.pass_time(59)
    assert not client.over
    house.pass_time(1)
    assert client.answer.status == 408


async def test_storing_that_takes_too_long_is_503_and_no_harm_when_it_ends(slow_house: House) -> None:
    client = slow_house.client().send(request(b"1"))
    slow_house.pass_time(29)
    assert client.answers() == []
    slow_house.pass_time(1)
    assert client.answer.status == 503
    await store(slow_house, 0)
    assert client.answer.status == 503
    client.send(request(b"2"))
    await store(slow_house, 1)
    assert [answer.status for answer in client.answers()] == [503, 202]


async def test_an_answer_that_is_never_taken_is_cut_off(house: House) -> None:
    client = house.client().send(request(b"1", "Connection: close"))
    assert client.wire.closed
    assert not client.wire.aborted
    house.pass_time(10)
    assert client.wire.aborted


# Room.


async def test_slow_connections_make_room_and_working_ones_stay() -> None:
    house = House(hooks=FakeHooks(later=True), limits=Limits(connections=4))
    working = house.client("192.0.2.1").send(request())
    slow = house.client("192.0.2.2").send(b"POST /")
    body = house.client("192.0.2.3").send(request(b"12345")[:-1])
    quiet = house.client("192.0.2.4")
    house.pass_time(2)
    fresh = [house.client(f"198.51.100.{number}") for number in range(4)]
    assert (slow.wire.aborted, quiet.wire.aborted, body.wire.aborted) == (True, True, True)
    assert not working.over
    assert [one.over for one in fresh] == [False, False, False, True]
    assert fresh[3].answer.status == 503
    assert house.hall.counters.evicted == 3


async def test_too_many_connections_of_one_peer_are_429() -> None:
    house = House(limits=Limits(connections_per_peer=2))
    first, second, third = (house.client() for _ in range(3))
    assert (first.over, second.over) == (False, False)
    assert (third.answer.status, third.answer.slug) == (429, "too-many-connections")
    assert third.answer.headers["retry-after"] == "5"
    assert third.wire.closed
    third.leave()
    assert not house.client("192.0.2.2").over
    assert len(house.census) == 3


async def test_unfinished_bodies_do_not_fill_the_memory() -> None:
    house = House(limits=Limits(held_bytes=150_000))
    first = house.client().send(request(b"x" * 99_000)[:90_000])
    second = house.client().send(request(b"x" * 99_000)[:90_000])
    assert second.answer.status == 503
    house.pass_time(2)
    third = house.client().send(request(b"x" * 99_000)[:90_000])
    assert first.wire.aborted
    assert not third.over
    assert house.census.held < 150_000


# Stop.


async def test_a_stop_closes_idle_connections_and_answers_the_others(slow_house: House) -> None:
    idle = slow_house.client()
    working = slow_house.client().send(request(b"1") + request(b"2"))
    reading = slow_house.client().send(request(b"345")[:-1])
    slow_house.hall.stopping = True
    for client in (idle, working, reading):
        client.connection.stop()
    assert idle.wire.closed
    reading.send(b"5")
    for index in range(3):
        await store(slow_house, index)
    assert [answer.headers.get("connection") for answer in working.answers()] == [None, "close"]
    assert reading.answer.headers["connection"] == "close"
    assert working.wire.closed
    assert reading.wire.closed


async def test_no_answer_names_the_server(house: House) -> None:
    client = house.client().send(request() + request(b"", target="/no") + b"\x00")
    for answer in client.answers():
        assert "server" not in answer.headers
        assert "date" in answer.headers


async def test_limits_can_be_set() -> None:
    house = House(limits=Limits(idle_time=timedelta(seconds=3)), hooks=FakeHooks(x=AnySource()))
    house.source.reaction = lambda _: Reply(status=204)
    client = house.client().send(request())
    house.pass_time(3)
    assert client.wire.closed
