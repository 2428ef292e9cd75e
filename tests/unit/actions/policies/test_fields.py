"""setheader and setqueryparameter."""

import pytest

from actions.errors import Refused
from actions.specs.model import SecurityScheme
from tests.tables import every_row
from tests.unit.actions.policies.trying import BASE, answered, policies, request, wire

KEY = {"key": SecurityScheme(name="key", kind="apiKey", location="header", parameter="X-Key")}


def test_a_header_is_set_on_the_wire() -> None:
    made = policies(
        ("setheader", {"name": "X-Tenant", "value": "t-@connectionParameters('tenant')"}),
        values={"tenant": "acme"},
    )
    assert wire(made.request(request(body=b"{}"))) == (
        b"POST /v1/orders/7 HTTP/1.1\r\nhost: api.example\r\nX-Tenant: t-acme\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("exists", "line"),
    [
        ("override", b"x-a: new\r\n"),
        ("Override", b"x-a: new\r\n"),
        ("skip", b"x-a: old\r\n"),
        ("append", b"x-a: old, new\r\n"),
        ("", b"x-a: new\r\n"),
    ],
)
def test_a_header_that_is_there_is_replaced_kept_or_appended_to(exists: str, line: bytes) -> None:
    made = policies(("SetHeader", {"name": "X-A", "value": "new", "existsAction": exists}))
    sent = wire(made.request(request(f"{BASE}/orders/7", ("x-a", "old"))))
    assert sent.count(b"x-a") == 1
    assert line in sent


def test_a_product_is_appended_with_a_space() -> None:
    made = policies(("setheader", {"name": "User-Agent", "value": "Sentinel", "existsAction": "append"}))
    sent = wire(made.request(request(f"{BASE}/orders/7", ("User-Agent", "Pointsman"))))
    assert b"User-Agent: Pointsman Sentinel\r\n" in sent


def test_a_value_of_what_is_not_there_sets_nothing() -> None:
    made = policies(("setheader", {"name": "X-A", "value": "@connectionParameters('none','')"}))
    assert wire(made.request(request())) == b"POST /v1/orders/7 HTTP/1.1\r\nhost: api.example\r\n\r\n"


def test_a_header_takes_values_of_the_body_the_query_and_other_headers() -> None:
    made = policies(
        (
            "setheader",
            {"name": "X-A", "value": "@body().a.b[1]-@queryParameters('q')-@headers('h')-@body()"},
        )
    )
    sent = made.request(request(f"{BASE}/orders/7?q=a%20b", ("H", "x"), body=b'{"a":{"b":[0,1.10]}}'))
    assert sent.header("x-a") == '1.10-a b-x-{"a":{"b":[0,1.10]}}'


@every_row("value", ["a\r\nX-Evil: 1", "\x00", "ü"])
def test_no_value_ends_a_header(value: str) -> None:
    made = policies(
        ("setheader", {"name": "X-A", "value": "x@connectionParameters('v')x"}), values={"v": value}
    )
    with pytest.raises(Refused, match="its policies make what cannot be sent: the value of header X-A"):
        made.request(request())


def test_the_host_header_is_that_of_the_url() -> None:
    same = policies(("setheader", {"name": "Host", "value": "api.example"}))
    assert wire(same.request(request())).count(b"ost:") == 1
    other = policies(("setheader", {"name": "Host", "value": "inner.example"}))
    with pytest.raises(Refused, match=r"my setheader.*Host header is that of the URL"):
        other.request(request())


def test_what_the_login_set_can_be_read_and_replaced() -> None:
    made = policies(
        ("setheader", {"name": "Authorization", "value": "Key @headers('Authorization')"}),
        ("setheader", {"name": "X-Copy", "value": "@headers('X-KEY')"}),
        ("setheader", {"name": "X-Plain", "value": "1"}),
        schemes=KEY,
    )
    before = made.request(request())
    assert before.headers == (("X-Plain", "1"),)
    signed = request(f"{BASE}/orders/7", ("authorization", "secret"), ("X-Key", "k"))
    assert made.signed(signed).headers == (
        ("authorization", "Key secret"),
        ("X-Key", "k"),
        ("X-Copy", "k"),
    )


def test_a_header_of_an_answer_is_set_by_section() -> None:
    good = policies(("setheader", {"name": "X-A", "value": "@headers('etag')!"}), section="response")
    assert answered(good, {}, etag="e1").header("x-a") == "e1!"
    assert answered(good, {}, 404).header("x-a") is None
    bad = policies(("setheader", {"name": "X-A", "value": "1"}), section="failure")
    assert answered(bad, {}).header("x-a") is None
    assert answered(bad, b"oops", 500).header("x-a") == "1"


def test_a_query_parameter_is_set_on_the_wire() -> None:
    made = policies(
        ("setqueryparameter", {"name": "api key", "value": "@connectionParameters('k')"}),
        values={"k": "a&b=c"},
    )
    sent = wire(made.request(request(f"{BASE}/orders/7?x=1")))
    assert sent.startswith(b"POST /v1/orders/7?x=1&api%20key=a%26b%3Dc HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("exists", "query"),
    [
        ("override", b"?a=1&%24top=50&b=2"),
        ("skip", b"?a=1&%24top=10&b=2&%24top=11"),
        ("append", b"?a=1&%24top=10&b=2&%24top=11&%24top=50"),
    ],
)
def test_a_query_parameter_that_is_there_is_replaced_kept_or_joined(exists: str, query: bytes) -> None:
    made = policies(("setqueryparameter", {"name": "$top", "value": "50", "existsAction": exists}))
    sent = wire(made.request(request(f"{BASE}/orders/7?a=1&%24top=10&b=2&%24top=11")))
    assert sent.split(b" ")[1] == b"/v1/orders/7" + query


@pytest.mark.parametrize(
    ("exists", "lines"),
    [
        ("override", b"x-a: \r\nx-b: 2\r\n"),
        ("skip", b"x-a: 1\r\nx-b: 2\r\n"),
        ("append", b"x-a: 1\r\nx-b: 2\r\n"),
    ],
)
def test_a_value_that_is_written_empty_takes_the_place_of_what_is_there(exists: str, lines: bytes) -> None:
    empty = {"name": "x-a", "value": "", "existsAction": exists}
    made = policies(("setheader", empty), ("setqueryparameter", empty))
    sent = wire(made.request(request(f"{BASE}/orders/7?x-a=1", ("x-a", "1"), ("x-b", "2"))))
    assert lines in sent
    assert (b"?x-a= " in sent) is (exists == "override")
