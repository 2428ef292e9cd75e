"""How a source proves the server and itself: TLS, passwords, rights. What is refused is refused for good."""

import os
import pwd

import asyncpg
import pytest

from tests.fakes.certificates import Authority
from tests.integration.servers.postgres_room import room_of
from triggers.errors import SourceRejected, SourceUnavailable

PASSWORD = "s3cret of anna's"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
async def guarded(make_postgres, authority):
    """A server that speaks TLS only and wants a password."""
    server = make_postgres()
    await server.start()
    sql = await asyncpg.connect(server.url)
    owner = server.data.stat().st_uid
    for name, text in (("server.pem", authority.sign("127.0.0.1")),):
        path = server.data / name
        path.write_bytes(text)
        path.chmod(0o600)
        os.chown(path, owner, pwd.getpwuid(owner).pw_gid)
    for setting, value in (("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.pem"), ("ssl", "on")):
        await sql.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
    await sql.execute(
        "CREATE ROLE anna LOGIN REPLICATION PASSWORD " + "'" + PASSWORD.replace("'", "''") + "'"
    )
    await sql.execute("GRANT CREATE ON DATABASE postgres TO anna; GRANT ALL ON SCHEMA public TO anna")
    await sql.execute("GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO anna")
    hba = server.data / "pg_hba.conf"
    hba.write_text(
        "hostssl all anna 127.0.0.1/32 scram-sha-256\nhostssl replication anna 127.0.0.1/32 scram-sha-256\n"
        "host all postgres 127.0.0.1/32 trust\n"
    )
    await sql.execute("SELECT pg_reload_conf()")
    await sql.close()
    url = f"postgresql://anna@127.0.0.1:{server.port}/postgres"
    async with room_of(server.url) as room:
        await room.eventually(
            lambda: room.sql.fetchval("SELECT setting = 'on' FROM pg_settings WHERE name = 'ssl'"), "TLS"
        )
        await room.sql.execute("SET ROLE anna; CREATE TABLE orders (id int PRIMARY KEY); RESET ROLE")
        room.dsn = url
        yield room


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_the_server_is_proven_and_the_password_given(guarded, authority, mode):
    room = guarded
    config = room.config(mode=mode, ca=authority.pem.decode(), password=PASSWORD)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await run.until(lambda: room.ids() == [1], "the row")
        plain = await room.sql.fetchval(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'anna' AND NOT ssl"
        )
    assert plain == 0
    assert PASSWORD not in repr((room.emitted.offered, run.report.text))


async def test_a_server_of_another_authority_is_refused_for_good(guarded):
    config = guarded.config(ca=Authority().pem.decode(), password=PASSWORD)
    async with guarded.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceRejected)
    assert "certificate" in str(error)


async def test_a_wrong_password_is_refused_for_good_and_never_told(guarded, authority):
    config = guarded.config(ca=authority.pem.decode(), password="wr0ng")
    async with guarded.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceRejected)
    assert "password" in str(error)
    assert "wr0ng" not in str(error) + repr(error.__cause__)


async def test_a_server_without_tls_is_not_spoken_to_where_tls_is_wanted(pg_database):
    async with room_of(pg_database.dsn) as room:
        room.dsn += "?sslmode=require"
        async with room.running(room.config()) as run:
            error = await run.ended()
    assert isinstance(error, SourceRejected | SourceUnavailable)


async def test_a_role_without_the_right_to_replicate_is_refused_for_good(guarded, authority):
    room = guarded
    config = room.config(ca=authority.pem.decode(), password=PASSWORD)
    await room.set_up(config)
    await room.sql.execute("ALTER ROLE anna NOREPLICATION")
    async with room.running(config) as run:
        error = await run.ended()
    assert isinstance(error, SourceRejected)
    assert "replicat" in str(error).lower()
