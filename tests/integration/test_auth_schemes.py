"""Which credentials an operation gets, over sockets: AND, OR, none, and what nobody declared."""

import pytest

from actions.errors import Refused
from tests.fakes.logins import house, spec_of
from tests.fakes.token_server import ProtectedAPI, TokenServer

SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "app": {"type": "apiKey", "in": "query", "name": "app"},
    "sid": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "user": {"type": "http", "scheme": "bearer"},
}
LOGINS = {"key": {"api_key": "k"}, "app": {"api_key": "a"}, "user": {"bearer": "u"}}


async def sent(security, login, *, schemes=None, root=None):
    """Return the names of the credentials that one call carried."""
    spec = spec_of(schemes or SCHEMES, security, root=root)
    async with (
        ProtectedAPI(lambda _: True).listening() as api,
        house(api.base, login, spec=spec) as it,
    ):
        assert (await it.call()).status == 200
    (heard,) = api.calls
    carried = {
        "key": heard.headers.get("x-key"),
        "app": heard.query.get("app"),
        "sid": heard.headers.get("cookie"),
    }
    carried["user"] = heard.headers.get("authorization")
    return {name for name, value in carried.items() if value}


@pytest.mark.parametrize(
    ("security", "wanted"),
    [
        ([{"key": []}], {"key"}),
        ([{"key": [], "app": []}], {"key", "app"}),
        ([{"sid": []}, {"user": []}], {"user"}),
        ([{"sid": [], "key": []}, {"user": [], "app": []}], {"user", "app"}),
        ([], set()),
        ([{}], set()),
        ([{}, {"user": []}], {"user"}),
        ([{"user": []}, {}], {"user"}),
        ([{}, {"sid": []}], set()),
        ([{"sid": [], "key": []}], {"key"}),
        ([{"sid": []}], {"key", "app", "user"}),
        ([{"nobody": []}], {"key", "app", "user"}),
        (None, {"key", "app", "user"}),
    ],
)
async def test_an_operation_gets_what_it_asks_for(security, wanted):
    assert await sent(security, {"schemes": LOGINS}) == wanted


async def test_an_operation_may_ask_for_other_than_the_rest():
    assert await sent([{"app": []}], {"schemes": LOGINS}, root=[{"key": []}]) == {"app"}
    assert await sent(None, {"schemes": LOGINS}, root=[{"key": []}]) == {"key"}
    assert await sent([], {"schemes": LOGINS}, root=[{"key": []}]) == set()


@pytest.mark.parametrize(
    ("security", "wanted"), [(None, {"user"}), ([], set()), ([{}], set()), ([{}, {"key": []}], {"user"})]
)
async def test_one_login_goes_to_every_operation_that_does_not_refuse_it(security, wanted):
    assert await sent(security, {"bearer": "u"}) == wanted


async def test_without_a_login_nothing_is_sent():
    assert await sent([{"key": []}], None) == set()


async def test_a_scheme_that_is_not_declared_is_told_with_what_was_meant():
    with pytest.raises(Refused, match="no security scheme 'usr'; did you mean 'user'") as raised:
        await sent(
            None, {"schemes": {"usr": {"bearer": "u"}, "zzz": {"bearer": "u"}, "key": {"api_key": "k"}}}
        )
    assert [pointer for pointer, _ in raised.value.problems] == ["/schemes/usr", "/schemes/zzz"]
    assert "it has key, app, sid, user" in raised.value.problems[1][1]


@pytest.mark.parametrize("order", [("key", "sso"), ("sso", "key")], ids=" then ".join)
@pytest.mark.parametrize("place", [("header", "X-Token"), ("query", "token"), ("cookie", "token"), None])
async def test_a_token_and_a_key_go_together_and_the_token_is_renewed_alone(order, place):
    kind = place[0] if place is not None else "header"
    schemes = SCHEMES | {
        "key": {"type": "apiKey", "in": kind, "name": "X-Key"},
        "sso": {"type": "oauth2", "flows": {}},
    }
    async with TokenServer().listening() as server:
        logins = {
            "key": {"api_key": "k"},
            "sso": {
                "oauth2": {
                    "token_url": server.token_url,
                    "client_id": "shop",
                    "client_secret": "s3cr+t/=&client",
                }
            },
        }
        if place is not None:
            logins["sso"] |= {
                "in": place[0],
                "name": place[1],
                "prefix": "Bearer" if kind == "cookie" else "Bearer ",
            }

        def allows(heard):
            cookies = dict(one.split("=", 1) for one in heard.headers.get("cookie", "").split("; ") if one)
            carried = {"header": heard.headers, "query": heard.query, "cookie": cookies}[kind]
            name = "authorization" if place is None else place[1]
            token = carried.get(name.lower() if kind == "header" else name, "")
            key = carried.get("x-key" if kind == "header" else "X-Key")
            return key == "k" and server.good("Bearer " + token.removeprefix("Bearer").strip())

        async with (
            ProtectedAPI(allows).listening() as api,
            house(
                api.base,
                {"schemes": {name: logins[name] for name in order}},
                spec=spec_of(schemes, [{name: [] for name in order}]),
            ) as it,
        ):
            assert (await it.call()).status == 200
            server.revoke()
            it.clock.now += 10
            assert (await it.call()).status == 200
            assert [state.scheme for state in it.auth.states()] == ["sso"]
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("login", "name", "value"),
    [
        (
            {"api_key": "k", "in": "header", "name": "Authorization", "prefix": "Token "},
            "authorization",
            "Token k",
        ),
        ({"api_key": "k", "in": "cookie", "name": "sid"}, "cookie", "sid=k"),
        ({"bearer": "t", "prefix": "Zoho-oauthtoken "}, "authorization", "Zoho-oauthtoken t"),
        ({"bearer": "t", "prefix": ""}, "authorization", "t"),
        ({"basic": {"username": "u", "password": "ü"}}, "authorization", "Basic dTrDvA=="),
    ],
)
async def test_a_credential_may_stand_anywhere_with_any_word_before_it(login, name, value):
    async with ProtectedAPI(lambda _: True).listening() as api, house(api.base, login) as it:
        await it.call()
    assert api.calls[0].headers[name] == value


@pytest.mark.parametrize(
    ("login", "carried"),
    [
        ({"bearer": "t0ken"}, ("t0ken",)),
        ({"api_key": "k3y"}, ("k3y",)),
        ({"basic": {"username": "u", "password": "pa55"}}, ("dTpwYTU1", "pa55")),
        ({"digest": {"username": "u", "password": "pa55"}}, ("pa55",)),
        ({"schemes": {"key": {"api_key": "k3y"}, "user": {"bearer": "t0ken"}}}, ("k3y", "t0ken")),
        (None, ()),
    ],
)
async def test_a_connector_tells_what_its_calls_carry(login, carried):
    schemes = {name: SCHEMES[name] for name in ("key", "user")}
    async with house("http://127.0.0.1:1", login, spec=spec_of(schemes)) as it:
        assert it.connector.secrets() == carried


async def test_a_connector_tells_the_token_that_its_calls_carry():
    async with TokenServer().listening() as server:
        login = {
            "oauth2": {"token_url": server.token_url, "client_id": "shop", "client_secret": "s3cr+t/=&client"}
        }
        async with ProtectedAPI(lambda _: True).listening() as api, house(api.base, login) as it:
            await it.call()
            assert it.connector.secrets() == tuple(server.tokens)
