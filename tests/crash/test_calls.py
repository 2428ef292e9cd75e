"""The proof of the promise for calls of several requests and for logins whose refresh tokens are replaced.

A fifth of KILLS (300 by default) is made here, beside those of the other tests; docs/crash.md says how to read the verdict.
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

from tests.crash.calls.beside import CALLS, Calls
from tests.crash.calls.judge import judge, load
from tests.crash.calls.mutants import MUTANTS
from tests.crash.campaign import Load, campaign, with_progress
from tests.crash.nemesis import RANDOM, Goals
from tests.crash.product import Launcher
from tests.crash.verifier import Verdict, merge

KILLS = max(60, int(os.environ.get("KILLS") or 300) // 5)
EACH = max(3, KILLS // 20)
"""How often each point of calls and logins must have killed the service."""

LOADS = (Load(rate=2, most=50), Load(rate=8, most=50), Load(rate=8, most=50))
"""Three services are killed side by side: one with little to do, two with as much as they can do between two kills, and no more: a backlog of hours is no proof."""

DEADLINE = 600 + 6 * KILLS

FOUND = {
    "token used first": (
        "ahead",
        ("login.granted", "call.etag", "call.page", "call.looked", "call.hook_answered"),
    ),
    "logins without turns": ("token lost", ("login.kept", "login.kept", "call.etag", "call.page")),
    "done when accepted": ("early", ("login.kept", "call.accepted", "call.accepted", "call.etag")),
}
"""As what each planted bug must be found, and at which points of a sound service it is killed, beside at random."""

MUTANT_KILLS = 7
ATTEMPTS = 4
"""Campaigns within which a bug must be found: on a busy machine hardly a token is renewed between two kills."""

MUTANT_DEADLINE = 600


@pytest.mark.timeout(DEADLINE + 60)
def test_keeps_its_promise_in_calls_of_several_requests_and_in_logins(launcher, tmp_path, capfd):
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    began = time.monotonic()

    def say(text: str) -> None:
        with capfd.disabled():
            print(text, flush=True)

    say(
        f"\ncrash: {KILLS} kills in calls and logins, each of {len(CALLS)} points {EACH} times, SEED={seed}, in {tmp_path}"
    )
    verdict = asyncio.run(_run(launcher, tmp_path, seed, say))
    say(json.dumps(verdict.shown(), indent=1))
    fewest = min(verdict.kills[point] for point in CALLS)
    say(
        f"crash: {'the promise was kept' if verdict.clean else 'THE PROMISE WAS BROKEN'}: "
        f"{verdict.counts['accepted']} accepted, {verdict.counts['tokens']} tokens, {verdict.counts['kills']} kills "
        f"(each point {fewest} times or more), {time.monotonic() - began:.0f} s"
    )
    assert verdict.clean, f"{dict(verdict.breaches)}; the evidence lies in {tmp_path}"
    assert verdict.counts["kills"] >= KILLS
    assert verdict.counts["refresh tokens lost by a kill or a cut answer"]
    assert verdict.counts["jobs done"]
    shutil.rmtree(tmp_path)


async def _run(first: Launcher, path: Path, seed: int, say: Callable[[str], None]) -> Verdict:
    """Run a campaign for each load, side by side, until their common goals are done; judge each, return the sum."""
    goals = Goals(CALLS, EACH, KILLS, random.Random(seed))

    async def one(place: int, load_: Load) -> Verdict:
        with first.another() as launcher:
            folder = await campaign(
                path / str(place), launcher, goals, load_, seed=seed + place, beside=Calls()
            )
        return await asyncio.to_thread(lambda: judge(load(folder.path)))

    async def both() -> list[Verdict]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(place, load_)) for place, load_ in enumerate(LOADS)]
        return [task.result() for task in tasks]

    async with asyncio.timeout(DEADLINE):
        return merge(await with_progress(both(), goals, say), dict.fromkeys(CALLS, EACH))


@pytest.fixture(scope="module")
def verdicts(launcher, tmp_path_factory):
    return asyncio.run(_planted(launcher, tmp_path_factory.mktemp("mutants")))


async def _planted(first: Launcher, path: Path) -> dict[str, Verdict]:
    """Plant all bugs at the same time, each in a service of its own."""

    async def one(mutant: str) -> Verdict:
        found, points = FOUND[mutant]
        for attempt in range(ATTEMPTS):
            seed = random.randrange(1_000_000)
            goals = Goals(
                (*points, *[RANDOM] * (MUTANT_KILLS - len(points))), 1, MUTANT_KILLS, random.Random(seed)
            )
            with first.another() as launcher:
                load_ = Load(rate=6, drain=10)
                name = f"{mutant.replace(' ', '-')}-{attempt}"
                folder = await campaign(
                    path / name, launcher, goals, load_, seed=seed, mutant=mutant, beside=Calls()
                )
            verdict = await asyncio.to_thread(lambda path=folder.path: judge(load(path)))
            if verdict.breaches[found]:
                break
        return verdict

    async with asyncio.timeout(MUTANT_DEADLINE), asyncio.TaskGroup() as group:
        tasks = {mutant: group.create_task(one(mutant)) for mutant in FOUND}
    return {mutant: task.result() for mutant, task in tasks.items()}


@pytest.mark.timeout(MUTANT_DEADLINE + 60)
@pytest.mark.parametrize("mutant", FOUND)
def test_finds_the_planted_bug(verdicts, mutant):
    assert mutant in MUTANTS
    assert verdicts[mutant].breaches[FOUND[mutant][0]], f"{mutant} was found as {verdicts[mutant].shown()}"
