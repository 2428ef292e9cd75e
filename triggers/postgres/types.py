"""Knows the types of a database: which encoder writes the values of an OID. Pure.

Built-in types stand in a table here; others (domains, enums, arrays, composites, ranges) are told by the
catalogue: `unknown` says which to ask for with `TYPES_SQL`, `learn` takes the answer. The rest is text.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from triggers.postgres.nested import array, composite, multirange, value_range
from triggers.postgres.values import (
    Encoder,
    binary,
    boolean,
    embedded,
    integer,
    number,
    text,
    time_zoned,
    timestamp,
    timestamp_zoned,
)

MAX_NESTING: Final = 8
"""How deep types may be made of types (a domain over an array of composites …)."""


class TypeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a type is made of: `parts` are the OIDs of its base, element or subtype, or of its attributes."""

    oid: int
    name: str
    kind: Literal["base", "array", "domain", "composite", "enum", "range", "multirange"]
    parts: tuple[int, ...] = ()
    names: tuple[str, ...] = ()  # of the attributes of a composite
    delimiter: str = ","


TYPES_SQL: Final = """
select t.oid::int8 as oid,
       t.typname::text as name,
       t.typtype::text as typtype,
       t.typcategory::text as category,
       coalesce(e.typdelim::text, ',') as delimiter,
       case when t.typtype = 'd' then array[t.typbasetype::int8]
            when t.typtype in ('r', 'm') then array[r.rngsubtype::int8]
            when t.typtype = 'c' then (select array_agg(a.atttypid::int8 order by a.attnum)
                                         from pg_catalog.pg_attribute a
                                        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)
            when t.typcategory = 'A' and t.typelem <> 0 then array[t.typelem::int8]
       end as parts,
       (select array_agg(a.attname::text order by a.attnum)
          from pg_catalog.pg_attribute a
         where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as names
  from pg_catalog.pg_type t
  left join pg_catalog.pg_type e on e.oid = t.typelem
  left join pg_catalog.pg_range r on t.oid in (r.rngtypid, r.rngmultitypid)
 where t.oid = any($1::oid[])
"""
"""Asks for types by OID; the rows are what `Types.learn` takes. Wants PostgreSQL 14 or later."""

_KINDS: Final[dict[str, Literal["domain", "composite", "enum", "range", "multirange"]]] = {
    "d": "domain",
    "c": "composite",
    "e": "enum",
    "r": "range",
    "m": "multirange",
}

_BUILT_IN: Final[dict[int, Encoder]] = {
    16: boolean,
    17: binary,
    20: integer,
    21: integer,
    23: integer,
    26: integer,
    **dict.fromkeys(
        (18, 19, 25, 1042, 1043, 142, 1082, 1083, 1186, 2950, 869, 650, 829, 790, 1560, 1562), text
    ),
    114: embedded,
    3802: embedded,
    700: number,
    701: number,
    1114: timestamp,
    1184: timestamp_zoned,
    1266: time_zoned,
}
"""Types whose OIDs are the same in every PostgreSQL, since they are in its source."""

NUMERIC: Final = 1700


class Types:
    """The types of one database, as far as they were learnt."""

    def __init__(self, *, numeric: Literal["number", "string"] = "number") -> None:
        self._encoders: dict[int, Encoder] = {
            **_BUILT_IN,
            NUMERIC: number if numeric == "number" else text,
        }
        self._known: dict[int, TypeInfo] = {}

    def unknown(self, oids: Iterable[int]) -> list[int]:
        """Return which types must be asked for, those that they are made of included."""
        return sorted({oid for oid in oids if oid not in self._encoders and oid not in self._known})

    def learn(self, rows: Iterable[Mapping[str, Any]], asked: Iterable[int] = ()) -> list[int]:
        """Take the rows of `TYPES_SQL`; return what to ask for next. `asked` and not answered: text."""
        found = [_info(row) for row in rows]
        self._known.update({info.oid: info for info in found})
        for oid in asked:
            self._known.setdefault(oid, TypeInfo(oid=oid, name=str(oid), kind="base"))
        return self.unknown(part for info in found for part in info.parts)

    def forget(self, oids: Iterable[int]) -> None:
        """Forget learnt types that may have been altered, so that they are asked for again."""
        for oid in oids:
            self._known.pop(oid, None)

    def encoder(self, oid: int) -> Encoder:
        """Return how values of a type are written; what is unknown is text."""
        return self._encoder(oid, MAX_NESTING)

    def _encoder(self, oid: int, left: int) -> Encoder:
        built_in = self._encoders.get(oid)
        if built_in is not None:
            return built_in
        info = self._known.get(oid)
        if info is None or not info.parts or left == 0:
            return text
        return _made_of(info, [self._encoder(part, left - 1) for part in info.parts])


def _made_of(info: TypeInfo, parts: list[Encoder]) -> Encoder:
    if info.kind == "composite":
        return composite(list(zip(info.names, parts, strict=True)))
    if info.kind == "array":
        return array(parts[0], info.delimiter.encode())
    if info.kind == "range":
        return value_range(parts[0])
    return multirange(parts[0]) if info.kind == "multirange" else parts[0]


def _info(row: Mapping[str, Any]) -> TypeInfo:
    kind = _KINDS.get(row["typtype"]) or ("array" if row["category"] == "A" and row["parts"] else "base")
    return TypeInfo(
        oid=row["oid"],
        name=row["name"],
        kind=kind,
        parts=tuple(row["parts"] or ()),
        names=tuple(row["names"] or ()),
        delimiter=row["delimiter"],
    )
