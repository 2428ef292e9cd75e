"""The proof of the promise: hundreds of kills of the real service, at every crash point and at random instants.

Two thirds of KILLS (300 by default) are made here, by webhooks alone; `test_outside` makes the others.
"""

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service import crashpoints
from tests.crash import history
from tests.crash.calls.beside import CALLS
from tests.crash.campaign import Load, campaign, with_progress
from tests.crash.nemesis import Goals
from tests.crash.outside.beside import OUTSIDE
from tests.crash.product import Launcher
from tests.crash.verifier import Verdict, merge, verify

KILLS = int(os.environ.get("KILLS") or 300) * 2 // 3
EACH = max(5, KILLS // 40)
"""How often each point must have killed the service."""

POINTS = tuple(point for point in crashpoints.POINTS if point not in {*OUTSIDE, *CALLS})
"""The points on the way of a webhook, and of the service itself; the others are for `test_outside` and `test_calls`."""

LOADS = (Load(rate=40), Load(rate=250))
"""Two services are killed side by side: one with little to do, one with much."""

DEADLINE = 600 + 3 * KILLS
"""Seconds for everything; it takes about half a second a kill."""


@pytest.mark.timeout(DEADLINE + 60)
def test_keeps_its_promise_through_kills_at_every_point_and_at_random(launcher, tmp_path, capfd):
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    began = time.monotonic()

    def say(text: str) -> None:
        with capfd.disabled():
            print(text, flush=True)

    say(f"\ncrash: {KILLS} kills, each of {len(POINTS)} points {EACH} times, SEED={seed}, in {tmp_path}")
    verdict = asyncio.run(_run(launcher, tmp_path, seed, say))
    say(json.dumps(verdict.shown(), indent=1))
    fewest = min(verdict.kills[point] for point in POINTS)
    say(
        f"crash: {'the promise was kept' if verdict.clean else 'THE PROMISE WAS BROKEN'}: "
        f"{verdict.counts['accepted']} accepted, {verdict.breaches['lost']} lost, {verdict.counts['kills']} kills "
        f"(each point {fewest} times or more), {time.monotonic() - began:.0f} s"
    )
    assert verdict.clean, f"{dict(verdict.breaches)}; the evidence lies in {tmp_path}"
    assert verdict.counts["kills"] >= KILLS
    assert verdict.counts["accepted"] > KILLS
    shutil.rmtree(tmp_path)


async def _run(first: Launcher, path: Path, seed: int, say: Callable[[str], None]) -> Verdict:
    """Run a campaign for each load, side by side, until their common goals are done; judge each, return the sum."""
    goals = Goals(POINTS, EACH, KILLS, random.Random(seed))

    async def one(place: int, load: Load) -> Verdict:
        with first.another() as launcher:
            folder = await campaign(path / str(place), launcher, goals, load, seed=seed + place)
        return await asyncio.to_thread(lambda: verify(history.load(folder.path)))

    async def both() -> list[Verdict]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(place, load)) for place, load in enumerate(LOADS)]
        return [task.result() for task in tasks]

    async with asyncio.timeout(DEADLINE):
        return merge(await with_progress(both(), goals, say), dict.fromkeys(POINTS, EACH))
