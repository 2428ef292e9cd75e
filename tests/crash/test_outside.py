"""The proof of the promise for all kinds of source: the service is killed, and so are Kafka, RabbitMQ and PostgreSQL.

A third of KILLS (300 by default) is made here; docs/crash.md says how to read the verdict.
"""

import asyncio
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import journal
from tests.crash.campaign import Load, campaign, with_progress
from tests.crash.nemesis import Goals
from tests.crash.outside.beside import OUTSIDE, Beside
from tests.crash.outside.judge import judge
from tests.crash.outside.records import load
from tests.crash.outside.room import make_room
from tests.crash.outside.servers import FAULTS, Chaos, Servers
from tests.crash.product import Launcher
from tests.crash.verifier import Verdict, merge
from tests.servers import unique

KILLS = max(40, int(os.environ.get("KILLS") or 300) // 3)
EACH = max(3, KILLS // 33)
"""How often each point of these sources must have killed the service."""

FAULTS_EACH = max(2, KILLS // 50)
"""How often each server is killed, and how often frozen."""

ALSO = ("store.accept.inside", "store.accept.before_commit", "store.accept.after_commit", "dispatch.before_call", "dispatch.after_call")  # fmt: skip
"""Points on the way of their messages, too: those around a call are on the way of a publish."""

LOADS = ((Load(rate=6), 10.0), (Load(rate=12), 40.0))
"""Two services side by side: webhooks a second, and events of each other kind a second."""

DEADLINE = 600 + 6 * KILLS


@pytest.mark.timeout(DEADLINE + 60)
def test_keeps_its_promise_while_servers_and_service_are_killed(launcher, servers, tmp_path, capfd):
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    began = time.monotonic()

    def say(text: str) -> None:
        with capfd.disabled():
            print(text, flush=True)

    say(
        f"\ncrash: {KILLS} kills with all kinds of source, each of {len(OUTSIDE)} points {EACH} times, SEED={seed}, in {tmp_path}"
    )
    verdict = asyncio.run(_run(launcher, servers, tmp_path, seed, say))
    faults, meanwhile = _faults(tmp_path)
    say(json.dumps(verdict.shown() | {"faults": faults, "kills during faults": meanwhile}, indent=1))
    fewest = min(verdict.kills[point] for point in OUTSIDE)
    say(
        f"crash: {'the promise was kept' if verdict.clean else 'THE PROMISE WAS BROKEN'}: "
        f"{verdict.counts['confirmed']} confirmed, {verdict.breaches['lost']} lost, {verdict.counts['kills']} kills "
        f"(each point {fewest} times or more), {sum(faults.values())} faults of servers, {time.monotonic() - began:.0f} s"
    )
    assert verdict.clean, f"{dict(verdict.breaches)}; the evidence lies in {tmp_path}"
    assert verdict.counts["kills"] >= KILLS
    assert list(faults.values()) == [FAULTS_EACH] * len(FAULTS) * len(servers.all)
    assert meanwhile
    for kind in ("kafka", "rabbitmq", "postgres"):
        assert verdict.counts[f"looks at {kind}"] > KILLS // 3
    assert verdict.counts["snapshots"] > 1
    shutil.rmtree(tmp_path)


def _faults(path: Path) -> tuple[dict[str, int], int]:
    """Return how often each server had each fault, and how many kills of the service fell into one."""
    faults = list(journal.read(path / "chaos.jsonl"))
    counts = Counter(f"{one['fault']} {one['server']}" for one in faults)
    kills = [
        one["at"]
        for place in range(len(LOADS))
        for one in journal.read(path / str(place) / "nemesis.jsonl")
        if one["e"] == "kill"
    ]
    meanwhile = sum(any(one["at"] <= at <= one["over"] for one in faults) for at in kills)
    return dict(sorted(counts.items())), meanwhile


async def _run(
    first: Launcher, servers: Servers, path: Path, seed: int, say: Callable[[str], None]
) -> Verdict:
    """Run both campaigns and the chaos of servers, until their goals are done; judge each, return the sum."""
    goals = Goals((*OUTSIDE, *ALSO), EACH, KILLS, random.Random(seed))
    chaos = Chaos(servers, FAULTS_EACH, path / "chaos.jsonl", random.Random(seed + 9))
    await servers.start()
    rooms = [await make_room(unique(f"r{place}"), servers) for place in range(len(LOADS))]
    disturbing = asyncio.ensure_future(chaos.run())

    async def one(place: int, load_: Load, rate: float) -> Verdict:
        room = rooms[place]
        beside = Beside(room, servers, rate=rate, disturbed=disturbing)
        with first.another() as launcher:
            folder = await campaign(
                path / str(place), launcher, goals, load_, seed=seed + place, beside=beside
            )
        return await asyncio.to_thread(lambda: judge(load(folder.path)))

    async def both() -> list[Verdict]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(place, *load_)) for place, load_ in enumerate(LOADS)]
        return [task.result() for task in tasks]

    try:
        async with asyncio.timeout(DEADLINE):
            return merge(await with_progress(both(), goals, say), dict.fromkeys(OUTSIDE, EACH))
    finally:
        disturbing.cancel()
        await asyncio.wait([disturbing])
