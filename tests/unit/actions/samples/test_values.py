"""Values satisfy their schemas: judged by jsonschema-rs, which shares no code with what made them."""

from typing import Any

import jsonschema_rs
import pytest

from actions.samples import Cut, Sampler, sample
from actions.specs.model import Spec
from actions.specs.references import Registry
from tests.tables import every_row

NODE = {
    "type": "object",
    "required": ["name", "children"],
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        "parent": {"$ref": "#/$defs/Node"},
    },
}
EXPRESSION = {
    "oneOf": [
        {"type": "object", "required": ["and"], "properties": {"and": {"$ref": "#/$defs/Expression"}}},
        {"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}},
    ]
}
DEFS = {
    "Node": NODE,
    "Expression": EXPRESSION,
    "Text": {"type": "string", "minLength": 3},
    "Cat": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}},
    },
    "Base": {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "#/$defs/Text"}}},
}

SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "string", "minLength": 40},
    {"type": "string", "maxLength": 2},
    {"type": "string", "minLength": 3, "maxLength": 3, "pattern": "^[A-Z]+$"},
    {"type": "string", "pattern": "^(?=.*[A-Z])(?=.*[0-9]).{8,}$"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "email", "maxLength": 8},
    {"type": "string", "format": "date", "example": "yesterday"},
    {"type": "integer", "minimum": 5, "multipleOf": 7},
    {"type": "integer", "exclusiveMinimum": 5, "maximum": 6},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "multipleOf": 1.5, "minimum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "multipleOf": 0.01, "minimum": 0.005},
    {"type": ["null", "integer"]},
    {"enum": [None, "a"]},
    {"const": {"a": 1}},
    {"type": "string", "enum": ["a", "b"], "default": "c"},
    {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "enum": ["a", "b", "c", "d"]}},
    {"type": "array", "minItems": 4, "uniqueItems": True, "items": {"type": "string", "format": "date-time"}},
    {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "string", "pattern": "^[a-c][0-9]$"}},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
    {"type": "object", "minProperties": 2, "propertyNames": {"pattern": "^[a-z]{4}$"}, "additionalProperties": True},
    {"type": "object", "minProperties": 1, "patternProperties": {"^x_[0-9]+$": {"type": "boolean"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "maxProperties": 1},
    {"type": "object", "properties": {"a": {"type": "string"}}, "dependentRequired": {"a": ["b"]}},
    {"properties": {"a": {"type": "string"}}, "required": ["a", "unknown"]},
    {"allOf": [{"$ref": "#/$defs/Base"}, {"required": ["n"], "properties": {"n": {"type": "integer", "minimum": 3}, "id": {"maxLength": 4}}}]},
    {"oneOf": [{"type": "null"}, {"type": "string"}, {"type": "integer"}]},
    {"oneOf": [{"$ref": "#/$defs/Cat"}, {"type": "object", "required": ["bark"], "properties": {"bark": {"type": "string"}}}]},
    {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "type": "object"},
    {"oneOf": [{"type": "number", "multipleOf": 2}, {"type": "number", "multipleOf": 3}], "minimum": 1},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "not": {"required": ["a", "b"]}},
    {"type": "object", "properties": {"a": False, "b": {"type": "string"}}},
    {"$ref": "#/$defs/Node"},
    {"$ref": "#/$defs/Expression"},
    {"type": "array", "items": {"$ref": "#/$defs/Node"}, "minItems": 2},
    {"$ref": "#/$defs/Text", "maxLength": 3},
]  # fmt: skip


def spec(dialect: str = "openapi3.1", **schemas: Any) -> Spec:
    return Spec(dialect=dialect, registry=Registry({"$defs": DEFS, **schemas}))


@every_row("whole", [False, True])
@every_row("schema", SCHEMAS, ids=lambda one: str(one)[:60])
def test_value_satisfies_the_schema(schema: Any, whole: bool) -> None:
    made = sample(spec(), schema, whole=whole)
    alone = {**schema, "$defs": DEFS} if isinstance(schema, dict) else schema
    jsonschema_rs.Draft202012Validator(alone, validate_formats=True).validate(made)


def test_the_same_schema_gives_the_same_value() -> None:
    assert [sample(spec(), one, whole=True) for one in SCHEMAS] == [
        sample(spec(), one, whole=True) for one in SCHEMAS
    ]


def test_examples_come_first_where_they_fit() -> None:
    assert sample(spec(), {"type": "string", "example": "shown", "default": "other"}) == "shown"
    assert sample(spec(), {"type": "integer", "example": "shown", "default": 7}) == 7
    assert sample(spec(), {"type": "string", "enum": ["a", "b"], "example": "b"}) == "b"


def test_bounds_of_the_old_dialects_are_known() -> None:
    assert sample(spec("swagger2"), {"type": "integer", "minimum": 5, "exclusiveMinimum": True}) == 6
    assert (
        sample(spec("swagger2"), {"type": "number", "minimum": 1, "maximum": 1, "exclusiveMinimum": False})
        == 1
    )


def test_keywords_beside_a_reference_do_not_count_in_the_old_dialects() -> None:
    assert isinstance(sample(spec("openapi3.0"), {"$ref": "#/$defs/Text", "type": "integer"}), str)


def test_requests_leave_out_what_is_read_only_and_answers_what_is_write_only() -> None:
    schema = {
        "type": "object",
        "required": ["id", "secret"],
        "properties": {
            "id": {"type": "string", "readOnly": True},
            "secret": {"type": "string", "writeOnly": True},
        },
    }
    assert set(sample(spec(), schema, whole=True)) == {"secret"}
    assert set(sample(spec(), schema, way="answer", whole=True)) == {"id"}


def test_discriminators_name_the_alternative_that_was_chosen() -> None:
    dog = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}
    schema = {
        "oneOf": [{"$ref": "#/Dog"}, {"$ref": "#/$defs/Cat"}],
        "discriminator": {"propertyName": "kind", "mapping": {"woof": "#/Dog"}},
    }
    assert sample(spec(Dog=dog), schema) == {"kind": "woof"}


def test_the_type_is_said_in_words_that_descriptions_use() -> None:
    assert sample(spec(), {"type": "int"}) == 1
    assert sample(spec(), {"type": "datetime"}) == "sample"


def test_values_of_an_enum_are_spelt_as_their_type_has_it() -> None:
    assert sample(spec(), {"type": "integer", "enum": ["1", "2"]}) == 1
    assert sample(spec(), {"type": "string", "enum": [1, 2]}) == "1"


def test_files_have_the_shape_of_arguments() -> None:
    schema = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
    assert Sampler(spec(), files=True).value(schema) == {"file": {"text": "sample", "filename": "sample.txt"}}
    assert sample(spec(), schema) == {"file": "sample"}


def test_a_schema_that_allows_nothing_gives_nothing() -> None:
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/Endless"}}}
    assert sample(spec(), False) is None
    with pytest.raises(Cut):
        Sampler(spec(Endless=endless)).value({"$ref": "#/Endless"})
    with pytest.raises(Cut):
        Sampler(spec()).value({"type": "integer", "minimum": 3, "maximum": 2})


def test_expressions_are_read_without_the_slashes_around_them() -> None:
    assert sample(spec(), {"type": "string", "pattern": "/^[A-Z]{2}$/i"}) == "AA"
    assert sample(spec(), {"type": "string", "pattern": "/^[A-Z]{2}$/", "example": "XY"}) == "XY"


def test_references_that_explode_make_a_small_value() -> None:
    wide = {
        f"S{at}": {"type": "object", "properties": {f"p{n}": {"$ref": f"#/S{at + 1}"} for n in range(20)}}
        for at in range(12)
    }
    made = sample(spec(**wide, S12={"type": "string"}), {"$ref": "#/S0"}, whole=True)
    assert len(str(made)) < 100_000


@every_row("schema", [{"type": 7, "enum": 5, "minimum": "x", "properties": [], "required": "a", "oneOf": {}, "pattern": 3, "items": 4}, {"type": "array", "items": 7}, {"type": "object", "properties": {"a": "text"}, "required": ["a", 3]}, {"$ref": 5}, {"$ref": "#/nowhere"}, {"type": "string", "pattern": "("}, {"type": "array", "minItems": 1e300}])  # fmt: skip
def test_broken_schemas_raise_nothing(schema: Any) -> None:
    sample(spec(), schema, whole=True)


def test_optional_parts_that_nothing_fits_are_left_out() -> None:
    clash = {"type": "string", "enum": ["a"], "allOf": [{"oneOf": [{"const": "b"}, {"const": "c"}]}]}
    schema = {
        "type": "object",
        "properties": {"kinds": {"type": "array", "items": clash}, "name": {"type": "string"}},
    }
    assert sample(Spec(dialect="openapi3.1"), schema, whole=True) == {"name": "sample"}
