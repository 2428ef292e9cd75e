"""Encodes messages as the plugin pgoutput does: the other side of the decoder, written from its documentation."""

import struct

from triggers.postgres.pgoutput import (
    EPOCH_MICROSECONDS,
    UNCHANGED,
    Begin,
    Binary,
    Column,
    Commit,
    Decoded,
    Delete,
    Insert,
    LogicalMessage,
    Origin,
    Relation,
    Row,
    StreamAbort,
    StreamCommit,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)


def row(values: Row) -> bytes:
    parts = [struct.pack(">H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        elif isinstance(value, Binary):
            parts.append(b"b" + struct.pack(">I", len(value.data)) + value.data)
        else:
            assert isinstance(value, bytes)
            parts.append(b"t" + struct.pack(">I", len(value)) + value)
    return b"".join(parts)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def encode(message: Decoded, *, streamed: bool = False) -> bytes:
    """Return the bytes of a message; `streamed`: within a block of a transaction in progress."""
    xid = struct.pack(">I", getattr(message, "xid", 0)) if streamed else b""
    match message:
        case Begin(final_lsn, committed_at, number):
            return b"B" + struct.pack(">QqI", final_lsn, committed_at - EPOCH_MICROSECONDS, number)
        case Commit(commit_lsn, end_lsn, committed_at):
            return b"C" + struct.pack(">BQQq", 0, commit_lsn, end_lsn, committed_at - EPOCH_MICROSECONDS)
        case Origin(lsn, name):
            return b"O" + struct.pack(">Q", lsn) + text(name)
        case Relation():
            columns = b"".join(
                bytes((column.key,))
                + text(column.name)
                + struct.pack(">Ii", column.type_oid, column.modifier)
                for column in message.columns
            )
            identity = {"default": b"d", "full": b"f", "index": b"i", "nothing": b"n"}[message.identity]
            schema = "" if message.schema == "pg_catalog" else message.schema
            head = struct.pack(">I", message.oid) + text(schema) + text(message.name) + identity
            return b"R" + xid + head + struct.pack(">H", len(message.columns)) + columns
        case Type():
            schema = "" if message.schema == "pg_catalog" else message.schema
            return b"Y" + xid + struct.pack(">I", message.oid) + text(schema) + text(message.name)
        case Insert():
            return b"I" + xid + struct.pack(">I", message.relation) + b"N" + row(message.new)
        case Update():
            old = b"" if message.old is None else (b"O" if message.whole else b"K") + row(message.old)
            return b"U" + xid + struct.pack(">I", message.relation) + old + b"N" + row(message.new)
        case Delete():
            mark = b"O" if message.whole else b"K"
            return b"D" + xid + struct.pack(">I", message.relation) + mark + row(message.old)
        case Truncate():
            flags = message.cascade | message.restart_identity << 1
            oids = struct.pack(f">{len(message.relations)}I", *message.relations)
            return b"T" + xid + struct.pack(">IB", len(message.relations), flags) + oids
        case LogicalMessage():
            head = struct.pack(">BQ", message.transactional, message.lsn) + text(message.prefix)
            return b"M" + xid + head + struct.pack(">I", len(message.content)) + message.content
        case StreamStart(number, first):
            return b"S" + struct.pack(">IB", number, first)
        case StreamStop():
            return b"E"
        case StreamCommit(number, commit_lsn, end_lsn, committed_at):
            at = committed_at - EPOCH_MICROSECONDS
            return b"c" + struct.pack(">IBQQq", number, 0, commit_lsn, end_lsn, at)
        case StreamAbort(number, sub):
            return b"A" + struct.pack(">II", number, sub)


ORDERS = Relation(
    oid=100,
    schema="shop",
    name="orders",
    identity="default",
    columns=(
        Column("id", True, 23, -1),
        Column("total", False, 1700, -1),
        Column("note", False, 25, -1),
    ),
)
