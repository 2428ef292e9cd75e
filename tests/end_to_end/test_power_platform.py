"""A Power Platform connector folder in a real instance: policies on the wire, values from the backend itself."""

import json
from pathlib import Path
from typing import Any

import msgspec

from tests.end_to_end.backend import Act, Call, answers, backend
from tests.end_to_end.instance import RETRY, WEB, instance

DEFINITION = {
    "swagger": "2.0",
    "info": {"title": "Desk", "version": "1"},
    "host": "fake.example",
    "basePath": "/api",
    "schemes": ["http"],
    "paths": {
        "/tickets": {
            "post": {
                "operationId": "CreateTicket",
                "parameters": [
                    {
                        "name": "body",
                        "in": "body",
                        "required": True,
                        "schema": {
                            "type": "object",
                            "required": ["queue", "origin"],
                            "properties": {
                                "queue": {
                                    "type": "string",
                                    "x-ms-dynamic-values": {
                                        "operationId": "ListQueues",
                                        "value-collection": "value",
                                        "value-path": "id",
                                        "value-title": "name",
                                    },
                                },
                                "origin": {
                                    "type": "string",
                                    "default": "flow",
                                    "x-ms-visibility": "internal",
                                },
                                "text": {"type": "string"},
                            },
                        },
                    }
                ],
                "responses": {"200": {"description": "made", "schema": {"type": "object"}}},
            }
        },
        "/queues": {"get": {"operationId": "ListQueues", "responses": {"200": {"description": "fine"}}}},
    },
}
PROPERTIES = {
    "properties": {
        "connectionParameters": {
            "api_key": {"type": "securestring", "uiDefinition": {"constraints": {"required": "true"}}},
            "region": {"type": "string", "defaultValue": "eu"},
        },
        "policyTemplateInstances": [
            {
                "templateId": "setheader",
                "title": "key",
                "parameters": {
                    "x-ms-apimTemplateParameter.name": "X-Key",
                    "x-ms-apimTemplateParameter.value": "@connectionParameters('api_key')",
                    "x-ms-apimTemplateParameter.existsAction": "override",
                    "x-ms-apimTemplate-policySection": "Request",
                },
            },
            {
                "templateId": "routerequesttoendpoint",
                "title": "route",
                "parameters": {
                    "x-ms-apimTemplateParameter.newPath": "/v2/@connectionParameters('region')/tickets",
                    "x-ms-apimTemplateParameter.httpMethod": "@Request.OriginalHTTPMethod",
                    "x-ms-apimTemplate-operationName": ["CreateTicket"],
                },
            },
        ],
    }
}
KEY = "canary-api-key-of-the-desk"


def _write(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "apiDefinition.swagger.json").write_text(json.dumps(DEFINITION))
    (folder / "apiProperties.json").write_text(json.dumps(PROPERTIES))


def _content(url: str) -> dict[str, Any]:
    return {
        "sources": {"web": WEB},
        "connectors": {"desk": {"spec": "connectors/desk"}},
        "connections": {
            "desk": {
                "connector": "desk",
                "server": f"{url}/api",
                "egress": ["127.0.0.1"],
                "parameters": {"api_key": {"env": "DESK_KEY"}, "region": "us"},
            }
        },
        "rules": {
            "tickets": {
                "from": ["web"],
                "do": [
                    {
                        "call": "desk.CreateTicket",
                        "with": {"body": {"queue": "${data.queue}", "text": "${data.text}"}},
                        "retry": RETRY,
                    }
                ],
            }
        },
    }


async def test_a_rule_calls_through_the_policies_and_shows_no_secret(tmp_path: Path) -> None:
    _write(tmp_path / "connectors" / "desk")
    async with backend() as desk, instance(tmp_path, _content(desk.url), environment={"DESK_KEY": KEY}) as it:
        delivery = await it.ended(await it.send({"queue": "q7", "text": "hello"}))
        assert delivery["state"] == "delivered"
        (call,) = desk.calls
        assert (call.method, call.target) == ("POST", "/api/v2/us/tickets")
        assert call.headers["x-key"] == KEY
        assert msgspec.json.decode(call.body) == {"queue": "q7", "text": "hello", "origin": "flow"}
        path = "/api/v1/connections/desk/operations/CreateTicket/call"
        given = {"with": {"body": {"queue": "q7"}}, "dry_run": True}
        shown = (await it.admin("POST", path, json=given)).json()
        assert shown["request"]["headers"]["X-Key"] == "***"
        assert KEY not in str(shown)


async def test_the_backend_itself_says_what_may_stand_at_an_input(tmp_path: Path) -> None:
    _write(tmp_path / "connectors" / "desk")

    def decide(call: Call) -> Act | None:
        if call.target == "/api/queues" and call.headers.get("x-key") == KEY:
            return answers(200, {"value": [{"id": "q7", "name": "Bills"}, {"id": "q8", "name": "Moves"}]})
        return None

    async with backend() as desk, instance(tmp_path, _content(desk.url), environment={"DESK_KEY": KEY}) as it:
        desk.decide = decide
        path = "/api/v1/connections/desk/operations/CreateTicket/choices"
        found = (await it.admin("POST", path, json={"input": "body/queue"})).json()
        assert found["items"] == [{"value": "q7", "title": "Bills"}, {"value": "q8", "title": "Moves"}]
        wrong = await it.admin("POST", path, json={"input": "body/text"})
        assert wrong.status_code == 422
        assert "there is at /body/queue" in wrong.text
