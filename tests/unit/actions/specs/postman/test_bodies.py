import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.serialize import compile_operation
from actions.specs.model import Media
from actions.specs.postman.shapes import Shape
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import item, one, raw, read, variables


def post(body: Any, name: str = "r", headers: Any = (), **more: Any) -> dict[str, Any]:
    return item("https://a.x/b", "POST", name, body=body, header=headers, **more)


def media(*items: Any, **more: Any) -> tuple[Media, ...]:
    body = one(read(*items, **more)).body
    assert body is not None
    return body.media


def argument(body: Any, **more: Any) -> Any:
    return one(read(post(body, **more))).presets[0].arguments.get("body")


@every_row(
    ("text", "language", "type_"),
    [
        ('{"a": 1}', "json", "application/json"),
        (" [1]", "", "application/json"),
        ('{"a": {{n}}}', "", "application/json"),
        ("<a/>", "", "application/xml"),
        ("<a/>", "xml", "application/xml"),
        ('<s:Envelope xmlns:s="x"/>', "", "text/xml"),
        ("hello", "", "text/plain"),
        ("{not json", "", "text/plain"),
        ("{{a}} and {{b}}", "", "text/plain"),
        ("<html/>", "html", "text/html"),
        ("{{whole}}", "", "application/json"),
    ],
)
def test_the_media_type_of_a_raw_body_is_told_or_seen(text: str, language: str, type_: str) -> None:
    assert [known.type for known in media(post(raw(text, language)))] == [type_]


def test_a_content_type_header_decides() -> None:
    headers = [{"key": "content-type", "value": "application/vnd.x+json; charset=utf-8"}]
    (known,) = media(post(raw('{"a": 1}', "text"), headers=headers))
    assert (known.type, known.schema["properties"]) == ("application/vnd.x+json", {"a": {"type": "integer"}})
    assert [parameter.name for parameter in one(read(post(raw("{}"), headers=headers))).parameters] == []


@every_row(
    ("text", "value"),
    [
        ('{"n": {{n}}, "s": "{{n}}", "u": {{u}}, "t": "a{{u}}"}', {"n": 5, "s": "5", "u": "{{u}}", "t": "a{{u}}"}),
        ('{"d": {{date}}}', {"d": "2020-01-01"}),
        ('{"a": 1, /* why */ "b": [1,2,],}', {"a": 1, "b": [1, 2]}),
        ('{"id": <your id>, "x": <<two words>>}', {"id": "<your id>", "x": "<<two words>>"}),
        ('{"a": "<long>", "b": "<string>", "c": ["<boolean>"], "d": "<dateTime>"}', {"a": 1, "b": "string", "c": [True], "d": "2000-01-01T00:00:00Z"}),
        ('{"q": "\\"{{n}}\\""}', {"q": '"5"'}),
        ("{{whole}}", {"x": 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)  # fmt: skip
def test_json_with_holes_becomes_a_value(text: str, value: Any) -> None:
    known = variables(n="5", date="2020-01-01", whole='{"x": 1}')
    assert one(read(post(raw(text, "json")), variable=known)).presets[0].arguments["body"] == value


def test_what_is_no_json_is_kept_as_text_beside_the_arguments() -> None:
    operation = one(read(post(raw("{ {{members}} }", "json"), name="Odd")))
    (preset,) = operation.presets
    assert "body" not in preset.arguments
    assert preset.extras["text"] == "{ {{members}} }"
    assert "no JSON" in preset.extras["problem"]


@every_row("text", ['{"a": "\\ud800"}', '{"a": NaN}', '{"\\udfff": 1}'])
def test_json_that_cannot_be_written_again_is_mended(text: str) -> None:
    (preset,) = one(read(post(raw(text, "json")))).presets
    assert msgspec.json.decode(msgspec.json.encode(preset.arguments)) == preset.arguments


def test_json_that_is_too_deep_is_no_value() -> None:
    (preset,) = one(read(post(raw("[" * 200 + "]" * 200, "json")))).presets
    assert "body" not in preset.arguments
    assert "too deep" in preset.extras["problem"]


def test_parameters_of_a_media_type_make_no_other() -> None:
    types = ("text/xml; charset=utf-8", "text/XML", "text/xml; charset=utf-8")
    items = [
        post(raw("<a/>"), name=str(index), headers=f"Content-Type: {type_}")
        for index, type_ in enumerate(types)
    ]
    assert [known.type for known in media(*items)] == ["text/xml; charset=utf-8"]
    assert all("Content-Type" not in preset.arguments for preset in one(read(*items)).presets)


def test_the_samples_of_an_operation_make_its_schema() -> None:
    bodies = (
        '{"a": 1, "b": "x", "c": [{"d": 1}]}',
        '{"a": 1.5, "c": [{"e": null}]}',
        '{"a": 2, "b": null, "c": []}',
    )
    (known,) = media(*(post(raw(text), name=f"r{index}") for index, text in enumerate(bodies)))
    assert known.schema == {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"type": ["string", "null"]},
            "c": {
                "type": "array",
                "items": {"type": "object", "properties": {"d": {"type": "integer"}, "e": {}}},
            },
        },
        "required": ["a", "c"],
        "examples": [json.loads(bodies[0])],
    }
    assert list(known.examples) == ["r0", "r1", "r2"]


def test_one_sample_requires_nothing() -> None:
    assert "required" not in media(post(raw('{"a": 1}')))[0].schema


def test_a_urlencoded_form_has_text_fields() -> None:
    fields = [
        {"key": "a", "value": "1"},
        {"key": "b", "value": "2", "disabled": True},
        {"key": "c", "value": "x"},
        {"key": "c", "value": "y"},
    ]
    (known,) = media(post({"mode": "urlencoded", "urlencoded": fields}))
    assert known.type == "application/x-www-form-urlencoded"
    assert known.schema["properties"] == {
        "a": {"type": "string", "examples": ["1"]},
        "b": {"type": "string", "examples": ["2"]},
        "c": {"type": "array", "items": {"type": "string"}},
    }
    assert argument({"mode": "urlencoded", "urlencoded": fields}) == {"a": "1", "c": ["x", "y"]}
    assert argument({"mode": "urlencoded", "urlencoded": "a=1&b={{x}}"}) == {"a": "1", "b": "{{x}}"}


def test_files_of_a_form_are_named_and_not_kept() -> None:
    fields = [
        {"key": "f", "type": "file", "src": ["/home/me/a.txt"]},
        {"key": "g", "value": "x", "contentType": "text/csv"},
    ]
    operation = one(read(post({"mode": "formdata", "formdata": fields})))
    assert operation.body is not None
    (known,) = operation.body.media
    assert known.schema["properties"]["f"] == {"type": "string", "format": "binary"}
    assert known.encoding == {"g": {"contentType": "text/csv"}}
    assert operation.presets[0].arguments == {"body": {"g": "x"}}
    assert operation.presets[0].extras["files"] == {"f": "a.txt"}


def test_a_file_is_a_binary_body() -> None:
    (known,) = media(post({"mode": "file", "file": {"src": "/a/b.png"}}))
    assert (known.type, known.schema) == ("application/octet-stream", {"type": "string", "format": "binary"})


def test_a_graphql_query_is_json_with_its_variables() -> None:
    body = {
        "mode": "graphql",
        "graphql": {"query": "{a(x: {{x}})}", "variables": '{"b": {{x}}}', "operationName": "o"},
    }
    known = one(read(post(body), variable=variables(x="3"))).presets[0].arguments
    assert known == {"body": {"query": "{a(x: 3)}", "variables": {"b": 3}, "operationName": "o"}}


def test_raw_text_of_a_form_becomes_its_fields() -> None:
    headers = "Content-Type: application/x-www-form-urlencoded"
    assert argument(raw("a=1&b=x%20y&a=2"), headers=headers) == {"a": ["1", "2"], "b": "x y"}


def test_a_preset_names_the_media_type_that_is_not_sent_ordinarily() -> None:
    form = {"mode": "urlencoded", "urlencoded": [{"key": "a", "value": "1"}]}
    operation = one(
        read(
            post(form, name="x"),
            post(raw("text"), name="t"),
            post(form, name="z"),
            post(raw('{"a": 1}'), name="y"),
        )
    )
    assert operation.body is not None
    assert [known.type for known in operation.body.media] == [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ]
    assert {preset.name: preset.arguments.get("Content-Type") for preset in operation.presets} == {
        "x": "application/x-www-form-urlencoded",
        "t": "text/plain",
        "z": "application/x-www-form-urlencoded",
        "y": None,
    }


@every_row("body", [None, {}, {"mode": "raw", "raw": "  "}, {"mode": "raw", "raw": "x", "disabled": True}, {"mode": "formdata", "formdata": []}, {"mode": "odd", "odd": 1}, {"mode": None}, []])  # fmt: skip
def test_nothing_to_send_is_no_body(body: Any) -> None:
    assert one(read(post(body))).body is None


def test_a_get_sends_its_body_only_when_told_to() -> None:
    assert one(read(item("https://a.x/b", body=raw("{}")))).body is None
    behavior = {"disableBodyPruning": True}
    assert one(read(item("https://a.x/b", body=raw("{}"), protocolProfileBehavior=behavior))).body is not None


def test_a_preset_makes_the_request_of_the_collection() -> None:
    url = {"raw": "{{base}}/o/:id?a=b c&d", "variable": [{"key": "id", "value": "7/8"}]}
    spec = read(
        item(url, "PATCH", header=[{"key": "X-A", "value": "y"}], body=raw('{"n": 1}')),
        variable=variables(base="https://a.x/v1"),
    )
    parts = compile_operation(one(spec), spec, "https://a.x/v1")(one(spec).presets[0].arguments)
    assert (parts.method, parts.url) == ("PATCH", "https://a.x/v1/o/7%2F8?a=b%20c&d=")
    assert (dict(parts.headers)["X-A"], parts.content_type) == ("y", "application/json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@examples(100)
@given(samples=st.lists(JSON, min_size=1, max_size=4))
def test_a_schema_allows_every_sample_it_was_made_of(samples: list[Any]) -> None:
    import jsonschema_rs

    shape = Shape()
    for sample in samples:
        shape.add(sample)
    validator = jsonschema_rs.validator_for(shape.schema())
    assert all(validator.is_valid(sample) for sample in samples)


@examples(150)
@given(text=st.text(st.sampled_from('{}[]":,<> a1\\\n'), max_size=25))
def test_any_raw_body_is_read(text: str) -> None:
    spec = read(post(raw(text)), post(raw(text, "json")), variable=variables(a="{{a}}"))
    assert len(one(spec).presets) == 2
