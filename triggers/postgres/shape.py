"""Turns rows that look like those before them into JSON at one stroke: a pattern takes a row apart. Pure.

Reading a row value by value costs some calls for each; a regular expression takes them all in one. A `Shape`
learns from the rows of a table what each column looks like (never NULL, text that needs no escapes, …) and
makes of that a pattern over the bytes of a whole row. What it matches is filled into a template; a row that
it does not match is read value by value, as ever, and taught to the shape. So a shape never decides what a
row becomes, only how fast.

Why the pattern reads a row right though it does not count with lengths: values in text form hold no zero
byte, and a value begins behind a `t` and four bytes of length, of which the first two are zero (longer ones
do not match). So the marks `t` that are followed by zeros stand where PostgreSQL wrote them. What they leave
open is whether an `n` before such a mark is the end of a value or a NULL: there the length is compared.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

from triggers.postgres.values import PLAIN, Encoder, Plain

LEARNT_AFTER: Final = 16
"""The rows to have seen before a pattern is made: one costs a millisecond or more."""

MAX_PLAIN: Final = 60
"""Columns of longer values are encoded one by one: a pattern looks at each byte, which is slower then."""

MAX_SOMETIMES_NULL: Final = 8
"""With more columns that are NULL at times no pattern is made.

Where values end in `n` it may try both for each of them before it gives a row up: 256 ways, not more.
"""

_NULL: Final = 1
_PLAIN: Final = 2
_OTHER: Final = 4
_ANY: Final = Plain(rb"([^\x00]*)", b"%b", may_end_in_n=True)


Write = Callable[[bytes, int, bool], bytes | None]
"""Writes the row that begins somewhere in these bytes and ends with them, of an insert or (True) an update.

Returns None for a row that does not match. Raises UnicodeDecodeError.
"""


class Shape:
    """What the rows of one table have in common, and the pattern made of it. `encoders`: None is left out."""

    def __init__(self, encoders: Sequence[Encoder | None], key: Sequence[int]) -> None:
        """`key`: the columns to be written once more, before all others."""
        self._encoders = encoders
        self._written = [*key, *(number for number, encode in enumerate(encoders) if encode is not None)]
        self._plain = [_ANY if encode is None else PLAIN.get(encode) for encode in encoders]
        self._fits = [re.compile(plain.pattern).fullmatch if plain else None for plain in self._plain]
        self._seen = [0] * len(encoders)
        self._made_of: list[int] = []
        self._taught = 0
        self._match: Callable[[bytes, int], re.Match[bytes] | None] = no_match
        self._pick: Callable[[Sequence[bytes | None]], tuple[Any, ...]] = tuple
        self._encoded: list[tuple[int, Encoder]] = []
        self._checked: list[tuple[int, int]] = []

    def learn(self, row: Sequence[bytes | None]) -> list[bytes] | None:
        """Take a row in; return what to write for each of its columns with `%b`, when there is a new pattern.

        Patterns are made after 16, 32, 64 … rows that did not match, if these taught something: seldom.
        """
        for number, value in enumerate(row):
            if value is None:
                self._seen[number] |= _NULL
            else:
                fits = self._fits[number]
                plain = fits and len(value) <= MAX_PLAIN and fits(value)
                self._seen[number] |= _PLAIN if plain else _OTHER
        self._taught += 1
        due = self._taught >= LEARNT_AFTER and self._taught & (self._taught - 1) == 0
        return self._make() if due and self._seen != self._made_of else None

    def writer(self, insert: bytes, update: bytes) -> Write:
        """Return what writes a row by the pattern that was made last: into `insert`, or into `update`."""
        match_row, pick, encoded, checked = self._match, self._pick, self._encoded, self._checked

        def write(data: bytes, at: int, changed: bool) -> bytes | None:
            match = match_row(data, at)
            if match is None:
                return None
            values: Sequence[bytes | None] = match.groups()
            for length, group in checked:
                told, found = values[length], values[group]
                if told and found is not None and told[0] << 8 | told[1] != len(found):
                    return None
            if encoded:
                values = tokens = list(values)
                for group, encode in encoded:
                    found = tokens[group]
                    tokens[group] = b"null" if found is None else encode(found)
            text = (update if changed else insert) % pick(values)
            if not text.isascii():
                str(text, "utf-8")  # only to see that it can be read
            return text

        return write

    def _make(self) -> list[bytes]:
        """Make the pattern of what was seen; return the holes."""
        self._made_of = list(self._seen)
        parts = [re.escape(len(self._seen).to_bytes(2, "big"))]
        places: list[range] = []  # of the groups of each column
        holes: list[bytes] = []
        self._encoded, self._checked = [], []
        count = 0
        for number, seen in enumerate(self._seen):
            plain = self._plain[number]
            how = plain if plain and seen == _PLAIN else _ANY
            length = b".."
            if seen == _NULL:
                parts.append(b"n")
                places.append(range(0))
                holes.append(b"null")
                continue
            if how.may_end_in_n and any(each & _NULL for each in self._seen[number + 1 : number + 2]):
                length = b"(..)"
                self._checked.append((count, count + 1))
                count += 1
            part = rb"t\x00\x00" + length + how.pattern
            parts.append(b"(?:%b|n)" % part if seen & _NULL else part)
            places.append(range(count, count + how.hole.count(b"%b")))
            holes.append(how.hole)
            encode = self._encoders[number]
            if encode is not None and seen != _PLAIN:
                self._encoded.append((count, encode))
            count = places[-1].stop
        order = [place for number in self._written for place in places[number]]
        doubtful = sum(bool(seen & _NULL) and seen != _NULL for seen in self._seen)
        if len(order) > 1 and doubtful <= MAX_SOMETIMES_NULL:  # of one, an itemgetter makes no tuple
            self._pick = itemgetter(*order)
            self._match = re.compile(b"".join(parts), re.DOTALL).fullmatch
        else:
            self._match = no_match
        return holes


def no_match(_data: bytes, _at: int, _changed: bool = False) -> None:
    """Match nothing: there is no pattern yet."""
