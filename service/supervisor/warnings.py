"""The warnings of one source: shown while they last, and told when they are new. None of them stops it."""

import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from service.observe import without_passwords
from service.supervisor.standing import wall_ms
from service.supervisor.status import Warned

log = structlog.get_logger(__name__)

QUIET: Final = 600.0
"""Seconds in which a warning that comes and goes is told once."""

MOST: Final = 100
"""Warnings of one source that are shown."""


class Tell(Protocol):
    """Makes a message of a trouble."""

    def __call__(self, kind: str, name: str, data: Mapping[str, object], *, told_as: str) -> None:
        """Make the message."""


class Warnings:
    """What is doubtful about one source now, by code."""

    def __init__(self, name: str, tell: Tell) -> None:
        self._name = name
        self._tell = tell
        self._present: dict[str, Warned] = {}
        self._told_at: dict[str, float] = {}  # monotonic

    def all(self) -> tuple[Warned, ...]:
        """Return all of them, the oldest first."""
        return tuple(self._present.values())

    def warn(self, code: str, message: str, fix: str = "") -> None:
        """Note a trouble, or how it is now."""
        known = self._present.get(code)
        if known is None and len(self._present) >= MOST:
            return
        now, message = wall_ms(), without_passwords(message)
        since = known.since if known is not None else now
        self._present[code] = Warned(code=code, message=message, fix=fix, since=since)
        if known is not None or time.monotonic() - self._told_at.get(code, -QUIET) < QUIET:
            return
        if len(self._told_at) >= MOST:
            self._told_at.clear()
        self._told_at[code] = time.monotonic()
        log.warning("source warning", source=self._name, code=code, message=message, fix=fix)
        data = {"code": code, "message": message, "fix": fix}
        self._tell("warning", self._name, data, told_as=f"{self._name}/warning/{code}/{now}")

    def clear(self, code: str) -> None:
        """Forget one."""
        self._present.pop(code, None)

    def forget(self) -> None:
        """Forget all of them."""
        self._present.clear()
