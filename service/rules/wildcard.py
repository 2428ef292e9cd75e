"""Wildcards: text in which `*` stands for any run of characters.

Matching is linear: the literal pieces are searched from left to right, each once, and nothing is tried
again. Pure text in, pieces or a verdict out.
"""

from typing import Final

_MAX_SETS: Final = 20_000
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
    if len(pieces) == 1:
        return 1
    # Before the first star only one beginning is possible. From there on, tokens[i] is a literal or "" for a
    # star, and bit i of a set says that the text so far matches all tokens before tokens[i].
    tokens: list[str] = []
    for piece in pieces[1:]:
        tokens += ["", *piece]
    stars = sum(1 << index for index, token in enumerate(tokens) if not token)
    start = 0b11  # a star may stand for nothing
    known, queue, most = {start}, [start], 2
    for now in queue:
        for after in _followers(now, tokens, stars) - known:
            known.add(after)
            queue.append(after)
            most = max(most, after.bit_count())
        if most > limit or len(known) > _MAX_SETS:
            return limit + 1
    return most


def _followers(now: int, tokens: list[str], stars: int) -> set[int]:
    """Return the sets of beginnings that one more character can lead to."""
    stay = now & stars << 1  # a star takes any character
    steps = {"": 0}  # a character that the wildcard does not have at any of these places
    while now:
        bit = now & -now
        now ^= bit
        token = tokens[bit.bit_length() - 1] if bit.bit_length() <= len(tokens) else ""
        if token:
            steps[token] = steps.get(token, 0) | bit << 1
    reached = [step | stay for step in steps.values()]
    return {each | (each & stars) << 1 for each in reached}
