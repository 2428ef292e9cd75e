"""The suite tried on itself, for the other sources: five planted bugs, each of which it must find as what it is.

All run at the same time, each with a service and a room of its own; nobody disturbs the servers meanwhile.
"""

import asyncio
import random
from pathlib import Path

import pytest

from tests.crash.campaign import Load, campaign
from tests.crash.nemesis import Goals
from tests.crash.outside.beside import Beside
from tests.crash.outside.judge import judge
from tests.crash.outside.mutants import MUTANTS, TROUBLE
from tests.crash.outside.records import load
from tests.crash.outside.room import make_room
from tests.crash.outside.servers import Servers
from tests.crash.product import Launcher
from tests.crash.verifier import Verdict
from tests.patience import PATIENCE
from tests.servers import unique

AROUND = ("source.before_emit", "source.after_emit", "store.accept.before_commit") * 2
WITHIN = ("store.accept.before", "store.accept.inside", "store.accept.before_commit") * 4
"""Points of a sound service's ordinary way. A planted bug must show by what it does, not by how it was planted."""

KILLS = 6

FOUND = {
    "kafka commits first": ("kafka", AROUND, {"ahead", "lost"}),
    "rabbitmq acknowledges first": ("rabbitmq", AROUND, {"ahead", "lost"}),
    "postgres confirms first": ("postgres", AROUND * 2, {"trouble"}),  # the source tells the gap itself
    "positions apart": ("postgres", WITHIN, {"lost"}),
    "emit error swallowed": ("rabbitmq", AROUND, {"lost"}),
    TROUBLE: ("rabbitmq", AROUND, set()),
}
"""With which kind of source each bug is tried, at which points, and as what it must be found; nothing: no bug."""

DEADLINE = 900  # ends what never ends; calm, all take half a minute


@pytest.fixture(scope="module")
def verdicts(launcher, servers, tmp_path_factory):
    return asyncio.run(_all(launcher, servers, tmp_path_factory.mktemp("mutants")))


async def _all(first: Launcher, servers: Servers, path: Path) -> dict[str, Verdict]:
    async def one(mutant: str, kind: str, points: tuple[str, ...]) -> Verdict:
        room = await make_room(unique("m"), servers, (kind,))
        seed = random.randrange(1_000_000)
        goals = Goals(points, 1, KILLS, random.Random(seed))
        # Without a bug it ends when nothing is left; with one it may never, and nobody waits long.
        drain = Load(rate=0, drain=PATIENCE if mutant == TROUBLE else 4)
        with first.another() as launcher:
            folder = await campaign(
                path / room.name, launcher, goals, drain, seed=seed, mutant=mutant, beside=Beside(room, servers, rate=30)
            )  # fmt: skip
        return await asyncio.to_thread(lambda: judge(load(folder.path)))

    await servers.start()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        tasks = {mutant: group.create_task(one(mutant, *FOUND[mutant][:2])) for mutant in MUTANTS}
    return {mutant: task.result() for mutant, task in tasks.items()}


@pytest.mark.timeout(DEADLINE + 30)
@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant != TROUBLE])
def test_finds_the_planted_bug_of_a_source(verdicts, mutant):
    verdict = verdicts[mutant]
    found = {kind for kind, count in verdict.breaches.items() if count}
    assert FOUND[mutant][2] <= found, f"{mutant} was found as {verdict.shown()}"
    for trouble in verdict.samples.get("trouble", ()):
        assert "slot-ahead" in trouble, f"{mutant} was found as {verdict.shown()}"


@pytest.mark.timeout(DEADLINE + 30)
def test_a_store_in_trouble_is_no_bug(verdicts):
    verdict = verdicts[TROUBLE]
    assert verdict.clean, verdict.shown()
    assert verdict.counts["from jobs"] > KILLS
