"""Ends what takes too long, whatever it is busy with: a document that hangs is told of like any other.

Two bounds, for there is no one that holds always: an alarm, which ends what runs in Python and leaves the
rest of the process as it is; and for a child process that does not hear it (busy with a regular expression,
say) its end. For the main thread only.
"""

import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

AGAIN: Final = 5.0
"""Seconds after which the alarm rings again, where something has caught the first."""

GRACE: Final = 20.0
"""Seconds after the alarm until a child process that did not hear it is ended."""


class TookTooLong(BaseException):
    """It did not end in time. No Exception: what guards against faults of others must not hold it up."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block when it takes longer; a child process that does not hear it is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, _ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        with _ended_after(seconds + GRACE):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # somebody else's alarm goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001), interval)


def _ring(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TookTooLong


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End this process when the block takes longer, where it is a child."""
    if multiprocessing.parent_process() is None:
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
