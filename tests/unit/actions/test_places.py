"""Which server an operation lives at, and what is told of logins that go elsewhere."""

import json

import pytest

from actions.auth import Bearer
from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.places import Place, other_sites, own_server, secret_values
from actions.specs import read_spec
from actions.specs.model import ConnectionParameter, Server, Spec
from tests.tables import every_row

BASE = "https://api.shop.example/v1"


def spec_of(*servers, security=None):
    document = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": BASE}],
        "paths": {
            f"/{index}": {
                "get": {
                    "operationId": f"op{index}",
                    "servers": [{"url": url}],
                    "responses": {"200": {"description": "ok"}},
                    **({} if security is None else {"security": security}),
                }
            }
            for index, url in enumerate(servers)
        },
    }
    return read_spec({"a.json": json.dumps(document).encode()})


@every_row(
    ("url", "told"),
    [
        ("https://files.shop.example", ""),
        ("https://shop.example/v2", ""),
        ("/v2", ""),
        ("https://shop.example.evil.example", "https://shop.example.evil.example"),
        ("https://evilshop.example", "https://evilshop.example"),
        ("http://10.0.0.1:81/x", "http://10.0.0.1:81"),
        ("ftp://[", ""),
    ],
)
def test_a_login_that_goes_to_another_site_is_told(url, told):
    found = other_sites("shop", spec_of(url), Place(url=BASE, own=True), BASE)
    assert [one.message for one in found] == [
        f"shop: the description sends op0 to {told}, and the login with it"
    ] * bool(told)


@pytest.mark.parametrize(("host", "same"), [("https://b.shop.co.uk", True), ("https://evil.co.uk", False)])
def test_sites_below_a_shared_suffix_are_told_apart(host, same):
    base = "https://a.shop.co.uk"
    assert (not other_sites("shop", spec_of(host), Place(url=base, own=True), base)) is same


def test_nothing_is_told_where_nothing_goes_elsewhere():
    spec = spec_of("https://evil.example")
    assert other_sites("shop", spec, Place(url=BASE), BASE) == []
    open_to_all = spec_of("https://evil.example", security=[])
    assert other_sites("shop", open_to_all, Place(url=BASE, own=True), BASE) == []


def test_a_description_of_many_sites_is_told_in_few_lines():
    spec = spec_of(*(f"https://{index}.site{index}.example" for index in range(50)))
    assert len(other_sites("shop", spec, Place(url=BASE, own=True), BASE)) == 10


async def test_a_connector_tells_it_when_it_has_a_login():
    spec = spec_of("https://127.0.0.2")
    place = Place(url="https://127.0.0.1", own=True)
    for auth, told in ((Bearer("t0ken"), ["credentials-elsewhere"]), (None, [])):
        connector = HTTPConnector("a", spec, server=place, auth=auth, egress=read_egress(["127.0.0.0/8"]))
        assert [one.code for one in await connector.check()] == told
        await connector.close()


@every_row(
    ("url", "whole"),
    [
        ("https://x.example/a", "https://x.example/a"),
        ("/b", "https://api.shop.example/b"),
        ("c", f"{BASE}/c"),
    ],
)
def test_an_operations_own_server_may_be_relative(url, whole):
    assert own_server(Server(url=url, variables={}), BASE, {}) == whole


def test_values_that_nobody_declared_are_taken_for_secret():
    parameters = {
        name: ConnectionParameter(name=name, kind=kind) for name, kind in (("a", "string"), ("b", "secret"))
    }
    spec = Spec(title="", version="", dialect="swagger2", parameters=parameters)
    assert secret_values(spec, {"a": "1", "b": "2", "c": "3"}) == ("2", "3")
