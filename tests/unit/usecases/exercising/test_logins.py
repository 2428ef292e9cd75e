"""The login of an exercise has something for every scheme that can be met without a server."""

from typing import Any

from actions.auth import NoAuth
from actions.specs.model import Need, Operation, SecurityScheme, Spec
from actions.transport import Request
from service.usecases.exercising.logins import Logins

SCHEMES = {
    "key": SecurityScheme(name="key", kind="apiKey", location="query", parameter="k"),
    "basic": SecurityScheme(name="basic", kind="http", scheme="basic"),
    "token": SecurityScheme(name="token", kind="oauth2"),
    "tls": SecurityScheme(name="tls", kind="mutualTLS"),
    "digest": SecurityScheme(name="digest", kind="http", scheme="digest"),
    "bad": SecurityScheme(name="bad", kind="apiKey", location="header", parameter="X Y"),
    "undeclared": SecurityScheme(name="undeclared", kind="", problem="is not declared"),
}


def operation(*alternatives: tuple[str, ...]) -> Operation:
    security = tuple(tuple(Need(scheme=name) for name in names) for names in alternatives)
    return Operation(id="o", method="GET", path="/", security=security)


def sent(*names: str) -> Request:
    logins = Logins(Spec(security_schemes=SCHEMES), {})
    return logins.auth.choose([list(names)]).apply(Request("GET", "https://a.example/x"))


def test_each_scheme_stands_where_the_description_wants_it() -> None:
    assert sent("key").url == "https://a.example/x?k=sample-secret"
    assert (sent("basic").header("authorization") or "").startswith("Basic ")
    assert sent("token").header("authorization") == "Bearer sample-secret"
    assert sent("key", "basic").url.endswith("?k=sample-secret")


def test_it_knows_for_which_operations_it_is_enough() -> None:
    logins = Logins(Spec(security_schemes=SCHEMES), {})
    enough: dict[Any, bool] = {
        (): True,
        (("key",),): True,
        (("key", "tls"),): True,
        (("digest",), ("basic",)): True,
        (("digest",),): False,
        (("bad",),): False,
        (("undeclared",),): False,
        (("key", "digest"),): False,
        ((),): True,
    }
    for alternatives, wanted in enough.items():
        assert logins.enough(operation(*alternatives)) is wanted, alternatives


def test_without_schemes_nothing_is_sent() -> None:
    assert isinstance(Logins(Spec(), {}).auth, NoAuth)
