"""The fixtures of `tests.servers`; a plugin of all tests, so it imports nothing heavy before a test wants it."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from tests.servers import unique

if TYPE_CHECKING:
    from service.demo.servers import LocalKafka, LocalPostgres, LocalRabbitMQ, LocalServer
    from tests.servers.values import KafkaServer, PostgresSchema, PostgresServer, RabbitServer, Value

_SHARED = ("kafka", "rabbitmq", "postgres")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have all servers that this run will want start together, while the first tests run."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ()) if name in _SHARED}
    if wanted:
        from tests.servers import place

        place.sweep()
        for kind in sorted(wanted):
            place.chosen(kind, _owner(session.config)).want(kind)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> "KafkaServer":
    """The run's Kafka broker."""
    return cast("KafkaServer", _shared("kafka", request.config))


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> "RabbitServer":
    """The run's RabbitMQ node."""
    return cast("RabbitServer", _shared("rabbitmq", request.config))


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> "PostgresServer":
    """The run's PostgreSQL server; take `pg_database` or `pg_schema` to write anything."""
    return cast("PostgresServer", _shared("postgres", request.config))


@pytest.fixture
async def kafka_topic(kafka: "KafkaServer") -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Make topics: `await kafka_topic(partitions=3, prefix="orders", **{"cleanup.policy": "compact"})`."""
    from tests.servers import things

    made: list[str] = []

    async def make(partitions: int = 1, prefix: str = "topic", **config: str) -> str:
        made.append(unique(prefix))
        await things.create_topic(kafka.bootstrap, made[-1], partitions, **config)
        return made[-1]

    yield make
    for name in made:
        await things.delete_topic(kafka.bootstrap, name)


@pytest.fixture
async def rabbit_queue(rabbitmq: "RabbitServer") -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Make durable queues: `await rabbit_queue("quorum", **{"x-delivery-limit": 3})`; classic by default."""
    from tests.servers import things

    made: list[str] = []

    async def make(kind: str = "classic", prefix: str = "queue", **arguments: Any) -> str:
        made.append(unique(prefix))
        await things.declare_queue(rabbitmq.url, made[-1], kind, **arguments)
        return made[-1]

    yield make
    for name in made:
        await things.delete_queue(rabbitmq.url, name)


@pytest.fixture
async def pg_database(postgres: "PostgresServer") -> AsyncIterator["PostgresServer"]:
    """An empty database of the test's own; it goes with its slots and whoever is still connected."""
    from tests.servers import things

    server = await things.create_database(postgres, unique("test"))
    yield server
    await things.drop_database(server)


@pytest.fixture
async def pg_schema(postgres: "PostgresServer") -> AsyncIterator["PostgresSchema"]:
    """A schema of the test's own in the shared database, where slots would be seen by others."""
    import asyncpg

    from tests.servers.values import PostgresSchema

    schema = PostgresSchema(server=postgres, name=unique("test"))
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(f'CREATE SCHEMA "{schema.name}"')
        yield schema
        await connection.execute(f'DROP SCHEMA "{schema.name}" CASCADE')
    finally:
        await connection.close()


@pytest.fixture
def make_kafka(tmp_path: Path) -> Iterator["Callable[..., LocalKafka]"]:
    """Make brokers of the test's own, not started: `server = make_kafka(extra={...}); await server.start()`."""
    from service.demo.servers import LocalKafka

    yield from _private(LocalKafka, tmp_path)


@pytest.fixture
def make_rabbitmq(tmp_path: Path) -> Iterator["Callable[..., LocalRabbitMQ]"]:
    """Make RabbitMQ nodes of the test's own, not started."""
    from service.demo.servers import LocalRabbitMQ

    yield from _private(LocalRabbitMQ, tmp_path)


@pytest.fixture
def make_postgres(tmp_path: Path) -> Iterator["Callable[..., LocalPostgres]"]:
    """Make PostgreSQL servers of the test's own, not started: `make_postgres(extra={"wal_keep_size": "0"})`."""
    from service.demo.servers import LocalPostgres

    yield from _private(LocalPostgres, tmp_path)


def _private(server: "type[LocalServer]", tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Hand out a factory; end at once and throw away whatever it made."""

    made: list[LocalServer] = []

    def make(**settings: Any) -> "LocalServer":
        new = server(tmp_path / unique(server.kind), **settings)
        lacking = new.find()
        if lacking is not None:
            _unavailable(f"no local {server.kind}: {lacking}")
        made.append(new)
        return new

    yield make
    for each in made:
        each.end()
        shutil.rmtree(each.directory, ignore_errors=True)


def _shared(kind: str, config: pytest.Config) -> "Value":
    """Return the addresses of the shared server, started by now; skip or fail where there can be none."""
    from tests.servers import place

    where = place.chosen(kind, _owner(config))
    where.want(kind)
    state = where.await_state(kind)
    if state.name == "missing":
        _unavailable(f"no {kind} server: {state.reason}")
    if state.name == "failed":
        pytest.fail(f"the {kind} server could not be started: {state.reason}", pytrace=False)
    return place.value_of(kind, state)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _owner(config: pytest.Config) -> int:
    """Return the process of the whole run: a worker of xdist has it as its parent."""
    return os.getppid() if hasattr(config, "workerinput") else os.getpid()
