"""How far a PostgreSQL source is: what `emit` stores under the key `lsn`. Pure.

LSNs compare only within one cluster (system identifier) and one timeline, and only commit LSNs grow from
transaction to transaction; the LSN of a single change may go back. So a position is the end of the last
transaction that is stored, and within the next one the number of its changes that are stored already.
"""

import re
from typing import Final

import msgspec

from triggers.errors import SourceRejected

POSITION_KEY: Final = "lsn"

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)


def format_lsn(lsn: int) -> str:
    """Return an LSN as PostgreSQL writes it: `0/16B3748`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """Read an LSN as PostgreSQL writes it. Raise ValueError."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"not an LSN: {text[:40]!a}")
    return int(match[1], 16) << 32 | int(match[2], 16)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the transaction in work is stored: its changes up to `index`.

    `final_lsn` is where its commit begins; with `xid` it names the transaction.
    """

    final_lsn: int
    xid: int
    index: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before `lsn` (the end of the last stored commit, by `xid`) is stored; `part` of the next.

    `timeline` and `system_id` say which history the LSN belongs to, `slot` which consumer.
    """

    system_id: str
    timeline: int
    slot: str
    lsn: int
    xid: int = 0
    part: Part | None = None

    def encode(self) -> bytes:
        """Return the bytes to store: JSON that an operator can read."""
        return _encode(_Stored.of(self))

    @classmethod
    def decode(cls, data: bytes) -> "Position":
        """Read stored bytes. Raise SourceRejected."""
        try:
            return _decode(data).position()
        except (msgspec.MsgspecError, ValueError) as error:
            raise SourceRejected(f"the stored position cannot be read: {error}") from error


class _StoredPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    final_lsn: str
    xid: int
    index: int


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    system_id: str
    timeline: int
    slot: str
    lsn: str
    xid: int = 0
    part: _StoredPart | None = None

    @classmethod
    def of(cls, position: Position) -> "_Stored":
        part = position.part
        return cls(
            position.system_id,
            position.timeline,
            position.slot,
            format_lsn(position.lsn),
            position.xid,
            _StoredPart(format_lsn(part.final_lsn), part.xid, part.index) if part else None,
        )

    def position(self) -> Position:
        part = self.part
        return Position(
            system_id=self.system_id,
            timeline=self.timeline,
            slot=self.slot,
            lsn=parse_lsn(self.lsn),
            xid=self.xid,
            part=Part(final_lsn=parse_lsn(part.final_lsn), xid=part.xid, index=part.index) if part else None,
        )


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Stored).decode
