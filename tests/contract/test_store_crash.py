"""The embedded store keeps its promises when its process is killed at its own crash points.

A child works and writes down, in a file of its own, what it was told; it kills itself at a point. The next
child finds the data as it was left. The whole service's crash suite is `tests/crash`.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.delivery import State
from service.store.base import RunKey
from service.store.sqlite import SQLiteStore
from tests.contract.store_contract import T0, ended, entry, pending, running, settle
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
POINTS = [
    *(f"store.{verb}.{place}" for verb in ("accept", "settle") for place in ("before", "inside", "before_commit", "after_commit")),
    "store.claim.before", "store.claim.inside", "store.claim.after_commit",
    "release.before_commit", "release.after_commit",
    *(f"recovery.{place}" for place in ("before", "inside", "before_commit", "after_commit")),
    *(f"migration.{place}" for place in ("before", "inside", "before_commit", "after_commit")),
]  # fmt: skip


async def work(directory: Path, ledger: Path) -> None:
    """Accept, settle, claim and retry for a while; what was acknowledged is in the ledger, on disk."""
    from service.crashpoints import reached

    store = SQLiteStore(directory, reached=reached, clock_ms=lambda: T0, on_fatal=lambda _error: os._exit(9))
    await store.open()
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(*line: object) -> None:
        os.write(descriptor, json.dumps(line).encode() + b"\n")

    first = int.from_bytes(os.urandom(6), "big")
    for turn in range(6):
        stored = [asyncio.get_running_loop().create_future() for _ in range(5)]
        for place, future in enumerate(stored):
            name = f"{first}/{turn}/{place}"
            run = [running(), pending(), running(mode="queued", key=b"k")][place % 3]
            store.accept(entry(name, run), future.set_result)
        for place, future in enumerate(stored):
            verdict = await future
            note("accepted", verdict.number, f"{first}/{turn}/{place}")
            if verdict.states == (State.RUNNING,):
                key = RunKey(verdict.number, 1, 1)
                if await settle(store, ended(key)):
                    note("delivered", verdict.number)
        for claimed in await store.claim({1: 2}, T0):
            if await settle(store, ended(claimed.key, claimed.number, attempt=None)):
                note("delivered", claimed.key.message)
        if turn == 3:
            await store.next_run(RunKey(1, 1, 1), generation=1 + store.epoch, now=T0, by="test")
    await store.close()


def child(directory: Path, ledger: Path, crash: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", __name__, str(directory), str(ledger)],
        env={**os.environ, "POINTSMAN_CRASH": crash, "PYTHONPATH": str(ROOT)}, cwd=ROOT, check=False, timeout=PATIENCE,
    ).returncode  # fmt: skip


async def check(directory: Path, told: str) -> None:
    """Compare what the store has with what it told: nothing acknowledged is missing, nothing hangs."""
    lines = [json.loads(line) for line in told.splitlines()]
    store = SQLiteStore(
        directory, reached=lambda _point: None, clock_ms=lambda: T0, on_fatal=lambda _error: None
    )
    await store.open()
    rows = {}
    for row in reversed((await store.deliveries(limit=1000)).rows):
        rows.setdefault(row["message"], row)
    for what, number, *name in lines:
        if what == "accepted":
            assert (await store.message(number))["record"] == f"record of {name[0]}".encode()
        else:
            assert rows[number]["state"] is State.DELIVERED
    assert not [row for row in rows.values() if row["state"] is State.RUNNING]
    while claimed := await store.claim({1: 100}, T0):
        for one in claimed:
            assert await settle(store, ended(one.key, one.number))
    assert store.health().unfinished == 0
    assert (await store.counts())["pending"] == 0
    await store.close()


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_nothing_acknowledged_is_lost(tmp_path, point):
    directory, ledger = tmp_path / "data", tmp_path / "ledger"
    ledger.touch()
    hit = 3 if point.startswith("store") else 1
    assert child(directory, ledger, f"{point}:{hit}") == -signal.SIGKILL
    asyncio.run(check(directory, ledger.read_text()))


def test_killed_again_and_again_while_recovering_nothing_is_lost(tmp_path):
    directory, ledger = tmp_path / "data", tmp_path / "ledger"
    ledger.touch()
    for point in (
        "store.settle.inside:4",
        "recovery.inside:1",
        "recovery.before_commit:1",
        "recovery.after_commit:1",
    ):
        assert child(directory, ledger, point) == -signal.SIGKILL
    asyncio.run(check(directory, ledger.read_text()))


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2])))
