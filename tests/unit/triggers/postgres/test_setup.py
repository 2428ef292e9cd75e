"""What set-up would do, and what it refuses, without a server."""

import msgspec

from tests.tables import every_row
from triggers.postgres.catalog import (
    Column,
    Holder,
    Identity,
    Publication,
    PublishedTable,
    Server,
    Slot,
    Table,
)
from triggers.postgres.config import PostgresConfig
from triggers.postgres.heartbeat import Beat, fully_taken, pinned, wal_alarm
from triggers.postgres.requirements import of_publication, of_server, of_slot, of_table, of_tables
from triggers.postgres.setup import Scene, plan

MEBIBYTE = 1024 * 1024

IDENTITY = Identity(system_id="7001", timeline=1, version=150018, database="shop", wal_lsn=10 * MEBIBYTE)
SERVER = Server(
    wal_level="logical",
    slots=10,
    slots_used=2,
    senders=10,
    senders_used=2,
    replicates=True,
    plugins=None,
    creates=True,
    keep_mebibytes=-1,
    user="anna",
    pooled=False,
)
ORDERS = Table(
    oid=1,
    schema="public",
    name="orders",
    kind="r",
    identity="default",
    key=("id",),
    identity_key=("id",),
    primary=True,
    columns=(Column("id", 23, -1, "integer"),),
    file=1,
    rows=0,
    blocks=0,
    persistent=True,
    readable=True,
    owned=True,
)
PUBLICATION = Publication(
    name="pointsman_orders",
    all_tables=False,
    operations=frozenset({"insert", "update", "delete", "truncate"}),
    via_root=True,
    tables=(PublishedTable(oid=1, schema="public", name="orders", columns=("id",)),),
    ours=True,
)
SLOT = Slot(
    name="pointsman_orders", plugin="pgoutput", database="shop", active_pid=None, confirmed=1, restart=1
)


def config(**changes):
    return PostgresConfig(kind="postgres", url="postgresql://h/d", **{"tables": ["public.orders"], **changes})


def scene(**changes):
    plain = {
        "identity": IDENTITY,
        "server": SERVER,
        "slot": SLOT,
        "publication": PUBLICATION,
        "tables": [ORDERS],
    }
    return Scene(**{**plain, **changes})


def changed(value, **changes):
    return msgspec.structs.replace(value, **changes)


def codes(findings):
    return {finding.code for finding in findings}


@every_row(
    ("server", "code"),
    [
        ({"wal_level": "replica"}, "wal-level"),
        ({"replicates": False}, "no-replication-right"),
        ({"plugins": "wal2json"}, "plugin-refused"),
        ({"plugins": '"wal2json", test_decoding'}, "plugin-refused"),
        ({"pooled": True}, "pooler"),
        ({"senders_used": 10}, "no-free-sender"),
        ({"slots_used": 10}, "no-free-slot"),
    ],
)
def test_each_lack_of_the_server_is_an_error_with_a_fix(server, code):
    (finding,) = of_server(IDENTITY, changed(SERVER, **server), config(), slot=None)
    assert (finding.code, finding.severity) == (code, "error")
    assert finding.fix


def test_a_fit_server_has_no_findings():
    assert of_server(IDENTITY, changed(SERVER, plugins="test_decoding, pgoutput"), config(), slot=None) == []


def test_polling_goes_through_poolers_and_wants_no_sender():
    server = changed(SERVER, pooled=True, senders_used=10)
    assert of_server(IDENTITY, server, config(mode="poll"), slot=None) == []


def test_our_own_slot_and_sender_need_no_free_place():
    server = changed(SERVER, slots_used=10, senders_used=10)
    assert of_server(IDENTITY, server, config(), slot=changed(SLOT, active_pid=7)) == []


def test_an_old_server_is_refused():
    assert codes(of_server(changed(IDENTITY, version=130012), SERVER, config(), slot=None)) == {"version"}


@every_row(
    ("table", "operations", "fit"),
    [
        ({}, {"insert", "update"}, True),
        ({"primary": False, "key": ()}, {"insert", "update"}, False),
        ({"primary": False, "key": ()}, {"delete"}, False),
        ({"primary": False, "key": ()}, {"insert", "truncate"}, True),
        ({"identity": "full", "primary": False}, {"update"}, True),
        ({"identity": "index", "primary": False}, {"update"}, True),
        ({"identity": "nothing"}, {"update"}, False),  # also with a primary key
        ({"kind": "v"}, {"insert"}, False),
        ({"kind": "f"}, {"insert"}, False),
        ({"persistent": False}, {"insert"}, False),
        ({"kind": "p"}, {"update"}, True),
    ],
)
def test_a_table_is_fit_when_its_own_updates_go_on_working(table, operations, fit):
    assert (of_table(changed(ORDERS, **table), frozenset(operations)) == []) is fit


def test_a_table_that_is_not_there_names_a_near_one():
    (finding,) = of_tables([ORDERS], config(tables=["public.order", "public.orders"]), frozenset())
    assert (finding.code, finding.field, finding.fix) == (
        "no-table",
        "tables.0",
        "did you mean public.orders?",
    )


def test_filters_that_leave_nothing_are_doubtful():
    wanted = config(columns={"public.orders": ["idx"]})
    assert codes(of_tables([ORDERS], wanted, frozenset())) == {"no-column", "no-columns"}


def test_what_is_there_is_left_as_it_is():
    assert all(step.done and not step.statement for step in plan("orders", config(), scene()))


def test_the_publication_is_made_before_the_slot():
    _, publication, slot = plan("orders", config(), scene(publication=None, slot=None))
    assert publication.statement == (
        'CREATE PUBLICATION "pointsman_orders" FOR TABLE "public"."orders" '
        "WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);\n"
        "COMMENT ON PUBLICATION \"pointsman_orders\" IS 'made by pointsman for source orders'"
    )
    assert slot.statement == "SELECT pg_create_logical_replication_slot('pointsman_orders', 'pgoutput')"


def test_newer_servers_keep_the_slot_in_step_on_standbys():
    newer = scene(slot=None, identity=changed(IDENTITY, version=170002))
    assert plan("orders", config(), newer)[-1].statement.endswith("'pgoutput', false, false, true)")


def test_a_lost_slot_is_made_anew_only_by_setup():
    step = plan("orders", config(), scene(slot=changed(SLOT, lost="wal_removed")))[-1]
    assert step.statement.split(";\n") == [
        "SELECT pg_drop_replication_slot('pointsman_orders')",
        "SELECT pg_create_logical_replication_slot('pointsman_orders', 'pgoutput')",
    ]


@every_row("slot", [{"plugin": "wal2json"}, {"database": "crm"}, {"plugin": "", "database": ""}])
def test_a_slot_of_others_is_never_touched(slot):
    step = plan("orders", config(), scene(slot=changed(SLOT, **slot)))[-1]
    assert step.problem
    assert step.statement == ""


def test_names_are_quoted():
    odd = changed(ORDERS, schema='sh"op', name="it's")
    made = plan(
        "orders", config(tables=["sh\"op.it's"], publication='p"'), scene(publication=None, tables=[odd])
    )
    assert 'CREATE PUBLICATION "p""" FOR TABLE "sh""op"."it\'s" ' in made[1].statement


@every_row(
    ("publication", "code"),
    [
        ({"tables": ()}, "nothing-published"),
        ({"operations": frozenset({"insert"})}, "operations"),
    ],
)
def test_a_publication_that_lacks_something_is_told(publication, code):
    assert code in codes(of_publication(changed(PUBLICATION, **publication), [ORDERS], config(), setup="s"))


def test_a_standby_has_no_publication_made():
    steps = plan("orders", config(), scene(publication=None, identity=changed(IDENTITY, standby=True)))
    assert "primary" in steps[1].problem


def test_a_slot_is_ours_by_plugin_and_database():
    assert of_slot(SLOT, IDENTITY, setup="s") == []
    assert codes(of_slot(changed(SLOT, lost="wal_removed"), IDENTITY, setup="s")) == {"slot-lost"}
    assert codes(of_slot(changed(SLOT, plugin="x"), IDENTITY, setup="s")) == {"slot-of-others"}


# -- what the watch says of WAL


@every_row(
    ("restart", "budget", "keep", "status", "alarming"),
    [
        (9, "4MiB", -1, "reserved", ""),
        (2, "4MiB", -1, "extended", "wal_budget"),
        (2, "1GiB", 10, "extended", "max_slot_wal_keep_size (10 MiB)"),
        (3, "1GiB", 10, "extended", ""),  # 7 of 10
        (9, "1GiB", 10, "unreserved", "next checkpoint"),
        (11, "1MiB", -1, "reserved", ""),  # asked a moment later
    ],
)
def test_the_alarm_comes_before_the_disk_is_full(restart, budget, keep, status, alarming):
    slot = changed(SLOT, restart=restart * MEBIBYTE, wal_status=status)
    told = wal_alarm(config(wal_budget=budget), IDENTITY, slot, keep)
    assert alarming in told
    assert bool(told) == bool(alarming)


HOLDER = Holder(who="pid 77", user="anna", database="shop", state="idle in transaction", seconds=600.0)


def test_the_alarm_names_who_holds_wal_back():
    taken = changed(SLOT, confirmed=10 * MEBIBYTE, restart=MEBIBYTE)
    assert "SELECT pg_terminate_backend(77)" in pinned(IDENTITY, taken, [HOLDER])
    prepared = changed(HOLDER, who="prepared transaction two", state="prepared")
    assert "ROLLBACK PREPARED 'two'" in pinned(IDENTITY, taken, [prepared])
    behind = changed(SLOT, confirmed=2 * MEBIBYTE, restart=MEBIBYTE)
    assert "8 MiB of it is not taken yet" in pinned(IDENTITY, behind, [HOLDER])
    assert "pid 77" in pinned(IDENTITY, behind, [HOLDER])
    assert "not taken yet" in pinned(IDENTITY, behind, [])


@every_row(
    ("beat", "confirmed", "now", "taken"),
    [
        (None, 100, 5.0, False),
        (Beat(90, 1.0), 100, 5.0, True),
        (Beat(100, 1.0), 100, 5.0, True),
        (Beat(101, 1.0), 100, 5.0, False),
        (Beat(90, 1.0), 100, 31.5, False),  # nobody writes heartbeats any more
    ],
)
def test_all_is_taken_when_the_slot_is_past_the_last_heartbeat(beat, confirmed, now, taken):
    assert fully_taken(beat, changed(SLOT, confirmed=confirmed), now, 10.0) is taken
