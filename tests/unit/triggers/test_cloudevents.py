"""The CloudEvents HTTP binding and JSON format, both ways."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.cloudevents import (
    decode,
    decode_header,
    encode,
    encode_batch,
    encode_header,
    mode_of,
    to_json,
)
from triggers.errors import BadEvent
from triggers.message import TriggerMessage

_HEADERS = {"ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0"}
_REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
_STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
_BATCHED = {"content-type": "application/cloudevents-batch+json"}


def _structured(event: Any) -> TriggerMessage:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    (decoded,) = decode(_STRUCTURED, body, "structured")
    return decoded


@every_row(
    ("headers", "mode"),
    [
        (_STRUCTURED, "structured"),
        ({"content-type": "Application/CloudEvents+JSON"}, "structured"),
        ({"content-type": "application/cloudevents+avro"}, "structured"),
        (_BATCHED, "batched"),
        ({"content-type": "APPLICATION/CLOUDEVENTS-BATCH+json"}, "batched"),
        (_HEADERS, "binary"),
        ({**_HEADERS, "content-type": "application/json"}, "binary"),
        ({**_HEADERS, **_STRUCTURED}, "structured"),
        ({name: value for name, value in _HEADERS.items() if name != "ce-type"}, None),
        ({"content-type": "application/json"}, None),
        ({}, None),
    ],
)
def test_the_content_type_decides_the_mode(headers: dict[str, str], mode: str | None) -> None:
    assert mode_of(headers) == mode


def test_header_values_are_encoded_as_the_specification_shows() -> None:
    assert encode_header("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert encode_header('a"b%c~!') == "a%22b%25c~!"
    assert decode_header("Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀"


@every_row(
    ("value", "expected"),
    [
        ('"quoted \\"text\\""', 'quoted "text"'),
        ('"a%20b"', "a b"),
        ("%2525", "%25"),
        ("a%zzb%", "a%zzb%"),
        ('"', '"'),
        ('""', ""),
        ('a"b', 'a"b'),
        ("%e2%82%ac", "€"),
        ("€".encode().decode("latin-1"), "€"),
        ("€", "€"),
    ],
)
def test_header_values_are_unquoted_then_decoded_once(value: str, expected: str) -> None:
    assert decode_header(value) == expected


@every_row("value", ["%C0%A0", "%ED%A0%80", "%FF", "\xff"])
def test_what_is_not_utf8_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="utf-8"):
        decode_header(value)
    with pytest.raises(BadEvent, match="ce-subject"):
        decode({**_HEADERS, "ce-subject": value}, b"", "binary")


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_a_header(text: str) -> None:
    encoded = encode_header(text)
    assert all("!" <= character <= "~" and character != '"' for character in encoded)
    assert decode_header(encoded) == text


def test_binary_mode_keeps_attributes_extensions_and_bytes() -> None:
    headers = {
        **_HEADERS,
        "ce-subject": "a%20b",
        "ce-time": "2018-04-05T17:31:00Z",
        "ce-dataschema": "https://x",
        "ce-myext": "v",
        "ce-datacontenttype": "ignored/as-the-binding-says",
        "content-type": "application/json",
        "host": "h",
    }
    body = b'{"n": 1.10,  "big": 123456789012345678901234567890}'
    (event,) = decode(headers, body, "binary")
    assert event == TriggerMessage(
        id="1",
        source="/s",
        type="t",
        subject="a b",
        time="2018-04-05T17:31:00Z",
        dataschema="https://x",
        datacontenttype="application/json",
        extensions={"myext": "v"},
        format="json",
        data=body,
    )


def test_binary_mode_without_a_body_has_no_data() -> None:
    (event,) = decode({**_HEADERS, "content-type": "application/json"}, b"", "binary")
    assert (event.data, event.format) == (None, "none")


def test_binary_mode_without_a_type_has_bytes() -> None:
    (event,) = decode(_HEADERS, b"\xff", "binary")
    assert (event.data, event.format, event.datacontenttype) == (b"\xff", "binary", None)


def test_structured_mode_keeps_the_exact_bytes_of_data() -> None:
    event = _structured(
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data" : {"a":  1.10, "a": 2} }'
    )
    assert event.data == b'{"a":  1.10, "a": 2}'
    assert event.format == "json"


def test_null_data_is_data_and_absent_data_is_none() -> None:
    assert _structured({**_REQUIRED, "data": None}).data == b"null"
    assert _structured(_REQUIRED).data is None


def test_null_attributes_are_not_set() -> None:
    event = _structured({**_REQUIRED, "subject": None, "ext": None, "data_base64": None, "data": 1})
    assert (event.subject, event.extensions, event.data) == (None, {}, b"1")


@every_row(
    ("members", "form", "data"),
    [
        ({"data_base64": "AQI="}, "binary", b"\1\2"),
        ({"data_base64": "e30=", "datacontenttype": "application/json"}, "json", b"{}"),
        ({"data_base64": "e30", "datacontenttype": "application/json"}, None, b""),
        ({"data_base64": "ew==", "datacontenttype": "application/json"}, "binary", b"{"),
        ({"data": "<x/>", "datacontenttype": "application/xml"}, "text", b"<x/>"),
        ({"data": "a=1", "datacontenttype": "application/x-www-form-urlencoded"}, "form", b"a=1"),
        ({"data": "x", "datacontenttype": "application/octet-stream"}, "text", b"x"),
        ({"data": {"a": 1}, "datacontenttype": "text/plain"}, "json", b'{"a": 1}'),
        ({"data": "x"}, "json", b'"x"'),
        ({"data": "x", "datacontenttype": "application/vnd.x+json"}, "json", b'"x"'),
    ],
)
def test_data_is_what_its_type_says(members: dict[str, Any], form: str | None, data: bytes) -> None:
    if form is None:
        with pytest.raises(BadEvent, match="data_base64 is not base64"):
            _structured({**_REQUIRED, **members})
        return
    event = _structured({**_REQUIRED, **members})
    assert (event.format, event.data) == (form, data)


def test_extensions_keep_their_type() -> None:
    event = _structured({**_REQUIRED, "yes": True, "count": 7, "text": "x", "Odd-Name": "y"})
    assert event.extensions == {"yes": True, "count": 7, "text": "x", "Odd-Name": "y"}


@every_row("number", [1 << 63, -(1 << 63) - 1, 10**40])
def test_an_extension_that_no_store_can_keep_is_refused(number: int) -> None:
    with pytest.raises(BadEvent, match="ext is an integer of more than 64 bits"):
        _structured({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "ext": number})


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadEvent) as caught:
        _structured(
            {
                "specversion": "0.3",
                "id": "",
                "source": 1,
                "time": "yesterday",
                "ext": [1],
                "a": "\n",
                "data": 1,
                "data_base64": "",
            }
        )
    assert caught.value.reason == "invalid-cloudevent"
    for word in (
        "specversion is '0.3'", "id is empty", "source is not a string", "type is missing", "time is not RFC 3339",
        "ext is neither", "a has a character", "both data and data_base64",
    ):  # fmt: skip
        assert word in caught.value.detail


@every_row("event", [b"[]", b"1", b'"x"', b"null"])
def test_an_event_is_an_object(event: bytes) -> None:
    with pytest.raises(BadEvent, match="JSON object"):
        _structured(event)


def test_a_batch_is_taken_whole_or_not() -> None:
    body = json.dumps([_REQUIRED, {**_REQUIRED, "id": "2", "data": [1]}]).encode()
    assert [event.id for event in decode(_BATCHED, body, "batched")] == ["1", "2"]
    assert decode(_BATCHED, b"[]", "batched") == ()
    with pytest.raises(BadEvent, match="event 1: id is missing"):
        decode(_BATCHED, json.dumps([_REQUIRED, {}]).encode(), "batched")
    with pytest.raises(BadEvent, match="JSON array"):
        decode(_BATCHED, b"{}", "batched")


def test_data_may_be_as_deep_as_in_any_body() -> None:
    deep = b"[" * 64 + b"]" * 64
    body = json.dumps(_REQUIRED).encode()[:-1] + b', "data": ' + deep + b"}"
    assert _structured(body).data == deep
    assert decode(_BATCHED, b"[" + body + b"]", "batched")[0].data == deep
    with pytest.raises(BadEvent, match="nested"):
        _structured(body.replace(deep, b"[" + deep + b"]"))


@every_row(
    ("content_type", "reason"),
    [
        ("application/cloudevents+avro", "unsupported-format"),
        ("application/cloudevents+json; charset=utf-16", "unsupported-charset"),
    ],
)
def test_other_formats_are_unsupported(content_type: str, reason: str) -> None:
    with pytest.raises(BadEvent) as caught:
        decode({"content-type": content_type}, b"{}", "structured")
    assert caught.value.reason == reason


@every_row("body", [b"", b"{", b'{"a": NaN}', b"[" * 100_000, b'{"id": "\\ud800"}', b"\xff"])
@every_row("headers", [_STRUCTURED, _BATCHED, {**_HEADERS, "content-type": "text/json"}])
def test_broken_bodies_are_bad_events(headers: dict[str, str], body: bytes) -> None:
    mode = mode_of(headers)
    assert mode is not None
    if mode == "binary" and not body:
        return
    with pytest.raises(BadEvent):
        decode(headers, body, mode)


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=20)
_PAYLOADS = st.one_of(
    st.just(("none", None, None)),
    st.sampled_from([b"{}", b"null", b'"x"', b"[1, 1.10]"]).map(
        lambda data: ("json", "application/json", data)
    ),
    _TEXT.map(lambda text: ("text", "text/plain", text.encode())),
    st.just(("form", "application/x-www-form-urlencoded", b"a=1&b=%20")),
    st.binary(min_size=1).map(lambda data: ("binary", "application/octet-stream", data)),
)


@given(
    _TEXT,
    _TEXT,
    st.none() | _TEXT,
    st.dictionaries(st.from_regex(r"\Aext[a-z0-9]{1,6}\Z"), _TEXT, max_size=3),
    _PAYLOADS,
)
def test_an_event_comes_back_as_it_went(
    id_: str, type_: str, subject: str | None, extensions: dict[str, str], payload: tuple[Any, Any, Any]
) -> None:
    form, content_type, data = payload
    event = TriggerMessage(
        id=id_,
        source="/s",
        type=type_,
        subject=subject,
        time="2018-04-05T17:31:00.5+02:00",
        extensions=dict(extensions),
        format=form,
        datacontenttype=content_type,
        data=data,
    )
    for mode in ("binary", "structured"):
        headers, body = encode(event, mode)  # type: ignore[arg-type]
        assert mode_of(headers) == mode
        assert decode(headers, body, mode) == (event,)  # type: ignore[arg-type]
    headers, body = encode_batch([event, event])
    assert decode(headers, body, "batched") == (event, event)


def test_canonical_texts_of_extensions() -> None:
    event = TriggerMessage(id="1", source="/s", type="t", extensions={"yes": True, "no": False, "count": -7})
    headers, body = encode(event, "binary")
    assert (headers["ce-yes"], headers["ce-no"], headers["ce-count"], body) == ("true", "false", "-7", b"")
    assert to_json(event)["count"] == -7


def test_a_type_is_named_where_the_data_needs_one() -> None:
    event = TriggerMessage(id="1", source="/s", type="t", format="text", data=b"x")
    assert encode(event, "binary")[0]["content-type"] == "text/plain; charset=utf-8"
    assert to_json(event)["datacontenttype"] == "text/plain; charset=utf-8"


def test_a_json_string_under_another_type_is_not_taken_for_text() -> None:
    event = TriggerMessage(
        id="1", source="/s", type="t", datacontenttype="text/x", format="json", data=b'"x"'
    )
    assert to_json(event)["data_base64"] == base64.b64encode(b'"x"').decode()


@every_row(
    ("changes", "word"),
    [
        ({"id": ""}, "id is empty"),
        ({"extensions": {"Bad-Name": "x"}}, "no name for an extension"),
        ({"extensions": {"data": "x"}}, "no name for an extension"),
        ({"extensions": {"id": "x"}}, "no name for an extension"),
        ({"extensions": {"ext": 1.5}}, "neither a string"),
        ({"type": "a\r\nb"}, "not allowed"),
        ({"datacontenttype": "téxt"}, "not a media type"),
        ({"time": "now"}, "RFC 3339"),
    ],
)
def test_what_the_specification_forbids_is_not_sent(changes: dict[str, Any], word: str) -> None:
    event = TriggerMessage(**{"id": "1", "source": "/s", "type": "t", **changes})
    for mode in ("binary", "structured"):
        with pytest.raises(ValueError, match=word):
            encode(event, mode)  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.sampled_from([*_HEADERS, "ce-time", "ce-x", "ce-", "ce-data", "content-type"]), st.text()
    ),
    st.binary(max_size=40) | st.sampled_from([b"[{}]", b'[{"id": 1}]', b'{"id":"1","data":{}}', b'{"":""}']),
    st.sampled_from(["binary", "structured", "batched"]),
)
def test_nothing_else_is_ever_raised(headers: dict[str, str], body: bytes, mode: Any) -> None:
    try:
        events = decode({"content-type": "application/cloudevents+json", **headers}, body, mode)
    except BadEvent:
        return
    assert all(isinstance(event, TriggerMessage) for event in events)
