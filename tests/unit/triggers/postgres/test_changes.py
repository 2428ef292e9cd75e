"""Transactions become messages whose ids stay the same, each stored once, wherever the source is interrupted."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.tables import every_row
from tests.unit.triggers.postgres.encoding import ORDERS, encode
from tests.unit.triggers.postgres.test_rows import config
from triggers.base import Item, Notice, Reject
from triggers.errors import SourceGap
from triggers.message import TriggerMessage
from triggers.postgres.changes import HEARTBEAT_PREFIX, Batch, Changes
from triggers.postgres.pgoutput import (
    EPOCH_MICROSECONDS,
    Begin,
    Column,
    Commit,
    Decoded,
    Delete,
    Insert,
    LogicalMessage,
    Origin,
    ProtocolError,
    Relation,
    StreamStart,
    Truncate,
    Type,
    Update,
)
from triggers.postgres.position import Part, Position
from triggers.postgres.types import Types

START = Position(system_id="77", timeline=1, slot="s", lsn=0x100)
AT = EPOCH_MICROSECONDS + 1_500_000


def changes(start: Position = START, tables: Mapping[str, bytes] | None = None, **settings: Any) -> Changes:
    return Changes(
        source="shop",
        config=config(**settings),
        types=Types(),
        start=start,
        tables=tables or {},
        expressions={},
    )


def feed(each: Changes, *messages: Decoded) -> bool:
    """Let it take messages; say whether a batch is full after the last."""
    full = False
    for message in messages:
        if isinstance(message, Relation):
            each.relation(message, ())
        else:
            full = each.take(message, encode(message))
    return full


def insert(number: int, oid: int = 100) -> Insert:
    return Insert(oid, [b"%d" % number, b"1.5", None], True)


def transaction(xid: int, lsn: int, *messages: Decoded) -> list[Decoded]:
    return [Begin(lsn, AT, xid), *messages, Commit(lsn, lsn + 8, AT)]


def ids(items: Any) -> list[str]:
    return [item.id for item in items if isinstance(item, TriggerMessage)]


def test_a_message_says_what_where_and_when() -> None:
    each = changes()
    feed(each, ORDERS)
    feed(each, *transaction(9, 0x1_0000_0200, insert(1)))
    batch = each.whole()
    (message,) = (item for item in batch.items if isinstance(item, TriggerMessage))
    assert message.id == "77/1/1/200/9/1"
    assert (message.source, message.type, message.subject) == (
        "/sources/shop",
        "postgres.insert",
        "shop.orders",
    )
    assert message.time == "2000-01-01T00:00:01.500000Z"
    assert (message.format, message.datacontenttype) == ("json", "application/json")
    assert message.meta == {"kind": "postgres", "lsn": "1/200", "xid": 9}
    assert batch.position == msgspec.structs.replace(START, lsn=0x1_0000_0208, xid=9)
    assert batch.xids == {9}


def test_the_index_counts_what_filters_leave_out() -> None:
    other = msgspec.structs.replace(ORDERS, oid=101, name="secrets")
    each = changes(exclude_tables=["shop.secrets"], operations=["insert"])
    feed(each, ORDERS, other)
    feed(
        each,
        *transaction(
            9,
            0x200,
            insert(1, 101),
            insert(1),
            Delete(100, [b"1", None, None], False),
            Truncate((100, 101), False, False),
            LogicalMessage(True, 0x1F0, "x", b"y"),
            insert(2),
        ),
    )
    assert [name.rpartition("/")[2] for name in ids(each.whole().items)] == ["2", "7"]


def test_one_truncate_of_two_tables_is_two_messages() -> None:
    each = changes()
    feed(each, ORDERS, msgspec.structs.replace(ORDERS, oid=101, name="items"))
    feed(each, *transaction(9, 0x200, Truncate((100, 101), True, False)))
    messages = [item for item in each.whole().items if isinstance(item, TriggerMessage)]
    assert [message.subject for message in messages] == ["shop.orders", "shop.items"]
    assert len({message.id for message in messages}) == 2


def test_a_logical_message_keeps_its_bytes() -> None:
    each = changes()
    contents = [b'{"a": 1.10}', b"{broken", "grüß".encode(), b"\xff\x00"]
    feed(
        each, *transaction(9, 0x200, *(LogicalMessage(True, 0x1F0, "shop", content) for content in contents))
    )
    messages = [item for item in each.whole().items if isinstance(item, TriggerMessage)]
    assert [message.data for message in messages] == contents
    assert [message.format for message in messages] == ["json", "text", "text", "binary"]
    assert {(message.type, message.subject, message.meta["prefix"]) for message in messages} == {
        ("postgres.message", "shop", "shop")
    }


def test_our_own_heartbeat_moves_the_position_and_is_no_message() -> None:
    each = changes()
    feed(each, *transaction(9, 0x200, LogicalMessage(True, 0x1F0, HEARTBEAT_PREFIX, b"")))
    assert each.due
    batch = each.whole()
    assert not batch.items
    assert batch.position.lsn == 0x208
    assert not each.due


def test_a_message_outside_of_transactions_moves_the_position_itself() -> None:
    each = changes()
    feed(each, LogicalMessage(False, 0x210, "now", b"x"))
    batch = each.whole()
    assert ids(batch.items) == ["77/1/0/210/0/0"]
    assert batch.position.lsn == 0x210
    again = changes(batch.position)
    feed(again, LogicalMessage(False, 0x210, "now", b"x"))
    assert not again.whole().items


def test_the_origin_of_a_transaction_stands_in_the_meta_of_its_messages_only() -> None:
    each = changes()
    feed(each, ORDERS)
    feed(each, *transaction(9, 0x200, Origin(5, "elsewhere"), insert(1)), *transaction(10, 0x300, insert(2)))
    first, second = (item for item in each.whole().items if isinstance(item, TriggerMessage))
    assert first.meta["origin"] == "elsewhere"
    assert "origin" not in second.meta


def test_a_row_that_is_not_utf_8_is_a_reject_with_its_bytes_and_the_rest_goes_on() -> None:
    each = changes()
    feed(each, ORDERS)
    bad = Insert(100, [b"1", b"1", b"\xff"], True)
    feed(each, *transaction(9, 0x200, insert(1), bad, insert(2)))
    one, reject, two = each.whole().items
    assert isinstance(reject, Reject)
    assert (reject.reason, reject.data) == ("invalid-utf8", encode(bad))
    assert ids([one, two]) == ["77/1/0/200/9/1", "77/1/0/200/9/3"]


# -- the look of a table

WIDER = msgspec.structs.replace(ORDERS, columns=(*ORDERS.columns[:2], Column("extra", False, 25, -1)))


def notices(items: Any) -> list[Notice]:
    return [item for item in items if isinstance(item, Notice)]


def test_a_table_that_changed_is_told_with_the_transaction_that_shows_it() -> None:
    each = changes()
    feed(each, *[Begin(0x200, AT, 9), ORDERS, insert(1), Commit(0x200, 0x208, AT)])
    assert not notices(first := each.whole().items)
    assert len(ids(first)) == 1
    feed(each, *[Begin(0x300, AT, 10), WIDER, insert(2), Commit(0x300, 0x308, AT)])
    notice, message = each.whole().items
    assert isinstance(notice, Notice)
    assert notice.kind == "schema-changed"
    assert (notice.data["added"], notice.data["removed"], notice.data["altered"]) == (["extra"], ["note"], [])
    assert isinstance(message, TriggerMessage)
    assert message.data is not None
    assert b'"extra"' in message.data


def test_a_table_that_changed_while_the_source_was_down_is_told() -> None:
    each = changes()
    feed(each, *[Begin(0x200, AT, 9), ORDERS, insert(1), Commit(0x200, 0x208, AT)])
    batch = each.whole()
    again = changes(batch.position, batch.tables)
    feed(again, *[Begin(0x300, AT, 10), WIDER, insert(2), Commit(0x300, 0x308, AT)])
    assert len(notices(again.whole().items)) == 1


def test_how_a_table_looked_long_ago_is_not_told_when_it_is_sent_again() -> None:
    each = changes()
    old = [Begin(0x200, AT, 9), ORDERS, insert(1), Commit(0x200, 0x208, AT)]
    new = [Begin(0x300, AT, 10), insert(1), WIDER, insert(2), Commit(0x300, 0x308, AT)]
    feed(each, *old, *new)
    batch = each.whole()
    assert len(notices(batch.items)) == 1
    again = changes(batch.position, batch.tables)
    feed(again, *old, *new, *transaction(11, 0x400, insert(3)))
    assert not notices(last := again.whole().items)
    assert len(ids(last)) == 1


# -- where it stands


def test_a_transaction_that_is_not_whole_yet_is_not_confirmed() -> None:
    each = changes(batch=2)
    feed(each, ORDERS)
    assert feed(each, *transaction(9, 0x200, insert(1)), Begin(0x300, AT, 10), insert(2))
    assert each.in_transaction
    batch = each.part()
    assert batch.position.lsn == 0x208
    assert batch.position.part == Part(final_lsn=0x300, xid=10, index=1)
    assert batch.xids == {9, 10}
    feed(each, insert(3), Commit(0x300, 0x308, AT))
    batch = each.whole()
    assert ids(batch.items) == ["77/1/0/300/10/2"]
    assert (batch.position.lsn, batch.position.part) == (0x308, None)


def test_only_what_is_whole_is_taken_when_nothing_more_has_come() -> None:
    each = changes()
    feed(each, ORDERS)
    feed(each, *transaction(9, 0x200, insert(1)), Begin(0x300, AT, 10), insert(2))
    assert ids(each.whole().items) == ["77/1/0/200/9/1"]
    assert not each.due
    feed(each, Commit(0x300, 0x308, AT))
    assert ids(each.whole().items) == ["77/1/0/300/10/1"]


def test_data_counts_in_bytes_too() -> None:
    each = changes()
    feed(each, ORDERS, Begin(0x200, AT, 9))
    assert each.take(Insert(100, [b"1", b"1", b"x" * 9_000_000], True), b"")


def test_an_idle_server_moves_the_position() -> None:
    each = changes()
    each.idle(0x500)
    each.idle(0x400)
    assert each.moved
    assert each.whole().position.lsn == 0x500


def test_transactions_committed_before_the_position_are_skipped_and_counted() -> None:
    each = changes(msgspec.structs.replace(START, lsn=0x300))
    feed(each, ORDERS)
    feed(
        each,
        *transaction(8, 0x200, insert(1)),
        *transaction(9, 0x2F8, insert(2)),
        *transaction(10, 0x300, insert(3)),
    )
    assert ids(each.whole().items) == ["77/1/0/300/10/1"]
    assert each.skipped == 2


def test_commits_that_go_back_are_another_history() -> None:
    each = changes()
    feed(each, *transaction(9, 0x300))
    with pytest.raises(SourceGap, match="another history"):
        feed(each, Begin(0x200, AT, 8))


def test_a_transaction_of_which_a_part_is_stored_and_that_is_not_sent_again_is_a_gap() -> None:
    start = msgspec.structs.replace(START, part=Part(final_lsn=0x300, xid=9, index=2))
    with pytest.raises(SourceGap, match="does not send its rest"):
        feed(changes(start), Begin(0x400, AT, 10))
    with pytest.raises(SourceGap, match="does not send its rest"):
        changes(start).idle(0x400)
    with pytest.raises(SourceGap, match="does not send its rest"):
        feed(changes(start), Begin(0x300, AT, 10))
    each = changes(start)
    feed(each, *transaction(8, 0x200), Begin(0x300, AT, 9))
    assert each.in_transaction


@every_row(
    "messages",
    [
        [Begin(0x200, AT, 9), Begin(0x200, AT, 9)],
        [Commit(0x200, 0x208, AT)],
        [Begin(0x200, AT, 9), Commit(0x201, 0x208, AT)],
        [insert(1)],
        [Begin(0x200, AT, 9), insert(1)],
        [LogicalMessage(True, 0x200, "x", b"")],
        [Begin(0x200, AT, 9), LogicalMessage(False, 0x200, "x", b"")],
        [StreamStart(9, True)],
    ],
)
def test_what_cannot_stand_there_is_refused(messages: list[Decoded]) -> None:
    with pytest.raises(ProtocolError):
        feed(changes(), *messages)


def test_types_and_moments_beyond_any_calendar_do_no_harm() -> None:
    each = changes()
    feed(each, Type(oid=1, schema="x", name="y"), ORDERS)
    feed(each, Begin(0x200, 2**62, 9), insert(1), Commit(0x200, 0x208, 2**62))
    assert len(ids(each.whole().items)) == 1


# -- interrupted anywhere, everything is stored once

ROWS = st.lists(st.integers(0, 9), max_size=7)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Decoded]]:
    lsn = 0x100
    history: list[list[Decoded]] = []
    for xid in draw(st.permutations(range(10, 10 + draw(st.integers(1, 6))))):
        lsn += draw(st.integers(0, 3))
        kinds = st.sampled_from(["insert", "update", "message", "truncate"])
        body: list[Decoded] = []
        for kind in draw(st.lists(kinds, max_size=6)):
            number = len(body)
            body.append(
                {
                    "insert": insert(number),
                    "update": Update(100, None, False, [b"%d" % number, b"1", None], True),
                    "message": LogicalMessage(True, 1, "p", b"m"),
                    "truncate": Truncate((100,), False, False),
                }[kind]
            )
        history.append(transaction(xid, lsn, *body))
        lsn += 8
    return history


def run(
    history: list[list[Decoded]], start: Position, stored: list[Item], choose: Iterator[bool]
) -> Iterator[Position]:
    """Play a history to a source that begins at `start`; give the position after each batch that was stored."""
    each = changes(start, batch=2)
    feed(each, ORDERS)

    def store(batch: Batch) -> Position:
        stored.extend(batch.items)
        return batch.position

    for messages in history:
        for message in messages:
            if feed(each, message):
                yield store(each.part())
            elif each.due and next(choose):
                yield store(each.whole())
    yield store(each.whole())


@examples(150)
@given(histories(), st.data())
def test_every_change_is_stored_once_and_in_order_wherever_it_is_interrupted(
    history: list[list[Decoded]], data: st.DataObject
) -> None:
    def choose() -> Iterator[bool]:
        while True:
            yield data.draw(st.booleans())

    expected: list[Item] = []
    list(run(history, START, expected, iter(lambda: False, None)))
    stored: list[Item] = []
    position = START
    for _ in range(data.draw(st.integers(0, 5))):
        # The server sends again from some commit that was confirmed, at the latest from the position.
        confirmed = [0] + [
            number + 1
            for number, messages in enumerate(history)
            if isinstance(last := messages[-1], Commit) and last.end_lsn <= position.lsn
        ]
        again = history[data.draw(st.sampled_from(confirmed)) :]
        for reached in run(again, position, stored, choose()):
            position = Position.decode(reached.encode())
            assert position == reached
            if data.draw(st.booleans()):
                break
    *_, position = run(history, position, stored, choose())
    assert ids(stored) == ids(expected)
    assert position.part is None


def test_the_end_of_a_transaction_whose_rows_are_all_stored_is_to_be_stored_too() -> None:
    each = changes(batch=2)
    feed(each, ORDERS)
    assert feed(each, Begin(0x300, AT, 10), insert(1), insert(2))
    stored = each.part().position
    assert not each.due
    feed(each, Commit(0x300, 0x308, AT))
    assert each.due
    assert (each.whole().position.lsn, each.due) == (0x308, False)
    again = changes(stored)
    feed(again, ORDERS, *transaction(10, 0x300, insert(1), insert(2)))
    assert again.due
    assert not again.whole().items
