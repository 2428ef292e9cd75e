"""What one campaign has of its own on the servers: topics, queues, a database; and the configuration that names them."""

import asyncio
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import asyncpg
import msgspec
import yaml

from tests.crash.folder import together
from tests.crash.outside.servers import Servers
from tests.servers import things
from tests.servers.values import PostgresServer

PARTITIONS: Final = 3
STOCK: Final = 60
"""Rows that the table `stock` has from the beginning: what a snapshot reads."""

KINDS: Final = ("kafka", "rabbitmq", "postgres", "poll", "schedule")

_TABLES: Final = """
CREATE TABLE orders (id bigint PRIMARY KEY, event text NOT NULL, writer int NOT NULL, place int NOT NULL, pad text NOT NULL);
CREATE TABLE stock (LIKE orders INCLUDING ALL);
INSERT INTO stock SELECT n, 'row-' || n, 0, 0, '' FROM generate_series(1, 60) AS n;
CREATE TABLE outbox (id bigserial PRIMARY KEY, type text NOT NULL, subject text, data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE boxed (event text PRIMARY KEY);
CREATE PUBLICATION rows FOR TABLE orders;
CREATE PUBLICATION stock FOR TABLE stock;
"""


class Room(msgspec.Struct, frozen=True):
    """Addresses and names. `kinds` are the kinds of source that the campaign has beside webhooks."""

    name: str
    kafka: str
    rabbitmq: str  # host:port
    postgres: str
    kinds: tuple[str, ...] = KINDS

    @property
    def topic(self) -> str:
        """Where records come from."""
        return f"log-{self.name}"

    @property
    def out_topic(self) -> str:
        """Where rules publish to."""
        return f"out-{self.name}"

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"group-{self.name}"

    @property
    def queue(self) -> str:
        """Where messages come from."""
        return f"jobs-{self.name}"

    @property
    def out_queue(self) -> str:
        """Where rules publish to."""
        return f"out-{self.name}"

    @property
    def amqp(self) -> str:
        """The node, with its login."""
        return f"amqp://guest:guest@{self.rabbitmq}/"

    def slot(self, source: str) -> str:
        """Return the replication slot of a source: they are the server's, not the database's."""
        return f"{source}_{self.name}"

    @property
    def passwords(self) -> dict[str, str]:
        """What the configuration names as secrets."""
        return {"guest": "guest", "postgres": self.postgres}

    def extend(self, text: str) -> str:
        """Return a configuration with ours beside it, without the sources of other kinds and their rules."""
        more = (resources.files("tests.crash") / "files" / "outside.yaml").read_text("utf-8")
        for word, value in {
            "KAFKA": self.kafka, "RABBITMQ": self.rabbitmq, "POSTGRES": self.postgres, "OUT_TOPIC": self.out_topic,
            "OUT_QUEUE": self.out_queue, "TOPIC": self.topic, "GROUP": self.group, "QUEUE": self.queue,
            "SLOT_ROWS": self.slot("rows"), "SLOT_STOCK": self.slot("stock"),
        }.items():  # fmt: skip
            more = more.replace(f"<{word}>", value)
        whole, ours = yaml.safe_load(text), yaml.safe_load(more)
        ours["sources"] = {
            name: source for name, source in ours["sources"].items() if source["kind"] in self.kinds
        }
        known = set(ours["sources"])
        ours["rules"] = {name: rule for name, rule in ours["rules"].items() if known.issuperset(rule["from"])}
        return together(whole, ours)


async def make_room(name: str, servers: Servers, kinds: tuple[str, ...] = KINDS) -> Room:
    """Make topics, queues and a database."""
    node = f"127.0.0.1:{servers.rabbitmq.port}"
    server = PostgresServer(host="127.0.0.1", port=servers.postgres.port)
    database = await things.create_database(server, f"crash_{name}")
    room = Room(name, servers.kafka.bootstrap, node, database.dsn, kinds)
    await asyncio.gather(
        things.create_topic(room.kafka, room.topic, PARTITIONS),
        things.create_topic(room.kafka, room.out_topic, 1),
        things.declare_queue(room.amqp, room.queue, "quorum"),
        things.declare_queue(room.amqp, room.out_queue, "quorum"),
        _make_tables(room),
    )
    for queue in (room.queue, room.out_queue):
        await asyncio.to_thread(things.await_queue_on_disk, servers.rabbitmq.directory, queue, "quorum")
    return room


async def _make_tables(room: Room) -> None:
    connection = await asyncpg.connect(room.postgres, timeout=20)
    try:
        await connection.execute(_TABLES)
        for source in ("rows", "stock"):  # before anybody writes: what was there earlier is nobody's change
            await connection.execute(
                "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", room.slot(source)
            )
    finally:
        await connection.close()


def identity(source: str, kind: str, record: Mapping[str, Any]) -> str:
    """Return by what the suite knows a stored message of ours; "" for a row that a snapshot read."""
    meta = record.get("meta", {})
    if source == "log":
        return f"{meta['partition']}:{meta['offset']}"
    if source in ("rows", "stock"):
        if kind == "postgres.read":
            return ""
        return str(msgspec.json.decode(record["data"])["after"]["event"])
    if source == "box":
        return str(msgspec.json.decode(record["data"])["event"])
    return str(record["id"])
