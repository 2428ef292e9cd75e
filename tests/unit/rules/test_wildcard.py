"""Wildcards: pieces, matching, and how complex one may be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rules.wildcard import BadWildcard, matches_pieces, overlap, split_wildcard
from tests.tables import every_row


@every_row(
    ("text", "pieces"),
    [
        ("", ("",)),
        ("ab", ("ab",)),
        ("*", ("", "")),
        ("a*b", ("a", "b")),
        ("*a*", ("", "a", "")),
        (r"\*\\*", ("*\\", "")),
    ],
)
def test_pieces_are_what_stands_between_stars(text: str, pieces: tuple[str, ...]) -> None:
    assert split_wildcard(text) == pieces


@every_row(("text", "offset"), [("a**", 1), ("\\", 0), ("ab\\c", 2), ("***", 0)])
def test_bad_wildcards_say_where(text: str, offset: int) -> None:
    with pytest.raises(BadWildcard) as caught:
        split_wildcard(text)
    assert caught.value.offset == offset
    assert caught.value.fix


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=12))
def test_matching_is_that_of_a_regular_expression(pieces: list[str], text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pieces)), text) is not None
    assert matches_pieces(tuple(pieces), text) == expected


@every_row(
    ("text", "beginnings"),
    [
        ("abc", 1),
        ("a*", 2),
        ("*:*:", 4),
        ("/Users/*/doc.txt", 2),
        ("/Users/*/dir/dir/dir/dir/dir/doc.txt", 7),
        ("*:*:*:*:*:event-bus/*", 10),
        ("*" + "a" * 50, 10),
    ],
)
def test_overlap_counts_the_beginnings_that_match_at_once(text: str, beginnings: int) -> None:
    assert overlap(split_wildcard(text), 9) == beginnings


def test_overlap_gives_up_in_time() -> None:
    assert overlap(split_wildcard("*".join("abcdefgh" * 40)), 9) == 10
    assert overlap(split_wildcard("x" * 100_000 + "*"), 9) == 2
    assert overlap(split_wildcard("*" + "".join(map(chr, range(1_000, 6_000)))), 9) == 2
