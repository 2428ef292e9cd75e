"""`:http`: what may be asked of a connection's server beside what is described, and what may not."""

from dataclasses import replace
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.auth import APIKey, Bearer
from actions.auth.together import Schemes
from actions.base import Follow, Paging
from actions.drift import Drift
from actions.errors import Refused
from actions.http import HTTPConnector
from actions.places import Place
from actions.raw import RAW, compile_raw, find_called, foreseen
from actions.specs import read_spec
from actions.specs.model import Policy, Spec
from actions.transport import Request
from tests.tables import every_row
from tests.unit.actions.calling import OK, Names, ScriptedEngine

SERVER = "https://shop.example/v1"
BUILD = compile_raw(SERVER, Request("GET", SERVER))
SPEC = read_spec(
    {
        "shop.json": msgspec.json.encode(
            {
                "openapi": "3.1.0",
                "info": {"title": "Shop", "version": "1"},
                "paths": {"/a": {"get": {"operationId": ":http", "responses": {"200": {"description": ""}}}}},
            }
        )
    }
)


def built(**given):
    return BUILD({"method": "GET", "path": "/", **given})


def refusals(**given):
    with pytest.raises(Refused) as caught:
        built(**given)
    return dict(caught.value.problems)


@every_row(
    ("path", "sent"),
    [
        ("/", "/"),
        ("/orders/1", "/orders/1"),
        ("/a//b", "/a//b"),
        ("/@evil", "/@evil"),
        ("/a%2Fb", "/a%2Fb"),
        ("/ä b<>[]{}", "/%C3%A4%20b%3C%3E%5B%5D%7B%7D"),
        ("/a:b@c!$&'()*+,;=~", "/a:b@c!$&'()*+,;=~"),
        ("/...", "/..."),
        (["orders", "a/b?c#d", 7], "/orders/a%2Fb%3Fc%23d/7"),
        ([], "/"),
    ],
)
def test_a_path_follows_the_server(path, sent):
    assert built(path=path).url == SERVER + sent


@every_row(
    "path",
    [
        "", "orders", "@evil.example", "http://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil",
        "/../admin", "/..", "/.", "/a/./b", "/%2e%2e/admin", "/.%2E/", "/%252e%252e/admin", "/a%2f..%2fadmin",
        "/..;x/admin", "/%c0%ae%c0%ae/", "/‥/", "/..%5cadmin", "/a\r\nHost: x", "/a%0d%0aHost: x", "/a\tb",
        "/a%00", "/\x7f", "/a?b=c", "/a#b", "/a%", "/a%2", "/a%zz", "/\ud800", ".example/", None, 7, {"a": 1},
    ],
)  # fmt: skip
def test_no_path_leads_elsewhere(path):
    assert list(refusals(path=path)) == ["/path"]


@every_row("segment", ["", "..", ".", "%2e%2e", "a/../b", "a\r\nb", "\x00", None, ["a"]])
def test_no_segment_of_a_list_leads_elsewhere(segment):
    assert list(refusals(path=["orders", segment])) == ["/path/1"]


def test_the_query_takes_scalars_and_lists_and_leaves_out_null():
    query = {
        "a b": "x&y=z#",
        "filter[s]": [1, None, True],
        "none": None,
        "big": msgspec.Raw(b"1.10"),
        "e": [],
    }
    assert (
        built(query=query).url == f"{SERVER}/?a%20b=x%26y%3Dz%23&filter%5Bs%5D=1&filter%5Bs%5D=true&big=1.10"
    )
    assert built(query={}).url == built(query=None).url == f"{SERVER}/"


def test_headers_are_sent_as_they_are_given():
    made = built(headers={"Accept": "text/csv", "X-N": 5, "X-None": None, "If-None-Match": '"a"'})
    assert made.headers == (("Accept", "text/csv"), ("X-N", "5"), ("If-None-Match", '"a"'))


@every_row(
    ("headers", "body", "sent"),
    [
        ({}, {"text": "hi", "n": msgspec.Raw(b"1.10")}, (b'{"text":"hi","n":1.10}', "application/json")),
        ({}, msgspec.Raw(b'{"a": 1.0}'), (b'{"a": 1.0}', "application/json")),
        ({}, [1], (b"[1]", "application/json")),
        ({}, False, (b"false", "application/json")),
        ({"content-type": "application/vnd.x+json"}, {}, (b"{}", "application/vnd.x+json")),
        ({"Content-Type": "application/json"}, '{"a":  1}', (b'{"a":  1}', "application/json")),
        ({"Content-Type": "text/plain"}, "ä", ("ä".encode(), "text/plain")),
        ({"Content-Type": "application/xml"}, "<a/>", (b"<a/>", "application/xml")),
        ({"Content-Type": "application/x-www-form-urlencoded"}, {"a": "b c"}, (b"a=b+c", "application/x-www-form-urlencoded")),
        ({"Content-Type": "image/png"}, {"base64": "AAEC"}, (b"\0\1\2", "image/png")),
        ({"Content-Type": "text/csv"}, {"text": "a,b"}, (b"a,b", "text/csv")),
        ({"Content-Type": 'multipart/mixed; boundary="x"'}, "--x--", (b"--x--", 'multipart/mixed; boundary="x"')),
        ({}, None, (None, "")),
    ],
)  # fmt: skip
def test_a_body_is_written_as_its_type_says(headers, body, sent):
    made = built(method="POST", headers=headers, body=body)
    assert (made.body, made.content_type) == sent


def test_a_form_with_files_becomes_parts():
    file = {"base64": "AAEC", "filename": "a.bin"}
    made = built(method="POST", headers={"Content-Type": "multipart/form-data"}, body={"f": file, "n": 1})
    assert made.content_type.startswith("multipart/form-data; boundary=")
    assert b'name="f"; filename="a.bin"' in made.body
    assert b"\0\1\2" in made.body


def test_a_content_type_goes_along_without_a_body_too():
    assert built(headers={"Content-Type": "text/plain"}).headers == (("Content-Type", "text/plain"),)


def test_everything_that_is_wrong_is_said_at_once_each_with_its_place():
    assert refusals(
        method="GE T",
        path="/../x",
        query={"a": [{"b": 1}], "c": {}},
        headers={
            "Host": "evil.example", "content-length": "0", "Authorization": "x", "X-A": "a\r\nB: c", "X A": "1",
            "x-b": "1", "X-B": "2", "Content-Type": "text/*", "X-C": ["a"],
        },
        body="text",
        boddy=1,
    ).keys() == {
        "/method", "/path", "/query/a/0", "/query/c", "/headers/Host", "/headers/content-length",
        "/headers/Authorization", "/headers/X-A", "/headers/X A", "/headers/X-B", "/headers/Content-Type",
        "/headers/X-C", "/boddy",
    }  # fmt: skip
    with pytest.raises(Refused) as caught:
        BUILD({})
    assert [place for place, _ in caught.value.problems] == ["/method", "/path"]


@every_row(
    ("given", "place"),
    [
        ({"body": "text"}, "/body"),
        ({"body": {"base64": "AAEC"}}, "/body"),
        ({"body": {"a": float("nan")}}, "/body/a"),
        ({"body": "\ud800", "headers": {"Content-Type": "application/json"}}, "/body"),
        ({"body": {"base64": "%%"}, "headers": {"Content-Type": "image/png"}}, "/body"),
        ({"method": "TRACE", "body": {}}, "/body"),
        ({"method": "CONNECT"}, "/method"),
        ({"method": 5}, "/method"),
        ({"query": "a=b"}, "/query"),
        ({"query": {"\ud800": 1}}, "/query/\ud800"),
        ({"headers": []}, "/headers"),
        ({"headers": {"Content-Type": "json\r\nX: y"}}, "/headers/Content-Type"),
    ],
)
def test_what_cannot_be_sent_is_refused(given, place):
    assert place in refusals(**given)


def test_a_body_that_is_nested_too_deep_is_refused():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    for kind in ("json", "xml", "x-www-form-urlencoded", "octet-stream", "x-ndjson"):
        headers = {"Content-Type": f"application/{kind}"}
        assert refusals(method="POST", headers=headers, body={"a": deep})
        assert refusals(method="POST", headers=headers, body=deep)
    for kind in ("multipart/form-data", "multipart/mixed", "text/plain"):
        assert refusals(method="POST", headers={"Content-Type": kind}, body={"a": deep})


def test_a_value_of_a_header_is_never_repeated_in_a_refusal():
    assert "s3cret" not in repr(refusals(headers={"X-Key": "s3cret\n"}))


ANY = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.floats(), max_size=2)
NAMED = st.dictionaries(st.text(max_size=6), ANY, max_size=2)
PATH = st.text(alphabet="/.%2eE5cC\\@:?#;a\r\n\0ä ", max_size=16)


@settings(max_examples=120)
@given(PATH, ANY | NAMED, ANY | NAMED)
def test_whatever_is_given_goes_below_the_server_or_nowhere(path, query, headers):
    try:
        made = BUILD({"method": "POST", "path": f"/{path}", "query": query, "headers": headers})
    except Refused:
        return
    parts = urlsplit(made.url)
    assert made.url.isascii()
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "shop.example", "")
    assert parts.path.startswith("/v1/")
    assert not {"..", "."} & set(unquote(unquote(parts.path)).replace("\\", "/").split("/"))
    assert all(text.isprintable() for pair in made.headers for text in pair)


def test_what_is_foreseen_needs_no_whole_call():
    assert foreseen({}) == []
    assert [place for place, _ in foreseen({"path": "x", "headers": {"Host": "y"}, "Accept": "z"})] == [
        "/Accept",
        "/path",
        "/headers/Host",
    ]


def test_no_operation_of_a_description_stands_in_its_place():
    assert SPEC.find(":http").id != RAW
    assert find_called(SPEC, ":http").id == RAW
    assert find_called(Spec(dialect="asyncapi3"), RAW) is None
    shown = SPEC.input_schema(find_called(SPEC, RAW, {"method": "post", "path": "/x"}))
    assert shown["required"] == ["method", "path"]
    assert list(shown["properties"]) == ["method", "path", "query", "headers", "body"]


# -- through the connector


class Shop:
    def __init__(self, spec=SPEC, **options):
        self.engines = []
        values = {"server": SERVER, "resolver": Names(["93.184.216.34"]), "engine": self.engine, **options}
        self.connector = HTTPConnector("shop", spec, **values)

    def engine(self, settings):
        self.engines.append(ScriptedEngine(settings))
        return self.engines[-1]

    async def sent(self, follow=None, **given):
        prepared = self.connector.prepare(RAW, {"path": "/x", **given}, key="k" * 16)
        if follow is not None:
            prepared = msgspec.structs.replace(prepared, follow=follow)
        assert await self.connector.call(prepared, deadline=3.0, headers={"traceparent": "00-1"}) == OK
        return next(one.sent[-1][0] for one in self.engines if one.sent)


async def test_a_call_has_the_login_the_key_and_our_headers():
    request = await Shop(auth=Bearer("t0ken")).sent(
        method="post", body={"a": 1}, headers={"User-Agent": "me"}
    )
    assert (request.method, request.url, request.body) == ("POST", f"{SERVER}/x", b'{"a":1}')
    assert {name.lower(): value for name, value in request.headers} == {
        "user-agent": "me",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "idempotency-key": '"kkkkkkkkkkkkkkkk"',
        "traceparent": "00-1",
        "authorization": "Bearer t0ken",
    }


@every_row(("method", "sent"), [("GET", False), ("head", False), ("PURGE", True), ("PUT", True)])
async def test_a_key_goes_with_what_may_change_something(method, sent):
    request = await Shop().sent(method=method)
    assert (request.header("idempotency-key") is not None) is sent


async def test_a_key_of_ones_own_is_taken():
    request = await Shop().sent(method="POST", headers={"idempotency-key": "mine"})
    assert [value for name, value in request.headers if name.lower() == "idempotency-key"] == ["mine"]


def test_preparing_again_is_the_same_and_shows_no_secret():
    shop = Shop(auth=APIKey("query", "key", "s3cret"))
    first, second = (
        shop.connector.prepare(RAW, {"method": "GET", "path": "/a", "query": {"q": 1}}, key="k") for _ in "ab"
    )
    assert first == second
    assert first.digest != shop.connector.prepare(RAW, {"method": "GET", "path": "/b"}, key="k").digest
    assert shop.connector.show(first)["url"] == f"{SERVER}/a?q=1&key=***"


@every_row(
    ("auth", "given", "place"),
    [
        (APIKey("header", "X-Key", "s3cret"), {"headers": {"x-key": "mine"}}, "/headers/x-key"),
        (APIKey("query", "api key", "s3cret"), {"query": {"api key": "mine"}}, "/query/api key"),
        (Schemes({"a": Bearer("t"), "b": APIKey("query", "k", "s")}), {"query": {"k": 1}}, "/query/k"),
    ],
)
def test_nobody_stands_in_for_the_login(auth, given, place):
    with pytest.raises(Refused, match="login") as caught:
        Shop(auth=auth).connector.prepare(RAW, {"method": "GET", "path": "/", **given}, key="k")
    assert [where for where, _ in caught.value.problems] == [place]


async def test_a_cookie_may_stand_beside_that_of_the_login():
    request = await Shop(auth=APIKey("cookie", "sid", "s3cret")).sent(
        method="GET", headers={"Cookie": "a=b; sid=mine"}
    )
    assert request.header("cookie") == "a=b; sid=s3cret"


async def test_it_can_follow_pages():
    request = await Shop().sent(method="GET", follow=Follow(pages=Paging()))
    assert request.url == f"{SERVER}/x"


async def test_nothing_of_it_is_compared_with_the_description():
    drift = Drift(SPEC, arguments="reject", answers="warn")
    await Shop(drift=drift).sent(method="GET", query={"any": "thing"})
    assert drift.report() == []


def test_it_has_no_presets():
    with pytest.raises(Refused, match="no preset"):
        Shop().connector.prepare(RAW, {"method": "GET", "path": "/"}, key="k", preset="p")


def test_it_is_no_operation_of_the_description():
    connector = Shop().connector
    assert RAW not in connector.operations()
    with pytest.raises(Refused, match="no operation"):
        connector.prepare(":https", {}, key="k")


# -- with policies for all operations (Power Platform)


def policy(template, **parameters):
    named = {f"x-ms-apimTemplateParameter.{name}": value for name, value in parameters.items()}
    return Policy(template=template, title=template, parameters=named)


async def test_policies_for_all_operations_hold_and_none_leads_to_another_path():
    policies = (
        policy("dynamichosturl", urlTemplate="https://@connectionParameters('tenant').shop.example/t"),
        policy("setheader", name="X-Version", value="2", existsAction="override"),
        policy("setqueryparameter", name="v", value="2", existsAction="override"),
        policy("routerequesttoendpoint", newPath="/elsewhere"),
    )
    shop = Shop(
        replace(SPEC, policies=policies), server=Place(url=SERVER, own=True, parameters={"tenant": "acme"})
    )
    request = await shop.sent(method="GET", path="/deep/er", query={"a": 1})
    assert request.url == "https://acme.shop.example/t/deep/er?a=1&v=2"
    assert request.header("x-version") == "2"


async def test_no_argument_chooses_the_host():
    chosen = policy("dynamichosturl", urlTemplate="https://@headers('X-Host').shop.example")
    shop = Shop(replace(SPEC, policies=(chosen,)), server=Place(url=SERVER, own=True))
    with pytest.raises(Refused, match="never chooses the host"):
        await shop.sent(method="GET", headers={"X-Host": "evil.example/"})
