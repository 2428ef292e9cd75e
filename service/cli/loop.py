"""Runs what asks the outside from a command: the command ends even if something it gave up never lets go."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_abandoned: list[asyncio.AbstractEventLoop] = []


def run_bounded(work: Coroutine[Any, Any, T], left: Callable[[], bool]) -> T:
    """Run to the end and return what comes of it. `left` says whether something that was given up still runs.

    Then its loop is not closed, which would wait for it; `leave` ends the process in that case.
    """
    runner = asyncio.Runner()
    try:
        return runner.run(work)
    finally:
        if left():
            _abandoned.append(runner.get_loop())
        else:
            runner.close()


def leave(code: int) -> int:
    """Return the exit code; or end the process with it at once, when something would keep it from ending."""
    if _abandoned:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
