"""Requests out of operations and arguments: what is sent, and what is refused."""

import posixpath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actions.errors import Refused
from actions.serialize import RequestParts, build, compile_operation, expand_server
from actions.specs import read_spec
from actions.specs.model import Operation, Parameter, Server, Spec, Variable
from tests.examples import examples
from tests.tables import every_row

BASE = "https://shop.example/v1"


def described(operation: dict[str, Any], path: str = "/a", method: str = "post") -> tuple[Operation, Spec]:
    document = {"openapi": "3.1.0", "paths": {path: {method: {"operationId": "op", **operation}}}}
    spec = read_spec({"a.json": msgspec.json.encode(document)})
    return spec.operations["op"], spec


def sent(operation: dict[str, Any], arguments: dict[str, Any], path: str = "/a") -> RequestParts:
    return build(*described(operation, path), BASE, arguments)


def parameter(location: str, name: str = "p", **more: Any) -> dict[str, Any]:
    return {"parameters": [{"name": name, "in": location, **more}]}


def body(media: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {media: {"schema": schema or {}, **more}}}}


def refusals(operation: dict[str, Any], arguments: dict[str, Any], path: str = "/a") -> dict[str, str]:
    with pytest.raises(Refused) as caught:
        sent(operation, arguments, path)
    assert all(text in str(caught.value) for _, text in caught.value.problems)
    return dict(caught.value.problems)


def test_all_parts_of_a_request() -> None:
    operation = {
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "$filter", "in": "query", "schema": {"type": "string"}},
            {"name": "ids", "in": "query", "schema": {"type": "array"}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "integer"}},
            {"name": "sid", "in": "cookie", "schema": {"type": "string"}},
        ],
        **body("application/json"),
        "responses": {
            "200": {"content": {"text/plain": {}, "application/json": {}}},
            "400": {"content": {"a/b": {}}},
        },
    }
    arguments = {
        "id": "a/b c",
        "$filter": "x eq 'ü'",
        "ids": [1, 2],
        "X-Trace": 7,
        "sid": "a;b",
        "body": {"n": 1},
    }
    assert sent(operation, arguments, "/o/{id}") == RequestParts(
        method="POST",
        url=BASE + "/o/a%2Fb%20c?%24filter=x%20eq%20%27%C3%BC%27&ids=1&ids=2".replace("%24", "$"),
        headers=(("Accept", "application/json, text/plain"), ("X-Trace", "7"), ("Cookie", "sid=a%3Bb")),
        body=b'{"n":1}',
        content_type="application/json",
    )


def test_names_that_collide_are_given_in_groups() -> None:
    operation = {
        "parameters": [
            {"name": "id", "in": "query", "required": True, "schema": {"type": "string"}},
            {"name": "id", "in": "header", "schema": {"type": "string"}},
            {"name": "body", "in": "query", "schema": {"type": "string"}},
        ],
        **body("application/json"),
    }
    arguments = {"query": {"id": "q", "body": "b"}, "header": {"id": "h"}, "body": [1]}
    parts = sent(operation, arguments)
    assert (parts.url, parts.headers, parts.body) == (BASE + "/a?id=q&body=b", (("id", "h"),), b"[1]")
    assert refusals(operation, {"id": "x", "header": 7, "query": {"ido": 1}}) == {
        "/id": "id is not an input of this operation; there are query, header, body",
        "/header": "header must be an object: names of this operation collide, so they are grouped",
        "/query/id": "id is required",
        "/query/ido": "ido is not an input of this operation; did you mean id?",
    }


def test_all_problems_are_said_at_once() -> None:
    operation = {
        "parameters": [
            {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "n", "in": "query", "schema": {"type": "integer"}},
            {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}},
            {"name": "a/b", "in": "query", "required": True},
        ],
        "requestBody": {"required": True, "content": {"application/json": {}}},
    }
    assert refusals(operation, {"orderid": "1", "n": "many", "q": None}, "/o/{orderId}") == {
        "/orderId": "orderId is required",
        "/n": "n must be an integer, not 'many'",
        "/q": "q is required and must not be null",
        "/a~1b": "a/b is required",
        "/body": "body is required",
        "/orderid": "orderid is not an input of this operation; did you mean orderId?",
    }


def test_an_operation_with_a_problem_is_refused_with_it() -> None:
    operation, spec = described({"parameters": {}})
    with pytest.raises(Refused, match="POST /a: `parameters` is not an array"):
        compile_operation(operation, spec, BASE)


@every_row(
    "url", ["", "/v1", "ftp://x", "https://", "https://x?a=b", "https://x#f", "https://{a}.x", "https://x\r\nHost: y", "https://x\\y"]
)  # fmt: skip
def test_only_whole_urls_of_servers_are_taken(url: str) -> None:
    with pytest.raises(Refused):
        compile_operation(*described({}), url)


@every_row(
    ("types", "value", "text"),
    [
        ("integer", 5, "5"),
        ("integer", "5", "5"),
        ("integer", 5.0, "5"),
        ("integer", msgspec.Raw(b"12345678901234567890"), "12345678901234567890"),
        ("number", 5.5, "5.5"),
        ("number", msgspec.Raw(b"1.10"), "1.10"),
        ("boolean", True, "true"),
        ("boolean", "false", "false"),
        ("string", 5, "5"),
        ("string", True, "true"),
        ("string", msgspec.Raw(b'"x"'), "x"),
        (["string", "null"], 5, "5"),
        (["integer", "boolean"], False, "false"),
        (None, {"a": 1}, None),
    ],
)
def test_values_of_the_right_type_are_sent(types: Any, value: Any, text: str | None) -> None:
    parts = sent(parameter("query", schema={"type": types} if types else {}), {"p": value})
    assert parts.url == BASE + (f"/a?p={text}" if text else "/a?a=1")


@every_row(
    ("types", "value", "words"),
    [
        ("integer", "five", "must be an integer, not 'five'"),
        ("integer", 5.5, "must be an integer, not 5.5"),
        ("integer", True, "must be an integer, not a boolean"),
        ("integer", msgspec.Raw(b"true"), "must be an integer, not 'true'"),
        ("number", "", "must be a number, not ''"),
        ("boolean", 1, "must be a boolean, not 1"),
        ("string", [1], "must be text, not a list"),
        ("string", {"a": 1}, "must be text, not an object"),
        ("array", "x", "must be a list, not 'x'"),
        ("object", [1], "must be an object, not a list"),
        (["array", "integer", "null"], "x", "must be a list or an integer, not 'x'"),
        ("number", float("nan"), "is not a number that JSON has"),
    ],
)
def test_values_of_a_plainly_wrong_type_are_refused(types: Any, value: Any, words: str) -> None:
    assert refusals(parameter("query", schema={"type": types}), {"p": value}) == {"/p": f"p {words}"}


def test_required_inputs_with_a_default_are_always_sent_and_optional_ones_are_not() -> None:
    assert sent(parameter("query", required=True, schema={"default": 5}), {}).url == BASE + "/a?p=5"
    assert sent(parameter("query", schema={"default": 5}), {}).url == BASE + "/a"
    assert sent(parameter("query", schema={}), {"p": None}).url == BASE + "/a"


DOTS = [
    "..", ".", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%2e", "%252e", "../admin", "..\\admin", "a/../b", "..%2fadmin",
    "..%252fadmin", "..;", "..;/x", ".;a=b", "%2e%2e;x", "/..", "../../etc/passwd", " ..", "..%00",
]  # fmt: skip


@every_row("value", ["", "a\r\nb", "\x00", "\x7f", *DOTS])
@every_row("path", ["/o/{p}", "/o/{p}/items", "/o/x{p}y"])
def test_path_parameters_that_would_change_the_path_are_refused(value: str, path: str) -> None:
    assert list(refusals(parameter("path", schema={"type": "string"}), {"p": value}, path)) == ["/p"]
    assert refusals(parameter("path"), {"p": msgspec.Raw(msgspec.json.encode(value))}, path)


@every_row(
    ("style", "path", "url"),
    [("matrix", "/o/{p}", "/o/;p"), ("matrix", "/o{p}/x", "/o;p/x"), ("label", "/o{p}/x", "/o./x")],
)
def test_an_empty_path_parameter_is_written_where_its_style_can(style: str, path: str, url: str) -> None:
    made = sent(parameter("path", style=style, schema={"type": "string"}), {"p": ""}, path)
    assert made.url == BASE + url


def test_literals_and_values_cannot_make_dots_together() -> None:
    assert refusals({}, {"a": "x.", "b": "."}, "/o/{a}{b}") == {
        "/b": "b would change the path: it has a dot segment"
    }
    assert refusals(
        parameter("path", style="label", explode=True, schema={"type": "array"}), {"p": ["", ""]}, "/o/{p}"
    )
    assert refusals(parameter("path", style="label"), {"p": ""}, "/o/{p}")
    assert refusals(parameter("path", schema={"type": "array"}), {"p": []}, "/o/{p}")
    assert refusals(parameter("path", schema={"type": "array"}), {"p": [".."]}, "/o/{p}")


@examples(400)
@given(
    st.text() | st.text(alphabet="./\\%2e5;?#:@ab "),
    st.sampled_from(["/o/{p}", "/o/{p}/items", "/o/a{p}.json"]),
)
@example("..", "/o/{p}")
@example("a?b=c#d", "/o/{p}/items")
def test_any_text_in_a_path_keeps_host_prefix_and_segments_or_is_refused(value: str, path: str) -> None:
    try:
        parts = sent(parameter("path", schema={"type": "string"}), {"p": value}, path)
    except Refused:
        return
    split = urlsplit(parts.url)
    assert (split.scheme, split.netloc, split.query, split.fragment) == ("https", "shop.example", "", "")
    assert split.path.startswith("/v1/o/")
    assert split.path.count("/") == ("/v1" + path).count("/")
    assert posixpath.normpath(split.path) == split.path
    once = unquote(split.path)
    assert once == "/v1" + path.replace("{p}", value)
    for text in (once, unquote(once)):
        assert posixpath.normpath(text).startswith("/v1/o")


@every_row("value", ["a\r\nX: y", "a\nb", "a\x00b", "日本", "é", "\x7f", "\ud800"])
def test_header_values_that_could_end_a_header_are_refused(value: str) -> None:
    words = "p has characters that a header cannot carry"
    assert refusals(parameter("header"), {"p": value}) == {"/p": words}
    assert refusals(parameter("header", schema={"type": "array"}), {"p": ["x", value]}) == {"/p": words}
    assert (
        refusals(parameter("header"), {"p": " x"})
        == refusals(parameter("header"), {"p": "x\t"})
        == {"/p": words}
    )


def test_there_is_only_one_cookie_header() -> None:
    operation = {
        "parameters": [
            {"name": "cookie", "in": "header"},
            {"name": "a", "in": "cookie"},
            {"name": "b", "in": "cookie"},
        ]
    }
    assert sent(operation, {"cookie": "x=1", "a": 2, "b": 3}).headers == (("cookie", "x=1; a=2; b=3"),)
    assert sent(operation, {"a": 2}).headers == (("Cookie", "a=2"),)


def test_a_message_cannot_be_called() -> None:
    one = Operation(
        id="o", method="PUBLISH", path="t", parameters=(Parameter(name="key", location="message"),)
    )
    with pytest.raises(Refused, match="publishes a message"):
        compile_operation(one, Spec(), BASE)


def test_header_values_go_as_they_are() -> None:
    assert sent(parameter("header"), {"p": 'W/"e", b'}).headers == (("p", 'W/"e", b'),)


@every_row(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "Connection", "Authorization", "Content-Type"],
)
def test_headers_of_the_transport_and_the_login_are_no_inputs(name: str) -> None:
    operation = parameter("header", name, required=True, schema={"type": "string"})
    assert sent(operation, {}).headers == ()
    assert list(refusals(operation, {name: "x"})) == [f"/{name}"]


def test_the_key_header_may_be_absent_since_the_caller_sends_it() -> None:
    assert sent(parameter("header", "Idempotency-Key", required=True), {}).headers == ()


def test_reserved_characters_stay_where_it_is_allowed_and_never_smuggle() -> None:
    value = "a/b?c:d@e,f;g=h&i#j+k[l]%20%zz%"
    kept = sent(parameter("query", allowReserved=True), {"p": value}).url
    assert kept == BASE + "/a?p=a/b?c:d@e,f;g=h%26i%23j%2Bk%5Bl%5D%20%25zz%25"
    plain = sent(parameter("query"), {"p": value}).url
    assert "%2F" in plain
    assert unquote(plain.partition("p=")[2]) == value


def test_parameters_may_travel_as_json() -> None:
    content = {"content": {"application/json": {"schema": {"type": "object"}}}}
    value = {"a": msgspec.Raw(b"1.10")}
    assert unquote(sent(parameter("query", **content), {"p": value}).url) == BASE + '/a?p={"a":1.10}'
    assert sent(parameter("header", **content), {"p": value}).headers == (("p", '{"a":1.10}'),)
    assert unquote(sent(parameter("path", **content), {"p": value}, "/a/{p}").url) == BASE + '/a/{"a":1.10}'


def test_power_platform_may_encode_twice() -> None:
    assert (
        sent(parameter("path", **{"x-ms-url-encoding": "double"}), {"p": "a b"}, "/a/{p}").url
        == BASE + "/a/a%2520b"
    )


@every_row(
    ("path", "url"),
    [
        ("/a#Action=X", "/a"),
        ("/a?beta=true", "/a?beta=true&q=1"),
        ("/a?x={p}#y", "/a?x=v%2F&q=1"),
        ("a", "/a"),
        ("/a b/ü/{p}", "/a%20b/%C3%BC/v%2F"),
        ("/Items('{p}')", "/Items('v%2F')"),
        ("/{p}.json", "/v%2F.json"),
        ("/", "/"),
        ("/a//b/", "/a//b/"),
        ("/x{#}y", "/x{"),
        ("/100%/a%20b", "/100%25/a%20b"),
    ],
)
def test_odd_paths(path: str, url: str) -> None:
    operation = {
        "parameters": [{"name": "q", "in": "query"}, *([{"name": "p", "in": "path"}] * ("{p}" in path))]
    }
    arguments: dict[str, Any] = {"p": "v/"} if "{p}" in path else {}
    if "q=1" in url:
        arguments["q"] = 1
    assert sent(operation, arguments, path).url == BASE + url.replace("{", "%7B")


def test_expands_servers() -> None:
    server = Server(
        url="https://{region}.x/{base}",
        variables={"region": Variable(default="eu", enum=("eu", "us")), "base": Variable()},
    )
    assert expand_server(server, {"region": "us", "base": "v1"}) == "https://us.x/v1"
    with pytest.raises(Refused) as caught:
        expand_server(server, {"region": "asia", "regoin": "x"})
    assert dict(caught.value.problems) == {
        "/regoin": "regoin is not a variable of this server; did you mean region?",
        "/region": "region is 'asia', but must be one of eu, us",
        "/base": "base is required: https://{region}.x/{base} has no default for it",
    }


def test_a_server_variable_is_expanded_once() -> None:
    looping = Server(url="https://{a}.x", variables={"a": Variable(default="{a}")})
    with pytest.raises(Refused):
        compile_operation(*described({}), expand_server(looping, {}))


@every_row("operation", [parameter("query"), parameter("query", allowReserved=True), parameter("cookie")])
def test_half_a_surrogate_pair_is_refused(operation: dict[str, Any]) -> None:
    assert refusals(operation, {"p": "\ud800"}) == {"/p": "p has half a surrogate pair"}


def test_json_parameters_refuse_what_json_cannot_say() -> None:
    operation = parameter("query", content={"application/json": {}})
    assert "nan" in refusals(operation, {"p": [None, float("nan")]})["/p"]
    assert "cannot be written as JSON" in refusals(operation, {"p": object()})["/p"]


def test_a_list_of_dots_is_no_way_out_of_the_path() -> None:
    operation = parameter("path", schema={"type": "array"})
    assert refusals(operation, {"p": ["../..", "x/.."]}, "/o/{p}")
    assert refusals(operation, {"p": ["\x01"]}, "/o/{p}")
