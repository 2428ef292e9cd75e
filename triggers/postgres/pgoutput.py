"""Decodes the messages of PostgreSQL's output plugin `pgoutput`, protocol versions 1 and 2. Pure.

Every kind of message is known: Begin, Commit, Relation, Type, Insert, Update, Delete, Truncate, Origin,
Message, and from version 2 Stream Start, Stop, Commit and Abort. Bytes that are not such a message raise
ProtocolError, whatever they are; nothing is allocated beyond what the message itself holds.

https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html
"""

import struct
from collections.abc import Callable
from struct import Struct
from typing import Final, Literal

import msgspec

EPOCH_MICROSECONDS: Final = 946_684_800_000_000
"""2000-01-01, from which PostgreSQL counts microseconds, counted from 1970."""


class ProtocolError(ValueError):
    """These bytes are no message of pgoutput."""


class Unchanged(msgspec.Struct, frozen=True):
    """Stands for a large (TOAST) value that an update did not touch: PostgreSQL does not send it."""


UNCHANGED: Final = Unchanged()


class Binary(msgspec.Struct, frozen=True):
    """A value in PostgreSQL's binary form; sent only when asked for."""

    data: bytes


Value = bytes | None | Unchanged | Binary
"""A column: its text form as UTF-8 bytes, NULL, not sent, or binary."""
Row = list[Value]

Identity = Literal["default", "full", "index", "nothing"]


class Column(msgspec.Struct, frozen=True):
    """A column of a relation. `key`: part of the replica identity; `type_oid` may be a domain's."""

    name: str
    key: bool
    type_oid: int
    modifier: int


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """How a table looks from here on; sent before its first change and after each change of it."""

    oid: int
    schema: str
    name: str
    identity: Identity
    columns: tuple[Column, ...]
    xid: int = 0


class Type(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a type that is not built in; of a domain, that of its base type."""

    oid: int
    schema: str
    name: str
    xid: int = 0


class Begin(msgspec.Struct, frozen=True):
    """A transaction begins. `final_lsn`: where its commit begins; `committed_at`: microseconds since 1970."""

    final_lsn: int
    committed_at: int
    xid: int


class Commit(msgspec.Struct, frozen=True):
    """The transaction is whole. `end_lsn` is where the next record begins: what may be confirmed."""

    commit_lsn: int
    end_lsn: int
    committed_at: int


class Origin(msgspec.Struct, frozen=True):
    """The transaction came from another server; `lsn` is its commit there."""

    lsn: int
    name: str


class Insert(msgspec.Struct, frozen=True):
    """A row that is new. `plain`: every value of `new` is text or NULL."""

    relation: int
    new: Row
    plain: bool
    xid: int = 0


class Update(msgspec.Struct, frozen=True):
    """A row that changed. `old` is there with identity full (`whole`), or when its key changed (key only).

    `plain`: every value of `new` is text or NULL.
    """

    relation: int
    old: Row | None
    whole: bool
    new: Row
    plain: bool
    xid: int = 0


class Delete(msgspec.Struct, frozen=True):
    """A row that is gone: the `whole` of it with identity full, else only its key."""

    relation: int
    old: Row
    whole: bool
    xid: int = 0


class Truncate(msgspec.Struct, frozen=True):
    """Tables that were emptied by one statement."""

    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool
    xid: int = 0


class LogicalMessage(msgspec.Struct, frozen=True):
    """What pg_logical_emit_message wrote. One that is not `transactional` stands outside of transactions."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes
    xid: int = 0


class StreamStart(msgspec.Struct, frozen=True):
    """A block of changes of a transaction that is not committed yet."""

    xid: int
    first: bool


class StreamStop(msgspec.Struct, frozen=True):
    """The block ends."""


class StreamCommit(msgspec.Struct, frozen=True):
    """A streamed transaction was committed."""

    xid: int
    commit_lsn: int
    end_lsn: int
    committed_at: int


class StreamAbort(msgspec.Struct, frozen=True):
    """A streamed transaction, or a part of it (`subxid`), was rolled back: forget its changes."""

    xid: int
    subxid: int


Decoded = (
    Begin
    | Commit
    | Relation
    | Type
    | Insert
    | Update
    | Delete
    | Truncate
    | Origin
    | LogicalMessage
    | StreamStart
    | StreamStop
    | StreamCommit
    | StreamAbort
)

_U16: Final = Struct(">H").unpack_from
_U32: Final = Struct(">I").unpack_from
_U64: Final = Struct(">Q").unpack_from
_BEGIN: Final = Struct(">QqI")
_COMMIT: Final = Struct(">BQQq")
_COLUMN: Final = Struct(">Ii").unpack_from
_STREAM_COMMIT: Final = Struct(">IBQQq")
_NULL: Final = 0x6E
_UNCHANGED: Final = 0x75
_TEXT: Final = 0x74
_BINARY: Final = 0x62
_KEY: Final = 0x4B
_OLD: Final = 0x4F
_NEW: Final = 0x4E
_IDENTITIES: Final[dict[int, Identity]] = {0x64: "default", 0x66: "full", 0x69: "index", 0x6E: "nothing"}


class Decoder:
    """Decodes one stream of messages, in order. Remembers only whether it stands in a streamed block."""

    def __init__(self) -> None:
        self._streaming = False

    def decode(self, data: bytes, start: int = 0) -> Decoded:
        """Return the message that these bytes are, from `start` on. Raise ProtocolError."""
        try:
            kind = data[start]
            if self._streaming and kind in _WITH_XID:
                message, end = _WITH_XID[kind](data, start + 5, _U32(data, start + 1)[0])
            else:
                message, end = _KINDS[kind](data, start + 1, 0)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ProtocolError(f"{_name(data, start)} is cut or damaged: {error}") from error
        except KeyError:
            raise ProtocolError(f"{_name(data, start)}: unknown kind or mark") from None
        if end != len(data):
            raise ProtocolError(f"{_name(data, start)} has {len(data)} bytes, {end} were expected")
        if type(message) is StreamStart:
            self._streaming = True
        elif type(message) is StreamStop:
            self._streaming = False
        return message


def _name(data: bytes, start: int) -> str:
    return f"message {data[start : start + 1]!r}" if len(data) > start else "an empty message"


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Read text up to a zero byte."""
    end = data.find(0, at)
    if end < 0:
        raise IndexError("text without an end")
    return data[at:end].decode("utf-8"), end + 1


def _row(data: bytes, at: int) -> tuple[Row, int, bool]:
    """Read a TupleData; say whether all of it is text or NULL. The hot path: one call for a column."""
    plain = True
    count = _U16(data, at)[0]
    at += 2
    row: Row = []
    add = row.append
    for _ in range(count):
        mark = data[at]
        at += 1
        if mark == _TEXT:
            start = at + 4
            at = start + _U32(data, at)[0]
            add(data[start:at])
        elif mark == _NULL:
            add(None)
        elif mark == _UNCHANGED:
            add(UNCHANGED)
            plain = False
        elif mark == _BINARY:
            start = at + 4
            at = start + _U32(data, at)[0]
            add(Binary(data[start:at]))
            plain = False
        else:
            raise KeyError(mark)
    if at > len(data):  # a slice beyond the end is no error in Python
        raise IndexError("a row beyond the end")
    return row, at, plain


def _insert(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    relation = _U32(data, at)[0]
    if data[at + 4] != _NEW:
        raise KeyError(data[at + 4])
    row, end, plain = _row(data, at + 5)
    return Insert(relation, row, plain, xid), end


def _update(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    relation = _U32(data, at)[0]
    mark = data[at + 4]
    at += 5
    old: Row | None = None
    whole = mark == _OLD
    if mark in (_KEY, _OLD):
        old, at, _ = _row(data, at)
        mark = data[at]
        at += 1
    if mark != _NEW:
        raise KeyError(mark)
    new, at, plain = _row(data, at)
    return Update(relation, old, whole, new, plain, xid), at


def _delete(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    relation = _U32(data, at)[0]
    mark = data[at + 4]
    if mark not in (_KEY, _OLD):
        raise KeyError(mark)
    old, end, _ = _row(data, at + 5)
    return Delete(relation, old, mark == _OLD, xid), end


def _truncate(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    count = _U32(data, at)[0]
    options = data[at + 4]
    at += 5
    if len(data) - at < 4 * count:
        raise IndexError("more tables than bytes")
    relations = tuple(_U32(data, at + 4 * number)[0] for number in range(count))
    return Truncate(relations, bool(options & 1), bool(options & 2), xid), at + 4 * count


def _relation(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    oid = _U32(data, at)[0]
    schema, at = _text(data, at + 4)
    name, at = _text(data, at)
    identity = _IDENTITIES[data[at]]
    count = _U16(data, at + 1)[0]
    at += 3
    columns = []
    for _ in range(count):
        key = bool(data[at] & 1)
        column, at = _text(data, at + 1)
        type_oid, modifier = _COLUMN(data, at)
        at += 8
        columns.append(Column(column, key, type_oid, modifier))
    relation = Relation(
        oid=oid,
        schema=schema or "pg_catalog",  # sent empty, to save bytes
        name=name,
        identity=identity,
        columns=tuple(columns),
        xid=xid,
    )
    return relation, at


def _type(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    oid = _U32(data, at)[0]
    schema, at = _text(data, at + 4)
    name, at = _text(data, at)
    return Type(oid=oid, schema=schema or "pg_catalog", name=name, xid=xid), at


def _begin(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    final_lsn, committed_at, xid = _BEGIN.unpack_from(data, at)
    return Begin(final_lsn, committed_at + EPOCH_MICROSECONDS, xid), at + _BEGIN.size


def _commit(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    _flags, commit_lsn, end_lsn, committed_at = _COMMIT.unpack_from(data, at)
    return Commit(commit_lsn, end_lsn, committed_at + EPOCH_MICROSECONDS), at + _COMMIT.size


def _origin(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    lsn = _U64(data, at)[0]
    name, at = _text(data, at + 8)
    return Origin(lsn, name), at


def _message(data: bytes, at: int, xid: int) -> tuple[Decoded, int]:
    transactional = bool(data[at] & 1)
    lsn = _U64(data, at + 1)[0]
    prefix, at = _text(data, at + 9)
    start = at + 4
    end = start + _U32(data, at)[0]
    if end > len(data):
        raise IndexError("content beyond the end")
    return LogicalMessage(transactional, lsn, prefix, data[start:end], xid), end


def _stream_start(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    return StreamStart(_U32(data, at)[0], data[at + 4] == 1), at + 5


def _stream_stop(_data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    return StreamStop(), at


def _stream_commit(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    xid, _flags, commit_lsn, end_lsn, committed_at = _STREAM_COMMIT.unpack_from(data, at)
    return StreamCommit(xid, commit_lsn, end_lsn, committed_at + EPOCH_MICROSECONDS), at + _STREAM_COMMIT.size


def _stream_abort(data: bytes, at: int, _: int) -> tuple[Decoded, int]:
    return StreamAbort(_U32(data, at)[0], _U32(data, at + 4)[0]), at + 8


_Reader = Callable[[bytes, int, int], tuple[Decoded, int]]

_WITH_XID: Final[dict[int, _Reader]] = {
    ord("I"): _insert,
    ord("U"): _update,
    ord("D"): _delete,
    ord("T"): _truncate,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("M"): _message,
}
"""Within a streamed block these begin with the xid of their (sub)transaction."""

_KINDS: Final[dict[int, _Reader]] = {
    **_WITH_XID,
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("S"): _stream_start,
    ord("E"): _stream_stop,
    ord("c"): _stream_commit,
    ord("A"): _stream_abort,
}
