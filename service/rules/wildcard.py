"""Wildcards: text in which `*` stands for any run of characters.

Matching is linear: the literal pieces are searched from left to right, each once, and nothing is tried
again. Pure text in, pieces or a verdict out.
"""

from typing import Final

_MAX_SETS: Final = 2_000
"""Of sets of prefixes looked at; a pattern that has more is too complex by any measure."""


class BadWildcard(ValueError):
    """The text is not a wildcard; `offset` says where, `fix` what would be right."""

    def __init__(self, message: str, offset: int, fix: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.fix = fix


def split_wildcard(text: str) -> tuple[str, ...]:
    r"""Return the literal pieces between the stars of `text`, with `\*` and `\\` resolved.

    One piece means no star: plain equality. The first and the last piece are empty where `text` begins or
    ends with a star.
    """
    pieces: list[str] = []
    piece: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "*":
            if text.startswith("**", at):
                raise BadWildcard("two stars in a row", at, "one `*` already stands for any run")
            pieces.append("".join(piece))
            piece.clear()
        elif character == "\\":
            at += 1
            if text[at : at + 1] not in ("*", "\\"):
                raise BadWildcard(
                    "a backslash escapes only `*` and itself", at - 1, r"write `\\` for a plain backslash"
                )
            piece.append(text[at])
        else:
            piece.append(character)
        at += 1
    return (*pieces, "".join(piece))


def matches_pieces(pieces: tuple[str, ...], text: str) -> bool:
    """Say whether `text` consists of `pieces` in order with anything between them."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return text == first
    at, end = len(first), len(text) - len(last)
    if end < at or not text.startswith(first) or not text.endswith(last):
        return False
    # The leftmost place of each piece leaves the most room for those after it, so no other is ever needed.
    for piece in pieces[1:-1]:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def overlap(pieces: tuple[str, ...], limit: int) -> int:
    """Return how many beginnings of the wildcard one text can match at once, or `limit` + 1 if more.

    This is event-ruler's measure of complexity for a single wildcard: `*:*:` has the beginnings `*`, `*:`,
    `*:*` and `*:*:`, and the text `::` matches all four.
    """
    # tokens[i] is a literal, or None for a star; bit i of a set says that tokens[:i] matches the text so far.
    tokens: list[str | None] = list(pieces[0])
    for piece in pieces[1:]:
        tokens += [None, *piece]
    stars = [index for index, token in enumerate(tokens) if token is None]
    start = _through_stars(1, stars)
    known, queue, most = {start}, [start], start.bit_count()
    for now in queue:
        for after in _followers(now, tokens, stars) - known:
            known.add(after)
            queue.append(after)
            most = max(most, after.bit_count())
        if most > limit or len(known) > _MAX_SETS:
            return limit + 1
    return most


def _through_stars(now: int, stars: list[int]) -> int:
    """Add the beginnings that end with a star: it may stand for nothing."""
    for star in stars:
        if now >> star & 1:
            now |= 1 << star + 1
    return now


def _followers(now: int, tokens: list[str | None], stars: list[int]) -> set[int]:
    """Return the sets of beginnings that one more character can lead to."""
    stay = sum(1 << star + 1 for star in stars if now >> star + 1 & 1)
    steps = {"": 0}  # a character that the wildcard does not have at any of these places
    for index, token in enumerate(tokens):
        if token is not None and now >> index & 1:
            steps[token] = steps.get(token, 0) | 1 << index + 1
    return {_through_stars(step | stay, stars) for step in steps.values()}
