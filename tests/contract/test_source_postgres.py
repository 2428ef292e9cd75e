"""The PostgreSQL source keeps what every source promises, on a real server: streaming, polling and outbox."""

from typing import Any

import asyncpg
import pytest
from typing_extensions import override

from service.demo.servers import LocalPostgres
from tests.contract.source_contract import Outside, SourceContract
from tests.fakes.sources import Emitted, source_context
from tests.servers import unique
from tests.servers.values import PostgresServer
from triggers.base import Source, SourceConfig
from triggers.message import TriggerMessage, decode_data
from triggers.postgres import PostgresConfig, PostgresSource
from triggers.postgres.position import parse_lsn

PASSWORD = "pa55word-of-the-table"


class Table(Outside):
    """A table of a database of the test's own, with a publication and a slot."""

    credentials = (PASSWORD,)
    crash_points = ("postgres.before_confirm", "postgres.after_confirm")

    def __init__(self, dsn: str, mode: str, server: LocalPostgres | None = None) -> None:
        self.dsn = dsn
        self.mode = mode
        self.server = server
        self.restartable = server is not None
        self.slot = unique("slot")
        self.ends: list[int] = []

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {
            "kind": "postgres",
            "url": self.dsn,
            "password": PASSWORD,
            "mode": self.mode,
            "tables": ["public.orders"],
            "slot": self.slot,
            "batch": 10,
            "heartbeat": "200ms",
            "poll_every": "20ms",
        }
        return PostgresConfig.model_validate({**said, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        return self.config(url=f"postgresql://anna:{PASSWORD}@127.0.0.1:1/nowhere", timeout="2s")

    async def prepare(self) -> None:
        sql = await asyncpg.connect(self.dsn)
        await sql.execute("CREATE TABLE orders (n text PRIMARY KEY)")
        await sql.close()
        config = self.config()
        assert isinstance(config, PostgresConfig)
        source = PostgresSource("orders", config)
        await source.open(source_context(Emitted()))
        steps = await source.setup(apply=True)
        assert all(step.done for step in steps), steps
        await source.close()

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        sql = await asyncpg.connect(self.dsn)
        for token in tokens:
            await sql.execute("INSERT INTO orders VALUES ($1)", token)
            self.ends.append(parse_lsn(await sql.fetchval("SELECT pg_current_wal_insert_lsn()::text")))
        await sql.close()
        return tokens

    @override
    def token(self, message: TriggerMessage) -> str:
        return str(decode_data(message)["after"]["n"])

    @override
    async def unacknowledged(self) -> int:
        sql = await asyncpg.connect(self.dsn)
        confirmed = await sql.fetchval(
            "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", self.slot
        )
        await sql.close()
        return sum(end > parse_lsn(confirmed) for end in self.ends)

    @override
    async def stop(self) -> None:
        assert self.server is not None
        self.server.kill()

    @override
    async def start(self) -> None:
        assert self.server is not None
        await self.server.start()


class PostgresContract(SourceContract):
    mode = ""

    @pytest.fixture
    async def outside(self, pg_database: PostgresServer) -> Outside:
        table = Table(pg_database.dsn, self.mode)
        await table.prepare()
        return table

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, PostgresConfig)
        return PostgresSource(name, config)

    async def test_an_outside_that_was_stopped_is_taken_up_again(self, make_postgres, emitted):
        """This one has a server of its own: it is killed."""
        server = make_postgres()
        await server.start()
        table = Table(server.url, self.mode, server)
        await table.prepare()
        await super().test_an_outside_that_was_stopped_is_taken_up_again(table, emitted)


class TestPostgresStream(PostgresContract):
    mode = "stream"


class TestPostgresPoll(PostgresContract):
    mode = "poll"


class Box(Outside):
    """An outbox table of a database of the test's own."""

    credentials = (PASSWORD,)
    crash_points = ("postgres.outbox.before_delete", "postgres.outbox.after_delete")

    def __init__(self, dsn: str, server: LocalPostgres | None = None) -> None:
        self.dsn = dsn
        self.server = server
        self.restartable = server is not None

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {
            "kind": "postgres",
            "url": self.dsn,
            "password": PASSWORD,
            "mode": "outbox",
            "batch": 10,
            "poll_every": "1s",
            "outbox": {"table": "public.box"},
        }
        return PostgresConfig.model_validate({**said, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        return self.config(url=f"postgresql://anna:{PASSWORD}@127.0.0.1:1/nowhere", timeout="2s")

    async def prepare(self) -> None:
        config = self.config()
        assert isinstance(config, PostgresConfig)
        source = PostgresSource("orders", config)
        await source.open(source_context(Emitted()))
        steps = await source.setup(apply=True)
        assert all(step.done for step in steps), steps
        await source.close()
        sql = await asyncpg.connect(self.dsn)  # json keeps what no reader may be given
        await sql.execute("ALTER TABLE box ALTER COLUMN data TYPE json")
        await sql.close()

    async def put(self, *bodies: str) -> None:
        sql = await asyncpg.connect(self.dsn)
        for body in bodies:
            await sql.execute("INSERT INTO box (type, subject, data) VALUES ('order.paid', 'a', $1)", body)
        await sql.close()

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        await self.put(*(f'{{"n": "{token}"}}' for token in tokens))
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        deep = "[" * 1000 + "]" * 1000
        await self.put(deep)
        return deep.encode()

    @override
    async def unacknowledged(self) -> int:
        sql = await asyncpg.connect(self.dsn)
        left = await sql.fetchval("SELECT count(*) FROM box")
        await sql.close()
        return int(left)

    @override
    async def stop(self) -> None:
        assert self.server is not None
        self.server.kill()

    @override
    async def start(self) -> None:
        assert self.server is not None
        await self.server.start()


class TestPostgresOutbox(SourceContract):
    @pytest.fixture
    async def outside(self, pg_database: PostgresServer) -> Outside:
        box = Box(pg_database.dsn)
        await box.prepare()
        return box

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, PostgresConfig)
        return PostgresSource(name, config)

    async def test_an_outside_that_was_stopped_is_taken_up_again(self, make_postgres, emitted):
        """This one has a server of its own: it is killed."""
        server = make_postgres()
        await server.start()
        box = Box(server.url, server)
        await box.prepare()
        await super().test_an_outside_that_was_stopped_is_taken_up_again(box, emitted)
