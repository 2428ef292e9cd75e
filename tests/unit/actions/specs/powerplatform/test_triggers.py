"""Triggers of Power Platform definitions, and how their registrations end."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.model import Spec, Trigger
from tests.tables import every_row

URL = {"type": "string", "x-ms-notification-url": True}
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}


def spec_of(paths: dict[str, Any], properties: Any = None, **root: Any) -> Spec:
    document = {"swagger": "2.0", "info": {}, "host": "a.x", "schemes": ["https"], "paths": paths, **root}
    files = {"apiDefinition.swagger.json": document, "apiProperties.json": {"properties": properties or {}}}
    return read_spec({name: json.dumps(one).encode() for name, one in files.items()})


def hook(schema: Any, **operation: Any) -> dict[str, Any]:
    body = {"name": "b", "in": "body", "schema": schema}
    return {
        "x-ms-notification-content": {
            "description": "what",
            "schema": SCHEMA,
            "headers": {"X-E": {"type": "string", "description": "e"}},
        },
        "post": {
            "operationId": "Subscribe",
            "x-ms-trigger": "single",
            "parameters": [body],
            "responses": {"201": {}},
            **operation,
        },
    }


def only(spec: Spec) -> Trigger:
    (found,) = spec.triggers.values()
    return found


def test_a_registration_is_a_trigger_and_stays_an_operation() -> None:
    spec = spec_of(
        {
            "/hooks": hook(
                {"properties": {"config": {"$ref": "#/definitions/C"}}},
                **{"x-ms-trigger-hint": "make one", "summary": "s"},
            )
        },
        definitions={"C": {"properties": {"the/url": URL}}},
    )
    found = only(spec)
    assert (found.id, found.kind, found.operation, found.address) == (
        "Subscribe",
        "notification",
        "Subscribe",
        "body/config/the~1url",
    )
    assert (found.method, found.summary) == ("POST", "s")
    assert found.body is not None
    assert (found.body.media[0].schema, found.body.description) == (SCHEMA, "what")
    assert [(one.name, one.location, one.description) for one in found.parameters] == [("X-E", "header", "e")]
    assert (found.extras["x-ms-trigger"], found.extras["x-ms-trigger-hint"]) == ("single", "make one")
    assert spec.operations["Subscribe"].status == "ok"


@every_row(
    ("schema", "address"),
    [
        (URL, "body"),
        ({"allOf": [{"properties": {"u": URL}}]}, "body/u"),
        ({"properties": {"l": {"type": "array", "items": {"properties": {"u": URL}}}}}, "body/l/0/u"),
        ({"properties": {"u": {"$ref": "#/definitions/U"}}}, "body/u"),
        ({"$ref": "#/definitions/Loop"}, ""),
        ({"$ref": "#/nope"}, ""),
    ],
)
def test_the_field_of_the_callback_url_is_found_wherever_it_stands(schema: Any, address: str) -> None:
    definitions = {"U": URL, "Loop": {"properties": {"again": {"$ref": "#/definitions/Loop"}, "bad": 7}}}
    spec = spec_of({"/hooks": hook(schema)}, definitions=definitions)
    assert only(spec).address == address
    assert any(one.code == "notification-url" for one in spec.findings) == (not address)


def test_a_callback_url_may_be_a_parameter() -> None:
    item = hook(
        {}, parameters=[{"name": "cb", "in": "query", "type": "string", "x-ms-notification-url": True}]
    )
    assert only(spec_of({"/hooks": item})).address == "cb"


def test_a_notification_that_is_not_described_may_be_anything() -> None:
    item = {**hook({"properties": {"u": URL}}), "x-ms-notification-content": 7}
    found = only(spec_of({"/hooks": item}))
    assert found.body is not None
    assert found.body.media[0].schema == {}


def test_a_notification_may_be_a_reference_that_leads_nowhere() -> None:
    item = {**hook({"properties": {"u": URL}}), "x-ms-notification-content": {"$ref": "#/nope"}}
    spec = spec_of({"/hooks": item})
    assert only(spec).body is not None
    assert any(
        "refers to #/nope" in one.message for one in spec.findings if one.code == "notification-content"
    )


def test_a_polled_operation_whose_answer_is_not_described_brings_anything() -> None:
    spec = spec_of({"/items": {"get": {"x-ms-trigger": "batch", "responses": {"404": {}}}}})
    assert only(spec).body is None


def test_an_action_that_waits_for_a_callback_is_no_trigger_of_the_platform() -> None:
    item = hook({"properties": {"u": URL}})
    del item["post"]["x-ms-trigger"]
    found = only(spec_of({"/send": item}))
    assert (found.kind, found.operation, found.address) == ("callback", "Subscribe", "body/u")


def test_a_polled_operation_brings_its_answer() -> None:
    answer = {"type": "array", "items": SCHEMA}
    get = {
        "operationId": "List",
        "x-ms-trigger": "batch",
        "responses": {"202": {}, "200": {"description": "d", "schema": answer}},
    }
    policy = {
        "templateId": "PollingTrigger",
        "parameters": {
            "x-ms-apimTemplate-operationName": ["List"],
            "x-ms-apimTemplateParameter.triggerConfig": {"since": "x"},
            "x-ms-apimTemplateParameter.triggerDataPath": "@triggerBody()",
        },
    }
    found = only(spec_of({"/items": {"get": get}}, {"policyTemplateInstances": [policy]}))
    assert (found.kind, found.method, found.operation, found.address) == ("poll", "GET", "List", "")
    assert found.body is not None
    assert found.body.media[0].schema == answer
    assert found.extras["pollingtrigger"] == {
        "triggerConfig": {"since": "x"},
        "triggerDataPath": "@triggerBody()",
    }


def test_a_polled_operation_may_point_at_one_that_registers() -> None:
    get = {
        "operationId": "List",
        "x-ms-trigger": "batch",
        "x-ms-notification": {"operationId": "Nope"},
        "responses": {},
    }
    spec = spec_of({"/items": {"get": get}})
    assert only(spec).kind == "poll"
    assert only(spec).extras["x-ms-notification"] == {"operationId": "Nope"}
    assert [one.code for one in spec.findings] == ["no-such-operation"]


def test_a_notification_that_nothing_asks_for_is_reported() -> None:
    spec = spec_of({"/hooks": {"x-ms-notification-content": {"schema": {}}}, "/o": {"get": {}}})
    assert [one.code for one in spec.findings] == ["notification-unused"]


def delete(path: str, id_: str, summary: str = "") -> dict[str, Any]:
    return {path: {"delete": {"operationId": id_, "summary": summary, "responses": {}}}}


LOCATION = {"201": {"description": "", "headers": {"location": {"type": "string"}}}}


@every_row(
    ("others", "step", "operation"),
    [
        (delete("/api/hooks/{id}", "D"), 2, "D"),
        (delete("/api/hooks", "D"), 3, "D"),
        (delete("/x/{id}", "Gone", "Ends a subscription"), 4, "Gone"),
        (delete("/attendees/{id}", "D"), 5, "D"),
        ({**delete("/api/trigger/{id}", "D"), **delete("/v2/hook/{id}", "E")}, 6, "D"),
        ({**delete("/x/hook/{id}", "D"), **delete("/y/hook/{id}", "E")}, 7, ""),
        ({**delete("/x/{id}", "D"), **delete("/y/{id}", "E")}, 8, ""),
        ({}, 9, ""),
    ],
)
def test_the_ladder_says_how_a_registration_ends(others: dict[str, Any], step: int, operation: str) -> None:
    item = hook({"properties": {"u": URL}})
    paths = {**others, "/api/hooks": {**item, **others.get("/api/hooks", {})}}
    ends = only(spec_of(paths)).extras["unsubscribe"]
    assert (ends["step"], ends["operation"]) == (step, operation)
    assert ("candidates" in ends) == (step == 7)
    item["post"]["responses"] = LOCATION
    located = only(spec_of({**paths, "/api/hooks": {**item, **others.get("/api/hooks", {})}})).extras[
        "unsubscribe"
    ]
    assert (located["step"], located["operation"]) == (1, operation if step in {2, 3, 4, 6} else "")
