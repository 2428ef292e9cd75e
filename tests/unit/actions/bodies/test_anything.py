"""Whatever a description and an argument hold: a request is made or refused, and nothing else happens."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.errors import Refused
from actions.serialize import Build, RequestParts, compile_operation
from actions.specs.model import Body, Media, Operation, Parameter, Spec
from actions.specs.references import Registry
from tests.examples import examples

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
WORDS = st.sampled_from(
    [
        "$ref", "type", "properties", "items", "allOf", "oneOf", "required", "default", "additionalProperties", "format",
        "enum", "const", "xml", "name", "wrapped", "attribute", "prefix", "namespace", "nodeType", "contentType", "headers",
        "style", "explode", "schema", "x-ms-visibility", "readOnly", "contentMediaType", "a", "b", "text", "base64",
        "filename", "title", "allowReserved",
    ]
)  # fmt: skip
MEANT = st.sampled_from(
    ["object", "array", "string", "binary", "form", "deepObject", "spaceDelimited", "internal", "#/S", "application/json",
     "image/*, text/csv", "multipart/mixed", "application/xml", "a:b", "urn:x", True, "AA==", "text"]
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS | MEANT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed", "text/plain",
     "application/xml", "application/octet-stream", "*/*", "application/x-ndjson", "text/xml; charset=latin1", "json", ";", "a,b"]
)  # fmt: skip
OBJECTS = st.dictionaries(WORDS, ANYTHING, max_size=5)
NAMES = st.dictionaries(st.sampled_from(["a", "b", "text"]), OBJECTS | ANYTHING, max_size=3)
SCHEMAS = st.fixed_dictionaries(
    {}, optional={"properties": NAMES, "items": OBJECTS, "xml": OBJECTS, "type": MEANT, "$ref": MEANT}
)
VALUES = st.dictionaries(st.sampled_from(["a", "b", "text", "base64"]), ANYTHING, max_size=4) | ANYTHING


def outcome(build: Build, arguments: dict[str, Any]) -> tuple[RequestParts | None, list[str]]:
    """Return what is sent, or where it was refused."""
    try:
        return build(arguments), []
    except Refused as refused:
        return None, [pointer for pointer, _ in refused.problems]


@examples(60)
@given(TYPES, OBJECTS | SCHEMAS, NAMES, VALUES, SCHEMAS, st.booleans())
def test_any_body_is_written_or_refused(
    kind: str, schema: dict[str, Any], encoding: dict[str, Any], value: Any, other: dict[str, Any], raw: bool
) -> None:
    spec = Spec(registry=Registry({"S": other}))
    body = Body(media=(Media(type=kind, schema=schema, encoding=encoding),), required=True)
    build = compile_operation(Operation(id="o", method="POST", path="/", body=body), spec, "http://h")
    if raw:
        try:
            value = msgspec.Raw(msgspec.json.encode(value))
        except (TypeError, ValueError):
            return
    parts, pointers = outcome(build, {"body": value})
    if parts is None:
        assert pointers
        assert all(pointer.startswith("/body") for pointer in pointers)
        return
    assert isinstance(parts.body, bytes)
    assert parts.content_type.isascii()
    assert parts.content_type.isprintable()


@examples(60)
@given(
    st.sampled_from(["path", "query", "header", "cookie"]),
    st.sampled_from(
        ["simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject"]
    ),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "application/json", "text/plain", "application/xml", "multipart/mixed"]),
    OBJECTS | SCHEMAS,
    VALUES,
)
def test_any_parameter_is_written_or_refused(
    location: Any, style: Any, explode: bool, reserved: bool, content: str, schema: dict[str, Any], value: Any
) -> None:
    one = Parameter(
        name="p", location=location, required=location == "path", style=style, explode=explode, schema=schema,
        allow_reserved=reserved, content_type=content,
    )  # fmt: skip
    operation = Operation(
        id="o", method="GET", path="/x/{p}/y" if location == "path" else "/x", parameters=(one,)
    )
    build = compile_operation(operation, Spec(registry=Registry({"S": schema})), "http://h")
    parts, pointers = outcome(build, {"p": value})
    if parts is None:
        assert pointers == ["/p"]
        return
    assert parts.url.isascii()
    assert parts.url.isprintable()
    assert not set(' #\\"<>') & set(parts.url)
    assert parts.url.count("/") == (5 if location == "path" else 3) or location == "query"
    assert all(
        value.isascii() and value.isprintable() and value == value.strip() for _, value in parts.headers
    )
