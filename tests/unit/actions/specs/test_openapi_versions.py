"""Versions of OpenAPI 3: odd spellings, what 3.2 brings, and what is unusual in all of them."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.model import Spec
from tests.tables import every_row


def read(version: Any, paths: Any, **more: Any) -> Spec:
    document = {
        "openapi": version,
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://x.example"}],
        "paths": paths,
        **more,
    }
    return read_spec({"a.json": json.dumps(document).encode()})


def said(spec: Spec) -> dict[str, str]:
    return {one.code: one.message for one in spec.findings}


GET = {"/a": {"get": {"responses": {}}}}


@every_row(
    ("version", "dialect", "code"),
    [
        ("3.0.3", "openapi3.0", None),
        ("3.1", "openapi3.1", None),
        ("3.2.0", "openapi3.2", None),
        (3.0, "openapi3.0", "odd-version"),
        (3.1, "openapi3.1", "odd-version"),
        (3, "openapi3.0", "odd-version"),
        ("v3.0.1", "openapi3.0", "odd-version"),
        (" 3.0.0 ", "openapi3.0", "odd-version"),
        ("3.0.0-rc2", "openapi3.0", "odd-version"),
        ("3.1.0-rc0", "openapi3.1", "odd-version"),
        ("3.3.0", "openapi3.2", "unknown-version"),
        ("3.99999999999999999999", "openapi3.2", "unknown-version"),
    ],
)
def test_every_spelling_of_a_version_3_is_read(version: Any, dialect: str, code: str | None) -> None:
    spec = read(version, GET)
    assert (spec.dialect, spec.readable, list(spec.operations)) == (dialect, True, ["get_a"])
    assert set(said(spec)) == ({code} if code else set())


@every_row("version", ["4.0", "4.0.3", "9.9.9", "2.0", "three", "3,0", "3.x", "30"])
def test_other_versions_are_refused_and_their_operations_named(version: str) -> None:
    spec = read(version, GET)
    assert not spec.readable
    assert said(spec) == {
        "unknown-version": f"OpenAPI {version} is not read",
        "operation-refused": f"GET /a: OpenAPI {version} is not read",
    }
    assert all(one.line and one.column for one in spec.findings)


def test_of_a_refused_document_every_path_is_named() -> None:
    paths = {"/a": {"get": {}, "POST": {}, "summary": "s"}, "/b": {"$ref": "b.yaml"}, "/c": None, "x-d": {}}
    spec = read("5.0", paths)
    lost = [one for one in spec.findings if one.code == "operation-refused"]
    assert [one.message.partition(":")[0] for one in lost] == ["GET /a", "POST /a", "/b", "/c"]
    assert [one.pointer for one in lost] == ["/paths/~1a/get", "/paths/~1a/POST", "/paths/~1b", "/paths/~1c"]


def test_a_document_of_two_formats_is_read_as_openapi_and_said() -> None:
    spec = read("3.0.0", GET, swagger="2.0")
    assert spec.dialect == "openapi3.0"
    assert "it says `swagger` too" in said(spec)["two-versions"]


NEW = {
    "/a/{id}": {
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "query": {"requestBody": {"content": {"application/json": {"schema": {}}}}, "responses": {}},
        "additionalOperations": {
            "COPY": {"operationId": "copyIt", "responses": {}},
            "li nk": {"responses": {}},
        },
        "get": {
            "parameters": [
                {"name": "q", "in": "querystring", "content": {"application/x-www-form-urlencoded": {}}}
            ],
            "responses": {"200": {"content": {"application/jsonl": {"itemSchema": {"type": "object"}}}}},
        },
    }
}


def test_what_3_2_brings_is_read_or_named() -> None:
    spec = read("3.2.0", NEW)
    found = {(one.method, one.status): one for one in spec.operations.values()}
    assert set(found) == {("QUERY", "ok"), ("COPY", "ok"), ("li nk", "refused"), ("GET", "degraded")}
    assert spec.find("copyIt") is found["COPY", "ok"]
    assert [one.name for one in found["COPY", "ok"].parameters] == ["id"]
    assert "the whole query string" in said(spec)["parameter"]
    assert "`itemSchema` of OpenAPI 3.2 is not read; it stands in 1 places" in said(spec)["new-word"]
    assert "the method 'li nk' cannot be sent" in found["li nk", "refused"].problem


def test_before_3_2_there_were_no_such_methods() -> None:
    assert [one.method for one in read("3.1.0", NEW).operations.values()] == ["GET"]


def test_a_document_may_refer_to_itself_by_its_own_name() -> None:
    item = {
        "get": {"parameters": [{"$ref": "https://x.example/api#/components/parameters/P"}], "responses": {}}
    }
    spec = read(
        "3.2.0",
        {"/a": item},
        **{"$self": "https://x.example/api"},
        components={"parameters": {"P": {"name": "p", "in": "query"}}},
    )
    assert [one.name for one in spec.operations["get_a"].parameters] == ["p"]
    assert spec.findings == ()


def test_of_a_parameter_that_stands_twice_the_last_one_counts() -> None:
    twice = [{"name": "q", "in": "query", "schema": {"type": kind}} for kind in ("string", "integer")]
    spec = read("3.0.0", {"/a": {"parameters": twice[:1], "get": {"parameters": twice, "responses": {}}}})
    (parameter,) = spec.operations["get_a"].parameters
    assert parameter.schema == {"type": "integer"}
    assert [one.code for one in spec.findings] == ["duplicate-parameter"]
    assert spec.findings[0].pointer == "/paths/~1a/get/parameters/1"


def test_what_stands_beside_a_reference_describes_it() -> None:
    item = {
        "post": {
            "parameters": [{"$ref": "#/components/parameters/P", "description": "mine"}],
            "requestBody": {"$ref": "#/components/requestBodies/B"},
            "responses": {},
        }
    }
    parts = {
        "parameters": {"P": {"name": "p", "in": "query", "description": "its"}},
        "requestBodies": {"B": {"description": "body", "content": {"text/plain": {}}}},
    }
    spec = read("3.1.0", {"/a": item}, components=parts)
    operation = spec.operations["post_a"]
    assert operation.body is not None
    assert (operation.parameters[0].description, operation.body.description) == ("mine", "body")


def test_headers_that_are_ours_are_no_parameters() -> None:
    names = ("Accept", "content-type", "AUTHORIZATION", "X-Own")
    listed = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in names
    ]
    spec = read("3.0.0", {"/a": {"get": {"parameters": listed, "responses": {}}}})
    assert [one.name for one in spec.operations["get_a"].parameters] == ["X-Own"]


def test_paths_that_differ_only_in_a_variable_are_both_kept() -> None:
    item = {"get": {"responses": {}}}
    spec = read("3.0.0", {"/a/{id}": item, "/a/{name}": item, "/A/{id}": item})
    assert [one.path for one in spec.operations.values()] == ["/a/{id}", "/a/{name}", "/A/{id}"]


def test_parts_behind_references_of_every_kind_are_read() -> None:
    spec = read(
        "3.1.0",
        {"/a": {"$ref": "#/components/pathItems/A"}},
        **{
            "x-ms-paths": {"/a?op=b": {"get": {"responses": {}}}},
            "x-webhooks": {"w": {"post": {}}},
            "webhooks": {"v": {"$ref": "#/components/pathItems/A"}},
        },
        components={
            "pathItems": {
                "A": {
                    "post": {
                        "callbacks": {"c": {"$ref": "#/components/callbacks/C"}},
                        "responses": {"200": {"$ref": "#/components/responses/R"}},
                    }
                }
            },
            "callbacks": {
                "C": {
                    "{$request.body#/u}": {"post": {"requestBody": {"$ref": "#/components/requestBodies/B"}}}
                }
            },
            "responses": {"R": {"description": "r", "content": {"application/json": {}}}},
            "requestBodies": {"B": {"content": {"application/json": {}}}},
        },
    )
    assert {(one.method, one.path) for one in spec.operations.values()} == {
        ("POST", "/a"),
        ("GET", "/a?op=b"),
    }
    assert sorted((one.kind, one.name) for one in spec.triggers.values()) == [
        ("callback", "c"),
        ("webhook", "v"),
        ("webhook", "w"),
    ]
    assert spec.findings == ()


def test_server_variables_without_a_default_are_the_connections_to_give() -> None:
    server = {"url": "https://{r}.x.example", "variables": {"r": {"enum": ["eu", "us"]}}}
    spec = read("3.0.0", GET, servers=[server])
    assert spec.servers[0].variables["r"].default is None
    assert "has no default; the connection has to give it: one of eu, us" in said(spec)["server-variable"]


def test_operations_beyond_the_bound_are_listed_and_refused() -> None:
    paths = {f"/{number}": {"get": {"responses": {}}} for number in range(6)}
    document = json.dumps({"openapi": "3.0.0", "paths": paths}).encode()
    spec = read_spec({"a.json": document}, max_operations=4)
    assert [one.status for one in spec.operations.values()] == ["ok"] * 4 + ["refused"] * 2
    assert "2 of its 6 cannot be called" in spec.findings[-1].message
    far = read_spec({"a.json": document}, max_operations=0)
    assert not far.readable
    assert "it has 6 operations, far more than" in far.findings[-1].message


def test_every_path_whose_file_is_missing_is_named() -> None:
    paths = {f"/{number}": {"$ref": f"paths/{number}.yaml"} for number in range(60)}
    spec = read("3.0.0", paths)
    named = " ".join(one.message for one in spec.findings if one.code == "path-refused")
    assert all(f"paths/{number}.yaml" in named for number in range(60))
