"""A connection is paused by hand and resumed: over the API, with the command line, through reloads and kill -9."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.backend import Act, answers, backend
from tests.end_to_end.instance import Instance, connection, document, instance, process, signed, step, until
from tests.end_to_end.shell import pointsman
from tests.patience import PATIENCE

SHOP = "/api/v1/connections/shop"


async def _order(it: Instance, verb: str, **more: Any) -> dict[str, Any]:
    answer = await it.admin("POST", f"{SHOP}/{verb}", **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _figure(it: Instance, name: str) -> str:
    text = (await it.admin("GET", "/metrics")).text
    return next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name))


async def _delivered(it: Instance, count: int) -> None:
    async def look() -> bool:
        return await it.count("delivered") == count

    await until(look, f"{count} delivered")


async def test_a_paused_connection_says_so_everywhere_and_its_deliveries_wait(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        paused = await _order(it, "pause", json={"reason": "the shop moves"})
        since = paused["since"]
        assert (paused["state"], paused["healthy"], paused["paused_by"]) == ("paused", True, "first")
        assert paused["reason"] == "by hand by first: the shop moves"
        assert paused["stopped_by"] == [
            {"state": "paused", "reason": paused["reason"], "since": since, "by": "first"}
        ]
        messages = [await it.send({"n": n}) for n in range(5)]
        rows = await it.deliveries()
        words = f"connection shop is paused since {since} by hand by first: the shop moves"
        assert {(row["state"], row["reason"], row["attempts"]) for row in rows} == {("held", words, 0)}
        assert (await it.show(rows[0]["id"]))["reason"] == words
        assert await _figure(it, 'pointsman_connection_up{connection="shop"}') == "0.0"
        health = (await it.admin("GET", "/api/v1/health")).json()
        assert health["status"] == "ok", "what an operator wants is no trouble"
        assert health["connections"]["shop"] == {"state": "paused", "reason": paused["reason"]}
        found = (await it.admin("GET", "/api/v1/doctor?name=shop")).json()["items"]
        row = next(one for one in found if one["code"] == "connection-paused")
        assert row["fix"] == "pointsman connections resume shop"
        assert "the shop moves" in row["message"]

        again = await _order(it, "pause")
        assert (again["reason"], again["since"]) == ("by hand by first", since)
        assert shop.calls == []
        resumed = await _order(it, "resume")
        assert (resumed["state"], resumed["reason"], resumed["paused_by"]) == ("ok", "", "")
        await _delivered(it, len(messages))
        assert await _figure(it, 'pointsman_connection_up{connection="shop"}') == "1.0"
        assert (await _order(it, "resume"))["state"] == "ok"
        missing = await it.admin("POST", "/api/v1/connections/shpo/pause")
        assert missing.status_code == 404
        assert "did you mean shop?" in missing.text


async def test_a_pause_keeps_nobody_from_calling_by_hand(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        await _order(it, "pause", json={"reason": "the shop moves"})
        called = await _order(it, "operations/get/call", json={})
        assert called["outcome"] == "ok"
        assert "is paused since" in called["stopped"]
        tried = await _order(it, "test", json={})
        assert tried["state"] == "ok"
        assert "by hand by first: the shop moves" in tried["stopped"]
        assert len(shop.calls) == 2
        assert it.lane().state == "paused", "a healthy answer ends no pause"
        await _order(it, "resume")
        assert (await _order(it, "operations/get/call", json={}))["stopped"] == ""


async def test_a_pause_and_a_hold_do_not_end_each_other(tmp_path: Path) -> None:
    async with backend(answers(401)) as shop, instance(tmp_path, document(shop.url)) as it:
        await it.send({"n": 1})
        await until(lambda: it.lane().state == "held", "the hold")
        both = await _order(it, "pause")
        assert (both["state"], both["healthy"]) == ("paused", False)
        assert [one["state"] for one in both["stopped_by"]] == ["paused", "held"]
        assert (await it.admin("GET", "/api/v1/health")).json()["status"] == "degraded"
        shop.default = Act()
        assert await _order(it, "release") == {"name": "shop", "state": "paused"}
        refused = await it.admin("POST", f"{SHOP}/release")
        assert refused.status_code == 409
        assert "pointsman connections resume shop" in refused.text
        assert len(shop.calls) == 1
        await _order(it, "resume")
        await _delivered(it, 1)


async def test_a_pause_outlives_restarts_and_changes_of_the_configuration(tmp_path: Path) -> None:
    async with backend() as shop:
        content = document(shop.url)
        async with instance(tmp_path, content) as it:
            await _order(it, "pause", json={"reason": "the shop moves"})
            await it.send({"n": 1})
        async with instance(tmp_path, content) as it:
            since = it.lane().pauses.present.since
            content["connections"]["shop"]["limits"] = {"timeout": "4s"}
            await it.reload(content)
            assert it.lane().state == "paused", "another configuration of it is no word of an operator"
            other = document(shop.url, connections={"crm": connection(shop.url)}, rules={})
            await it.reload(other)
            assert (await it.admin("POST", f"{SHOP}/resume")).status_code == 404
            await it.reload(content)
            assert it.lane().state == "paused", "nor is that it was away"
            assert it.lane().pauses.present.since == since
            assert shop.calls == []
            await _order(it, "resume")
            await _delivered(it, 1)
        async with instance(tmp_path, content) as it:
            assert it.lane().state == "ok"


async def test_another_connection_goes_on_and_a_step_on_the_paused_one_waits(tmp_path: Path) -> None:
    async with backend() as shop:
        connections = {"shop": connection(shop.url), "crm": connection(shop.url)}
        rules = {"both": {"from": ["web"], "do": [step("crm.one"), step("shop.two")]}}
        async with instance(tmp_path, document(shop.url, connections=connections, rules=rules)) as it:
            await _order(it, "pause")
            message = await it.send({"n": 1})
            shown = await it.ended(message, "held")
            assert shown["connection"] == "shop"
            assert [one["outcome"] for one in shown["attempts"]] == ["ok"]
            assert [call.target for call in shop.calls] == ["/one"]
            await _order(it, "resume")
            await it.ended(message, "delivered")
            assert [call.target for call in shop.calls] == ["/one", "/two"]


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_what_the_command_said_is_true_after_kill_9(tmp_path: Path, verb: str) -> None:
    data = str(tmp_path / "data")

    async def command(*words: str) -> str:
        ran = await asyncio.to_thread(pointsman, "connections", *words, cwd=tmp_path, POINTSMAN_DATA=data)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    async with backend() as shop, httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        content = document(shop.url)

        async def send(url: str, name: str) -> None:
            answer = await client.post(f"{url}/hooks/web", content=b"{}", headers=signed(b"{}", name))
            assert answer.status_code == 202

        async with process(tmp_path, content) as it:
            said = await command("pause", "shop", "--reason", "the shop moves")
            assert "by hand by first: the shop moves" in said
            await send(it.url, "before")
            if verb == "resume":
                assert " ok " in await command("resume", "shop")
                await shop.called(1)
            os.kill(it.pid, signal.SIGKILL)
            await it.process.wait()
        async with process(tmp_path, content) as it:
            await send(it.url, "after")
            listed = json.loads(await command("list", "-o", "json"))["items"][0]
            if verb == "resume":
                assert listed["state"] == "ok"
                await shop.called(2)
                return
            assert (listed["state"], listed["pending"], listed["calls"]) == ("paused", 2, 0)
            lines = (await command("list")).splitlines()
            assert lines[1].split()[:2] == ["shop", "paused"]
            shown = json.loads(await command("show", "shop", "-o", "json"))
            assert shown["stopped_by"][0]["reason"] == "by hand by first: the shop moves"
            assert shop.calls == []
            await command("resume", "shop")
            assert {call.key for call in await shop.called(2)} != {""}
