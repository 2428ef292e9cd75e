"""Waits of the supervisor that sources cannot make longer, and that nobody can cut short halfway."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from triggers.base import Source
from triggers.errors import SourceUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def end(source: Source[Any], grace: float) -> None:
    """Close a source, within bounds; one that does not close is left alone."""
    try:
        await bounded(source.close(), grace)
    except TimeoutError:
        log.warning("a source did not close; it is left alone", source=source.name)
    except Exception as error:  # noqa: BLE001 - it is given up in any case; what it left behind is shown
        log.warning("a source closed badly", source=source.name, error=repr(error))


async def bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Await something for so long, even when it lets no cancellation end it. Raise TimeoutError."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if not task.done():
            raise TimeoutError
        if task.cancelled():
            raise SourceUnavailable("a library gave up the connection")  # fault F20: it was not us
        return task.result()
    finally:
        if not task.done():
            task.cancel()


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await something that must not be left half done; a cancellation counts when it is over."""
    task, told = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as cancelled:
            told = cancelled
    task.result()
    if told is not None:
        raise told
