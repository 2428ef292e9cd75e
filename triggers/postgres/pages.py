"""Says how the rows of a table are read page by page, and remembers how far that is. Pure.

A table with a key is read in the order of its key, each page beginning after the last key of the one before.
A table without is read in the order of its rows' places (ctid); when it is rewritten meanwhile, the places
mean nothing any more and it is read from its beginning. Rows that move while they are read are not missed:
whatever moves them is a change, and the stream brings it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from triggers.postgres.catalog import PublishedTable, Table
from triggers.postgres.connection import literal, qualified, quoted
from triggers.postgres.pgoutput import Column, Relation

CTID: Final = ("ctid",)
"""The key of a table without one: where a row lies."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one table as it lies on disk: `leaf` is `table` itself or one of its partitions."""

    table: Table
    leaf: Table
    columns: tuple[str, ...]
    filter: str | None = None

    @property
    def title(self) -> str:
        """Return the name under which it is remembered."""
        return self.leaf.title

    @property
    def key(self) -> tuple[str, ...]:
        """Return by which columns it is read."""
        return self.leaf.key or CTID


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How far a snapshot is: the position that is stored with each page.

    `done` are the scans that are read; `after` is the last key of `scan`, in text form, read in the order of
    `key`; `file` is where its rows lie.
    """

    number: int
    done: tuple[str, ...] = ()
    scan: str = ""
    key: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    file: int = 0
    rows: int = 0
    finished: bool = False

    def at(self, scan: Scan) -> "Reading":
        """Return the reading with `scan` in work: where it was, if that still means something."""
        same = self.scan == scan.title and self.key == scan.key
        if same and (self.key != CTID or self.file == scan.leaf.file):
            return self
        return msgspec.structs.replace(self, scan=scan.title, key=scan.key, after=(), file=scan.leaf.file)

    def past(self, key: Sequence[bytes | None], rows: int) -> "Reading":
        """Return the reading after `rows` more rows, the last of which has this key."""
        after = tuple((part or b"").decode() for part in key)
        return msgspec.structs.replace(self, after=after, rows=self.rows + rows)

    def done_with(self, scan: Scan) -> "Reading":
        """Return the reading when all rows of a scan are read."""
        return msgspec.structs.replace(self, done=(*self.done, scan.title), scan="", key=(), after=(), file=0)


def encode(reading: Reading) -> bytes:
    """Return the bytes to store."""
    return msgspec.json.encode(reading)


def decode(data: bytes) -> Reading:
    """Read stored bytes; raise msgspec.MsgspecError."""
    return msgspec.json.decode(data, type=Reading)


def query(scan: Scan, reading: Reading, rows: int) -> str:
    """Return the statement that reads the next rows: first the key, then the columns."""
    types = {column.name: column.type_name for column in scan.leaf.columns} | {"ctid": "tid"}
    key = [name if scan.key == CTID else quoted(name) for name in scan.key]
    conditions = []
    if reading.after:
        last = ", ".join(
            f"{literal(value)}::{types[name]}" for name, value in zip(scan.key, reading.after, strict=True)
        )
        conditions.append(f"({', '.join(key)}) > ({last})")
    if scan.filter:
        conditions.append(f"({scan.filter})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    # A scan by places is in their order by itself (TID range scan); sorting would read all of the table.
    order = "" if scan.key == CTID else f" ORDER BY {', '.join(key)}"
    columns = ", ".join([*key, *map(quoted, scan.columns)])
    name = qualified(scan.leaf.schema, scan.leaf.name)
    return f"SELECT {columns} FROM ONLY {name}{where}{order} LIMIT {rows}"  # noqa: S608  all quoted


def relation(scan: Scan) -> Relation:
    """Return the table as the stream describes it, with the columns that are published."""
    table = scan.table
    known = {column.name: column for column in table.columns}
    return Relation(
        oid=table.oid,
        schema=table.schema,
        name=table.name,
        identity=table.identity,
        columns=tuple(
            Column(name, name in table.identity_key, known[name].type_oid, known[name].modifier)
            for name in scan.columns
        ),
    )


def scan_of(published: PublishedTable, table: Table, leaf: Table) -> Scan:
    """Return the scan of a table, or of one of its partitions, as a publication carries it."""
    names = {column.name for column in leaf.columns}
    columns = tuple(name for name in published.columns if name in names)
    return Scan(table=table, leaf=leaf, columns=columns, filter=published.filter)
