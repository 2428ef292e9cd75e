"""Closed schemas that are composed with others: closed for what none of them declares, and for nothing else."""

from typing import Any

from actions.samples import Sampler
from actions.specs.model import Spec
from actions.specs.references import Registry
from actions.validation import Validators
from tests.tables import every_row

KEY = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}}
MAIL = {
    "type": "object",
    "required": ["mail"],
    "properties": {"mail": {"type": "string"}},
    "additionalProperties": False,
}
SIZE = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"type": "integer"}},
    "additionalProperties": False,
}
ROOT = {
    "defs": {
        "Key": KEY,
        "Mail": MAIL,
        "Size": SIZE,
        "Both": {"allOf": [{"$ref": "#/defs/Mail"}, {"$ref": "#/defs/Size"}]},
        "Circle": {"allOf": [{"$ref": "#/defs/Circle"}, MAIL], "additionalProperties": False},
    }
}
REFS = [{"$ref": f"#/defs/{name}"} for name in ("Key", "Mail", "Size")]


@every_row("dialect", ["swagger2", "openapi3.0", "openapi3.1"])
@every_row(
    ("schema", "good", "bad"),
    [
        ({"allOf": [KEY, MAIL]}, {"key": "k", "mail": "m"}, {"key": "k", "mail": "m", "x": 1}),
        ({"allOf": REFS[:2]}, {"key": "k", "mail": "m"}, {"key": "k", "mail": "m", "x": 1}),
        ({"allOf": [MAIL, SIZE]}, {"mail": "m", "size": 1}, {"mail": "m", "size": 1, "x": 1}),
        ({"$ref": "#/defs/Both"}, {"mail": "m", "size": 1}, {"mail": "m", "size": "no"}),
        ({"allOf": [REFS[0], {"$ref": "#/defs/Both"}]}, {"key": "k", "mail": "m", "size": 1}, {"key": "k"}),
        (
            {"type": "object", "additionalProperties": False, "oneOf": [KEY, {"$ref": "#/defs/Size"}]},
            {"size": 1},
            {"size": 1, "x": 1},
        ),
        ({**KEY, "anyOf": REFS[1:]}, {"key": "k", "size": 1}, {"key": "k", "x": 1}),
        ({"oneOf": [MAIL, SIZE]}, {"size": 1}, {"size": 1, "mail": "m"}),
        (MAIL, {"mail": "m"}, {"mail": "m", "key": "k"}),
        ({"$ref": "#/defs/Circle"}, {"mail": "m"}, {"mail": "m", "x": 1}),
    ],
)
def test_a_closed_schema_knows_what_it_is_composed_with(
    dialect: str, schema: Any, good: Any, bad: Any
) -> None:
    spec = Spec(dialect=dialect, registry=Registry(ROOT))
    validator = Validators(spec).schema(schema)
    assert validator.problems(good) == []
    assert validator.problems(bad) != []


@every_row(
    "schema",
    [
        {"allOf": [KEY, MAIL]},
        {"allOf": REFS},
        {"additionalProperties": False, "oneOf": REFS[:2]},
        {**KEY, "anyOf": [SIZE]},
    ],
)
def test_values_are_made_for_closed_schemas(schema: Any) -> None:
    spec = Spec(dialect="openapi3.0", registry=Registry(ROOT))
    for whole in (False, True):
        sampler = Sampler(spec, whole=whole)
        value = sampler.value(schema)
        assert Validators(spec).schema(schema).problems(value) == []
        assert sampler.fitting.fits(value, schema)
        assert not sampler.fitting.fits({**value, "x": 1}, schema)


def test_what_a_description_shows_of_a_closed_schema_is_taken() -> None:
    shown = {"key": "shown", "mail": "shown"}
    spec = Spec(dialect="openapi3.0", registry=Registry(ROOT))
    assert Sampler(spec).value({"allOf": [KEY, MAIL], "example": shown}) == shown
