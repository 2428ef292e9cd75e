"""Forms: what each encoding writes, read back with the standard library and by a parser of the tests."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.bodies import compile_media
from actions.specs.model import Media
from actions.specs.references import Registry
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.bodies.sending import refusals, sent

FORM = "application/x-www-form-urlencoded"


def pairs(value: Any, schema: Any = None, **encoding: Any) -> list[tuple[str, str]]:
    content = {FORM: {"schema": schema or {}, "encoding": encoding}}
    body = sent(content, value).body
    assert body is not None
    return parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))


@every_row(
    ("encoding", "value", "expected"),
    [
        ({}, "a b&c", [("f", "a b&c")]),
        ({}, [1, None, "x"], [("f", "1"), ("f", "x")]),
        ({}, [], []),
        ({}, {"a": msgspec.Raw(b"1.10")}, [("f", '{"a":1.10}')]),
        ({}, [{"a": 1}, [2]], [("f", '{"a":1}'), ("f", "[2]")]),
        ({"contentType": "application/json"}, ["a"], [("f", '["a"]')]),
        ({"contentType": "application/json"}, "a", [("f", '"a"')]),
        ({"contentType": "text/plain"}, [1, 2], [("f", "1"), ("f", "2")]),
        ({"style": "form"}, {"a": 1, "b": 2}, [("a", "1"), ("b", "2")]),
        ({"style": "form", "explode": False}, {"a": 1, "b": 2}, [("f", "a,1,b,2")]),
        ({"explode": False}, [1, 2], [("f", "1,2")]),
        ({"explode": True}, [1, 2], [("f", "1"), ("f", "2")]),
        ({"style": "spaceDelimited"}, [1, 2], [("f", "1 2")]),
        ({"style": "tabDelimited"}, [1, 2], [("f", "1\t2")]),
        ({"style": "pipeDelimited", "explode": False}, [1, 2], [("f", "1|2")]),
        ({"style": "pipeDelimited", "explode": True}, [1, 2], [("f", "1"), ("f", "2")]),
        (
            {"style": "deepObject", "explode": True},
            {"a": {"b": [1, 2]}},
            [("f[a][b][0]", "1"), ("f[a][b][1]", "2")],
        ),
        ({"style": "deepObject", "explode": True}, ["x"], [("f[0]", "x")]),
        ({"allowReserved": True}, "a/b c&d+e", [("f", "a/b c&d+e")]),
        ({"style": ["form"]}, 1, [("f", "1")]),
    ],
)
def test_fields_by_their_encoding(encoding: Any, value: Any, expected: list[tuple[str, str]]) -> None:
    assert pairs({"f": value}, f=encoding) == expected


def test_reserved_characters_stay_only_where_it_is_allowed() -> None:
    content = {FORM: {"encoding": {"a": {"allowReserved": True}}}}
    assert sent(content, {"a": "x/y?z", "b": "x/y"}).body == b"a=x/y?z&b=x%2Fy"


def test_a_string_is_the_whole_form() -> None:
    assert sent({FORM: {}}, "a=b&c=%20").body == b"a=b&c=%20"
    assert sent({FORM: {}}, msgspec.Raw(b'"a=b"')).body == b"a=b"


def test_files_go_in_as_their_bytes() -> None:
    schema = {"properties": {"f": {"type": "string", "format": "binary"}, "o": {"type": "object"}}}
    value = {
        "f": {"base64": "AP8gYQ==", "filename": "a"},
        "l": [{"base64": "AA=="}, {"text": "b"}],
        "o": {"text": "x"},
        "t": {"text": "y"},
    }
    body = sent({FORM: {"schema": schema}}, value).body
    assert body == b"f=%00%FF+a&l=%00&l=b&o=%7B%22text%22%3A%22x%22%7D&t=y"
    assert refusals({FORM: {"schema": schema}}, {"f": {"base64": "?"}}) == {
        "/body/f": "body/f has a base64 that cannot be decoded"
    }


def test_a_form_with_files_gives_way_to_multipart() -> None:
    schema = {"properties": {"f": {"type": "string", "format": "binary"}}}
    both = {FORM: {"schema": schema}, "multipart/form-data": {"schema": schema}}
    assert sent(both, {"f": "x"}).content_type.startswith("multipart/form-data")
    assert sent({FORM: {"schema": schema}}, {"f": "x"}).content_type == FORM


def test_everything_wrong_is_said_at_once() -> None:
    value = {"a": "\ud800", "b": {"c": object()}, "ok": 1, "\ud800": 1, "d/e": float("inf")}
    assert refusals({FORM: {}}, value) == {
        "/body/a": "body/a has half a surrogate pair",
        "/body/b": "body/b cannot be written as JSON: it is of a kind that JSON lacks (object)",
        "/body/\ud800": "body/\ud800 has half a surrogate pair",
        "/body/d~1e": "body/d~1e is not a number that JSON has",
    }


scalars = st.text(max_size=12) | st.integers() | st.booleans()
trees = st.recursive(
    scalars,
    lambda inner: (
        st.dictionaries(
            st.text(
                st.characters(blacklist_characters="[]", blacklist_categories=["Cs"]), min_size=1, max_size=5
            ),
            inner,
            min_size=1,
            max_size=3,
        )
        | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def as_text(value: Any) -> Any:
    """Return a tree as a form can carry it: text at its leaves, objects for lists."""
    if isinstance(value, dict):
        return {key: as_text(member) for key, member in value.items()}
    if isinstance(value, list):
        return {str(index): as_text(member) for index, member in enumerate(value)}
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@examples(50)
@given(
    st.dictionaries(
        st.text(
            st.characters(blacklist_characters="[]", blacklist_categories=["Cs"]), min_size=1, max_size=5
        ),
        trees,
        min_size=1,
        max_size=3,
    )
)
def test_brackets_can_be_read_back(value: dict[str, Any]) -> None:
    encoding = {name: {"style": "deepObject", "explode": True} for name in value}
    problems: list[tuple[str, str]] = []
    made = compile_media(Media(type=FORM, encoding=encoding), Registry({}))(value, problems, "/body")
    assert made is not None, problems
    found: dict[str, Any] = {}
    for pair in made[0].decode("ascii").split("&"):
        name, _, text = pair.partition("=")
        head, *steps = re.findall(r"[^\[\]]+", unquote_plus(name))
        node = found
        path = [head, *steps]
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = unquote_plus(text)
    assert found == as_text(value)


@examples(50)
@given(
    st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), st.text(), min_size=1)
)
def test_text_can_be_read_back(value: dict[str, str]) -> None:
    problems: list[tuple[str, str]] = []
    made = compile_media(Media(type=FORM), Registry({}))(value, problems, "/body")
    assert made is not None, problems
    assert dict(parse_qsl(made[0].decode("ascii"), keep_blank_values=True, strict_parsing=True)) == value
