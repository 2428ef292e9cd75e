"""Paths of operations: constant queries, fragments, and the expressions that descriptions borrow."""

from typing import Any
from urllib.parse import quote

import pytest

from actions.errors import Refused
from actions.paths import compile_path, placeholders
from actions.serialize import build
from actions.specs.model import Operation, Parameter, Spec
from tests.tables import every_row

BASE = "https://h/v1"


def called(
    path: str, arguments: dict[str, Any], *, query: tuple[str, ...] = (), spans: bool = False, **more: Any
) -> str:
    """Return the URL of an operation whose other arguments are parameters of its path."""
    names = [name for name in arguments if name not in query]
    extras = {"x-ms-skip-url-encoding": True} if spans else {}
    parameters = [Parameter(name=one, location="path", required=True, extras=extras) for one in names]
    parameters += [Parameter(name=one, location="query", style="form", explode=True, **more) for one in query]
    operation = Operation(id="o", method="GET", path=path, parameters=tuple(parameters))
    given = {name: value for name, value in arguments.items() if value is not ...}
    url = build(operation, Spec(), BASE, given).url
    assert url.startswith(BASE)
    return url.removeprefix(BASE)


def refused(path: str, arguments: dict[str, Any], **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        called(path, arguments, **more)
    ((_, text),) = caught.value.problems
    return text


@every_row(
    ("path", "arguments", "query", "url"),
    [
        ("/x?action=Y", {}, (), "/x?action=Y"),
        ("/x?action=Y&b", {"q": 1}, ("q",), "/x?action=Y&b&q=1"),
        ("/x?a=1&b=2", {"a": 5}, ("a",), "/x?b=2&a=5"),
        ("/x?a%20b=1", {"a b": 5}, ("a b",), "/x?a%20b=5"),
        ("/x?y={y}", {"y": "a&b"}, (), "/x?y=a%26b"),
        ("/x?y={y}&z=1", {"y": "a&b"}, ("y",), "/x?z=1&y=a%26b"),
        ("/x?other={y}", {"y": "v"}, ("y",), "/x?y=v"),
        ("/x#frag", {}, (), "/x"),
        ("/x?a=b#frag?c={d}", {}, (), "/x?a=b"),
        ("/#Action=X", {}, (), "/"),
        ("/{id}.json", {"id": "a/b"}, (), "/a%2Fb.json"),
        ("/e('{id}')/$value", {"id": "a'b"}, (), "/e('a%27b')/$value"),
        ("/{a}{b}", {"a": 1, "b": "x"}, (), "/1x"),
        ("/{a}...{b}", {"a": 1, "b": 2}, (), "/1...2"),
        ("/{Page Number}", {"Page Number": 1}, (), "/1"),
        ("/{enable | disable}/", {"enable | disable": "enable"}, (), "/enable/"),
        ("/{id}:cancel", {"id": "x"}, (), "/x:cancel"),
        ("/{+p}/z", {"p": "a/b"}, (), "/a/b/z"),
        ("/{p*}", {"p": "a/b c"}, (), "/a/b%20c"),
        ("/{p...}", {"p": "a/b"}, (), "/a/b"),
        ("/x{/p*}", {"p": "a/b"}, (), "/x/a/b"),
        ("/x{/p}", {"p": "a/b"}, (), "/x/a%2Fb"),
        ("/x{.p}", {"p": "json"}, (), "/x.json"),
        ("/x{;p}", {"p": "a"}, (), "/x;a"),
        ("/{a,b}", {"a": 1, "b": 2}, (), "/1,2"),
        ("/{p:3}", {"p": "abcd"}, (), "/abcd"),
        ("/x{?a,b}", {"a": 1, "b": 2}, ("a", "b"), "/x?a=1&b=2"),
        ("/x{?a*}", {"a": 1}, ("a",), "/x?a=1"),
        ("/x?c=d{&a}", {"a": 1}, ("a",), "/x?c=d&a=1"),
        ("/{unknown}/x", {}, (), "/%7Bunknown%7D/x"),
        ("/{a", {}, (), "/%7Ba"),
        ("/{}/{+}/{a:b:c}", {"a": 1}, (), "/%7B%7D/%7B+%7D/%7Ba:b:c%7D"),
    ],
)  # fmt: skip
def test_paths(path: str, arguments: dict[str, Any], query: tuple[str, ...], url: str) -> None:
    assert called(path, arguments, query=query) == url


def test_what_the_path_says_for_good_need_not_be_given() -> None:
    assert called("/x?a=1", {"a": ...}, query=("a",), required=True) == "/x?a=1"
    assert refused("/x?b=1", {"a": ...}, query=("a",), required=True) == "a is required"


@every_row(
    "value", ["/a", "a/", "a//b", "a/../b", "..", "a/%2e%2e/b", "a/\u2025/b", "a/%c0%ae./b", "a\\..\\b", ""]
)
def test_what_spans_segments_still_leads_nowhere_else(value: str) -> None:
    assert refused("/x/{p}/y", {"p": value}, spans=True)
    assert refused("/x/{+p}", {"p": value})


def test_what_spans_segments_reaches_neither_query_nor_fragment() -> None:
    assert called("/x/{p}", {"p": "a/b?c#d%2F&e=f"}, spans=True) == "/x/a/b%3Fc%23d%252F&e=f"


@every_row("value", ["..", "a/../b", "", "."])
def test_what_stands_in_the_query_of_a_path_may_be_any_text(value: str) -> None:
    assert called("/x?a={p}&b=c", {"p": value}) == f"/x?a={quote(value, safe='')}&b=c"
    assert refused("/x/{p}?a={p}", {"p": ".."})


@every_row(
    ("path", "inputs", "queries", "names"),
    [
        ("/{a}/{b}?c={c}#{d}", "a", "", ["a", "b", "c"]),
        ("/x?c={c}&d={d}", "", "c", ["d"]),
        ("/x?c={c}", "c", "c", ["c"]),
        ("/{c}", "", "c", ["c"]),
        ("/{+a}/{b*}/{a}", "ab", "", ["a", "b"]),
        ("/{+a}", "", "", ["+a"]),
        ("/x{?a}", "", "a", []),
        ("/x{?a,b}", "", "ab", []),
        ("/{a,b}", "ab", "", ["a", "b"]),
    ],
)
def test_the_names_that_a_path_has(path: str, inputs: str, queries: str, names: list[str]) -> None:
    assert placeholders(path, set(inputs), set(queries)) == names


def test_a_path_is_taken_apart_once() -> None:
    path = compile_path("/a/{b}.c/d?e={f}&g=h", {"b", "f"}, {"q"})
    assert path.segments == ((("", False),), (("a", False),), (("b", True), (".c", False)), (("d", False),))
    assert [pair.name for pair in path.query] == ["e", "g"]
    assert (path.spans, path.asked, path.rooted) == (frozenset(), {"f"}, True)
    assert not compile_path("a", (), ()).rooted
