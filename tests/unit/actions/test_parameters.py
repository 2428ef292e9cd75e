"""Parameters in their places: what comes back out of every style, content, encodings, defaults."""

import re
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.arguments import ABSENT
from actions.parameters import compile_parameter, has_dots
from actions.specs.model import Parameter
from actions.specs.references import Registry
from actions.styles import SHAPES
from tests.examples import examples
from tests.tables import every_row


def written(value: Any, **declared: Any) -> str | None:
    """Return a parameter as it is sent; fails where it is refused."""
    problems: list[tuple[str, str]] = []
    one = Parameter(**{"name": "color", "location": "query", "style": "form", **declared})
    text = compile_parameter(one, Registry({}), group="", filled=False).text(value, problems)
    assert not problems
    return text


def refused(value: Any, **declared: Any) -> str:
    problems: list[tuple[str, str]] = []
    one = Parameter(**{"name": "color", "location": "query", "style": "form", **declared})
    assert compile_parameter(one, Registry({}), group="", filled=False).text(value, problems) is None
    ((pointer, text),) = problems
    assert pointer == "/color"
    return text


# What a reader of the other side does: it knows name, style, explode and the type of the value.


def read(text: str, location: str, style: str, explode: bool, kind: str) -> Any:
    decode = str if location == "header" else unquote
    delimiter = {"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}.get(style, ",")
    delimiter = unquote(delimiter) if location == "header" else delimiter
    if style == "deepObject":
        pairs = [pair.partition("=")[::2] for pair in text.split("&")]
        return {
            re.fullmatch(r"color\[(.*)\]", unquote(name), re.DOTALL)[1]: unquote(value)
            for name, value in pairs
        }
    between = {"query": "&", "cookie": "; ", "header": ","}.get(location) or {
        "label": ".",
        "matrix": ";",
    }.get(style, ",")
    if style in ("label", "matrix"):
        assert text[0] == between
        text = text[1:]
    named = location in ("query", "cookie") or style == "matrix"
    if explode and kind != "scalar":
        parts = text.split(between)
        if kind == "object":
            return {decode(name): decode(value) for name, _, value in (part.partition("=") for part in parts)}
        return [decode(part.removeprefix("color=") if named else part) for part in parts]
    if named:
        name, _, text = text.partition("=")
        assert name == "color"
    if kind == "scalar":
        return decode(text)
    parts = text.split(delimiter)
    return (
        dict(zip(map(decode, parts[::2]), map(decode, parts[1::2]), strict=True))
        if kind == "object"
        else [decode(part) for part in parts]
    )


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
PATH_TEXT = st.from_regex(r"[A-Za-z0-9_ ,;=&%+?#.\u00e9-\u00ff]{1,8}", fullmatch=True).filter(
    lambda one: "%2" not in one and one.strip() and not has_dots(one)
)
HEADER_TEXT = st.from_regex(r"[!#$&'*+/:;?@A-Za-z0-9_|~-]{1,8}", fullmatch=True)
CELLS = [*SHAPES, ("query", "deepObject")]


@pytest.mark.parametrize("texts", [PATH_TEXT, HEADER_TEXT, TEXT], ids=["path", "header", "elsewhere"])
@pytest.mark.parametrize("kind", ["scalar", "array", "object"])
@pytest.mark.hypothesis  # given stands inside
def test_what_is_written_can_be_read_back(texts: st.SearchStrategy[str], kind: str) -> None:
    cells = [
        (location, style, explode)
        for location, style in CELLS
        for explode in (True, False)
        if {"path": PATH_TEXT, "header": HEADER_TEXT}.get(location, TEXT) is texts
        if style != "deepObject" or kind == "object"  # else a cell without a meaning
    ]
    keys = texts.filter(lambda one: one)
    values = {
        "scalar": texts,
        "array": st.lists(texts, min_size=1, max_size=4),
        "object": st.dictionaries(keys, texts, min_size=1, max_size=4),
    }[kind]

    @examples(100)
    @given(values)
    def check(value: Any) -> None:
        raw = msgspec.Raw(msgspec.json.encode(value))
        for location, style, explode in cells:
            meant = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}.get(style)
            if (
                meant
                and not explode
                and meant in "".join([value] if kind == "scalar" else [*value, *_of(value)])
            ):
                continue  # a value that such a list cannot hold
            cell = f"{location} {style} {explode}"
            text = written(value, location=location, style=style, explode=explode)
            assert text is not None, cell
            assert read(text, location, style, explode, kind) == value, cell
            assert written(raw, location=location, style=style, explode=explode) == text, cell

    check()


def _of(value: list[str] | dict[str, str]) -> list[str]:
    return list(value.values()) if isinstance(value, dict) else []


def test_names_that_are_no_identifiers_are_encoded_and_cookies_keep_theirs() -> None:
    assert written("x", name="filter[a b]&$top") == "filter%5Ba%20b%5D%26$top=x"
    assert written({"k/ey": 1}, name="f[x]", style="deepObject", explode=True) == "f%5Bx%5D%5Bk%2Fey%5D=1"
    assert written("a;b c", name="__Host-sid!#", location="cookie") == "__Host-sid!#=a%3Bb%20c"


@every_row(
    ("content_type", "value", "text"),
    [
        ("application/json", {"a": msgspec.Raw(b"1.10")}, '{"a":1.10}'),
        ("application/json", "x", '"x"'),
        ("application/problem+json", [1], "[1]"),
        ("text/plain", "a,b", "a,b"),
        ("application/x-www-form-urlencoded", {"a": "b c"}, "a=b+c"),
        ("application/xml", {"a": 1}, '<?xml version="1.0" encoding="UTF-8"?><root><a>1</a></root>'),
        ("application/vnd.x", "x", "x"),
        ("application/x-ndjson", [1, 2], "[1,2]"),
    ],
)  # fmt: skip
def test_parameters_may_travel_as_a_media_type(content_type: str, value: Any, text: str) -> None:
    assert unquote(written(value, content_type=content_type) or "") == f"color={text}"
    assert unquote(written(value, content_type=content_type, location="path", style="simple") or "") == text
    assert written(value, content_type=content_type, location="header", style="simple") == text


def test_content_that_does_not_fit_is_refused() -> None:
    assert refused({"a": 1}, content_type="text/plain") == "color must be text: it is sent as text/plain"
    assert refused({"base64": "/w=="}, content_type="image/png") == (
        "color has bytes that are no text, which only a body can carry"
    )
    assert "which JSON does not have" in refused([float("nan")], content_type="application/json")


def test_json_in_a_header_is_ascii() -> None:
    text = written({"é": "😀"}, location="header", style="simple", content_type="application/json")
    assert text is not None
    assert text.isascii()
    assert msgspec.json.decode(text) == {"é": "😀"}


def test_dots_are_looked_for_in_what_is_encoded_often() -> None:
    dots = ".."
    for _ in range(3):
        dots = quote(dots).replace(".", "%2E")
        assert has_dots(dots)
    assert not has_dots("%25252525252541")


def test_double_encoding() -> None:
    assert written("a b/%", location="path", style="simple", twice_encoded=True) == "a%2520b%252F%2525"
    assert written("a b", twice_encoded=True) == "color=a%2520b"


def test_reserved_characters_in_a_path_never_part_it() -> None:
    text = written("a:b@c/d?e#f%20%2F", location="path", style="simple", allow_reserved=True)
    assert text == "a:b@c%2Fd%3Fe%23f%20%2F"


@every_row(
    ("declared", "sent"),
    [
        ({"required": True}, "color=5"),
        ({"extras": {"x-ms-visibility": "internal"}}, "color=5"),
        ({"required": True, "extras": {"x-ms-visibility": "internal"}}, "color=5"),
        ({"extras": {"x-ms-visibility": "important"}}, None),
        ({}, None),
    ],
)
def test_defaults_are_sent_where_nobody_may_leave_them_out(
    declared: dict[str, Any], sent: str | None
) -> None:
    assert written(ABSENT, schema={"type": "string", "default": 5}, **declared) == sent
    assert written(ABSENT, schema={"type": "boolean", "default": "5"}, **declared) == sent


def test_null_is_nothing_to_send() -> None:
    assert written(None) is None
    assert written(msgspec.Raw(b"null"), schema={"type": "integer"}) is None
    assert refused(None, required=True) == "color is required and must not be null"
    assert written([None, "a", None], explode=True) == "color=a"
    assert written({"a": None, "b": 1}, explode=False) == "color=b,1"
    assert written("", schema={"type": "string"}) == "color="


@every_row(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (msgspec.Raw(b"1.10"), "1.10"),
        (10**30, "1" + "0" * 30),
        (1e22, "1e%2B22"),
        (-0.0, "-0.0"),
    ],
)
def test_booleans_and_numbers_are_exact(value: Any, text: str) -> None:
    assert written(value) == f"color={text}"
    assert written([value], explode=True) == f"color={text}"


@every_row("value", ["\u2025", "．．", "%c0%ae%c0%ae", "%C0%AE.", "%e0%80%ae.", "..\u3000"])
def test_other_spellings_of_dot_segments_are_refused(value: str) -> None:
    assert (
        refused(value, location="path", style="simple") == "color would change the path: it has a dot segment"
    )


@every_row(("style", "part"), [("spaceDelimited", "a b"), ("pipeDelimited", "a|b"), ("tabDelimited", "a\tb")])
def test_a_part_cannot_hold_what_stands_between_parts(style: Any, part: str) -> None:
    assert "which is what stands between the parts" in refused([part], style=style, explode=False)
    assert "which is what stands between the parts" in refused({part: 1}, style=style, explode=False)
    assert written([part, "c"], style=style, explode=True)
    assert unquote(written(part, style=style, explode=False) or "") == f"color={part}"


def test_lists_of_objects_in_a_header_are_one_json_text() -> None:
    value = [{"lat": msgspec.Raw(b"1.10")}, {"é": 1}]
    assert written(value, location="header", style="simple") == '[{"lat":1.10},{"\\u00e9":1}]'
    assert written({"a": [1]}, location="header", style="simple", explode=True) == '{"a":[1]}'
