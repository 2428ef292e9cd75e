"""Local servers come up ready, die at once, come back on the same port with their data, and leave nothing behind."""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aio_pika
import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from service.demo.servers import LocalKafka, LocalPostgres, LocalRabbitMQ, processes
from service.demo.servers.ports import answers, take_port
from service.errors import Unavailable
from tests.patience import PATIENCE
from tests.servers.things import await_queue_on_disk, create_topic, declare_queue
from tests.shared import ROOT


async def records(server: LocalKafka, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer("t", bootstrap_servers=server.bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(PATIENCE):
        return [(await consumer.getone()).value for _ in range(count)]


async def send(server: LocalKafka, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer:
        await producer.send_and_wait("t", value)


async def test_kafka_keeps_its_records_over_kill_and_freeze_and_restart(make_kafka) -> None:
    server: LocalKafka = make_kafka()
    await server.start()
    port, first = server.port, server.pid
    await create_topic(server.bootstrap, "t")
    await send(server, b"before the kill")
    server.kill()
    assert server.pid is None
    assert not answers(port)
    await server.start()
    assert (server.port, server.pid == first) == (port, False)
    server.freeze()
    sending = asyncio.ensure_future(send(server, b"while frozen"))
    assert not (await asyncio.wait({sending}, timeout=1))[0]
    server.thaw()
    await asyncio.wait_for(sending, PATIENCE)
    await server.restart()
    assert await records(server, 2) == [b"before the kill", b"while frozen"]


async def test_rabbitmq_keeps_its_messages_over_kill_and_freeze(make_rabbitmq) -> None:
    server: LocalRabbitMQ = make_rabbitmq()
    await server.start()
    for kind in ("classic", "quorum"):
        await declare_queue(server.url, kind, kind)
    async with await aio_pika.connect(server.url) as connection:
        exchange = (await connection.channel()).default_exchange
        for kind in ("classic", "quorum"):
            message = aio_pika.Message(kind.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, kind)
        server.freeze()
        with pytest.raises(TimeoutError):
            await exchange.publish(aio_pika.Message(b"late"), "classic", timeout=1)
        server.thaw()
        for kind in ("classic", "quorum"):
            await asyncio.to_thread(await_queue_on_disk, server.directory, kind, kind)
    server.kill()
    assert not answers(server.port)
    await server.start()
    async with await aio_pika.connect(server.url) as connection:
        channel = await connection.channel()
        for kind in ("classic", "quorum"):
            queue = await channel.get_queue(kind)
            assert (await queue.get(timeout=PATIENCE)).body == kind.encode()


async def test_postgres_keeps_its_rows_and_slots_over_kill_and_freeze_and_restart(make_postgres) -> None:
    server: LocalPostgres = make_postgres(extra={"max_replication_slots": "3"})
    await server.start()
    connection = await asyncpg.connect(server.url)
    assert await connection.fetchval("SHOW max_replication_slots") == "3"
    await connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    await connection.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    server.freeze()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.5)
    server.thaw()
    server.kill()
    connection.terminate()
    for _ in range(2):
        await server.start()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT count(*) FROM t") == 1
        assert await connection.fetchval("SELECT count(*) FROM pg_replication_slots") == 1
        await connection.close()
        await server.stop()


async def test_two_servers_of_a_kind_run_side_by_side(make_postgres) -> None:
    one, two = make_postgres(), make_postgres()
    await asyncio.gather(one.start(), two.start())
    for server in (one, two):
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"CREATE DATABASE only_{server.port}")
        await connection.close()
    connection = await asyncpg.connect(one.dsn(f"only_{one.port}"))
    assert (
        await connection.fetchval(f"SELECT count(*) FROM pg_database WHERE datname = 'only_{two.port}'") == 0
    )
    await connection.close()


def test_a_server_is_driven_without_an_event_loop(make_postgres) -> None:
    server: LocalPostgres = make_postgres()
    asyncio.run(server.start())
    server.kill()
    asyncio.run(server.start())
    assert server.pid is not None
    server.end()
    server.end()
    assert server.pid is None


async def test_starting_twice_and_stopping_twice_are_harmless(make_postgres) -> None:
    server: LocalPostgres = make_postgres()
    await server.stop()
    await server.start()
    pid = server.pid
    await server.start()
    assert server.pid == pid
    await server.stop()
    await server.stop()
    with pytest.raises(Unavailable, match="does not run"):
        server.freeze()


async def test_a_server_that_cannot_start_says_why_in_its_own_words(make_postgres) -> None:
    server: LocalPostgres = make_postgres(extra={"max_connections": "many"})
    with pytest.raises(Unavailable, match='invalid value for parameter "max_connections"'):
        await server.start()


async def test_a_server_that_does_not_get_ready_in_time_is_killed(make_kafka) -> None:
    server: LocalKafka = make_kafka()
    with pytest.raises(Unavailable, match=r"was not ready within 0\.2 s"):
        await server.start(patience=0.2)
    assert server.pid is None


async def test_what_is_missing_is_said_with_the_fix(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("POINTSMAN_KAFKA_HOME", str(tmp_path))
    assert "run: make servers" in str(LocalKafka(tmp_path).find())
    assert "run: make servers" in str(LocalPostgres(tmp_path, programs=tmp_path).find())
    with pytest.raises(Unavailable, match="make servers"):
        await LocalPostgres(tmp_path, programs=tmp_path).start()


STARTS_AND_DIES = """
import asyncio, os, pathlib, signal, sys
from service.demo.servers import SERVERS
server = SERVERS[sys.argv[1]](pathlib.Path(sys.argv[2]))
asyncio.run(server.start())
print(*[pid for file in server.directory.glob("*.pid") for pid in [file.read_text().split()[0]]], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["kafka", "rabbitmq", "postgres"])
def test_no_server_survives_the_kill_of_who_started_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(f"make_{kind}")()  # skips where there is none
    command = [sys.executable, "-c", STARTS_AND_DIES, kind, str(tmp_path / kind)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL, done.stderr
    for pid in map(int, done.stdout.split()):
        gone(pid)
    shutil.rmtree(tmp_path / kind)


def gone(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 15)[0], f"{pid} lives on"
    finally:
        os.close(handle)


async def test_a_server_that_was_left_running_on_the_same_directory_is_swept(make_postgres) -> None:
    left: LocalPostgres = make_postgres()
    await left.start()
    again = LocalPostgres(left.directory)
    await again.start()
    assert left.pid is None
    assert again.pid is not None
    again.end()


async def test_a_postgres_that_was_killed_leaves_no_shared_memory(make_postgres) -> None:
    def ours() -> bool:
        lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
        return segment in {line.split()[1] for line in lines}

    def mapped() -> str:
        return Path(f"/proc/{server.pid}/maps").read_text()

    server: LocalPostgres = make_postgres()
    await server.start()
    segment = (server.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
    assert ours()
    assert "/dev/shm/" not in mapped()
    server.kill()
    server.end()
    assert not ours()
    server.end()


def test_ports_are_below_the_ephemeral_range_free_and_given_once() -> None:
    ports = [take_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(1024 < port < 32_768 and not answers(port) for port in ports)


def test_a_pid_file_never_ends_a_stranger(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        file = tmp_path / "old.pid"
        file.write_text(f"{stranger.pid} 12345\n")
        assert processes.sweep([file]) == 0
        assert stranger.poll() is None
        assert not file.exists()
        processes.record(file, stranger.pid)
        assert processes.sweep([file]) == 1
        assert stranger.wait(5) == -signal.SIGKILL
    finally:
        stranger.kill()
        stranger.wait()


def test_a_family_is_frozen_thawed_and_killed_with_children_in_sessions_of_their_own(tmp_path: Path) -> None:
    script = "setsid sleep 60 & setsid sh -c 'sleep 60; :' & echo; wait"
    parent = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        parent.stdout.readline()
    members = family_of(parent.pid, 4)
    processes.freeze(parent.pid)
    assert {state(pid) for pid in members} == {"T"}
    processes.thaw(parent.pid)
    assert "T" not in {state(pid) for pid in members}
    processes.kill(parent.pid)
    assert parent.wait(PATIENCE) == -signal.SIGKILL
    assert [pid for pid in members if processes.started(pid)] == []


def family_of(pid: int, size: int) -> list[int]:
    """Wait until the shell has started everybody."""
    deadline = time.monotonic() + PATIENCE
    while len(found := processes.family(pid)) < size:
        assert time.monotonic() < deadline, found
        time.sleep(0.005)
    return found


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
