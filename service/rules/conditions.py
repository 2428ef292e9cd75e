"""Conditions on one value: what each member of a pattern's list means.

This is the definition of every operator. A condition sees one JSON scalar, or `ABSENT` where a message
has no value, and says whether it holds; it can also say in words what it wants. Nothing here knows
paths, arrays or rules, and nothing here reads pattern text (`operators.py` does).
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from msgspec import UNSET, UnsetType
from typing_extensions import override

from service.rules.wildcard import matches_pieces

ABSENT: Final = UNSET
"""Stands where a message has no value at a path. Missing is not null."""

Scalar = str | int | float | bool | None
Seen = Scalar | UnsetType
Kind = Literal["string", "number", "boolean", "null"]

# The two spellings that count as an address; anything else with dots or colons is ordinary text.
_IPV4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_IPV6: Final = re.compile(r"[0-9a-fA-F:]{2,39}")

Address = tuple[int, int]
"""An IP address as (version, number)."""


def read_address(text: str) -> Address | None:
    """Return the address that `text` spells, or None when it spells none.

    An IPv6 address that only wraps an IPv4 one (`::ffff:a00:1`) is that IPv4 address.
    """
    try:
        if _IPV4.fullmatch(text):
            return 4, int(IPv4Address(text))
        if ":" in text and _IPV6.fullmatch(text):
            address = IPv6Address(text)
            mapped = address.ipv4_mapped
            return (6, int(address)) if mapped is None else (4, int(mapped))
    except ValueError:
        pass
    return None


def kind_of(value: Scalar) -> Kind:
    """Return the JSON type of a scalar; true is not a number here."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    return "null" if value is None else "number"


def show(value: object, limit: int = 120) -> str:
    """Return `value` as JSON for people, cut to `limit` characters."""
    text = "absent" if value is ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Condition(ABC):
    """One alternative of a field: `holds` decides, `words` tells people what would match."""

    __slots__ = ()

    @abstractmethod
    def holds(self, value: Seen) -> bool:
        """Say whether `value` (or `ABSENT`) satisfies this condition."""

    @abstractmethod
    def words(self) -> str:
        """Return what this condition wants, to be read after "would match:"."""


@dataclass(frozen=True, slots=True)
class Equals(Condition):
    """Equality by JSON type; numbers by their numeric value.

    `kind` keeps `true` and `1` apart, which Python calls equal. Integers are compared exactly, however
    large; a number with a fraction or an exponent is the binary64 nearest to it.
    """

    value: Scalar
    kind: Kind

    @override
    def holds(self, value: Seen) -> bool:
        return value is not ABSENT and value == self.value and kind_of(value) == self.kind

    @override
    def words(self) -> str:
        return show(self.value)


@dataclass(frozen=True, slots=True)
class SameAddress(Condition):
    """A plain string that spells an IP address: every spelling of that address matches."""

    text: str = field(compare=False)
    address: Address

    @override
    def holds(self, value: Seen) -> bool:
        return isinstance(value, str) and (value == self.text or read_address(value) == self.address)

    @override
    def words(self) -> str:
        return f"{show(self.text)} (any spelling of that address)"


@dataclass(frozen=True, slots=True)
class IgnoringCase(Condition):
    """Equality of strings under Unicode case folding; `folded` is already folded."""

    text: str = field(compare=False)
    folded: str

    @override
    def holds(self, value: Seen) -> bool:
        return isinstance(value, str) and value.casefold() == self.folded

    @override
    def words(self) -> str:
        return f"{show(self.text)} in any case"


@dataclass(frozen=True, slots=True)
class StartsWith(Condition):
    """A string that starts with `text`; with `fold`, `text` is folded and the value is too."""

    text: str
    fold: bool = False

    @override
    def holds(self, value: Seen) -> bool:
        if not isinstance(value, str):
            return False
        return (value.casefold() if self.fold else value).startswith(self.text)

    @override
    def words(self) -> str:
        return f"a string that starts with {show(self.text)}{' in any case' * self.fold}"


@dataclass(frozen=True, slots=True)
class EndsWith(Condition):
    """A string that ends with `text`; with `fold`, `text` is folded and the value is too."""

    text: str
    fold: bool = False

    @override
    def holds(self, value: Seen) -> bool:
        if not isinstance(value, str):
            return False
        return (value.casefold() if self.fold else value).endswith(self.text)

    @override
    def words(self) -> str:
        return f"a string that ends with {show(self.text)}{' in any case' * self.fold}"


@dataclass(frozen=True, slots=True)
class Wildcard(Condition):
    """A string made of two or more `pieces` in order, with any run of characters between two of them."""

    text: str = field(compare=False)
    pieces: tuple[str, ...]

    @override
    def holds(self, value: Seen) -> bool:
        return isinstance(value, str) and matches_pieces(self.pieces, value)

    @override
    def words(self) -> str:
        return f"a string like {show(self.text)}"


@dataclass(frozen=True)
class NoneOf(Condition):
    """Any present value for which none of `conditions` holds: `anything-but`. Null is a value."""

    conditions: tuple[Condition, ...]

    @cached_property
    def _values(self) -> frozenset[Scalar] | None:
        # A long list of plain values is one look-up. Strings and numbers never equal each other, and
        # `true` (which equals 1) is kept out below, so the kinds need no second look.
        plain = [each.value for each in self.conditions if isinstance(each, Equals)]
        return frozenset(plain) if len(plain) == len(self.conditions) else None

    @override
    def holds(self, value: Seen) -> bool:
        if value is ABSENT:
            return False
        if self._values is not None:
            return isinstance(value, bool) or value not in self._values
        return not any(each.holds(value) for each in self.conditions)

    @override
    def words(self) -> str:
        return "any value but " + any_of(self.conditions)


@dataclass(frozen=True, slots=True)
class Within(Condition):
    """A JSON number within bounds; a missing bound is None, an open one excludes its end."""

    low: float | None = None
    low_open: bool = False
    high: float | None = None
    high_open: bool = False

    @override
    def holds(self, value: Seen) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        if self.low is not None and (value <= self.low if self.low_open else value < self.low):
            return False
        return self.high is None or (value < self.high if self.high_open else value <= self.high)

    @override
    def words(self) -> str:
        low = "" if self.low is None else f"{'>' if self.low_open else '>='} {show(self.low)}"
        high = "" if self.high is None else f"{'<' if self.high_open else '<='} {show(self.high)}"
        return f"a number {low}{' and ' * bool(low and high)}{high}"


@dataclass(frozen=True, slots=True)
class InNetwork(Condition):
    """A string that spells an IP address from `low` to `high` of IP version `version`."""

    text: str = field(compare=False)
    version: int
    low: int
    high: int

    @override
    def holds(self, value: Seen) -> bool:
        address = read_address(value) if isinstance(value, str) else None
        return address is not None and address[0] == self.version and self.low <= address[1] <= self.high

    @override
    def words(self) -> str:
        return f"an IP address in {self.text}"


@dataclass(frozen=True, slots=True)
class Present(Condition):
    """There is a value, null included."""

    @override
    def holds(self, value: Seen) -> bool:
        return value is not ABSENT

    @override
    def words(self) -> str:
        return "any value"


@dataclass(frozen=True, slots=True)
class Absent(Condition):
    """There is no value: nothing, an empty array, or an object where a value would be."""

    @override
    def holds(self, value: Seen) -> bool:
        return value is ABSENT

    @override
    def words(self) -> str:
        return "no value at all"


def any_of(conditions: Sequence[Condition], limit: int = 8) -> str:
    """Return the conditions in words, joined by "or", at most `limit` of them."""
    words = [each.words() for each in conditions[:limit]]
    if len(conditions) > limit:
        words.append(f"{len(conditions) - limit} more")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
