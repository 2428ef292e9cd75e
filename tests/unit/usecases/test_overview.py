"""What is said of a description in short, and what a connection to it has to give."""

import json

from actions.specs import read_spec
from service.usecases.overview import overview, wanted
from tests.tables import every_row
from tests.unit.actions.exporting.documents import CONNECTOR, OPENAPI_30, POSTMAN, PROPERTIES, SWAGGER


def read(document, **files):
    given = {"api.json": document, **files}
    return read_spec({name: json.dumps(value).encode() for name, value in given.items()}, "api.json")


def connector():
    files = {"apiDefinition.swagger.json": CONNECTOR, "apiProperties.json": PROPERTIES}
    return read_spec(
        {name: json.dumps(one).encode() for name, one in files.items()}, "apiDefinition.swagger.json"
    )


def test_counts_are_by_status():
    shown = overview(read(SWAGGER))
    assert shown["operations"] == {"all": 4, "degraded": 0, "refused": 1}
    assert shown["findings"]["warning"] >= 3


def test_a_connector_of_power_platform_is_told_whole():
    shown = overview(connector())
    assert [one["name"] for one in shown["parameters"]] == ["site", "api_key"]
    assert {one["kind"] for one in shown["triggers"]} == {"notification", "poll"}
    assert (shown["policies"], shown["test"], shown["operations"]["needs_code"]) == (2, "Ping", 1)


@every_row(
    ("spec", "words"),
    [
        (lambda: read(OPENAPI_30), ["--api-key-env VARIABLE"]),
        (lambda: read(POSTMAN), ["--bearer-env VARIABLE"]),
        (lambda: read({"openapi": "3.0.0", "info": {}, "paths": {}}), ["--server URL"]),
        (connector, ["--parameter site=VALUE"]),
    ],
)
def test_what_a_connection_has_to_give_is_named(spec, words):
    assert [one for one in words if one not in wanted(spec())] == []


def test_no_login_is_asked_for_beside_the_parameters_that_are_one():
    definition = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "host": "a.example",
        "securityDefinitions": {"user": {"type": "basic"}},
        "security": [{"user": []}],
        "paths": {"/x": {"get": {"operationId": "X", "responses": {"200": {"description": ""}}}}},
    }
    parameters = {
        "username": {"type": "securestring", "uiDefinition": {"constraints": {"required": "true"}}},
        "password": {"type": "securestring", "uiDefinition": {"constraints": {"required": "true"}}},
    }
    files = {
        "apiDefinition.swagger.json": definition,
        "apiProperties.json": {"properties": {"connectionParameters": parameters}},
    }
    spec = read_spec(
        {name: json.dumps(one).encode() for name, one in files.items()}, "apiDefinition.swagger.json"
    )
    assert wanted(spec) == ["--parameter-env username=VARIABLE", "--parameter-env password=VARIABLE"]
    assert wanted(read(definition)) == ["--basic USER:VARIABLE"]
