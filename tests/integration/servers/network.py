"""A network that is cut: packets to and from one local port are dropped, and nobody is told (F26, F41).

Only root may do that, with `iptables` and on a kernel that has it; elsewhere a test is skipped with the reason.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest


def uncuttable() -> str:
    """Return why packets cannot be dropped here, "" when they can."""
    if os.geteuid() != 0:
        return "dropping packets needs root"
    return "" if shutil.which("iptables") else "dropping packets needs iptables"


def deaf(port: int) -> AbstractAsyncContextManager[None]:
    """Drop what goes to a server's port."""
    return _dropping(["INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port), "-j", "DROP"])


def cut(port: int, *, spared: int) -> AbstractAsyncContextManager[None]:
    """Drop what goes to a server's port and what comes from it, but for the client on the port `spared`."""
    return _dropping(
        ["INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port), "!", "--sport", str(spared), "-j", "DROP"],
        ["INPUT", "-i", "lo", "-p", "tcp", "--sport", str(port), "!", "--dport", str(spared), "-j", "DROP"],
    )


@asynccontextmanager
async def _dropping(*rules: list[str]) -> AsyncIterator[None]:
    made = []
    try:
        for rule in rules:
            refused = await _iptables("-I", *rule)
            if refused:
                pytest.skip(f"iptables does not work here: {refused}")
            made.append(rule)
        yield
    finally:
        for rule in made:
            left = await _iptables("-D", *rule)
            assert not left, left


async def _iptables(*words: str) -> str:
    """Run iptables; return what it has to complain of."""
    process = await asyncio.create_subprocess_exec(
        "iptables", "-w", *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return said.decode().strip() or str(process.returncode) if process.returncode else ""
