"""Setting up, looking at and taking down what a source needs on the server; what is refused and why."""

import asyncpg
import pytest

from tests.integration.servers.postgres_room import room_of
from tests.servers import unique

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)"


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute(TABLE)
        yield room


async def steps_of(room, config, *, apply=False, teardown=False):
    async with room.opened(config) as (source, _):
        return await (source.teardown(apply=apply) if teardown else source.setup(apply=apply))


async def codes_of(room, config):
    async with room.opened(config) as (source, _):
        findings = await source.check()
    assert all(finding.fix for finding in findings), findings
    return {finding.code for finding in findings if finding.severity == "error"}


def problems(steps):
    return " ".join(f"{step.problem} {step.fix}" for step in steps if step.problem)


async def things(room):
    """Return what the server has of us, and how tables look."""
    return [
        await room.sql.fetch(
            "SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()"
        ),
        await room.sql.fetch("SELECT pubname, pubinsert, pubupdate, pubviaroot FROM pg_publication"),
        await room.sql.fetch("SELECT tablename FROM pg_publication_tables ORDER BY 1"),
        await room.sql.fetch(
            "SELECT relname, relreplident FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        ),
    ]


async def test_setup_shows_then_does_and_twice_is_harmless(room):
    config = room.config()
    before = await things(room)
    assert await codes_of(room, config) == {"no-slot", "no-publication"}
    shown = await steps_of(room, config)
    assert problems(shown) == ""
    statements = "\n".join(step.statement for step in shown)
    assert 'CREATE PUBLICATION "pointsman_orders" FOR TABLE "public"."orders"' in statements
    assert f"pg_create_logical_replication_slot('{room.slot}', 'pgoutput'" in statements
    assert await things(room) == before
    done = await steps_of(room, config, apply=True)
    assert all(step.done for step in done), done
    assert await codes_of(room, config) == set()
    after = await things(room)
    assert after[3] == before[3]  # tables are as they were
    again = await steps_of(room, config, apply=True)
    assert all(step.done and not step.statement for step in again)
    assert await things(room) == after


async def test_what_setup_shows_can_be_run_by_hand(room):
    for step in await steps_of(room, room.config()):
        if step.statement:
            await room.sql.execute(step.statement)
    assert await codes_of(room, room.config()) == set()


async def test_teardown_removes_ours_only(room):
    config = room.config()
    await room.sql.execute("CREATE PUBLICATION theirs FOR TABLE orders")
    other = unique("slot")
    await room.sql.execute("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", other)
    await room.set_up(config)
    shown = await steps_of(room, config, teardown=True)
    assert [step.done for step in shown] == [False, False]
    assert await room.held() is not None
    assert all(step.done for step in await steps_of(room, config, teardown=True, apply=True))
    assert [row["slot_name"] for row in (await things(room))[0]] == [other]
    assert [row["pubname"] for row in (await things(room))[1]] == ["theirs"]
    assert all(step.done for step in await steps_of(room, config, teardown=True, apply=True))
    mine = room.config(publication="theirs", slot=other)
    steps = await steps_of(room, mine, teardown=True, apply=True)
    assert [row["slot_name"] for row in (await things(room))[0]] == [other]
    assert [row["pubname"] for row in (await things(room))[1]] == ["theirs"]
    assert any("not ours" in step.what for step in steps)


async def test_teardown_waits_for_nobody_who_uses_the_slot(room):
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as run:
        await run.until(lambda: "lsn" in room.emitted.kept, "it runs")

        async def active():
            return (await room.held())["active_pid"]

        pid = await room.eventually(active, "the slot is in use")
        steps = await steps_of(room, config, teardown=True, apply=True)
        assert f"in use by process {pid}" in problems(steps)
        assert [row["pubname"] for row in (await things(room))[1]] == ["pointsman_orders"]


async def test_a_table_without_identity_is_refused_and_its_updates_go_on(room):
    await room.sql.execute("CREATE TABLE nokey (x int); INSERT INTO nokey VALUES (1)")
    config = room.config(tables=["public.orders", "public.nokey"])
    steps = await steps_of(room, config, apply=True)
    assert 'ALTER TABLE "public"."nokey" REPLICA IDENTITY FULL' in problems(steps)
    assert (await things(room))[1] == []
    assert await room.sql.execute("UPDATE nokey SET x = 2") == "UPDATE 1"
    assert "no-identity" in await codes_of(room, config)
    inserts = room.config(tables=["public.nokey"], operations=["insert"])
    assert all(step.done for step in await steps_of(room, inserts, apply=True))
    assert await room.sql.execute("UPDATE nokey SET x = 3") == "UPDATE 1"
    assert await codes_of(room, inserts) == set()
    await room.sql.execute("ALTER PUBLICATION pointsman_orders SET (publish = 'insert, update')")
    assert "no-identity" in await codes_of(room, inserts)


async def test_everything_wrong_with_the_tables_is_told_at_once(room):
    await room.sql.execute(
        "CREATE UNLOGGED TABLE quick (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS id"
    )
    config = room.config(
        tables=["public.order", "public.quick", "public.seen", "nowhere.*"], columns={"public.quick": ["idd"]}
    )
    told = problems(await steps_of(room, config, apply=True))
    assert "there is no table public.order" in told
    assert "SET LOGGED" in told
    assert "public.seen is no ordinary table" in told
    assert "nowhere.*" in told
    assert (await things(room))[0] == []
    async with room.opened(config) as (source, _):
        found = {finding.code: finding for finding in await source.check()}
    assert found["no-column"].fix == "did you mean id?"
    assert found["no-table"].field == "tables.3"


async def test_partitions_come_under_the_name_of_their_table(room):
    await room.sql.execute(
        "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)"
    )
    config = room.config(tables=["public.parts"], setup="auto")
    await room.sql.execute("CREATE PUBLICATION theirs FOR TABLE parts")
    theirs = room.config(tables=["public.parts"], publication="theirs")
    assert "publish_via_partition_root" in problems(await steps_of(room, theirs, apply=True))
    assert "partitions" in await codes_of(room, theirs)
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO parts VALUES (7)")
        await run.until(lambda: room.ids("insert") == [7], "the row")
    assert room.rows("insert")[0]["table"] == "parts"


async def test_a_publication_of_ours_follows_the_configuration(room):
    await room.sql.execute("CREATE TABLE more (id int PRIMARY KEY); CREATE TABLE less (id int PRIMARY KEY)")
    await room.set_up(room.config(tables=["public.orders", "public.less"], operations=["insert"]))
    config = room.config(tables=["public.orders", "public.more"])
    assert await codes_of(room, config) == {"not-published", "operations"}
    await room.set_up(config)
    assert [row["tablename"] for row in (await things(room))[2]] == ["more", "orders"]
    assert (await things(room))[1][0]["pubupdate"]
    assert await codes_of(room, config) == set()


async def test_somebody_elses_publication_is_never_changed(room):
    await room.sql.execute("CREATE PUBLICATION theirs WITH (publish = 'insert')")
    before = await things(room)
    config = room.config(publication="theirs")
    told = problems(await steps_of(room, config, apply=True))
    assert 'ALTER PUBLICATION "theirs" ADD TABLE "public"."orders"' in told
    assert "publish = 'insert, update, delete, truncate'" in told
    assert await things(room) == before


async def test_without_tables_the_publication_must_be_there(room):
    assert "tables:" in problems(await steps_of(room, room.config(tables=[]), apply=True))


async def test_all_tables_of_a_schema(room):
    await room.sql.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.a (id int PRIMARY KEY); CREATE TABLE shop.b (id int PRIMARY KEY)"
    )
    config = room.config(tables=["shop.*"], exclude_tables=["shop.b"])
    await room.set_up(config)
    assert [row["tablename"] for row in (await things(room))[2]] == ["a"]
    await room.sql.execute("CREATE TABLE shop.c (id int PRIMARY KEY)")
    assert await codes_of(room, config) == {"not-published"}


async def test_a_role_without_rights_is_told_what_it_lacks(room, pg_database):
    role = unique("poor")
    await room.sql.execute(f"CREATE ROLE {role} LOGIN")
    try:
        dsn = pg_database.dsn.replace("postgres@", f"{role}@")
        config = room.config(url=dsn, snapshot="initial")
        told = problems(await steps_of(room, config, apply=True))
        assert f'ALTER ROLE "{role}" REPLICATION' in told
        assert "does not own public.orders" in told
        await room.set_up(room.config())
        assert {"no-replication-right", "not-readable"} <= await codes_of(room, config)
        async with room.running(config) as run:
            error = await run.ended()
        assert "permission denied" in str(error) or "must be superuser or replication role" in str(error)
    finally:
        await room.sql.execute(f"DROP ROLE {role}")


async def test_an_open_transaction_that_keeps_a_slot_from_beginning_is_named(make_postgres):
    server = make_postgres()
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        idle = await asyncpg.connect(server.dsn())
        await idle.execute("BEGIN; INSERT INTO orders VALUES (1)")
        pid = await idle.fetchval("SELECT pg_backend_pid()")
        config = room.config(timeout="500ms")
        steps = await steps_of(room, config, apply=True)
        assert f"pid {pid}" in steps[-1].fix
        assert await room.held() is None
        await idle.execute("ROLLBACK")
        assert all(step.done for step in await steps_of(room, config, apply=True))
        await idle.close()


async def test_a_server_that_is_not_ready_is_told_so(make_postgres):
    server = make_postgres(
        extra={"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1"}
    )
    await server.start()
    async with room_of(server.dsn()) as room:
        await room.sql.execute(TABLE)
        await room.sql.execute("SELECT pg_create_physical_replication_slot('standby')")
        told = problems(await steps_of(room, room.config(), apply=True))
        assert "ALTER SYSTEM SET wal_level = 'logical'" in told
        assert "all 1 replication slots are taken" in told
        assert {"wal-level", "no-free-slot"} <= await codes_of(room, room.config())
        assert (await things(room))[1] == []


async def test_an_unreachable_server_is_one_finding(room):
    config = room.config(url="postgresql://postgres@127.0.0.1:1/x")
    async with room.opened(config) as (source, _):
        (finding,) = await source.check()
    assert finding.code == "unreachable"


async def test_a_wrong_database_is_one_finding(room, pg_database):
    async with room.opened(room.config(url=pg_database.of("nowhere").dsn)) as (source, _):
        (finding,) = await source.check()
    assert finding.code == "refused"
    assert "nowhere" in finding.message
