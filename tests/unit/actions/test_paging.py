"""Where the next page is, and how pages become one answer."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.base import Answer, Paging
from actions.paging import Pager, joined, link_next, read_page, with_field
from actions.specs.model import Operation, Parameter
from actions.transport import Request
from tests.tables import every_row

URL = "https://api.example/v1/orders?limit=2"


def operation(*query, **extras):
    return Operation(
        id="list",
        method="GET",
        path="/orders",
        parameters=tuple(Parameter(name=name, location="query") for name in query),
        extras=extras,
    )


def answer(document, *headers, status=200):
    return Answer(status=status, headers=headers, body=msgspec.json.encode(document))


def following(document, *query, headers=(), paging=None, url=URL, extras=None):
    paging = paging or Paging()
    page = read_page(answered := answer(document, *headers), paging)
    assert page is not None
    found = Pager(operation(*query, **(extras or {})), paging).next(Request("GET", url), answered, page)
    return found and found.url


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (
            {"value": [1], "@odata.nextLink": "https://api.example/v1/orders?$skiptoken=x"},
            "orders?$skiptoken=x",
        ),
        ({"value": [1], "nextLink": "/v1/orders?p=2"}, "orders?p=2"),
        ({"data": [1], "links": {"next": "/v1/orders?p=2"}}, "orders?p=2"),
        ({"data": [1], "_links": {"next": {"href": "?p=2"}}}, "orders?p=2"),
        (
            {"results": [1], "paging": {"next": {"link": "/v1/orders?after=2", "after": "2"}}},
            "orders?after=2",
        ),
        ({"items": [1], "next_page_uri": "/v1/orders?Page=1"}, "orders?Page=1"),
    ],
)
def test_a_url_in_the_answer_is_the_next_page(document, wanted):
    assert following(document) == f"https://api.example/v1/{wanted}"


@every_row("document", [{"value": [1], "nextLink": None}, {"value": [1], "next": ""}, {"value": [1]}, [1]])
def test_without_a_sign_of_more_a_page_is_the_last(document):
    assert following(document) is None


@every_row(
    ("document", "headers", "more"),
    [
        ([1], (("link", '</v1/orders?page=1>; rel="prev first"'),), {}),
        ({"value": [1], "nextLink": None}, (), {}),
        ({"items": [1], "links": {"next": ""}}, (), {}),
        ({"items": [1]}, (), {"extras": {"x-ms-pageable": {"nextLinkName": "more"}}}),
        ({"items": [1]}, (), {"paging": Paging(next="links.more")}),
    ],
)
def test_who_leads_on_by_links_is_not_counted_on(document, headers, more):
    assert following(document, "page", headers=headers, **more) is None


def test_where_the_links_end_nothing_is_counted_on():
    pager, request = Pager(operation("page"), Paging()), Request("GET", URL)
    first, last = answer([1], ("link", '<?page=2>; rel="next"')), answer([2])
    pages = [read_page(one, Paging()) for one in (first, last)]
    request = pager.next(request, first, pages[0])
    assert request.url == "https://api.example/v1/orders?page=2"
    assert pager.next(request, last, pages[1]) is None


def test_what_the_description_names_wins():
    document = {"value": [1], "more": "/v1/a", "nextLink": "/v1/b"}
    assert (
        following(document, extras={"x-ms-pageable": {"nextLinkName": "more"}}) == "https://api.example/v1/a"
    )


def test_a_link_header_leads_on():
    header = ("link", '<https://api.example/v1/orders?page=1>; rel="first", </v1/orders?page=3>; rel="next"')
    assert following([1], headers=(header,)) == "https://api.example/v1/orders?page=3"


@every_row(
    ("header", "target"),
    [
        ("<a>; rel=next", "a"),
        ('<a>; title="x, y; rel=next"; rel="prev next"', "a"),
        ('<a>;rel="prev", <b> ; rel="NEXT"', "b"),
        ("<a>; rel=prev", ""),
        ("nonsense", ""),
    ],
)
def test_relations_of_a_link_header_are_read(header, target):
    assert link_next(header) == target


def test_a_cursor_goes_into_the_parameter_that_takes_one():
    slack = {"members": [1], "response_metadata": {"next_cursor": "dXNl+/="}}
    assert following(slack, "cursor", "limit") == f"{URL}&cursor=dXNl%2B%2F%3D"
    assert following({"members": [1], "response_metadata": {"next_cursor": ""}}, "cursor") is None


def test_a_cursor_is_replaced_not_added():
    document = {"items": [1], "nextPageToken": "b"}
    assert following(document, "pageToken", url=f"{URL}&pageToken=a") == f"{URL}&pageToken=b"


def test_an_offset_counts_items_and_a_page_counts_by_one():
    assert following({"items": [1, 2]}, "offset") == f"{URL}&offset=2"
    assert following({"items": [1, 2]}, "page") == f"{URL}&page=2"
    assert following({"items": [1, 2]}, "page", url=f"{URL}&page=4") == f"{URL}&page=5"


@every_row("document", [{"items": []}, {"items": [1], "has_more": False}, {"items": [1, 2], "total": 2}])
def test_counting_ends_where_the_answer_says_so(document):
    assert following(document, "offset") is None


def test_a_way_that_is_given_is_the_only_one():
    paging = Paging(items="page.rows", cursor="page.after", parameter="from")
    document = {"page": {"rows": [1], "after": "z"}, "nextLink": "/v1/other", "tags": []}
    assert following(document, "offset", paging=paging) == f"{URL}&from=z"
    assert following({"page": {"rows": [1]}}, paging=paging) is None


@every_row("body", [b"", b"<x/>", b"{}", b'{"a": [1], "b": [2]}', b"[1", b"\xff", b'{"total": 1}'])
def test_an_answer_without_plain_items_is_no_page(body):
    assert read_page(Answer(status=200, body=body), Paging()) is None


def test_a_cut_or_failed_answer_is_no_page():
    assert read_page(Answer(status=200, body=b"[1]", truncated=True), Paging()) is None
    assert read_page(Answer(status=404, body=b"[1]"), Paging()) is None


def test_pages_are_joined_with_their_numbers_as_they_came():
    pages = [
        read_page(Answer(status=200, body=body), Paging())
        for body in (
            b'{"value": [1.10, 2], "nextLink": "/b", "count": 3}',
            b'{"value": [30000000000000000000], "count": 3}',
        )
    ]
    assert joined(pages[0], pages[1], pages[0].items + pages[1].items) == (
        b'{"value":[1.10,2,30000000000000000000],"count":3}'
    )


def test_items_deep_in_a_document_are_joined_in_their_place():
    first, last = (
        read_page(Answer(status=200, body=body), Paging(items="a.b"))
        for body in (b'{"a": {"b": [1], "c": 5}, "d": 6}', b'{"a": {"b": [2]}, "d": 7}')
    )
    assert joined(first, last, first.items + last.items) == b'{"a":{"b":[1,2],"c":5},"d":7}'


@given(st.text(), st.text())
def test_a_field_never_adds_another_one(name, value):
    name = "".join(filter(lambda one: not 0xD800 <= ord(one) < 0xE000, name)) or "n"
    value = "".join(filter(lambda one: not 0xD800 <= ord(one) < 0xE000, value))
    if value == "+1":
        return
    query = with_field("https://api.example/x?a=1", name, value).partition("?")[2]
    assert query.count("&") == (name != "a")
    assert "#" not in query


@every_row("body", [b'{"items":[1],"next":"\xff"}', b'{"data":{"items":[1],"\xff":2}}', b'["\xff"]'])
def test_what_is_no_utf8_is_no_page(body):
    assert read_page(Answer(status=200, body=body), Paging()) is None


@every_row("token", [b"1e999", b'{"href":1}', b"[[]]", b"true"])
def test_a_next_page_that_is_no_link_is_none(token):
    body = b'{"items":[1],"next":' + token + b"}"
    page = read_page(answered := Answer(status=200, body=body), Paging())
    assert page is not None
    assert Pager(operation(), Paging()).next(Request("GET", URL), answered, page) is None


@every_row("link", ["http://[", "//[/"])
def test_a_link_that_is_no_url_is_left_as_it_is(link):
    assert following({"value": [1], "nextLink": link}) == link


def test_pages_of_different_shapes_become_one_answer():
    first = read_page(answer({"data": {"items": [1]}, "next": "/2"}), Paging())
    last = read_page(answer({"items": [2]}), Paging())
    assert first is not None
    assert last is not None
    assert msgspec.json.decode(joined(first, last, [*first.items, *last.items])) == {
        "data": {"items": [1, 2]}
    }


def test_a_page_number_that_is_none_counts_from_one():
    assert with_field(f"https://h/x?page={'9' * 5000}", "page", "+1") == "https://h/x?page=2"
