"""OpenAPI 3.0 and 3.1 into the model; one bad operation is refused alone."""

from typing import Any

import msgspec

from actions.specs import read_spec
from actions.specs.model import Need, Operation, Spec
from tests.tables import every_row


def read(paths: Any, **more: Any) -> Spec:
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths, **more}
    return read_spec({"a.json": msgspec.json.encode(document)})


def one(operation: Any, path: str = "/a", **more: Any) -> Operation:
    (found,) = read({path: {"get": operation}}, **more).operations.values()
    return found


def codes(spec: Spec) -> set[str]:
    return {finding.code for finding in spec.findings}


FULL = b"""
openapi: 3.0.3
info: {title: Shop, version: 1.0, description: A shop}
servers:
  - url: https://{region}.shop.example/v1
    variables: {region: {default: eu, enum: [eu, us]}}
security: [{key: []}]
paths:
  /orders/{orderId}:
    parameters:
      - {name: orderId, in: path, required: true, schema: {type: string}, description: which}
      - {name: page, in: query, schema: {type: integer}}
    get:
      operationId: getOrder
      summary: Get it
      tags: [orders]
      deprecated: true
      parameters:
        - {name: page, in: query, required: true, schema: {type: string}}
        - {$ref: '#/components/parameters/Trace'}
        - {name: Authorization, in: header, required: true, schema: {type: string}}
        - {name: Host, in: header, schema: {type: string}}
      responses:
        200: {description: ok, headers: {ETag: {schema: {type: string}}}, content: {text/plain: {}, application/json: {schema: {$ref: '#/components/schemas/Order'}}}}
        204: {description: none}
    put:
      servers: [{url: 'https://write.shop.example'}]
      security: [{}, {basic: [], oauth: [a, b]}]
      requestBody: {$ref: '#/components/requestBodies/Order'}
      callbacks:
        done: {'{$request.body#/url}': {post: {requestBody: {content: {application/json: {schema: {type: object}}}}}}}
      responses: {default: {$ref: '#/components/responses/Any'}}
components:
  parameters:
    Trace: {name: X-Trace, in: header, schema: {type: string}}
  requestBodies:
    Order: {required: true, content: {application/x-www-form-urlencoded: {}, application/vnd.x+json: {schema: {$ref: '#/components/schemas/Order'}}}}
  responses:
    Any: {description: any}
  schemas:
    Order: {type: object, nullable: true, properties: {parent: {$ref: '#/components/schemas/Order'}}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key}
    basic: {type: http, scheme: Basic}
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: 'https://x', scopes: {}}}}
"""


def test_reads_everything_of_an_ordinary_document() -> None:
    spec = read_spec({"shop.yaml": FULL})
    assert (spec.title, spec.version, spec.dialect) == ("Shop", "1.0", "openapi3.0")
    assert spec.servers[0].variables["region"].enum == ("eu", "us")
    get = spec.find("getOrder")
    assert get is spec.find("GET /orders/{orderId}")
    assert get is not None
    assert (get.summary, get.tags, get.deprecated) == ("Get it", ("orders",), True)
    names = [(one.name, one.location, one.required) for one in get.parameters]
    assert names == [("orderId", "path", True), ("page", "query", True), ("X-Trace", "header", False)]
    assert [one.kind for one in get.responses["200"].media] == ["json", "text"]
    assert spec.output_schemas(get) == {
        "200": {"$ref": "#/components/schemas/Order"},
        "204": {"type": "null"},
    }
    assert get.responses["200"].headers == {"ETag": {"type": "string"}}
    assert get.security == ((Need(scheme="key"),),)
    put = spec.operations["put_orders_by_orderId"]
    assert put.security == ((), (Need(scheme="basic"), Need(scheme="oauth", scopes=("a", "b"))))
    assert spec.servers_of(put)[0].url == "https://write.shop.example"
    assert put.body is not None
    assert [one.type for one in put.body.media] == [
        "application/vnd.x+json",
        "application/x-www-form-urlencoded",
    ]
    (callback,) = spec.triggers.values()
    assert (callback.kind, callback.operation, callback.address) == (
        "callback",
        put.id,
        "{$request.body#/url}",
    )
    assert spec.security_schemes["basic"].scheme == "basic"
    assert spec.readable
    assert spec.findings == ()


def test_the_input_schema_names_parameters_by_wire_name_and_keeps_references() -> None:
    spec = read_spec({"shop.yaml": FULL})
    put = spec.operations["put_orders_by_orderId"]
    schema = spec.input_schema(put)
    assert schema["required"] == ["orderId", "body"]
    assert schema["properties"]["body"] == {"$ref": "#/components/schemas/Order"}
    assert schema["properties"]["orderId"] == {"type": "string", "description": "which"}
    alone = spec.standalone(schema)
    assert alone["properties"]["body"] == {"$ref": "#/$defs/Order"}
    assert alone["$defs"]["Order"]["properties"]["parent"] == {"$ref": "#/$defs/Order"}


@every_row(
    "parameters",
    [
        [{"name": "id", "in": "query"}, {"name": "id", "in": "header"}],
        [{"name": "body", "in": "query"}],
    ],
)
def test_inputs_are_grouped_where_names_collide(parameters: list[Any]) -> None:
    body = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
    spec = read({"/a": {"post": {"operationId": "a", "parameters": parameters, "requestBody": body}}})
    schema = spec.input_schema(spec.operations["a"])
    assert set(schema["properties"]) == {*(one["in"] for one in parameters), "body"}
    assert schema["required"] == ["body"]
    assert schema["properties"]["query"]["additionalProperties"] is False


def test_a_parameter_named_body_needs_no_group_when_there_is_no_body() -> None:
    assert not one({"parameters": [{"name": "body", "in": "query"}]}).grouped


def test_the_key_header_is_known_and_not_asked_of_anybody() -> None:
    header = {"name": "idempotency-key", "in": "header", "required": True, "schema": {"type": "string"}}
    spec = read({"/a": {"get": {"operationId": "a", "parameters": [header]}}})
    assert spec.operations["a"].key_header == "idempotency-key"
    assert "required" not in spec.input_schema(spec.operations["a"])


@every_row(
    ("operation", "words"),
    [
        ([], "the operation is not an object"),
        ({"$ref": "resources/x.yml"}, "the operation refers to the file resources/x.yml"),
        ({"parameters": {"a": 1}}, "`parameters` is not an array"),
        (
            {"parameters": [{"name": "b", "in": "body", "required": True}]},
            "the required parameter 'b' in 'body'",
        ),
        ({"parameters": [{"name": "X\r\nY", "in": "header"}]}, "the header name 'X\\r\\nY' cannot be sent"),
        ({"requestBody": []}, "the request body is not an object"),
        ({"requestBody": {"$ref": "common.yaml#/x"}}, "the request body refers to the file common.yaml"),
    ],
)
def test_a_bad_operation_is_refused_alone_and_named(operation: Any, words: str) -> None:
    spec = read({"/a": {"post": operation, "get": {}}})
    bad, good = spec.find("POST /a"), spec.find("GET /a")
    assert bad is not None
    assert bad.problem.startswith("POST /a: ")
    assert words in bad.problem
    assert good is not None
    assert good.problem == ""
    (finding,) = [one for one in spec.findings if one.code == "operation-refused"]
    assert finding.message == bad.problem
    assert finding.line == 1
    assert spec.readable
    spec.input_schema(bad)


@every_row("path", ["/a\r\nX: y", "/a/../b", "/.", "/a/./b?x"])
def test_a_path_that_cannot_be_sent_refuses_its_operations(path: str) -> None:
    assert one({}, path).problem


@every_row(
    ("operation", "words"),
    [
        ({"parameters": [{"$ref": "#/paths/~1a/get/parameters/0"}]}, "leads back to itself; left out"),
        ({"parameters": [{"$ref": "http://169.254.169.254/"}]}, "nothing is ever fetched; left out"),
        ({"parameters": [{"name": "b", "in": "formData"}]}, "no parameter of OpenAPI 3; left out"),
        ({"parameters": [{"name": "b", "in": "query", "style": "label"}]}, "sent as form"),
        ({"parameters": [{"name": "b", "in": "path"}]}, "is not in the path; left out"),
        ({"requestBody": {"content": {}}}, "names no media type"),
        ({"requestBody": {"content": {"a\nb": {}}}}, "is no media type"),
        ({"responses": {"200": {"$ref": "#/nope"}}}, "the answer 200 refers to #/nope"),
    ],
)
def test_what_is_left_out_degrades_the_operation_and_is_said(operation: Any, words: str) -> None:
    found = one(operation)
    assert found.problem == ""
    assert words in " ".join(found.degraded)


def test_a_schema_that_leads_nowhere_is_anything_and_degrades_who_reaches_it() -> None:
    schemas = {"A": {"properties": {"b": {"$ref": "https://x.example/b.json"}}}}
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    spec = read(
        {"/a": {"get": {"operationId": "a", "requestBody": content}, "put": {"operationId": "b"}}},
        components={"schemas": schemas},
    )
    assert spec.operations["a"].problem == ""
    assert "nothing is ever fetched" in spec.degradations(spec.operations["a"])[0]
    assert spec.degradations(spec.operations["b"]) == ()
    assert "reference-remote" in codes(spec)


def test_an_undeclared_path_parameter_is_taken_as_text() -> None:
    found = one({}, "/a/{b}.{c}")
    assert [(one.name, one.required, one.schema) for one in found.parameters] == [
        ("b", True, {"type": "string"}),
        ("c", True, {"type": "string"}),
    ]
    assert len(found.degraded) == 2


def test_a_parameter_of_a_fragment_is_nobodys_business() -> None:
    found = one({"parameters": [{"name": "b", "in": "path", "required": True}]}, "/a#Action={b}")
    assert (found.parameters, found.degraded) == ((), ())


def test_path_items_behind_references_are_read_and_their_own_members_win() -> None:
    spec = read(
        {"/a": {"$ref": "#/components/pathItems/A", "summary": "mine"}, "/b": {"$ref": "#/paths/~1b"}},
        components={"pathItems": {"A": {"summary": "theirs", "get": {"operationId": "x"}}}},
    )
    assert spec.operations["x"].summary == "mine"
    assert spec.operations["x"].path == "/a"
    (finding,) = [one for one in spec.findings if one.code == "path-refused"]
    assert finding.message.startswith("/b refers to #/paths/~1b")


def test_duplicate_operation_ids_are_told_apart_with_a_finding() -> None:
    spec = read({"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "x"}}})
    assert sorted(spec.operations) == ["get_a", "get_b"]
    assert spec.find("x") is None
    assert "duplicate-operation-id" in codes(spec)


def test_webhooks_are_triggers() -> None:
    hook = {"post": {"operationId": "onPaid", "requestBody": {"content": {"application/json": {}}}}}
    spec = read({}, webhooks={"order.paid": hook, "x-y": 1}, **{"x-webhooks": {"order paid": hook}})
    assert set(spec.triggers) == {"order.paid", "order_paid"}
    assert spec.triggers["order.paid"].aliases == ("onPaid",)
    assert spec.triggers["order.paid"].kind == "webhook"


def test_undeclared_security_schemes_and_server_variables_are_findings() -> None:
    spec = read(
        {"/a": {"get": {"security": [{"nope": []}]}}},
        servers=[{"url": "https://{a}.x"}, 7, {"url": "https://x\r\n"}],
    )
    assert spec.security_schemes["nope"].problem == "is not declared"
    assert spec.servers[0].variables["a"].default is None
    assert len(spec.servers) == 1
    assert {"security-scheme", "server-variable", "server-url", "wrong-type"} <= codes(spec)


def test_wrong_types_everywhere_are_findings() -> None:
    spec = read_spec(
        {
            "a.json": b'{"openapi": "3.1.0", "info": [], "servers": {"url": 1}, "tags": "x", "security": {}, "components": [],'
            b' "paths": {"/a": {"get": [], "post": {"parameters": {"a": 1}, "requestBody": [], "responses": "x", "security": [1],'
            b' "operationId": 7, "tags": {}}, "parameters": "x"}, "/b": null, "/c": "x", "d": {"get": {}}}, "webhooks": []}'
        }
    )
    assert set(spec.operations) == {"get_a", "post_a", "get_d"}
    assert spec.find("GET d") is not None
    assert all(one.line == 1 for one in spec.findings)


def test_findings_know_their_place() -> None:
    text = b"openapi: 3.1.0\npaths:\n  /a/{b}:\n    get:\n      responses: {}\n  /c:\n    $ref: x.yaml#/c\n"
    spec = read_spec({"a.yaml": text})
    places = {one.code: (one.file, one.line, one.column) for one in spec.findings}
    assert places["path-parameter"] == ("a.yaml", 4, 5)
    assert places["path-refused"] == ("a.yaml", 6, 3)


def test_broken_parts_of_answers_callbacks_and_webhooks_are_said() -> None:
    media = {"content": {"application/json": {"$ref": "#/nope"}}}
    operation = {
        "responses": {"200": media, "x-y": 1, "201": {"content": {"text/plain": {"example": "hi"}}}},
        "callbacks": {"gone": {"$ref": "#/nope"}, "kept": {"x-y": 1, "{$url}": {"x-z": 1, "post": 7}}},
    }
    hook = {"post": {"security": [{"k": []}], "requestBody": {"$ref": "#/nope"}}}
    spec = read({"x-paths": 1, "/a": {"get": operation}}, webhooks={"w": hook})
    found = spec.operations["get_a"]
    assert found.problem == ""
    assert len(found.degraded) == 2
    assert found.responses["201"].media[0].examples == {"example": {"value": "hi"}}
    assert spec.triggers["kept"].problem == "the operation is not an object"
    assert spec.triggers["w"].problem.startswith("the request body refers to #/nope")
    assert spec.triggers["w"].security == ((Need(scheme="k"),),)
    assert "trigger-refused" in codes(spec)


def test_a_security_scheme_behind_a_broken_reference_has_a_problem() -> None:
    schemes = {"a": {"$ref": "#/nope"}, "b": {"type": "magic"}}
    found = read({}, components={"securitySchemes": schemes}).security_schemes
    assert "#/nope" in found["a"].problem
    assert "'magic' is not known" in found["b"].problem


def test_findings_of_one_code_are_bounded_but_every_refused_operation_is_named() -> None:
    spec = read(
        {
            f"/p{index}": {"get": [], "tags": 1, "parameters": [{"name": "x", "in": "y"}]}
            for index in range(99)
        }
    )
    named = [one for one in spec.findings if one.code == "operation-refused"]
    others = [one for one in spec.findings if one.code == "parameter"]
    assert len(named) == 99
    assert len(others) == 50
    assert "more of these" in others[-1].message


def test_a_variable_of_a_collection_in_a_server_is_one_of_the_server() -> None:
    spec = read({"/a": {"get": {"operationId": "a"}}}, servers=[{"url": "{{baseUrl}}/{{ version }}"}])
    assert spec.servers[0].url == "{baseUrl}/{version}"
    assert set(spec.servers[0].variables) == {"baseUrl", "version"}
    assert "server-variable" in codes(spec)


def test_a_query_parameter_that_the_path_holds_is_not_asked_for() -> None:
    parameters = [{"name": name, "in": "query", "required": True} for name in ("kind", "other")]
    found = one({"parameters": parameters}, "/a?kind=big&page={other}")
    assert [parameter.name for parameter in found.parameters] == ["other"]
    assert found.degraded == ()
    spec = read({"/a?kind=big": {"get": {"parameters": parameters}}})
    assert "always 'big'" in next(told.message for told in spec.findings if told.code == "constant-query")
