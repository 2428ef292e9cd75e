"""One run of the suite: a generator, a ledger and a nemesis around a service; then the time to drain; then the verdict."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from tests.crash import history
from tests.crash.folder import Folder, Room, free_port
from tests.crash.journal import Journal
from tests.crash.nemesis import STARTING, Goals, Nemesis
from tests.crash.product import READY, ROOT, Launcher, Product
from tests.patience import PATIENCE

LOOK: Final = 0.1
"""Seconds between two looks at the backlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is sent, with how large a backlog at most, and how long that may take to drain after the last restart."""

    rate: float  # webhooks a second; 0: none
    drain: float = PATIENCE  # seconds
    most: int = 0  # runs that have not ended; 0: any


class Beside(Protocol):
    """What a campaign has beside webhooks and the ledger. The methods are called in this order."""

    room: Room
    kinds: Mapping[str, int]
    """Which webhooks are sent, by weight; empty: the usual ones."""

    async def begin(self, folder: Folder, *, seed: int) -> None:
        """Start what the configuration speaks of; it is written afterwards."""

    def nemesis(self, folder: Folder, launcher: Launcher, goals: Goals, *, seed: int, mutant: str) -> Nemesis:
        """Return who kills the service."""

    async def senders(self, folder: Folder, *, seed: int, drain: float) -> list[asyncio.subprocess.Process]:
        """Start who sends other things than webhooks."""

    async def calm(self, product: Product) -> None:
        """Disturb no more: the service was started for the last time."""

    async def taken(self, product: Product, deadline: float) -> None:
        """Wait until everything outside is in the store, or the time is up."""

    async def gather(self) -> None:
        """Write down what there is to know, once the service has stopped."""

    async def close(self) -> None:
        """Let go of everything, also where the campaign has failed."""


async def campaign(
    path: Path,
    launcher: Launcher,
    goals: Goals,
    load: Load,
    *,
    seed: int,
    mutant: str = "",
    beside: Beside | None = None,
) -> Folder:
    """Run, and return the folder with what happened. Every process started here has ended when this returns."""
    folder = Folder(path, free_port(), room=beside.room if beside is not None else None)
    folder.make()
    ledger = await start(
        "ledger",
        {"journal": str(folder.journal("ledger")), "items": str(folder.journal("items")), "seed": seed},
    )
    senders: list[asyncio.subprocess.Process] = []
    try:
        folder.ledger_port = int(await first_line(ledger))
        if beside is not None:
            await beside.begin(folder, seed=seed)
        folder.write_config(1)
        nemesis = (beside.nemesis if beside is not None else Nemesis)(
            folder, launcher, goals, seed=seed, mutant=mutant
        )
        try:
            if load.rate:
                kinds = beside.kinds if beside is not None else {}
                senders.append(await start("generator", _generator(folder, load, seed, kinds)))
            else:
                journal = Journal(folder.journal("generator"))
                journal.write(e="end", at=time.time(), open=0)
                journal.close()
            if beside is not None:
                senders += await beside.senders(folder, seed=seed, drain=load.drain)
            await nemesis.run()
            await _drain(nemesis, senders, folder, load.drain, beside)
        finally:
            await asyncio.gather(*map(end, senders))
            if nemesis.product is not None:
                await nemesis.product.kill()
            nemesis.journal.close()
    finally:
        if beside is not None:
            await beside.close()
        await end(ledger)
    return folder


def _generator(folder: Folder, load: Load, seed: int, kinds: Mapping[str, int]) -> dict[str, Any]:
    """Return what the generator of webhooks is told."""
    return {
        "journal": str(folder.journal("generator")),
        "port": folder.port,
        "rate": load.rate,
        "seed": seed,
        "secrets": folder.secrets,
        "run": f"s{seed}",
        "drain": load.drain,
        "kinds": dict(kinds),
        "database": str(folder.data / "pointsman.db"),
        "most": load.most,
    }


async def _drain(
    nemesis: Nemesis,
    senders: list[asyncio.subprocess.Process],
    folder: Folder,
    seconds: float,
    beside: Beside | None,
) -> None:
    """Start once more, bring everything that was begun to its acknowledgement, and let the backlog drain."""
    product = await nemesis.start()
    if not await product.until(READY, within=STARTING):
        raise RuntimeError(f"the service did not come back: see {folder.path / 'service.log'}")
    if beside is not None:
        await beside.calm(product)
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(end(sender, seconds) for sender in senders))
    if beside is not None:
        await beside.taken(product, deadline)
    connection = history.connect(folder.data / "pointsman.db")
    try:
        while history.unfinished(connection) and time.monotonic() < deadline and not product.ended:
            await product.until(within=LOOK)
    finally:
        connection.close()
    await nemesis.stop()
    if beside is not None:
        await beside.gather()


async def start(name: str, options: Mapping[str, Any]) -> asyncio.subprocess.Process:
    """Start a process of the suite's own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.crash.{name}",
        msgspec.json.encode(options).decode(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def first_line(process: asyncio.subprocess.Process) -> bytes:
    """Return what a process says first."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return await process.stdout.readline()


async def end(process: asyncio.subprocess.Process, within: float = 5.0) -> None:
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
