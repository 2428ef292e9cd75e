"""What the resources say and do."""

import base64
import json

import pytest

from tests.unit.api.house import CONFIGURATION, ENVIRONMENT, SECRET, write


async def pages(home, path, limit, **query):
    items, cursor = [], ""
    while True:
        page = await home.get(path, limit=limit, cursor=cursor, **query)
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/deliveries"])
async def test_pages_hold_everything_once_newest_first(own_home, path):
    for number in range(5):
        await own_home.send({"id": f"more-{number}", "type": "paid", "total": 200, "currency": "EUR"})
    await own_home.settled()
    everything = [one["id"] for one in (await own_home.get(path, limit=500))["items"]]
    assert everything == sorted(everything, reverse=True)
    for limit in (1, 3, 500):
        assert [one["id"] for one in await pages(own_home, path, limit)] == everything


async def test_a_page_does_not_move_while_messages_come_in(own_home):
    first = await own_home.get("/api/v1/messages", limit=2)
    await own_home.send({"id": "new", "type": "other"})
    second = await own_home.get("/api/v1/messages", limit=2, cursor=first["next"])
    assert not {one["id"] for one in first["items"]} & {one["id"] for one in second["items"]}


async def test_messages_are_filtered(own_home):
    assert {one["type"] for one in (await own_home.get("/api/v1/messages", type="paid"))["items"]} == {"paid"}
    assert (await own_home.get("/api/v1/messages", source="signed"))["items"] == []


async def test_a_message_shows_its_event_and_its_deliveries(own_home):
    shown = await own_home.get("/api/v1/messages/msg_000001")
    assert shown["message"]["data"] == {"id": "1", "type": "paid", "total": 120, "currency": "EUR"}
    assert [(one["rule"], one["state"]) for one in shown["deliveries"]] == [("paid", "delivered")]
    assert "authorization" not in shown["message"]["meta"]["headers"]


async def test_a_message_with_half_a_surrogate_pair_can_be_shown(own_home):
    await own_home.send(b'{"id": "half", "type": "odd", "text": "\\ud800"}')
    for page, one in (("messages", "msg"), ("rejects", "rej")):
        for item in (await own_home.get(f"/api/v1/{page}"))["items"]:
            assert (await own_home.get(f"/api/v1/{page}/{item['id']}"))["id"].startswith(one)


async def test_numbers_of_any_size_are_shown(own_home):
    await own_home.send(b'{"id": "big", "type": "odd", "n": 123456789012345678901234567890, "f": 1e400}')
    newest = (await own_home.get("/api/v1/messages", limit=1))["items"][0]
    assert (await own_home.ask("GET", f"/api/v1/messages/{newest['id']}")).status_code == 200


async def test_a_reject_shows_why_and_its_bytes(own_home):
    listed = (await own_home.get("/api/v1/rejects"))["items"][0]
    shown = await own_home.get(f"/api/v1/rejects/{listed['id']}")
    assert shown["reason"] == listed["reason"] != ""
    assert base64.b64decode(shown["base64"]) == b"\xff\x00 no json"


async def test_a_delivery_shows_every_attempt(own_home):
    dead = (await own_home.get("/api/v1/deliveries", state="dead"))["items"][0]
    shown = await own_home.get(f"/api/v1/deliveries/{dead['id']}")
    attempt = shown["attempts"][0]
    assert (attempt["outcome"], attempt["status"], attempt["step_name"]) == ("refused", 422, "order")
    assert attempt["answer"]["body"] == '{"why":"no"}'
    assert shown["rule"] == "refunded"
    assert shown["reason"]


async def test_an_explanation_names_what_failed(own_home):
    explained = await own_home.get("/api/v1/messages/msg_000003/explain", rule="paid")
    rule = explained["rules"][0]
    assert not rule["matched"]
    assert "data.total is 5" in rule["why"]
    everything = await own_home.get("/api/v1/messages/msg_000001/explain")
    assert {one["rule"]: one["matched"] for one in everything["rules"]} == {"paid": True, "refunded": False}
    when = next(one for one in everything["rules"] if one["rule"] == "paid")["when"]
    assert any("EUR" in step["line"] for step in when)


async def test_a_dead_delivery_is_retried_as_its_next_run_with_the_same_key(own_home):
    dead = (await own_home.get("/api/v1/deliveries", state="dead"))["items"][0]["id"]
    answer = await own_home.ask("POST", f"/api/v1/deliveries/{dead}/retry", "operator")
    assert answer.status_code == 202
    assert answer.json() == {"id": dead[:-1] + "2", "of": dead}
    await own_home.settled()
    assert len({one.key for one in own_home.connector.calls[1:]}) == 1
    assert [one["id"] for one in (await own_home.get("/api/v1/deliveries", state="dead"))["items"]] == [
        answer.json()["id"],
        dead,
    ]


async def test_a_held_delivery_is_discarded_by_name_and_reason(own_home):
    shop = next(one for one in own_home.service.dispatch.connections() if one.name == "shop")
    shop.hold("401", now=1e12, wall=0.0)
    await own_home.send({"id": "later", "type": "paid", "total": 200, "currency": "EUR"})
    kept = None
    while kept is None:
        page = await own_home.get("/api/v1/deliveries", connection="shop")
        kept = next(
            (one["id"] for one in page["items"] if one["state"] not in ("running", "delivered", "dead")), None
        )
    answer = await own_home.ask(
        "POST", f"/api/v1/deliveries/{kept}/discard", "operator", json={"reason": "cancelled"}
    )
    assert answer.json() == {"id": kept, "state": "discarded", "reason": "discarded by operator: cancelled"}
    assert (await own_home.get(f"/api/v1/deliveries/{kept}"))["state"] == "discarded"


async def test_rules_say_what_happened_to_them(own_home):
    rules = {one["name"]: one for one in (await own_home.get("/api/v1/rules"))["items"]}
    assert rules["paid"]["matched"] == 1
    assert rules["paid"]["from"] == ["open"]
    assert rules["refunded"]["from"] is None
    assert rules["paid"]["steps"] == ["shop.order"]


async def test_connectors_list_their_operations_with_schemas(own_home):
    assert (await own_home.get("/api/v1/connectors"))["items"][0]["operations"] == 1
    assert (await own_home.get("/api/v1/connectors/shop/operations"))["items"][0]["id"] == "order"
    operation = await own_home.get("/api/v1/connectors/shop/operations/order")
    assert "body" in operation["input"]["properties"]
    shown = await own_home.get("/api/v1/connectors/shop")
    assert (shown["name"], shown["operations"]["all"]) == ("shop", 1)
    assert "keyed" in shown["connections"]


@pytest.mark.parametrize("connection", ["keyed", "basic"])
async def test_a_call_that_is_only_shown_has_its_secrets_masked(own_home, connection):
    answer = await own_home.ask(
        "POST",
        f"/api/v1/connections/{connection}/operations/order/call",
        "operator",
        json={"with": {"body": {"id": 1}}, "dry_run": True},
    )
    assert answer.status_code == 200, answer.text
    request = answer.json()["request"]
    assert (request["method"], request["body"]) == ("POST", '{"id":1}')
    assert "***" in json.dumps(request)
    assert "canary" not in answer.text


async def test_a_call_that_cannot_be_built_lists_all_problems(own_home):
    answer = await own_home.ask(
        "POST",
        "/api/v1/connections/keyed/operations/order/call",
        json={"with": {"bdy": 1, "x": 2}, "dry_run": True},
    )
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) >= 2


async def test_a_reload_takes_a_good_configuration_and_leaves_a_bad_one_alone(own_home):
    folder = own_home.service.settings.config.parent
    write(folder, {**CONFIGURATION, "rules": {"paid": {**CONFIGURATION["rules"]["paid"], "wen": "true"}}})
    answer = await own_home.ask("POST", "/api/v1/configuration/reload")
    assert answer.status_code == 422
    problem = answer.json()["errors"][0]
    assert (problem["code"], problem["fix"]) == ("unknown-field", "did you mean `when`?")
    assert problem["line"] >= 1
    assert (await own_home.get("/api/v1/configuration"))["rules"] == 2
    write(folder, {**CONFIGURATION, "rules": {"paid": CONFIGURATION["rules"]["paid"]}})
    answer = await own_home.ask("POST", "/api/v1/configuration/reload")
    assert answer.json() == {"ruleset": 2, "rules": 1}
    assert (await own_home.get("/api/v1/configuration"))["ruleset"] == 2


async def test_a_reload_that_changes_a_held_connection_releases_it(own_home):
    keyed = next(one for one in own_home.service.dispatch.connections() if one.name == "keyed")
    keyed.hold("401", now=0.0, wall=0.0)
    await own_home.service.reload()
    state = {one["name"]: one["state"] for one in (await own_home.get("/api/v1/connections"))["items"]}
    assert state["keyed"] == "held"
    own_home.service._environment = {**ENVIRONMENT, "KEY": "canary-new-key"}
    await own_home.service.reload()
    state = {one["name"]: one["state"] for one in (await own_home.get("/api/v1/connections"))["items"]}
    assert state["keyed"] == "ok"


async def test_no_answer_of_any_endpoint_holds_a_secret(own_home):
    seen = ""
    for path in own_home.app.openapi()["paths"]:
        for delivery in ("dlv_000001-1-1", "dlv_000002-2-1"):
            url = path.format(
                message="msg_000001", reject="rej_000001", delivery=delivery, connector="shop",
                connection="basic", operation="order", name="nobody", source="open", verb="restart",
            )  # fmt: skip
            seen += (await own_home.ask("GET", url)).text
            body = {"with": {"body": {}}, "dry_run": True} if url.endswith("/call") else None
            seen += (await own_home.ask("POST", url, json=body)).text
    assert '"method":"POST"' in seen
    assert "Basic ***" in seen
    for secret in (*ENVIRONMENT.values(), SECRET[6:], "canary", *own_home.tokens.values()):
        assert secret not in seen, secret
    assert base64.b64encode(b"shop:canary-password").decode() not in seen


async def test_what_a_held_connection_keeps_back_is_found_as_held(own_home):
    shop = next(one for one in own_home.service.dispatch.connections() if one.name == "shop")
    shop.hold("401: not taken", now=1e12, wall=0.0)
    for number in range(5):
        await own_home.send({"id": f"held-{number}", "type": "paid", "total": 200, "currency": "EUR"})
    held = []
    while len(held) < 5:
        held = (await own_home.get("/api/v1/deliveries", state="held", connection="shop"))["items"]
    assert {one["state"] for one in held} == {"held"}
    assert {one["reason"] for one in held} == {"connection shop is held: 401: not taken"}
    assert (await own_home.get("/api/v1/deliveries", state="waiting,pending"))["items"] == []
    assert [one["id"] for one in await pages(own_home, "/api/v1/deliveries", 2, state="held")] == [
        one["id"] for one in held
    ]
