"""Our side of the replication protocol gives the very bytes that PostgreSQL's own client gives."""

import asyncio
import shutil
import struct
from pathlib import Path

import pytest

from tests.integration.servers.postgres_room import room_of
from tests.patience import PATIENCE
from triggers.errors import SourceUnavailable
from triggers.postgres.pgoutput import Commit, Decoder, Insert
from triggers.postgres.position import Position, parse_lsn
from triggers.postgres.wire import replication, row, streaming


def program(name: str) -> str:
    """Return a program of PostgreSQL, or skip the calling test."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int, note text)")
        yield room


async def position(room) -> Position:
    async with replication(room.name, room.config()) as connection:
        system_id, timeline, *_ = await row(connection, b"IDENTIFY_SYSTEM")
    return Position(system_id=system_id, timeline=int(timeline), slot=room.slot, lsn=0)


async def test_the_bytes_are_those_of_pg_recvlogical(room):
    config = room.config()
    await room.set_up(config)
    publication = await room.sql.fetchval("SELECT pubname::text FROM pg_publication")
    twin = f"{room.slot}_twin"
    await room.sql.execute("SELECT pg_copy_logical_replication_slot($1, $2)", room.slot, twin)
    await room.sql.execute("INSERT INTO orders SELECT n, n, repeat('x', n) FROM generate_series(1, 500) AS n")
    await room.sql.execute(
        "UPDATE orders SET note = E'new\\nline' WHERE id % 7 = 0; DELETE FROM orders WHERE id < 9"
    )
    await room.sql.execute("SELECT pg_logical_emit_message(true, 'p', '\\x00ff0a'::bytea); TRUNCATE orders")
    await room.sql.execute("INSERT INTO orders VALUES (1000)")
    end = await room.sql.fetchval("SELECT pg_current_wal_lsn()::text")

    process = await asyncio.create_subprocess_exec(
        program("pg_recvlogical"),
        *("-d", room.dsn, "-S", twin, "--start", "-f", "-", "--no-loop", "--endpos", end),
        *("-o", "proto_version=1", "-o", f"publication_names={publication}", "-o", "messages=true"),
        stdout=asyncio.subprocess.PIPE,
    )
    theirs, _ = await asyncio.wait_for(process.communicate(), PATIENCE)

    frames: list[bytes] = []
    async with streaming(room.name, config, await position(room), publication) as wire:
        wire.status(0, ask=True)
        while True:
            frame = wire.frame()
            if frame is None:
                await asyncio.wait_for(wire.readable(), PATIENCE)
            elif frame[:1] == b"w":
                frames.append(frame[25:])
            elif struct.unpack_from(">Q", frame, 1)[0] >= parse_lsn(end):
                break
    assert b"".join(frame + b"\n" for frame in frames) == theirs
    decoder = Decoder()
    decoded = [decoder.decode(frame) for frame in frames]
    assert sum(isinstance(message, Insert) for message in decoded) == 501
    assert isinstance(decoded[-1], Commit)
    await room.sql.execute("SELECT pg_drop_replication_slot($1)", twin)


async def test_a_server_that_was_changed_for_another_is_noticed(room):
    await room.set_up(room.config())
    other = Position(system_id="1", timeline=1, slot=room.slot, lsn=0)
    with pytest.raises(SourceUnavailable, match="changed while we connected"):
        async with streaming(room.name, room.config(), other, "any"):
            pass


async def test_a_slot_that_is_gone_is_told(room):
    with pytest.raises(SourceUnavailable, match="does not exist"):
        async with streaming(room.name, room.config(), await position(room), "any"):
            pass
