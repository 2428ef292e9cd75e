"""Messages as Kafka records."""

from typing import Any

import pytest

from actions.cloudevents import EventStyle
from actions.errors import Refused
from actions.kafka.records import MAX_RECORD_BYTES, Record, make_record
from actions.publishing import Outgoing
from tests.tables import every_row

GOOD: dict[str, Any] = {"address": "t", "body": b"1", "content_type": "application/json", "attributes": {}}


def make(style: EventStyle | None = None, **more: Any) -> Record:
    return make_record(Outgoing(**{**GOOD, **more}), style or EventStyle(), operation="takeIt", key="id-1")


def test_a_record_is_an_event_by_default() -> None:
    assert make(key=b"k", partition=3) == Record(
        "t",
        3,
        b"k",
        (
            ("ce_specversion", b"1.0"),
            ("ce_id", b"id-1"),
            ("ce_source", b"/pointsman"),
            ("ce_type", b"takeIt"),
            ("content-type", b"application/json"),
        ),
        b"1",
    )


def test_structured_events_hold_everything_in_the_value() -> None:
    made = make(EventStyle(mode="structured"), attributes={"type": "t"})
    assert made.headers == (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    assert made.value == (
        b'{"specversion":"1.0","id":"id-1","source":"/pointsman","type":"t",'
        b'"datacontenttype":"application/json","data":1}'
    )


@every_row("more", [{"attributes": None}, {"style": EventStyle(mode="none")}])
def test_without_events_only_the_content_type_is_added(more: dict[str, Any]) -> None:
    assert make(**more).headers == (("content-type", b"application/json"),)


def test_a_tombstone_has_a_key_and_no_content_type() -> None:
    made = make(body=None, content_type="", key=b"k")
    assert made.value is None
    assert "content-type" not in dict(made.headers)


def test_headers_become_bytes() -> None:
    given = (("a", "ä"), ("b", [1, None, "x"]), ("c", {"d": True}), ("Content-Type", "mine"))
    made = make(headers=given, attributes=None)
    assert made.headers == (
        ("a", "ä".encode()),
        ("b", b"1"),
        ("b", b"x"),
        ("c", b'{"d":true}'),
        ("content-type", b"application/json"),
    )


def test_headers_of_an_attempt_win() -> None:
    made = make(headers=(("traceparent", "theirs"), ("a", "b")), attributes=None, content_type="")
    assert made.with_attempt({"traceparent": "ours"}).headers == (("a", b"b"), ("traceparent", b"ours"))


@every_row(
    ("more", "words"),
    [
        ({"address": ""}, "no name of a topic"),
        ({"address": "a b"}, "no name of a topic"),
        ({"address": ".."}, "no name of a topic"),
        ({"address": "x" * 250}, "no name of a topic"),
        ({"body": None}, "a tombstone needs a key"),
        ({"body": b"x" * (MAX_RECORD_BYTES + 1)}, "larger than 16 MiB"),
    ],
)
def test_what_kafka_would_not_take_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match="takeIt cannot be published") as caught:
        make(**more)
    assert words in caught.value.problems[0][1]
