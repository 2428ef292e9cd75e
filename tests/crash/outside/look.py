"""Compares how far the outside believes us with what the store holds, whenever the service lies dead.

The store stands still then, so whatever a server has from us was said before. What cannot be asked in time (a fault has
the server in its hands) is skipped and counted: a look that was not made proves nothing.
"""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import aio_pika
import asyncpg
import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from tests.crash import history
from tests.crash.journal import Journal
from tests.crash.outside.producers import BROKEN
from tests.crash.outside.room import Room, identity
from tests.crash.outside.servers import Servers

WITHIN: Final = 2.0
"""Seconds for one question."""

BACK: Final = 8.0
"""Seconds within which a queue has back what the dead service did not acknowledge."""

_SLOTS: Final = "SELECT slot_name, (confirmed_flush_lsn - '0/0')::bigint AS lsn FROM pg_replication_slots WHERE database = current_database()"

Positions = dict[str, dict[str, bytes]]


class Look:
    """Looks for one campaign. Clients live on from one look to the next, and are made anew when they broke."""

    def __init__(self, room: Room, servers: Servers, database: Path, producers: Path, journal: Path) -> None:
        self.room = room
        self._servers = servers
        self._database = database
        self._producers = producers
        self._journal = Journal(journal)
        self._read = 0  # how far the producers' journal is read
        self._seen = 0  # the highest number of a message that was read
        self.taken: dict[str, set[str]] = {}
        self.owed: dict[str, set[str]] = {}
        self._admin: AIOKafkaAdminClient | None = None
        self._node: aio_pika.abc.AbstractConnection | None = None
        self._sql: asyncpg.Connection[Any] | None = None

    async def close(self) -> None:
        """Let go of everything."""
        await self._forget("kafka")
        await self._forget("rabbitmq")
        await self._forget("postgres")
        self._journal.close()

    async def dead(self) -> None:
        """Look while the service lies dead."""
        if not self._database.exists() or not self._database.stat().st_size:
            return
        positions = self.read()
        asked: dict[str, Coroutine[Any, Any, dict[str, Any]]] = {}
        if "kafka" in self.room.kinds:
            asked["kafka"] = self._kafka(positions.get("log", {}))
        if "rabbitmq" in self.room.kinds:
            asked["rabbitmq"] = self._rabbitmq()
        if "postgres" in self.room.kinds:
            asked["postgres"] = self._postgres(positions)
        found = dict(
            zip(asked, await asyncio.gather(*(self._asked(*one) for one in asked.items())), strict=True)
        )
        self._journal.write(e="look", at=time.time(), **found)

    def read(self) -> Positions:
        """Read what is new in the store and in the producers' journal; return the positions."""
        for record in self._confirmed():
            if record["kind"] != "bad":
                self.owed.setdefault(record["source"], set()).add(record["id"])
        connection = history.connect(self._database)
        try:
            tables = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
            if not {"messages", "positions", "names"} <= tables:
                return {}
            names = dict(connection.execute("SELECT number, name FROM names WHERE kind = 'source'"))
            rows = connection.execute(
                "SELECT number, source, type, record FROM messages WHERE number > ? ORDER BY number",
                (self._seen,),
            )
            for number, source, kind, record in rows:
                self._seen = number
                name = names[source]
                if name in SOURCES:
                    known = identity(name, kind, msgspec.msgpack.decode(record))
                    self.taken.setdefault(name, set()).add(known)
            positions: Positions = {}
            for source, key, value in connection.execute("SELECT source, key, value FROM positions"):
                positions.setdefault(names[source], {})[key] = value
        finally:
            connection.close()
        return positions

    def lacking(self, source: str) -> set[str]:
        """Return what was confirmed to the producers and is not in the store, as far as was read."""
        return self.owed.get(source, set()) - self.taken.get(source, set())

    def _confirmed(self) -> list[dict[str, Any]]:
        """Return the confirmations that were written since the last time."""
        if not self._producers.exists():
            return []
        with self._producers.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        records = map(msgspec.json.decode, whole.splitlines())
        return [record for record in records if record["e"] == "ack"]

    # -- the three questions

    async def _asked(self, kind: str, question: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | None:
        if kind in self._servers.troubled:
            question.close()
            return None
        try:
            return await question
        except BROKEN:
            await self._forget(kind)
            return None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            await self._forget(kind)
            return None

    async def _kafka(self, stored: dict[str, bytes]) -> dict[str, Any]:
        """Return of each partition what the group has committed and what is stored."""
        async with asyncio.timeout(WITHIN):
            if self._admin is None:
                admin = AIOKafkaAdminClient(bootstrap_servers=self.room.kafka, request_timeout_ms=2000)
                self._admin = admin
                await admin.start()
            committed = await self._admin.list_consumer_group_offsets(self.room.group)
        mine = {
            int(key.rpartition("/")[2]): msgspec.json.decode(value)["next"] for key, value in stored.items()
        }
        return {
            str(one.partition): [place.offset, mine.get(one.partition, 0)]
            for one, place in committed.items()
            if one.topic == self.room.topic and place.offset >= 0
        }

    async def _rabbitmq(self) -> dict[str, Any]:
        """Return how much the queue has, and how much of it must be there: confirmed, and not stored."""
        owed = len(self.lacking("jobs"))
        deadline = time.monotonic() + BACK
        async with asyncio.timeout(BACK + WITHIN):
            if self._node is None:
                self._node = await aio_pika.connect(self.room.amqp, timeout=WITHIN)
            channel = await self._node.channel()
            try:
                while True:
                    queue = await channel.declare_queue(self.room.queue, passive=True)
                    ready = queue.declaration_result.message_count or 0
                    if ready >= owed or time.monotonic() > deadline:
                        return {"ready": ready, "owed": owed}
                    await asyncio.sleep(0.02)
            finally:
                await channel.close()

    async def _postgres(self, positions: Positions) -> dict[str, Any]:
        """Return of each slot what it has confirmed, and what is stored."""
        async with asyncio.timeout(WITHIN):
            if self._sql is None:
                self._sql = await asyncpg.connect(self.room.postgres, timeout=WITHIN)
            rows = await self._sql.fetch(_SLOTS)
        confirmed = {row["slot_name"]: row["lsn"] for row in rows}
        found: dict[str, Any] = {}
        for source in ("rows", "stock"):
            slot = self.room.slot(source)
            stored = positions.get(source, {}).get("lsn")
            if stored is not None and confirmed.get(slot) is not None:
                high, _, low = msgspec.json.decode(stored)["lsn"].partition("/")
                found[source] = [confirmed[slot], int(high, 16) << 32 | int(low, 16)]
        return found

    async def _forget(self, kind: str) -> None:
        try:
            async with asyncio.timeout(1):
                if kind == "kafka":
                    admin, self._admin = self._admin, None
                    if admin is not None:
                        await admin.close()
                elif kind == "rabbitmq":
                    node, self._node = self._node, None
                    if node is not None:
                        await node.close()
                elif self._sql is not None:
                    sql, self._sql = self._sql, None
                    sql.terminate()
        except BROKEN:
            pass


SOURCES: Final = ("log", "jobs", "rows", "stock", "box", "items", "clock")
"""Our sources in the configuration."""
