"""Arguments of whole operations hold what callers have to give, in a form that survives where it stands."""

from typing import Any

from actions.samples import arguments
from actions.specs.model import Body, Media, Operation, Parameter, Response, Spec

TEXT = {"type": "string"}


def made(*parameters: Parameter, whole: bool = False, **rest: Any) -> dict[str, Any]:
    return arguments(
        Spec(), Operation(id="o", method="POST", path="/", parameters=parameters, **rest), whole=whole
    )


def test_required_parameters_are_given_and_optional_ones_when_everything_is_wanted() -> None:
    one = Parameter(name="one", location="path", required=True, schema=TEXT)
    two = Parameter(name="two", location="query", schema={"type": "integer"})
    assert made(one, two) == {"one": "sample"}
    assert made(one, two, whole=True) == {"one": "sample", "two": 1}


def test_inputs_stand_in_groups_where_names_collide() -> None:
    one = Parameter(name="id", location="path", required=True, schema=TEXT)
    two = Parameter(name="id", location="query", required=True, schema=TEXT)
    assert made(one, two) == {"path": {"id": "sample"}, "query": {"id": "sample"}}


def test_headers_of_the_transport_and_the_key_are_left_to_others() -> None:
    names = ["Authorization", "Host", "Idempotency-Key", "X-Mine"]
    headers = [Parameter(name=name, location="header", required=True, schema=TEXT) for name in names]
    assert made(*headers, key_header="Idempotency-Key") == {"X-Mine": "sample"}


def test_headers_of_http_get_values_of_http() -> None:
    names = ["Content-Type", "Accept", "If-Match"]
    headers = [Parameter(name=name, location="header", required=True, schema=TEXT) for name in names]
    body = Body(media=(Media(type="text/csv", schema=TEXT),))
    responses = {"200": Response(media=(Media(type="application/pdf"),))}
    found = made(*headers, body=body, responses=responses)
    assert found == {
        "Content-Type": "text/csv",
        "Accept": "application/pdf",
        "If-Match": '"sample"',
        "body": "sample",
    }


def test_examples_that_cannot_stand_in_a_path_are_not_taken() -> None:
    path = Parameter(
        name="id", location="path", required=True, schema={"type": "string", "example": "a/../b"}
    )
    query = Parameter(
        name="q", location="query", required=True, schema={"type": "string", "example": "a/../b"}
    )
    assert made(path, query) == {"id": "sample", "q": "a/../b"}


def test_lists_and_objects_of_parameters_are_never_empty_and_hold_no_delimiters() -> None:
    tags = Parameter(
        name="tags",
        location="query",
        required=True,
        schema={"type": "array", "items": {"type": "string", "example": "a,b"}},
    )
    filters = Parameter(
        name="f",
        location="query",
        required=True,
        style="deepObject",
        schema={"type": "object", "properties": {"a": TEXT}},
    )
    assert made(tags, filters) == {"tags": ["sample"], "f": {"a": "sample"}}


def test_bodies_have_the_shape_of_their_media_type() -> None:
    schema = {
        "type": "object",
        "properties": {"a": TEXT, "f": {"type": "string", "format": "binary"}},
        "required": ["a", "f"],
    }
    file = {"text": "sample", "filename": "sample.txt"}
    for type_, wanted in (
        ("application/json", {"a": "sample", "f": "sample"}),
        ("multipart/form-data", {"a": "sample", "f": file}),
        ("application/octet-stream", {"text": "sample", "filename": "sample.bin"}),
        ("text/plain", '{"a": "sample", "f": "sample"}'),
    ):
        assert made(body=Body(media=(Media(type=type_, schema=schema),)))["body"] == wanted
    text = Body(media=(Media(type="application/xml", schema={"type": "string"}),))
    assert made(body=text)["body"] == "<sample/>"


def test_the_example_of_a_body_is_taken_where_it_fits() -> None:
    examples = {"bad": {"value": 3}, "good": {"value": {"a": "shown"}}}
    media = Media(type="application/json", schema={"type": "object", "required": ["a"]}, examples=examples)
    assert made(body=Body(media=(media,))) == {"body": {"a": "shown"}}


def test_optional_objects_that_would_meet_in_the_query_are_left_out() -> None:
    page = {"type": "object", "properties": {"limit": {"type": "integer"}}, "required": ["limit"]}
    query: dict[str, Any] = {"location": "query", "style": "form", "explode": True}
    first = Parameter(name="first", required=True, schema=page, **query)
    second = Parameter(name="second", schema=page, **query)
    limit = Parameter(name="limit", schema={"type": "integer"}, **query)
    assert made(first, second, limit, whole=True) == {"first": {"limit": 1}}


def test_optional_headers_with_parts_within_parts_are_left_out() -> None:
    nested = {"type": "array", "items": {"type": "object", "properties": {"a": TEXT}}}
    assert made(Parameter(name="X-A", location="header", schema=nested), whole=True) == {}
    assert made(Parameter(name="X-A", location="header", schema=nested, required=True)) == {
        "X-A": [{"a": "sample"}]
    }
