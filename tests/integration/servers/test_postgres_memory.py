"""A transaction far larger than the memory that may be taken passes in parts (F48)."""

import asyncio
import os
import sys

import pytest

from tests.integration.servers.postgres_room import room_of
from tests.shared import ROOT

MEBIBYTES = int(os.environ.get("POINTSMAN_TEST_TRANSACTION_MIB", "100"))
"""The size of the transaction; the release run takes 1024."""

LIMIT_MIB = 300


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_a_large_transaction_takes_little_memory(make_postgres, mode):
    server = make_postgres(extra={"fsync": "off", "max_wal_size": "4GB"})
    await server.start()
    async with room_of(server.url) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
        await room.set_up(room.config())
        publication = await room.sql.fetchval("SELECT pubname::text FROM pg_publication")
        rows = MEBIBYTES * 1024
        await room.sql.execute(
            f"INSERT INTO orders SELECT n, repeat('x', 1000) FROM generate_series(1, {rows}) AS n",
            timeout=600,
        )
        words = [server.url, room.slot, publication, mode, str(rows)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.servers.postgres_reader",
            *words,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await asyncio.wait_for(process.communicate(), 600)
    count, mebibytes = map(int, told.split())
    assert count == rows
    assert mebibytes < LIMIT_MIB
    print(f"{MEBIBYTES} MiB in one transaction, mode {mode}: {mebibytes} MiB of memory")
