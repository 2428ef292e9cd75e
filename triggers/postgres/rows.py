"""Writes the rows of one table as the JSON data of messages. Pure.

A `RowWriter` is made when a table is first seen or has changed, and binds once what a row needs: an encoder
for each column and templates of the whole text. Filters of columns are applied here. The data of every change
has the same members:

    {"schema", "table", "op", "key", "before", "after", "changed", "unchanged"}

`key` holds the columns that identify the row, null when there are none. `before` is null unless PostgreSQL
sent something of the old row: all of it with replica identity full, else its key, when that changed or the
row is gone. `changed` names the columns with other values when the whole old row is known, else it is null.
`unchanged` names the columns that `after` lacks: PostgreSQL does not send large values that were not touched.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from triggers.postgres.config import PostgresConfig, takes_column
from triggers.postgres.pgoutput import (
    UNCHANGED,
    Binary,
    Delete,
    Insert,
    ProtocolError,
    Relation,
    Row,
    Truncate,
    Unchanged,
    Update,
    Value,
)
from triggers.postgres.shape import Shape, Write, no_match
from triggers.postgres.types import Types
from triggers.postgres.values import Encoder

_encode: Final = msgspec.json.Encoder().encode
_NULL: Final = b"null"


class RowWriter:
    """Writes the rows of a table as it is now. Its methods raise UnicodeDecodeError and ProtocolError."""

    def __init__(self, relation: Relation, config: PostgresConfig, types: Types, key: Sequence[str]) -> None:
        """`key` names the primary key, where the replica identity does not tell it."""
        columns = relation.columns
        self.relation = relation
        self.subject = f"{relation.schema}.{relation.name}"
        self._width = len(columns)
        self._taken = [
            number
            for number, column in enumerate(columns)
            if takes_column(config, relation.schema, relation.name, column.name)
        ]
        self._all = len(self._taken) == self._width
        self._encoders: list[Encoder] = [types.encoder(columns[number].type_oid) for number in self._taken]
        self._names = [_encode(columns[number].name) for number in self._taken]
        flagged = [place for place, number in enumerate(self._taken) if columns[number].key]
        self._identity = frozenset(flagged)
        told = relation.identity in ("default", "index") and flagged
        self._key = flagged if told else self._places(key)
        self._insert = self._template("insert")
        self._update = self._template("update")
        self._read = self._template("read")
        encoders: list[Encoder | None] = [None] * self._width
        for number, encode in zip(self._taken, self._encoders, strict=True):
            encoders[number] = encode
        self._shape = Shape(encoders, [self._taken[place] for place in self._key])
        self.write_bytes: Write = no_match
        """Writes a row of text and NULL that is not decoded yet; what it does not take, is to be decoded."""

    def _template(
        self, op: Literal["insert", "update", "read"], holes: Sequence[bytes] | None = None
    ) -> bytes:
        """Return the text of a message with holes for the values of the key, then for all."""
        holes = holes or [b"%b"] * len(self._names)
        members = [_literal(name) + b":" + hole for name, hole in zip(self._names, holes, strict=True)]
        return b'{%b,"op":"%b","key":%b,"before":null,"after":{%b},"changed":null,"unchanged":[]}' % (
            _literal(_head(self.relation)),
            op.encode(),
            b"{%b}" % b",".join(members[place] for place in self._key) if self._key else _NULL,
            b",".join(members),
        )

    def _places(self, names: Sequence[str]) -> list[int]:
        """Return where these columns stand among those that are taken; all of them or none."""
        tokens = [_encode(name) for name in names]
        return [self._names.index(token) for token in tokens] if set(tokens) <= set(self._names) else []

    def insert(self, change: Insert) -> bytes:
        """Return the data of a new row."""
        if not change.plain:
            raise ProtocolError(f"a new row of {self.subject} is not whole")
        return self._plain(self._insert, self._taught(change.new))

    def read(self, row: Sequence[bytes | None]) -> bytes:
        """Return the data of a row that a snapshot read."""
        return self._plain(self._read, row)

    def update(self, change: Update) -> bytes:
        """Return the data of a row that changed."""
        if change.plain and change.old is None:
            return self._plain(self._update, self._taught(change.new))
        new = self._chosen(change.new)
        old = self._chosen(change.old) if change.old is not None else None
        before = _NULL
        changed = _NULL
        if old is not None:
            known = range(len(old)) if change.whole else self._identity
            new = [
                old[place] if value is UNCHANGED and place in known else value
                for place, value in enumerate(new)
            ]
            before = self._object(old, known)
            if change.whole:
                changed = _names(
                    name for name, was, now in zip(self._names, old, new, strict=True) if was != now
                )
        missing = _names(name for name, value in zip(self._names, new, strict=True) if value is UNCHANGED)
        return self._assembled("update", new, before, self._object(new, range(len(new))), changed, missing)

    def delete(self, change: Delete) -> bytes:
        """Return the data of a row that is gone."""
        old = self._chosen(change.old)
        before = self._object(old, range(len(old)) if change.whole else self._identity)
        return self._assembled("delete", old, before, _NULL, _NULL, b"[]")

    def truncate(self, change: Truncate) -> bytes:
        """Return the data of a table that was emptied."""
        body = self._assembled("truncate", None, _NULL, _NULL, _NULL, b"[]")
        flags = _encode({"cascade": change.cascade, "restart_identity": change.restart_identity})
        return body[:-1] + b"," + flags[1:]

    def _taught(self, row: Row) -> Row:
        """Let the shape learn from a row of text and NULL that did not match it."""
        if len(row) == self._width:
            holes = self._shape.learn(row)  # type: ignore[arg-type]  # rows that are `plain` hold nothing else
            if holes is not None:
                taken = [holes[number] for number in self._taken]
                self.write_bytes = self._shape.writer(
                    self._template("insert", taken), self._template("update", taken)
                )
        return row

    def _plain(self, template: bytes, row: Sequence[Any]) -> bytes:
        """Fill a template with a row of text and NULL: the way of nearly every row."""
        if len(row) != self._width:
            raise ProtocolError(f"a row of {self.subject} has {len(row)} columns, not {self._width}")
        if not self._all:
            row = [row[number] for number in self._taken]
        tokens = [
            _NULL if value is None else encode(value)
            for encode, value in zip(self._encoders, row, strict=True)
        ]
        return template % (*map(tokens.__getitem__, self._key), *tokens)

    def _chosen(self, row: Row) -> Row:
        if len(row) != self._width:
            raise ProtocolError(f"a row of {self.subject} has {len(row)} columns, not {self._width}")
        return row if self._all else [row[number] for number in self._taken]

    def _object(self, row: Row, places: Sequence[int] | frozenset[int]) -> bytes:
        """Return the object of those columns of a row that are among `places` and were sent."""
        return b"{%b}" % b",".join(
            self._names[place] + b":" + self._token(place, value)
            for place, value in enumerate(row)
            if place in places and value is not UNCHANGED
        )

    def _token(self, place: int, value: Value) -> bytes:
        if value is None:
            return _NULL
        if isinstance(value, (Binary, Unchanged)):
            raise ProtocolError(f"a value of {self.subject} is not in text form")
        return self._encoders[place](value)

    def _assembled(
        self, op: str, keyed: Row | None, before: bytes, after: bytes, changed: bytes, unchanged: bytes
    ) -> bytes:
        key = self._object(keyed, self._key) if keyed is not None and self._key else _NULL
        return b'{%b,"op":"%b","key":%b,"before":%b,"after":%b,"changed":%b,"unchanged":%b}' % (
            _head(self.relation),
            op.encode(),
            key,
            before,
            after,
            changed,
            unchanged,
        )


def _head(relation: Relation) -> bytes:
    return b'"schema":%b,"table":%b' % (_encode(relation.schema), _encode(relation.name))


def _literal(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def _names(names: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(names)
