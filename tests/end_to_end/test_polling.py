"""Polls and schedules in a whole service: from a backend's list and a clock through a rule to a backend's operation."""

import contextlib
import json
import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.backend import Act, Backend, Call, backend
from tests.end_to_end.instance import document, instance, process, step, until

POLL = {"kind": "poll", "call": "shop.get", "every": "1s", "item_id": "item.id", "first": "emit"}
TICK = {"kind": "schedule", "every": "1s", "misfire": "all"}


class Shop:
    """Lists its items at /get, the newest first, and takes what comes at /one."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.state = ""

    def __call__(self, call: Call) -> Act:
        if call.method == "GET":
            return Act(body=json.dumps([{"id": item} for item in reversed(self.items)]).encode())
        return Act()


def content(shop: Backend, **sources: dict[str, Any]) -> dict[str, Any]:
    tick = {"call": "shop.one", "with": {"body": {"tick": "${event.id}"}}}
    rules = {"items": {"from": ["orders"], "do": [step()]}, "ticks": {"from": ["clock"], "do": [tick]}}
    return document(
        shop.url,
        sources=sources,
        rules={name: rule for name, rule in rules.items() if rule["from"][0] in sources},
    )


def taken(shop: Backend, name: str) -> Counter[Any]:
    """Return what reached /one, each call with its idempotency key counted once."""
    seen = {(call.json[name], call.key) for call in shop.calls if call.method == "POST" and name in call.json}
    return Counter(value for value, _ in seen)


async def test_new_items_go_through_a_rule_to_an_operation(tmp_path: Path) -> None:
    async with backend() as shop:
        shop.decide = orders = Shop()
        async with instance(tmp_path, content(shop, orders=POLL)) as it:
            orders.items = [1, 2]
            await until(lambda: set(taken(shop, "id")) == {1, 2}, "the first items")
            orders.items = [1, 2, 3]
            await until(lambda: set(taken(shop, "id")) == {1, 2, 3}, "the new item")
            assert (await it.admin("GET", "/api/v1/sources")).status_code == 200
        async with instance(tmp_path, content(shop, orders=POLL)):
            orders.items = [2, 3, 4]
            await until(lambda: 4 in taken(shop, "id"), "what came while nothing ran")
    assert taken(shop, "id") == Counter({1: 1, 2: 1, 3: 1, 4: 1})


async def test_a_schedule_fires_through_a_rule_and_catches_up(tmp_path: Path) -> None:
    async with backend() as shop:
        for _ in range(2):
            async with instance(tmp_path, content(shop, clock=TICK)):
                before = len(taken(shop, "tick"))
                await until(lambda before=before: len(taken(shop, "tick")) >= before + 2, "two ticks")
            last = time.monotonic()
        await until(lambda: time.monotonic() > last + 1.5, "a time is missed")
        async with instance(tmp_path, content(shop, clock=TICK)):
            before = len(taken(shop, "tick"))
            await until(lambda: len(taken(shop, "tick")) >= before + 3, "missed and new ticks")
    ticks = taken(shop, "tick")
    assert set(ticks.values()) == {1}
    times = sorted(datetime.fromisoformat(name.removeprefix("clock/")) for name in ticks)
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(seconds=1)}


@pytest.mark.parametrize("point", ["poll.answered", "poll.stored", "schedule.due", "schedule.stored"])
async def test_a_kill_at_any_point_loses_nothing_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    async with backend() as shop:
        shop.decide = orders = Shop()
        orders.items = [1, 2]
        said = content(shop, orders={**POLL, "state": "{'n': size(items)}"}, clock=TICK)
        with contextlib.suppress(AssertionError):  # killed before it has said that it runs
            async with process(tmp_path, said, environment={"POINTSMAN_CRASH": f"{point}:2"}) as killed:
                orders.items = [1, 2, 3]
                assert await killed.process.wait() == -9
        orders.items = [1, 2, 3, 4]
        async with process(tmp_path, said) as it:
            await until(lambda: {1, 2, 3, 4} <= set(taken(shop, "id")), "all items")
            before = len(taken(shop, "tick"))
            await until(lambda: len(taken(shop, "tick")) >= before + 2, "ticks")
            assert await it.stop() == 0
    assert taken(shop, "id") == Counter({1: 1, 2: 1, 3: 1, 4: 1})
    assert set(taken(shop, "tick").values()) == {1}
