"""Asks with a deadline that holds whatever is asked: what does not answer is given up, not asked twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_PARTING: Final = 1.0
"""Seconds that a question which was given up has to let go of what it holds."""


class TimedOut(Exception):
    """No answer came in time."""


class StillOut(Exception):
    """The answer to an earlier question of the same name has still not come: nobody asks again."""


class GivenUp(Exception):
    """A library gave the question up (it cancelled itself): no answer will come."""


class Bounds:
    """Asks questions by name; one that outlives its deadline is left alone, even if nobody can cancel it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left: dict[str, asyncio.Future[Any]] = {}

    async def ask(self, name: str, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer, or raise what the question raises, TimedOut, StillOut or GivenUp."""
        before = self._left.get(name)
        if before is not None and not before.done():
            raise StillOut
        future = asyncio.ensure_future(question())
        try:
            done, _ = await asyncio.wait((future,), timeout=self.seconds)
            if done and future.cancelled():
                raise GivenUp
            if done:
                return future.result()
            future.cancel()
            await asyncio.wait((future,), timeout=_PARTING)
        finally:
            if not future.done():
                future.cancel()
                self._left[name] = future
                future.add_done_callback(_looked_at)
        raise TimedOut


def _looked_at(future: "asyncio.Future[Any]") -> None:
    """Take what became of a question that nobody waits for any more: no warning is due."""
    if not future.cancelled():
        future.exception()
