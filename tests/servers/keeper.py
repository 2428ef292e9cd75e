"""Holds one shared server for as long as its owner lives: `python -m tests.servers.keeper KIND FOLDER [--owner PID]`.

Goes to the background at once. Ends, and ends the server, when the owner is gone, on SIGTERM, or when the server
ended by itself (then the state says so and the next one who wants it gets a new one).
"""

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.demo.servers import LocalKafka, LocalPostgres, LocalRabbitMQ, LocalServer, processes
from service.errors import Unavailable
from tests.servers import containers
from tests.servers.place import Name, Place, State

Started = tuple[dict[str, Any], int | None]


class Local:
    """A shared server as a plain local process."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.server = local_server(kind, folder)

    def missing(self) -> str | None:
        return self.server.find()

    async def start(self) -> Started:
        await self.server.start()
        return addresses(self.server), self.server.pid

    def end(self) -> None:
        self.server.end()
        shutil.rmtree(self.server.directory, ignore_errors=True)


def local_server(kind: str, folder: Path) -> LocalServer:
    """Return a server of this kind; its data are thrown away with the run, so PostgreSQL need not sync them."""
    if kind == "kafka":
        return LocalKafka(folder)
    if kind == "rabbitmq":
        return LocalRabbitMQ(folder)
    return LocalPostgres(folder, {"fsync": "off"})


def addresses(server: LocalServer) -> dict[str, Any]:
    """Return what the value of this kind of server is made of."""
    match server:
        case LocalKafka():
            return {"bootstrap": server.bootstrap}
        case LocalRabbitMQ():
            return {"url": server.url, "management": server.management, "stream_port": server.stream_port}
        case _:
            return {"host": "127.0.0.1", "port": server.port}


async def keep(kind: str, place: Place, owner: int | None) -> None:
    """Start the server, say so, and hold it until the owner is gone, it is gone, or we are asked to end."""
    say = _Voice(kind, place)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    with contextlib.ExitStack() as stack:
        if owner is not None:
            stack.enter_context(_watching(owner, over))
        ending = asyncio.ensure_future(over.wait())
        stack.callback(ending.cancel)
        starting = asyncio.ensure_future(_start(kind, place.folder / kind, stack))
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()  # no effect when it has ended
        try:
            value, pid = await starting
        except asyncio.CancelledError:
            return
        except Missing as missing:
            say("missing", reason=str(missing))
            return
        except Unavailable as error:
            say("failed", reason=str(error))
            return
        if pid is not None:
            stack.enter_context(_watching(pid, over))
        say("ready", value=value)
        await ending
    place.forget(kind)


class Missing(Exception):
    """Nothing is installed that could be started; the message says what and how to mend it."""


async def _start(kind: str, folder: Path, stack: contextlib.ExitStack) -> Started:
    """Start a container where an engine answers, a local process where none does or the container fails."""
    reason = ""
    if containers.engine_answers():
        contained = containers.Contained(kind)
        with contextlib.ExitStack() as attempt:
            attempt.callback(contained.end)
            try:
                started = await contained.start()
            except containers.TROUBLES as trouble:
                reason = (
                    f"a container engine answers, but {containers.IMAGES[kind]} did not start: {trouble!r}; "
                )
                print(reason, flush=True)
            else:
                stack.push(attempt.pop_all())
                return started
    local = Local(kind, folder)
    lacking = local.missing()
    if lacking is not None:
        raise Missing(reason + lacking)
    stack.callback(local.end)
    return await local.start()


class _Voice:
    """Writes the state of one server."""

    def __init__(self, kind: str, place: Place) -> None:
        self._kind = kind
        self._place = place
        self._since = processes.started(os.getpid()) or ""

    def __call__(self, name: Name, *, reason: str = "", value: dict[str, Any] | None = None) -> None:
        state = State(name=name, keeper=os.getpid(), since=self._since, reason=reason, value=value or {})
        with self._place.locked(self._kind):
            self._place.write(self._kind, state)


@contextlib.contextmanager
def _watching(pid: int, over: asyncio.Event) -> Iterator[None]:
    """Set `over` when this process ends."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        over.set()
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, over.set)
    try:
        yield
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--owner", type=int)
    given = parser.parse_args()
    place = Place(given.folder, given.owner)
    child = os.fork()
    if child:
        # Under the lock of whoever started us: nobody sees the server neither there nor on its way.
        place.write(given.kind, State(name="starting", keeper=child, since=processes.started(child) or ""))
        os._exit(0)
    os.setsid()
    logging.disable(logging.CRITICAL)  # drivers report each try before the server is up
    asyncio.run(keep(given.kind, place, given.owner))


if __name__ == "__main__":
    main()
