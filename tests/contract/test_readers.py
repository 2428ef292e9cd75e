"""What every reader of a format keeps to. A new reader adds one class with its kind and one good document."""

import copy
import pkgutil
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.errors import Refused
from actions.serialize import compile_operation
from actions.specs import READERS, read_spec
from actions.specs.load import Bundle, load
from actions.specs.model import Spec
from actions.specs.reading import MAX_ID, Reader
from tests.examples import examples

ODD: tuple[Any, ...] = (
    None, True, 7, -1.5, "", "x", "\r\n", "{}", [], {}, [[]], [None], {"": None}, {"$ref": 5}, {"$ref": "#"}, {"$ref": "#/nope"},
    {"$ref": "http://127.0.0.1:9/x"}, {"$ref": "/etc/passwd"}, {"type": {"type": []}},
)  # fmt: skip


def containers(value: Any) -> list[Any]:
    found, stack = [], [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list) and node:
            found.append(node)
            stack.extend(node.values() if isinstance(node, dict) else node)
    return found


def exercise(spec: Spec) -> None:
    for one in spec.operations.values():
        spec.standalone(spec.input_schema(one))
        msgspec.json.encode([spec.output_schemas(one), spec.degradations(one)])
        try:
            compile_operation(one, spec, "https://api.example")({"id": "1", "body": {}})
        except Refused as refused:
            assert str(refused)  # noqa: PT017  # either outcome is right


class ReaderContract:
    kind: ClassVar[str]
    document: ClassVar[dict[str, Any]]

    @pytest.fixture
    def reader(self) -> Reader:
        found: type[Reader] = pkgutil.resolve_name(READERS[self.kind])
        assert found.kind == self.kind
        return found()

    def test_knows_its_own_format_and_no_other(self, reader: Reader) -> None:
        assert reader.sniff(Bundle(root=load("a.json", msgspec.json.encode(self.document))))
        for value in (*ODD, {"info": {}}, {"paths": {}}):
            assert not reader.sniff(Bundle(root=load("a.json", msgspec.json.encode(value))))

    def test_reads_a_good_document_without_a_finding(self) -> None:
        spec = read_spec({"a.json": msgspec.json.encode(self.document)})
        assert spec.findings == ()
        assert spec.operations or spec.triggers
        exercise(spec)

    def test_reads_the_same_twice(self) -> None:
        data = {"a.json": msgspec.json.encode(self.document)}
        first, second = read_spec(data), read_spec(data)
        assert (first.operations, first.triggers, first.aliases) == (
            second.operations,
            second.triggers,
            second.aliases,
        )

    def test_ids_and_aliases_lead_to_their_operations(self) -> None:
        spec = read_spec({"a.json": msgspec.json.encode(self.document)})
        for id_, one in spec.operations.items():
            assert id_ == one.id
            assert len(id_) <= MAX_ID
            assert all(spec.find(name) is one for name in (id_, *one.aliases))

    @pytest.mark.hypothesis  # given stands inside
    def test_never_raises_whatever_is_broken_in_a_document(self) -> None:
        @examples(150)
        @given(data=st.data())
        def broken(data: st.DataObject) -> None:  # inside: one function per class is what hypothesis wants
            document = msgspec.json.decode(msgspec.json.encode(self.document))
            for _ in range(data.draw(st.integers(1, 3))):
                node = data.draw(st.sampled_from(containers(document)))
                key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
                if data.draw(st.booleans()):
                    node[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
                else:
                    del node[key]
                if not document:
                    return
            spec = read_spec({"a.json": msgspec.json.encode(document)})
            assert all(one.line and one.message for one in spec.findings)
            exercise(spec)

        broken()


class TestOpenAPI(ReaderContract):
    kind = "openapi"
    document: ClassVar[dict[str, Any]] = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://{a}.x", "variables": {"a": {"default": "b", "enum": ["b"]}}}],
        "security": [{"k": []}],
        "paths": {
            "/o/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "get": {
                    "operationId": "getIt",
                    "tags": ["a"],
                    "parameters": [{"$ref": "#/components/parameters/P"}],
                    "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}},
                },
                "put": {
                    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}, "example": 1}}},
                    "callbacks": {"c": {"{$request.body#/u}": {"post": {"requestBody": {"content": {"text/plain": {}}}}}}},
                    "responses": {"default": {"description": "", "headers": {"H": {"schema": {"type": "string"}}}}},
                    "security": [{}, {"k": ["s"]}],
                },
            },
            "/p": {"$ref": "#/components/pathItems/I"},
        },
        "webhooks": {"w": {"post": {"requestBody": {"content": {"application/json": {}}}}}},
        "components": {
            "parameters": {"P": {"name": "q", "in": "query", "style": "form", "schema": {"type": ["integer", "null"], "default": 1}, "required": True}},
            "schemas": {"S": {"type": "object", "required": ["d", "s"], "properties": {"d": {"default": 1}, "s": {"$ref": "#/components/schemas/S"}}}},
            "pathItems": {"I": {"summary": "i", "post": {"requestBody": {"content": {"application/x-www-form-urlencoded": {"encoding": {"a": {"style": "deepObject"}}}}}, "responses": {}}}},
            "securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "K"}},
        },
    }  # fmt: skip


class TestSwagger2(ReaderContract):
    kind = "swagger2"
    document: ClassVar[dict[str, Any]] = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "host": "{a}.x",
        "basePath": "/v1",
        "schemes": ["https", "http"],
        "x-ms-parameterized-host": {"hostTemplate": "{a}.x", "parameters": [{"$ref": "#/parameters/A"}]},
        "consumes": ["application/json"],
        "security": [{"k": [], "o": ["s"]}],
        "paths": {
            "/o/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "type": "string", "x-ms-url-encoding": "double"}],
                "get": {
                    "operationId": "getIt",
                    "tags": ["a"],
                    "produces": ["application/json", "text/csv"],
                    "parameters": [
                        {"$ref": "#/parameters/Q"},
                        {"name": "H", "in": "header", "type": "array", "items": {"type": "integer"}},
                    ],
                    "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/S"}, "examples": {"application/json": {"d": 1}}}},
                },
                "put": {
                    "parameters": [{"name": "it", "in": "body", "required": True, "schema": {"$ref": "#/definitions/S"}}],
                    "responses": {"default": {"$ref": "#/responses/R"}},
                    "security": [{}, {"b": []}],
                },
                "post": {
                    "consumes": ["multipart/form-data"],
                    "parameters": [
                        {"name": "f", "in": "formData", "type": "file", "required": True},
                        {"name": "l", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                    ],
                    "responses": {"200": {"description": "", "schema": {"type": "file"}}},
                },
            },
        },
        "x-webhooks": {"w": {"post": {"parameters": [{"name": "it", "in": "body", "schema": {"type": "object"}}], "responses": {}}}},
        "parameters": {
            "A": {"name": "a", "in": "path", "required": True, "type": "string", "enum": ["b"], "default": "b"},
            "Q": {"name": "q", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "pipes", "required": True, "default": ["z"]},
        },
        "responses": {"R": {"description": "", "headers": {"H": {"type": "string"}}}},
        "definitions": {"S": {"type": "object", "required": ["d", "s"], "properties": {"d": {"default": 1}, "s": {"$ref": "#/definitions/S"}}}},
        "securityDefinitions": {
            "k": {"type": "apiKey", "in": "header", "name": "K"},
            "b": {"type": "basic"},
            "o": {"type": "oauth2", "flow": "accessCode", "authorizationUrl": "https://a", "tokenUrl": "https://t", "scopes": {"s": "x"}},
        },
    }  # fmt: skip


class TestPowerPlatform(ReaderContract):
    kind = "powerplatform"
    document: ClassVar[dict[str, Any]] = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "host": "a.x",
        "schemes": ["https"],
        "x-ms-connector-metadata": [{"propertyName": "Website", "propertyValue": "https://a.x"}],
        "x-ms-capabilities": {"testConnection": {"operationId": "List", "parameters": {"top": 1}}},
        "securityDefinitions": {"k": {"type": "apiKey", "in": "header", "name": "K"}},
        "security": [{"k": []}],
        "paths": {
            "/hooks": {
                "x-ms-notification-content": {"description": "d", "schema": {"$ref": "#/definitions/E"}, "headers": {"H": {"type": "string"}}},
                "post": {
                    "operationId": "Subscribe",
                    "x-ms-trigger": "single",
                    "x-ms-trigger-hint": "make it",
                    "parameters": [{"name": "it", "in": "body", "schema": {"$ref": "#/definitions/Hook"}}],
                    "responses": {"201": {"description": "", "headers": {"Location": {"type": "string"}}}},
                },
            },
            "/hooks/{id}": {"delete": {"operationId": "Unsubscribe", "parameters": [{"name": "id", "in": "path", "type": "string", "required": True}], "responses": {"204": {"description": ""}}}},
            "/items": {
                "get": {
                    "operationId": "List",
                    "x-ms-trigger": "batch",
                    "x-ms-trigger-metadata": {"kind": "query", "mode": "polling"},
                    "parameters": [{"name": "top", "in": "query", "type": "integer"}],
                    "responses": {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/E"}}}},
                }
            },
        },
        "definitions": {
            "E": {"type": "object", "properties": {"id": {"type": "string"}}},
            "Hook": {"type": "object", "required": ["config"], "properties": {"config": {"type": "object", "properties": {"url": {"type": "string", "x-ms-notification-url": True}}}}},
        },
    }  # fmt: skip
    properties: ClassVar[dict[str, Any]] = {
        "properties": {
            "connectionParameters": {
                "api_key": {"type": "securestring", "uiDefinition": {"displayName": "Key", "constraints": {"required": "true"}}},
                "token": {"type": "oauthSetting", "oAuthSettings": {"identityProvider": "oauth2generic", "scopes": ["a b"], "customParameters": {"tokenUrlTemplate": {"value": "{Url}"}}}},
                "token:Url": {"type": "string", "uiDefinition": {"constraints": {"allowedValues": [{"text": "x", "value": "y"}]}}},
            },
            "connectionParameterSets": {"uiDefinition": {}, "values": [{"name": "s", "uiDefinition": {"displayName": "S"}, "parameters": {"api_key": {"type": "securestring"}}}]},
            "policyTemplateInstances": [{"templateId": "setHeader", "title": "h", "parameters": {"x-ms-apimTemplateParameter.name": "H", "x-ms-apimTemplate-policySection": "Request", "x-ms-apimTemplate-operationName": ["List"]}}],
            "scriptOperations": ["List"],
            "capabilities": ["actions"],
        }
    }  # fmt: skip

    @pytest.mark.hypothesis  # given stands inside
    def test_never_raises_whatever_is_broken_in_the_properties(self) -> None:
        @examples(100)
        @given(data=st.data())
        def broken(data: st.DataObject) -> None:
            document = msgspec.json.decode(msgspec.json.encode(self.properties))
            node = data.draw(st.sampled_from(containers(document)))
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            node[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
            files = {"apiProperties.json": document, "apiDefinition.swagger.json": self.document}
            spec = read_spec({name: msgspec.json.encode(one) for name, one in files.items()})
            assert spec.readable
            assert all(one.line and one.message for one in spec.findings)
            exercise(spec)

        broken()


class TestAsyncAPI1(ReaderContract):
    kind = "asyncapi"
    document: ClassVar[dict[str, Any]] = {
        "asyncapi": "1.2.0",
        "info": {"title": "t", "version": "1"},
        "baseTopic": "base",
        "servers": [{"url": "{h}:5672", "scheme": "amqp", "variables": {"h": {"default": "a", "enum": ["a"]}}}],
        "topics": {
            "orders.{id}": {
                "parameters": [{"$ref": "#/components/parameters/id"}],
                "publish": {"$ref": "#/components/messages/M"},
                "subscribe": {"oneOf": [{"$ref": "#/components/messages/M"}, {"payload": {"type": "string"}}]},
            },
        },
        "stream": {"framing": {"type": "chunked"}, "read": [{"$ref": "#/components/messages/M"}]},
        "events": {"receive": [{"summary": "s", "payload": {"type": "integer"}}]},
        "x-ballerina-event-identifier": {"type": "body", "path": "a.b"},
        "components": {
            "messages": {"M": {"headers": {"type": "object"}, "payload": {"$ref": "#/components/schemas/S"}, "tags": [{"name": "a"}], "x-ballerina-event-type": "e"}},
            "parameters": {"id": {"name": "id", "schema": {"type": "string"}}},
            "schemas": {"S": {"type": "object", "properties": {"s": {"$ref": "#/components/schemas/S"}}}},
        },
    }  # fmt: skip


class TestAsyncAPI2(ReaderContract):
    kind = "asyncapi"
    document: ClassVar[dict[str, Any]] = {
        "asyncapi": "2.6.0",
        "info": {"title": "t", "version": "1"},
        "servers": {"k": {"url": "kafka://{h}:9092", "protocol": "kafka", "variables": {"h": {"default": "a", "enum": ["a"]}}}},
        "channels": {
            "orders.{id}": {
                "servers": ["k"],
                "parameters": {"id": {"schema": {"type": "string"}}},
                "bindings": {"kafka": {"topic": "orders"}},
                "publish": {
                    "operationId": "sendIt",
                    "tags": [{"name": "a"}],
                    "traits": [{"$ref": "#/components/operationTraits/T"}],
                    "message": {"oneOf": [{"$ref": "#/components/messages/M"}, {"payload": {"type": "string"}, "contentType": "text/plain"}]},
                },
                "subscribe": {"message": {"$ref": "#/components/messages/M"}},
            },
        },
        "components": {
            "messages": {"M": {"traits": [{"headers": {"type": "object"}}], "payload": {"$ref": "#/components/schemas/S"}, "bindings": {"kafka": {"key": {"type": "string"}}}}},
            "operationTraits": {"T": {"bindings": {"kafka": {"clientId": {"type": "string"}}}}},
            "schemas": {"S": {"type": "object", "required": ["s"], "properties": {"s": {"$ref": "#/components/schemas/S"}}}},
            "securitySchemes": {"u": {"type": "userPassword"}},
        },
    }  # fmt: skip


class TestAsyncAPI3(ReaderContract):
    kind = "asyncapi"
    document: ClassVar[dict[str, Any]] = {
        "asyncapi": "3.0.0",
        "info": {"title": "t", "version": "1"},
        "servers": {"r": {"host": "{h}:5672", "pathname": "/v", "protocol": "amqp", "variables": {"h": {"default": "a"}}}},
        "channels": {
            "o": {
                "address": "orders.{id}",
                "servers": [{"$ref": "#/servers/r"}],
                "parameters": {"id": {"enum": ["1", "2"], "default": "1", "description": "d"}},
                "messages": {"m": {"$ref": "#/components/messages/M"}, "n": {"payload": {"schemaFormat": "application/schema+json;version=draft-07", "schema": {"type": "integer"}}}},
                "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": "x"}}},
            },
            "reply": {"address": None, "messages": {"m": {"payload": True}}},
        },
        "operations": {
            "receiveIt": {"action": "receive", "channel": {"$ref": "#/channels/o"}, "messages": [{"$ref": "#/channels/o/messages/m"}], "tags": [{"name": "a"}]},
            "sendIt": {"action": "send", "channel": {"$ref": "#/channels/reply"}, "traits": [{"summary": "s"}]},
        },
        "components": {"messages": {"M": {"contentType": "application/json", "headers": {"type": "object"}, "payload": {"type": "object"}, "bindings": {"amqp": {"messageType": "t"}}}}},
    }  # fmt: skip


class TestPostman2(ReaderContract):
    kind = "postman"
    document: ClassVar[dict[str, Any]] = {
        "info": {"name": "t", "version": {"major": 1, "minor": 2, "patch": 3}, "description": {"content": "d"}, "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "variable": [{"key": "base", "value": "https://{{host}}/v1"}, {"key": "host", "value": "api.x"}, {"key": "org", "value": "o1"}],
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "event": [{"listen": "prerequest", "script": {"exec": ["pm.environment.set('org', 'o2');"]}}],
        "item": [
            {
                "name": "folder",
                "item": [
                    {
                        "name": "Change it",
                        "request": {
                            "method": "PUT",
                            "url": {
                                "raw": "{{base}}/{{org}}/o/:id?a=1&a=2&b={{org}}",
                                "host": ["{{base}}"],
                                "path": ["{{org}}", "o", ":id"],
                                "query": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}, {"key": "b", "value": "{{org}}", "disabled": True}],
                                "variable": [{"key": "id", "value": "7", "description": "(Required) the id"}],
                            },
                            "header": [{"key": "Content-Type", "value": "application/json"}, {"key": "X-Id", "value": "{{$guid}}"}, {"key": "Accept", "value": "application/json"}],
                            "body": {"mode": "raw", "raw": '{"n": {{$randomInt}}, "s": ["{{org}}"]}', "options": {"raw": {"language": "json"}}},
                        },
                        "event": [{"listen": "test", "script": {"exec": "pm.environment.set('x', pm.response.json().a[0].b)"}}],
                        "response": [{"name": "good", "code": 200, "header": [{"key": "Content-Type", "value": "application/json"}], "body": '{"a": [{"b": 1}]}'}],
                    },
                    {
                        "name": "Upload",
                        "request": {
                            "method": "POST",
                            "url": "{{base}}/files",
                            "header": "X-A: b\n//X-C: d",
                            "auth": {"type": "noauth"},
                            "body": {"mode": "formdata", "formdata": [{"key": "f", "type": "file", "src": "/a/b.txt"}, {"key": "g", "value": "{{org}}", "type": "text", "contentType": "text/plain"}]},
                        },
                    },
                ],
            },
            {"name": "Ask", "request": {"method": "POST", "url": "https://other.x/graphql", "body": {"mode": "graphql", "graphql": {"query": "{a}", "variables": '{"b": 1}'}}}},
            {"name": "Plain", "request": "https://other.x/ping"},
        ],
    }  # fmt: skip


class TestPostman1(ReaderContract):
    kind = "postman"
    document: ClassVar[dict[str, Any]] = {
        "id": "c",
        "name": "t",
        "order": ["2"],
        "folders": [{"id": "f", "name": "folder", "order": ["1"], "folders_order": ["f"]}],
        "requests": [
            {"id": "1", "name": "A", "method": "GET", "url": "https://api.x/a/:b?c=d", "pathVariables": {"b": "1"}, "headers": "X-A: b\n//X-B: c\n", "currentHelper": "basicAuth", "helperAttributes": {"username": "{{u}}", "password": "{{p}}"}},
            {"id": "2", "name": "B", "method": "POST", "url": "https://api.x/a", "dataMode": "raw", "rawModeData": "<a/>", "tests": "postman.setEnvironmentVariable('q', JSON.parse(responseBody).z);", "responses": [{"name": "r", "text": "<b/>", "responseCode": {"code": 201}, "headers": [{"key": "Content-Type", "value": "text/xml"}]}]},
            {"id": "3", "name": "C", "method": "PUT", "url": "https://api.x/a", "dataMode": "urlencoded", "data": [{"key": "k", "value": "v", "enabled": True, "type": "text"}]},
        ],
    }  # fmt: skip


def test_every_registered_reader_keeps_the_contract() -> None:
    assert {one.kind for one in ReaderContract.__subclasses__()} == set(READERS)
