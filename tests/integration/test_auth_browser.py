"""The authorization code grant over sockets: begun, finished once, bound to its state, proven by PKCE."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from typing_extensions import override

from actions.auth import MemoryKeeper, login_of
from actions.errors import LoginRequired, Refused, RetryLater
from tests.fakes.logins import house, spec_of
from tests.fakes.token_server import ProtectedAPI, TokenServer, denies, fails

REDIRECT = "http://127.0.0.1:9/back"
SECRET = "s3cr+t/=&client"


@pytest.fixture
async def server():
    async with TokenServer().listening() as server:
        yield server


@pytest.fixture
async def api(server):
    async with ProtectedAPI(
        lambda heard: server.good(heard.headers.get("authorization", ""))
    ).listening() as api:
        yield api


def login(server, **more):
    return {
        "oauth2": {
            "grant": "authorization_code",
            "token_url": server.token_url,
            "authorization_url": f"{server.authorization_url}?tenant=t",
            "client_id": "shop",
            "client_secret": SECRET,
            "scopes": ["orders", "offline_access"],
            "redirect": REDIRECT,
            **more,
        }
    }


def browser(it):
    (found,) = it.auth.browser_logins().values()
    return found


async def test_a_person_logs_in_once_and_calls_go_on_for_ever(server, api):
    server.rotates = True
    tokens = MemoryKeeper()
    async with house(api.base, login(server), tokens=tokens) as it:
        with pytest.raises(LoginRequired, match=r"pointsman connections login api$"):
            await it.call()
        assert (it.state.phase, it.state.fix) == ("required", "log in: pointsman connections login api")
        begun = await browser(it).begin()
        query = parse_qs(urlsplit(begun.url).query)
        assert (query["tenant"], query["scope"]) == (["t"], ["orders offline_access"])
        await browser(it).finish(server.log_in(begun.url))
        assert (await it.call()).status == 200
        assert it.state.history[-1].why == "somebody logged in"
        for _ in range(3):
            it.clock.now += 4000
            assert (await it.call()).status == 200
    async with house(api.base, login(server), tokens=tokens) as it:
        it.clock.now += 100_000
        assert (await it.call()).status == 200


async def test_another_process_finishes_and_the_running_one_goes_on(server, api):
    tokens = MemoryKeeper()
    async with house(api.base, login(server), tokens=tokens) as running:
        for _ in range(8):
            running.clock.now += 2
            with pytest.raises(LoginRequired):
                await running.call()
        async with house(api.base, login(server), tokens=tokens) as first:
            begun = await browser(first).begin()
        async with house(api.base, login(server), tokens=tokens) as second:
            await browser(second).finish(server.log_in(begun.url))
        running.clock.now += 2
        assert (await running.call()).status == 200
    assert [one.form["grant_type"] for one in server.asked] == ["authorization_code"]


async def test_a_refresh_token_that_is_void_asks_for_a_login_and_gets_it(server, api):
    async with house(api.base, login(server)) as it:
        await browser(it).finish(server.log_in((await browser(it).begin()).url))
        server.refresh_tokens.clear()
        it.clock.now += 4000
        with pytest.raises(LoginRequired, match=r"invalid_grant.*log in"):
            await it.call()
        asked = len(server.asked)
        it.clock.now += 100
        with pytest.raises(LoginRequired):
            await it.call()
        assert len(server.asked) == asked
        await browser(it).finish(server.log_in((await browser(it).begin()).url))
        assert (await it.call()).status == 200


async def test_a_state_is_taken_once(server, api):
    async with house(api.base, login(server)) as it:
        returned = server.log_in((await browser(it).begin()).url)
        await browser(it).finish(returned)
        with pytest.raises(Refused, match="finished already"):
            await browser(it).finish(returned)


class Unhurried(MemoryKeeper):
    """Lets others go on while it looks, as one on a disk does."""

    @override
    async def load(self, key):
        await asyncio.sleep(0)
        return await super().load(key)


async def test_a_redirect_that_comes_twice_at_once_is_taken_once(server, api):
    async with house(api.base, login(server), tokens=Unhurried()) as it:
        returned = server.log_in((await browser(it).begin()).url)
        ends = await asyncio.gather(*(browser(it).finish(returned) for _ in range(3)), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["NoneType", "Refused", "Refused"]
        assert (await it.call()).status == 200
    assert len(server.asked) == 1


@pytest.mark.parametrize("state", ["", "other", "api::x", "\udc80"])
async def test_a_state_that_was_not_given_is_refused_and_nothing_is_sent(server, api, state):
    async with house(api.base, login(server)) as it:
        returned = server.log_in((await browser(it).begin()).url)
        with pytest.raises(Refused, match="not begun here"):
            await browser(it).finish(returned | {"state": state})
        assert server.asked == []
        await browser(it).finish(returned)  # and does not void the right one


async def test_a_login_that_takes_too_long_is_refused(server, api):
    async with house(api.base, login(server)) as it:
        returned = server.log_in((await browser(it).begin()).url)
        it.clock.now += 601
        with pytest.raises(Refused, match="longer than 600 s"):
            await browser(it).finish(returned)


async def test_only_the_login_begun_last_can_be_finished(server, api):
    async with house(api.base, login(server)) as it:
        first = server.log_in((await browser(it).begin()).url)
        second = server.log_in((await browser(it).begin()).url)
        with pytest.raises(Refused):
            await browser(it).finish(first)
        await browser(it).finish(second)


async def test_a_connection_that_has_changed_takes_no_old_login(server, api):
    tokens = MemoryKeeper()
    async with house(api.base, login(server), tokens=tokens) as it:
        returned = server.log_in((await browser(it).begin()).url)
    async with house(api.base, login(server, scopes=["other"]), tokens=tokens) as it:
        with pytest.raises(Refused, match="has changed"):
            await browser(it).finish(returned)


async def test_a_denied_login_says_why_without_secrets(server, api):
    async with house(api.base, login(server)) as it:
        begun = await browser(it).begin()
        returned = {"state": begun.state, "error": "access_denied", "error_description": f"not {SECRET}"}
        with pytest.raises(Refused, match="access_denied not") as raised:
            await browser(it).finish(returned)
        assert SECRET not in str(raised.value)


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(server, api):
    async with house(api.base, login(server)) as it, house(api.base, login(server)) as thief:
        stolen = server.log_in((await browser(it).begin()).url)
        begun = await browser(thief).begin()
        with pytest.raises(Refused, match="verifier does not fit"):
            await browser(thief).finish({"state": begun.state, "code": stolen["code"]})


@pytest.mark.parametrize("fault", [fails(503), denies("temporarily_unavailable")])
async def test_a_token_server_in_trouble_ends_the_login(server, api, fault):
    async with house(api.base, login(server)) as it:
        returned = server.log_in((await browser(it).begin()).url)
        server.faults.append(fault)
        with pytest.raises(RetryLater, match="begin the login again"):
            await browser(it).finish(returned)


async def test_the_issuer_of_a_redirect_is_checked(server, api):
    server.names_issuer = True
    given = login(server, token_url=None, authorization_url=None, discovery=server.base)
    async with house(api.base, given) as it:
        for issuer in ("https://evil.example", ""):
            returned = server.log_in((await browser(it).begin()).url)
            with pytest.raises(Refused, match="another issuer"):
                await browser(it).finish(returned | {"iss": issuer})
        assert server.asked == []
        await browser(it).finish(server.log_in((await browser(it).begin()).url))
        assert (await it.call()).status == 200


async def test_a_state_says_which_connection_it_belongs_to(server, api):
    schemes = {
        "my sso:1": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": server.authorization_url,
                    "tokenUrl": server.token_url,
                    "scopes": {},
                }
            },
        }
    }
    given = {
        "schemes": {
            "my sso:1": {"oauth2": {"client_id": "shop", "client_secret": SECRET, "redirect": REDIRECT}}
        }
    }
    async with house(api.base, given, spec=spec_of(schemes, [{"my sso:1": []}])) as it:
        begun = await it.auth.browser_logins()["my sso:1"].begin()
        assert login_of(begun.state) == ("api", "my sso:1")
        await it.auth.browser_logins()["my sso:1"].finish(server.log_in(begun.url))
        assert (await it.call()).status == 200


async def test_without_a_redirect_nothing_begins(server, api):
    async with house(api.base, login(server, redirect=None)) as it:
        with pytest.raises(Refused, match="redirect"):
            await browser(it).begin()
        server.redirects = ("http://127.0.0.1:9/other",)
        begun = await browser(it).begin(redirect="http://127.0.0.1:9/other")
        await browser(it).finish(server.log_in(begun.url))


async def test_a_token_without_a_refresh_token_lasts_as_long_as_it_lasts(server, api):
    server.refreshes = False
    async with house(api.base, login(server)) as it:
        await browser(it).finish(server.log_in((await browser(it).begin()).url))
        assert (await it.call()).status == 200
        it.clock.now += 4000
        with pytest.raises(LoginRequired, match="nobody has logged in"):
            await it.call()


async def test_what_is_begun_shows_no_secret(server, api):
    async with house(api.base, login(server)) as it:
        begun = await browser(it).begin()
        assert begun.verifier not in repr(begun)
        assert begun.verifier not in begun.url
        assert SECRET not in begun.url
