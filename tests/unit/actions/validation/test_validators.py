"""Values against the schemas of descriptions, as each dialect means them."""

import json
import threading
import time

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.specs.model import Body, Media, Operation, Parameter, Response, Spec
from actions.specs.references import Registry
from actions.validation import MAX_DEPTH, MAX_PROBLEMS, Validators
from tests.tables import every_row

OLD = ("swagger2", "openapi3.0")
NEW = ("openapi3.1", "openapi3.2", "asyncapi2")


def problems(schema, value, dialect="openapi3.0", root=None, **more):
    spec = Spec(dialect=dialect, registry=Registry(root or {}))
    return Validators(spec).schema(schema, **more).problems(value)


def notes(schema, dialect="openapi3.0", root=None):
    return Validators(Spec(dialect=dialect, registry=Registry(root or {}))).schema(schema).notes


REFS = {
    "schemas": {
        "Named": {"type": "string"},
        "Node": {
            "type": "object",
            "properties": {"next": {"$ref": "#/schemas/Node"}, "n": {"type": "integer"}},
        },
    }
}


@every_row(
    ("dialects", "schema", "good", "bad"),
    [
        (OLD, {"type": "string", "nullable": True}, [None, "a"], [1]),
        (OLD, {"type": "string", "x-nullable": True, "enum": ["a"]}, [None, "a"], ["b"]),
        (OLD, {"type": "integer", "nullable": True, "minimum": 3}, [None, 3], [2]),
        (OLD, {"allOf": [{"type": "integer"}], "nullable": True}, [None, 3], ["x"]),
        (OLD, {"$ref": "#/schemas/Named", "nullable": True}, [None, "x"], [3]),
        (OLD, {"$ref": "#/schemas/Named", "minLength": 3}, ["x"], [3]),
        (NEW, {"$ref": "#/schemas/Named", "minLength": 3}, ["xxx"], ["x", 3]),
        (NEW, {"type": ["string", "null"]}, [None, "x"], [3]),
        (OLD, {"type": ["string", "null"]}, [None, "x"], [3]),
        (OLD, {"minimum": 3, "exclusiveMinimum": True}, [4], [3]),
        (OLD, {"minimum": 3, "exclusiveMinimum": False}, [3], [2]),
        (OLD, {"maximum": 3, "exclusiveMaximum": True}, [2], [3]),
        (NEW, {"exclusiveMinimum": 3, "exclusiveMaximum": 5}, [4], [3, 5]),
        (
            OLD,
            {"const": 3, "if": {"type": "string"}, "then": False, "contains": {"type": "string"}},
            [3, "x", [1]],
            [],
        ),
        (NEW, {"const": 3}, [3], [4]),
        (
            NEW,
            {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}},
            ["xx", 2],
            ["x", 1],
        ),
        (NEW, {"contains": {"type": "string"}, "minContains": 2}, [["a", "b"]], [["a", 1]]),
        (NEW, {"prefixItems": [{"type": "string"}], "items": False}, [["a"]], [["a", 1], [1]]),
        (NEW, {"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}]),
        (NEW, {"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 1}], [{"a": 1}]),
        (NEW, {"dependencies": {"a": ["b"]}}, [{"a": 1, "b": 1}], [{"a": 1}]),
        (NEW, {"properties": {"a": {}}, "unevaluatedProperties": False}, [{"a": 1}], [{"b": 1}]),
        (
            NEW,
            {"items": [{"type": "string"}], "additionalItems": {"type": "integer"}},
            [["a", 1]],
            [[1], ["a", "b"]],
        ),
        (
            (*OLD, *NEW),
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True},
            [[1, 2]],
            [[], ["a"], [1, 1]],
        ),
        (
            (*OLD, *NEW),
            {"type": "object", "required": ["a"], "additionalProperties": False, "properties": {"a": {}}},
            [{"a": 1}],
            [{}, {"a": 1, "b": 2}],
        ),
        ((*OLD, *NEW), {"additionalProperties": {"type": "integer"}}, [{"a": 1}], [{"a": "x"}]),
        (
            (*OLD, *NEW),
            {"patternProperties": {"^x-": {"type": "integer"}}},
            [{"x-a": 1, "b": "x"}],
            [{"x-a": "x"}],
        ),
        ((*OLD, *NEW), {"not": {"type": "string"}}, [1], ["a"]),
        ((*OLD, *NEW), {"type": "integer", "format": "int32"}, [2**31 - 1], [2**31, "1"]),
        ((*OLD, *NEW), {"type": "integer", "format": "int64", "maximum": 5}, [5], [6, 2**63]),
        ((*OLD, *NEW), {"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["x"]),
        ((*OLD, *NEW), {"type": "string", "format": "date-time"}, ["2024-05-17T09:30:00Z"], ["yesterday"]),
        ((*OLD, *NEW), {"type": "string", "format": "made-up"}, ["anything"], [1]),
        ((*OLD, *NEW), {"type": "string", "format": "byte"}, ["not base64 at all"], []),
        ((*OLD, *NEW), {"multipleOf": 0.01}, [19.99, 1], [0.001]),
        ((*OLD, *NEW), {"type": "number"}, [1, 1.5, 10**30], ["1"]),
        ((*OLD, *NEW), {"type": "integer"}, [1, 1.0, 10**30], [1.5]),
        (
            (*OLD, *NEW),
            {"type": "file"},
            ["text", {"base64": "eA=="}, {"text": "x", "filename": "y"}],
            [1, {}],
        ),
        (
            (*OLD, *NEW),
            {"$ref": "#/schemas/Node"},
            [{"n": 1, "next": {"next": {}}}],
            [{"next": {"next": {"n": "x"}}}],
        ),
    ],
)
def test_each_dialect_is_meant_as_it_says(dialects, schema, good, bad):
    for dialect in dialects:
        assert [value for value in good if problems(schema, value, dialect, REFS)] == []
        assert [value for value in bad if not problems(schema, value, dialect, REFS)] == []


@every_row(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": "5"}, 1, "x"),
        ({"type": "string", "minLength": -1, "maxLength": "x"}, "a", 1),
        ({"type": "string", "maxLength": 2.0}, "aa", "aaa"),
        ({"type": "object", "required": True}, {}, 1),
        ({"type": "object", "required": "a"}, {}, 1),
        ({"type": "object", "required": ["a", 5]}, {"a": 1}, {}),
        ({"type": "object", "properties": {"a": {"type": "integer", "required": True}}}, {}, {"a": "x"}),
        ({"type": "string", "enum": "a"}, "b", 1),
        ({"type": "string", "enum": []}, "b", 1),
        ({"type": "array", "enum": ["a", "b"], "items": {"type": "string"}}, ["c"], "a"),
        ({"type": "string", "enum": [1, True]}, "true", "x"),
        ({"type": "integer", "enum": ["1", "2"]}, 1, 3),
        ({"type": "boolean", "enum": ["true"]}, True, False),
        ({"type": "string", "enum": ["a", None]}, None, "b"),
        ({"type": "string", "enum": ["abc"], "minLength": 40, "format": "uuid"}, "abc", "abd"),
        ({"type": "string", "format": "uuid", "maxLength": 24}, "a" * 24, "a" * 25),
        ({"type": "string", "format": "date-time", "pattern": "^[a-z]+$"}, "now", "5"),
        ({"type": "any"}, {"x": 1}, None),
        ({"type": "string", "pattern": "a" * 6_000}, "b", 1),
        ({"type": "object", "dependencies": 5}, {}, 1),
        ({"type": "string", "enum": [None, None]}, "b", 1),
        ({"type": "object", "enum": [{"a": 1}]}, {"a": 1}, {"a": 2}),
        ({"type": "file", "nullable": True}, None, 1),
        ({"type": "Integer"}, "x", None),
        ({"type": 5, "maxLength": 1}, "a", "aa"),
        ({"type": "string", "pattern": "["}, "a", 1),
        ({"type": "string", "pattern": 5}, "a", 1),
        ({"type": "string", "pattern": "/^a$/i"}, "a", "b"),
        ({"type": "string", "pattern": "^(?!x).*$"}, "xa", 1),
        ({"type": "string", "pattern": "^\\p{L}+$"}, "é", "1"),
        ({"type": "string", "pattern": "a(?i)b"}, "aB", "ab1" * 0),
        ({"type": "string", "pattern": "(a{1000}){1000}"}, "a", 1),
        ({"properties": [], "type": "object"}, {}, 1),
        ({"properties": {"a": 5, "b": None, "c": "x"}, "type": "object"}, {"a": 1, "b": 2}, 1),
        ({"items": "x", "type": "array"}, [1], 1),
        ({"items": [], "type": "array"}, [1], 1),
        ({"allOf": {"type": "string"}}, 1, None),
        ({"allOf": []}, 1, None),
        ({"anyOf": [5, {"type": "string"}]}, "x", 1),
        ({"additionalProperties": "false"}, {"a": 1}, None),
        ({"additionalProperties": False, "type": "object", "properties": {}}, {}, {"a": 1}),
        ({"multipleOf": 0}, 5, None),
        ({"uniqueItems": "yes"}, [1, 1], None),
        ({"exclusiveMinimum": "x", "minimum": 1}, 1, 0),
        ({"$ref": 5}, 1, None),
        ({"$ref": "#/nowhere"}, 1, None),
        ({"$ref": "http://127.0.0.1:9/x"}, 1, None),
        ({"$ref": "#/loop"}, 1, None),
        ({"$ref": "#/self"}, "x", 1),
        ({"default": object, "example": {"$ref": 5}, "type": "integer"}, 1, "x"),
        (
            {"$schema": "http://127.0.0.1:9/x", "$id": "http://127.0.0.1:9/y", "id": 5, "type": "string"},
            "x",
            1,
        ),
        ({"$dynamicRef": "#x", "$anchor": "y", "type": "string"}, "x", 1),
        ([], 1, None),
        (None, 1, None),
        (True, 1, None),
    ],
)
def test_what_is_malformed_is_left_out_and_the_rest_counts(schema, good, bad):
    root = {"loop": {"$ref": "#/loop"}, "self": {"allOf": [{"$ref": "#/self"}, {"type": "string"}]}}
    dialects = ["swagger2", "openapi3.0", "openapi3.1", "asyncapi2"]
    assert [one for one in dialects if problems(schema, good, one, root)] == []
    assert bad in (None, "") or [one for one in dialects if not problems(schema, bad, one, root)] == []


@every_row(
    ("schema", "told"),
    [
        ({"minimum": "5"}, "minimum is '5', which means nothing"),
        ({"enum": 5}, "enum is 5"),
        ({"type": "any"}, "type 'any' is not known"),
        ({"pattern": "(?=x)"}, "cannot be checked in linear time"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "refers to #/nowhere"),
        ({"$ref": "#/bad"}, "minLength is"),
    ],
)
def test_what_is_left_out_is_noted(schema, told):
    found = notes(schema, root={"bad": {"minLength": "x"}})
    assert [note for note in found if told in note]


def test_notes_of_what_several_schemas_reach_are_given_to_each():
    validators = Validators(Spec(dialect="openapi3.0", registry=Registry({"bad": {"minLength": "x"}})))
    both = [validators.schema({"properties": {name: {"$ref": "#/bad"}}}).notes for name in "ab"]
    assert both[0] == both[1] != ()


@every_row(
    ("schema", "value", "pointer", "text"),
    [
        ({"type": "integer"}, "x", "", 'must be integer, not "x"'),
        ({"type": ["integer", "null"]}, [], "", "must be integer or null, not a list"),
        (
            {"properties": {"a/b": {"items": {"type": "string"}}}},
            {"a/b": ["x", 1]},
            "/a~1b/1",
            "must be string, not 1",
        ),
        ({"required": ["a"]}, {}, "", "a is required"),
        (
            {"additionalProperties": False, "properties": {"a": {}}},
            {"x": 1, "y": 2},
            "",
            "x, y are not known here",
        ),
        ({"additionalProperties": False}, {"x": 1}, "", "1 is not allowed here"),
        ({"enum": ["a", 1]}, "b", "", 'must be "a" or 1, not "b"'),
        ({"pattern": "^a$"}, "b", "", '"b" does not match ^a$'),
        (
            {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"a": 1, "b": 1},
            "",
            "an object fits several of the alternatives, but may fit only one",
        ),
        ({"maxLength": 1}, "ab", "", '"ab" is longer than 1 character'),
        ({"type": "string", "nullable": True, "maxLength": 1}, "ab", "", '"ab" is longer than 1 character'),
        ({"type": "string", "nullable": True, "enum": ["a"]}, "b", "", 'must be "a" or null, not "b"'),
    ],
)
def test_problems_are_said_in_words_with_a_pointer(schema, value, pointer, text):
    assert problems(schema, value) == [(pointer, text)]


def test_of_alternatives_the_nearest_is_explained():
    schema = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    ((pointer, text),) = problems(schema, {"a": "x"})
    assert (pointer, text) == (
        "",
        'fits none of the alternatives; of the nearest: /a must be integer, not "x"',
    )


def test_of_alternatives_the_one_of_the_right_type_is_explained():
    schema = {
        "properties": {
            "a": {"anyOf": [{"type": "string", "maxLength": 1}, {"type": "null"}, {"type": "integer"}]}
        }
    }
    ((pointer, text),) = problems(schema, {"a": "xx"})
    assert (pointer, text.partition("nearest: ")[2]) == ("/a", '/a "xx" is longer than 1 character')


def test_alternatives_that_all_fit_are_no_problem_unless_they_exclude_each_other():
    open_objects = {
        "oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]
    }
    assert problems(open_objects, {"a": 1, "b": 1}) == []
    assert problems({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}) != []


def test_all_problems_are_told_but_not_without_end():
    schema = {"items": {"type": "string"}}
    assert len(problems(schema, [1, 2, 3])) == 3
    assert len(problems(schema, list(range(1_000)))) == MAX_PROBLEMS


def test_long_values_make_short_texts():
    ((_, text),) = problems({"type": "integer"}, "x" * 100_000)
    assert len(text) < 300
    ((_, text),) = problems({"maxLength": 1}, "x" * 100_000)
    assert len(text) <= 256


# Read-only, write-only.

PERSON = {
    "type": "object",
    "required": ["id", "name", "password"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "name": {"type": "string"},
        "password": {"type": "string", "writeOnly": True},
    },
}


@every_row("dialect", ["openapi3.0", "openapi3.1"])
@every_row(
    "schema",
    [
        PERSON,
        {"$ref": "#/Person"},
        {"allOf": [{"$ref": "#/Person"}]},
        {"allOf": [{"$ref": "#/Person"}, {"required": ["id", "password", "name"]}]},
        {"allOf": [{"required": ["id", "password", "name"]}], "properties": PERSON["properties"]},
        {
            "properties": {
                "id": {"$ref": "#/Id"},
                "password": {"allOf": [{"type": "string"}], "writeOnly": True},
                "name": {},
            },
            "required": ["id", "name", "password"],
        },
    ],
)
def test_nobody_has_to_send_what_belongs_to_the_other_side(schema, dialect):
    root = {"Person": PERSON, "Id": {"type": "integer", "readOnly": True}}
    assert problems(schema, {"name": "x", "password": "y"}, dialect, root) == []
    assert problems(schema, {"name": "x", "id": 1}, dialect, root, answer=True) == []
    for answer in (False, True):
        told = [
            text for _, text in problems(schema, {"id": 1, "password": "y"}, dialect, root, answer=answer)
        ]
        assert "name is required" in set(told)


# Arguments.


def operation(**more):
    return Operation(id="op", method="POST", path="/x", **more)


def arguments(one, value, dialect="openapi3.0"):
    return Validators(Spec(dialect=dialect)).arguments(one).problems(value)


@every_row("dialect", ["swagger2", "openapi3.0", "openapi3.1"])
def test_nobody_has_to_give_what_is_filled_in_by_its_default(dialect):
    body = Media(
        type="application/json",
        schema={
            "type": "object",
            "required": ["kind", "name"],
            "properties": {
                "kind": {"type": "string", "default": "thing"},
                "name": {"type": "string"},
                "child": {"type": "object", "required": ["n"], "properties": {"n": {"default": 1}}},
            },
        },
    )
    version = Parameter(name="v", location="query", required=True, schema={"type": "string", "default": "1"})
    one = operation(parameters=(version,), body=Body(media=(body,), required=True))
    assert arguments(one, {"body": {"name": "x", "child": {}}}, dialect) == []
    assert arguments(one, {"body": {}, "v": "2"}, dialect) == [("/body", "name is required")]
    # What is looked at on the wire has to be there.
    assert problems(body.schema, {"name": "x"}, dialect) == [("", "kind is required")]


def test_a_body_is_judged_as_the_type_that_was_chosen_for_it():
    number = Media(type="application/json", schema={"type": "object", "required": ["n"]})
    text = Media(type="text/plain", schema={"type": "string"})
    one = operation(body=Body(media=(number, text), required=True))
    validators = Validators(Spec(dialect="openapi3.0"))
    assert validators.arguments(one).problems({"body": {"n": 1}}) == []
    assert validators.arguments(one, "text/plain; charset=utf-8").problems({"body": "x"}) == []
    assert validators.arguments(one, "text/plain").problems({"body": {"n": 1}}) != []


def test_arguments_are_judged_as_one_object():
    body = Media(type="application/json", schema={"type": "object", "required": ["a"]})
    one = operation(
        parameters=(
            Parameter(name="id", location="path", required=True, schema={"type": "integer"}),
            Parameter(name="Authorization", location="header", required=True),
        ),
        body=Body(media=(body,), required=True),
    )
    assert arguments(one, {"id": 5, "body": {"a": 1}}) == []
    found = arguments(one, {"other": 1, "body": {}})
    assert sorted(found) == [
        ("", "id is required"),
        ("", "other is not known here"),
        ("/body", "a is required"),
    ]


@every_row(
    ("schema", "value", "good"),
    [
        ({"type": "integer"}, "5", True),
        ({"type": "integer"}, "5.0", True),
        ({"type": "integer"}, "5.5", False),
        ({"type": "number"}, "5.5", True),
        ({"type": "integer", "maximum": 5}, 9, False),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "True", False),
        ({"type": "string"}, 5, True),
        ({"type": "string"}, True, True),
        ({"type": "string", "enum": ["5"]}, 5, True),
        ({"type": "string", "enum": ["6"]}, 5, False),
        ({"type": "integer", "enum": [5]}, "5", True),
        ({"type": "string"}, {}, False),
        ({"type": "string"}, None, False),
        ({"type": "array", "items": {"type": "integer"}}, ["5"], True),
    ],
)
def test_what_travels_as_text_may_be_given_as_text(schema, value, good):
    one = operation(parameters=(Parameter(name="a", location="query", schema=schema),))
    assert (arguments(one, {"a": value}) == []) is good
    body = operation(body=_body("application/json", schema))
    assert schema.get("type") in ("boolean", "array") or not good or arguments(body, {"body": value}) != []


def _body(media, schema):
    return Body(media=(Media(type=media, schema=schema),), required=True)


FILE = {"type": "string", "format": "binary"}
FILES = {"type": "object", "properties": {"f": FILE, "of": {"type": "array", "items": FILE}}}


@every_row(
    ("media", "schema", "value", "good"),
    [
        ("multipart/form-data", FILES, {"f": "text"}, True),
        ("multipart/form-data", FILES, {"f": {"base64": "eA==", "filename": "a", "type": "image/png"}}, True),
        ("multipart/form-data", FILES, {"of": [{"text": "x"}, "y"]}, True),
        ("multipart/form-data", FILES, {"f": 5}, False),
        ("multipart/form-data", FILES, {"f": {"name": "x"}}, False),
        ("application/json", FILES, {"f": {"base64": "eA=="}}, False),
        ("application/octet-stream", FILE, {"base64": "eA=="}, True),
        ("application/octet-stream", {}, "text", True),
        ("image/png", {"type": "object"}, {"text": "x"}, True),
        ("application/octet-stream", FILE, 5, False),
        ("application/xml", {"type": "object"}, "<r/>", True),
        ("application/xml", {"type": "object"}, {"a": 1}, True),
        ("application/xml", {"type": "object"}, 5, False),
    ],
)
def test_files_and_documents_are_given_as_arguments_say_them(media, schema, value, good):
    assert (arguments(operation(body=_body(media, schema)), {"body": value}) == []) is good


def test_tokens_are_opened():
    one = operation(
        parameters=(Parameter(name="n", location="query", schema={"type": "number"}),),
        body=_body(
            "application/json",
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}},
        ),
    )
    raw = msgspec.Raw
    assert arguments(one, {"n": raw(b"1.10"), "body": {"a": raw(b"[1, 12345678901234567890]")}}) == []
    assert arguments(one, {"n": raw(b"1.10"), "body": raw(b'{"a": ["x"]}')}) == [
        ("/body/a/0", 'must be integer, not "x"')
    ]
    assert "cannot be checked" in arguments(one, {"body": raw(b"{")})[0][1]


@every_row(
    "value",
    [
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        b"bytes",
        float("nan"),
        float("inf"),
        {"a": {1, 2}},
        object(),
        msgspec.Raw(b"\xff"),
    ],
)
def test_what_is_no_json_is_a_problem_and_no_accident(value):
    assert isinstance(problems({"type": "object", "properties": {"a": {"type": "string"}}}, value), list)


@every_row("depth", [MAX_DEPTH - 1, MAX_DEPTH + 1, 1_000, 100_000])
@every_row("raw", [False, True])
def test_deep_values_are_refused_before_the_stack_is(depth, raw):
    value = [] if not raw else msgspec.Raw(b"[" * depth + b"]" * depth)
    if not raw:
        for _ in range(depth):
            value = [value]
    schema = {"anyOf": [{"type": "null"}, {"allOf": [{"type": "array", "items": {"$ref": "#/Deep"}}]}]}
    found = problems({"$ref": "#/Deep"}, value, "openapi3.1", {"Deep": schema})
    assert bool(found) is (depth > MAX_DEPTH)
    assert not found or "cannot be checked" in found[0][1]
    while isinstance(value, list) and value:  # so that taking it down does not recurse
        value = value.pop()


def test_deep_values_fit_a_small_stack():
    value: object = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    schema = {"anyOf": [{"type": "integer"}, {"allOf": [{"type": "array", "items": {"$ref": "#/Deep"}}]}]}
    found: list = []
    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(
            target=lambda: found.append(problems({"$ref": "#/Deep"}, value, "openapi3.1", {"Deep": schema}))
        )
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert found == [[]]


def test_a_schema_of_any_depth_is_read():
    schema: dict = {"type": "integer"}
    for _ in range(300):
        schema = {"properties": {"a": schema}}
    assert problems(schema, {"a": {"a": 1}}) == []


def test_expensive_patterns_cost_nothing():
    began = time.thread_time()
    assert problems({"pattern": "^(a+)+$"}, "a" * 100_000 + "!") != []
    assert problems({"pattern": "(?=.*a)(?=.*b).{8,}"}, "x" * 100_000) == []
    assert time.thread_time() - began < 1


def test_a_large_description_is_compiled_soon():
    schemas = {
        f"S{n}": {
            "type": "object",
            "properties": {f"p{m}": {"$ref": f"#/S{(n * 7 + m * 13) % 1_000}"} for m in range(10)},
        }
        for n in range(1_000)
    }
    validators = Validators(Spec(dialect="openapi3.0", registry=Registry(schemas)))
    began = time.thread_time()
    assert validators.schema({"$ref": "#/S0"}).problems({"p0": {"p1": {}}}) == []
    assert validators.schema({"$ref": "#/S1"}).problems({"p0": 5}) != []
    assert time.thread_time() - began < 3


# Answers.


def test_answers_are_judged_by_status_and_media_type():
    def response(**schema):
        return Response(media=(Media(type="application/json", schema=schema),))

    one = operation(
        responses={
            "200": response(type="integer"),
            "4XX": response(type="string"),
            "default": response(type="null"),
            "204": Response(),
        }
    )
    validators = Validators(Spec(dialect="openapi3.0"))

    def judged(status, value, kind="application/json; charset=utf-8"):
        validator = validators.answer(one, status, kind)
        return validator if validator is None else validator.problems(value)

    assert judged(200, 1) == []
    assert judged(200, "x") != []
    assert judged(404, "x") == []
    assert judged(500, None) == []
    assert judged(204, None) is None
    assert judged(200, 1, "text/plain") is None
    assert validators.answer(operation(), 200, "application/json") is None


def test_validators_are_kept():
    validators = Validators(Spec())
    schema = {"type": "string"}
    assert validators.schema(schema) is validators.schema(schema)
    one = operation()
    assert validators.arguments(one) is validators.arguments(one)


# Whatever stands in a schema.

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "items",
                    "properties",
                    "required",
                    "enum",
                    "pattern",
                    "allOf",
                    "oneOf",
                    "not",
                    "minimum",
                    "exclusiveMinimum",
                    "maxLength",
                    "multipleOf",
                    "$ref",
                    "additionalProperties",
                    "patternProperties",
                    "format",
                    "nullable",
                    "const",
                    "if",
                    "prefixItems",
                    "dependentRequired",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(json_values, json_values, st.sampled_from([*OLD, *NEW, "postman2.1"]))
def test_no_schema_and_no_value_make_it_fail(schema, value, dialect):
    validator = Validators(
        Spec(dialect=dialect, registry=Registry(json.loads(json.dumps({"root": schema}))))
    ).schema(schema)
    assert isinstance(validator.problems(value), list)
    assert not [note for note in validator.notes if "cannot be used" in note]


def test_alternatives_that_are_words_for_people_are_no_choice() -> None:
    prose = [{"description": "sent when it begins"}, {"title": "sent when it ends", "x-order": 2}]
    assert problems({"type": "string", "oneOf": prose}, "x") == []
    demands = [{"required": ["a"]}, {"required": ["b"]}]
    assert problems({"type": "object", "oneOf": demands}, {"a": 1, "b": 2}) != []


@every_row("dialect", [*OLD, *NEW])
def test_what_a_part_takes_out_another_behind_a_reference_does_not_require(dialect) -> None:
    root = {"Base": {"required": ["owner", "name"], "properties": {"owner": {"type": "string"}}}}
    out = {"properties": {"owner": {"readOnly": True}}}
    for schema in ({"allOf": [out, {"$ref": "#/Base"}]}, {"allOf": [{"$ref": "#/Base"}], **out}):
        assert problems(schema, {"name": "x"}, dialect, root) == []
        assert problems(schema, {}, dialect, root) != []
