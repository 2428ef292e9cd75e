"""The CloudEvents binding for AMQP 0-9-1, both ways; what the official SDK writes and reads is the oracle."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from cloudevents.core.bindings import amqp as sdk_amqp
from cloudevents.core.bindings import rabbitmq as sdk_rabbitmq
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.cloudevents_amqp import (
    DIALECTS,
    Dialect,
    decode_binary,
    decode_structured,
    dialect_of,
    encode,
    is_structured,
)
from triggers.errors import BadEvent
from triggers.message import TriggerMessage

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def headers(dialect: Dialect, **more: Any) -> dict[str, Any]:
    return {dialect + name: value for name, value in {**REQUIRED, **more}.items()}


# -- telling events from other messages


@every_row("dialect", DIALECTS)
def test_an_event_is_told_by_all_required_headers_of_one_dialect(dialect: Dialect) -> None:
    whole = headers(dialect)
    assert dialect_of({**whole, "other": 1}) == dialect
    for name in whole:
        assert dialect_of({key: value for key, value in whole.items() if key != name}) is None


def test_dialects_are_not_mixed() -> None:
    mixed = {"ce-specversion": "1.0", "ce-id": "1", "cloudEvents_source": "/s", "cloudEvents_type": "t"}
    assert dialect_of(mixed) is None
    assert dialect_of({**headers("cloudEvents:"), **headers("ce-")}) == "ce-"


@every_row(
    ("content_type", "structured"),
    [
        ("application/cloudevents+json", True),
        ("Application/CloudEvents+JSON; charset=utf-8", True),
        ("application/cloudevents-batch+json", True),
        ("application/json", False),
        ("", False),
        (None, False),
    ],
)
def test_structured_mode_is_told_by_content_type(content_type: str | None, structured: bool) -> None:
    assert is_structured(content_type) is structured


# -- binary mode


@every_row("dialect", DIALECTS)
def test_attributes_and_data_are_read(dialect: Dialect) -> None:
    said = headers(dialect, subject="s", time="2026-01-02T03:04:05Z", tenant="t-1")
    event = decode_binary({**said, "x-other": "kept elsewhere"}, "application/json", b'{"a": 1}', dialect)
    assert event == TriggerMessage(
        id="1",
        source="/s",
        type="t",
        subject="s",
        time="2026-01-02T03:04:05Z",
        datacontenttype="application/json",
        extensions={"tenant": "t-1"},
        format="json",
        data=b'{"a": 1}',
    )


@every_row(
    ("name", "value", "read"),
    [
        ("time", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        ("time", datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T00:00:00+02:00"),
        ("time", 1_767_323_045_000, "2026-01-02T03:04:05Z"),
        ("when", datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ("count", 42, 42),
        ("count", "42", "42"),
        ("done", True, True),
        ("id", 42, "42"),
        ("subject", True, "true"),
        ("subject", "Ünïcode € 😀", "Ünïcode € 😀"),
        ("subject", "100%25", "100%25"),
        ("subject", None, None),
    ],
)
def test_native_values_and_their_texts_are_read(name: str, value: Any, read: Any) -> None:
    event = decode_binary(
        {**headers("cloudEvents_"), f"cloudEvents_{name}": value}, None, b"", "cloudEvents_"
    )
    assert {**event.extensions, "id": event.id, "time": event.time, "subject": event.subject}[name] == read


@every_row(
    ("name", "value", "said"),
    [
        ("price", 1.5, "a number with a fraction"),
        ("tree", {"a": 1}, "a table"),
        ("many", [1], "an array"),
        ("raw", b"\xff", "bytes that are not UTF-8"),
        ("raw", bytearray(b"x"), "bytes"),
        ("price", Decimal("1.5"), "no value of CloudEvents"),
        ("subject", "\udcff", "not UTF-8"),
        ("time", 1 << 62, "out of range"),
        ("time", "yesterday", "RFC 3339"),
        ("specversion", "0.3", "specversion"),
        ("id", "", "id is empty"),
        ("data", "x", "no attribute may be named data"),
    ],
)
def test_what_is_no_attribute_is_a_bad_event(name: str, value: Any, said: str) -> None:
    with pytest.raises(BadEvent) as caught:
        decode_binary({**headers("ce-"), f"ce-{name}": value}, None, b"", "ce-")
    assert caught.value.reason == "invalid-cloudevent"
    assert said in caught.value.detail


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadEvent) as caught:
        decode_binary({**headers("ce-", time="x", price=1.5), "ce-id": ""}, None, b"", "ce-")
    assert all(word in caught.value.detail for word in ("time", "price", "id is empty"))


def test_the_property_wins_over_a_header_for_the_content_type() -> None:
    event = decode_binary(headers("ce-", datacontenttype="text/plain"), "application/json", b"{}", "ce-")
    assert event.datacontenttype == "application/json"


def test_data_that_is_not_what_its_type_says_is_a_bad_event() -> None:
    with pytest.raises(BadEvent) as caught:
        decode_binary(headers("ce-"), "application/json", b"{", "ce-")
    assert caught.value.reason == "invalid-json"


# -- structured mode


def test_a_whole_event_in_the_body_is_read() -> None:
    body = json.dumps({**REQUIRED, "data": {"a": 1}}).encode()
    event = decode_structured("application/cloudevents+json; charset=UTF-8", body)
    assert (event.id, event.data) == ("1", b'{"a": 1}')


@every_row(
    ("content_type", "body", "reason"),
    [
        ("application/cloudevents-batch+json", b"[]", "unsupported-format"),
        ("application/cloudevents+avro", b"", "unsupported-format"),
        ("application/cloudevents+json", b"{", "invalid-json"),
        ("application/cloudevents+json", b"{}", "invalid-cloudevent"),
        ("application/cloudevents+json; charset=latin-1", b"{}", "unsupported-charset"),
    ],
)
def test_a_body_that_is_no_event_is_a_bad_event(content_type: str, body: bytes, reason: str) -> None:
    with pytest.raises(BadEvent) as caught:
        decode_structured(content_type, body)
    assert caught.value.reason == reason


# -- round trips, and the SDK

_names = st.from_regex(r"[a-z][a-z0-9]{0,19}", fullmatch=True).filter(
    lambda name: (
        name
        not in {
            "data",
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "dataschema",
        }
    )
)
_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=30,
)
_times = st.integers(0, 250_000_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, tz=UTC).isoformat().replace("+00:00", "Z")
)
_events = st.builds(
    TriggerMessage,
    id=_texts,
    source=st.just("/s") | _texts,
    type=_texts,
    subject=st.none() | _texts,
    time=st.none() | _times,
    extensions=st.dictionaries(
        _names, _texts | st.booleans() | st.integers(-(1 << 31), (1 << 31) - 1), max_size=4
    ),
    datacontenttype=st.just("application/json"),
    format=st.just("json"),
    data=st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | _texts, st.lists).map(
        lambda value: json.dumps({"v": value}).encode()  # what is no object the SDK writes as Python does
    ),
)


@given(_events, st.sampled_from(DIALECTS))
def test_what_is_written_is_read_again(event: TriggerMessage, dialect: Dialect) -> None:
    written, content_type, body = encode(event, "binary", dialect)
    assert dialect_of(written) == dialect
    read = decode_binary(written, content_type, body, dialect)
    if dialect == "ce-":  # everything is text there
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in event.extensions.items()
        }
        assert read.extensions == texts
    else:
        assert read.extensions == event.extensions
    assert (read.id, read.source, read.type, read.subject, read.time, read.data) == (
        event.id,
        event.source,
        event.type,
        event.subject,
        event.time,
        event.data,
    )


@given(_events)
def test_a_whole_event_is_read_again(event: TriggerMessage) -> None:
    written, content_type, body = encode(event, "structured")
    assert written == {}
    assert content_type is not None
    assert is_structured(content_type)
    read = decode_structured(content_type, body)
    assert (read.id, read.extensions, json.loads(read.data or b"0")) == (
        event.id,
        event.extensions,
        json.loads(event.data or b"0"),
    )


@given(_events)
def test_the_sdk_reads_what_is_written(event: TriggerMessage) -> None:
    written, content_type, body = encode(event, "binary")
    message = sdk_rabbitmq.RabbitMQMessage(headers=written, content_type=content_type, body=body)  # type: ignore[arg-type]
    read = sdk_rabbitmq.from_binary_event(message)
    assert (read.get_id(), read.get_source(), read.get_type(), read.get_subject()) == (
        event.id,
        event.source,
        event.type,
        event.subject,
    )
    assert read.get_data() == json.loads(event.data or b"0")


@given(_events)
def test_what_the_sdk_writes_for_rabbitmq_is_read(event: TriggerMessage) -> None:
    message = sdk_rabbitmq.to_binary_event(_sdk(event))
    read = decode_binary(message.headers, message.content_type, message.body, "ce-")
    assert (read.id, read.source, read.type, read.subject) == (
        event.id,
        event.source,
        event.type,
        event.subject,
    )
    assert json.loads(read.data or b"null") == json.loads(event.data or b"null")
    if event.time is not None:  # otherwise it writes the time of now
        assert _moment(read.time) == _moment(event.time)


@given(_events)
def test_what_the_sdk_writes_for_amqp_is_read_as_it_comes_through_rabbitmq(event: TriggerMessage) -> None:
    """RabbitMQ turns application properties into headers, and its timestamps into datetimes of ours."""
    message = sdk_amqp.to_binary_event(_sdk(event))
    read = decode_binary(
        message.application_properties,
        message.properties["content-type"],
        message.application_data,
        "cloudEvents_",
    )
    assert (read.id, read.source, read.type, read.subject) == (
        event.id,
        event.source,
        event.type,
        event.subject,
    )
    assert read.extensions == event.extensions
    if event.time is not None:
        assert abs(_moment(read.time) - _moment(event.time)) < timedelta(milliseconds=2)


@given(_events)
def test_structured_events_of_the_sdk_are_read(event: TriggerMessage) -> None:
    message = sdk_rabbitmq.to_structured_event(_sdk(event))
    read = decode_structured(message.content_type or "", message.body)
    assert (read.id, read.source, read.type) == (event.id, event.source, event.type)
    assert json.loads(read.data or b"null") == json.loads(event.data or b"null")


def _sdk(event: TriggerMessage) -> CloudEvent:
    attributes: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "specversion": "1.0",
        "datacontenttype": "application/json",
        **event.extensions,
    }
    if event.subject is not None:
        attributes["subject"] = event.subject
    if event.time is not None:
        attributes["time"] = _moment(event.time)
    return CloudEvent(attributes=attributes, data=json.loads(event.data or b"null"))


def _moment(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)


def test_an_event_that_breaks_the_specification_is_not_written() -> None:
    with pytest.raises(ValueError, match="extension"):
        encode(TriggerMessage(id="1", source="/s", type="t", extensions={"Bad Name": "x"}), "binary")
