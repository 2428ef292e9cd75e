"""One run of the suite: a generator, a ledger and a nemesis around a service; then the time to drain; then the verdict."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.crash import history
from tests.crash.folder import Folder, free_port
from tests.crash.nemesis import Goals, Nemesis
from tests.crash.product import READY, ROOT, Launcher

LOOK = 0.1
"""Seconds between two looks at the backlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is sent, and how long the backlog may take to drain after the last restart."""

    rate: float  # messages a second
    drain: float = 20.0  # seconds


async def campaign(
    path: Path, launcher: Launcher, goals: Goals, load: Load, *, seed: int, mutant: str = ""
) -> history.History:
    """Run and return what happened. Every process started here has ended when this returns."""
    folder = Folder(path, free_port())
    folder.make()
    ledger = await _start("ledger", {"journal": str(folder.journal("ledger")), "seed": seed})
    try:
        folder.ledger_port = int(await _first_line(ledger))
        folder.write_config(1)
        nemesis = Nemesis(folder, launcher, goals, seed=seed, mutant=mutant)
        generator = await _start(
            "generator",
            {
                "journal": str(folder.journal("generator")),
                "port": folder.port,
                "rate": load.rate,
                "seed": seed,
                "secrets": folder.secrets,
                "run": f"s{seed}",
                "drain": load.drain,
            },
        )
        try:
            await nemesis.run()
            await _drain(nemesis, generator, folder, load.drain)
        finally:
            await _end(generator)
            if nemesis.product is not None:
                await nemesis.product.kill()
            nemesis.journal.close()
    finally:
        await _end(ledger)
    return await asyncio.to_thread(history.load, path)


async def _drain(
    nemesis: Nemesis, generator: asyncio.subprocess.Process, folder: Folder, seconds: float
) -> None:
    """Start once more, bring everything that was begun to its acknowledgement, and let the backlog drain."""
    deadline = time.monotonic() + seconds
    product = await nemesis.start()
    if not await product.until(READY, within=seconds):
        raise RuntimeError(f"the service did not come back: see {folder.path / 'service.log'}")
    await _end(generator, max(0.1, deadline - time.monotonic()))
    connection = history.connect(folder.data / "pointsman.db")
    try:
        while history.unfinished(connection) and time.monotonic() < deadline and not product.ended:
            await product.until(within=LOOK)
    finally:
        connection.close()
    await nemesis.stop()


async def _start(name: str, options: Mapping[str, Any]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.crash.{name}",
        msgspec.json.encode(options).decode(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def _first_line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(15):
        return await process.stdout.readline()


async def _end(process: asyncio.subprocess.Process, within: float = 5.0) -> None:
    """Ask a process to end by closing its input; kill it when it does not."""
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(within):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def with_progress(
    work: Awaitable[Any], goals: Goals, say: Callable[[str], None], every: float = 10.0
) -> Any:
    """Await work and say every few seconds how far it is."""
    began = time.monotonic()
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=every)
            points = sum(point != "random" for point in goals.kills)
            say(
                f"  {time.monotonic() - began:4.0f} s: {goals.done} of {goals.total} kills, at {points} points and at random"
            )
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    return task.result()
