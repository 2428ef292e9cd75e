"""Swagger 2.0 becomes the model of OpenAPI 3, one slip at a time."""

import json
from typing import Any

from actions.serialize import build
from actions.specs import read_spec
from actions.specs.model import Body, Operation, Parameter, Spec
from tests.tables import every_row

STRING = {"type": "array", "items": {"type": "string"}}


def spec_of(**root: Any) -> Spec:
    document = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "host": "a.x",
        "schemes": ["https"],
        "paths": {},
    }
    return read_spec({"a.json": json.dumps({**document, **root}).encode()})


def operation_of(
    *parameters: Any,
    path: str = "/o",
    method: str = "post",
    root: dict[str, Any] | None = None,
    **operation: Any,
) -> tuple[Spec, Operation]:
    item = {method: {"parameters": list(parameters), "responses": {}, **operation}}
    spec = spec_of(**{"paths": {path: item}, **(root or {})})
    return spec, next(iter(spec.operations.values()))


def parameter_of(**parameter: Any) -> Parameter:
    _, found = operation_of({"name": "p", "in": "query", **parameter}, method="get")
    return found.parameters[0]


def body_of(*parameters: Any, **more: Any) -> Body:
    _, found = operation_of(*parameters, **more)
    assert found.body is not None
    return found.body


def codes(spec: Spec) -> set[str]:
    return {one.code for one in spec.findings}


# Servers


@every_row(
    ("root", "urls", "code"),
    [
        ({"schemes": ["https", "http"], "basePath": "/v1"}, ["https://a.x/v1", "http://a.x/v1"], ""),
        ({"basePath": "/v1/"}, ["https://a.x/v1/"], ""),
        ({"basePath": "v1"}, ["https://a.x/v1"], ""),
        ({"host": "a.x/", "basePath": "/"}, ["https://a.x/"], ""),
        ({"schemes": []}, ["https://a.x"], "no-scheme"),
        ({"schemes": ["wss", "HTTP"]}, ["http://a.x"], ""),
        ({"host": "http://a.x:8080"}, ["http://a.x:8080"], "server-url"),
        ({"host": None}, [], "no-server"),
        ({"host": "a\r\nb"}, [], "server-url"),
    ],
)
def test_host_base_path_and_schemes_make_the_servers(
    root: dict[str, Any], urls: list[str], code: str
) -> None:
    spec = spec_of(paths={"/o": {"get": {"responses": {}}}}, **root)
    assert [one.url for one in spec.servers] == urls
    assert (code in codes(spec)) == bool(code)


def test_a_description_without_host_says_how_the_server_ends() -> None:
    spec = spec_of(host=None, basePath="/v2", paths={"/o": {"get": {"responses": {}}}})
    (found,) = spec.findings
    assert (found.code, found.severity, found.fix) == ("no-server", "info", "the server ends in /v2")


def test_a_host_with_parts_has_variables() -> None:
    (server,) = spec_of(host="{{ region }}.a.x").servers
    assert server.url == "https://{region}.a.x"
    assert server.variables["region"].default is None


@every_row(
    ("template", "url"),
    [
        ({"hostTemplate": "{region}.a.x"}, "https://{region}.a.x/v1"),
        ({"hostTemplate": "{region}.a.x", "useSchemePrefix": False}, "{region}.a.x/v1"),
        ({"hostTemplate": "{region}.a.x", "positionInOperation": "last"}, "https://{region}.a.x/v1"),
    ],
)
def test_a_parameterised_host_replaces_the_host(template: dict[str, Any], url: str) -> None:
    declared = {
        "name": "region",
        "in": "path",
        "type": "string",
        "enum": ["eu", "us"],
        "default": "eu",
        "description": "d",
    }
    template = {**template, "parameters": [{"$ref": "#/parameters/R"}]}
    spec = spec_of(**{"x-ms-parameterized-host": template, "parameters": {"R": declared}, "basePath": "/v1"})
    (server,) = spec.servers
    assert server.url == url
    variable = server.variables["region"]
    assert (variable.default, variable.enum, variable.description) == ("eu", ("eu", "us"), "d")


def test_an_operation_has_its_own_schemes() -> None:
    spec, found = operation_of(schemes=["http"])
    assert [one.url for one in spec.servers_of(found)] == ["http://a.x"]


# Parameters


@every_row(
    ("written", "style", "explode"),
    [
        (None, "form", False),
        ("csv", "form", False),
        ("ssv", "spaceDelimited", False),
        ("tsv", "tabDelimited", False),
        ("pipes", "pipeDelimited", False),
        ("multi", "form", True),
    ],
)
def test_collection_formats_become_styles(written: str | None, style: str, explode: bool) -> None:
    more = {} if written is None else {"collectionFormat": written}
    found = parameter_of(**STRING, **more)
    assert (found.style, found.explode) == (style, explode)
    body = body_of({"name": "p", "in": "formData", **STRING, **more})
    assert body.media[0].encoding == {"p": {"style": style, "explode": explode}}


@every_row("location", ["path", "header"])
def test_multi_belongs_to_queries_and_forms_alone(location: str) -> None:
    spec, found = operation_of(
        {"name": "p", "in": location, "required": True, **STRING, "collectionFormat": "multi"}, path="/o/{p}"
    )
    assert (found.parameters[0].style, found.parameters[0].explode) == ("simple", False)
    assert "collection-format" in codes(spec)
    assert found.status == "degraded"


def test_the_words_of_a_parameter_are_the_schema_of_its_value() -> None:
    found = parameter_of(
        type="integer", format="int32", minimum=1, exclusiveMinimum=True, default=2, description="d", required=True,
        allowEmptyValue=True, **{"x-ms-summary": "s", "x-nullable": True},
    )  # fmt: skip
    assert found.schema == {
        "type": "integer", "format": "int32", "minimum": 1, "exclusiveMinimum": True, "default": 2, "x-nullable": True,
    }  # fmt: skip
    assert (found.description, found.required, found.extras["allowEmptyValue"]) == ("d", True, True)
    assert found.extras["x-ms-summary"] == "s"


def test_parameters_of_the_path_are_merged_and_references_followed() -> None:
    item = {
        "parameters": [{"$ref": "#/parameters/A"}, {"name": "b", "in": "query", "type": "string"}],
        "get": {"parameters": [{"name": "b", "in": "query", "type": "integer"}], "responses": {}},
    }
    spec = spec_of(paths={"/o/{a}": item}, parameters={"A": {"name": "a", "in": "path", "type": "string"}})
    first, second = next(iter(spec.operations.values())).parameters
    assert (first.name, first.required, second.schema) == ("a", True, {"type": "integer"})


def test_path_parameters_that_were_forgotten_are_text() -> None:
    spec, found = operation_of(
        {"name": "gone", "in": "path", "type": "string"}, path="/o/{a}.json#Action={b}"
    )
    assert [(one.name, one.required) for one in found.parameters] == [("a", True)]
    assert len(found.degraded) == 2
    assert build(found, spec, "https://a.x", {"a": "1"}).url == "https://a.x/o/1.json"


@every_row(("written", "required"), [("true", True), ("False", False), (1, True), ([], False)])
def test_required_that_is_no_boolean_is_read_with_a_finding(written: Any, required: bool) -> None:
    spec, found = operation_of({"name": "p", "in": "query", "type": "string", "required": written})
    assert found.parameters[0].required is required
    assert "required" in codes(spec)


def test_places_are_read_however_they_are_spelt() -> None:
    spec, found = operation_of(
        {"name": "a", "in": "Query", "type": "string"},
        {"name": "b", "in": "form", "type": "string"},
        {"name": "c", "in": "cookie", "type": "string"},
        {"name": "id", "type": "string"},
        path="/o/{id}",
    )
    assert [(one.name, one.location) for one in found.parameters] == [
        ("a", "query"),
        ("c", "cookie"),
        ("id", "path"),
    ]
    assert found.body is not None
    assert found.status == "ok"
    assert {one.code for one in spec.findings} == {"parameter-place"}


@every_row(
    ("parameter", "status"),
    [
        ({"name": "p", "in": "moon"}, "degraded"),
        ({"name": "p", "in": "moon", "required": True}, "refused"),
        ({"in": "query"}, "degraded"),
        ({"$ref": "#/parameters/None"}, "degraded"),
        (7, "degraded"),
        ({"name": "a b", "in": "header", "type": "string"}, "degraded"),
        ({"name": "a b", "in": "header", "type": "string", "required": True}, "refused"),
        ({"name": "a\r\nb", "in": "header", "type": "string"}, "refused"),
    ],
)
def test_a_bad_parameter_degrades_its_operation_alone(parameter: Any, status: str) -> None:
    paths = {"/bad": {"get": {"parameters": [parameter]}}, "/good": {"get": {"responses": {}}}}
    spec = spec_of(paths=paths)
    assert spec.operations["get_bad"].status == status
    assert spec.operations["get_good"].status == "ok"
    assert any("/bad" in one.message for one in spec.findings)


def test_encoding_extensions_are_kept() -> None:
    assert parameter_of(type="string", **{"x-ms-skip-url-encoding": True}).allow_reserved
    assert parameter_of(type="string", **{"x-ms-url-encoding": "double"}).twice_encoded
    found = parameter_of(type="string", **{"x-ms-parameter-location": "client"})
    assert found.extras["x-ms-parameter-location"] == "client"


def test_slips_with_schemas_of_parameters_are_forgiven() -> None:
    assert parameter_of(schema={"type": "integer"}).schema == {"type": "integer"}
    assert parameter_of(**STRING, enum=["a"]).schema["items"] == {"type": "string", "enum": ["a"]}
    assert parameter_of(type="object").content_type == "application/json"


def test_inputs_are_shown_with_their_title_and_visibility() -> None:
    shown = {"x-ms-summary": "Version", "x-ms-visibility": "internal"}
    spec, found = operation_of({"name": "v", "in": "query", "type": "string", **shown, "x-ms-other": 1})
    assert spec.input_schema(found)["properties"]["v"] == {"type": "string", **shown}


def test_headers_of_the_transport_are_no_parameters() -> None:
    _, found = operation_of(
        {"name": "Authorization", "in": "header", "type": "string", "required": True},
        {"name": "Host", "in": "header", "type": "string"},
        {"name": "Accept", "in": "header", "type": "string", "default": " text/csv\r"},
        {"name": "Content-Type", "in": "header", "type": "string"},
    )
    assert [(one.name, one.schema["default"]) for one in found.parameters] == [("Accept", "text/csv")]


@every_row("name", ["Content-Type", "content-type:", "Content-Type: text/xml"])
def test_a_content_type_among_the_parameters_names_the_media_type(name: str) -> None:
    header = {"name": name, "in": "header", "type": "string", "default": "text/xml"}
    body = {"name": "b", "in": "body", "schema": {"type": "object"}}
    assert [one.type for one in body_of(header, body).media] == ["text/xml"]
    assert [one.type for one in body_of(header, body, consumes=["a/json"]).media] == ["a/json", "text/xml"]


def test_a_content_type_that_only_the_parameters_name_is_sent_before_its_equals() -> None:
    tar = {"name": "Content-type", "in": "header", "type": "string", "enum": ["application/x-tar"]}
    body = {"name": "b", "in": "body", "schema": {"type": "string", "format": "binary"}}
    found = body_of(tar, body, consumes=["application/octet-stream"])
    assert [one.type for one in found.media] == ["application/x-tar", "application/octet-stream"]


# Bodies


def test_a_body_is_json_unless_something_else_is_said() -> None:
    body = body_of(
        {
            "name": "it",
            "in": "body",
            "required": True,
            "description": "d",
            "schema": {"$ref": "#/definitions/S"},
        }
    )
    assert (body.required, body.description, body.extras["name"]) == (True, "d", "it")
    assert [(one.type, one.schema) for one in body.media] == [
        ("application/json", {"$ref": "#/definitions/S"})
    ]


@every_row(
    ("own", "types"),
    [
        ({}, ["application/json", "text/xml"]),
        ({"consumes": []}, ["application/json"]),
        ({"consumes": ["text/plain", "text/plain", 7, "nonsense"]}, ["text/plain"]),
    ],
)
def test_consumes_is_inherited_unless_an_operation_has_its_own(own: dict[str, Any], types: list[str]) -> None:
    body = body_of({"name": "b", "in": "body"}, root={"consumes": ["text/xml", "application/json"]}, **own)
    assert [one.type for one in body.media] == types


@every_row(
    "schema", [{"type": "file"}, {"type": "string", "format": "binary"}, {"type": "object", "format": "file"}]
)
def test_a_body_that_is_a_file_is_bytes(schema: dict[str, Any]) -> None:
    (media,) = body_of({"name": "b", "in": "body", "schema": schema}, consumes=["multipart/form-data"]).media
    assert (media.type, media.schema) == ("application/octet-stream", {"type": "string", "format": "binary"})


def test_a_body_that_is_no_object_is_never_a_form() -> None:
    body = {"name": "b", "in": "body", "schema": {"type": "array", "items": {}}}
    spec, found = operation_of(body, consumes=["multipart/form-data"])
    assert found.body is not None
    assert [one.type for one in found.body.media] == ["application/json"]
    assert "consumes" in codes(spec)


def test_form_fields_become_one_object() -> None:
    body = body_of(
        {
            "name": "a",
            "in": "formData",
            "type": "integer",
            "required": True,
            "description": "d",
            "x-ms-visibility": "internal",
        },
        {"name": "f", "in": "formData", "type": "file"},
    )
    (media,) = body.media
    assert (media.type, body.required) == ("multipart/form-data", True)
    assert media.schema == {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "description": "d", "x-ms-visibility": "internal"},
            "f": {"type": "string", "format": "binary"},
        },
    }


@every_row(
    ("kind", "consumes", "types", "said"),
    [
        ("string", None, ["application/x-www-form-urlencoded"], False),
        ("file", None, ["multipart/form-data"], False),
        ("string", ["application/json"], ["application/x-www-form-urlencoded"], True),
        ("file", ["application/json"], ["multipart/form-data"], True),
        ("file", ["application/x-www-form-urlencoded"], ["multipart/form-data"], True),
        ("string", ["multipart/form-data"], ["multipart/form-data"], False),
        (
            "string",
            ["multipart/form-data", "application/x-www-form-urlencoded"],
            ["application/x-www-form-urlencoded", "multipart/form-data"],
            False,
        ),
    ],
)
def test_the_media_type_of_a_form_is_inferred_where_it_is_wrong(
    kind: str, consumes: list[str] | None, types: list[str], said: bool
) -> None:
    more = {} if consumes is None else {"consumes": consumes}
    spec, found = operation_of({"name": "f", "in": "formData", "type": kind}, **more)
    assert found.body is not None
    assert [one.type for one in found.body.media] == types
    assert ("consumes" in codes(spec)) == said


@every_row(("consumes", "kept"), [([], "json"), (["multipart/form-data"], "multipart")])
def test_a_body_beside_form_fields_wins_unless_a_form_is_consumed(consumes: list[str], kept: str) -> None:
    field, body = {"name": "f", "in": "formData", "type": "string"}, {"name": "b", "in": "body", "schema": {}}
    _, found = operation_of(field, body, consumes=consumes)
    assert found.body is not None
    assert found.body.media[0].kind == kept
    assert found.status == "degraded"


def test_of_several_bodies_the_first_counts_and_the_operations_own_wins() -> None:
    own = [
        {"name": "a", "in": "body", "schema": {"type": "string"}},
        {"name": "b", "in": "body", "schema": {}},
    ]
    item = {"parameters": [{"name": "c", "in": "body"}], "post": {"parameters": own, "responses": {}}}
    found = spec_of(paths={"/o": item}).operations["post_o"]
    assert found.body is not None
    assert found.body.extras["name"] == "a"
    assert found.degraded == ("the body b is one too many; left out",)


@every_row("method", ["get", "delete", "head"])
def test_a_body_is_read_for_every_method(method: str) -> None:
    assert body_of({"name": "b", "in": "body", "schema": {"type": "object"}}, method=method).media


def test_examples_of_bodies_are_kept() -> None:
    body = body_of({"name": "b", "in": "body", "x-example": {"a": 1}}, consumes=["application/json"])
    assert body.media[0].examples == {"example": {"value": {"a": 1}}}
    body = body_of({"name": "b", "in": "body", "x-examples": {"application/json": 1, "default": 2}})
    assert body.media[0].examples == {"example": {"value": 1}}


# Answers


def test_answers_have_their_media_types_headers_and_examples() -> None:
    response = {
        "description": "d",
        "schema": {"$ref": "#/definitions/S"},
        "headers": {"H": {"type": "integer", "description": "h"}, "bad": 7},
        "examples": {"text/csv": "a,b", "response": 1},
        "x-e": 1,
    }
    _, found = operation_of(
        responses={"200": response, "x-none": {}}, produces=["text/csv", "application/json"]
    )
    (answer,) = found.responses.values()
    assert [(one.type, one.examples) for one in answer.media] == [
        ("application/json", {}),
        ("text/csv", {"example": {"value": "a,b"}}),
    ]
    assert answer.headers == {"H": {"type": "integer", "description": "h"}, "bad": {}}
    assert (answer.description, answer.extras) == ("d", {"x-e": 1})


@every_row(
    ("response", "produces", "types"),
    [
        ({"schema": {}}, [], ["application/json"]),
        ({}, ["application/json"], []),
        ({"examples": {"text/plain": "a"}}, [], ["text/plain"]),
        ({"schema": {"type": "file"}}, ["application/json"], ["application/octet-stream"]),
        ({"schema": {"type": "file"}}, ["application/json", "image/png"], ["image/png"]),
        ({"$ref": "#/responses/None"}, [], []),
    ],
)
def test_media_types_of_answers(response: Any, produces: list[str], types: list[str]) -> None:
    _, found = operation_of(responses={"200": response}, root={"produces": produces})
    assert [one.type for one in found.responses["200"].media] == types


# Security


@every_row(
    ("written", "flow"),
    [
        ("accessCode", "authorizationCode"),
        ("application", "clientCredentials"),
        ("implicit", "implicit"),
        ("password", "password"),
        (None, "authorizationCode"),
    ],
)
def test_flows_have_the_names_of_openapi_3(written: str | None, flow: str) -> None:
    scheme = {
        "type": "oauth2",
        "flow": written,
        "authorizationUrl": "https://l",
        "tokenUrl": "https://t",
        "scopes": {"s": "d"},
    }
    found = spec_of(securityDefinitions={"o": scheme}).security_schemes["o"]
    assert found.flows == {
        flow: {"authorizationUrl": "https://l", "tokenUrl": "https://t", "scopes": {"s": "d"}}
    }
    assert (found.kind, found.problem) == ("oauth2", "")


def test_schemes_that_cannot_be_used_say_why() -> None:
    schemes = {
        "a": {"type": "magic"},
        "b": {"type": "oauth2", "flow": "magic"},
        "c": 7,
        "d": {"$ref": "#/nope"},
    }
    spec = spec_of(securityDefinitions=schemes)
    assert all(one.problem for one in spec.security_schemes.values())
    assert len(spec.findings) >= 4


def test_basic_and_api_keys_are_read() -> None:
    schemes = spec_of(
        securityDefinitions={"b": {"type": "Basic"}, "k": {"type": "apiKey", "in": "Header", "name": "K"}}
    ).security_schemes
    assert (schemes["b"].kind, schemes["b"].scheme) == ("http", "basic")
    assert (schemes["k"].kind, schemes["k"].location, schemes["k"].parameter) == ("apiKey", "header", "K")


def test_security_is_alternatives_of_sets_and_undeclared_schemes_are_named() -> None:
    root = {"securityDefinitions": {"k": {"type": "basic"}}, "security": [{"k": [], "gone": ["s"]}, {}]}
    spec, found = operation_of(root=root)
    assert [[(need.scheme, need.scopes) for need in one] for one in found.security] == [
        [("k", ()), ("gone", ("s",))],
        [],
    ]
    assert spec.security_schemes["gone"].problem == "is not declared"
    assert operation_of(root=root, security=[])[1].security == ((),)


# Paths, ids, versions


def test_paths_that_are_no_paths_are_read() -> None:
    paths = {"/#Action=A": {"get": {}}, "/#Action=B": {"get": {}}, "/o?a=b": {"get": {}}, "x-y": {}}
    spec = spec_of(paths=paths, **{"x-ms-paths": {"/o?a=c": {"get": {}}}})
    assert [one.path for one in spec.operations.values()] == ["/#Action=A", "/#Action=B", "/o?a=b", "/o?a=c"]
    assert len(spec.operations) == 4


def test_a_path_item_is_read_behind_its_reference() -> None:
    spec = spec_of(
        paths={"/a": {"$ref": "#/x-items/A"}, "/b": {"$ref": "#/nope"}}, **{"x-items": {"A": {"get": {}}}}
    )
    assert [one.path for one in spec.operations.values()] == ["/a"]
    assert "path-refused" in codes(spec)


def test_names_that_are_missing_or_shared_become_slugs() -> None:
    paths = {
        "/a": {"get": {"operationId": "same"}, "put": {"operationId": "same"}},
        "/b": {"get": {}, "put": {"operationId": "fine", "deprecated": True, "tags": ["t"]}},
    }
    spec = spec_of(paths=paths)
    assert set(spec.operations) == {"get_a", "put_a", "get_b", "fine"}
    assert spec.find("PUT /b") is spec.operations["fine"]
    assert (spec.operations["fine"].deprecated, spec.operations["fine"].tags) == (True, ("t",))
    assert "duplicate-operation-id" in codes(spec)


def test_paths_of_one_shape_are_reported() -> None:
    spec = spec_of(paths={"/a/{x}": {"get": {}}, "/a/{y}": {"get": {}, "put": {}}})
    (found,) = [one for one in spec.findings if one.code == "same-path"]
    assert found.severity == "info"


@every_row("version", [2.0, 2, "2.0", "2.0.0", " 2.0"])
def test_versions_are_read_as_they_are_written(version: Any) -> None:
    assert read_spec(
        {"a.json": json.dumps({"swagger": version, "paths": {"/a": {"get": {}}}}).encode()}
    ).readable


def test_webhooks_of_an_extension_are_triggers() -> None:
    hook = {
        "post": {
            "operationId": "h",
            "parameters": [
                {"name": "b", "in": "body", "schema": {"type": "object"}},
                {"name": "x\n", "in": "header", "required": True},
            ],
        }
    }
    (trigger,) = spec_of(**{"x-webhooks": {"w": hook}}).triggers.values()
    assert (trigger.kind, trigger.name, trigger.aliases) == ("webhook", "w", ("h",))
    assert trigger.body is not None
    assert trigger.problem
