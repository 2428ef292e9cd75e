"""What a poll keeps between two answers: state, where to go on, and which items it has seen. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

MEMORY_KEY: Final = "memory"
SEEN_KEY: Final = "seen"
LAST_KEY: Final = "last"

SEEN: Final = 10_000
"""Items that are remembered at least; those of the last answer always are."""

MAX_STATE: Final = 64 * 1024
"""Bytes of a state as JSON."""

MAX_LAST: Final = 256 * 1024
"""Bytes of a body that is kept as `last`; of a longer one `last` is null."""

_DIGEST: Final = 12


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was learnt from the answers so far.

    `answered` says that there was one; `state` is what `state:` made of the last. `query` is what the last
    Location asked for, `etag` the last answer's with a hash of the `request` that it belongs to. `result` is
    a hash of the last whole body, `changes` counts how often it was another. `bad` is a hash of the last
    answer that could not be read. `first` overrides the configuration after a rewind.
    """

    answered: bool = False
    state: Any = None
    query: tuple[tuple[str, str], ...] = ()
    etag: str = ""
    request: str = ""
    result: str = ""
    changes: int = 0
    bad: str = ""
    first: Literal["", "skip", "emit"] = ""


_decode: Final = msgspec.json.Decoder(Memory).decode


def read_memory(positions: Mapping[str, bytes]) -> Memory:
    """Return what was kept; a new memory when nothing was. Raise ValueError for what we did not write."""
    kept = positions.get(MEMORY_KEY)
    if kept is None:
        return Memory()
    try:
        return _decode(kept)
    except msgspec.MsgspecError as error:
        raise ValueError(f"what was kept of the last poll cannot be read: {error}") from None


def write_memory(memory: Memory) -> bytes:
    """Return the memory as it is kept."""
    return msgspec.json.encode(memory)


def forgotten(positions: Mapping[str, bytes], first: Literal["skip", "emit"]) -> dict[str, bytes | None]:
    """Return the positions of a poll that begins anew.

    The count of changes goes on: the ids that are made of it must not come a second time.
    """
    memory = Memory(changes=read_memory(positions).changes, first=first)
    return {**dict.fromkeys(positions, None), MEMORY_KEY: write_memory(memory)}


def fingerprint(*parts: bytes) -> str:
    """Return a hash over parts as hexadecimal text."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class Seen:
    """The items that were seen, by a hash of what makes each of them itself; the latest are kept."""

    __slots__ = ("_digests",)

    def __init__(self, kept: bytes = b"") -> None:
        self._digests = dict.fromkeys(kept[at : at + _DIGEST] for at in range(0, len(kept), _DIGEST))

    def __contains__(self, name: str) -> bool:
        return _digest(name) in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, names: Iterable[str]) -> bool:
        """Remember items; return whether any of them is new. Those that are not grow young again."""
        digests = [_digest(name) for name in names]
        changed = False
        for digest in digests:
            changed |= digest not in self._digests
            self._digests.pop(digest, None)
            self._digests[digest] = None
        for oldest in list(self._digests)[: -max(SEEN, len(digests))]:
            del self._digests[oldest]
        return changed

    def encode(self) -> bytes:
        """Return them as they are kept, the oldest first."""
        return b"".join(self._digests)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
