"""Events as they are written into messages: others read what we write."""

import json
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event
from hypothesis import given
from hypothesis import strategies as st

from actions import cloudevents
from actions.cloudevents import EventStyle
from tests.tables import every_row
from triggers import cloudevents_amqp, cloudevents_kafka

GIVEN = {"subject": "7 €", "time": "2026-01-31T12:00:00Z", "partitionkey": "p", "tries": "3"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20)


def attributes(**given: str) -> dict[str, str]:
    return cloudevents.completed(given, id_="id-1", source="/pointsman", type_="order.paid")


def read(given: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    problems: list[tuple[str, str]] = []
    return cloudevents.read_attributes(given, problems), [text for _, text in problems]


@given(subject=TEXTS, extension=TEXTS, data=st.none() | st.binary(min_size=1, max_size=20))
def test_the_sources_read_binary_events_as_they_were(
    subject: str, extension: str, data: bytes | None
) -> None:
    wanted = attributes(subject=subject, ext=extension)
    kafka = [(name, value.encode()) for name, value in cloudevents.headers(wanted, "ce_")]
    seen = cloudevents_kafka.decode(kafka, "application/octet-stream", data, "binary")
    for prefix in cloudevents.PREFIXES:
        table = dict(cloudevents.headers(wanted, prefix))
        dialect = cloudevents_amqp.dialect_of(table)
        assert dialect == prefix
        again = cloudevents_amqp.decode_binary(table, "application/octet-stream", data or b"", dialect)
        assert (again.id, again.source, again.type, again.subject, again.extensions) == (
            "id-1",
            "/pointsman",
            "order.paid",
            subject,
            {"ext": extension},
        )
    assert (seen.id, seen.subject, seen.extensions) == ("id-1", subject, {"ext": extension})
    assert (seen.data or None) == data


@every_row(
    ("data", "content_type"),
    [
        (b'{"n": 1.10, "big": 12345678901234567890123}', "application/json"),
        (b"\xc3\xa9t\xc3\xa9", "text/plain; charset=utf-8"),
        (b"\xff\x00", "application/octet-stream"),
        (b"<a/>", "application/xml"),
        (b"\xff", "text/plain"),
        (None, ""),
    ],
)
def test_the_sources_read_structured_events_as_they_were(data: bytes | None, content_type: str) -> None:
    body = cloudevents.document(attributes(**GIVEN), data, content_type)
    seen = cloudevents_amqp.decode_structured(cloudevents.STRUCTURED_TYPE, body)
    assert (seen.id, seen.type, seen.subject, seen.data) == ("id-1", "order.paid", "7 €", data)
    assert seen.extensions == {"partitionkey": "p", "tries": "3"}


def test_the_sdk_reads_what_we_write() -> None:
    wanted = attributes(subject="7", time="2026-01-31T12:00:00Z")
    fields = {name: value.encode() for name, value in cloudevents.headers(wanted, "ce_")}
    seen = from_kafka_event(KafkaMessage({**fields, "content-type": b"application/json"}, None, b'{"a": 1}'))
    assert (seen.get_id(), seen.get_type(), seen.get_subject(), seen.get_data()) == (
        "id-1",
        "order.paid",
        "7",
        {"a": 1},
    )
    body = cloudevents.document(wanted, b'{"a": 1}', "application/json")
    whole = KafkaMessage({"content-type": cloudevents.STRUCTURED_TYPE.encode()}, None, body)
    assert from_kafka_event(whole).get_data() == {"a": 1}
    table = dict(cloudevents.headers(wanted, "ce-"))
    again = from_rabbitmq_event(
        RabbitMQMessage(headers=table, content_type="application/json", body=b'{"a": 1}')
    )
    assert (again.get_id(), again.get_data()) == ("id-1", {"a": 1})


def test_json_data_is_copied_as_it_came() -> None:
    assert b'"data":{"n": 1.10}' in cloudevents.document(attributes(), b'{"n": 1.10}', "application/json")


def test_what_the_call_gives_wins() -> None:
    assert attributes(id="own", type="other")["id"] == "own"
    assert attributes(source="/shop")["source"] == "/shop"


@every_row(
    ("given", "words"),
    [
        ({"Subject": "x"}, "a-z and 0-9"),
        ({"a_b": "x"}, "a-z and 0-9"),
        ({"": "x"}, "a-z and 0-9"),
        ({"data": "x"}, "set by the message itself"),
        ({"specversion": "1.0"}, "set by the message itself"),
        ({"subject": ""}, "is empty"),
        ({"id": ""}, "is empty"),
        ({"subject": "a\nb"}, "does not allow"),
        ({"subject": "\ud800"}, "do not allow"),
        ({"time": "yesterday"}, "is no time"),
        ({"time": "2026-01-31 12:00:00Z"}, "is no time"),
        ({"ext": {"a": 1}}, "has a list or an object inside"),
    ],
)
def test_what_no_event_can_hold_is_said(given: dict[str, Any], words: str) -> None:
    _, problems = read(given)
    assert len(problems) == 1
    assert words.replace("does not", "do not") in problems[0]


def test_numbers_and_truth_become_text_and_null_is_absent() -> None:
    assert read({"tries": 3, "paid": True, "subject": None}) == ({"tries": "3", "paid": "true"}, [])


def test_the_usual_style_is_binary() -> None:
    assert EventStyle() == EventStyle(mode="binary", prefix="ce-", source="/pointsman")
    assert json.loads(cloudevents.document(attributes(), None, "")) == attributes()
