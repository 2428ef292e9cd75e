"""A command that asks the outside ends, whatever a library leaves running."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.cli import loop
from service.cli.loop import leave, run_bounded
from tests.patience import SLACK


@pytest.fixture(autouse=True)
def _nothing_abandoned(monkeypatch):
    monkeypatch.setattr(loop, "_abandoned", [])
    monkeypatch.setattr(loop, "_PARTING", 0.05)
    monkeypatch.setattr(loop, "_WITH_THREADS", ())


def test_what_comes_of_it_is_returned_and_the_loop_is_closed():
    async def work():
        await asyncio.to_thread(time.sleep, 0)
        return asyncio.get_running_loop()

    assert run_bounded(work()).is_closed()
    assert leave(3) == 3


def test_what_it_raises_is_raised():
    async def work():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_bounded(work())
    assert leave(0) == 0


def test_a_task_that_lets_itself_be_cancelled_is_ended():
    over = []

    async def background():
        try:
            await asyncio.Event().wait()
        finally:
            over.append(1)

    async def work():
        asyncio.get_running_loop().kept = asyncio.create_task(background())
        await asyncio.sleep(0)

    run_bounded(work())
    assert over == [1]
    assert leave(0) == 0


def test_a_task_that_never_lets_go_is_left_behind_and_the_process_ends(monkeypatch):
    let_go, exits = asyncio.Event(), []

    async def stubborn():
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    async def work():
        asyncio.get_running_loop().kept = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        return 42

    began = time.monotonic()
    assert run_bounded(work()) == 42
    assert time.monotonic() - began < 2.0 + SLACK
    monkeypatch.setattr(loop.os, "_exit", exits.append)
    assert leave(1) == 1
    assert exits == [1]
    (left,) = loop._abandoned
    let_go.set()
    left.run_until_complete(asyncio.sleep(0))
    left.run_until_complete(left.kept)
    left.run_until_complete(left.shutdown_default_executor())
    left.close()


def test_the_loop_may_be_another_one():
    made = []

    def make():
        made.append(asyncio.new_event_loop())
        return made[0]

    async def work():
        return asyncio.get_running_loop()

    assert run_bounded(work(), make) is made[0]


def test_python_does_not_take_itself_apart_beside_a_drivers_threads():
    """What such a thread calls then aborts the process."""
    code = """
import atexit, sys
import pyreqwest.client
from service.cli.loop import leave
atexit.register(print, "taken apart")
print("said")
sys.exit(leave(3))
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "")
