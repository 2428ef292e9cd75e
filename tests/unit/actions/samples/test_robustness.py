"""Whatever stands where a schema should be, making a value ends soon and raises nothing but Cut."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actions.samples import Calls, Cut, Sampler
from actions.samples.fitting import Fitting
from actions.specs.model import LOCATIONS, Body, Media, Operation, Parameter, Spec
from actions.specs.references import Registry
from tests.examples import examples

KEYWORDS = [
    "type", "properties", "required", "items", "prefixItems", "additionalItems", "additionalProperties", "patternProperties",
    "propertyNames", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "enum", "const", "default", "example", "examples",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "dependentRequired", "dependencies", "nullable",
    "readOnly", "writeOnly", "discriminator", "$ref", "x-told",
]  # fmt: skip
WORDS = st.sampled_from(
    [
        "string",
        "integer",
        "object",
        "array",
        "null",
        "number",
        "a",
        "b",
        "#/a",
        "#/b",
        "date-time",
        "^a+$",
        "(",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | WORDS
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=5)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=25,
)
DIALECTS = st.sampled_from(["swagger2", "openapi3.0", "openapi3.1"])


@given(first=SCHEMAS, second=SCHEMAS, dialect=DIALECTS, whole=st.booleans())
@examples(200)
def test_sampling_raises_nothing_but_cut(first: Any, second: Any, dialect: str, whole: bool) -> None:
    spec = Spec(dialect=dialect, registry=Registry({"a": first, "b": second}))
    for schema in (first, second, {"$ref": "#/a"}):
        try:
            made = Sampler(spec, whole=whole).value(schema)
        except Cut:
            continue
        json.dumps(made)
        Fitting(spec.registry, siblings=True).fits(made, schema)


@given(
    schema=SCHEMAS,
    media=st.sampled_from(["application/json", "multipart/form-data", "text/csv", "a/xml", "x/y", "*/*"]),
)
@examples(100)
def test_arguments_can_always_be_asked_for(schema: Any, media: str) -> None:
    inputs = tuple(Parameter(name=name, location=name, required=True, schema=schema) for name in LOCATIONS)
    operation = Operation(
        id="o",
        method="GET",
        path="/",
        parameters=inputs,
        body=Body(media=(Media(type=media, schema=schema),)),
    )
    spec = Spec(dialect="openapi3.1", registry=Registry({"a": schema, "b": schema}))
    json.dumps(Calls(spec, whole=True).arguments(operation))
