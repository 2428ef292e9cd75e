"""`:http`: any request to a connection's server, by rules, by the API and by hand, in a real instance."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.end_to_end.apis import call, configured, done, ended, openapi, operation, write
from tests.end_to_end.backend import answers, backend
from tests.end_to_end.instance import ENVIRONMENT, instance
from tests.end_to_end.shell import pointsman

SPEC = openapi({"/described": {"get": operation("described")}})
LOGIN = {"auth": {"bearer": {"env": "BACKEND_TOKEN"}}}
GIVEN: dict[str, Any] = {
    "method": "POST",
    "path": ["notes", "${data.id}"],
    "query": {"tag": ["a", "${data.tag}"]},
    "headers": {"X-Note": "${data.tag}"},
    "body": {"amount": "${data.amount}"},
}


async def test_a_step_makes_it_again_as_it_was_with_the_same_key(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": SPEC})
    async with backend() as api:
        api.script(answers(503), answers(200, {"note": 7}))
        content = configured(api.url, call(":http", GIVEN), **LOGIN)
        content["rules"]["rule-0"]["do"].append(
            call(":http", {"method": "get", "path": "/notes/${string(steps.http.body.note)}"}, name="read")
        )
        async with instance(tmp_path, content) as it:
            delivery = await done(it, ":http", {"id": "a/b c", "tag": "x&y", "amount": 10**20})
        assert [one["outcome"] for one in delivery["attempts"]] == ["retry", "ok", "ok"]
        first, again, read = api.calls
        assert (first.method, first.target) == ("POST", "/notes/a%2Fb%20c?tag=a&tag=x%26y")
        assert first.body == b'{"amount":100000000000000000000}'
        assert first.headers["x-note"] == "x&y"
        assert first.headers["authorization"] == "Bearer token-of-the-backend"
        assert (again.target, again.body, again.key) == (first.target, first.body, first.key)
        assert first.key
        assert (read.method, read.target, read.key) == ("GET", "/notes/7", "")


async def test_what_an_event_brings_leads_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": SPEC})
    async with backend() as api:
        step = call(":http", {"method": "GET", "path": "/notes/${data.id}"})
        async with instance(tmp_path, configured(api.url, step, **LOGIN)) as it:
            for wrong in (
                "../admin",
                "%2e%2e/admin",
                "1?x=y",
                "1#",
                "1\r\nHost: evil.example",
                "\\..\\admin",
            ):
                delivery = await ended(it, ":http", {"id": wrong}, "dead")
                assert "path" in delivery["reason"]
            await done(it, ":http", {"id": "1"})
        assert [one.target for one in api.calls] == ["/notes/1"]


async def test_it_is_made_by_the_api_and_by_hand(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": SPEC})
    async with backend() as api:
        async with instance(tmp_path, configured(api.url, call("described"), **LOGIN)) as it:
            path = "/api/v1/connections/api/operations/:http/call"
            made = await it.admin("POST", path, json={"with": {"method": "DELETE", "path": "/notes/1"}})
            assert (made.status_code, made.json()["outcome"]) == (200, "ok")
            wrong = {"method": "GET", "path": "//evil.example/", "headers": {"Host": "evil.example"}}
            refused = await it.admin("POST", path, json={"with": wrong})
            assert refused.status_code == 422
            assert [one["pointer"] for one in refused.json()["errors"]] == ["/path", "/headers/Host"]
            tried = await it.admin(
                "POST",
                "/api/v1/connections/api/test",
                json={"operation": ":http", "with": {"method": "GET", "path": "/up"}},
            )
            assert tried.json()["state"] == "ok"
        words = ("call", "api.:http", "--with", json.dumps({"method": "GET", "path": "/up"}), "-o", "json")
        ran = await asyncio.to_thread(pointsman, *words, cwd=tmp_path, **ENVIRONMENT)
        assert json.loads(ran.stdout)["outcome"] == "ok", ran
        assert [(one.method, one.target) for one in api.calls] == [
            ("DELETE", "/notes/1"),
            ("GET", "/up"),
            ("GET", "/up"),
        ]
