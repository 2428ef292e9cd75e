"""Schemas of every dialect are said in the words of OpenAPI 3.1."""

from actions.exporting.schemas import NEWER, OLD, Modern, with_null
from actions.specs.references import Registry
from actions.validation import dialects
from tests.tables import every_row


def modern(schema, dialect="openapi3.0"):
    return Modern(Registry({}), dialect).schema(schema)


def test_the_dialects_are_those_of_the_validation():
    assert (OLD, NEWER) == (dialects._OLD, dialects._NEWER)


@every_row(
    ("written", "said"),
    [
        (True, True),
        ("nonsense", {}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string"], "x-nullable": True}, {"type": ["string", "null"]}),
        ({"type": "null", "nullable": True}, {"type": "null"}),
        ({"nullable": True}, {}),
        ({"nullable": False, "type": "string"}, {"type": "string"}),
        ({"enum": ["a"], "nullable": True}, {"enum": ["a", None]}),
        (
            {"oneOf": [{"type": "string"}], "nullable": True, "title": "t"},
            {"title": "t", "anyOf": [{"oneOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"minimum": "1"}, {}),
        ({"exclusiveMaximum": 3}, {"exclusiveMaximum": 3}),
        ({"type": "file"}, {"type": "string", "format": "binary"}),
        ({"type": "long"}, {"x-type": "long"}),
        ({"type": []}, {}),
        ({"const": 1, "if": {}}, {}),
        ({"required": True}, {}),
        ({"required": ["a", 1, "a"]}, {"required": ["a"]}),
        ({"enum": "a"}, {}),
        ({"minLength": -1, "maxLength": 2.0}, {"maxLength": 2}),
        ({"pattern": 1, "format": None, "title": "x"}, {"title": "x"}),
        ({"readOnly": "yes"}, {}),
        ({"discriminator": "kind"}, {"discriminator": {"propertyName": "kind"}}),
        ({"discriminator": {"mapping": {}}}, {}),
        ({"discriminator": {"propertyName": "k", "mapping": {"a": "Gone"}}}, {"discriminator": {"propertyName": "k", "mapping": {"a": "Gone"}}}),
        ({"examples": {"a": 1}}, {"x-examples": {"a": 1}}),
        ({"xml": "a"}, {}),
        ({"externalDocs": {}}, {}),
        ({"properties": {"a": None, "type": {"type": "string"}}}, {"properties": {"a": {}, "type": {"type": "string"}}}),
        ({"properties": []}, {}),
        ({"allOf": []}, {}),
        ({"allOf": [1, {}]}, {"allOf": [{}]}),
        ({"additionalProperties": "any"}, {}),
        ({"items": 3}, {}),
        ({"$id": "https://x", "$schema": "y", "definitions": {}}, {}),
        ({"$ref": 1, "type": "string", "description": "d"}, {"description": "d"}),
        ({"x-anything": {"$ref": "#/kept"}, "unheard": 1}, {"x-anything": {"$ref": "#/kept"}, "unheard": 1}),
    ],
)  # fmt: skip
def test_a_schema_is_said_in_the_words_of_31(written, said):
    assert modern(written) == said


def test_words_of_later_drafts_count_where_the_dialect_has_them():
    assert modern({"const": 1, "dependencies": {"a": ["b"]}}, "openapi3.1") == {
        "const": 1,
        "dependentRequired": {"a": ["b"]},
    }


def test_depth_cannot_exhaust_the_stack():
    deep = {"type": "long"}
    for _ in range(5_000):
        deep = {"items": deep, "nullable": True}
    made = modern(deep)
    while "items" in made:
        made = made["items"]
    assert made == {"x-type": "long"}


def test_saying_it_again_changes_nothing():
    once = modern({"nullable": True, "allOf": [{"type": "object"}], "items": [{}], "type": "array"})
    assert modern(once, "openapi3.1") == once


def test_words_for_people_stay_outside_when_null_is_added():
    assert with_null({"$ref": "#/a", "description": "d"}) == {
        "description": "d",
        "anyOf": [{"$ref": "#/a"}, {"type": "null"}],
    }
