"""F41: the network between us and a database is cut for a while, then it is back; nothing is lost or repeated.

The catalogue cuts it for ten minutes. Here it is twenty seconds, many times what either side waits for a sign
of life; `POINTSMAN_CUT_SECONDS=600` makes it ten minutes.
"""

import asyncio
import os
import time

import msgspec
import pytest

from tests.integration.servers.network import cut, uncuttable
from tests.integration.servers.postgres_room import decoded, room_of
from tests.patience import PATIENCE
from triggers.message import TriggerMessage
from triggers.postgres.source import PostgresSource

CUT = float(os.environ.get("POINTSMAN_CUT_SECONDS", "20"))

pytestmark = [
    pytest.mark.timeout(120 + CUT),
    pytest.mark.skipif(bool(uncuttable()), reason=uncuttable() or "packets can be dropped"),
]


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_f41_a_network_that_is_cut_and_comes_back_loses_nothing(make_postgres, house, mode):
    server = make_postgres(extra={"wal_sender_timeout": "2s"})
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, v int)")
        config = room.config(mode=mode, timeout="2s")
        await room.set_up(config)
        house.kinds["postgres"] = PostgresSource
        await house.use(orders=config)
        await room.sql.execute("INSERT INTO orders VALUES (1)")
        await _stored(house, 1)
        spared = room.sql._transport.get_extra_info("sockname")[1]
        async with cut(server.port, spared=spared):
            over = time.monotonic() + CUT
            await house.until(lambda: not house.supervisor.status("orders").healthy, "the cut is seen")
            await room.sql.execute("INSERT INTO orders SELECT generate_series(2, 500)")
            while time.monotonic() < over:  # the cut has a length
                assert house.supervisor.status("orders").state not in ("gap", "refused")
                await asyncio.sleep(0.2)
            cut_off = house.supervisor.status("orders")
            assert cut_off.restarts >= 2, "it gave up trying"
            assert cut_off.last_error
            held = await room.sql.fetchval(
                "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::int "
                "FROM pg_replication_slots WHERE slot_name = $1",
                room.slot,
            )
            assert held > 0, "the slot let go of what was not taken"
        await _stored(house, 500)
        await house.state("orders", "running")
        await house.until(lambda: house.supervisor.status("orders").pending == 0, "nothing is pending")
        await house.supervisor.close()
    store = house.room.store
    rows = (await store.messages(limit=1000, of_type="postgres.insert")).rows
    taken = [
        decoded(msgspec.msgpack.decode((await store.message(row["number"]))["record"], type=TriggerMessage))
        for row in rows
    ]
    assert [one["after"]["id"] for one in reversed(taken)] == list(range(1, 501))


async def _stored(house, count):
    deadline = time.monotonic() + PATIENCE
    while (found := await house.stored("postgres.insert")) < count:
        assert time.monotonic() < deadline, (found, house.supervisor.statuses())
        await asyncio.sleep(0.05)
