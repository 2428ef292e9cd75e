"""Starts and stops the ingest server and sweeps its connections for what is overdue."""

import asyncio
import resource
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from service.errors import Unavailable
from service.ingest.answers import Answers
from service.ingest.census import Census, Counters
from service.ingest.desk import Desk, Hooks, Report
from service.ingest.forwarded import Proxies
from service.ingest.limits import Limits
from service.ingest.protocol import Connection, Hall

_SWEEP_SECONDS: Final = 1.0
_ABORT_SECONDS: Final = 1.0
"""How long aborted connections may take to be gone."""


class IngestServer:
    """Serves `/hooks/{source}`. The order of calls is `start` `stop`; `stop` is harmless twice.

    `trusted_proxies` are CIDRs; `headers` stand on every answer; `clock` says the time of day; `report` hears
    of exceptions that a source or the store should not have raised.
    """

    def __init__(
        self,
        hooks: Hooks,
        limits: Limits,
        *,
        report: Report,
        trusted_proxies: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limits = limits
        self._census = Census(limits, descriptors, monotonic)
        self._hall = Hall(
            desk=Desk(hooks, limits, report),
            limits=limits,
            census=self._census,
            answers=Answers(headers),
            proxies=Proxies(trusted_proxies),
            clock=clock,
            monotonic=monotonic,
        )
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def counters(self) -> Counters:
        """What happened since the start."""
        return self._census.counters

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._census)

    @property
    def held_bytes(self) -> int:
        """Bytes of unfinished heads and bodies."""
        return self._census.held

    @property
    def port(self) -> int:
        """The port it listens on; raises Unavailable when it does not."""
        if self._server is None:
            raise Unavailable("the ingest server is not started")
        return cast("int", self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raise Unavailable when the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self._hall), host, port, backlog=self._limits.backlog
            )
        except OSError as error:
            raise Unavailable(
                f"cannot listen for webhooks on {host}:{port}: {error.strerror or error};"
                " is another instance running?"
            ) from error
        self._hall.stopping = False
        self._timer = loop.call_later(_SWEEP_SECONDS, self._tick)

    async def stop(self, grace: float) -> None:
        """Accept no more, answer what is in work within `grace` seconds, then cut off the rest."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._hall.stopping = True
        server.close()
        for connection in self._connections():
            connection.stop()
        if not await self._emptied(grace):
            for connection in self._connections():
                connection.abort()
            await self._emptied(_ABORT_SECONDS)
        if self._timer is not None:
            self._timer.cancel()
        await server.wait_closed()

    def sweep(self) -> None:
        """Close or refuse every connection that is overdue now."""
        now = self._hall.monotonic()
        self._census.tick()
        for connection in self._connections():
            connection.sweep(now)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._tick)
        self.sweep()

    def _connections(self) -> tuple[Connection, ...]:
        return cast("tuple[Connection, ...]", self._census.members)

    async def _emptied(self, within: float) -> bool:
        """Wait until the last connection is gone; False when that took too long."""
        if not self.connections:
            return True
        gone = asyncio.Event()
        self._census.emptied = gone.set
        try:
            async with asyncio.timeout(within):
                await gone.wait()
        except TimeoutError:
            return False
        return True
