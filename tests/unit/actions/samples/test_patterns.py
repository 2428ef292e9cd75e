"""What is made for a regular expression matches it, on the engine that the mock uses."""

import jsonschema_rs

from actions.samples.patterns import texts
from tests.tables import every_row

PATTERNS = [
    "^abc$", "a|b", "[a-z]+", "[^a-z]", "^[A-Z]{2}[0-9]{3,}$", r"^\d{4}-\d{2}-\d{2}$", r"^\w+@\w+\.\w{2,}$", "^(foo|bar)+?x*$",
    r"^(?<year>\d{4})/(?:a|b)(?P<x>c)$", r"^\p{L}+\p{N}{2}$", r"^[\p{Lu}_]+$", r"^[-\w.]{3,5}$", r"^[]a]$", "^$", ".*", "^.{5,10}$",
    r"^\u0041\x42\/$", r"^[^\s]+$", r"^\S{2}\D\W$", "^(?i)abc", "^a{0}b?$", r"^\[\{x\}\]$", "[A-Z-]",
    r"^([a-f0-9]{8}-){2}[a-f0-9]{12}$", r"^#?([\da-f]{3}|[\da-f]{6})$", r"^(https?://)?[a-z.]+$", r"^[中-龥]+$", r"[A-Za-z0-9/,\-\. ]*", "(?!x)a",
]  # fmt: skip


@every_row("pattern", PATTERNS)
def test_one_of_the_texts_matches(pattern: str) -> None:
    validator = jsonschema_rs.validator_for({"pattern": pattern})
    assert any(validator.is_valid(text) for text in texts(pattern))


@every_row(
    "pattern",
    ["(", "[a", "a)", "(?P=", "\\", r"\p{", r"\u{zz}", "a{999999}{999999}", "(" * 5000, r"[^\s\S]", "(?<n"],
)
def test_what_cannot_be_read_yields_nothing_and_raises_nothing(pattern: str) -> None:
    assert list(texts(pattern)) == []


def test_back_references_repeat_what_their_group_matched() -> None:
    assert next(texts(r"(ab)\1")) == "abab"
    assert next(texts(r"(?<q>x)\k<q>")) == "xx"


def test_makes_longer_texts_when_a_length_is_wanted() -> None:
    assert any(len(text) >= 30 for text in texts("^[a-z]+$", least=30))


def test_quantifiers_never_make_endless_texts() -> None:
    assert all(len(text) <= 20_000 for text in texts("(a{100}){100}b{2,}", least=50))


def test_an_exact_length_is_met_where_one_part_is_repeated_at_will() -> None:
    assert any(len(text) == 20 for text in texts("ab[0-9a-z]+", least=20))
    assert any(len(text) == 9 for text in texts("^[a-z]{3}-x*$", least=9))
