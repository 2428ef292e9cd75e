import functools
import json

import jsonschema_rs
import pytest

from service.config.load import read_text
from service.config.schema import DIALECT, configuration_schema
from tests.unit.config.test_check import GOOD, OPERATIONS, RULES, VERSIONS, WRONG

BEYOND = {
    "bad-file", "spec-url", "unknown-connector", "unknown-source", "unknown-connection", "step-twice", "was-taken",
    "key-without-mode", "yaml-tag", "reserved-name",
}  # fmt: skip
"""What only a look at the rest, or at files, can tell."""
PAIRS = (
    "longer than `max`",
    "go together",
    "give one of",
    "0 are given",
    "not a destination",
    "host:port",
    "at least first",
    "no operations to choose from",
)
"""What depends on two fields or on more than a pattern can say."""


@functools.cache
def made():
    """Make the validator once: it takes longer than a test, and changes with the kinds of sources only."""
    schema = configuration_schema()
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.validator_for(schema)


@pytest.fixture
def validator(bell):
    return made()


def document(text):
    return read_text(text, "f").root.value


def test_the_schema_takes_what_the_models_take(validator, check):
    for text in (
        GOOD,
        "rules:\n",
        "include: a.yaml\n",
        "include: [a.yaml]\n",
        RULES + "{do: [{call: shop.a}], from: door}\n",
        VERSIONS
        + "shop.json, v2: {spec: a, deprecated: b}, v3: {withdrawn: c}, v4: {spec: a, withdrawn: c}}}}\n",
        OPERATIONS + "{include: [a, 'tag:b c', 'GET /x*'], exclude: '*z'}}}\n",
    ):
        assert list(validator.iter_errors(document(text))) == []


@pytest.mark.parametrize(
    "text", [case[0] for case in WRONG if case[1] not in BEYOND and case[5] not in PAIRS]
)
def test_the_schema_refuses_what_the_models_refuse(validator, text):
    assert not validator.is_valid(document(text))


@pytest.mark.parametrize("text", [case[0] for case in WRONG if case[1] in BEYOND])
def test_the_schema_leaves_to_the_check_what_is_beyond_it(validator, text):
    if "!data" not in text:
        assert validator.is_valid(document(text))


def test_secrets_are_references_in_the_schema(validator):
    def login(bearer):
        return {"connections": {"shop": {"connector": "shop", "auth": {"bearer": bearer}}}}

    assert validator.is_valid(login({"env": "TOKEN"}))
    assert validator.is_valid(login({"file": "/run/secrets/x"}))
    for wrong in (
        "plain",
        {"env": "a b"},
        {"env": "A", "file": "b"},
        {"sealed": "x"},
        {"sealed": "pm1.x"},
        {},
        5,
    ):
        assert not validator.is_valid(login(wrong))
    source = {"sources": {"door": {"kind": "bell", "verify": {"scheme": "signed", "secrets": ["plain"]}}}}
    assert not validator.is_valid(source)


def test_every_field_of_ours_is_described():
    schema = configuration_schema()
    assert schema["$schema"] == DIALECT
    json.dumps(schema)
    ours = [name for name in schema["$defs"] if name.endswith(("Config", "Login")) and name != "BellConfig"]
    assert len(ours) >= 10
    for name in ours:
        for field, described in schema["$defs"][name]["properties"].items():
            assert described.get("description"), f"{name}.{field}"
    for field, described in schema["properties"].items():
        assert described.get("description"), field
