"""What libraries say to `logging` goes into our log, no line of it more often than every ten seconds.

A broker that is away makes its client repeat itself many times a second; our own log must not.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

import structlog
from typing_extensions import override

log = structlog.get_logger(__name__)

EVERY: Final = 10.0
"""Seconds in which the same line of the same library is logged once."""

MOST_LINES: Final = 1_000
"""Lines that are remembered; then all are forgotten, and counted anew."""


class Foreign(logging.Handler):
    """Hands records of `logging` to structlog: warnings as they are, errors too, nothing below."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    @override
    def emit(self, record: logging.LogRecord) -> None:
        line = (record.name, str(record.msg))
        now = self._clock()
        at, left_out = self._said.get(line, (-EVERY, 0))
        if now - at < EVERY:
            self._said[line] = (at, left_out + 1)
            return
        if len(self._said) >= MOST_LINES:
            self._said.clear()
        self._said[line] = (now, 0)
        say = log.error if record.levelno >= logging.ERROR else log.warning
        error = record.exc_info[1] if record.exc_info else None
        say(
            "a library says",
            library=record.name,
            text=record.getMessage()[:1000],
            **({"error": repr(error)[:1000]} if error is not None else {}),
            **({"left_out": left_out} if left_out else {}),
        )


def listen() -> None:
    """Take over what libraries say. Twice is harmless."""
    root = logging.getLogger()
    if not any(isinstance(handler, Foreign) for handler in root.handlers):
        root.addHandler(Foreign())
