"""One description of each format that uses what OpenAPI 3.1 says in another way, or not at all."""

OPENAPI_30 = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "7", "description": "Sells things."},
    "servers": [
        {
            "url": "https://{region}.shop.example/{base}",
            "description": "live",
            "variables": {"region": {"default": "eu", "enum": ["eu", "us"]}, "base": {"description": "given by nobody", "default": "v1"}},
        },
        {"url": "/relative"},
    ],
    "security": [{"key": [], "oauth": ["read"]}, {}],
    "tags": [{"name": "orders"}],
    "x-owner": {"team": "shop"},
    "paths": {
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "style": "label", "schema": {"type": "integer"}}],
            "get": {
                "operationId": "getOrder",
                "summary": "Reads an order",
                "tags": ["orders"],
                "parameters": [
                    {"name": "fields", "in": "query", "style": "pipeDelimited", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "filter", "in": "query", "style": "deepObject", "explode": True, "schema": {"$ref": "#/components/schemas/Filter"}},
                    {"name": "raw", "in": "query", "allowReserved": True, "allowEmptyValue": True, "schema": {"type": "string"}},
                    {"name": "twice", "in": "query", "x-ms-url-encoding": "double", "schema": {"type": "string"}},
                    {"name": "json", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
                    {"name": "X-Trace", "in": "header", "deprecated": True, "description": "a trace", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "description": "the order",
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Order"},
                                "examples": {"one": {"$ref": "#/components/examples/One"}, "two": {"value": {"id": 2}, "summary": "second"}},
                            },
                            "application/xml": {"schema": {"$ref": "#/components/schemas/Order"}},
                        },
                    },
                    "4XX": {"description": "no"},
                },
                "servers": [{"url": "https://orders.example"}],
            },
            "delete": {"operationId": "getOrder", "security": [], "responses": {"204": {"description": "gone"}}},
        },
        "/orders": {
            "post": {
                "operationId": "create order!",
                "x-ms-visibility": "advanced",
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {
                    "required": True,
                    "description": "what is wanted",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}, "example": {"id": 1}},
                        "multipart/form-data": {
                            "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}, "tags": {"type": "array", "items": {"type": "string"}}}},
                            "encoding": {"file": {"contentType": "image/png", "headers": {"X-Size": {"schema": {"type": "integer", "nullable": True}}}}, "tags": {"style": "pipeDelimited", "explode": False}},
                        },
                    },
                },
                "responses": {"default": {"description": ""}},
                "callbacks": {"paid": {"{$request.body#/hook}": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}, "responses": {"200": {"description": ""}}}}}},
            }
        },
        "/tree": {"get": {"responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}}}}},
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id"],
                "discriminator": {"propertyName": "kind", "mapping": {"big": "#/components/schemas/Big", "tree": "Tree"}},
                "properties": {
                    "id": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "readOnly": True},
                    "note": {"type": "string", "nullable": True, "enum": ["a", "b"], "example": "a"},
                    "tree": {"nullable": True, "allOf": [{"$ref": "#/components/schemas/Tree"}], "description": "perhaps"},
                    "total": {"type": "number", "maximum": 9, "exclusiveMaximum": False},
                },
                "xml": {"name": "order"},
            },
            "Big": {"allOf": [{"$ref": "#/components/schemas/Order"}, {"type": "object", "additionalProperties": False}]},
            "Tree": {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree", "description": "beside a reference"}, "of": {"$ref": "#/paths/~1orders/post/requestBody/content/multipart~1form-data/schema"}}},
            "Filter": {"type": "object", "properties": {"min": {"type": "integer"}}},
        },
        "examples": {"One": {"value": {"id": 1}, "summary": "first"}},
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Key", "description": "ask us"},
            "oauth": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://login.example/token", "scopes": {"read": "reads"}}}},
        },
    },
}  # fmt: skip

SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "Old shop", "version": "1"},
    "host": "shop.example",
    "basePath": "/v1",
    "schemes": ["https", "http"],
    "consumes": ["application/json"],
    "produces": ["application/json", "text/plain"],
    "securityDefinitions": {"basic": {"type": "basic"}, "odd one": {"type": "martian"}},
    "security": [{"basic": []}, {"odd one": []}],
    "paths": {
        "/find/{ids}": {
            "get": {
                "operationId": "find",
                "parameters": [
                    {"name": "ids", "in": "path", "required": True, "type": "array", "items": {"type": "string"}, "collectionFormat": "tsv", "x-ms-skip-url-encoding": True},
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi", "allowEmptyValue": True},
                    {"name": "tabs", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "tsv"},
                ],
                "responses": {"200": {"description": "found", "schema": {"$ref": "#/definitions/Thing"}, "examples": {"application/json": {"name": "x"}}}},
            }
        },
        "/upload": {
            "post": {
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "file", "in": "formData", "type": "file", "required": True},
                    {"name": "pair", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "tsv"},
                ],
                "responses": {"200": {"description": "", "schema": {"type": "file"}}, "20x": {"description": "nonsense"}},
            },
            "put": {"parameters": [{"name": "thing", "in": "body", "schema": {"$ref": "#/definitions/Thing"}}], "responses": {}},
            "patch": {"parameters": "none", "responses": {"200": {"description": ""}}},
        },
    },
    "definitions": {
        "Thing": {
            "type": "object",
            "discriminator": "kind",
            "required": ["kind"],
            "properties": {
                "kind": {"type": "string", "x-nullable": True},
                "more": {"$ref": "#/definitions/Thing"},
                "lost": {"$ref": "#/definitions/Nowhere"},
                "data": {"type": "file"},
                "pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False},
                "size": {"type": "long", "minLength": "3", "required": True},
            },
        }
    },
}  # fmt: skip

POSTMAN = {
    "info": {"name": "Calls", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
    "variable": [{"key": "tenant", "value": "acme"}],
    "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
    "item": [
        {"name": "Read", "request": {"method": "GET", "url": "https://a.example/things/:id?of={{tenant}}"}},
        {"name": "Read it elsewhere", "request": {"method": "GET", "url": "https://b.example/things/:id"}},
        {"name": "Make", "request": {"method": "POST", "url": "https://a.example/things", "body": {"mode": "raw", "raw": '{"n": 1}', "options": {"raw": {"language": "json"}}}}},
        {"name": "Purge", "request": {"method": "PURGE", "url": "https://a.example/things", "auth": {"type": "noauth"}}},
    ],
}  # fmt: skip

ASYNCAPI = {
    "asyncapi": "2.6.0",
    "info": {"title": "Events", "version": "1"},
    "servers": {"live": {"url": "broker.example:9092", "protocol": "kafka", "security": [{"sasl": []}]}},
    "channels": {
        "orders.{region}": {
            "parameters": {"region": {"schema": {"type": "string"}}},
            "publish": {"operationId": "placeOrder", "message": {"$ref": "#/components/messages/Order"}},
            "subscribe": {"message": {"$ref": "#/components/messages/Order"}},
        }
    },
    "components": {
        "messages": {"Order": {"name": "Order", "headers": {"type": "object", "properties": {"trace": {"type": "string"}}}, "payload": {"$ref": "#/components/schemas/Order"}}},
        "schemas": {"Order": {"type": "object", "properties": {"id": {"type": "integer"}}}},
        "securitySchemes": {"sasl": {"type": "scramSha256"}},
    },
}  # fmt: skip

CONNECTOR = {
    "swagger": "2.0",
    "info": {"title": "Connector", "version": "1"},
    "host": "api.example",
    "schemes": ["https"],
    "x-ms-capabilities": {"testConnection": {"operationId": "Ping", "parameters": {"deep": True}}},
    "paths": {
        "/ping": {"get": {"operationId": "Ping", "parameters": [{"name": "deep", "in": "query", "type": "boolean"}], "responses": {"200": {"description": ""}}}},
        "/hooks": {
            "x-ms-notification-content": {"description": "it happened", "schema": {"$ref": "#/definitions/Event"}},
            "post": {
                "operationId": "OnEvent",
                "x-ms-trigger": "single",
                "parameters": [{"name": "body", "in": "body", "schema": {"type": "object", "properties": {"url": {"type": "string", "x-ms-notification-url": True}}}}],
                "responses": {"201": {"description": ""}},
            },
        },
        "/new": {"get": {"operationId": "OnNew", "x-ms-trigger": "batch", "parameters": [], "responses": {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/Event"}}}}}},
    },
    "definitions": {"Event": {"type": "object", "properties": {"id": {"type": "string"}}}},
}  # fmt: skip

PROPERTIES = {
    "properties": {
        "connectionParameters": {
            "site": {"type": "string", "uiDefinition": {"constraints": {"required": "true"}}},
            "api_key": {"type": "securestring", "defaultValue": "s3cret"},
        },
        "policyTemplateInstances": [
            {"templateId": "dynamichosturl", "title": "host", "parameters": {"x-ms-apimTemplateParameter.urlTemplate": "https://@connectionParameters('site').example", "x-ms-apimTemplate-operationName": ["Ping"]}},
            {"templateId": "unheardof", "title": "odd", "parameters": {}},
        ],
        "scriptOperations": ["OnNew"],
    }
}  # fmt: skip
