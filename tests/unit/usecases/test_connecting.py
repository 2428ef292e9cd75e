"""What is shown of an operation can be read alone."""

import json

from actions.specs import read_spec
from service.usecases.connecting import show_operation


def test_the_input_of_an_operation_stands_for_itself() -> None:
    media = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
    document = {
        "openapi": "3.0.3",
        "paths": {"/orders": {"post": {"operationId": "order", "requestBody": {"content": media}}}},
        "components": {
            "schemas": {
                "Order": {"properties": {"item": {"$ref": "#/components/schemas/Item"}}},
                "Item": {"type": "string"},
                "Other": {"type": "integer"},
            }
        },
    }
    shown = show_operation(read_spec({"a.json": json.dumps(document).encode()}), "order")["input"]
    assert shown["properties"]["body"] == {"$ref": "#/$defs/Order"}
    assert shown["$defs"] == {
        "Order": {"properties": {"item": {"$ref": "#/$defs/Item"}}},
        "Item": {"type": "string"},
    }
