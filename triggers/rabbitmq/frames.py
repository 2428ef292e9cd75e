"""Decoders of AMQP 0-9-1 values that no message can break; they take the place of the driver's own.

RabbitMQ hands over whatever a publisher wrote: a message id that is not UTF-8, a timestamp in microseconds,
tables nested a thousand deep. The decoders of `pamqp` raise at these, and that ends the whole connection: the
message comes again and ends it again, until a quorum queue drops it. Here such a value keeps its bytes, and
`decoding` makes a reject of the message. What `pamqp` reads, is read here as the same values.

Pure. `install` changes the tables that `pamqp` publishes for its decoders, once for the whole process; and
what it takes for a name, because RabbitMQ lets queues and exchanges have any name at all.
"""

import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from pamqp import constants, decode

MAX_DEPTH: Final = 32
"""How deep tables and arrays may be nested; what is deeper is left as bytes."""

_LATEST: Final = 0xFFFFFFFF
"""Seconds up to the year 2106: what is above is taken for milliseconds, as `pamqp` does."""

_ANY: Final = re.compile(r".*", re.DOTALL)

Value = Any
_Read = Callable[[bytes, int], tuple[Value, int]]

_U8, _I8 = struct.Struct(">B").unpack_from, struct.Struct(">b").unpack_from
_U16, _I16 = struct.Struct(">H").unpack_from, struct.Struct(">h").unpack_from
_U32, _I32 = struct.Struct(">I").unpack_from, struct.Struct(">i").unpack_from
_U64, _I64 = struct.Struct(">Q").unpack_from, struct.Struct(">q").unpack_from
_F32, _F64 = struct.Struct(">f").unpack_from, struct.Struct(">d").unpack_from


def text(raw: bytes) -> str:
    """Return text; bytes that are not UTF-8 become lone surrogates, which no real text has."""
    return raw.decode("utf-8", "surrogateescape")


def instant(number: int) -> datetime | int:
    """Return the time that a timestamp stands for, or the number itself when that is no time."""
    try:
        return datetime.fromtimestamp(number / 1000 if number > _LATEST else number, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return number


def short_string(value: bytes) -> tuple[int, str]:
    """Decode a short string as `pamqp.decode.short_str` does, whatever its bytes are."""
    end = _length(value, _U8, 0, 1)
    return end, text(value[1:end])


def timestamp(value: bytes) -> tuple[int, datetime | int]:
    """Decode a timestamp as `pamqp.decode.timestamp` does, whatever its number is."""
    _need(value, 0, 8)
    return 8, instant(_U64(value)[0])


def table(value: bytes) -> tuple[int, dict[str, Value]]:
    """Decode a field table as `pamqp.decode.field_table` does, whatever its keys, times and depth are."""
    fields, end = _table(value, 0, 0)
    return end, fields


def array(value: bytes) -> tuple[int, list[Value]]:
    """Decode a field array as `pamqp.decode.field_array` does."""
    members, end = _array(value, 0, 0)
    return end, members


def install() -> None:
    """Put these decoders in the place of those of `pamqp`. Twice is harmless."""
    decode.METHODS.update(shortstr=short_string, timestamp=timestamp, table=table, array=array)
    decode.TABLE_MAPPING.update({b"T": timestamp, b"F": table, b"A": array})
    constants.DOMAIN_REGEX.update({"queue-name": _ANY, "exchange-name": _ANY})


def _need(value: bytes, at: int, size: int) -> None:
    if at + size > len(value):
        raise ValueError("a value is cut short")


def _length(value: bytes, read: Callable[[bytes, int], tuple[int]], at: int, size: int) -> int:
    """Return where a value ends that begins with its own length."""
    _need(value, at, size)
    end = at + size + read(value, at)[0]
    if end > len(value):
        raise ValueError("a value is cut short")
    return end


def _table(value: bytes, at: int, depth: int) -> tuple[dict[str, Value], int]:
    end = _length(value, _U32, at, 4)
    at += 4
    fields: dict[str, Value] = {}
    while at < end:
        start = at + 1
        at = _length(value, _U8, at, 1)
        name = text(value[start:at])
        fields[name], at = _value(value, at, depth)
    return fields, end


def _array(value: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    end = _length(value, _U32, at, 4)
    at += 4
    members: list[Value] = []
    while at < end:
        member, at = _value(value, at, depth)
        members.append(member)
    return members, end


def _value(value: bytes, at: int, depth: int) -> tuple[Value, int]:
    """Return the value that begins at `at` with its type, and where the next one begins."""
    _need(value, at, 1)
    kind = value[at]
    at += 1
    if kind == _LONG_STRING:
        end = _length(value, _U32, at, 4)
        raw = value[at + 4 : end]
        try:
            return raw.decode("utf-8"), end
        except UnicodeDecodeError:
            return raw, end
    fixed = _FIXED.get(kind)
    if fixed is not None:
        size, read = fixed
        _need(value, at, size)
        return read(value, at), at + size
    if kind in (_TABLE, _ARRAY):
        if depth >= MAX_DEPTH:
            end = _length(value, _U32, at, 4)
            return value[at + 4 : end], end
        return _table(value, at, depth + 1) if kind == _TABLE else _array(value, at, depth + 1)
    if kind == _BYTES:
        end = _length(value, _U32, at, 4)
        return bytearray(value[at + 4 : end]), end
    raise ValueError(f"unknown type of value: {kind}")


def _decimal(value: bytes, at: int) -> Decimal:
    scale, number = value[at], _U32(value, at + 1)[0]
    return Decimal(f"{number}e-{scale}")


_LONG_STRING: Final = ord("S")
_TABLE: Final = ord("F")
_ARRAY: Final = ord("A")
_BYTES: Final = ord("x")
_FIXED: Final[dict[int, tuple[int, Callable[[bytes, int], Value]]]] = {
    ord("t"): (1, lambda value, at: value[at] != 0),
    ord("b"): (1, lambda value, at: _I8(value, at)[0]),
    ord("B"): (1, lambda value, at: _U8(value, at)[0]),
    ord("s"): (2, lambda value, at: _I16(value, at)[0]),
    ord("u"): (2, lambda value, at: _U16(value, at)[0]),
    ord("I"): (4, lambda value, at: _I32(value, at)[0]),
    ord("i"): (4, lambda value, at: _U32(value, at)[0]),
    ord("l"): (8, lambda value, at: _I64(value, at)[0]),
    ord("L"): (8, lambda value, at: _I64(value, at)[0]),
    ord("f"): (4, lambda value, at: _F32(value, at)[0]),
    ord("d"): (8, lambda value, at: _F64(value, at)[0]),
    ord("D"): (5, _decimal),
    ord("T"): (8, lambda value, at: instant(_U64(value, at)[0])),
    ord("V"): (0, lambda _value, _at: None),
    0: (0, lambda _value, _at: None),
}
"""The types of fixed length (the errata of RabbitMQ to AMQP 0-9-1): length and reader."""
