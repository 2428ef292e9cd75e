"""Runs what asks the outside from a command: the command ends even if something in it never lets go."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_PARTING: Final = 1.0
"""Seconds that tasks, and threads, have to end once everything is done."""

_WITH_THREADS: Final = ("pyreqwest",)
"""Drivers with threads of their own, which nobody can end or wait for."""

_abandoned: list[asyncio.AbstractEventLoop] = []


def run_bounded(
    work: Coroutine[Any, Any, T],
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> T:
    """Run to the end and return what comes of it.

    What a library leaves running then, and does not end when it is told to, is left behind: `leave` ends the
    process over it.
    """
    loop = make_loop()
    main = loop.create_task(work)
    try:
        return loop.run_until_complete(main)
    finally:
        if loop.run_until_complete(_ended()):
            loop.close()
        else:
            _abandoned.append(loop)


async def _ended() -> bool:
    """Tell everything that still runs to end; return whether it has."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks and (await asyncio.wait(tasks, timeout=_PARTING))[1]:
        return False
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    joining = asyncio.ensure_future(loop.shutdown_default_executor())
    done, _ = await asyncio.wait((joining,), timeout=_PARTING)
    return bool(done)


def leave(code: int) -> int:
    """Return the exit code; or end the process with it at once, where something keeps it from ending well.

    A driver's thread that has something to tell while Python takes itself apart aborts the process (measured:
    one end in twenty of a command on a busy machine).
    """
    if _abandoned or any(driver in sys.modules for driver in _WITH_THREADS):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    return code
