"""Idempotency keys are written as their header is described."""

import json
import uuid

from actions.keys import key_writer, sf_string
from actions.specs import read_spec
from tests.tables import every_row

KEY = "5f0c" * 8


def written(header, schema):
    parameter = {"name": header, "in": "header", "schema": schema}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {"/a": {"post": {"operationId": "a", "parameters": [parameter], "responses": {}}}},
    }
    spec = read_spec({"a.json": json.dumps(document).encode()})
    operation = spec.operations["a"]
    return key_writer(operation, operation.key_header or header, spec.registry)(KEY)


@every_row(
    ("header", "schema", "text"),
    [
        ("Idempotency-Key", {"type": "string"}, f'"{KEY}"'),
        ("idempotency-key", {"type": "string", "maxLength": 64}, f'"{KEY}"'),
        ("Idempotency-Key", {"type": "string", "maxLength": 32}, KEY),
        ("Idempotency-Key", {"type": "string", "pattern": "^[a-z0-9-]+$"}, KEY),
        ("X-Idempotency-Key", {"type": "string"}, KEY),
    ],
)
def test_a_key_is_written_as_its_header_takes_it(header, schema, text):
    assert written(header, schema) == text


@every_row("header", ["Idempotency-Key", "X-Idempotency-Key"])
@every_row(
    "schema",
    [{"format": "uuid"}, {"minLength": 36, "maxLength": 36}, {"pattern": "^[0-9a-f]{8}(-[0-9a-f]+)+$"}],
)
def test_a_key_may_have_to_be_a_uuid_and_is_always_the_same(header, schema):
    first, second = (written(header, {"type": "string", **schema}) for _ in range(2))
    assert first == second
    assert uuid.UUID(first).version == 4


@every_row(("text", "quoted"), [("abc", '"abc"'), ('a"b\\c', '"a\\"b\\\\c"'), ("", '""')])
def test_a_key_is_a_structured_field(text, quoted):
    assert sf_string(text) == quoted
