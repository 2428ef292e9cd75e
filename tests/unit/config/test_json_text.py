import json

from hypothesis import given
from hypothesis import strategies as st

from service.config.load import read_text
from tests.tables import every_row

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_reads_what_the_standard_library_writes(value, indent, ascii_only):
    parsed = read_text(json.dumps(value, indent=indent, ensure_ascii=ascii_only), "f", json=True)
    assert parsed.problems == []
    assert parsed.root.value == value


@every_row(
    ("text", "column", "words"),
    [
        ("", 1, "a JSON value is missing"),
        ("{", 2, "a key in double quotes"),
        ('{"a": 1,}', 9, "a comma before } or ] is not JSON"),
        ("[1,]", 4, "a JSON value is missing"),
        ('{"a" 1}', 6, "`:` is missing"),
        ("[1 2]", 4, "`,` or `]` is missing"),
        ("{'a': 1}", 2, "a key in double quotes"),
        ('["a\nb"]', 2, "a control character"),
        (r'["\x"]', 2, "an escape"),
        (r'["\ud800"]', 2, "half a character"),
        ("[01]", 2, "a JSON value is missing"),
        ("[NaN]", 2, "a JSON value is missing"),
        ("[1e999]", 2, "too large"),
        ("[" + "1" * 1001 + "]", 2, "1001 digits"),
        ("{} {}", 4, "behind the end"),
        ("[true1]", 2, "a JSON value is missing"),
        ('{"a": 1, "a": 2}', 10, "`a` stands twice"),
        ('{"a": 1 // c\n}', 9, "`,` or `}` is missing"),
    ],
)
def test_broken_json_is_explained_with_its_place(text, column, words):
    problem = read_text(text, "f.json", json=True).problems[0]
    assert (problem.line, problem.column) == (1, column)
    assert words in f"{problem.message}; {problem.fix}"


def test_pairs_of_surrogates_and_long_numbers_are_kept():
    parsed = read_text(r'{"a": "\ud83d\ude00", "b": 12345678901234567890}', "f", json=True)
    assert parsed.root.value == {"a": "😀", "b": 12345678901234567890}
