"""Bodies: JSON copied exactly, forms, text, defaults."""

from typing import Any

import msgspec

from tests.tables import every_row
from tests.unit.actions.bodies.sending import refusals, sent


def refusal(content: dict[str, Any], value: Any, **more: Any) -> str:
    ((pointer, text),) = refusals(content, value, **more).items()
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


@every_row("value", [None, [], 5, "x", False])
def test_any_json_value_may_be_a_body(value: object) -> None:
    assert sent(JSON, value).body == msgspec.json.encode(value)


def test_an_absent_or_null_body_is_none_when_it_is_optional() -> None:
    assert (sent(JSON, ..., required=False).body, sent(JSON, ..., required=False).content_type) == (None, "")
    assert sent(JSON, None, required=False).body is None
    assert refusal(JSON, ...) == "body is required"


def test_what_json_cannot_say_is_refused_with_every_place() -> None:
    value = {"a": [1, float("nan")], "b/c": {"d": object()}, "e": "\ud800", "f": msgspec.Raw(b"1")}
    assert refusals(JSON, value) == {
        "/body/a/1": "body/a/1 has the number nan, which JSON does not have",
        "/body/b~1c/d": "body/b~1c/d cannot be written as JSON: it is of a kind that JSON lacks (object)",
        "/body/e": "body/e cannot be written as JSON: it has half a surrogate pair",
    }
    assert refusal(JSON, float("inf")) == "body has the number inf, which JSON does not have"


def test_what_is_too_deep_is_refused() -> None:
    value: Any = []
    for _ in range(20_000):
        value = [value]
    assert "cannot be written as JSON" in refusal(JSON, value)


@every_row(
    ("content", "sent_as"),
    [
        ({"application/xml": {}, "application/json": {}}, "application/json"),
        ({"text/plain": {}, FORM: {}}, FORM),
        ({"multipart/form-data": {}, "text/csv": {}}, "multipart/form-data"),
        ({"text/plain": {}, "application/xml": {}}, "text/plain"),
        ({"application/octet-stream": {}, "application/soap+xml": {}}, "application/soap+xml"),
        ({"json": {}}, "application/json"),
        ({"text/plain": {}, "json": {}}, "application/json"),
        ({"application/json;": {}}, "application/json"),
        ({"application/json; charset": {}}, "application/json"),
        ({"application/json, text/json": {}}, "application/json"),
        ({"APPLICATION/JSON": {}}, "APPLICATION/JSON"),
        ({"application/*+json": {}}, "application/json"),
        ({"application/json-patch+json": {}}, "application/json-patch+json"),
        ({"application/*": {}}, "application/json"),
        ({"*/*": {"schema": {"type": "string", "format": "binary"}}}, "application/octet-stream"),
        ({"not a type": {}}, "application/octet-stream"),
        ({"application/vnd.api+json; v=1": {}}, "application/vnd.api+json; v=1"),
        ({"*/*": {}}, "application/json"),
        ({"text/*": {}}, "text/plain"),
        ({"image/*": {}}, "application/octet-stream"),
    ],
)
def test_the_preferred_media_type_is_sent(content: dict[str, Any], sent_as: str) -> None:
    value = (
        "x"
        if "json" not in sent_as and sent_as.startswith(("text", "application/o", "application/s"))
        else {"a": "1"}
    )
    assert sent(content, value).content_type.partition("; boundary")[0] == sent_as


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
        b"&objects=%7B%22a%22%3A1%7D&%C3%A9="
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


@every_row(
    ("media", "value", "words"),
    [
        (FORM, [1], "must be an object: it is sent as a form"),
        (FORM, "\ud800", "has half a surrogate pair"),
        ("text/plain", {"a": 1}, "must be text: it is sent as text/plain"),
        ("text/plain", "\ud800", "has half a surrogate pair"),
        ("multipart/form-data", 1, "must be an object: it is sent as multipart/form-data"),
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


def test_lines_of_json() -> None:
    value = [{"a": msgspec.Raw(b"1.10")}, "x", None]
    assert sent({"application/x-ndjson": {}}, value).body == b'{"a":1.10}\n"x"\nnull\n'
    assert sent({"application/x-ndjson": {}}, {"a": 1}).body == b'{"a":1}\n'
    assert sent({"application/json-seq": {}}, msgspec.Raw(b"[1,2]")).body == b"\x1e1\n\x1e2\n"
    assert refusals({"application/jsonl": {}}, [1, float("nan")]) == {
        "/body/1": "body/1 has the number nan, which JSON does not have"
    }


def test_lists_of_themselves_and_values_deeper_than_anybody_reads_are_no_trouble() -> None:
    schemas = {
        "Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}},
        "Deep": {
            "properties": {
                "n": {"default": 1, "x-ms-visibility": "internal"},
                "a": {"$ref": "#/components/schemas/Deep"},
            }
        },
        "Mixed": {
            "allOf": [
                {"$ref": "#/components/schemas/Mixed"},
                {"type": ["object", "null"]},
                {"properties": {"l": {"$ref": "#/components/schemas/Loop"}}},
            ]
        },
    }
    for name in ("Loop", "Mixed"):
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        assert sent(content, [[]], schemas=schemas).body == b"[[]]"
        assert sent({"text/plain": content["application/json"]}, [[]], schemas=schemas).body == b"[[]]"
    value: Any = {}
    for _ in range(100_000):
        value = {"a": value}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Deep"}}}
    assert refusal(content, value, schemas=schemas) == "body is nested too deep"


def test_text_in_the_character_set_that_is_asked_for() -> None:
    content: dict[str, Any] = {"text/plain; charset=iso-8859-1": {}}
    assert sent(content, "é").body == b"\xe9"
    assert refusal(content, "日") == "body has characters that iso8859-1 lacks"
    assert (
        sent({"text/plain": {}}, {"text": "x", "type": "text/plain; a=b"}).content_type == "text/plain; a=b"
    )
    assert (
        refusal({"text/plain": {}}, {"text": "x", "type": "text/csv"})
        == "body is text/csv, but must be text/plain"
    )


def test_bytes() -> None:
    content: dict[str, Any] = {"application/octet-stream": {}}
    assert sent(content, {"base64": "AP8="}).body == b"\x00\xff"
    assert sent(content, {"base64": "AP\n8="}).body == b"\x00\xff"
    assert sent(content, "ü").body == "ü".encode()
    assert sent({"*/*": {"schema": {"type": "file"}}}, "x").content_type == "application/octet-stream"
    assert sent({"text/plain": {}}, b"\xff").body == sent({"text/xml": {}}, b"\xff").body == b"\xff"
    assert sent(content, msgspec.Raw(b'{"base64": "AP8="}')).body == b"\x00\xff"
    made = sent({"image/*": {}}, {"base64": "AP8=", "type": "image/png", "filename": "x"})
    assert (made.body, made.content_type) == (b"\x00\xff", "image/png")
    assert (
        refusal({"image/*": {}}, {"text": "x", "type": "text/csv"}) == "body is text/csv, but must be image/*"
    )
    assert refusal(content, {"a": 1}) == "body must be text: it is sent as application/octet-stream"
    assert refusal(content, "\ud800") == "body has half a surrogate pair"


def test_what_is_described_as_an_object_travels_as_json_text_where_the_type_says_nothing_of_objects() -> None:
    schema = {"type": "object", "properties": {"text": {}}}
    for kind in ("text/plain", "application/octet-stream", "application/x-yaml"):
        made = sent({kind: {"schema": schema}}, {"text": "x"})
        assert (made.body, made.content_type) == (b'{"text":"x"}', kind)


INTERNAL = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {"default": 7, "type": "string"},
        "api": {"default": "v2", "x-ms-visibility": "internal"},
        "typo": {"default": 1, "x-ms-visibilty": "internal"},
        "shown": {"default": "no", "x-ms-visibility": "advanced"},
        "inner": {"type": "object", "properties": {"deep": {"default": True, "x-ms-visibility": "internal"}}},
        "list": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
    },
}
ITEM = {
    "properties": {
        "n": {"default": 0, "x-ms-visibility": "internal"},
        "again": {"$ref": "#/components/schemas/Item"},
    }
}


def test_internal_defaults_are_always_sent_but_make_no_object() -> None:
    content = {"application/json": {"schema": INTERNAL}}

    def made(value: Any) -> Any:
        return msgspec.json.decode(sent(content, value, schemas={"Item": ITEM}).body or b"")

    top = {"kind": 7, "api": "v2", "typo": 1}
    assert made({}) == made(...) == top
    assert made({"inner": {}, "list": [{}, {"again": {"again": {}}}, 5]}) == {
        **top,
        "inner": {"deep": True},
        "list": [{"n": 0}, {"n": 0, "again": {"n": 0, "again": {"n": 0}}}, 5],
    }
    assert made(msgspec.Raw(b'{"kind": 1.10, "inner": {}}')) == {**top, "kind": 1.1, "inner": {"deep": True}}
    raw = sent(content, msgspec.Raw(b'{"kind": 1.10}'), schemas={"Item": ITEM}).body
    assert raw == b'{"kind":1.10,"api":"v2","typo":1}'


def test_defaults_of_schemas_that_refer_to_each_other_are_found_once() -> None:
    schemas = {
        f"S{index}": {
            "properties": {f"p{other}": {"$ref": f"#/components/schemas/S{other}"} for other in range(40)}
            | ({"last": {"default": 1, "x-ms-visibility": "internal"}} if index == 39 else {})
        }
        for index in range(40)
    }
    value = {"p1": {"p2": {"p39": {}}}}
    body = sent(
        {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}, value, schemas=schemas
    ).body
    assert body == b'{"p1":{"p2":{"p39":{"last":1}}}}'
