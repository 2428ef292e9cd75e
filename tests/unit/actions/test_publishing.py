"""Arguments become the parts of a message, or every reason why they cannot."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.errors import Refused
from actions.plain import description
from actions.publishing import Bus, Outgoing, compile_publication, digest
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.tables import every_row

KAFKA = read_spec({"k": description("kafka")})
RABBITMQ = read_spec({"r": description("rabbitmq")})
KAFKA_BUS: Bus = "kafka"
AMQP: Bus = "amqp"


def compose(
    arguments: dict[str, Any], spec: Spec = KAFKA, operation: str = "publish", bus: Bus = "kafka"
) -> Outgoing:
    return compile_publication(spec.operations[operation], spec, bus)(arguments)


def refused(arguments: dict[str, Any], *of: Any) -> dict[str, str]:
    with pytest.raises(Refused) as caught:
        compose(arguments, *of)
    assert all(text in str(caught.value) for _, text in caught.value.problems)
    return dict(caught.value.problems)


def described(channel: dict[str, Any], **more: Any) -> Spec:
    document = {"asyncapi": "2.6.0", "channels": {"orders.{id}": channel}, **more}
    return read_spec({"a.json": json.dumps(document).encode()})


def test_everything_that_can_be_given_is_taken() -> None:
    made = compose(
        {
            "topic": "orders",
            "key": "k",
            "partition": 2,
            "headers": {"a": 1, "gone": None},
            "event": {"type": "t"},
            "body": {"x": msgspec.Raw(b"1.10")},
        }
    )
    assert made == Outgoing(
        address="orders",
        key=b"k",
        partition=2,
        headers=(("a", 1),),
        body=b'{"x":1.10}',
        content_type="application/json",
        attributes={"type": "t"},
    )


@every_row(
    ("key", "data"),
    [
        ("text", b"text"),
        ("ä", "ä".encode()),
        (7, b"7"),
        (msgspec.Raw(b"12345678901234567890123"), b"12345678901234567890123"),
        (msgspec.Raw(b'"a"'), b"a"),
        ({"a": 1}, b'{"a":1}'),
        (True, b"true"),
        (None, None),
        ("", b""),
    ],
)
def test_a_key_is_text_as_it_is_or_json(key: Any, data: bytes | None) -> None:
    assert compose({"topic": "t", "key": key, "body": 1}).key == data


@every_row(
    ("body", "content_type", "data"),
    [
        ({"a": 1}, None, b'{"a":1}'),
        ("text", None, b'"text"'),
        ("text", "text/plain", b"text"),
        ({"a": "b c"}, "application/x-www-form-urlencoded", b"a=b+c"),
        (7, "text/plain", b"7"),
        ("x", "application/octet-stream", b"x"),
        ({"a": 1}, "application/vnd.x+json", b'{"a":1}'),
    ],
)
def test_the_body_is_written_as_its_media_type(body: Any, content_type: str | None, data: bytes) -> None:
    made = compose({"topic": "t", "body": body, "content_type": content_type})
    assert (made.body, made.content_type) == (data, content_type or "application/json")


@every_row("body", [None, msgspec.Raw(b"null")])
def test_null_is_no_body(body: Any) -> None:
    made = compose({"topic": "t", "key": "k", "body": body})
    assert (made.body, made.content_type) == (None, "")


def test_every_problem_is_said_at_once() -> None:
    problems = refused(
        {
            "partition": -1,
            "headers": {"ce_id": "1", "": 1},
            "event": {"Bad": 1},
            "content_type": "\n",
            "tpoic": "x",
        }
    )
    assert problems == {
        "/tpoic": "tpoic is not an input of this operation; did you mean topic?",
        "/topic": "topic is required",
        "/content_type": "content_type is no media type",
        "/body": "body is required",
        "/event/Bad": "event.Bad is no name of an attribute: a-z and 0-9 only",
        "/partition": "partition must be a whole number from 0 on",
        "/headers/ce_id": "ce_id is the event's: give it under `event`",
        "/headers/": "the name of a header has 1 to 255 characters",
    }


@every_row(
    ("arguments", "pointer"),
    [
        ({"topic": {"a": 1}}, "/topic"),
        ({"topic": None}, "/topic"),
        ({"partition": 1.5}, "/partition"),
        ({"partition": True}, "/partition"),
        ({"partition": 1 << 31}, "/partition"),
        ({"headers": []}, "/headers"),
        ({"event": "x"}, "/event"),
        ({"content_type": {}}, "/content_type"),
        ({"key": "\ud800"}, "/key"),
        ({"topic": "\ud800"}, "/topic"),
        ({"headers": {"a": "\ud800"}}, "/headers"),
        ({"headers": {"a": float("inf")}}, "/headers"),
        ({"headers": msgspec.Raw(b'{"a": 1e999}')}, "/headers"),
        ({"body": {"a": float("nan")}}, "/body/a"),
        ({"body": {}, "content_type": "text/plain"}, "/body"),
        ({"body": 1, "content_type": "multipart/form-data"}, "/body"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(arguments: dict[str, Any], pointer: str) -> None:
    assert pointer in refused({"topic": "t", "body": 1, **arguments})


def test_numbers_beyond_64_bits_are_kept() -> None:
    made = compose({"topic": "t", "headers": {"n": msgspec.Raw(b"123456789012345678901")}, "body": 1 << 70})
    assert (made.headers, made.body) == ((("n", 123456789012345678901),), str(1 << 70).encode())
    assert len(digest(made)) == 16


def test_inputs_of_the_other_bus_are_none() -> None:
    spec = described({"publish": {"message": {"payload": {}}}})
    inputs = {"id": "1", "body": 1}
    assert set(refused({**inputs, "properties": {}}, spec, "publish_orders_by_id", "kafka")) == {
        "/properties"
    }
    assert set(refused({**inputs, "key": "k"}, spec, "publish_orders_by_id", "amqp")) == {"/key"}


def test_bindings_name_topic_queue_and_exchange() -> None:
    def place(bindings: dict[str, Any], bus: Bus) -> tuple[str, str | None]:
        spec = described({"bindings": bindings, "publish": {"message": {}}})
        made = compose({"id": "7"}, spec, "publish_orders_by_id", bus)
        return made.exchange, made.address

    assert place({}, "kafka") == ("", "orders.7")
    assert place({"kafka": {"topic": "all"}}, "kafka") == ("", "all")
    assert place({}, "amqp") == ("", "orders.7")
    assert place({"amqp": {"exchange": {"name": "x"}}}, "amqp") == ("x", "orders.7")
    assert place({"amqp": {"is": "queue", "queue": {"name": "q"}}}, "amqp") == ("", "q")
    assert place({"amqp": {"is": "queue"}}, "amqp") == ("", "orders.7")


def test_a_part_of_the_address_is_one_of_those_allowed() -> None:
    spec = described({"parameters": {"id": {"schema": {"enum": ["eu", "us"]}}}, "publish": {}})
    assert compose({"id": "eu"}, spec, "publish_orders_by_id").address == "orders.eu"
    assert refused({"id": "as"}, spec, "publish_orders_by_id") == {
        "/id": "id is 'as', but must be one of eu, us"
    }


def test_names_that_collide_are_given_in_groups() -> None:
    document = {"asyncapi": "2.6.0", "channels": {"o.{key}": {"publish": {"message": {"payload": {}}}}}}
    spec = read_spec({"a.json": json.dumps(document).encode()})
    (operation,) = spec.operations
    made = compose({"path": {"key": "p"}, "message": {"key": "k"}, "body": 1}, spec, operation)
    assert (made.address, made.key) == ("o.p", b"k")
    problems = refused({"path": 5, "message": {"kye": 1}, "key": 1, "body": 1}, spec, operation)
    assert set(problems) == {"/path", "/message/kye", "/key", "/path/key"}


def test_properties_are_looked_at() -> None:
    given = {"priority": 3, "correlation_id": "c", "persistent": False, "reply_to": None}
    made = compose({"body": 1, "properties": given}, RABBITMQ, "publish", "amqp")
    assert made.properties == {"priority": 3, "correlation_id": "c", "persistent": False}
    wrong = {"priority": "3", "persistent": 1, "expiration": True, "nonsense": 1}
    problems = refused({"body": 1, "properties": wrong}, RABBITMQ, "publish", "amqp")
    assert set(problems) == {f"/properties/{name}" for name in wrong}


def test_an_answer_without_anybody_to_get_it_has_no_address() -> None:
    for arguments in ({}, {"to": None, "body": 1}, {"to": None, "correlation_id": None}):
        assert compose(arguments, RABBITMQ, "reply", "amqp").address is None
    made = compose({"to": "q", "correlation_id": 7, "body": "x"}, RABBITMQ, "reply", "amqp")
    assert (made.address, made.exchange, made.properties, made.attributes) == (
        "q",
        "",
        {"correlation_id": "7"},
        None,
    )


def test_an_operation_of_http_is_no_message() -> None:
    document = {"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": {}}}}}
    spec = read_spec({"a.json": json.dumps(document).encode()})
    with pytest.raises(Refused, match="is a request"):
        compile_publication(spec.operations["get_a"], spec, "kafka")


def test_a_broken_operation_says_why() -> None:
    spec = read_spec({"a.json": json.dumps({"asyncapi": "3.0.0", "operations": {"o": {}}}).encode()})
    with pytest.raises(Refused, match="the channel is not an object"):
        compile_publication(spec.operations["o"], spec, "kafka")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    arguments=st.fixed_dictionaries(
        {},
        optional={
            name: JSON | JSON.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
            for name in (
                "topic",
                "key",
                "partition",
                "headers",
                "event",
                "content_type",
                "body",
                "properties",
                "to",
                "x",
            )
        },
    ),
    operation=st.sampled_from(["kafka", "publish", "reply"]),
)
def test_any_arguments_make_a_message_or_are_refused(arguments: dict[str, Any], operation: str) -> None:
    spec, bus = (KAFKA, KAFKA_BUS) if operation == "kafka" else (RABBITMQ, AMQP)
    build = compile_publication(spec.operations["publish" if operation == "kafka" else operation], spec, bus)
    made = refusal = None
    try:
        made = build(arguments)
    except Refused as error:
        refusal = error
    assert refusal.problems if refusal else made == build(arguments)
    if made is not None:
        assert digest(made) == digest(build(arguments))
