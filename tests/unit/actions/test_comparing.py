"""What changed between two versions of a description."""

import copy

import msgspec

from actions.comparing import compare, pairs
from actions.specs import read_spec
from tests.tables import every_row

SHOP = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.example/v1"}],
    "paths": {
        "/orders/{id}": {
            "get": {
                "operationId": "getOrder",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "view", "in": "query", "schema": {"type": "string", "enum": ["short", "long"]}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
                },
            }
        },
        "/orders": {
            "post": {
                "operationId": "createOrder",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}},
                "responses": {"201": {"description": "made"}},
            }
        },
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}},
            },
            "Line": {"type": "object", "properties": {"sku": {"type": "string"}, "of": {"$ref": "#/components/schemas/Order"}}},
            "New": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string", "maxLength": 20}, "qty": {"type": "number"}}},
        },
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    },
}  # fmt: skip


def spec(document):
    return read_spec({"shop.json": msgspec.json.encode(document)})


def changed(edit):
    document = copy.deepcopy(SHOP)
    edit(document)
    return [(one.effect, one.code, one.place) for one in compare(spec(SHOP), spec(document))]


def schema(document, name):
    return document["components"]["schemas"][name]


def operation(document, path="/orders/{id}", method="get"):
    return document["paths"][path][method]


def test_nothing_has_changed_in_the_same_description():
    assert compare(spec(SHOP), spec(SHOP)) == []


@every_row(
    ("edit", "change"),
    [
        (lambda one: one["paths"].pop("/orders"), ("breaking", "operation-removed", "")),
        (
            lambda one: operation(one)["parameters"].append(
                {"name": "x", "in": "query", "required": True, "schema": {}}
            ),
            ("breaking", "input-added", "query.x"),
        ),
        (
            lambda one: operation(one)["parameters"].append({"name": "x", "in": "query", "schema": {}}),
            ("compatible", "input-added", "query.x"),
        ),
        (lambda one: operation(one)["parameters"].pop(), ("breaking", "input-removed", "query.view")),
        (
            lambda one: operation(one)["parameters"][1].update(required=True),
            ("breaking", "input-required", "query.view"),
        ),
        (
            lambda one: operation(one)["parameters"][1]["schema"].update(enum=["short"]),
            ("breaking", "values-fewer", "query.view"),
        ),
        (
            lambda one: operation(one)["parameters"][1]["schema"].update(enum=["short", "long", "raw"]),
            ("compatible", "values-more", "query.view"),
        ),
        (
            lambda one: schema(one, "New")["properties"]["sku"].update(type="integer"),
            ("breaking", "type-changed", "body.sku"),
        ),
        (
            lambda one: schema(one, "New")["properties"]["sku"].update(maxLength=5),
            ("breaking", "bound-narrowed", "body.sku"),
        ),
        (
            lambda one: schema(one, "New")["required"].append("qty"),
            ("breaking", "member-required", "body.qty"),
        ),
        (lambda one: schema(one, "New")["properties"].pop("qty"), ("unclear", "member-removed", "body.qty")),
        (
            lambda one: schema(one, "Line")["properties"].pop("sku"),
            ("breaking", "member-removed", "answer 200.lines[].sku"),
        ),
        (
            lambda one: schema(one, "Order")["properties"].update(at={}),
            ("compatible", "member-added", "answer 200.at"),
        ),
        (lambda one: operation(one).update(deprecated=True), ("compatible", "operation-deprecated", "")),
        (lambda one: operation(one).update(operationId="readOrder"), ("breaking", "operation-renamed", "")),
        (
            lambda one: one["components"]["securitySchemes"]["key"].update(name="X-Token"),
            ("breaking", "login-changed", ""),
        ),
        (
            lambda one: one["servers"][0].update(url="https://shop.example/v2"),
            ("breaking", "servers-changed", ""),
        ),
        (
            lambda one: operation(one, "/orders", "post")["responses"].pop("201"),
            ("breaking", "answer-removed", "answer 201"),
        ),
    ],
)
def test_a_change_is_named_with_its_place_and_what_it_breaks(edit, change):
    assert change in changed(edit)


def test_what_breaks_comes_first():
    def edit(one):
        schema(one, "Order")["properties"]["at"] = {}
        one["paths"].pop("/orders")

    assert [effect for effect, *_ in changed(edit)] == ["breaking", "compatible"]


def test_an_operation_is_found_again_by_its_place_when_its_name_is_another():
    document = copy.deepcopy(SHOP)
    operation(document)["operationId"] = "readOrder"
    found = {name: one.id for name, one in pairs(spec(SHOP), spec(document))}
    assert found == {"getOrder": "readOrder", "createOrder": "createOrder"}


def test_a_variable_may_have_another_name_as_it_is_not_sent():
    def edit(one):
        one["paths"]["/orders/{order}"] = one["paths"].pop("/orders/{id}")
        operation(one, "/orders/{order}")["parameters"][0]["name"] = "order"

    codes = {code for _, code, _ in changed(edit)}
    assert "operation-removed" not in codes
    assert "operation-moved" not in codes
    assert "input-removed" in codes  # rules name it


def say(openapi, schema):
    """Return a description whose one operation takes and answers this schema."""
    content = {"application/json": {"schema": schema}}
    return spec(
        {
            "openapi": openapi,
            "info": {"title": "A", "version": "1"},
            "paths": {
                "/a": {
                    "post": {
                        "requestBody": {"content": content},
                        "responses": {"200": {"description": "", "content": content}},
                    }
                }
            },
            "components": {"schemas": {"B": {"type": "object", "properties": {"c": {"type": "string"}}}}},
        }
    )


B = {"$ref": "#/components/schemas/B"}


@every_row(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 1},
        ),
        ({"nullable": True, "allOf": [B]}, {"anyOf": [{"allOf": [B]}, {"type": "null"}]}),
        ({**B, "nullable": True}, {"anyOf": [{"type": "null"}, B]}),
        ({**B, "nullable": True}, {"oneOf": [B, {"type": "null"}]}),
    ],
)
def test_the_same_in_the_words_of_another_version_is_no_change(old, new):
    before, after = say("3.0.3", old), say("3.1.0", new)
    assert compare(before, after) == []
    assert compare(after, before) == []


def test_what_may_be_null_is_looked_into():
    before = say("3.1.0", {"anyOf": [B, {"type": "null"}]})
    after = say(
        "3.1.0", {"anyOf": [{"type": "object", "properties": {"c": {"type": "integer"}}}, {"type": "null"}]}
    )
    assert ("type-changed", "body.c") in [(one.code, one.place) for one in compare(before, after)]


def test_that_null_is_gone_breaks_who_sends_it():
    codes = [
        (one.code, one.effect)
        for one in compare(say("3.1.0", {"anyOf": [B, {"type": "null"}]}), say("3.1.0", B))
    ]
    assert ("type-changed", "breaking") in codes
