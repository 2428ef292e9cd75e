"""Explanations of stored messages: the same verdict as at acceptance, and why."""

from typing import Any

import pytest

from service.errors import NotFound
from service.usecases.desk import Desk
from service.usecases.explaining import explain
from tests.integration.engine_room import engine_room

DO = [{"call": "shop.one"}]
BOMB = "data.n.all(a, data.n.all(b, data.n.all(c, a + b + c >= 0)))"


async def test_every_rule_says_why_it_did_or_did_not_match(tmp_path) -> None:
    rules: dict[str, dict[str, Any]] = {
        "paused": {"paused": True},
        "elsewhere": {"from": ["pointsman"]},
        "other": {"match": {"data": {"total": [5]}}},
        "small": {"when": "data.total > 100.0 || data.total < 0.0"},
        "lost": {"when": "data.totl > 100.0"},
        "bomb": {"when": BOMB},
        "plain": {"when": "data.total == 99.5"},
        "all": {},
    }
    async with engine_room(tmp_path, working=False) as room:
        await room.use({name: {**rule, "do": DO} for name, rule in rules.items()})
        accepted = await room.send({"total": 99.5, "n": list(range(1000))})
        desk = Desk(room.store, room.rulesets, clock_ms=room.clock)
        explained = await explain(desk, accepted.ids[0])
        born = {row["rule"] for row in await room.runs()}
        verdicts = {one["rule"]: (one["matched"], one["why"]) for one in explained["rules"]}
        assert verdicts == {
            "paused": (False, "the rule is paused"),
            "elsewhere": (False, "`from` takes pointsman; the message came from web"),
            "other": (False, "data.total is 99.5; would match: 5"),
            "small": (False, "`when` is not true: data.total < 0.0 → 99.5 < 0.0 → false"),
            "lost": (False, "`when` failed: no such key: `totl`; did you mean `total`?"),
            "bomb": (False, "`when` failed: the expression does too much work: its budget is used up"),
            "plain": (True, "every condition holds"),
            "all": (True, "every condition holds"),
        }
        assert len(born) == 2
        counts = {
            room.intake.ruleset.by_number[number].name: one for number, one in room.intake.rules.items()
        }
        assert {name: (one.matched, one.when_errors) for name, one in counts.items()} == {
            "lost": (0, 1), "bomb": (0, 1), "plain": (1, 0), "all": (1, 0)
        }  # fmt: skip
        only = await explain(desk, accepted.ids[0], "plain")
        assert [one["rule"] for one in only["rules"]] == ["plain"]
        with pytest.raises(NotFound, match="did you mean plain"):
            await explain(desk, accepted.ids[0], "plan")
