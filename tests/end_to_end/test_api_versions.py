"""Descriptions as a measure in a real instance: what does not fit is refused or told, versions are pinned."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.errors import Invalid
from tests.end_to_end.apis import call, configured, done, ended, openapi, operation, parameter, taking, write
from tests.end_to_end.backend import Act, answers, backend
from tests.end_to_end.instance import OPEN, instance, write_configuration
from tests.end_to_end.shell import pointsman, serving

ORDER = {
    "type": "object",
    "required": ["sku", "lines"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z]{3}-[0-9]+$"},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["qty"],
                "properties": {"qty": {"type": "integer", "minimum": 1}},
                "additionalProperties": False,
            },
        },
        "kind": {"type": "string", "default": "plain"},
    },
}
ANSWER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}


def _shop(**more: Any) -> dict[str, Any]:
    order = operation(
        "order", parameter("zone", "query", {"enum": ["eu", "us"]}), **taking("application/json", ORDER)
    )
    order["responses"] = {"200": {"description": "made", "content": {"application/json": {"schema": ANSWER}}}}
    return openapi({"/orders": {"post": order}}, **more)


STEP = call("order", {"zone": "${data.zone}", "body": "${data.order}"})
GOOD = {"zone": "eu", "order": {"sku": "abc-1", "lines": [{"qty": 1}]}}
BAD = {"zone": "mars", "order": {"sku": "ABC", "lines": [{"qty": 0}, {"qty": "x", "price": 1}]}}


async def test_what_does_not_fit_is_dead_with_every_problem_and_nothing_is_sent(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _shop()})
    async with backend() as api:
        async with instance(tmp_path, configured(api.url, STEP, validate="reject")) as it:
            delivery = await ended(it, "order", BAD)
            assert delivery["state"] == "dead"
            for pointer in (
                "/zone ",
                "/body/sku ",
                "/body/lines/0/qty ",
                "/body/lines/1/qty ",
                "/body/lines/1 ",
            ):
                assert delivery["reason"].count(pointer) == 1, (pointer, delivery["reason"])
            assert delivery["attempts"] == []
            assert api.calls == []
            await done(it, "order", GOOD)
        assert len(api.calls) == 1


async def test_what_is_only_told_is_sent_and_shown_with_where_it_differs(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _shop()})
    async with backend() as api:
        api.default = answers(200, {"id": "seven"})
        async with instance(tmp_path, configured(api.url, STEP)) as it:
            await done(it, "order", BAD)
            shown = (await it.admin("GET", "/api/v1/connections/api")).json()
            (listed,) = (await it.admin("GET", "/api/v1/connections")).json()["items"]
        assert len(api.calls) == 1
        found = {one["side"]: one for one in shown["differences"]}
        assert found.keys() == {"arguments", "answer"}
        assert {text.split(" ")[0] for text in found["arguments"]["samples"]} >= {"/zone", "/body/sku"}
        assert found["answer"]["samples"][0].startswith("/id ")
        assert (found["answer"]["looked"], found["answer"]["differed"], found["answer"]["status"]) == (
            1,
            1,
            200,
        )
        assert listed["differing"] == 2


async def test_nobody_looks_where_validation_is_off(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _shop()})
    async with backend() as api, instance(tmp_path, configured(api.url, STEP, validate="off")) as it:
        await done(it, "order", BAD)
        assert (await it.admin("GET", "/api/v1/connections/api")).json()["differences"] == []


def test_the_doctor_tells_of_calls_that_differ(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _shop()})

    async def run() -> Any:
        async with backend() as api:
            content = configured(api.url, STEP)
            content["sources"] = {"web": OPEN}
            write_configuration(tmp_path, content)
            with serving(tmp_path) as (running, ports):
                await asyncio.to_thread(running.until, '"configuration in force"')
                async with httpx.AsyncClient(trust_env=False) as client:
                    url = f"http://127.0.0.1:{ports['webhooks']}/hooks/web"
                    assert (await client.post(url, json={"do": "order", **BAD})).status_code == 202
                await api.called(1)
                hooks, admin = str(ports["webhooks"]), str(ports["admin"])

                def look() -> Any:
                    words = ("doctor", "-o", "json")
                    return pointsman(*words, cwd=tmp_path, POINTSMAN_PORT=hooks, POINTSMAN_ADMIN_PORT=admin)

                return await asyncio.to_thread(look)

    said = asyncio.run(run())
    row = next(one for one in json.loads(said.stdout)["items"] if one.get("code") == "description-differs")
    assert (row["section"], row["what"]) == ("instance", "api")
    assert "pointsman connections show api" in row["fix"]


# -- versions

OLD = openapi(
    {
        "/v1/orders": {"post": operation("order", **taking("application/json", {"type": "object"}))},
        "/v1/notes": {"post": operation("note", **taking("application/json", {"type": "object"}))},
    }
)
NEW = openapi(
    {
        "/v2/orders/{zone}": {
            "post": operation(
                "order", parameter("zone", "path"), **taking("application/json", {"type": "object"})
            )
        },
        "/v2/notes": {"post": operation("note", **taking("application/json", {"type": "object"}))},
    }
)
BODY = {"body": "${data}"}


def _versions(url: str, *steps: dict[str, Any], **specs: Any) -> dict[str, Any]:
    content = configured(url, *steps)
    content["connectors"]["api"] = {"spec": "api.json", **specs}
    return content


async def test_a_changed_description_is_refused_where_a_rule_floats_and_taken_where_all_are_pinned(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"api.json": OLD, "old.json": OLD})
    async with backend() as api:
        pinned = call("order", BODY, version="1")
        content = _versions(api.url, pinned, call("note", BODY), versions={"1": "old.json"})
        floating = {**call("order", BODY), "name": "floats"}
        content["rules"]["floating"] = {
            "from": ["web"],
            "match": {"data": {"do": ["float"]}},
            "do": [floating],
        }
        async with instance(tmp_path, content) as it:
            write(tmp_path, {"api.json": NEW})
            with pytest.raises(Invalid) as caught:
                await it.service.reload()
            errors = [one for one in caught.value.problems if one.severity == "error"]
            assert [one.pointer for one in errors] == ["/rules/floating/do/0/with"]
            assert "zone" in errors[0].message
            assert errors[0].line
            assert errors[0].file
            # What was in force stays, with the description that it was made of.
            await done(it, "order")
            await done(it, "note")
            assert (await it.ended(await it.send({"do": "float"})))["state"] == "delivered"
            assert [one.target for one in api.calls] == ["/v1/orders", "/v1/notes", "/v1/orders"]
            floating["with"] = {**BODY, "zone": "eu"}
            await it.reload(content)
            for name in ("order", "note"):
                await done(it, name)
            assert (await it.ended(await it.send({"do": "float"})))["state"] == "delivered"
            assert [one.target for one in api.calls[3:]] == ["/v1/orders", "/v2/notes", "/v2/orders/eu"]


async def test_a_delivery_that_waits_goes_on_with_its_own_version_and_key(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": OLD})
    async with backend() as api:
        api.default = answers(503)
        content = _versions(api.url, call("order", BODY))
        async with instance(tmp_path, content) as it:
            message = await it.send({"do": "order"})
            await api.called(1)
            write(tmp_path, {"api.json": NEW})
            content["rules"]["rule-0"]["do"] = [call("order", {**BODY, "zone": "us"})]
            await it.reload(content)
            api.default = Act()
            after = await it.send({"do": "order"})
            for one in (message, after):
                assert (await it.ended(one))["state"] == "delivered"
        by_key: dict[str, set[str]] = {}
        for made in api.calls:
            by_key.setdefault(made.key, set()).add(made.target)
        assert sorted(map(sorted, by_key.values())) == [["/v1/orders"], ["/v2/orders/us"]]


def test_diff_says_beforehand_what_a_reload_would_refuse(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": OLD, "old.json": OLD, "new.json": NEW})
    pinned, floating, note = call("order", BODY, version="1"), call("order", BODY), call("note", BODY)
    content = _versions("http://127.0.0.1:9", pinned, floating, note, versions={"1": "old.json"})
    content["sources"] = {"web": OPEN}
    write_configuration(tmp_path, content)
    done = pointsman("connectors", "diff", "api", "new.json", "-o", "json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    compared = json.loads(done.stdout)
    verdicts = {one["rule"]: one["verdict"] for one in compared["rules"]}
    assert verdicts == {"rule-0": "fine", "rule-1": "breaks", "rule-2": "fine"}
    write(tmp_path, {"api.json": NEW})
    checked = pointsman("check", "-o", "json", cwd=tmp_path)
    assert checked.returncode == 1
    assert "rule-1" in checked.stdout + checked.stderr or "zone" in checked.stdout + checked.stderr
