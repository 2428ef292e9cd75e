"""Bodies: JSON copied exactly, forms, text, defaults."""

from typing import Any

import msgspec
import pytest

from actions.errors import Refused
from actions.serialize import RequestParts, build
from actions.specs import read_spec


def sent(content: dict[str, Any], value: Any, *, required: bool = True, schemas: Any = None) -> RequestParts:
    document = {
        "openapi": "3.1.0",
        "paths": {"/a": {"post": {"requestBody": {"required": required, "content": content}}}},
        "components": {"schemas": schemas or {}},
    }
    spec = read_spec({"a.json": msgspec.json.encode(document)})
    arguments = {} if value is ... else {"body": value}
    return build(spec.operations["post_a"], spec, "http://h", arguments)


def refusal(content: dict[str, Any], value: Any, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        sent(content, value, **more)
    ((pointer, text),) = caught.value.problems
    assert pointer == "/body"
    return text


JSON: dict[str, Any] = {"application/json": {}}
FORM = "application/x-www-form-urlencoded"


def test_json_tokens_arrive_unchanged() -> None:
    raw = msgspec.Raw(b'{ "price":1.10, "id":12345678901234567890, "e":1E400 }')
    parts = sent(JSON, {"order": raw, "list": [msgspec.Raw(b"0.10"), "\x00é"], "n": None})
    assert (
        parts.body == b'{"order":' + bytes(raw) + b',"list":[0.10,"\\u0000' + "é".encode() + b'"],"n":null}'
    )
    assert sent(JSON, raw).body == bytes(raw)


@pytest.mark.parametrize("value", [None, [], 5, "x", False])
def test_any_json_value_may_be_a_body(value: object) -> None:
    assert sent(JSON, value).body == msgspec.json.encode(value)


def test_an_absent_or_null_body_is_none_when_it_is_optional() -> None:
    assert (sent(JSON, ..., required=False).body, sent(JSON, ..., required=False).content_type) == (None, "")
    assert sent(JSON, None, required=False).body is None
    assert refusal(JSON, ...) == "body is required"


@pytest.mark.parametrize("value", [{"a": [float("nan")]}, float("inf"), "\ud800", {"a": object()}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    refusal(JSON, value)


def test_what_is_too_deep_is_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert "cannot be written as JSON" in refusal(JSON, value)


@pytest.mark.parametrize(
    ("content", "sent_as"),
    [
        ({"application/xml": {}, "application/json": {}}, "application/json"),
        ({"text/plain": {}, FORM: {}}, FORM),
        ({"multipart/form-data": {}, "text/csv": {}}, "text/csv"),
        ({"application/vnd.api+json; v=1": {}}, "application/vnd.api+json; v=1"),
        ({"*/*": {}}, "application/json"),
        ({"text/*": {}}, "text/plain"),
        ({"image/*": {}}, "application/octet-stream"),
    ],
)
def test_the_preferred_media_type_is_sent(content: dict[str, Any], sent_as: str) -> None:
    assert sent(content, {"a": "1"} if "json" in sent_as or sent_as == FORM else "x").content_type == sent_as


def test_forms() -> None:
    value = {
        "To": "+1 555",
        "n": 1.5,
        "raw": msgspec.Raw(b"1.10"),
        "yes": True,
        "none": None,
        "list": ["a", "b&c"],
        "object": {"a": msgspec.Raw(b"1.0")},
        "objects": [{"a": 1}],
        "é": "",
    }
    assert sent({FORM: {}}, value).body == (
        b"To=%2B1+555&n=1.5&raw=1.10&yes=true&list=a&list=b%26c&object=%7B%22a%22%3A1.0%7D"
        b"&objects=%5B%7B%22a%22%3A1%7D%5D&%C3%A9="
    )
    assert sent({FORM: {}}, msgspec.Raw(b'{"a":1.10}')).body == b"a=1.10"


def test_fields_of_forms_follow_their_encoding() -> None:
    encoding = {
        "deep": {"style": "deepObject", "explode": True},
        "flat": {"style": "form", "explode": False},
        "json": {"contentType": "application/json"},
    }
    value = {"deep": {"a": [1]}, "flat": ["a", "b"], "json": ["a"]}
    expected = b"deep%5Ba%5D%5B0%5D=1&flat=a,b&json=%5B%22a%22%5D"
    assert sent({FORM: {"encoding": encoding}}, value).body == expected


def test_text_and_bytes_pass_through() -> None:
    assert sent({"text/plain": {}}, "ü").body == "ü".encode()
    assert sent({"application/xml": {}}, "<a/>").body == b"<a/>"
    assert sent({"application/octet-stream": {}}, b"\x00\xff").body == b"\x00\xff"
    assert sent({"text/plain": {}}, msgspec.Raw(b"1.10")).body == b"1.10"


@pytest.mark.parametrize(
    ("media", "value", "words"),
    [
        (FORM, "x", "must be an object: it is sent as a form"),
        (FORM, {"a": "\ud800"}, "has half a surrogate pair"),
        ("text/plain", {"a": 1}, "must be text: it is sent as text/plain"),
        ("text/plain", "\ud800", "has half a surrogate pair"),
        ("multipart/form-data", {"a": 1}, "cannot be sent: multipart/form-data is not written yet"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(media: str, value: object, words: str) -> None:
    assert refusal({media: {}}, value) == f"body {words}"


DEFAULTS = {
    "A": {
        "required": ["kind", "inner", "given", "none", "out"],
        "properties": {
            "kind": {"default": "x"},
            "inner": {"$ref": "#/components/schemas/B"},
            "optional": {"default": 1},
            "out": {"default": 2, "readOnly": True},
        },
    },
    "B": {
        "allOf": [{"required": ["n", "again"], "properties": {"n": {"default": 5}}}],
        "properties": {"again": {"$ref": "#/components/schemas/A"}},
    },
    "Whole": {"required": ["v"], "properties": {"v": {"default": 1}}},
}


def test_required_properties_with_a_default_are_always_sent() -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}
    value = {"given": 1, "inner": {"again": {"kind": "y"}}}
    body = sent(content, value, schemas=DEFAULTS).body
    assert body is not None
    assert msgspec.json.decode(body) == {"given": 1, "inner": {"again": {"kind": "y"}, "n": 5}, "kind": "x"}
    assert value == {"given": 1, "inner": {"again": {"kind": "y"}}}
    assert sent({FORM: content["application/json"]}, {"a": 1}, schemas=DEFAULTS).body == b"a=1&kind=x"


def test_a_required_body_that_defaults_can_make_may_be_absent() -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Whole"}}}
    assert sent(content, ..., schemas=DEFAULTS).body == b'{"v":1}'
    assert sent(content, ..., schemas=DEFAULTS, required=False).body is None
