"""A changed configuration while deliveries wait: what was accepted keeps its rules and its descriptions."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from service.usecases.connecting import list_connections
from tests.end_to_end.backend import Act, Backend, answers, backend
from tests.end_to_end.instance import OPEN, SPEC, Instance, connection, document, instance, step, until


async def _waiting(it: Instance, message: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await it.deliveries(message=message)
        return found[0] if found and found[0]["state"] in ("waiting", "held") else None

    return await until(look, "a planned retry")


def _down(shop: Backend) -> asyncio.Event:
    """Let the backend fail until the event is set; return the event."""
    up = asyncio.Event()
    shop.decide = lambda _call: Act() if up.is_set() else answers(503)
    return up


async def test_a_delivery_keeps_the_description_that_its_ruleset_pins(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        up = _down(shop)
        before = await it.send({})
        await _waiting(it, before)
        changed = {**SPEC, "paths": {"/uno": SPEC["paths"]["/one"]}}
        (tmp_path / "shop.json").write_text(json.dumps(changed), "utf-8")
        await it.service.reload()
        after = await it.send({})
        up.set()
        assert [(await it.ended(message))["state"] for message in (before, after)] == ["delivered"] * 2
        assert {call.target for call in shop.calls} == {"/one", "/uno"}
        assert len({call.key for call in shop.calls if call.target == "/one"}) == 1


async def test_deliveries_of_a_removed_rule_and_source_are_made_all_the_same(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        up = _down(shop)
        message = await it.send({})
        await _waiting(it, message)
        await it.reload(document(shop.url, rules={}, sources={"other": OPEN}))
        assert (await it.post(b"{}")).status_code == 404
        up.set()
        assert (await it.ended(message))["state"] == "delivered"


async def test_deliveries_of_a_removed_connection_are_held_in_sight_until_it_is_back(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        up = _down(shop)
        message = await it.send({})
        await _waiting(it, message)
        await it.reload(document(shop.url, rules={}, connections={"other": connection(shop.url)}))
        up.set()

        async def held() -> dict[str, Any] | None:
            row = (await it.deliveries(message=message))[0]
            return row if row["state"] == "held" else None

        assert "connection shop is not configured any more" in (await until(held))["reason"]
        shown = {one["name"]: one for one in (await list_connections(it.service.desk))["items"]}
        assert (shown["other"]["state"], shown["shop"]["state"]) == ("ok", "removed")
        assert shown["shop"]["waiting"] + shown["shop"]["pending"] == 1
        assert shown["shop"].keys() == shown["other"].keys()
        await it.reload(document(shop.url, rules={}))
        assert (await it.ended(message))["state"] == "delivered"
        assert [one["name"] for one in (await list_connections(it.service.desk))["items"]] == ["shop"]


async def test_a_renamed_rule_goes_on_where_it_was(tmp_path: Path) -> None:
    def rules(name: str, **more: Any) -> dict[str, Any]:
        return {name: {"from": ["web"], "key": "'k'", "mode": "queued", "do": [step()], **more}}

    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules("old"))) as it:
        up = _down(shop)
        first = await it.send({"n": 1})
        await _waiting(it, first)
        await it.reload(document(shop.url, rules=rules("new", was=["older", "old"])))
        second = await it.send({"n": 2})
        up.set()
        await it.ended(second)
        rows = await it.deliveries()
        assert [row["rule"] for row in rows] == ["new", "new"]
        answered = [call.json["n"] for call in shop.calls]
        assert answered == sorted(answered)
        assert answered[-1] == 2
        # The same name again, without `was` now: its number stays.
        await it.reload(document(shop.url, rules=rules("new")))
        await it.ended(await it.send({"n": 3}))
        assert {row["rule"] for row in await it.deliveries()} == {"new"}


async def test_a_changed_include_is_taken_and_a_broken_one_leaves_everything_alone(tmp_path: Path) -> None:
    included = tmp_path / "rules" / "some.yaml"
    included.parent.mkdir()

    def rule(name: str) -> str:
        return json.dumps({"rules": {name: {"from": ["web"], "do": [step()]}}})

    async with backend() as shop:
        included.write_text(rule("one"), "utf-8")
        content = {**document(shop.url, rules={}), "include": ["rules/*.yaml"]}
        async with instance(tmp_path, content) as it:
            first = await it.ended(await it.send({}))
            included.write_text(rule("two"), "utf-8")
            await it.service.reload()
            second = await it.ended(await it.send({}))
            included.write_text(rule("three").replace("shop.one", "shop.oen"), "utf-8")
            with pytest.raises(Invalid) as raised:
                await it.service.reload()
            (problem,) = raised.value.problems
            assert (problem.file.endswith("rules/some.yaml"), problem.message) == (
                True,
                "connector shop has no operation oen",
            )
            third = await it.ended(await it.send({}))
            assert [one["rule"] for one in (first, second, third)] == ["one", "two", "two"]
