"""Planted bugs of logins, calls and files, as `tests.crash.mutants` has those of the rest.

A bug is planted in one child process of the launcher, by replacing what the service has there; never in our own.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from actions import following
from actions.auth.keeper import Turns
from actions.auth.oauth2 import OAuth2
from actions.auth.tokens import make_token
from service import crashpoints, replacing

WINDOW: Final = 0.5
"""Seconds until something is stored: on a fast disk what comes in between would be a matter of luck."""


def token_used_first() -> None:
    """Use a token before it is kept."""
    take = OAuth2._take

    async def later(self: OAuth2, granted: Any, why: str) -> None:
        await asyncio.sleep(WINDOW)
        await take(self, granted, why)

    async def eager(self: OAuth2, granted: Any, why: str) -> None:
        self._refresh = granted.refresh_token or self._refresh
        self._use(make_token(granted, self._context.clock(), 0.0), why)
        self._keeping = asyncio.create_task(later(self, granted, why))

    OAuth2._take = eager


def logins_without_turns() -> None:
    """Let the logins of two versions of a description renew one token at the same time.

    Storing takes its time, too: in turns that is no harm, for the other login waits.
    """
    take = OAuth2._take

    async def slow(self: OAuth2, granted: Any, why: str) -> None:
        await asyncio.sleep(WINDOW)
        await take(self, granted, why)

    OAuth2._take = slow
    Turns.of = lambda _self, _key: contextlib.nullcontext()


def done_when_accepted() -> None:
    """Take what was accepted with 202 for what is done."""

    async def eager(self: Any, accepted: Any, **_: Any) -> Any:
        self._where(accepted)
        return accepted

    following._Waiting.end = eager


def file_written_in_place() -> None:
    """Write a new file over the old one."""

    class InPlace:
        def __init__(self, path: Path, data: bytes) -> None:
            self.path, self._data = path, data

        def put(self) -> None:
            with Path(os.path.realpath(self.path)).open("wb") as file:
                crashpoints.reached("file.opened")
                file.write(self._data)
            crashpoints.reached("file.written")
            crashpoints.reached("file.replaced")

    @contextlib.contextmanager
    def beside(path: Path, data: bytes, *, mode: int | None = None) -> Iterator[Any]:
        with kept(path, data, mode=mode) as made:
            yield Looked(made.path, InPlace(path, data))

    class Looked:
        def __init__(self, path: Path, inside: InPlace) -> None:
            self.path, self.put = path, inside.put

    kept = _unarmed(replacing.beside)
    replacing.beside = beside
    from service.usecases import adding

    adding.beside = beside


def _unarmed(beside: Callable[..., Any]) -> Callable[..., Any]:
    """Return `beside` without its crash points: they are those of the other way now."""

    @contextlib.contextmanager
    def quiet(path: Path, data: bytes, *, mode: int | None = None) -> Iterator[Any]:
        reached, crashpoints.reached = crashpoints.reached, lambda _point: None
        try:
            with beside(path, data, mode=mode) as made:
                crashpoints.reached = reached
                yield made
        finally:
            crashpoints.reached = reached

    return quiet


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "token used first": token_used_first,
    "logins without turns": logins_without_turns,
    "done when accepted": done_when_accepted,
    "file written in place": file_written_in_place,
}
