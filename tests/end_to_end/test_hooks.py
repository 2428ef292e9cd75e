"""An operation that needs code is performed by a hook, with the login of the connection and under its guard."""

import json
from pathlib import Path

import msgspec

from tests.end_to_end.backend import backend
from tests.end_to_end.instance import connection, document, instance, step

HOOK = """
async def execute(context):
    request = context.request
    order = request.json()
    request.url += "?total=" + str(sum(order["prices"]))
    response = await context.send(request)
    return {"status": response.status, "body": {"first": order["prices"][0], "by": context.operation_id}}
"""


async def test_a_rule_calls_a_hook_which_sends_with_the_login(tmp_path: Path) -> None:
    async with backend() as shop:
        content = document(
            shop.url,
            connections={"shop": connection(shop.url, auth={"bearer": {"env": "BACKEND_TOKEN"}})},
            rules={"all": {"from": ["web"], "do": [step()]}},
        )
        content["connectors"] = {"shop": {"spec": "shop.json", "code": "hook.py", "code_for": ["one"]}}
        (tmp_path / "hook.py").write_text(HOOK)
        async with instance(tmp_path, content) as it:
            delivery = await it.ended(await it.send({"prices": [3, 4]}))
            assert delivery["state"] == "delivered"
            (call,) = shop.calls
            assert call.target == "/one?total=7"
            assert call.headers["authorization"] == "Bearer token-of-the-backend"
            assert msgspec.json.decode(call.body) == {"prices": [3, 4]}
            kept = delivery["attempts"][0]["answer"]
            assert json.loads(kept["body"]) == {"first": 3, "by": "one"}
            failed = await it.ended(await it.send({"prices": None}), "dead")
            assert "hook.py" in failed["reason"]


async def test_a_hook_that_cannot_be_loaded_is_found_before_anything_runs(tmp_path: Path) -> None:
    async with backend() as shop:
        content = document(shop.url)
        async with instance(tmp_path, content) as it:
            content["connectors"] = {"shop": {"spec": "shop.json", "code": "hook.py", "code_for": ["one"]}}
            (tmp_path / "hook.py").write_text("async def execute(context:\n")
            path = tmp_path / "pointsman.yaml"
            path.write_text(json.dumps(content))
            answer = await it.admin("POST", "/api/v1/configuration/reload")
            assert answer.status_code == 422
            assert "hook.py" in answer.text
            assert (await it.ended(await it.send({})))["state"] == "delivered"  # what ran goes on
