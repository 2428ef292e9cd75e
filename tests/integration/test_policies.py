"""A Power Platform connector with every policy template, from its two files to the bytes on a socket."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from actions.auth import APIKey
from actions.base import Answer
from actions.egress import read_egress
from actions.errors import Refused
from actions.http import HTTPConnector
from actions.places import Place
from actions.specs import read_spec
from tests.fakes.raw_backend import RawBackend, Talk
from tests.patience import PATIENCE

PARENT = {"propertyParentPath": "@body()"}
POLICIES: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "setheader": [("setheader", "Request", {"name": "X-A", "value": "@connectionParameters('tenant')!"})],
    "login": [("setheader", "Request", {"name": "X-Key", "value": "Key @headers('X-Key')"})],
    "answerheader": [("setheader", "Response", {"name": "X-B", "value": "b"})],
    "failureheader": [("setheader", "Failure", {"name": "X-C", "value": "c"})],
    "setqueryparameter": [
        ("setqueryparameter", "Request", {"name": "k", "value": "@connectionParameters('secret')"})
    ],
    "routerequesttoendpoint": [
        ("routerequesttoendpoint", "Request", {"newPath": "/real/{id}?v=2", "httpMethod": "PUT"})
    ],
    "setproperty": [
        (
            "setproperty",
            "Request",
            {
                "newPropertyParentPathTemplate": "@body().l",
                "newPropertySubPathTemplate": "n",
                "propertyValuePathTemplate": "{@body().n}",
            },
        )
    ],
    "moveproperties": [
        (
            "moveproperties",
            "Request",
            {
                "srcParentPath": "@body()",
                "srcSubPath": "c",
                "dstParentPath": "@body()",
                "dstSubPath": "null",
                "copyOnlySubProperties": "true",
            },
        )
    ],
    "stringreplace": [
        (
            "stringreplace",
            "Request",
            {**PARENT, "propertySubPath": "s", "sourceString": ".", "replacementString": "-"},
        )
    ],
    "encodepropertyvalue": [("encodepropertyvalue", "Request", {**PARENT, "propertySubPath": "s"})],
    "convertobjecttoarray": [
        (
            "convertobjecttoarray",
            "Response",
            {
                **PARENT,
                "propertySubPath": "o",
                "newPropertyPath": "@body().o",
                "keyName": "k",
                "valueName": "v",
            },
        )
    ],
    "convertarraytoobject": [
        (
            "convertarraytoobject",
            "Request",
            {**PARENT, "propertySubPath": "l", "keyWithinCollectionPath": "k", "retainKey": "false"},
        )
    ],
    "stringtoarray": [
        (
            "stringtoarray",
            "Response",
            {**PARENT, "propertySubPath": "s", "delimiterList": ";", "childPropertyName": "p"},
        )
    ],
    "updatenextlink": [("updatenextlink", "Request", {"nextLinkPropertyName": "@odata.nextLink"})],
    "pollingtrigger": [
        (
            "pollingtrigger",
            "Request",
            {
                "triggerConfig": {"since": "@{triggerBody().l[0].at}"},
                "triggerDataPath": "@triggerBody().l",
            },
        )
    ],
    "setvaluefromurl": [
        (
            "setvaluefromurl",
            "Request",
            {
                "parameterTemplate": "@headers('If-Match')",
                "httpMethod": "GET",
                "parameterValueUrl": "/things/{id}/details",
                "parameterValuePathTemplate": "@body()['@odata.etag']",
            },
        )
    ],
    "setconnectionstatustounauthenticated": [
        ("setconnectionstatustounauthenticated", "Request", {"statusCode": 419})
    ],
}


def connector() -> dict[str, bytes]:
    """Return the two files of a connector: an operation for each template, and a host for all."""
    instances = [
        {
            "templateId": "DynamicHostURL",
            "title": "host",
            "parameters": {"x-ms-apimTemplateParameter.urlTemplate": "@connectionParameters('url')/v2"},
        }
    ]
    paths: dict[str, Any] = {}
    for name, given in POLICIES.items():
        paths[f"/{name}/{{id}}"] = {
            "post": {
                "operationId": name,
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "type": "string"},
                    {"name": "body", "in": "body", "schema": {"type": "object"}},
                ],
                "responses": {"200": {"description": "ok"}},
            }
        }
        for template, section, parameters in given:
            instances.append(
                {
                    "templateId": template,
                    "title": name,
                    "parameters": {
                        "x-ms-apimTemplate-operationName": [name],
                        "x-ms-apimTemplate-policySection": section,
                        **{f"x-ms-apimTemplateParameter.{key}": value for key, value in parameters.items()},
                    },
                }
            )
    definition = {
        "swagger": "2.0",
        "info": {"title": "All", "version": "1"},
        "host": "described.example",
        "basePath": "/v1",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        "security": [{"key": []}],
        "paths": paths,
    }
    properties = {
        "properties": {
            "connectionParameters": {
                "url": {"type": "string"},
                "tenant": {"type": "string", "defaultValue": "acme"},
                "secret": {"type": "securestring"},
            },
            "policyTemplateInstances": instances,
        }
    }
    return {
        "apiDefinition.swagger.json": msgspec.json.encode(definition),
        "apiProperties.json": msgspec.json.encode(properties),
    }


SPEC = read_spec(connector())
Call = Callable[..., Any]


@contextlib.asynccontextmanager
async def calling(*said: tuple[str, bytes]) -> AsyncIterator[tuple[Call, RawBackend, HTTPConnector]]:
    """Give what calls an operation, and the backend that answers with what is said, in turn."""
    waiting = list(said)

    async def answer(talk: Talk) -> None:
        while True:
            await talk.request()
            status, body = waiting.pop(0)
            await talk.answer(body, status, "Content-Type: application/json")

    backend = RawBackend(answer)
    async with backend.listening():
        values = {"url": f"http://127.0.0.1:{backend.port}", "secret": "s3cret"}
        made = HTTPConnector(
            "all",
            SPEC,
            server=Place(url="https://described.example/v1", own=True, parameters=values),
            auth=APIKey("header", "X-Key", "k3y"),
            egress=read_egress(["127.0.0.1"]),
        )

        async def call(operation: str, body: Any = None) -> Answer:
            prepared = made.prepare(operation, {"id": "7/8", "body": body or {}}, key="")
            return await made.call(prepared, deadline=PATIENCE, headers={})

        try:
            yield call, backend, made
        finally:
            await made.close()


OK = ("200 OK", b"{}")


def parts(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return line, dict(field.lower().split(": ", 1) for field in fields), body


def test_the_connector_is_read_without_complaint() -> None:
    assert [one.message for one in SPEC.findings if one.severity != "info" and "polic" in one.message] == []
    assert len({one.template for one in SPEC.policies}) == 15


@pytest.mark.parametrize(
    ("operation", "body", "line", "headers", "sent"),
    [
        ("setheader", {}, "POST /v2/setheader/7%2F8", {"x-a": "acme!", "x-key": "k3y"}, b"{}"),
        ("login", {}, "POST /v2/login/7%2F8", {"x-key": "key k3y"}, b"{}"),
        ("setqueryparameter", {}, "POST /v2/setqueryparameter/7%2F8?k=s3cret", {}, b"{}"),
        ("routerequesttoendpoint", {}, "PUT /v2/real/7%2F8?v=2", {}, b"{}"),
        ("setproperty", {"n": 1, "l": [{}, {}]}, "POST", {}, b'{"n":1,"l":[{"n":1},{"n":1}]}'),
        ("moveproperties", {"a": 1, "c": {"b": 2}}, "POST", {}, b'{"a":1,"b":2}'),
        ("stringreplace", {"s": "a.b"}, "POST", {}, b'{"s":"a-b"}'),
        ("encodepropertyvalue", {"s": "a b"}, "POST", {}, b'{"s":"a%20b"}'),
        ("convertarraytoobject", {"l": [{"k": "a", "v": 1}]}, "POST", {}, b'{"l":{"a":{"v":1}}}'),
    ],
)
async def test_requests_on_the_wire(
    operation: str, body: Any, line: str, headers: dict[str, str], sent: bytes
) -> None:
    async with calling(OK) as (call, backend, _):
        answer = await call(operation, body)
    assert answer.status == 200
    (raw,) = backend.requests
    first, found, data = parts(raw)
    assert first.startswith(line)
    assert found.items() >= headers.items()
    assert found["host"] == f"127.0.0.1:{backend.port}"
    assert found["content-length"] == str(len(sent))
    assert data == sent


@pytest.mark.parametrize(
    ("operation", "said", "status", "headers", "body"),
    [
        ("answerheader", OK, 200, {"x-b": "b"}, b"{}"),
        ("failureheader", ("500 No", b"no"), 500, {"x-c": "c"}, b"no"),
        ("convertobjecttoarray", ("200 OK", b'{"o":{"a":1.10}}'), 200, {}, b'{"o":[{"k":"a","v":1.10}]}'),
        ("stringtoarray", ("200 OK", b'{"s":"a;b"}'), 200, {}, b'{"s":[{"p":"a"},{"p":"b"}]}'),
        ("setconnectionstatustounauthenticated", ("419 No", b""), 401, {}, b""),
    ],
)
async def test_answers_from_the_wire(
    operation: str, said: tuple[str, bytes], status: int, headers: dict[str, str], body: bytes
) -> None:
    async with calling(said) as (call, _, _):
        answer = await call(operation)
    assert (answer.status, answer.body) == (status, body)
    assert dict(answer.headers).items() >= headers.items()
    assert answer.header("content-length") in {None, str(len(body))}


async def test_links_and_states_lead_back_to_the_server_that_was_called() -> None:
    async with calling(
        ("200 OK", b'{"@odata.nextLink":"https://inner.example/v2/x?p=2"}'),
        ("200 OK", b'{"l":[{"at":"now"}]}'),
        ("200 OK", b'{"l":[]}'),
    ) as (call, backend, _):
        origin = f"http://127.0.0.1:{backend.port}"
        assert (await call("updatenextlink")).body == f'{{"@odata.nextLink":"{origin}/v2/x?p=2"}}'.encode()
        news = await call("pollingtrigger")
        assert (news.status, news.header("location")) == (
            200,
            f"{origin}/v2/pollingtrigger/7%2F8?since=now",
        )
        assert (await call("pollingtrigger")).status == 202


async def test_a_value_is_fetched_with_the_login_and_used() -> None:
    async with calling(("200 OK", b'{"@odata.etag":"e1"}'), OK) as (call, backend, _):
        assert (await call("setvaluefromurl")).status == 200
    first, second = map(parts, backend.requests)
    assert first[0] == "GET /v2/things/7%2F8/details HTTP/1.1"
    assert first[1]["x-key"] == "k3y"
    assert (second[0], second[1]["if-match"]) == ("POST /v2/setvaluefromurl/7%2F8 HTTP/1.1", "e1")


async def test_what_cannot_be_fetched_is_the_answer() -> None:
    async with calling(("503 Wait", b"later")) as (call, backend, _):
        assert (await call("setvaluefromurl")).status == 503
    assert len(backend.requests) == 1


async def test_secrets_are_not_shown() -> None:
    async with calling() as (_, _, made):
        shown = made.show(made.prepare("setqueryparameter", {"id": "7"}, key=""))
        assert shown["url"].endswith("/v2/setqueryparameter/7?k=***")
        assert "s3cret" not in str(shown)
        assert "k3y" not in str(made.show(made.prepare("login", {"id": "7"}, key="")))


async def test_a_host_that_nobody_gave_refuses_every_call() -> None:
    made = HTTPConnector("all", SPEC, server=Place(url="https://described.example/v1", own=True))
    with pytest.raises(Refused, match="policy 'host': the connection's `parameters` must say url"):
        made.prepare("login", {"id": "7"}, key="")
    await made.close()
