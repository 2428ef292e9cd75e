"""The suite tried on itself: five planted bugs, each of which it must find at low and at high load, and on no bug nothing."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.crash import history
from tests.crash.campaign import Load, campaign
from tests.crash.mutants import MUTANTS
from tests.crash.nemesis import RANDOM, Goals
from tests.crash.product import Launcher
from tests.crash.verifier import Verdict, verify
from tests.patience import PATIENCE

POINTS = (
    "dispatch.before_call",
    "dispatch.after_call",
    "dispatch.retry_scheduled",
    "dispatch.between_steps",
    "store.accept.after_commit",
)
"""Points of a sound service's ordinary way. A planted bug must show by what it does, not by how it was planted."""

KILLS = 10
DEADLINE = 900  # ends what never ends; calm, all take half a minute
RATES = {"low": 15, "high": 250}

FOUND = {
    "2xx before commit": "lost",
    "done before send": "lost",
    "new key per attempt": "other key",
    "lost retry time": "pending",
    "no order per key": "order",
}
"""As what each bug must be found: a bug that is found as something else is not understood."""


@pytest.fixture(scope="module")
def launchers(launcher):
    with launcher.another() as one, launcher.another() as other:
        yield dict(zip(RATES, (one, other), strict=True))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_finds_the_planted_bug_at_low_and_at_high_load(launchers, tmp_path, mutant):
    for load, verdict in asyncio.run(_both(launchers, tmp_path, mutant)).items():
        assert not verdict.clean, f"at {load} load {mutant} was not found: {verdict.shown()}"
        assert verdict.breaches[FOUND[mutant]], (
            f"at {load} load {mutant} was found as {dict(verdict.breaches)}"
        )


def test_finds_nothing_where_no_bug_is_planted(launchers, tmp_path):
    for load, verdict in asyncio.run(_both(launchers, tmp_path, "")).items():
        assert verdict.clean, f"at {load} load: {verdict.shown()}"
        assert verdict.counts["kills"] >= KILLS


async def _both(launchers: dict[str, Launcher], path: Path, mutant: str) -> dict[str, Verdict]:
    """Run at both loads, side by side."""

    async def one(name: str, rate: float) -> Verdict:
        # Without a bug it ends when nothing is left; with one it may never, and nobody waits long.
        load = Load(rate=rate, drain=4 if mutant else PATIENCE)
        seed = random.randrange(1_000_000)
        goals = Goals((*POINTS, *[RANDOM] * (KILLS - len(POINTS))), 1, KILLS, random.Random(seed))
        folder = await campaign(path / name, launchers[name], goals, load, seed=seed, mutant=mutant)
        return verify(history.load(folder.path))

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(one(name, rate)) for name, rate in RATES.items()}
    return {name: task.result() for name, task in tasks.items()}
