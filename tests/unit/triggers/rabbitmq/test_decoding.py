"""What a delivery becomes: a message as rules see it, or a reject with its bytes."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

from tests.fakes.sources import path_expression
from tests.tables import every_row
from triggers.base import Reject
from triggers.message import TriggerMessage, document
from triggers.rabbitmq.config import RabbitMQConfig
from triggers.rabbitmq.decoding import Decoder, Delivery, as_json, readable

CE = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}


def decoder(**said: Any) -> Decoder:
    config = RabbitMQConfig.model_validate(
        {"kind": "rabbitmq", "url": "amqp://localhost", "queue": "orders", **said}
    )
    return Decoder(
        "shop",
        config,
        expressions={
            name: path_expression(text)
            for name in ("id", "type", "subject")
            if (text := getattr(config, name)) is not None
        },
        random=lambda size: b"\x07" * size,
    )


def delivery(body: bytes = b"{}", *, redelivered: bool = False, **properties: Any) -> Delivery:
    said = {"content_type": "application/json", "message_id": "m-1", **properties}
    return Delivery(body, Basic.Properties(**said), "shop", "orders.new", redelivered)


def message(given: Delivery, **said: Any) -> TriggerMessage:
    made = decoder(**said).decode(given)
    assert isinstance(made, TriggerMessage), made
    return made


def reject(given: Delivery, **said: Any) -> Reject:
    made = decoder(**said).decode(given)
    assert isinstance(made, Reject), made
    return made


def test_a_plain_message_is_as_documented() -> None:
    made = message(
        delivery(
            b'{"a": 1}',
            redelivered=True,
            headers={"tenant": "t-1", "x-delivery-count": 2, "x-death": [{"queue": "q", "count": 1}]},
            correlation_id="c-1",
            reply_to="answers",
            timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            message_type="order",
            app_id="shop",
            user_id="u",
            priority=0,
            expiration="60000",
        )
    )
    assert document(made) == {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/sources/shop",
        "type": "rabbitmq.message",
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
        "data": {"a": 1},
        "meta": {
            "kind": "rabbitmq",
            "queue": "orders",
            "exchange": "shop",
            "routing_key": "orders.new",
            "redelivered": True,
            "headers": {"tenant": "t-1", "x-delivery-count": 2, "x-death": [{"queue": "q", "count": 1}]},
            "message_id": "m-1",
            "correlation_id": "c-1",
            "reply_to": "answers",
            "timestamp": "2026-01-02T03:04:05Z",
            "type": "order",
            "app_id": "shop",
            "user_id": "u",
            "priority": 0,
            "expiration": "60000",
            "delivery_count": 2,
        },
    }


def test_without_message_id_the_id_is_random() -> None:
    assert message(delivery(message_id=None)).id == "07" * 16
    assert message(delivery(message_id="")).id == "07" * 16


def test_an_expression_wins_over_message_id() -> None:
    made = message(delivery(b'{"order": {"id": "o-1"}}'), id="data.order.id", subject="meta.routing_key")
    assert (made.id, made.subject) == ("o-1", "orders.new")


def test_an_expression_that_gives_nothing_is_a_reject() -> None:
    made = reject(delivery(b'{"x": 1}'), id="data.order.id")
    assert (made.reason, made.data) == ("no-id", b'{"x": 1}')


def test_a_message_of_a_stream_is_known_by_its_offset() -> None:
    made = message(delivery(message_id=None, headers={"x-stream-offset": 7}), stream={})
    assert made.id == "orders:7"
    assert made.meta["offset"] == 7
    assert message(delivery(headers={"x-stream-offset": 7}), stream={}).id == "m-1"


@every_row(
    ("content_type", "body", "format_", "seen"),
    [
        ("application/json", b"[1]", "json", [1]),
        ("application/vnd.shop+json; charset=utf-8", b'"x"', "json", "x"),
        ("text/plain", "é".encode(), "text", "é"),
        ("application/x-www-form-urlencoded", b"a=1&a=2", "form", {"a": ["1", "2"]}),
        ("application/octet-stream", b"\xff", "binary", None),
        (None, b' {"a": 1}', "json", {"a": 1}),
        (None, b"[1]", "json", [1]),
        (None, b"[1", "text", "[1"),
        (None, b"17", "text", "17"),
        (None, "é".encode(), "text", "é"),
        (None, b"\xff", "binary", None),
        (None, b"", "none", None),
        ("text/plain", b"", "none", None),
    ],
)
def test_bodies_are_read_by_content_type(
    content_type: str | None, body: bytes, format_: str, seen: Any
) -> None:
    made = message(delivery(body, content_type=content_type))
    assert made.format == format_
    assert made.data == (body or None)
    assert document(made).get("data") == seen


def test_a_fixed_form_wins_over_content_type() -> None:
    made = message(delivery(b"[1]", content_type=None), body="json")
    assert (made.format, made.datacontenttype) == ("json", "application/json")
    made = message(
        delivery(b'{"specversion": "1.0"}', content_type="application/cloudevents+json"), body="json"
    )
    assert made.type == "rabbitmq.message"


@every_row("dialect", ["ce-", "cloudEvents_", "cloudEvents:"])
def test_events_of_each_dialect_keep_their_own_attributes(dialect: str) -> None:
    headers = {name.replace("ce-", dialect): value for name, value in CE.items()}
    made = message(delivery(b"[1]", headers={**headers, f"{dialect}tenant": 5, "other": "x"}))
    assert (made.id, made.source, made.type, made.extensions) == ("1", "/s", "t", {"tenant": 5})
    assert made.meta["headers"] == {"other": "x"}
    assert made.meta["message_id"] == "m-1"


def test_a_whole_event_in_the_body_keeps_its_own_attributes() -> None:
    body = json.dumps({"specversion": "1.0", "id": "9", "source": "/s", "type": "t", "data": 1}).encode()
    made = message(delivery(body, content_type="application/cloudevents+json"))
    assert (made.id, made.data, made.meta["kind"]) == ("9", b"1", "rabbitmq")


@every_row(
    ("given_", "said", "reason"),
    [
        (delivery(b"{"), {}, "invalid-json"),
        (delivery(b"\xff", content_type="text/plain"), {}, "invalid-utf8"),
        (delivery(b"x", content_type="text/plain; charset=latin-1"), {}, "unsupported-charset"),
        (delivery(b"[" * 100 + b"]" * 100), {}, "too-deep"),
        (delivery(b"x" * 11, content_type=None), {"max_message": 10}, "too-large"),
        (delivery(b"x" * 11, content_type="application/cloudevents+json"), {"max_message": 10}, "too-large"),
        (delivery(b"x" * 11, headers=CE), {"max_message": 10}, "too-large"),
        (delivery(content_encoding="gzip"), {}, "unsupported-encoding"),
        (delivery(message_id="a\udcff"), {}, "invalid-message-id"),
        (delivery(message_id="a\x00b"), {}, "invalid-message-id"),
        (delivery(headers={**CE, "ce-time": "x"}), {}, "invalid-cloudevent"),
        (delivery(), {"body": "cloudevents"}, "invalid-cloudevent"),
        (delivery(content_type="application/cloudevents-batch+json"), {}, "unsupported-format"),
    ],
)
def test_poison_is_a_reject_with_its_bytes(given_: Delivery, said: dict[str, Any], reason: str) -> None:
    made = reject(given_, **said)
    assert made.reason == reason
    assert made.detail
    assert made.data == given_.body
    assert made.meta["routing_key"] == "orders.new"
    msgspec.json.encode(made.meta)


@every_row("encoding", ["", "identity", "utf-8", "UTF8", "binary"])
def test_an_encoding_that_changes_nothing_is_no_trouble(encoding: str) -> None:
    assert message(delivery(content_encoding=encoding)).format == "json"


def test_packed_bytes_that_nobody_reads_are_taken_as_they_are() -> None:
    made = message(delivery(b"\x1f\x8b\xff", content_type=None, content_encoding="gzip"))
    assert made.format == "binary"
    assert made.meta["content_encoding"] == "gzip"


def test_credentials_never_enter_meta() -> None:
    headers = {"Authorization": "s3cret", "x": {"api-key": "s3cret", "fine": 1}, "password": "s3cret"}
    made = message(delivery(headers=headers))
    assert made.meta["headers"] == {"x": {"fine": 1}}
    assert "s3cret" not in repr(reject(delivery(b"{", headers=headers)))


def test_texts_that_are_not_utf_8_are_shown_as_hex() -> None:
    assert readable("a\udcffb é") == "a\\xffb é"
    made = message(Delivery(b"{}", Basic.Properties(headers={"k\udcfe": "v"}), "e\udcff", "r\udcff", False))
    assert (made.meta["exchange"], made.meta["routing_key"]) == ("e\\xff", "r\\xff")
    assert made.meta["headers"] == {"k\\xfe": "v"}


@every_row(
    ("value", "seen"),
    [
        (None, None),
        (True, True),
        (1 << 62, 1 << 62),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (10**18, 10**18),
        (b"\xff", {"base64": "/w=="}),
        (bytearray(b"x"), {"base64": "eA=="}),
        ([1, {"a": b"x"}], [1, {"a": {"base64": "eA=="}}]),
    ],
)
def test_every_amqp_value_has_a_place_in_json(value: Any, seen: Any) -> None:
    assert as_json(value) == seen
    msgspec.json.encode(as_json(value))


_texts = st.text(max_size=20) | st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats() | _texts | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_deliveries = st.builds(
    lambda body, headers, properties, exchange: Delivery(
        body, Basic.Properties(headers=headers, **properties), exchange, "", False
    ),
    st.binary(max_size=40)
    | st.sampled_from([b"{}", b'{"specversion":"1.0","id":"1","source":"s","type":"t"}']),
    st.none()
    | st.dictionaries(_texts, _values, max_size=4)
    | st.dictionaries(st.sampled_from([*CE, "ce-time", "ce-x"]), _values, min_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "content_type": _texts
            | st.sampled_from(["application/json", "application/cloudevents+json", "text/x"]),
            "content_encoding": _texts,
            "message_id": _texts,
            "correlation_id": _texts,
            "reply_to": _texts,
            "expiration": _texts,
            "message_type": _texts,
            "timestamp": st.integers(0, 1 << 64) | st.just(datetime(2026, 1, 2, tzinfo=UTC)),
        },
    ),
    _texts,
)


@given(_deliveries, st.sampled_from(["auto", "json", "text", "cloudevents"]))
def test_nothing_that_a_publisher_can_send_raises(given_: Delivery, body: str) -> None:
    made = decoder(body=body).decode(given_)
    msgspec.json.encode(made.meta)
    if isinstance(made, Reject):
        assert made.data == given_.body
        assert made.detail.isprintable()
        made.detail.encode()
    else:
        msgspec.json.encode(document(made))
