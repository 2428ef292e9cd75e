"""The calls of sources that poll: their place among the deliveries of a connection, and what may go wrong."""

from collections.abc import Sequence
from typing import Any

import pytest

from actions.base import Answer, Prepared
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.specs import read_spec
from service.connections import BreakerPolicy, Connection, Limits, Pauses
from service.polling import LOOK, make_call, with_query
from service.rules.model import Pin
from tests.fakes.connector import ScriptedConnector
from tests.tables import every_row
from triggers.errors import SourceRejected, SourceUnavailable

SPEC = read_spec(
    {
        "s.yaml": b"""
openapi: 3.0.3
info: {title: t, version: "1"}
servers: [{url: "https://shop.example/v1"}]
paths:
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: list
      parameters:
        - {name: state, in: query, schema: {type: string}}
        - {name: page, in: query, schema: {type: integer}}
        - {name: tag, in: query, schema: {type: array, items: {type: string}}}
        - {name: kind, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: deep, in: query, style: deepObject, schema: {type: object}}
        - {name: X-State, in: header, schema: {type: string}}
      responses: {"200": {description: ok}}
    post: {operationId: search, responses: {"200": {description: ok}}}
  /grouped/{id}:
    get:
      operationId: grouped
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: id, in: query, schema: {type: string}}
      responses: {"200": {description: ok}}
"""
    }
)
FINE = Answer(status=200, headers=(("etag", "x"),), body=b"[]")


class Room:
    """One connection with a scripted connector, and the call over it. Time passes when somebody waits."""

    def __init__(self, *answers: Answer | Exception, **limits: Any) -> None:
        said = list(answers or (FINE,))
        self.connector = ScriptedConnector(lambda number, _prepared: said[min(number, len(said) - 1)])
        self.now = 100.0
        self.freed: list[str] = []
        self.on_wait: list[str] = []
        self.connection = Connection(
            "shop",
            1,
            limits=Limits(**limits),
            breaker=BreakerPolicy(failures=1, first=5.0),
            connector_for=lambda _pin: self.connector,
            digest="",
            now=self.now,
        )
        self.call = make_call(
            lambda name: self.connection if name == "shop" else None,
            lambda name: Pin("", SPEC) if name == "shop" else None,
            freed=self.freed.append,
            wait=self.wait,
            clock=lambda: self.now,
        )

    async def wait(self, seconds: float) -> None:
        self.now += seconds
        said = self.on_wait.pop() if self.on_wait else ""
        if said == "a delivery ends":
            self.connection.in_flight -= 1
        elif said == "an operator pauses it":
            self.connection.pauses = Pauses().begun("anna", "", 0)


async def test_an_answer_is_handed_on_with_the_address_that_was_called():
    room = Room()
    polled = await room.call("shop.list", {"id": "1"}, headers={"if-none-match": "x"})
    assert (polled.status, polled.header("etag"), polled.body) == (200, "x", b"[]")
    assert polled.url == "list"  # as the scripted connector shows it
    assert room.connector.headers == [{"if-none-match": "x"}]
    assert room.connection.calls == 1


async def test_any_status_is_an_answer():
    assert (await Room(Answer(status=500)).call("shop.list", {})).status == 500


@every_row(
    ("call", "words"),
    [
        ("shop.nothing", "connection shop has no operation nothing"),
        ("store.list", "there is no connection store"),
        ("list", "there is no connection list"),
    ],
)
async def test_what_is_not_there_is_refused(call, words):
    with pytest.raises(SourceRejected, match=words):
        await Room().call(call, {})
    with pytest.raises(SourceRejected, match=words):
        Room().call.changes_nothing(call)


def test_only_safe_methods_are_sure_to_change_nothing():
    assert Room().call.changes_nothing("shop.list")
    assert not Room().call.changes_nothing("shop.search")


async def test_arguments_that_cannot_be_sent_are_refused_with_every_reason():
    with pytest.raises(SourceRejected, match=r"shop.list cannot be called: /refuse is true"):
        await Room().call("shop.list", {"refuse": True})


@every_row(
    ("error", "raised"),
    [
        (RetryLater("connection refused"), SourceUnavailable),
        (OutcomeUnknown("cut"), SourceUnavailable),
        (Refused("address not allowed"), SourceRejected),
    ],
)
async def test_no_answer_says_whether_to_come_again(error, raised):
    room = Room(error)
    with pytest.raises(raised, match=str(error)):
        await room.call("shop.list", {})
    assert (room.connection.others, room.connection.last_error) == (0, str(error))


async def test_credentials_that_are_not_taken_are_fetched_anew_once():
    room = Room(Answer(status=401), FINE)
    room.connector.can_login = True
    assert (await room.call("shop.list", {})).status == 200
    room = Room(Answer(status=401))
    room.connector.can_login = True
    assert (await room.call("shop.list", {})).status == 401
    assert len(room.connector.calls) == 2
    assert room.connection.state == "ok"  # what is held is the deliveries' to say


@every_row("state", ["paused", "held", "open"])
async def test_a_connection_that_takes_no_calls_is_left_alone(state):
    room = Room()
    if state == "held":
        room.connection.hold("401", now=room.now, wall=0.0)
    elif state == "paused":
        room.connection.pauses = Pauses().begun("anna", "", 0)
    else:
        room.connection.breaker.unhealthy("time-out", room.now)
    with pytest.raises(SourceUnavailable, match=f"connection shop is {state}"):
        await room.call("shop.list", {})
    assert room.connector.calls == []


async def test_an_open_breaker_lets_a_poll_through_when_a_probe_is_due():
    room = Room()
    room.connection.breaker.unhealthy("time-out", room.now)
    room.now += 6
    assert (await room.call("shop.list", {})).status == 200
    assert room.connection.state == "open"  # only deliveries say otherwise


async def test_a_poll_takes_a_place_and_tells_when_it_was_the_last_one():
    room = Room(in_flight=1)
    places: list[int] = []
    room.connector.script = lambda _number, _prepared: _noted(places, room.connection)
    await room.call("shop.list", {})
    assert places == [0]
    assert room.freed == ["shop"]
    room = Room(in_flight=2)
    await room.call("shop.list", {})
    assert room.freed == []


def _noted(places: list[int], connection: Connection) -> Answer:
    places.append(connection.room(0.0))
    return FINE


async def test_a_full_connection_is_waited_for_with_the_place_reserved():
    room = Room(in_flight=1)
    room.connection.in_flight = 1
    room.on_wait = ["a delivery ends", "", ""]
    await room.call("shop.list", {})
    assert room.now == pytest.approx(100.0 + 3 * LOOK)
    assert room.connection.others == 0


async def test_a_connection_that_stays_full_is_unavailable():
    room = Room(in_flight=1, timeout=2.0)
    room.connection.in_flight = 1
    with pytest.raises(SourceUnavailable, match="was full for 2 s"):
        await room.call("shop.list", {})
    assert room.connection.others == 0


async def test_a_poll_takes_its_token_in_advance():
    room = Room(rate=1.0)
    assert room.connection.rate is not None
    await room.call("shop.list", {})
    await room.call("shop.list", {})
    assert room.connection.rate.wait(room.now) == pytest.approx(2.0)


@every_row(
    ("query", "made", "ignored"),
    [
        ((("state", "a b"), ("page", "2")), {"id": "1", "state": "a b", "page": "2"}, ()),
        ((("state", "a"), ("state", "b")), {"id": "1", "state": "b"}, ()),
        ((("tag", "a"), ("tag", "b")), {"id": "1", "tag": ["a", "b"]}, ()),
        ((("kind", "a,b"),), {"id": "1", "kind": ["a", "b"]}, ()),
        (
            (("deep", "a"), ("X-State", "b"), ("id", "2"), ("new", "")),
            {"id": "1"},
            ("deep", "X-State", "id", "new"),
        ),
    ],
)
def test_query_parameters_are_laid_over_the_arguments(
    query: Sequence[tuple[str, str]], made: dict[str, object], ignored: tuple[str, ...]
):
    operation = SPEC.find("list")
    assert operation is not None
    assert with_query({"id": "1"}, query, operation) == (made, ignored)


def test_query_parameters_of_an_operation_with_colliding_names_go_to_their_group():
    operation = SPEC.find("grouped")
    assert operation is not None
    given = {"path": {"id": "1"}, "query": {"id": "old"}}
    made, ignored = with_query(given, (("id", "new"),), operation)
    assert (made, ignored) == ({"path": {"id": "1"}, "query": {"id": "new"}}, ())
    assert given["query"] == {"id": "old"}


async def test_each_poll_has_a_key_of_its_own():
    room = Room()
    keys: list[str] = []

    def script(_number: int, prepared: Prepared) -> Answer:
        keys.append(prepared.key)
        return FINE

    room.connector.script = script
    await room.call("shop.search", {})
    await room.call("shop.search", {})
    assert len(set(keys)) == 2


async def test_a_pause_that_begins_while_a_poll_waits_for_room_keeps_it_back():
    room = Room(in_flight=1)
    room.connection.in_flight = 1
    room.on_wait = ["a delivery ends", "an operator pauses it"]
    with pytest.raises(SourceUnavailable, match="connection shop is paused by hand by anna"):
        await room.call("shop.list", {})
    assert room.connector.calls == []
    assert room.connection.others == 0
