"""Turns the decoded messages of a stream into trigger messages, transaction by transaction. Pure.

`Changes` remembers where in the stream it stands. The id of a message is the same however often its
transaction is sent: `system id/timeline/commit LSN/xid/index`, where `index` counts every change of the
transaction, also those that filters leave out. What is stored already is skipped: whole transactions whose
commit lies before the position, and of the transaction in work the first changes. Only what belongs to a
transaction that PostgreSQL has committed comes here: blocks of transactions in progress are not asked for.
"""

import sys
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final, NoReturn

import msgspec

from triggers.base import Expression, Item, Notice, Reject
from triggers.errors import SourceGap
from triggers.message import TriggerMessage
from triggers.postgres.config import PostgresConfig, takes_table
from triggers.postgres.looks import TABLE_KEY, difference, looks_of
from triggers.postgres.messages import expressed_or_reject, form_of, moment
from triggers.postgres.pgoutput import (
    Begin,
    Commit,
    Decoded,
    Delete,
    Insert,
    LogicalMessage,
    Origin,
    ProtocolError,
    Relation,
    Truncate,
    Type,
    Update,
)
from triggers.postgres.position import Part, Position, format_lsn
from triggers.postgres.rows import RowWriter
from triggers.postgres.types import Types

HEARTBEAT_PREFIX: Final = "pointsman.heartbeat"
"""The prefix of the logical messages that we write ourselves: they move the slot and become no message."""

PLAIN_ROW: Final = Struct(">cIc")
"""How an insert, or an update that sends nothing old, begins: its kind, the table, and `N`."""
_PLAIN_ROW_SIZE: Final = PLAIN_ROW.size

MAX_BYTES: Final = 8 * 1024 * 1024
"""More data than this is not gathered, however few rows it is."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be stored in one transaction: items, the position after them, how tables look now."""

    items: Sequence[Item]
    position: Position
    tables: Mapping[str, bytes]
    xids: frozenset[int]


class Changes:
    """Gathers what comes until `whole` or `part` takes it away."""

    def __init__(
        self,
        *,
        source: str,
        config: PostgresConfig,
        types: Types,
        start: Position,
        tables: Mapping[str, bytes],
        expressions: Mapping[str, Expression],
    ) -> None:
        self.skipped = 0
        self._source = f"/sources/{source}"
        self._config = config
        self._types = types
        self._expressions = expressions
        self._types_taken = frozenset(f"postgres.{operation}" for operation in config.operations)
        self._writers: dict[int, RowWriter | None] = {}
        self._plain: dict[bytes, tuple[RowWriter, bool, str]] = {}  # by `PLAIN_ROW`; whether it is an update
        self._looks = dict(tables)
        self._prefix = f"{start.system_id}/{start.timeline}/"
        self._start = start
        self._awaited = start.part  # the transaction of which the first changes are stored
        # what was gathered, and up to where it is whole
        self._items: list[Item] = []
        self._bytes = 0
        self._most = config.batch
        self._whole_items = 0
        self._tables: dict[str, bytes] = {}
        self._whole_tables: dict[str, bytes] = {}
        self._xids: set[int] = set()
        self._lsn = self._taken_lsn = start.lsn
        self._xid = start.xid
        # the transaction in work
        self._begin: Begin | None = None
        self._settle = False
        self._index = 0
        self._skip = 0
        self._id = ""
        self._time: str | None = None
        self._meta: dict[str, Any] = {}

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and is not whole yet."""
        return self._begin is not None

    @property
    def moved(self) -> bool:
        """Whether transactions have ended since the last batch was taken, with or without items."""
        return self._lsn != self._taken_lsn

    @property
    def due(self) -> bool:
        """Whether something is to be stored as soon as nothing more comes.

        Items; or only the position, after a heartbeat, and after a transaction whose last items were stored
        before its end was here.
        """
        return self._whole_items > 0 or (self._settle and self._begin is None)

    def idle(self, lsn: int) -> None:
        """Take the server's word that everything before `lsn` was sent. Wants no transaction in work."""
        if self._awaited is not None and lsn > self._awaited.final_lsn:
            self._not_sent_again(self._awaited)
        self._lsn = max(self._lsn, lsn)

    def whole(self) -> Batch:
        """Take the items of whole transactions, with the position behind them."""
        items, tables = self._items[: self._whole_items], self._whole_tables
        del self._items[: self._whole_items]
        self._bytes = sum(map(_size, self._items))
        self._whole_tables = {}
        return self._batch(items, tables, None)

    def part(self) -> Batch:
        """Take every item, with a position that may lie within the transaction in work."""
        begin = self._begin
        if begin is None:
            return self.whole()
        stored = max(self._index, self._skip)
        self._settle = True
        items, tables = self._items, {**self._whole_tables, **self._tables}
        self._items, self._whole_tables, self._tables, self._bytes = [], {}, {}, 0
        return self._batch(items, tables, Part(final_lsn=begin.final_lsn, xid=begin.xid, index=stored))

    def _full(self) -> bool:
        return len(self._items) >= self._most or self._bytes >= MAX_BYTES

    def _batch(self, items: Sequence[Item], tables: Mapping[str, bytes], part: Part | None) -> Batch:
        self._whole_items = 0
        self._taken_lsn = self._lsn
        self._settle = self._settle and self._begin is not None
        xids = frozenset(self._xids)
        self._xids = {self._begin.xid} if self._begin else set()
        position = msgspec.structs.replace(self._start, lsn=self._lsn, xid=self._xid, part=part)
        return Batch(items=items, position=position, tables=tables, xids=xids)

    def relation(self, relation: Relation, key: Sequence[str]) -> None:
        """Take how a table looks from here on; `key` names its primary key."""
        inserts, updates = (PLAIN_ROW.pack(kind, relation.oid, b"N") for kind in (b"I", b"U"))
        self._plain.pop(inserts, None)
        self._plain.pop(updates, None)
        if not takes_table(self._config, relation.schema, relation.name):
            self._writers[relation.oid] = None
            return
        writer = RowWriter(relation, self._config, self._types, key)
        self._writers[relation.oid] = writer
        if "postgres.insert" in self._types_taken:
            self._plain[inserts] = (writer, False, "postgres.insert")
        if "postgres.update" in self._types_taken:
            self._plain[updates] = (writer, True, "postgres.update")
        if self._index >= self._skip:  # else it was compared when the change behind it was stored
            self._compare(relation)

    def _compare(self, relation: Relation) -> None:
        """Tell when a table looks different from how it looked last."""
        name = f"{relation.schema}.{relation.name}"
        stored = TABLE_KEY + name
        looks = looks_of(relation)
        before = self._looks.get(stored)
        if before == looks:
            return
        self._looks[stored] = self._tables[stored] = looks
        if before is not None:
            self._items.append(
                Notice(
                    kind="schema-changed",
                    id=f"{self._id}{self._index}/{name}",
                    data={
                        "schema": relation.schema,
                        "table": relation.name,
                        **difference(before, looks),
                    },
                )
            )

    def take_bytes(self, data: bytes, start: int) -> bool | None:
        """Take a row that looks like others of its table before it is decoded, the way of nearly every row.

        The bytes of the message begin at `start`. Say whether a batch is full; None: nothing was taken, it
        must be decoded.
        """
        at = start + _PLAIN_ROW_SIZE
        known = self._plain.get(data[start:at])
        if known is None or self._begin is None or self._index < self._skip:
            return None
        writer, update, type_ = known
        try:
            written = writer.write_bytes(data, at, update)
        except UnicodeDecodeError:
            return None  # it becomes a reject
        if written is None:
            return None
        self._index += 1
        self._add(type_, writer.subject, written)
        return len(self._items) >= self._most or self._bytes >= MAX_BYTES

    def take(self, message: Decoded, raw: bytes) -> bool:
        """Take the next message; say whether a batch is full. Relations go elsewhere.

        `raw` ends with its bytes: they are kept when a row cannot be read. Raise ProtocolError for what
        cannot stand here, SourceGap when something stored is not sent again.
        """
        if type(message) is Insert:
            return self._change(message, RowWriter.insert, "postgres.insert", raw)
        if type(message) is Update:
            return self._change(message, RowWriter.update, "postgres.update", raw)
        if type(message) is Delete:
            return self._change(message, RowWriter.delete, "postgres.delete", raw)
        if type(message) is Begin:
            self._begins(message)
        elif type(message) is Commit:
            self._commits(message)
        elif type(message) is Truncate:
            self._truncate(message)
        elif type(message) is LogicalMessage:
            self._message(message)
        elif type(message) is Origin:
            self._meta["origin"] = message.name
        elif type(message) is not Type:
            raise ProtocolError(f"a {type(message).__name__} is not expected here")
        return self._full()

    def _begins(self, begin: Begin) -> None:
        if self._begin is not None:
            raise ProtocolError("a transaction begins within another")
        self._begin = begin
        self._index = 0
        self._skip = 0 if self._in_order(begin) else self._stored(begin)
        lsn = format_lsn(begin.final_lsn)
        self._id = f"{self._prefix}{lsn}/{begin.xid}/"
        self._time = moment(begin.committed_at)
        self._meta = {"kind": "postgres", "lsn": lsn, "xid": begin.xid}
        if self._skip < sys.maxsize:
            self._xids.add(begin.xid)
        else:
            self.skipped += 1

    def _in_order(self, begin: Begin) -> bool:
        """Say whether a transaction simply follows, as nearly every one does."""
        return begin.final_lsn >= self._lsn and self._awaited is None

    def _stored(self, begin: Begin) -> int:
        """Return how many changes of a transaction are stored already."""
        if begin.final_lsn < self._start.lsn:
            return sys.maxsize
        if begin.final_lsn < self._lsn:
            raise SourceGap(
                f"transaction {begin.xid} was committed at {format_lsn(begin.final_lsn)}, before "
                f"{format_lsn(self._lsn)} which was sent earlier: this is another history",
                fix="look at what happened to the server, then begin again with `sources rewind`",
                facts={"sent": format_lsn(begin.final_lsn), "stored": format_lsn(self._lsn)},
            )
        awaited = self._awaited
        if awaited is None or begin.final_lsn < awaited.final_lsn:
            return 0
        if (begin.final_lsn, begin.xid) != (awaited.final_lsn, awaited.xid):
            self._not_sent_again(awaited)
        self._awaited = None
        self._settle = True
        return awaited.index

    def _not_sent_again(self, part: Part) -> NoReturn:
        raise SourceGap(
            f"{part.index} changes of transaction {part.xid} are stored, the server does not send its rest",
            fix="see what happened to the slot and the publication, then begin again with `sources rewind`",
            facts={"commit": format_lsn(part.final_lsn), "xid": part.xid, "stored_changes": part.index},
        )

    def _commits(self, commit: Commit) -> None:
        begin = self._begin
        if begin is None or commit.commit_lsn != begin.final_lsn or commit.end_lsn < commit.commit_lsn:
            raise ProtocolError("a commit that is not of the transaction in work")
        self._begin = None
        self._xid = begin.xid
        self._ended(max(commit.end_lsn, self._lsn))

    def _ended(self, lsn: int) -> None:
        """Note that everything gathered so far is whole."""
        self._lsn = lsn
        self._whole_items = len(self._items)
        if self._tables:
            self._whole_tables.update(self._tables)
            self._tables = {}

    def _writer(self, oid: int) -> RowWriter | None:
        if self._begin is None:
            raise ProtocolError("a change outside of a transaction")
        try:
            return self._writers[oid]
        except KeyError:
            raise ProtocolError(f"a change of the table {oid}, which was not described") from None

    def _change(self, change: Any, write: Any, type_: str, raw: bytes) -> bool:
        """Take the change of one row."""
        index = self._index = self._index + 1
        writer = self._writer(change.relation)
        if index <= self._skip or writer is None or type_ not in self._types_taken:
            return False
        try:
            data = write(writer, change)
        except UnicodeDecodeError as error:
            self._reject(error, raw)
        else:
            self._add(type_, writer.subject, data)
        return self._full()

    def _truncate(self, message: Truncate) -> None:
        """Take one message for each table that was emptied."""
        for oid in message.relations:
            self._index += 1
            writer = self._writer(oid)
            if self._index > self._skip and writer and "postgres.truncate" in self._types_taken:
                self._add("postgres.truncate", writer.subject, writer.truncate(message))

    def _message(self, message: LogicalMessage) -> None:
        """Take what pg_logical_emit_message wrote: with its transaction, or at once."""
        beat = message.prefix == HEARTBEAT_PREFIX
        taken = not beat and "postgres.message" in self._types_taken
        self._settle |= beat
        if message.transactional:
            if self._begin is None:
                raise ProtocolError("a message of a transaction outside of one")
            self._index += 1
            if taken and self._index > self._skip:
                self._add_message(message)
            return
        if self._begin is not None:
            raise ProtocolError("a message outside of transactions within one")
        if message.lsn <= self._lsn:
            return
        lsn = format_lsn(message.lsn)
        self._id, self._index, self._time = f"{self._prefix}{lsn}/0/", 0, None
        self._meta = {"kind": "postgres", "lsn": lsn}
        if taken:
            self._add_message(message)
        self._ended(message.lsn)

    def _add_message(self, message: LogicalMessage) -> None:
        form, media = form_of(message.content)
        self._put(
            TriggerMessage(
                id=f"{self._id}{self._index}",
                source=self._source,
                type="postgres.message",
                subject=message.prefix or None,
                time=self._time,
                datacontenttype=media,
                format=form,
                data=message.content,
                meta={**self._meta, "prefix": message.prefix},
            ),
            len(message.content),
        )

    def _add(self, type_: str, subject: str, data: bytes) -> None:
        message = TriggerMessage(
            id=f"{self._id}{self._index}",
            source=self._source,
            type=type_,
            subject=subject,
            time=self._time,
            datacontenttype="application/json",
            format="json",
            data=data,
            meta=self._meta,
        )
        if self._expressions:
            self._put(message, len(data))
        else:  # as `_put` does, without the call
            self._items.append(message)
            self._bytes += len(data)

    def _put(self, message: TriggerMessage, size: int) -> None:
        item = expressed_or_reject(message, self._expressions) if self._expressions else message
        self._items.append(item)
        self._bytes += size

    def _reject(self, error: UnicodeDecodeError, raw: bytes) -> None:
        self._items.append(
            Reject(
                reason="invalid-utf8",
                detail=f"a value of change {self._id}{self._index} is not UTF-8: {error.reason}",
                data=raw,
                meta={**self._meta, "index": self._index},
            )
        )
        self._bytes += len(raw)


def _size(item: Item) -> int:
    return 0 if isinstance(item, Notice) else len(item.data or b"")
