"""Whole parts of a description that stand in other files: `paths: {$ref: …}`, and whatever else is cut off so."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.model import Spec
from tests.tables import every_row

ROOT = b"""
openapi: 3.1.0
info: {$ref: parts/info.yaml}
servers: {$ref: parts/servers.yaml}
paths: {$ref: parts/paths.yaml}
webhooks: {$ref: 'parts/hooks.yaml#/all'}
components:
  schemas: {$ref: parts/schemas.yaml}
  securitySchemes: {$ref: parts/logins.yaml}
security: [{key: []}]
"""

PARTS = {
    "info": "title: Stock\nversion: '7'",
    "servers": "[{url: 'https://stock.example/{tenant}', variables: {$ref: 'variables.yaml'}}]",
    "variables": "tenant: {default: main}",
    "paths": "/items/{id}: {get: {operationId: item, parameters: {$ref: 'inputs.yaml#/item'},"
    " responses: {$ref: answers.yaml}}}",
    "inputs": "item: [{name: id, in: path, required: true, schema: {$ref: 'schemas.yaml#/Id'}}]",
    "answers": "'200': {description: ok, headers: {$ref: headers.yaml}, content: {$ref: content.yaml}}",
    "headers": "X-Left: {schema: {type: integer}}",
    "content": "application/json: {schema: {$ref: 'schemas.yaml#/Item'}}",
    "hooks": "all: {sold: {post: {operationId: sold}}}",
    "schemas": "Id: {type: integer}\nItem: {properties: {id: {$ref: '#/Id'}}}",
    "logins": "key: {type: apiKey, in: header, name: X-Key}",
}


def read(root: bytes, **parts: str) -> Spec:
    files = {f"specs/parts/{name}.yaml": text.encode() for name, text in parts.items()}
    return read_spec({"specs/root.yaml": root, **files}, "specs/root.yaml")


def test_every_part_may_stand_in_a_file_of_its_own() -> None:
    spec = read(ROOT, **PARTS)
    assert [one.message for one in spec.findings] == []
    assert (spec.title, spec.version, [one.url for one in spec.servers]) == (
        "Stock",
        "7",
        ["https://stock.example/{tenant}"],
    )
    assert spec.servers[0].variables["tenant"].default == "main"
    assert list(spec.triggers) == ["sold"]
    operation = spec.operations["item"]
    assert [one.name for one in operation.parameters] == ["id"]
    assert spec.registry.schema(operation.parameters[0].schema) == {"type": "integer"}
    answer = operation.responses["200"]
    assert list(answer.headers) == ["X-Left"]
    assert spec.standalone(answer.media[0].schema)["$defs"]
    assert spec.registry.resolve("#/components/schemas/Id") == {"type": "integer"}
    assert spec.security_schemes["key"].parameter == "X-Key"


def test_what_stands_beside_such_a_reference_counts_too() -> None:
    root = b"openapi: 3.1.0\npaths: {$ref: 'parts/paths.yaml', /more: {get: {operationId: more}}}"
    spec = read(root, paths="/items: {get: {operationId: items}}")
    assert set(spec.operations) == {"items", "more"}


def test_an_operation_behind_a_reference_keeps_what_stands_beside_it() -> None:
    root = b"openapi: 3.0.3\npaths: {/any: {get: {$ref: 'parts/any.yaml', operationId: readAny}}}"
    spec = read(root, any="summary: anything\noperationId: any\nparameters: [{name: q, in: query}]")
    operation = spec.operations["readAny"]
    assert (operation.summary, len(operation.parameters)) == ("anything", 1)


def test_a_part_that_is_not_there_is_told_of_with_its_place() -> None:
    spec = read(b"openapi: 3.1.0\ninfo: {title: x}\npaths: {$ref: 'parts/gone.yaml'}\n")
    assert spec.readable
    told = {one.code: (one.message, one.line) for one in spec.findings}
    assert "specs/parts/gone.yaml, which is not there" in told["reference-file"][0]
    assert told["reference-file"][1] == 3
    assert "no-operation" in told


def test_what_lies_outside_of_the_folder_says_what_to_give_instead() -> None:
    spec = read_spec({"a.yaml": b"openapi: 3.1.0\npaths: {/a: {$ref: '../common/a.yaml'}}"}, "a.yaml")
    told = [one for one in spec.findings if "leads out of the description's folder" in one.message]
    assert {one.code for one in told} == {"path-refused", "reference-file"}
    assert {one.fix for one in told} == {"give the folder that holds all of its files"}


@every_row("entry", [None, 7, {"$ref": "#/nope"}, {"$ref": "https://x.example/p.json"}])
def test_a_parameter_that_cannot_be_read_is_left_out_and_said_in_every_format(entry: Any) -> None:
    good = {"name": "q", "in": "query", "type": "string"}
    for mark in ({"openapi": "3.0.3"}, {"swagger": "2.0"}):
        paths = {"/a": {"get": {"operationId": "a", "parameters": [entry, good]}}}
        operation = read(json.dumps({**mark, "paths": paths}).encode()).operations["a"]
        assert operation.problem == ""
        assert [one.name for one in operation.parameters] == ["q"]
        assert "left out" in operation.degraded[0]
