"""Rules that cost much, and many of them: the work for one message is bounded and other rules do not notice."""

import time
from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from tests.end_to_end.backend import backend
from tests.end_to_end.instance import document, instance, step, until
from tests.patience import SLACK

LIST = "data.many"


def _bombs() -> dict[str, str]:
    """Return conditions that would cost seconds or more if nobody counted."""
    nested = LIST
    for depth in range(6):
        nested = f"{LIST}.map(v{depth}, {nested})" if depth else f"{LIST}.map(v, v)"
    return {
        "nested": f"size({nested}) > 0",
        "all": f"{LIST}.all(a, {LIST}.all(b, {LIST}.all(c, {LIST}.all(d, a + b + c + d >= 0))))",
        "doubled": " || ".join(f"size(data.text + data.text) == {n}" for n in range(50)),
        "grown": "size(" + "data.text.replace('a', data.text)" + ".replace('a', data.text)) > 0",
        "split": "size(data.text.split('').map(x, data.text.split(''))) > 0",
        "matched": "data.text.matches('^(a|a)*$') && data.text.matches('(a*)*b') && data.text.matches('(.*)(.*)(.*)(.*)x')",
        "deep": "(" * 60 + "true" + ")" * 60,
        "failing": "data.nothing.here > 1 / 0",
    }


def _rules() -> dict[str, Any]:
    rules: dict[str, Any] = {
        f"bomb-{name}": {"from": ["web"], "when": text, "do": [step("shop.one")]}
        for name, text in _bombs().items()
    }
    for place in range(10):
        rules[f"wild-{place}"] = {
            "from": ["web"], "match": {"data": {"text": [{"wildcard": f"*a*aa*b{place}"}]}}, "do": [step("shop.one")]
        }  # fmt: skip
    rules["sound"] = {"from": ["web"], "when": "data.many[1] == 1", "do": [step("shop.two")]}
    rules["plain"] = {
        "from": ["web"],
        "match": {"data": {"text": [{"prefix": "aaa"}]}},
        "do": [step("shop.two")],
    }
    return rules


async def test_bombs_in_rules_are_bounded_for_each_message_and_touch_no_other_rule(tmp_path: Path) -> None:
    data = {"text": "a" * 20_000, "many": list(range(200))}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_rules())) as it:
        started = time.monotonic()
        message = await it.send(data)
        took = time.monotonic() - started
        assert took < 2.0 + SLACK
        await shop.called(2, "/two")
        rows = {row["rule"] for row in await it.deliveries(message=message)}
        assert {"sound", "plain"} <= rows
        assert "bomb-nested" not in rows
        assert "bomb-all" not in rows
        assert not [name for name in rows if name.startswith("wild")]
        listed = (await it.admin("GET", "/api/v1/rules")).json()["items"]
        counts = {one["name"]: (one["when_errors"], one["last_when_errors"]) for one in listed}
        for name in ("bomb-nested", "bomb-all", "bomb-failing"):
            assert counts[name][0] == 1, name
            assert counts[name][1][0]["error"], name
        explained = await it.admin("GET", f"/api/v1/messages/{message}/explain")
        assert explained.status_code == 200
        assert {one["rule"] for one in explained.json()["rules"]} == set(_rules())
        for number in range(20):
            await it.send({"text": "short", "many": [0, 1], "n": number})
        await shop.called(22, "/two")


async def test_a_wildcard_that_could_cost_too_much_is_refused_before_it_is_in_force(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        rule = {"from": ["web"], "match": {"data": {"text": [{"wildcard": "*" + "*".join("a" * 12) + "*b"}]}}}
        with pytest.raises(Invalid, match="too complex"):
            await it.reload(document(shop.url, rules={"wild": {**rule, "do": [step()]}}))
        assert (await it.ended(await it.send({"a": 1})))["rule"] == "all"


async def test_one_message_fans_out_to_a_thousand_rules(tmp_path: Path) -> None:
    rules = {f"r{number}": {"from": ["web"], "do": [step()]} for number in range(1000)}
    async with (
        backend() as shop,
        instance(tmp_path, document(shop.url, rules=rules), max_in_memory=200) as it,
    ):
        message = await it.send({"a": 1})
        await it.send({"a": 2})
        await shop.called(2000)

        async def all_delivered() -> bool:
            counts = await it.service.store.counts()
            return not any(count for state, count in counts.items() if "/" not in state)

        await until(all_delivered, "the end of every delivery")
        assert len(shop.calls) == 2000
        assert len({call.key for call in shop.calls}) == 2000
        shown = (await it.admin("GET", f"/api/v1/messages/{message}")).json()
        assert {one["state"] for one in shown["deliveries"]} == {"delivered"}
        assert len(shown["deliveries"]) == 1000


async def test_a_rule_per_message_shape_never_slows_the_others_down(tmp_path: Path) -> None:
    """Keys with dots, empty keys, prototype-like keys: patterns over them match what they say and nothing else."""
    keys = ["", "a.b", "__proto__", "constructor", "$ref", "\u0000", "é", '"', "\\", "data", "meta", "exists"]
    rules = {
        f"k{place}": {"from": ["web"], "match": {"data": {key: ["x"]}}, "do": [step()]}
        for place, key in enumerate(keys)
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        for place, key in enumerate(keys):
            message = await it.send({key: "x"})
            done = await it.ended(message)
            assert (done["rule"], done["state"]) == (f"k{place}", "delivered")
            assert len(await it.deliveries(message=message)) == 1
