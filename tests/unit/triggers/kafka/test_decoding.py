"""A record becomes a message, or a reject with its bytes."""

from typing import Any

from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.sources import path_expression
from tests.tables import every_row
from triggers.base import Reject
from triggers.errors import BadEvent
from triggers.kafka.decoders import DECODERS, READS_CLOUDEVENTS, decoder
from triggers.kafka.decoding import Decoding
from triggers.kafka.offsets import Partition
from triggers.message import TriggerMessage, decode_data

ONE = Partition("orders", 3)
CLOUDEVENT = (("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t"), ("ce_specversion", b"1.0"))


def record(value: bytes | None, **changes: Any) -> Any:
    said: dict[str, Any] = {"key": None, "timestamp": 1_700_000_000_007, "headers": (), "offset": 7}
    said |= changes
    return ConsumerRecord(
        "orders", 3, said["offset"], said["timestamp"], 0, said["key"], value, None, 0, 0, said["headers"]
    )


def decoding(name: str = "auto", **expressions: str) -> Decoding:
    compiled = {field: path_expression(text) for field, text in expressions.items()}
    return Decoding(
        source="/sources/orders",
        decoder=decoder(name),
        cloudevents=name in READS_CLOUDEVENTS,
        expressions=compiled,
    )


def message(value: bytes | None, name: str = "auto", **changes: Any) -> TriggerMessage:
    (item,) = decoding(name).decode([record(value, **changes)], ONE, "c/orders/3/")
    assert isinstance(item, TriggerMessage), item
    return item


def reject(value: bytes | None, name: str = "auto", **changes: Any) -> Reject:
    (item,) = decoding(name).decode([record(value, **changes)], ONE, "c/orders/3/")
    assert isinstance(item, Reject), item
    return item


@every_row(
    ("name", "value", "content_type", "form", "stated"),
    [
        ("auto", b'{"a": 1}', "", "json", "application/json"),
        ("auto", b" \n[1]", "", "json", "application/json"),
        ("auto", b"42", "", "text", None),
        ("auto", b'"a"', "", "text", None),
        ("auto", b"{not json", "", "text", None),
        ("auto", b"[" * 70 + b"]" * 70, "", "text", None),
        ("auto", "größer".encode(), "", "text", None),
        ("auto", b"\xff{}", "", "binary", None),
        ("auto", b'{"a":"\xff"}', "", "binary", None),
        ("auto", b"42", "application/json", "json", "application/json"),
        (
            "auto",
            b"42",
            "application/vnd.x+json; charset=utf-8",
            "json",
            "application/vnd.x+json; charset=utf-8",
        ),
        ("auto", b"{}", "text/plain", "text", "text/plain"),
        ("auto", b"a=b", "application/x-www-form-urlencoded", "form", "application/x-www-form-urlencoded"),
        ("auto", b"{}", "application/octet-stream", "binary", "application/octet-stream"),
        ("auto", b"{}", "\xff", "json", "application/json"),
        ("auto", b"", "", "none", None),
        ("auto", b"", "text/plain", "none", None),
        ("json", b"42", "", "json", "application/json"),
        ("json", b"42", "text/plain", "json", "application/json"),
        ("json", b"42", "application/x+json", "json", "application/x+json"),
        ("text", b"{}", "application/json", "text", "application/json"),
        ("text", b"", "", "none", None),
        ("bytes", b"{}", "", "binary", None),
        ("bytes", b"{}", "application/json", "binary", "application/json"),
        ("bytes", b"", "", "none", None),
    ],
)
def test_values_are_read_as_asked(
    name: str, value: bytes, content_type: str, form: str, stated: str | None
) -> None:
    headers = (("content-type", content_type.encode()),) if content_type else ()
    found = message(value, name, headers=headers)
    assert (found.format, found.datacontenttype) == (form, stated)
    assert found.data == (value if form != "none" else None)


@every_row(
    ("name", "value", "headers", "reason"),
    [
        ("auto", b"{", ((("content-type"), b"application/json"),), "invalid-json"),
        ("auto", b"", ((("content-type"), b"application/json"),), "invalid-json"),
        ("auto", b"\xff", ((("content-type"), b"text/plain"),), "invalid-utf8"),
        ("auto", b"x", ((("content-type"), b"text/plain; charset=latin-1"),), "unsupported-charset"),
        ("auto", b"{}", ((("content-type"), b"application/cloudevents+json"),), "invalid-cloudevent"),
        ("auto", b"{}", (*CLOUDEVENT, ("ce_id", b"2")), "invalid-cloudevent"),
        ("json", b"{", (), "invalid-json"),
        ("json", b"", (), "invalid-json"),
        ("json", b"[" * 70 + b"]" * 70, (), "too-deep"),
        ("text", b"\xff", (), "invalid-utf8"),
        ("cloudevents", b"{}", (), "invalid-cloudevent"),
    ],
)
def test_what_cannot_be_read_keeps_its_bytes_and_its_place(
    name: str, value: bytes, headers: Any, reason: str
) -> None:
    found = reject(value, name, headers=headers, key=b"k")
    assert (found.reason, found.data) == (reason, value)
    assert found.detail
    assert (found.meta["topic"], found.meta["partition"], found.meta["offset"]) == ("orders", 3, 7)
    assert found.meta["key"] == "k"


def test_a_message_says_where_it_lay() -> None:
    found = message(
        b"{}", key=b"\xff", headers=(("a", None), ("a", b"1"), ("a", b"\xfe"), ("Authorization", b"x"))
    )
    assert found.id == "c/orders/3/7"
    assert found.source == "/sources/orders"
    assert found.type == "kafka.record"
    assert found.time == "2023-11-14T22:13:20.007Z"
    assert found.meta == {
        "kind": "kafka",
        "topic": "orders",
        "partition": 3,
        "offset": 7,
        "timestamp": 1_700_000_000_007,
        "key": {"base64": "/w=="},
        "headers": {"a": [None, "1", {"base64": "/g=="}]},
    }


def test_a_tombstone_has_no_data_and_says_so() -> None:
    for name in DECODERS:
        if name != "cloudevents":
            found = message(None, name, key=b"k", headers=(("content-type", b"application/json"),))
            assert (found.data, found.format, found.datacontenttype) == (None, "none", None)
            assert found.meta["tombstone"] is True
    event = message(None, headers=CLOUDEVENT)
    assert (event.id, event.data, event.meta["tombstone"]) == ("1", None, True)


def test_a_cloudevent_keeps_its_attributes_and_its_headers_are_no_longer_headers() -> None:
    found = message(b"x", headers=(*CLOUDEVENT, ("b", b"c")))
    assert (found.id, found.source, found.type, found.time) == ("1", "/s", "t", None)
    assert found.meta["headers"] == {"b": "c"}
    assert message(b"{}", "json", headers=CLOUDEVENT).type == "kafka.record"


@every_row(
    ("timestamp", "time"),
    [
        (-1, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (10**16, None),
        (1_700_000_000_999, "2023-11-14T22:13:20.999Z"),
    ],
)
def test_times_that_cannot_be_written_are_left_out(timestamp: int, time: str | None) -> None:
    assert message(b"{}", timestamp=timestamp).time == time


def test_expressions_give_attributes_and_what_they_cannot_give_is_a_reject() -> None:
    by_path = decoding(id="data.id", subject="data.who", type="data.what")
    good, bad = by_path.decode(
        [record(b'{"id": 5, "who": "anna", "what": "order.paid"}'), record(b'{"who": "bert"}', offset=8)],
        ONE,
        "c/orders/3/",
    )
    assert isinstance(good, TriggerMessage)
    assert (good.id, good.subject, good.type) == ("5", "anna", "order.paid")
    assert isinstance(bad, Reject)
    assert bad.reason == "no-id"
    (tombstone,) = by_path.decode([record(None)], ONE, "c/orders/3/")
    assert isinstance(tombstone, Reject)
    assert tombstone.data == b""


def test_every_decoder_of_the_registry_can_be_found() -> None:
    for name in DECODERS:
        try:
            form, data, _ = decoder(name)(b"{}", "")
        except BadEvent:
            assert name == "cloudevents"
        else:
            assert (form == "none") == (data is None)


@given(
    name=st.sampled_from(sorted(DECODERS)),
    value=st.none() | st.binary(max_size=30) | st.sampled_from([b"{}", b"[1]", b'"\\ud800"', b"1e999"]),
    key=st.none() | st.binary(max_size=4),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["content-type", "ce_id", "ce_type", "ce_source", "ce_specversion", "x", ""]),
            st.none()
            | st.sampled_from([b"1.0", b"application/json", b"application/cloudevents+json", b"text/plain"])
            | st.binary(max_size=6),
        ),
        max_size=6,
    ),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_any_record_becomes_one_item_that_can_be_read_later(
    name: str, value: bytes | None, key: bytes | None, headers: Any, timestamp: int
) -> None:
    made = record(value, key=key, headers=tuple(headers), timestamp=timestamp)
    (item,) = decoding(name).decode([made], ONE, "c/orders/3/")
    if isinstance(item, TriggerMessage):
        decode_data(item)
        assert item.data in (None, value) or item.format == "json"
    else:
        assert isinstance(item, Reject)
        assert item.data == (value or b"")
