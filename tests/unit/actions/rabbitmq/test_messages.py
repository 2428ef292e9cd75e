"""Messages as those of AMQP 0-9-1."""

from typing import Any

import pytest

from actions.cloudevents import EventStyle
from actions.errors import Refused
from actions.publishing import Outgoing
from actions.rabbitmq.messages import MAX_BODY_BYTES, Publication, make_publication
from actions.specs.model import Operation
from tests.tables import every_row

GOOD: dict[str, Any] = {"address": "k", "body": b"1", "content_type": "application/json", "attributes": {}}


def make(
    style: EventStyle | None = None, *, extras: dict[str, Any] | None = None, **more: Any
) -> Publication:
    operation = Operation(id="takeIt", method="PUBLISH", path="k", extras=extras or {})
    made = make_publication(
        Outgoing(**{**GOOD, **more}), style or EventStyle(), operation, key="id-1", user="guest"
    )
    assert made is not None
    return made


def test_a_message_is_a_persistent_event_by_default() -> None:
    assert make(exchange="x") == Publication(
        exchange="x",
        routing_key="k",
        headers={"ce-specversion": "1.0", "ce-id": "id-1", "ce-source": "/pointsman", "ce-type": "takeIt"},
        properties={"message_id": "id-1", "content_type": "application/json", "delivery_mode": 2},
        body=b"1",
    )


def test_the_message_id_is_the_events() -> None:
    assert make(attributes={"id": "own"}).properties["message_id"] == "own"
    assert make(attributes=None).properties["message_id"] == "id-1"


@every_row("prefix", ["cloudEvents_", "cloudEvents:"])
def test_the_prefix_is_the_connections(prefix: str) -> None:
    assert f"{prefix}id" in make(EventStyle(prefix=prefix)).headers


def test_structured_events_hold_everything_in_the_body() -> None:
    made = make(EventStyle(mode="structured"))
    assert made.headers == {}
    assert made.properties["content_type"].startswith("application/cloudevents+json")
    assert b'"data":1' in made.body


def test_nobody_to_answer_is_no_message() -> None:
    operation = Operation(id="reply", method="PUBLISH", path="{to}")
    assert make_publication(Outgoing(address=None), EventStyle(), operation, key="k", user="u") is None


def test_bindings_of_the_operation_are_what_is_usual() -> None:
    said = {"expiration": 100, "priority": 5, "deliveryMode": 1, "mandatory": False, "cc": ["x"]}
    made = make(extras={"bindings": {"operation": {"amqp": said}}, "x-pointsman-answers": True})
    assert made.properties | {"expiration": 100, "priority": 5, "delivery_mode": 1} == made.properties
    assert (made.mandatory, made.answers) == (False, True)
    given = make(
        extras={"bindings": {"operation": {"amqp": said}}}, properties={"priority": 9, "persistent": True}
    )
    assert (given.properties["priority"], given.properties["delivery_mode"]) == (9, 2)


@every_row("said", [{"expiration": "soon", "priority": True, "deliveryMode": 3, "mandatory": 0}, {}])
def test_nonsense_in_bindings_is_passed_over(said: dict[str, Any]) -> None:
    made = make(extras={"bindings": {"operation": {"amqp": said}}})
    assert (set(made.properties), made.mandatory) == ({"message_id", "content_type", "delivery_mode"}, True)


def test_fractions_are_text() -> None:
    made = make(headers=(("f", 1.1), ("deep", {"list": [0.5, 2]})), attributes=None)
    assert made.headers == {"f": "1.1", "deep": {"list": ["0.5", 2]}}


def test_headers_of_an_attempt_win() -> None:
    made = make(headers=(("traceparent", "theirs"), ("a", 1)), attributes=None)
    assert made.with_attempt({"traceparent": "ours"}).headers == {"traceparent": "ours", "a": 1}


@every_row(
    ("more", "pointer"),
    [
        ({"exchange": "a b"}, ""),
        ({"exchange": "x" * 128}, ""),
        ({"address": "ä" * 128}, ""),
        ({"properties": {"correlation_id": "c" * 256}}, "/properties/correlation_id"),
        ({"properties": {"priority": 256}}, "/properties/priority"),
        ({"properties": {"expiration": -1}}, "/properties/expiration"),
        ({"properties": {"timestamp": -1}}, "/properties/timestamp"),
        ({"properties": {"timestamp": 253402300800}}, "/properties/timestamp"),
        ({"properties": {"user_id": "root"}}, "/properties/user_id"),
        ({"attributes": {"id": "i" * 256}}, "/properties/message_id"),
        ({"body": b"x" * (MAX_BODY_BYTES + 1)}, "/body"),
        ({"headers": (("n", 1 << 63),)}, "/headers/n"),
        ({"headers": (("n" * 129, 1),)}, "/headers"),
        ({"headers": (("n", [{"m": -(1 << 64)}]),)}, "/headers/n/0/m"),
    ],
)
def test_what_would_break_the_channel_is_refused(more: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Refused, match="takeIt cannot be published") as caught:
        make(**more)
    assert [one for one, _ in caught.value.problems] == [pointer]


def test_everything_at_its_limit_is_taken() -> None:
    properties = {
        "priority": 255,
        "expiration": 0,
        "timestamp": 0,
        "user_id": "guest",
        "correlation_id": "c" * 255,
    }
    made = make(exchange="x" * 127, address="k" * 255, headers=(("n", (1 << 63) - 1),), properties=properties)
    assert made.properties | properties == made.properties
