"""Descriptions of every format in a real instance: from a webhook through a rule to the bytes that a backend gets."""

import base64
import email.parser
import email.policy
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.end_to_end.apis import (
    RESPONSES,
    call,
    configured,
    done,
    ended,
    openapi,
    operation,
    parameter,
    taking,
    write,
)
from tests.end_to_end.backend import Call, answers, backend
from tests.end_to_end.instance import instance

PNG = bytes(range(256)) + b"\r\n--not-a-boundary\r\n"


def parts(request: Call) -> list[tuple[str, str, str, bytes]]:
    """Read a multipart body with the standard library: name, file name, type and content of each part."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(EmailMessage, policy=email.policy.HTTP).parsebytes(head + request.body)
    found = []
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        field = part["content-disposition"].params
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        kind = part.get_content_type() if part["content-type"] else ""
        found.append((field["name"], field.get("filename", ""), kind, content))
    return found


# -- Swagger 2

SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "Old", "version": "1"},
    "host": "fake.example",
    "basePath": "/v1",
    "schemes": ["http"],
    "paths": {
        "/search/{ids}": {
            "get": {
                "operationId": "search",
                "parameters": [
                    {"name": "ids", "in": "path", "required": True, "type": "array", "items": {"type": "string"}},
                    {"name": "tag", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                    {"name": "n", "in": "query", "type": "array", "items": {"type": "integer"}, "collectionFormat": "pipes"},
                    {"name": "X-Ids", "in": "header", "type": "array", "items": {"type": "string"}, "collectionFormat": "csv"},
                    {"name": "deep", "in": "query", "type": "boolean", "required": True, "default": False},
                ],
                "responses": RESPONSES,
            }
        },
        "/form": {
            "post": {
                "operationId": "form",
                "consumes": ["application/x-www-form-urlencoded"],
                "parameters": [
                    {"name": "name", "in": "formData", "type": "string", "required": True},
                    {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                    {"name": "list", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "csv"},
                ],
                "responses": RESPONSES,
            }
        },
        "/upload": {
            "post": {
                "operationId": "upload",
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "note", "in": "formData", "type": "string"},
                    {"name": "file", "in": "formData", "type": "file", "required": True},
                ],
                "responses": RESPONSES,
            }
        },
    },
}  # fmt: skip


async def test_swagger_2_lists_forms_and_files_arrive_as_it_says(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": SWAGGER})
    async with backend() as api:
        content = configured(
            f"{api.url}/v1",
            call("search", {"ids": "${data.ids}", "tag": "${data.tags}", "n": [1, 2], "X-Ids": "${data.ids}"}),
            call("form", {"body": {"name": "${data.name}", "tags": "${data.tags}", "list": "${data.tags}"}}),
            call("upload", {"body": {"note": "${data.name}", "file": {"base64": "${data.file}", "filename": "ä b.png"}}}),
        )  # fmt: skip
        async with instance(tmp_path, content) as it:
            data = {
                "ids": ["a/1", "b c"],
                "tags": ["x&y", "z"],
                "name": "Zoë = 1",
                "file": base64.b64encode(PNG).decode(),
            }
            for name in ("search", "form", "upload"):
                await done(it, name, data)
        search, form, upload = api.calls
        assert search.target == "/v1/search/a%2F1,b%20c?tag=x%26y&tag=z&n=1%7C2&deep=false"
        assert search.headers["x-ids"] == "a/1,b c"
        assert form.headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qsl(form.body.decode("ascii"), strict_parsing=True) == [
            ("name", "Zoë = 1"), ("tags", "x&y"), ("tags", "z"), ("list", "x&y,z"),
        ]  # fmt: skip
        assert parts(upload) == [
            ("note", "", "", "Zoë = 1".encode()),
            ("file", "ä b.png", "application/octet-stream", PNG),
        ]


# -- Postman

COLLECTION = {
    "info": {"name": "Shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
    "variable": [{"key": "tenant", "value": "t0"}],
    "item": [
        {
            "name": "orders",
            "item": [
                {
                    "name": "An order",
                    "request": {
                        "method": "POST",
                        "url": "{{base}}/{{tenant}}/orders/:id/lines?lang=en",
                        "header": [{"key": "X-Tenant", "value": "{{tenant}}"}],
                        "body": {"mode": "raw", "raw": '{"sku": "a", "qty": 1}', "options": {"raw": {"language": "json"}}},
                    },
                },
                {
                    "name": "The same in German",
                    "request": {
                        "method": "POST",
                        "url": "{{base}}/{{tenant}}/orders/:id/lines?lang=de",
                        "header": [{"key": "X-Tenant", "value": "{{tenant}}"}],
                        "body": {"mode": "raw", "raw": '{"sku": "b", "qty": 2}', "options": {"raw": {"language": "json"}}},
                    },
                },
            ],
        }
    ],
}  # fmt: skip
ENVIRONMENT = {
    "id": "1",
    "name": "live",
    "values": [
        {"key": "base", "value": "https://fake.example/v2", "enabled": True},
        {"key": "tenant", "value": "t1", "enabled": True},
    ],
    "_postman_variable_scope": "environment",
}


async def test_requests_of_a_collection_are_one_operation_and_variables_come_from_the_connection(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        {
            "specs/shop.postman_collection.json": COLLECTION,
            "specs/live.postman_environment.json": ENVIRONMENT,
        },
    )
    async with backend() as api:
        steps = [call("POST /{tenant}/orders/{id}/lines", {"id": "${data.id}", "lang": "${data.lang}", "body": {"sku": "${data.sku}", "qty": 3}})]  # fmt: skip
        content = configured(
            f"{api.url}/v2",
            *steps,
            spec="specs/shop.postman_collection.json",
            parameters={"tenant": "acme"},
            auth={"bearer": {"env": "BACKEND_TOKEN"}},
        )
        async with instance(tmp_path, content) as it:
            await done(it, "POST /{tenant}/orders/{id}/lines", {"id": "o/7", "lang": "fr", "sku": "s1"})
        (request,) = api.calls
        assert request.target == "/v2/acme/orders/o%2F7/lines?lang=fr"
        assert request.headers["x-tenant"] == "acme"
        assert request.headers["authorization"] == "Bearer token-of-the-backend"
        assert request.json == {"sku": "s1", "qty": 3}


# -- OpenAPI in several files

ROOT = """
openapi: 3.1.0
info: {title: Split, version: "1"}
paths:
  /things/{id}: {$ref: "paths/things.yaml"}
"""
THINGS = """
put:
  operationId: putThing
  parameters:
    - $ref: "../parts/common.yaml#/parameters/Id"
  requestBody:
    required: true
    content:
      application/json:
        schema: {$ref: "../parts/common.yaml#/schemas/Thing"}
  responses: {"200": {description: fine}}
"""
COMMON = """
parameters:
  Id: {name: id, in: path, required: true, schema: {type: string}}
schemas:
  Thing:
    type: object
    required: [kind, name]
    properties:
      kind: {const: thing, default: thing, type: string}
      name: {type: [string, "null"]}
      child: {$ref: "#/schemas/Thing"}
"""
FILES = {"openapi.yaml": ROOT, "paths/things.yaml": THINGS, "parts/common.yaml": COMMON}


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in FILES.items():
            archive.writestr(f"split-1.0/{name}", text)
    return buffer.getvalue()


@pytest.mark.parametrize("spec", ["split/openapi.yaml", "split", "split.zip"])
async def test_several_files_a_folder_and_an_archive_are_one_description(tmp_path: Path, spec: str) -> None:
    write(tmp_path, {**{f"split/{name}": text for name, text in FILES.items()}, "split.zip": _zipped()})
    async with backend() as api:
        step = call(
            "putThing", {"id": "${data.id}", "body": {"name": "${data.name}", "child": {"name": "c"}}}
        )
        content = configured(api.url, step, spec=spec, validate="reject")
        async with instance(tmp_path, content) as it:
            await done(it, "putThing", {"id": "7", "name": None})
            wrong = await ended(it, "putThing", {"id": "7", "name": 5})
            assert wrong["state"] == "dead"
            assert "/body/name" in wrong["reason"]
        (request,) = api.calls
        assert (request.method, request.target) == ("PUT", "/things/7")
        assert request.json == {"name": None, "child": {"name": "c", "kind": "thing"}, "kind": "thing"}


# -- OpenAPI: styles, media types, files

STYLES = openapi(
    {
        "/points{point}": {
            "get": operation(
                "points",
                parameter("point", "path", {"type": "object"}, style="matrix", explode=True),
                parameter("filter", "query", {"type": "object"}, style="deepObject", explode=True),
                {"name": "near", "in": "query", "content": {"application/json": {"schema": {}}}},
            )
        },
        "/xml": {
            "post": operation(
                "xml",
                **taking(
                    "application/xml",
                    {
                        "type": "object",
                        "xml": {"name": "order", "namespace": "urn:shop", "prefix": "s"},
                        "properties": {
                            "id": {"type": "string", "xml": {"attribute": True}},
                            "lines": {
                                "type": "array",
                                "xml": {"wrapped": True},
                                "items": {"type": "string", "xml": {"name": "line"}},
                            },
                        },
                    },
                ),
            )
        },
        "/either": {
            "post": operation(
                "either",
                requestBody={
                    "content": {
                        "application/json": {"schema": {"type": "object"}},
                        "application/vnd.shop.v2+json": {"schema": {"type": "object"}},
                        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
                    }
                },
            )
        },
        "/files": {
            "post": operation(
                "files",
                **taking(
                    "multipart/form-data",
                    {
                        "type": "object",
                        "properties": {
                            "meta": {"type": "object"},
                            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        },
                    },
                    encoding={"files": {"contentType": "image/png, image/jpeg"}},
                ),
            )
        },
        "/raw": {"put": operation("raw", **taking("application/octet-stream", {"type": "string", "format": "binary"}))},
    }
)  # fmt: skip


async def test_styles_media_types_xml_and_files_arrive_as_described(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": STYLES})
    async with backend() as api:
        content = configured(
            api.url,
            call("points", {"point": "${data.point}", "filter": "${data.filter}", "near": "${data.point}"}),
            call("xml", {"body": {"id": "${data.id}", "lines": "${data.lines}"}}),
            call("either", {"Content-Type": "${data.type}", "body": {"total": "${data.total}"}}),
            call("files", {"body": {"meta": {"id": "${data.id}"}, "files": "${data.files}"}}),
            call("raw", {"body": {"base64": "${data.file}"}}),
        )
        files = [
            {"base64": base64.b64encode(PNG).decode(), "filename": "a.png", "type": "image/png"},
            {"text": "jpeg!", "filename": "b\r\nX-Evil: 1.jpg", "type": "image/jpeg"},
        ]
        data = {
            "point": {"x": 1, "y": "a;b"},
            "filter": {"state": "new", "age": {"min": 3}},
            "id": 'o"<1>',
            "lines": ["a & b", "]]>"],
            "total": 1.10,
            "type": "application/vnd.shop.v2+json",
            "files": files,
            "file": base64.b64encode(PNG).decode(),
        }
        async with instance(tmp_path, content) as it:
            for name in ("points", "xml", "either", "files", "raw"):
                await done(it, name, data)
            await done(it, "either", {**data, "type": "application/x-www-form-urlencoded"})
            refused = await ended(it, "either", {**data, "type": "text/csv"})
            assert refused["state"] == "dead"
            assert "application/vnd.shop.v2+json" in refused["reason"]
        points, xml, either, sent, raw, form = api.calls
        path, _, query = points.target.partition("?")
        assert path == "/points;x=1;y=a%3Bb"
        assert parse_qsl(query) == [
            ("filter[state]", "new"), ("filter[age][min]", "3"), ("near", '{"x":1,"y":"a;b"}'),
        ]  # fmt: skip
        assert xml.headers["content-type"].startswith("application/xml")
        assert xml.body.endswith(
            b'<s:order xmlns:s="urn:shop" id="o&quot;&lt;1&gt;">'
            b"<lines><line>a &amp; b</line><line>]]&gt;</line></lines></s:order>"
        )
        assert either.headers["content-type"] == "application/vnd.shop.v2+json"
        assert either.body == b'{"total":1.1}'
        assert parts(sent)[0] == ("meta", "", "application/json", b'{"id":"o\\"<1>"}')
        assert parts(sent)[1] == ("files", "a.png", "image/png", PNG)
        assert parts(sent)[2][0] == "files"
        assert parts(sent)[2][2:] == ("image/jpeg", b"jpeg!")
        assert b"\nX-Evil" not in sent.body
        assert (raw.headers["content-type"], raw.body) == ("application/octet-stream", PNG)
        assert (form.headers["content-type"], form.body) == (
            "application/x-www-form-urlencoded",
            b"total=1.1",
        )


async def test_the_same_arguments_make_the_same_bytes_at_every_repeat(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": STYLES})
    files = [{"text": "one", "type": "image/png"}, {"text": "two", "type": "image/jpeg"}]
    async with backend() as api:
        content = configured(api.url, call("files", {"body": {"meta": {"id": 1}, "files": "${data.files}"}}))
        api.script(answers(503), answers(503))
        async with instance(tmp_path, content) as it:
            await done(it, "files", {"files": files})
        assert len(api.calls) == 3
        assert len({(one.body, one.headers["content-type"], one.key) for one in api.calls}) == 1
        assert api.calls[0].key
