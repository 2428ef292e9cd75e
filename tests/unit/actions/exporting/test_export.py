"""Any description is written as a valid OpenAPI 3.1 document that is read back without difference."""

import copy
import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from actions.comparing import compare
from actions.exporting import export, normal
from actions.specs import read_spec
from tests.unit.actions.exporting.documents import (
    ASYNCAPI,
    CONNECTOR,
    OPENAPI_30,
    POSTMAN,
    PROPERTIES,
    SWAGGER,
)
from tests.unit.actions.exporting.reading import back, differences, read, text


def connector():
    files = {
        "apiDefinition.swagger.json": json.dumps(CONNECTOR).encode(),
        "apiProperties.json": json.dumps(PROPERTIES).encode(),
        "script.csx": b"public class Script {}",
    }
    return read_spec(files, "apiDefinition.swagger.json")


SPECS = {
    "openapi 3.0": lambda: read(OPENAPI_30),
    "swagger 2": lambda: read(SWAGGER),
    "postman": lambda: read(POSTMAN),
    "asyncapi": lambda: read(ASYNCAPI),
    "power platform": connector,
}


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]()


def test_an_export_is_read_back_without_difference(spec):
    again = back(spec)
    assert differences(spec, again) == {}
    assert compare(spec, again) == []
    assert compare(again, spec) == []


def test_the_export_of_an_export_is_the_same(spec):
    assert text(export(back(spec))) == text(export(spec))


def test_an_export_is_valid(spec):
    document = json.loads(text(export(spec)))
    assert [
        f"{list(one.path)}: {one.message}" for one in OpenAPIV31SpecValidator(document).iter_errors()
    ] == []


def test_a_description_in_31_needs_no_extension():
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Plain", "version": "1"},
        "servers": [{"url": "https://plain.example"}],
        "paths": {
            "/a/{id}": {
                "get": {
                    "operationId": "getA",
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                    ],
                    "responses": {
                        "200": {
                            "description": "",
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}},
                        }
                    },
                }
            }
        },
        "webhooks": {"made": {"post": {"requestBody": {"content": {"application/json": {"schema": True}}}}}},
        "components": {"schemas": {"A": {"type": ["object", "null"], "properties": {"id": {"const": 1}}}}},
    }
    assert export(read(document)) == document


def schemas(spec):
    return export(spec)["components"]["schemas"]


def test_null_and_exclusive_bounds_are_said_in_the_words_of_31():
    order = schemas(read(OPENAPI_30))["Order"]["properties"]
    assert order["id"] == {"type": "integer", "exclusiveMinimum": 0, "readOnly": True}
    assert order["note"] == {"type": ["string", "null"], "enum": ["a", "b", None], "example": "a"}
    tree = {
        "anyOf": [{"allOf": [{"$ref": "#/components/schemas/Tree"}]}, {"type": "null"}],
        "description": "perhaps",
    }
    assert order["tree"] == tree
    assert order["total"] == {"type": "number", "maximum": 9}


def test_what_draft_4_says_otherwise_is_said_as_it_is_meant():
    thing = schemas(read(SWAGGER))["Thing"]
    assert thing["discriminator"] == {"propertyName": "kind"}
    assert thing["properties"]["data"] == {"type": "string", "format": "binary"}
    assert thing["properties"]["pair"] == {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
    }
    assert thing["properties"]["size"] == {"x-type": "long"}


def test_references_stay_references_and_cycles_stay_cycles():
    made = schemas(read(OPENAPI_30))
    tree = made["Tree"]["properties"]
    assert tree["left"] == {"$ref": "#/components/schemas/Tree", "description": "beside a reference"}
    assert tree["of"] == {"$ref": "#/components/schemas/schema"}
    assert made["schema"]["properties"]["file"] == {"type": "string", "format": "binary"}
    assert made["Order"]["discriminator"]["mapping"] == {
        "big": "#/components/schemas/Big",
        "tree": "#/components/schemas/Tree",
    }


def test_a_reference_to_nothing_allows_anything_and_says_why():
    spec = read(SWAGGER)
    assert "which is not there" in schemas(spec)["Nowhere"]["description"]
    assert back(spec).operations["find"].degraded == spec.degradations(spec.operations["find"])


def test_schemas_of_other_files_get_names_of_their_own():
    document = copy.deepcopy(OPENAPI_30)
    document["paths"]["/tree"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {
        "$ref": "parts.json#/Tree"
    }
    spec = read(document, parts__json={"Tree": {"type": "string"}})
    assert schemas(spec)["Tree_2"] == {"type": "string"}
    assert differences(spec, back(spec)) == {}


def test_one_name_stands_for_all_spellings_of_a_reference():
    document = copy.deepcopy(OPENAPI_30)
    document["components"]["schemas"]["A b"] = {"type": "string"}
    document["components"]["schemas"]["Filter"]["properties"] = {
        "one": {"$ref": "#/components/schemas/A b"},
        "two": {"$ref": "#/components/schemas/A%20b"},
    }
    made = schemas(read(document))
    assert (
        made["Filter"]["properties"]["one"]
        == made["Filter"]["properties"]["two"]
        == {"$ref": "#/components/schemas/A_b"}
    )


def test_a_chain_of_references_that_leads_back_to_itself_allows_anything():
    document = copy.deepcopy(OPENAPI_30)
    document["components"]["schemas"]["Filter"] = {"$ref": "#/components/schemas/Filter"}
    spec = read(document)
    assert "leads back to itself" in schemas(spec)["Filter"]["description"]
    assert differences(spec, back(spec)) == {}


def test_policies_parameters_and_the_test_of_a_connection_come_back():
    again = back(connector())
    assert again.policies == normal(connector()).policies
    assert [one.problem != "" for one in again.policies] == [False, True]
    assert again.parameters["site"].required
    assert again.test is not None
    assert again.test.arguments == {"deep": True}
    assert again.operations["OnNew"].needs_code
    assert {one.kind for one in again.triggers.values()} == {"notification", "poll"}


def test_defaults_of_secrets_are_not_given_away():
    assert "s3cret" in repr(connector().parameters["api_key"].default)
    assert "s3cret" not in repr(normal(connector()).parameters["api_key"])


def test_what_is_published_is_still_published():
    again = back(read(ASYNCAPI))
    assert again.dialect == "asyncapi2"
    assert again.operations["placeOrder"].method == "PUBLISH"
    assert again.operations["placeOrder"].path == "orders.{region}"


def test_requests_of_one_path_at_two_servers_stand_beside_each_other():
    spec = read(POSTMAN)
    paths = export(spec)["paths"]
    assert [path for path in paths if path.startswith("/things/{id}")][1].startswith("/things/{id}#")
    assert {one.path for one in back(spec).operations.values()} == {"/things/{id}", "/things"}


def test_equal_descriptions_give_equal_documents(spec):
    assert text(export(spec)) == text(export(spec))
