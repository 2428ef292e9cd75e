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

MOST_LINES: Final = 100
"""Different lines of one library that are logged in that time: some write a number into each."""


class Foreign(logging.Handler):
    """Hands records of `logging` to structlog: warnings as they are, errors too, nothing below."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: dict[str, dict[str, tuple[float, int]]] = {}
        self._crowded: dict[str, float] = {}  # since when a library says too much

    @override
    def emit(self, record: logging.LogRecord) -> None:
        line, now = str(record.msg), self._clock()
        said = self._said.setdefault(record.name, {})
        at, left_out = said.get(line, (-EVERY, 0))
        if now - at < EVERY:
            said[line] = (at, left_out + 1)
            return
        if len(said) >= MOST_LINES and not self._cleared(record.name, now):
            return
        said[line] = (now, 0)
        say = log.error if record.levelno >= logging.ERROR else log.warning
        error = record.exc_info[1] if record.exc_info else None
        say(
            "a library says",
            library=record.name,
            text=_text(record)[:1000],
            **({"error": repr(error)[:1000]} if error is not None else {}),
            **({"left_out": left_out} if left_out else {}),
        )

    def _cleared(self, library: str, now: float) -> bool:
        """Forget the lines of a library that are old; return whether it may say more."""
        said = self._said[library]
        for line in [line for line, (at, _) in said.items() if now - at >= EVERY]:
            del said[line]
        if len(said) < MOST_LINES:
            return True
        if now - self._crowded.get(library, -EVERY) >= EVERY:
            self._crowded[library] = now
            log.warning("a library says too much: the rest is left out for a while", library=library)
        return False


def _text(record: logging.LogRecord) -> str:
    """Return what a record says; a library that says it wrongly must not fail over it."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def listen() -> None:
    """Take over what libraries say. Twice is harmless."""
    root = logging.getLogger()
    if not any(isinstance(handler, Foreign) for handler in root.handlers):
        root.addHandler(Foreign())
