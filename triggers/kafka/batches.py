"""Reads the outside of a record batch, for batches that nobody here can open. Pure.

A batch whose codec is unknown, whose checksum is wrong or whose inside is damaged stops a consumer for good.
Its frame tells which offsets it stands for, so it can be kept whole, as bytes, and be passed.
"""

import struct
from typing import Final

import msgspec

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")

_FRAME: Final = struct.Struct(">qi")  # base offset, length of what follows
_MAGIC_AT: Final = 16
_V2: Final = struct.Struct(">hi")  # attributes, last offset delta
_V2_AT: Final = 21
_OLD_ATTRIBUTES_AT: Final = 17


class Batch(msgspec.Struct, frozen=True):
    """A batch as it lies in the log: the offsets it stands for, and all of its bytes."""

    first: int
    last: int
    codec: str
    data: bytes


def batch_at(fetched: bytes, offset: int) -> Batch | None:
    """Return the batch that holds `offset` of what was fetched; None when it is not there whole."""
    at = 0
    while len(fetched) - at > _V2_AT + _V2.size:
        base, length = _FRAME.unpack_from(fetched, at)
        end = at + _FRAME.size + length
        if length <= 0 or end > len(fetched):
            return None
        first, last, attributes = base, base, fetched[at + _OLD_ATTRIBUTES_AT]
        if fetched[at + _MAGIC_AT] >= 2:
            attributes, delta = _V2.unpack_from(fetched, at + _V2_AT)
            last = base + max(delta, 0)
        if last >= offset:
            number = attributes & 7
            codec = CODECS[number] if number < len(CODECS) else f"codec {number}"
            return Batch(first, last, codec, fetched[at:end])
        at = end
    return None
