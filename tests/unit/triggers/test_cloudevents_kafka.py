"""The CloudEvents Kafka binding, both ways, beside the official SDK."""

import contextlib
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.cloudevents_kafka import content_type_of, decode, encode, mode_of
from triggers.errors import BadEvent
from triggers.message import TriggerMessage

REQUIRED = [("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t"), ("ce_specversion", b"1.0")]
STRUCTURED = "application/cloudevents+json; charset=UTF-8"

_printable = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zs", "Zl", "Zp")), min_size=1, max_size=30
)
_names = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True).filter(
    lambda name: name not in ("id", "source", "type", "subject", "time", "data", "specversion", "dataschema")
)


def event(**changes: Any) -> TriggerMessage:
    said: dict[str, Any] = {"id": "1", "source": "/s", "type": "t"}
    return TriggerMessage(**{**said, **changes})


@every_row(
    ("content_type", "headers", "mode"),
    [
        (STRUCTURED, [], "structured"),
        ("Application/CloudEvents+JSON", REQUIRED, "structured"),
        ("application/cloudevents-batch+json", [], "structured"),
        ("application/json", REQUIRED, "binary"),
        ("", REQUIRED, "binary"),
        ("", REQUIRED[1:], None),
        ("application/json", [("ce-id", b"1")], None),
        ("", [], None),
    ],
)
def test_the_content_type_decides_the_mode(content_type: str, headers: list[Any], mode: str | None) -> None:
    assert mode_of(headers, content_type) == mode


def test_a_content_type_is_found_whatever_its_case_and_the_last_one_counts() -> None:
    assert content_type_of([("Content-Type", b"a/b"), ("content-type", b"c/d")]) == "c/d"
    assert content_type_of([("content-type", None), ("x", b"y")]) == ""
    assert content_type_of([("content-type", b"\xff")]) == "\ufffd"


def test_binary_mode_reads_attributes_as_they_are_and_leaves_other_headers_alone() -> None:
    headers = [
        *REQUIRED,
        ("ce_subject", "Euro € 😀 %20".encode()),
        ("ce_traceparent", b"00-1"),
        ("ce_datacontenttype", b"text/plain"),
        ("other", b"\xff\xfe"),
    ]
    found = decode(headers, "application/json", b'{"a": 1.10}', "binary")
    assert found.subject == "Euro € 😀 %20"
    assert found.extensions == {"traceparent": "00-1"}
    assert found.datacontenttype == "application/json"
    assert (found.format, found.data) == ("json", b'{"a": 1.10}')


def test_a_null_value_is_an_event_without_data() -> None:
    assert decode(REQUIRED, "", None, "binary").data is None
    assert encode(event(), "binary").value is None


def test_structured_mode_is_the_json_format() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1.10}}'
    assert decode([], STRUCTURED, body, "structured").data == b'{"a":1.10}'


@every_row(
    ("content_type", "headers", "value", "reason", "words"),
    [
        ("application/cloudevents-batch+json", [], b"[]", "unsupported-format", "no batches"),
        ("application/cloudevents+avro", [], b"", "unsupported-format", "JSON format"),
        (STRUCTURED, [], None, "invalid-json", "not JSON"),
        (STRUCTURED, [], b"{}", "invalid-cloudevent", "id is missing"),
        ("", [*REQUIRED, ("ce_id", b"2")], b"", "invalid-cloudevent", "ce_id stands more than once"),
        ("", [*REQUIRED, ("ce_subject", b"\xff")], b"", "invalid-cloudevent", "ce_subject is not UTF-8"),
        ("", [*REQUIRED, ("ce_time", b"now")], b"", "invalid-cloudevent", "time is not RFC 3339"),
        ("", [*REQUIRED[:3], ("ce_specversion", b"0.3")], b"", "invalid-cloudevent", "1.0 is read"),
        ("", [*REQUIRED, ("ce_data", b"x")], b"", "invalid-cloudevent", "named data"),
        ("application/json", REQUIRED, b"{", "invalid-json", "not JSON"),
    ],
)
def test_broken_events_are_bad_events(
    content_type: str, headers: list[Any], value: bytes | None, reason: str, words: str
) -> None:
    mode = mode_of(headers, content_type) or "binary"
    with pytest.raises(BadEvent) as caught:
        decode(headers, content_type, value, mode)
    assert caught.value.reason == reason
    assert words in caught.value.detail


@given(
    subject=st.none() | _printable,
    extensions=st.dictionaries(
        _names, _printable | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=4
    ),
    data=st.sampled_from(
        [
            ("none", None, None),
            ("json", b'{"a": [1.10, "\xc3\xa9"]}', "application/json"),
            ("json", b"null", "application/vnd.x+json"),
            ("text", "größer".encode(), "text/plain; charset=utf-8"),
            ("binary", b"\xff\x00", "application/octet-stream"),
            ("form", b"a=b", "application/x-www-form-urlencoded"),
        ]
    ),
    mode=st.sampled_from(["binary", "structured"]),
)
def test_an_event_comes_back_as_it_went(subject: Any, extensions: Any, data: Any, mode: Any) -> None:
    form, body, content_type = data
    sent = event(subject=subject, extensions=extensions, format=form, data=body, datacontenttype=content_type)
    encoded = encode(sent, mode)
    stated = content_type_of(encoded.headers)
    assert mode_of(encoded.headers, stated) == mode
    found = decode(encoded.headers, stated, encoded.value, mode)
    assert (found.id, found.source, found.type, found.subject) == ("1", "/s", "t", subject)
    assert (found.format, found.data) == (form, body)
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in extensions.items()
    }
    assert found.extensions == (texts if mode == "binary" else extensions)


@given(subject=_printable, extra=_printable)
def test_the_official_sdk_reads_what_we_send(subject: str, extra: str) -> None:
    sent = event(
        subject=subject,
        extensions={"extra": extra},
        format="json",
        data=b'{"a":1}',
        datacontenttype="application/json",
    )
    for mode in ("binary", "structured"):
        encoded = encode(sent, mode)
        message = sdk.KafkaMessage(headers=dict(encoded.headers), key=None, value=encoded.value or b"")
        read = sdk.from_kafka(message, JSONFormat())
        assert read.get_subject() == subject
        assert read.get_extension("extra") == extra
        assert read.get_data() == {"a": 1}


@given(subject=_printable, extra=_printable)
def test_we_read_what_the_official_sdk_sends(subject: str, extra: str) -> None:
    made = CloudEvent(
        attributes={
            "id": "1",
            "source": "/s",
            "type": "t",
            "specversion": "1.0",
            "subject": subject,
            "extra": extra,
            "datacontenttype": "application/json",
        },
        data={"a": 1},
    )
    for message in (sdk.to_binary(made, JSONFormat()), sdk.to_structured(made, JSONFormat())):
        headers = list(message.headers.items())
        content_type = content_type_of(headers)
        mode = mode_of(headers, content_type)
        assert mode is not None
        found = decode(headers, content_type, message.value, mode)
        assert (found.subject, found.extensions) == (subject, {"extra": extra})
        assert found.data is not None
        assert found.data.replace(b" ", b"") == b'{"a":1}'


@every_row(
    ("changes", "word"),
    [({"id": ""}, "id is empty"), ({"extensions": {"Bad": "x"}}, "no name"), ({"time": "now"}, "RFC 3339")],
)
def test_what_the_specification_forbids_is_not_sent(changes: dict[str, Any], word: str) -> None:
    for mode in ("binary", "structured"):
        with pytest.raises(ValueError, match=word):
            encode(event(**changes), mode)


_headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_", "content-type", "x"]
        ),
        st.none() | st.sampled_from([b"1.0", b"application/cloudevents+json", b""]) | st.binary(max_size=8),
    ),
    max_size=8,
)


@given(headers=_headers, value=st.none() | st.binary(max_size=40))
def test_nothing_else_is_ever_raised(headers: list[Any], value: bytes | None) -> None:
    content_type = content_type_of(headers)
    for mode in ("binary", "structured"):
        with contextlib.suppress(BadEvent):
            assert decode(headers, content_type, value, mode).id
