"""dynamichosturl and dynamicsubdomain: who is called, and who may never be."""

import pytest

from actions.errors import Refused
from actions.specs.model import Parameter
from tests.tables import every_row
from tests.unit.actions.policies.trying import BASE, operation, policies, request, wire


def host(template: str, **values: str) -> str:
    return policies(("dynamichosturl", {"urlTemplate": template}), values=values).server(BASE)


@every_row(
    ("template", "values", "url"),
    [
        ("https://@connectionParameters('sub').host.com/", {"sub": "acme"}, "https://acme.host.com"),
        ("https://@connectionParameters('host')/api", {"host": "a.example:81"}, "https://a.example:81/api"),
        ("https://@connectionParameters('host')", {"host": "a.example/base/"}, "https://a.example/base"),
        ("https://@connectionParameters('host')", {"host": "http://a.example"}, "http://a.example"),
        ("@connectionParameters('url')", {"url": "http://a.example:8080/x/"}, "http://a.example:8080/x"),
        ("@connectionParameters('url')/api", {"url": "a.example/"}, "https://a.example/api"),
        ("@connectionParameters('sub').a.example", {"sub": "x"}, "https://x.a.example"),
        ("https://api@connectionParameters('env')/x/", {"env": ".a.example"}, "https://api.a.example/x"),
        (
            "https://a.example/@connectionParameters('org')/y",
            {"org": "o rg?"},
            "https://a.example/o%20rg%3F/y",
        ),
        ("https://a.example/@connectionParameters('site','')", {}, "https://a.example"),
        ("https://@connectionParameters('env','api').a.example", {}, "https://api.a.example"),
        ("@connectionParameters('u','https://d.example')", {}, "https://d.example"),
        ("https://@CONNECTIONPARAMETERS('SUB').host.com", {"sub": "acme"}, "https://acme.host.com"),
        ("api.example", {}, "https://api.example"),
    ],
)
def test_the_host_is_made_of_connection_parameters(template: str, values: dict[str, str], url: str) -> None:
    assert host(template, **values) == url


def test_the_whole_server_of_the_description_is_replaced_on_the_wire() -> None:
    made = policies(
        ("dynamicsubdomain", {"urlTemplate": "https://@connectionParameters('s').a.example/x"}),
        values={"s": "acme"},
    )
    sent = made.request(request(made.server(BASE) + "/orders/7"))
    assert wire(sent).startswith(b"POST /x/orders/7 HTTP/1.1\r\nhost: acme.a.example\r\n")


@every_row(
    "value",
    [
        "evil.com/",
        "evil.com#",
        "evil.com?",
        "x@evil.com",
        "evil.com\\",
        "a b",
        "a\r\nb",
        "%2e",
        "evil.com:1/x",
    ],
)
def test_no_parameter_ends_the_host_early(value: str) -> None:
    with pytest.raises(Refused, match=r"my dynamichosturl.*sub is part of a host name"):
        host("https://@connectionParameters('sub').host.com", sub=value)


@every_row(
    "value", ["user@evil.com", "evil.com?x", "evil.com#x", "a b", "127.1", "http://", "ftp://a.example", ""]
)
def test_a_whole_server_must_be_one(value: str) -> None:
    with pytest.raises(Refused, match="my dynamichosturl"):
        host("https://@connectionParameters('host')/api", host=value)


def test_a_parameter_that_nobody_gave_is_named() -> None:
    with pytest.raises(Refused, match="parameters` must say sub"):
        host("https://@connectionParameters('sub').host.com")


def test_a_base_path_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(Refused, match=r"segment"):
        host("https://a.example/@connectionParameters('p')", p="../x")


CHOOSING = {"urlTemplate": "https://@headers('region').a.example"}


def test_data_of_an_event_never_chooses_the_host() -> None:
    made = policies(("dynamichosturl", CHOOSING))
    with pytest.raises(Refused, match="data of an event never chooses the host"):
        made.server(BASE)
    with pytest.raises(Refused, match="data of an event never chooses the host"):
        made.request(request(f"{BASE}/orders/7", ("region", "evil.com#")))


def test_an_argument_chooses_among_what_the_connection_allows() -> None:
    made = policies(("dynamichosturl", CHOOSING), values={"region": "eu, us"})
    assert made.server(BASE) == "https://eu.a.example"
    sent = made.request(request("https://eu.a.example/orders/7", ("Region", "us")))
    assert wire(sent).startswith(b"POST /orders/7 HTTP/1.1\r\nhost: us.a.example\r\n")
    for value in ("evil", "us.evil.com/", "eu,us"):
        with pytest.raises(Refused, match="region may not choose this host; allowed: eu, us"):
            made.request(request("https://eu.a.example/orders/7", ("region", value)))
    with pytest.raises(Refused, match="region must be given"):
        made.request(request("https://eu.a.example/orders/7"))


def test_an_argument_chooses_among_what_the_description_lists() -> None:
    one = operation(
        parameters=(
            Parameter(
                name="env", location="query", schema={"enum": ["a.example", "b.example"], "type": "string"}
            ),
        )
    )
    made = policies(("dynamichosturl", {"urlTemplate": "https://@queryParameters('env')/x"}), of=one)
    assert made.server(BASE) == "https://a.example/x"
    assert made.request(request("https://a.example/x/orders/7?env=b.example")).url == (
        "https://b.example/x/orders/7?env=b.example"
    )
    with pytest.raises(Refused, match="may not choose"):
        made.request(request("https://a.example/x/orders/7?env=c.example"))


def test_an_argument_may_be_a_segment_of_the_path_behind_the_host() -> None:
    template = {"urlTemplate": " https://a.example/t/@headers('tenant')/@queryParameters('v','1') "}
    made = policies(("dynamichosturl", template))
    base = made.server(BASE)
    sent = made.request(request(f"{base}/orders/7", ("Tenant", "x@evil.com?#")))
    assert wire(sent).startswith(b"POST /t/x%40evil.com%3F%23/1/orders/7 HTTP/1.1\r\nhost: a.example\r\n")
    with pytest.raises(Refused, match="tenant must be given"):
        made.request(request(f"{base}/orders/7"))
    for value in ("..", "x/../y"):
        with pytest.raises(Refused, match="segment"):
            made.request(request(f"{base}/orders/7", ("tenant", value)))


def test_a_single_allowed_value_need_not_be_given() -> None:
    made = policies(("dynamichosturl", CHOOSING), values={"region": "eu"})
    assert made.request(request("https://eu.a.example/orders/7")).url == "https://eu.a.example/orders/7"


def test_the_last_host_wins_and_a_chosen_server_wins_over_all() -> None:
    first, last = {"urlTemplate": "https://a.example"}, {"urlTemplate": "https://b.example"}
    rest = ("setheader", {"name": "X-A", "value": "1"})
    assert policies(("dynamichosturl", first), ("dynamichosturl", last)).server(BASE) == "https://b.example"
    assert policies(("dynamichosturl", first), rest, hosts=False).server(BASE) == BASE


def test_a_host_that_cannot_be_read_refuses_the_call() -> None:
    made = policies(("dynamichosturl", {"urlTemplate": "https://@queryParamters('x')"}))
    with pytest.raises(Refused, match="did you mean queryParameters"):
        made.server(BASE)


SERVICE = "https://api.example/run.ashx?@headers('ask')"


@every_row(
    ("template", "headers", "url"),
    [
        (SERVICE, {"ask": "do=it&to=a b"}, "https://api.example/run.ashx/?do=it&to=a%20b&x=1"),
        (SERVICE, {"ask": "?do=it"}, "https://api.example/run.ashx/?do=it&x=1"),
        (SERVICE, {}, "https://api.example/run.ashx/?x=1"),
        ("https://api.example/v1?k=@headers('ask')&l=m", {"ask": "a&b"}, f"{BASE}/?k=a%26b&l=m&x=1"),
        ("https://api.example/v1?x=1", {}, f"{BASE}/?x=1"),
    ],
)
def test_what_stands_behind_the_url_comes_before_the_query_of_the_call(
    template: str, headers: dict[str, str], url: str
) -> None:
    made = policies(("dynamichosturl", {"urlTemplate": template}), of=operation(path="/"))
    base = made.server(BASE)
    assert made.request(request(f"{base}/?x=1", *headers.items())).url == url
