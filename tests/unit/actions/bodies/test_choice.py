"""Which media type is sent, and what a caller may choose."""

from typing import Any

import msgspec

from actions.bodies.media import charset, concrete, covers, kind_of, mended
from actions.serialize import compile_operation
from actions.specs import read_spec
from actions.specs.model import Body, Media, Operation, Parameter, Response, Spec
from tests.tables import every_row
from tests.unit.actions.bodies.sending import refusals, sent

BOTH: dict[str, Any] = {"application/json": {}, "text/csv": {}, "application/vnd.a+json": {}, "image/*": {}}


def headers(operation: Operation, arguments: dict[str, Any]) -> tuple[dict[str, str], str]:
    parts = compile_operation(operation, Spec(), "http://h")(arguments)
    return dict(parts.headers), parts.content_type


@every_row(
    ("chosen", "value", "body", "content_type"),
    [
        (None, {"a": 1}, b'{"a":1}', "application/json"),
        ("text/csv", "a,b", b"a,b", "text/csv"),
        ("text/csv; charset=iso-8859-1", "é", b"\xe9", "text/csv; charset=iso-8859-1"),
        ("application/vnd.a+json", {"a": 1}, b'{"a":1}', "application/vnd.a+json"),
        ("APPLICATION/JSON", [1], b"[1]", "APPLICATION/JSON"),
        ("image/png", {"base64": "AA=="}, b"\x00", "image/png"),
    ],
)
def test_the_content_type_may_be_chosen_among_what_is_described(
    chosen: Any, value: Any, body: bytes, content_type: str
) -> None:
    for name in ("Content_Type", "content_type"):
        parts = sent(BOTH, value, **({name: chosen} if chosen else {}))
        assert (parts.body, parts.content_type) == (body, content_type)
        assert "content-type" not in {key.lower() for key, _ in parts.headers}


def test_choices_are_compiled_once_as_long_as_there_are_few() -> None:
    operation = Operation(id="o", method="POST", path="/", body=Body(media=(Media(type="image/*"),)))
    build = compile_operation(operation, Spec(), "http://h")
    for _ in range(2):
        for index in range(60):
            assert build({"body": "x", "Content-Type": f"image/x{index}"}).content_type == f"image/x{index}"


def test_what_is_not_described_cannot_be_chosen() -> None:
    offered = "application/json, application/vnd.a+json, text/csv, image/*"
    for chosen in ("application/xml", "image/*", "*/*", "text/html"):
        assert refusals(BOTH, "x", Content_Type=chosen) == {
            "/Content-Type": f"Content-Type is {chosen!r}, but must be one of {offered}"
        }
    assert refusals(BOTH, "x", Content_Type="a\r\nb: c") == {
        "/Content-Type": "Content-Type is 'a\\r\\nb: c', which is no media type"
    }
    assert refusals(BOTH, {}, Accept="\n", Content_Type=[1]) == {
        "/Accept": "Accept is '\\n', which is no media type",
        "/Content-Type": "Content-Type has a list or an object inside, which cannot be carried here",
    }


def test_accept_may_be_chosen_and_comes_from_the_good_answers_else() -> None:
    good = Response(media=(Media(type="text/csv"), Media(type="json"), Media(type="application/json;")))
    bad = Response(media=(Media(type="application/problem+json"),))
    operation = Operation(id="o", method="GET", path="/", responses={"2XX": good, "404": bad})
    assert headers(operation, {}) == ({"Accept": "application/json, text/csv"}, "")
    assert headers(operation, {"accept": "text/csv"}) == ({"Accept": "text/csv"}, "")
    assert headers(operation, {"Accept": None}) == ({"Accept": "application/json, text/csv"}, "")


def own(name: str, *, required: bool = False, **schema: Any) -> Parameter:
    return Parameter(name=name, location="header", required=required, schema=schema)


def test_declared_headers_that_choose_are_never_needed_and_their_values_are_the_default() -> None:
    media = (Media(type="application/json"), Media(type="application/x+json"))
    operation = Operation(
        id="o",
        method="POST",
        path="/",
        parameters=(
            own("Content-Type", required=True, enum=["application/x+json"]),
            own("Accept", required=True, default="a/b"),
            own("Authorization", required=True),
        ),
        body=Body(media=media),
    )
    assert headers(operation, {"body": 1}) == ({"Accept": "a/b"}, "application/x+json")
    assert headers(operation, {"body": 1, "Content-Type": "application/json", "Accept": "c/d"}) == (
        {"Accept": "c/d"},
        "application/json",
    )


def test_a_declared_content_type_without_a_body_is_sent_when_it_is_required() -> None:
    required = Operation(
        id="o", method="GET", path="/", parameters=(own("Content-Type", required=True, default="a/b"),)
    )
    assert headers(required, {}) == ({"Content-Type": "a/b"}, "")
    optional = Operation(id="o", method="GET", path="/", parameters=(own("Content-Type", default="a/b"),))
    assert headers(optional, {}) == ({}, "")
    assert headers(optional, {"Content-Type": "c/d"}) == ({"Content-Type": "c/d"}, "")


def test_choices_stand_in_the_group_of_headers_where_names_collide() -> None:
    document = {
        "openapi": "3.0.0",
        "paths": {
            "/a": {
                "post": {
                    "parameters": [{"name": "body", "in": "query"}],
                    "requestBody": {"content": {"application/json": {}, "text/plain": {}}},
                }
            }
        },
    }
    spec = read_spec({"a": msgspec.json.encode(document)})
    build = compile_operation(spec.operations["post_a"], spec, "http://h")
    parts = build({"query": {"body": "q"}, "body": "b", "header": {"Content-Type": "text/plain"}})
    assert (parts.url, parts.body, parts.content_type) == ("http://h/a?body=q", b"b", "text/plain")


@every_row(
    ("written", "sound"),
    [
        ("json", "application/json"),
        ("application/json;", "application/json"),
        ("application/json; charset", "application/json"),
        ("application/json;charset=utf-8", "application/json;charset=utf-8"),
        (" text/xml ", "text/xml"),
        ('multipart/related; type="a/b"', 'multipart/related; type="a/b"'),
        ("application/json, text/json", "application/json"),
        ("application/json\r\nX: y", "application/octet-stream"),
        ('text/plain; a="x\r\ny"', "text/plain"),
        ("", "application/octet-stream"),
        ("image/*", "application/octet-stream"),
    ],
)
def test_broken_names_are_mended(written: str, sound: str) -> None:
    assert concrete(written, "binary") == sound
    assert "\r" not in concrete(written, "binary")


def test_ranges_cover() -> None:
    assert covers("*/*", "a/b")
    assert covers("image/*", "image/png; q=1")
    assert covers("application/*+json", "application/a+json")
    assert not covers("application/*+json", "application/json")
    assert not covers("image/png", "image/gif")
    assert mended("a/b") == "a/b"


@every_row(
    ("name", "kind"),
    [
        ("json", "json"),
        ("xml", "xml"),
        ("form-data", "multipart"),
        ("application/x-ndjson", "json"),
        ("text/yaml", "text"),
        ("application/graphql", "binary"),
    ],
)
def test_the_kind_is_what_was_meant(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_character_sets_that_are_utf8_or_unknown_are_no_matter() -> None:
    assert [
        charset(f"a/b; charset={one}") for one in ("UTF-8", "klingon", "latin1", '"UTF-16"', "\u00e9", "zlib")
    ] == ["", "", "iso8859-1", "utf-16", "", ""]


def test_a_choice_is_shown_among_the_inputs_where_there_is_one() -> None:
    operation = {
        "requestBody": {"content": {"application/json": {}, "text/csv": {}}},
        "responses": {"200": {"content": {"application/json": {}, "application/pdf": {}}}},
    }
    document = {"openapi": "3.1.0", "paths": {"/a": {"post": operation}}}
    spec = read_spec({"a": msgspec.json.encode(document)})
    shown = spec.input_schema(spec.operations["post_a"])["properties"]
    assert shown["Content-Type"]["examples"] == ["application/json", "text/csv"]
    assert shown["Accept"]["examples"] == ["application/json", "application/pdf"]
    single = Operation(id="o", method="POST", path="/", body=Body(media=(Media(type="application/json"),)))
    assert list(Spec().input_schema(single)["properties"]) == ["body"]
