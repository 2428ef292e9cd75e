"""JSON text with places: what is read, what is refused and where."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Invalid, Problem
from service.rules.json_text import JSONText, read_json, step
from tests.tables import every_row

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aé"\\\n/~'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)


def read(text: str | bytes, depth: int = 20) -> JSONText:
    return read_json(text, file="f", max_depth=depth, max_bytes=1_000_000)


def refusal(text: str | bytes, depth: int = 20) -> Problem:
    with pytest.raises(Invalid) as caught:
        read(text, depth)
    (problem,) = caught.value.problems
    return problem


@given(JSON, st.sampled_from([None, 2]))
def test_reads_what_the_standard_library_writes(value: object, indent: int | None) -> None:
    assert read(json.dumps(value, indent=indent)).value == value


def test_knows_the_place_of_every_value() -> None:
    document = read('{"a": [1,\n {"b/~": true}]}')
    assert document.place("") == (1, 1)
    assert document.place("/a/0") == (1, 8)
    assert document.place(step("/a/1", "b/~")) == (2, 10)
    assert document.place("/a/1/nowhere/else") == (2, 2)


def test_reports_every_repeated_key_and_keeps_the_last() -> None:
    document = read('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "\\u0061": 4}')
    assert [problem.pointer for problem in document.problems] == ["/b/c", "/a", "/a"]
    assert document.value == {"a": 4, "b": {"c": 2}}


@every_row(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("{", 1, 2),
        ('{"a" 1}', 1, 6),
        ('{"a": 1,}', 1, 9),
        ('{"a": 1 "b": 2}', 1, 9),
        ("[1,]", 1, 4),
        ("[1 2]", 1, 4),
        ("[1] 2", 1, 5),
        ("{a: 1}", 1, 2),
        ('["x\ny"]', 1, 4),
        ('\n["x', 2, 2),
        ("[NaN]", 1, 2),
        ("[-Infinity]", 1, 2),
        ("[1e400]", 1, 2),
        ("[01]", 1, 3),
        ("[" + "1" * 2_000 + "]", 1, 2),
        (r'["\ud800"]', 1, 2),
        ("\ufeff{}", 1, 1),
        ("['x']", 1, 2),
        ("// x", 1, 1),
    ],
)
def test_refuses_with_the_place(text: str, line: int, column: int) -> None:
    problem = refusal(text)
    assert (problem.line, problem.column, problem.file) == (line, column, "f")
    assert problem.message


def test_refuses_depth_size_and_bytes_that_are_no_text() -> None:
    assert refusal("[" * 100_000).code == "json-too-deep"
    assert refusal('{"a":' * 100_000).code == "json-too-deep"
    assert refusal(" " * 1_000_001).code == "json-too-long"
    assert refusal(b'"\xff"').code == "json-not-utf8"
    assert read("[[1]]", 2).value == [[1]]
    assert refusal("[[1]]", 1).code == "json-too-deep"
