"""The line of `connectors read`: everything in a document is listed or named, with its place."""

import json
from typing import Any

from typing_extensions import override

from actions.specs.model import Spec
from service.descriptions import Unit
from service.usecases import describing
from tests.tables import every_row

SHOP: dict[str, Any] = {
    "openapi": "3.0.1",
    "info": {"title": "Shop", "version": "7"},
    "servers": [{"url": "/v1"}, {"url": "https://{region}.shop.example/v1"}],
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
    "paths": {
        "/orders": {
            "get": {"operationId": "list orders", "responses": {"200": {"description": "fine"}}},
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}},
                "responses": {},
            },
        },
        "/bad": {"get": {"parameters": [{"name": "X Y", "in": "header", "required": True}], "responses": {}}},
    },
}


def line(document: Any, name: str = "shop.json") -> dict[str, Any]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return describing.read_line(Unit(name=name, root=name, files={name: raw}), name)


def test_a_document_is_told_of_as_it_is_written() -> None:
    shown = line(SHOP)
    assert (shown["path"], shown["dialect"], shown["version"]) == ("shop.json", "openapi3.0", "3.0.1")
    assert shown["servers"] == ["/v1", "https://{region}.shop.example/v1"]
    assert shown["security"] == [{"name": "key", "type": "apiKey", "in": "header", "parameter": "X-Key"}]


def test_every_operation_has_its_status_and_its_reasons() -> None:
    by_path = {(one["method"], one["path"]): one for one in line(SHOP)["operations"]}
    assert by_path["GET", "/orders"] == {
        "id": "get_orders",
        "operation_id": "list orders",
        "method": "GET",
        "path": "/orders",
        "status": "ok",
        "reasons": [],
    }
    degraded = by_path["POST", "/orders"]
    assert (degraded["operation_id"], degraded["status"]) == (None, "degraded")
    assert "#/nowhere" in degraded["reasons"][0]
    assert by_path["GET", "/bad"]["status"] == "refused"
    assert "X Y" in by_path["GET", "/bad"]["reasons"][0]


def test_findings_have_their_place() -> None:
    found = next(one for one in line(SHOP)["findings"] if "#/nowhere" in one["message"])
    assert found["file"] == "shop.json"
    assert found["line"] == 1
    assert found["column"] > 1


def test_what_cannot_be_read_is_an_error_with_its_place() -> None:
    shown = line(b'{"openapi": "3.0.0",\n  "paths": {{}\n')
    assert set(shown) == {"path", "error", "findings"}
    assert (shown["error"]["file"], shown["error"]["line"]) == ("shop.json", 2)
    assert not describing.is_sound(shown)
    assert describing.summary(shown)["error"].startswith("2:")


def test_what_is_no_description_says_so() -> None:
    assert "not an API description" in line({"hello": "world"})["error"]["message"]


@every_row(
    ("document", "servers", "version"),
    [
        (
            {"swagger": "2.0", "host": "a.example", "schemes": ["http"], "paths": {}},
            ["http://a.example"],
            "2.0",
        ),
        (
            {
                "asyncapi": "2.6.0",
                "servers": {"x": {"url": "ws://a.example", "protocol": "ws"}},
                "channels": {},
            },
            ["ws://a.example"],
            "2.6.0",
        ),
        (
            {
                "asyncapi": "3.0.0",
                "servers": {"x": {"host": "a.example", "protocol": "mqtt", "pathname": "/p"}},
            },
            ["mqtt://a.example/p"],
            "3.0.0",
        ),
    ],
)
def test_servers_and_versions_of_other_formats(document: Any, servers: list[str], version: str) -> None:
    shown = line({"info": {"title": "x", "version": "1"}, **document})
    assert (shown["servers"], shown["version"]) == (servers, version)


def test_a_collection_shows_its_requests_as_they_are_written() -> None:
    requests = [
        {"name": "same", "request": {"method": "GET", "url": f"{{{{base}}}}/a?x={at}"}} for at in (1, 2)
    ]
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    shown = line({"info": {"name": "c", "schema": schema}, "item": requests})
    presets = [preset for one in shown["operations"] for preset in one["presets"]]
    assert [(one["method"], one["name"], one["url"]) for one in presets] == [
        ("GET", "same", "{{base}}/a?x=1"),
        ("GET", "same", "{{base}}/a?x=2"),
    ]
    assert presets[1]["preset"] != "same"


class BrokenUnit(Unit):
    """A description at which reading fails."""

    @override
    def read(self) -> Spec:
        raise ZeroDivisionError("by nought")


def test_a_fault_of_ours_is_told_of_like_any_other() -> None:
    shown = describing.read_line(BrokenUnit(name="x"), "x")
    assert shown["error"]["code"] == "internal"
    assert "ZeroDivisionError: by nought" in shown["error"]["message"]
    assert "report" in shown["error"]["fix"]


def test_the_row_of_a_table_counts() -> None:
    row = describing.summary(line(SHOP))
    assert (row["operations"], row["degraded"], row["refused"], row["triggers"]) == (3, 1, 1, 0)
    assert describing.is_sound(line(SHOP))
