"""Where a source goes on: every combination of what is stored with what the server has (F42, F43, F46, F51, F52)."""

import itertools

import msgspec
import pytest

from tests.tables import every_row
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres.catalog import Identity, Slot
from triggers.postgres.position import Part, Position
from triggers.postgres.slot import judge, rewind

HERE = Identity(system_id="7001", timeline=1, version=150018, database="shop", wal_lsn=1000)
SLOT = Slot(
    name="pointsman_orders", plugin="pgoutput", database="shop", active_pid=None, confirmed=500, restart=400
)
STORED = Position(system_id="7001", timeline=1, slot="pointsman_orders", lsn=500, xid=42)


def changed(value, **changes):
    return msgspec.structs.replace(value, **changes)


def reason(error):
    return error.facts["reason"]


def test_without_a_position_the_slot_says_where_to_begin():
    assert judge("orders", None, HERE, SLOT) == Position(
        system_id="7001", timeline=1, slot="pointsman_orders", lsn=500
    )


@every_row("confirmed", [1, 499, 500])
def test_a_slot_that_is_not_further_goes_on_where_we_stored(confirmed):
    assert judge("orders", STORED, HERE, changed(SLOT, confirmed=confirmed)) == STORED


def test_what_is_stored_of_a_transaction_is_kept():
    stored = changed(STORED, part=Part(final_lsn=600, xid=43, index=17))
    assert judge("orders", stored, HERE, SLOT) == stored


def gap(position, identity, slot, **options):
    with pytest.raises(SourceGap) as caught:
        judge("orders", position, identity, slot, **options)
    assert "orders" in str(caught.value)
    assert "pointsman sources rewind orders --to snapshot" in caught.value.fix
    return caught.value


def test_a_slot_that_is_further_was_moved_by_somebody_else():
    error = gap(STORED, HERE, changed(SLOT, confirmed=501))
    assert reason(error) == "slot-ahead"
    assert error.facts["slot_confirmed"] == "0/1F5"
    assert error.facts["stored"] == "0/1F4"


def test_a_slot_that_is_gone_is_a_gap_and_never_made_anew_silently():
    error = gap(STORED, HERE, None)
    assert reason(error) == "slot-missing"
    assert error.fix.startswith("pointsman sources setup orders")


@every_row("lost", ["wal_removed", "idle_timeout", "rows_removed", "conflict"])
def test_a_slot_that_the_server_gave_up_is_a_gap(lost):
    error = gap(STORED, HERE, changed(SLOT, lost=lost))
    assert reason(error) == "slot-lost"
    assert lost in str(error)


@every_row("slot", [None, changed(SLOT, lost="wal_removed")])
@every_row(("position", "accept"), [(None, ""), (STORED, "snapshot")])
def test_without_a_usable_slot_the_fix_is_to_set_up(slot, position, accept):
    with pytest.raises(SourceRejected, match="pointsman sources setup orders"):
        judge("orders", position, HERE, slot, accept=accept)


@every_row("wrong", [{"plugin": "test_decoding"}, {"plugin": ""}, {"database": "crm"}])
@every_row("position", [None, STORED])
def test_somebody_elses_slot_is_refused(wrong, position):
    with pytest.raises(SourceRejected, match="slot:"):
        judge("orders", position, HERE, changed(SLOT, **wrong))


def test_another_server_is_a_gap_whatever_its_numbers():
    for confirmed, lsn in itertools.product((1, 500, 900), (400, 500, 1000)):
        identity = changed(HERE, system_id="7002", wal_lsn=lsn)
        assert reason(gap(STORED, identity, changed(SLOT, confirmed=confirmed))) == "other-server"


def test_a_server_that_ends_before_our_position_is_an_older_copy():
    assert reason(gap(STORED, changed(HERE, wal_lsn=499), changed(SLOT, confirmed=300))) == "server-behind"


def test_a_standby_that_has_not_replayed_so_far_is_waited_for():
    with pytest.raises(SourceUnavailable, match="not replayed"):
        judge("orders", STORED, changed(HERE, wal_lsn=499, standby=True), changed(SLOT, confirmed=300))


PROMOTED = changed(HERE, timeline=2)


def test_a_promoted_standby_with_our_slot_goes_on_on_its_timeline():
    assert judge("orders", STORED, PROMOTED, SLOT, branches={1: 500}) == changed(STORED, timeline=2)


@every_row(
    ("stored", "slot", "branches", "expected"),
    [
        (STORED, None, {1: 800}, "slot-missing"),  # PostgreSQL 15: promotion takes no slot along
        (STORED, SLOT, {}, "other-timeline"),  # it cannot say where the timelines part
        (STORED, SLOT, {1: 499}, "other-timeline"),  # we stored what it never got
        (changed(STORED, part=Part(final_lsn=700, xid=43, index=1)), SLOT, {1: 650}, "other-timeline"),
        (STORED, changed(SLOT, confirmed=501), {1: 800}, "slot-ahead"),
        (changed(STORED, timeline=3), SLOT, {1: 800}, "other-timeline"),  # back to an earlier timeline
    ],
)
def test_another_timeline_is_a_gap_unless_it_holds_all_that_we_stored(stored, slot, branches, expected):
    assert reason(gap(stored, PROMOTED, slot, branches=branches)) == expected


@every_row("accept", ["snapshot", "next"])
@every_row(
    ("identity", "slot"),
    [
        (HERE, changed(SLOT, confirmed=501)),
        (changed(HERE, system_id="7002"), SLOT),
        (changed(HERE, wal_lsn=499), changed(SLOT, confirmed=300)),
        (PROMOTED, SLOT),
    ],
)
def test_an_accepted_gap_begins_with_the_next_change_that_is_to_be_had(identity, slot, accept):
    begun = judge("orders", STORED, identity, slot, accept=accept)
    assert begun == Position(
        system_id=identity.system_id, timeline=identity.timeline, slot=slot.name, lsn=slot.confirmed
    )


@every_row("accept", ["snapshot", "next"])
def test_accepting_where_nothing_is_lost_loses_nothing(accept):
    assert judge("orders", STORED, HERE, SLOT, accept=accept) == STORED


def test_now_leaves_out_what_waits():
    assert judge("orders", STORED, HERE, SLOT, accept="now").lsn == 1000
    assert judge("orders", None, HERE, SLOT, accept="now").part is None


def test_every_rewind_is_accepted_by_the_next_run():
    assert rewind("orders", {}, "next") == {"accept": b"next"}
    assert rewind("orders", {}, "now") == {"accept": b"now"}
    assert rewind("orders", {}, "snapshot") == {"accept": b"snapshot", "snapshot": b'{"number":1}'}
    stored = b'{"number":3,"done":["public.a"],"finished":true}'
    assert rewind("orders", {"snapshot": stored}, "snapshot")["snapshot"] == b'{"number":4}'


def test_a_rewind_to_elsewhere_says_what_is_possible():
    with pytest.raises(SourceRejected, match=r"`snapshot`.*`next`.*`now`"):
        rewind("orders", {}, "earliest")
