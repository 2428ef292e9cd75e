"""The suite's own Kafka, RabbitMQ and PostgreSQL, started once; and who kills and freezes them."""

import asyncio
import random
import time
from pathlib import Path
from typing import Final

from service.demo.servers import LocalKafka, LocalPostgres, LocalRabbitMQ, LocalServer
from tests.crash.journal import Journal

FAULTS: Final = ("kill", "freeze")
REST: Final = (0.5, 2.5)
"""Seconds between two faults: from, to."""

DOWN: Final = (0.1, 1.5)
FROZEN: Final = (1.0, 4.0)


class Servers:
    """The three servers. `troubled` are the kinds of those that a fault has in its hands."""

    def __init__(self, directory: Path) -> None:
        self.kafka = LocalKafka(directory / "kafka")
        self.rabbitmq = LocalRabbitMQ(directory / "rabbitmq")
        self.postgres = LocalPostgres(directory / "postgres")
        self.troubled: set[str] = set()

    @property
    def all(self) -> tuple[LocalServer, ...]:
        return (self.kafka, self.rabbitmq, self.postgres)

    def lacking(self) -> str | None:
        """Say what is missing on this machine, or None."""
        return next(filter(None, (server.find() for server in self.all)), None)

    async def start(self) -> None:
        """Start all that do not run, at once. Call from a thread that lives as long as they shall."""
        await asyncio.gather(*(server.start() for server in self.all))
        self.troubled.clear()

    def end(self) -> None:
        """Kill all."""
        for server in self.all:
            server.end()


class Chaos:
    """Kills, restarts and freezes the servers, one after the other, until each had each fault so many times."""

    def __init__(self, servers: Servers, each: int, journal: Path, chance: random.Random) -> None:
        self._servers = servers
        self._random = chance
        self._journal = Journal(journal)
        self._faults = [(server, fault) for server in servers.all for fault in FAULTS for _ in range(each)]
        chance.shuffle(self._faults)

    @property
    def left(self) -> int:
        """How many faults are still to come."""
        return len(self._faults)

    async def run(self) -> None:
        """Work until all is done; every server runs afterwards, also when this is cancelled."""
        try:
            while self._faults:
                await asyncio.sleep(self._random.uniform(*REST))
                await self._one(*self._faults.pop())
        finally:
            self._journal.close()
            await self._servers.start()

    async def _one(self, server: LocalServer, fault: str) -> None:
        self._servers.troubled.add(server.kind)
        began = time.time()
        if fault == "kill":
            server.kill()
            try:
                await asyncio.sleep(self._random.uniform(*DOWN))
            finally:
                await server.start()
        else:
            server.freeze()
            try:
                await asyncio.sleep(self._random.uniform(*FROZEN))
            finally:
                server.thaw()
        self._journal.write(e="fault", server=server.kind, fault=fault, at=began, over=time.time())
        self._servers.troubled.discard(server.kind)
