"""What a description, an answer or a message says leads to no place that the connection may not call.

A canary listens where everything tries to lead: nothing may even connect to it.
"""

from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from service.errors import Invalid
from tests.end_to_end.apis import (
    RESPONSES,
    call,
    configured,
    done,
    ended,
    openapi,
    operation,
    parameter,
    write,
)
from tests.end_to_end.backend import Act, Backend, answers, backend
from tests.end_to_end.instance import instance, until
from tests.fakes.token_server import TokenServer

METADATA = "169.254.169.254"
BEARER = {"bearer": {"env": "BACKEND_TOKEN"}}


def _only(api: Backend) -> dict[str, Any]:
    """Return an egress that allows one port of the loopback, where the API is."""
    return {"egress": [f"127.0.0.1:{api.port}"]}


@pytest.mark.parametrize("host", ["canary", METADATA, "[::1]"])
async def test_an_operations_server_leads_nowhere_else(tmp_path: Path, host: str) -> None:
    async with backend() as api, backend() as canary:
        elsewhere = f"{canary.url}/x" if host == "canary" else f"http://{host}:{canary.port}/x"
        spec = openapi(
            {
                "/a": {"get": operation("inside")},
                "/b": {"get": operation("outside", servers=[{"url": elsewhere}])},
                "/c": {"get": operation("chosen", servers=[{"url": "http://{host}/x", "variables": {"host": {"default": f"127.0.0.1:{canary.port}"}}}])},
            },
            servers=[{"url": api.url}],
        )  # fmt: skip
        write(tmp_path, {"api.json": spec})
        content = configured(
            api.url, call("inside"), call("outside"), call("chosen"), auth=BEARER, **_only(api)
        )
        del content["connections"]["api"]["server"]
        async with instance(tmp_path, content) as it:
            await done(it, "inside")
            for name in ("outside", "chosen"):
                delivery = await ended(it, name)
                assert delivery["state"] == "dead"
                assert "may not be called (egress)" in delivery["reason"]
        assert canary.connections == 0
        assert len(api.calls) == 1


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "a@127.0.0.1", "①②⑦.⓪.⓪.①"]
)
async def test_an_odd_spelling_of_an_address_is_found_before_anything_runs(tmp_path: Path, host: str) -> None:
    async with backend() as canary:
        there = operation("outside", servers=[{"url": f"http://{host}:{canary.port}/x"}])
        spec = openapi({"/b": {"get": there}}, servers=[{"url": canary.url}])
        write(tmp_path, {"api.json": spec})
        content = configured(canary.url, call("outside"))
        del content["connections"]["api"]["server"]
        with pytest.raises(Invalid) as caught:
            async with instance(tmp_path, content):
                pass
        assert "/rules/rule-0/do/0/call" in {one.pointer for one in caught.value.problems}
        assert canary.connections == 0


async def test_a_public_egress_calls_nothing_of_the_inside(tmp_path: Path) -> None:
    async with backend() as canary:
        inside = {"local": canary.url, "cloud": f"http://{METADATA}/latest", "net": "http://10.0.0.1"}
        spec = openapi(
            {f"/{name}": {"get": operation(name, servers=[{"url": url}])} for name, url in inside.items()},
            servers=[{"url": "https://203.0.114.1"}],
        )
        write(tmp_path, {"api.json": spec})
        content = configured("", *map(call, inside), egress="public")
        del content["connections"]["api"]["server"]
        async with instance(tmp_path, content) as it:
            for name in inside:
                delivery = await ended(it, name)
                assert delivery["state"] == "dead"
                assert "may not be called (egress)" in delivery["reason"]
                assert "not public" not in delivery["reason"]  # why is for operators alone
        assert canary.connections == 0


async def test_references_to_elsewhere_are_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"type": "object", "description": "canary-of-a-file"}')
    async with backend() as api, backend() as canary:
        body = {
            "remote": {"$ref": f"{canary.url}/schema.json#/x"},
            "file": {"$ref": f"file://{secret}"},
            "up": {"$ref": "../secret.json"},
        }
        content_of = {"application/json": {"schema": {"type": "object", "properties": body}}}
        spec = openapi(
            {
                "/a": {"post": operation("make", requestBody={"content": content_of})},
                "/b": {"$ref": f"{canary.url}/path.json"},
            },
            externalDocs={"url": f"{canary.url}/docs"},
        )
        write(tmp_path, {"specs/sub/api.json": spec})
        content = configured(
            api.url,
            call("make", {"body": {"remote": "${data.x}"}}),
            spec="specs/sub/api.json",
            validate="reject",
        )
        async with instance(tmp_path, content) as it:
            await done(it, "make", {"x": 1})
            for path in ("/api/v1/connectors/api", "/api/v1/connectors/api/operations/make"):
                assert "canary-of-a-file" not in (await it.admin("GET", path)).text
        assert canary.connections == 0
        assert len(api.calls) == 1


class Leading(TokenServer):
    """A token server whose discovery document leads elsewhere."""

    def __init__(self, leads: str) -> None:
        super().__init__()
        self._leads = leads

    @property
    @override
    def token_url(self) -> str:
        return self._leads


@pytest.mark.parametrize("way", ["token URL", "description", "discovery", "issuer"])
async def test_a_login_leads_nowhere_else(tmp_path: Path, way: str) -> None:
    async with backend() as api, backend() as canary, Leading(f"{canary.url}/token").listening() as server:
        flows = {"clientCredentials": {"tokenUrl": f"{canary.url}/token", "scopes": {}}}
        spec = openapi({"/a": {"post": operation("make")}})
        if way == "description":
            schemes = {"login": {"type": "oauth2", "flows": flows}}
            spec |= {"components": {"securitySchemes": schemes}, "security": [{"login": []}]}
        write(tmp_path, {"api.json": spec})
        login: dict[str, Any] = {"client_id": "shop", "client_secret": {"env": "BACKEND_TOKEN"}}
        if way == "token URL":
            login["token_url"] = f"{canary.url}/token"
        elif way == "discovery":
            login["discovery"] = canary.url
        elif way == "issuer":  # an honest issuer that names another place for tokens
            login["discovery"] = server.base
        allowed = [f"127.0.0.1:{api.port}", f"127.0.0.1:{server.base.rpartition(':')[2]}"]
        content = configured(api.url, call("make"), auth={"oauth2": login}, egress=allowed)
        async with instance(tmp_path, content) as it:
            message = await it.send({"do": "make"})

            async def kept() -> Any:
                (row,) = await it.deliveries(message=message)
                return row if row["state"] in ("held", "waiting") else None

            await until(kept, "the delivery waits for a login")
            shown = (await it.admin("GET", "/api/v1/connections/api")).json()
            assert "egress" in shown["logins"][0]["reason"]
            assert "token-of-the-backend" not in str(shown)
        assert canary.connections == 0
        assert api.calls == []


REDIRECTS = (301, 302, 303, 307, 308)


async def test_no_answer_leads_the_credentials_to_another_origin(tmp_path: Path) -> None:
    spec = openapi(
        {
            "/pages": {"get": operation("pages")},
            "/linked": {"get": operation("linked")},
            "/jobs": {"post": operation("job")},
            **{f"/moved/{status}": {"post": operation(f"moved{status}")} for status in REDIRECTS},
        }
    )
    write(tmp_path, {"api.json": spec})
    async with backend() as api, backend() as canary:
        there = canary.url
        api.script(answers(200, {"value": [1], "nextLink": f"{there}/pages?2"}), path="/pages")
        api.script(answers(200, [1], link=f"<//127.0.0.1:{canary.port}/linked>; rel=next"), path="/linked")
        api.script(answers(202, {}, operation_location=f"{there}/jobs/1", retry_after="0"), path="/jobs")
        for status in REDIRECTS:
            api.script(answers(status, {}, location=f"{there}/moved"), path=f"/moved/{status}")
        content = configured(
            api.url,
            call("pages", follow_pages=True),
            call("linked", follow_pages=True),
            call("job", wait="5s", on_unknown="dead"),
            *(call(f"moved{status}") for status in REDIRECTS),
            auth=BEARER,
        )
        async with instance(tmp_path, content) as it:
            for name in ("pages", "linked"):
                await done(it, name)
            job = await ended(it, "job")
            assert (job["state"], job["attempts"][0]["outcome"]) == ("dead", "unknown")
            assert "another origin" in job["reason"]
            for status in REDIRECTS:
                moved = await ended(it, f"moved{status}")
                assert moved["state"] == "dead"
                assert "redirects are not followed" in moved["reason"]
        assert canary.connections == 0
        assert len(api.calls) == 3 + len(REDIRECTS)


def _routed(template: str) -> dict[str, Any]:
    return {
        "properties": {
            "connectionParameters": {"zone": {"type": "string"}},
            "policyTemplateInstances": [
                {
                    "templateId": "dynamichosturl",
                    "title": "host",
                    "parameters": {"x-ms-apimTemplateParameter.urlTemplate": template},
                }
            ],
        }
    }


@pytest.mark.parametrize("template", ["http://@headers('X-Host')/api", "http://@queryParameters('host')"])
async def test_no_message_chooses_the_host(tmp_path: Path, template: str) -> None:
    inputs = [
        {"name": "X-Host", "in": "header", "type": "string"},
        {"name": "host", "in": "query", "type": "string"},
    ]
    async with backend() as api, backend() as canary:
        definition = {
            "swagger": "2.0",
            "info": {"title": "Desk", "version": "1"},
            "host": f"127.0.0.1:{api.port}",
            "schemes": ["http"],
            "paths": {"/a": {"post": {"operationId": "Make", "parameters": inputs, "responses": RESPONSES}}},
        }
        write(
            tmp_path,
            {"desk/apiDefinition.swagger.json": definition, "desk/apiProperties.json": _routed(template)},
        )
        step = call("Make", {"X-Host": "${data.host}", "host": "${data.host}"})
        content = configured(api.url, step, spec="desk", auth=BEARER)
        del content["connections"]["api"]["server"]
        async with instance(tmp_path, content) as it:
            for host in (
                f"127.0.0.1:{canary.port}",
                f"a@127.0.0.1:{canary.port}",
                f"127.0.0.1:{canary.port}#",
            ):
                delivery = await ended(it, "Make", {"host": host})
                assert delivery["state"] == "dead", delivery
        assert canary.connections == 0
        assert api.calls == []


async def test_no_path_argument_leaves_its_place(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"api.json": openapi({"/v1/things/{id}/parts": {"get": operation("part", parameter("id", "path"))}})},
    )
    odd = [
        "..",
        ".",
        "%2e%2e",
        "..%2f",
        "a/../b",
        "",
        "..;",
        "%c0%ae%c0%ae",
        "\x00",
        "//127.0.0.1/",
        "x?y#z",
        "\\..\\",
    ]
    async with backend() as api:
        content = configured(f"{api.url}/base", call("part", {"id": "${data.id}"}))
        async with instance(tmp_path, content) as it:
            for text in odd:
                await ended(it, "part", {"id": text})
        for request in api.calls:
            assert request.target.startswith("/base/v1/things/")
            assert request.target.endswith("/parts")
            assert request.target.count("/") == 5


async def test_headers_and_methods_of_the_transport_are_nobodys_to_set(tmp_path: Path) -> None:
    names = ["Host", "Content-Length", "Transfer-Encoding", "Authorization", "X-Note"]
    spec = openapi({"/a": {"post": operation("make", *(parameter(name, "header") for name in names))}})
    write(tmp_path, {"api.json": spec})
    async with backend(Act()) as api:
        content = configured(api.url, call("make", {"X-Note": "${data.note}"}), auth=BEARER)
        async with instance(tmp_path, content) as it:
            await done(it, "make", {"note": "fine"})
            for note in ("a\r\nX-Evil: 1", "a\nb", "\x00", "ä\u2028", " a"):
                assert (await ended(it, "make", {"note": note}))["state"] == "dead"
        (request,) = api.calls
        assert request.headers["x-note"] == "fine"
        assert request.headers["host"] == f"127.0.0.1:{api.port}"
        assert request.headers["authorization"] == "Bearer token-of-the-backend"
