"""The style table of OpenAPI (3.1.1 §4.8.12.2, RFC 6570), line by line."""

from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest

from actions.arguments import Unfit, leaf
from actions.styles import writer
from tests.tables import every_row

ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def encode(text: str) -> str:
    return quote(text, safe="")


@every_row(
    ("location", "style", "explode", "empty", "string", "array", "obj"),
    [
        ("path", "matrix", False, ";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        ("path", "matrix", True, ";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"),
        ("path", "label", False, ".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("path", "label", True, ".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("path", "simple", False, "", "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("path", "simple", True, "", "blue", "blue,black,brown", "R=100,G=200,B=150"),
        ("header", "simple", False, "", "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("header", "simple", True, "", "blue", "blue,black,brown", "R=100,G=200,B=150"),
        ("path", "pipeDelimited", False, "", "blue", "blue%7Cblack%7Cbrown", "R%7C100%7CG%7C200%7CB%7C150"),
        ("path", "spaceDelimited", False, "", "blue", "blue%20black%20brown", "R%20100%20G%20200%20B%20150"),
        ("query", "form", False, "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("query", "form", True, "color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        ("query", "spaceDelimited", False, "color=", "color=blue", "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"),
        ("query", "pipeDelimited", False, "color=", "color=blue", "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("query", "tabDelimited", False, "color=", "color=blue", "color=blue%09black%09brown", "color=R%09100%09G%09200%09B%09150"),
        ("query", "deepObject", True, "color=", "color=blue", "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("cookie", "form", False, "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("cookie", "form", True, "color=", "color=blue", "color=blue; color=black; color=brown", "R=100; G=200; B=150"),
    ],
)  # fmt: skip
def test_the_style_table(
    location: str, style: Any, explode: bool, empty: str, string: str, array: str, obj: str
) -> None:
    write = writer(location, style, explode=explode, name="color", encode=encode)
    assert write("") == empty
    assert write("blue") == string
    assert write(ARRAY) == array
    assert write(OBJECT) == obj
    assert write(msgspec.Raw(msgspec.json.encode(ARRAY))) == array
    assert write(msgspec.Raw(msgspec.json.encode(OBJECT))) == obj


@every_row(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (10**25, "1" + "0" * 25),
        (1.5, "1.5"),
        ("x", "x"),
        (None, None),
        (msgspec.Raw(b"1.10"), "1.10"),
        (msgspec.Raw(b" 12345678901234567890 "), "12345678901234567890"),
        (msgspec.Raw(b"1e2"), "1e2"),
        (msgspec.Raw(b"true"), "true"),
        (msgspec.Raw(b"null"), None),
        (msgspec.Raw(b'"a\\u00e9"'), "aé"),
    ],
)
def test_scalars_are_written_as_json_writes_them(value: object, text: str | None) -> None:
    assert leaf(value) == text


def test_everything_that_could_end_a_value_is_encoded() -> None:
    write = writer("query", "form", explode=False, name="a b&", encode=encode)
    assert write(["a,b", "c&d=e", "f#g+h"]) == "a%20b%26=a%2Cb,c%26d%3De,f%23g%2Bh"


def test_deep_objects_may_be_deep() -> None:
    write = writer("query", "deepObject", explode=True, name="f", encode=encode)
    value = {"a": {"b": [1, {"c": True}]}, "n": None, "r": msgspec.Raw(b'{"x":1.10}')}
    assert write(value) == "f%5Ba%5D%5Bb%5D%5B0%5D=1&f%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=true&f%5Br%5D%5Bx%5D=1.10"


def test_what_stands_too_deep_for_a_style_is_json_text() -> None:
    exploded = writer("query", "form", explode=True, name="a", encode=encode)
    assert unquote(exploded([{"b": msgspec.Raw(b"1.10")}, [1]])) == 'a={"b":1.10}&a=[1]'
    assert (
        unquote(exploded({"b": {"c": 1}, "d": msgspec.Raw(b"[1, 2]"), "e": [[3]], "f": []}))
        == 'b={"c":1}&d=1&d=2&e=[3]'
    )


@every_row("style", ["spaceDelimited", "pipeDelimited", "tabDelimited"])
def test_cells_without_a_meaning_are_written_as_form(style: Any) -> None:
    for explode in (True, False):
        write = writer("query", style, explode=explode, name="color", encode=encode)
        form = writer("query", "form", explode=True, name="color", encode=encode)
        assert [write(""), write("blue")] == [form(""), form("blue")]
        if explode:
            assert (write(ARRAY), write(OBJECT)) == (form(ARRAY), form(OBJECT))


@every_row(("style", "mark"), [("spaceDelimited", " "), ("tabDelimited", "\t"), ("pipeDelimited", "|")])
def test_headers_of_swagger_2_have_their_delimiters(style: Any, mark: str) -> None:
    assert writer("header", style, explode=False, name="color", encode=str)(ARRAY) == mark.join(ARRAY)


def test_empty_lists_and_nulls_leave_no_trace_when_exploded() -> None:
    exploded = writer("query", "form", explode=True, name="a", encode=encode)
    assert (exploded([]), exploded({}), exploded([None, "x", None])) == ("", "", "a=x")
    assert writer("query", "form", explode=False, name="a", encode=encode)([]) == "a="


@every_row("value", [float("nan"), float("inf"), object(), [b"x"], [[float("nan")]], {"a": [object()]}])
def test_what_a_style_cannot_carry_is_unfit(value: object) -> None:
    with pytest.raises(Unfit):
        writer("query", "form", explode=True, name="a", encode=encode)(value)
