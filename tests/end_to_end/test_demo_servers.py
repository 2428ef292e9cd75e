"""`pointsman demo --with …` on real servers: those that run, those that it starts, and what it leaves behind."""

import re
import shlex
import signal
import socket
import time
from pathlib import Path

import aio_pika
import asyncpg
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from aiokafka.admin import AIOKafkaAdminClient

from service.cli.output import out
from service.demo.guests.base import Order
from service.demo.guests.registry import GUESTS
from service.demo.run import run_demo
from service.demo.servers import SERVERS
from service.demo.servers.ports import answers
from service.demo.starter import write_starter
from tests.end_to_end.shell import PROGRAM, free_port, pointsman, shell, started
from tests.patience import PATIENCE

PORTS = ("--port", "0", "--admin-port", "0")
SCENES = {
    "kafka": (" → kafka record", "stored → rule kafka-orders", "published on to topic"),
    "rabbitmq": (" → rabbitmq message", "stored → rule rabbitmq-orders", "answered to who asked: {"),
    "postgres": (" → postgres INSERT", "stored → rule postgres-orders"),
}
LONG = 2 * PATIENCE
"""Seconds for a demo that starts three servers on a busy machine."""


@pytest.fixture
def addresses(kafka, rabbitmq, postgres):
    return {
        "kafka": kafka.bootstrap,
        "rabbitmq": rabbitmq.url,
        "postgres": postgres.dsn.replace("postgresql:", "postgres:"),
    }


def options(addresses):
    return [word for kind, address in addresses.items() for word in (f"--{kind}", address)]


def name_in(said):
    (name,) = set(re.findall(r"pointsman_demo_[0-9a-f]{8}", said))
    return name


async def left_behind(addresses, name):
    """Return what there is in the servers with this name."""
    found = []
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses["kafka"])
    await admin.start()
    try:
        found += [topic for topic in await admin.list_topics() if name in topic]
    finally:
        await admin.close()
    async with await aio_pika.connect(addresses["rabbitmq"]) as connection:
        channel = await connection.channel()
        try:
            await channel.get_queue(f"{name}_orders")
            found.append("queue")
        except ChannelNotFoundEntity:
            pass
    database = await asyncpg.connect(addresses["postgres"])
    try:
        for table, column in (
            ("pg_replication_slots", "slot_name"), ("pg_publication", "pubname"), ("pg_namespace", "nspname"),
        ):  # fmt: skip
            rows = await database.fetch(f"SELECT {column} FROM {table} WHERE {column} LIKE '%{name}%'")
            found += [(table, row[column]) for row in rows]
    finally:
        await database.close()
    return found


async def test_servers_that_run_take_part_and_nothing_stays_in_them(tmp_path, addresses):
    ran = pointsman("demo", "--once", *PORTS, *options(addresses), cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    for words in SCENES.values():
        for word in words:
            assert word in ran.stdout
    assert (
        len(re.findall(r"POST /stock/lamp-7/reservations  201, \d+ ms after it was brought", ran.stdout)) == 3
    )
    assert ran.stdout.count("running already") == 3
    assert re.search(r"demo: everything above really happened, in \d+\.\d s\n$", ran.stdout)
    assert await left_behind(addresses, name_in(ran.stdout)) == []


async def test_a_folder_can_be_used_again_with_and_without_servers(tmp_path, addresses, capsys):
    for wanted in ({"postgres": addresses["postgres"]}, {}, {"postgres": addresses["postgres"]}):
        code = await run_demo(once=True, folder=tmp_path, port=0, admin_port=0, console=out(), wanted=wanted)
        assert code == 0, capsys.readouterr().out


async def test_sigterm_in_the_middle_leaves_nothing_behind(tmp_path, addresses):
    with started(("demo", "--once", *PORTS, *options(addresses)), cwd=tmp_path) as demo:
        said = demo.until("in force after")
        assert await left_behind(addresses, name_in(said)), "there is something to remove"
        assert demo.end(signal.SIGTERM) == 143
    assert "Traceback" not in demo.said
    assert await left_behind(addresses, name_in(said)) == []


def installed(tmp_path):
    for kind, server in SERVERS.items():
        if (lacking := server(tmp_path / kind).find()) is not None:
            pytest.skip(lacking)
        if answers(int(GUESTS[kind].usual.rpartition("@")[2].split("/")[0].rpartition(":")[2])):
            pytest.skip(f"a {kind} of this machine would be used")


def ports_in(said):
    return [int(port) for port in re.findall(r"at 127\.0\.0\.1:(\d+)(?:/postgres)?, started", said)]


def test_servers_that_do_not_run_are_started_and_ended(tmp_path):
    installed(tmp_path)
    with started(("demo", "--with", "kafka,rabbitmq,postgres", *PORTS), cwd=tmp_path, ONCE="1") as demo:
        assert demo.process.wait(LONG) == 0, demo.said
    for kind, words in SCENES.items():
        assert f"starting {GUESTS[kind].title} …" in demo.said
        for word in words:
            assert word in demo.said
    ports = ports_in(demo.said)
    assert len(ports) == 3
    assert not any(answers(port) for port in ports)
    folder = re.search(r"store +(\S+)/data/pointsman\.db", demo.said)[1]
    assert not Path(folder).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_servers_of_our_own_end_however_the_demo_ends(tmp_path, number):
    installed(tmp_path)
    words = ("demo", "--once", "--data", "kept", "--with", "postgres", *PORTS)
    with started(words, cwd=tmp_path) as demo:
        (port,) = ports_in(demo.until(", started", LONG))  # long before it would end by itself
        assert demo.end(number) == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    deadline = time.monotonic() + PATIENCE
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not answers(port)
    assert "Traceback" not in demo.said


def test_names_and_addresses_that_cannot_be_are_told_all_at_once(tmp_path):
    ran = pointsman(
        "demo", "--with", "kafka,rabit,redis", "--kafka", "x", "--postgres", "mysql://x", cwd=tmp_path
    )
    assert ran.returncode == 2
    for words in ("did you mean rabbitmq?", "there are: kafka, rabbitmq, postgres", "--kafka is no address",
                  "--postgres is no address"):  # fmt: skip
        assert words in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_addresses_where_nobody_answers_are_told_all_at_once(tmp_path):
    port = free_port()
    ran = pointsman(
        "demo", "--once", *PORTS, "--kafka", f"127.0.0.1:{port}", "--rabbitmq", f"amqp://a:secret@127.0.0.1:{port}/",
        "--postgres", f"postgres://a:secret@127.0.0.1:{port}/b", cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 1
    for title in ("Kafka", "RabbitMQ", "PostgreSQL"):
        assert f"{title} at 127.0.0.1:{port}" in ran.stdout
    assert "secret" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


async def test_a_server_that_cannot_be_read_says_what_would_mend_it(tmp_path, make_postgres):
    server = make_postgres(extra={"wal_level": "replica"})
    await server.start()
    ran = pointsman("demo", "--once", *PORTS, "--postgres", server.url, cwd=tmp_path)
    assert ran.returncode == 1
    assert "is of no use: wal_level is replica: ALTER SYSTEM SET wal_level = 'logical'" in ran.stdout


def test_a_server_that_does_not_start_fails_the_demo_and_ends_the_others(tmp_path):
    installed(tmp_path)
    # A java of nothing: PostgreSQL starts, Kafka does not.
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin/java"
    java.write_text("#!/bin/sh\necho this is no java >&2; exit 3\n", "utf-8")
    java.chmod(0o755)
    words = shlex.join([*PROGRAM, "demo", "--once", *PORTS, "--with", "kafka,postgres"])
    ran = shell(f"PATH={tmp_path}/bin:$PATH {words}", cwd=tmp_path)
    assert ran.returncode == 1
    assert "demo: FAILED: " in ran.stdout
    assert "this is no java" in ran.stdout
    assert not any(answers(port) for port in ports_in(ran.stdout))
    assert "Traceback" not in ran.stdout + ran.stderr


def test_what_is_missing_is_told_with_the_ways_to_mend_it(tmp_path):
    if answers(9092):
        pytest.skip("a Kafka of this machine would be used")
    ran = pointsman(
        "demo", "--once", *PORTS, "--with", "kafka", cwd=tmp_path, POINTSMAN_KAFKA_HOME="/nowhere"
    )
    assert ran.returncode == 1
    for way in ("run: make servers", "--kafka 127.0.0.1:9092", "docker compose up"):
        assert way in ran.stdout


SWALLOW = """
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
    FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
        EXECUTE format('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.swallow()',
                       made.object_identity);
    END LOOP;
END $$;
CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION spoil();
"""


async def test_a_row_that_does_not_come_fails_the_demo(tmp_path, pg_database, capsys):
    connection = await asyncpg.connect(pg_database.dsn)
    try:
        await connection.execute(SWALLOW)
    finally:
        await connection.close()
    code = await run_demo(
        once=True, folder=tmp_path, port=0, admin_port=0, console=out(), patience=3,
        wanted={"postgres": pg_database.dsn},
    )  # fmt: skip
    said = capsys.readouterr().out
    assert code == 1
    assert (
        "demo: FAILED: this did not happen: the shop is called for the INSERT of PostgreSQL within 3 s"
        in said
    )
    assert "really happened" not in said


# -- the feeder


async def test_the_feeder_brings_orders_and_goes_on_where_something_is_down(tmp_path, pg_database):
    connection = await asyncpg.connect(pg_database.dsn)
    try:
        await connection.execute(
            "CREATE TABLE orders (id text, sku text, quantity int, total numeric, currency text, customer text)"
        )
        nobody = free_port()
        words = ("demo", "--feed", f"http://127.0.0.1:{nobody}/hooks/orders", "--kafka", f"127.0.0.1:{nobody}",
                 "--postgres", pg_database.dsn)  # fmt: skip
        with started(words, cwd=tmp_path, ORDERS_SECRET="whsec_" + "YWFh" * 8) as feeder:
            feeder.until("postgres: order ")
            assert f"kafka: Kafka at 127.0.0.1:{nobody}: producing a record" in feeder.said
            assert "webhook: http://127.0.0.1:" in feeder.said
            assert feeder.end(signal.SIGTERM) == 0
        assert "Traceback" not in feeder.said
        assert await connection.fetchval("SELECT count(*) FROM orders") >= 1
        assert await connection.fetchval("SELECT total FROM orders LIMIT 1") == Order(id="x").total
    finally:
        await connection.close()


def test_a_feeder_that_cannot_be_says_everything(tmp_path):
    ran = pointsman("demo", "--feed", "nowhere", "--with", "kafka", cwd=tmp_path)
    assert ran.returncode == 2
    for words in ("--feed is no address", "ORDERS_SECRET", "--feed starts no kafka"):
        assert words in ran.stderr
    ran = pointsman("demo", "--feed", "http://127.0.0.1:1/", "--once", cwd=tmp_path)
    assert ran.returncode == 2


def test_the_shop_takes_its_token_and_its_host_from_the_environment(tmp_path):
    write_starter(tmp_path)
    (tmp_path / "secrets/shop").unlink()
    path, port = tmp_path / "pointsman.yaml", free_port()
    path.write_text(path.read_text("utf-8").replace("127.0.0.1:8082", f"shop.example:{port}"), "utf-8")
    ran = pointsman("demo", "--shop", ".", cwd=tmp_path)
    assert ran.returncode == 1
    assert "has no secrets/shop, and the variable SHOP_TOKEN is not set" in ran.stderr
    words = ("demo", "--shop", ".")
    with started(words, cwd=tmp_path, SHOP_TOKEN="t", POINTSMAN_HOST="127.0.0.2") as shop:
        shop.until(f"the shop listens on 127.0.0.2:{port}")
        socket.create_connection(("127.0.0.2", port), 2).close()
        assert shop.end(signal.SIGINT) == 0
