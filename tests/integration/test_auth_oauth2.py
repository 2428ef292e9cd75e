"""OAuth 2 over sockets: every grant, how tokens live, and what happens when the token server misbehaves."""

import asyncio

import pytest

from actions.auth import MemoryKeeper, NoKeeper
from actions.auth.oauth2 import FETCH_WITHIN
from actions.base import Answer
from actions.errors import LoginRequired, Refused, RetryLater
from actions.transport import Request
from tests.fakes.keys import EC_PEM, RSA_PEM
from tests.fakes.logins import START, house, spec_of
from tests.fakes.token_server import (
    Held,
    ProtectedAPI,
    Said,
    TokenServer,
    breaks,
    denies,
    fails,
    public_key,
    says,
)

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


def client(server, **more):
    return {"oauth2": {"token_url": server.token_url, "client_id": "shop", "client_secret": SECRET, **more}}


# -- grants


async def test_client_credentials_bring_a_token_that_serves_all_calls(server, api):
    async with house(api.base, client(server, scopes=["a", "b"], extra={"audience": "https://api"})) as it:
        answers = [await it.call() for _ in range(3)]
    assert [one.status for one in answers] == [200] * 3
    (asked,) = server.asked
    assert asked.form == {"grant_type": "client_credentials", "scope": "a b", "audience": "https://api"}
    assert asked.headers["accept"] == "application/json"
    assert len({one.headers["authorization"] for one in api.calls}) == 1


async def test_a_password_brings_a_token_and_its_refresh_token_the_next(server, api):
    login = client(server, username="anna", password="p4ss wörd")
    async with house(api.base, login) as it:
        await it.call()
        it.clock.now += 3601
        assert (await it.call()).status == 200
    assert [one.form["grant_type"] for one in server.asked] == ["password", "refresh_token"]


async def test_a_password_is_asked_for_again_when_the_refresh_token_is_void(server, api):
    async with house(api.base, client(server, username="anna", password="p4ss wörd")) as it:
        await it.call()
        server.refresh_tokens.clear()
        it.clock.now += 3601
        assert (await it.call()).status == 200
    assert [one.form["grant_type"] for one in server.asked] == ["password", "refresh_token", "password"]


@pytest.mark.parametrize("pem", [RSA_PEM, EC_PEM], ids=["RS256", "ES256"])
async def test_an_assertion_that_we_sign_is_a_grant(server, api, pem):
    server.keys["robot@shop"] = public_key(pem)
    login = {
        "oauth2": {
            "token_url": server.token_url,
            "assertion": {"key": pem, "issuer": "robot@shop", "subject": "anna", "key_id": "k1"},
            "scopes": ["a"],
        }
    }
    async with house(api.base, login) as it:
        assert (await it.call()).status == 200
        it.clock.now += 4000
        assert (await it.call()).status == 200  # another jti
    assert len(server.seen_jti) == 2
    assert "client_id" not in server.asked[0].form


async def test_a_client_proves_itself_by_its_key(server, api):
    server.keys["shop"] = public_key(EC_PEM)
    server.takes = ()
    login = {"oauth2": {"token_url": server.token_url, "client_id": "shop", "assertion": {"key": EC_PEM}}}
    login["oauth2"]["grant"] = "client_credentials"
    async with house(api.base, login) as it:
        assert (await it.call()).status == 200
    form = server.asked[0].form
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert form["client_id"] == "shop"


@pytest.mark.parametrize(
    ("takes", "given", "tries"),
    [
        (("basic",), None, 1),
        (("post",), None, 2),
        (("post",), "client_secret_post", 1),
        (("basic",), "auto", 1),
    ],
)
async def test_how_the_client_proves_itself_is_found_out_once(server, api, takes, given, tries):
    server.takes = takes
    async with house(api.base, client(server, client_auth=given)) as it:
        assert (await it.call()).status == 200
        assert len(server.asked) == tries
        it.clock.now += 4000
        assert (await it.call()).status == 200
        assert len(server.asked) == tries + 1


async def test_a_public_client_sends_its_name_alone(server, api):
    server.clients["app"] = ""
    login = client(server, client_id="app", client_secret=None, username="anna", password="p4ss wörd")
    async with house(api.base, login) as it:
        assert (await it.call()).status == 200
    assert server.asked[0].form["client_id"] == "app"
    assert "authorization" not in server.asked[0].headers


async def test_the_description_says_where_tokens_come_from(server, api):
    schemes = {
        "sso": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": server.token_url, "scopes": {}}},
        }
    }
    login = {"schemes": {"sso": {"oauth2": {"client_id": "shop", "client_secret": SECRET}}}}
    async with house(api.base, login, spec=spec_of(schemes, [{"sso": ["a"]}])) as it:
        assert (await it.call()).status == 200
        assert it.state.scheme == "sso"


async def test_a_relative_token_url_is_relative_to_the_api(server):
    schemes = {
        "sso": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/token", "scopes": {}}}}
    }
    login = {"oauth2": {"client_id": "shop", "client_secret": SECRET}}
    async with house(server.base, login, spec=spec_of(schemes)) as it:
        assert (await it.call()).status == 404  # the token server is no API
    assert [one.path for one in server.asked] == ["/token", "/things"]


async def test_discovery_tells_the_urls_and_is_asked_once_a_day(server, api):
    server.takes = ("post",)
    login = client(server, token_url=None, discovery=server.base)
    async with house(api.base, login) as it:
        for _ in range(3):
            assert (await it.call()).status == 200
            it.clock.now += 4000
        assert (server.discovered, len(server.asked)) == (1, 3)
        it.clock.now += 24 * 3600
        assert (await it.call()).status == 200
        assert server.discovered == 2


async def test_an_issuer_that_is_another_is_not_trusted(server, api):
    server.issuer = "https://evil.example"
    async with house(api.base, client(server, token_url=None, discovery=server.base)) as it:
        with pytest.raises(LoginRequired, match=r"names the issuer 'https://evil\.example'"):
            await it.call()
    assert server.asked == []


# -- how tokens live


async def test_all_who_wait_share_one_request(server, api):
    held = Held()
    server.faults.append(held)
    async with house(api.base, client(server)) as it:
        calls = [asyncio.create_task(it.call()) for _ in range(50)]
        await held.there.wait()
        held.let_go.set()
        assert {one.status for one in await asyncio.gather(*calls)} == {200}
    assert len(server.asked) == 1
    assert len(api.calls) == 50


async def test_a_token_is_replaced_in_the_background_before_it_ends(server, api):
    async with house(api.base, client(server)) as it:
        await it.call()
        it.clock.now += 3600 - 361
        await it.call()
        assert len(server.asked) == 1
        it.clock.now += 2
        held = Held()
        server.faults.append(held)
        assert (await it.call()).status == 200  # with the old one, while the new one is on its way
        await held.there.wait()
        assert (await it.call()).status == 200
        held.let_go.set()
        await it.auth._fetching
        await it.call()
    assert len(server.asked) == 2
    used = [one.headers["authorization"] for one in api.calls]
    assert used[0] == used[1] == used[2] == used[3] != used[4]
    assert it.state.history[-1].why == "it ends in 359 s"


async def test_a_short_life_is_used_by_half(server, api):
    server.life = 6
    async with house(api.base, client(server)) as it:
        await it.call()
        it.clock.now += 2.9
        await it.call()
        assert len(server.asked) == 1


@pytest.mark.parametrize("life", ["3600", 3600.0, "3600.5"])
async def test_a_life_may_be_text(server, api, life):
    server.life = life
    async with house(api.base, client(server)) as it:
        await it.call()
        assert int(it.state.expires_at - START) == 3600


@pytest.mark.parametrize("life", [None, 0, -1, "soon", True, {}])
async def test_a_life_that_nobody_knows_lasts_until_it_is_refused(server, api, life):
    server.life = life
    async with house(api.base, client(server)) as it:
        await it.call()
        assert it.state.expires_at is None
        it.clock.now += 10 * 86400
        await it.call()
        assert len(server.asked) == 1
        server.revoke()
        assert (await it.call()).status == 200
        assert len(server.asked) == 2


async def test_401_brings_a_new_token_and_one_more_try(server, api):
    async with house(api.base, client(server)) as it:
        await it.call()
        server.revoke()
        it.clock.now += 100
        assert (await it.call()).status == 200
        assert len(server.asked) == 2
        assert len(api.calls) == 3
        assert it.state.history[-1].why == "the backend answered 401 and refused the token"


async def test_many_refused_at_once_share_one_new_token(server, api):
    async with house(api.base, client(server)) as it:
        await it.call()
        server.revoke()
        it.clock.now += 100
        answers = await asyncio.gather(*(it.call() for _ in range(20)))
        assert {one.status for one in answers} == {200}
        assert len(server.asked) == 2


async def test_a_token_that_replaced_a_refused_one_and_is_refused_too_stays_for_a_while(server, api):
    api.allows = lambda heard: False
    async with house(api.base, client(server)) as it:
        for _ in range(10):
            assert (await it.call()).status == 401
        assert len(server.asked) == 2
        assert len(api.calls) == 11
        assert await it.connector.login_again()  # just fetched: nothing better is to be had
        assert len(server.asked) == 2
        it.clock.now += 2
        assert await it.connector.login_again()
        assert len(server.asked) == 3


async def test_an_old_token_that_is_refused_late_is_replaced_by_the_one_there_is(server, api):
    async with house(api.base, client(server)) as it:
        await it.auth.ready(5)
        late = it.auth.apply(Request("GET", f"{api.base}/things"))
        it.clock.now += 100
        assert await it.auth.renew()
        again = await it.auth.again(late, Answer(status=401), 5)
        assert again == it.auth.apply(late) != late
        assert len(server.asked) == 2


async def test_an_answer_that_means_expired_is_like_401(server, api):
    api.refuses = Said(400, b'{"code": "TOKEN_EXPIRED"}')
    login = client(server, expired_when={"status": [400], "body_contains": "TOKEN_EXPIRED"})
    async with house(api.base, login) as it:
        await it.call()
        server.revoke()
        it.clock.now += 100
        assert (await it.call()).status == 200
        api.refuses = Said(400, b"other")
        server.revoke()
        it.clock.now += 100
        assert (await it.call()).status == 400
    assert len(server.asked) == 2


async def test_a_caller_who_gives_up_leaves_the_fetch_to_the_others(server, api):
    held = Held()
    server.faults.append(held)
    async with house(api.base, client(server)) as it:
        first = asyncio.create_task(it.call())
        await held.there.wait()
        second = asyncio.create_task(it.call())
        first.cancel()
        with pytest.raises(RetryLater, match="not answer in time"):
            await it.call(deadline=0.01)
        held.let_go.set()
        assert (await second).status == 200
    assert len(server.asked) == 1
    assert first.cancelled()


# -- what is kept


async def test_a_rotated_refresh_token_outlives_the_process(server, api):
    server.rotates = True
    tokens = MemoryKeeper()
    login = client(server, refresh_token=server.first_refresh_token())
    for count in (1, 2, 3):
        async with house(api.base, login, tokens=tokens) as it:
            it.clock.now += count * 4000
            assert (await it.call()).status == 200
    assert len(server.spent) == 3


async def test_a_token_that_lasts_is_used_by_the_next_process(server, api):
    tokens = MemoryKeeper()
    login = client(server, refresh_token=server.first_refresh_token())
    for _ in range(2):
        async with house(api.base, login, tokens=tokens) as it:
            assert (await it.call()).status == 200
    assert len(server.asked) == 1
    assert "was kept" in it.state.history[-1].why


async def test_a_new_refresh_token_in_the_configuration_replaces_what_was_kept(server, api):
    tokens = MemoryKeeper()
    for _ in range(2):
        async with house(
            api.base, client(server, refresh_token=server.first_refresh_token()), tokens=tokens
        ) as it:
            assert (await it.call()).status == 200
    assert len(server.asked) == 2


class Reluctant(MemoryKeeper):
    """Cannot save for a while; tells what was going on when it did."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.able = True
        self.order = []

    async def save(self, key, value):
        if not self.able:
            raise RetryLater("the disk is full")
        self.order.append(len(self.server.asked))
        await super().save(key, value)


async def test_a_rotated_refresh_token_is_saved_before_its_token_is_used(server, api):
    server.rotates = True
    keeper = Reluctant(server)
    keeper.able = False
    login = client(server, refresh_token=server.first_refresh_token())
    async with house(api.base, login, tokens=keeper) as it:
        with pytest.raises(RetryLater, match="disk is full"):
            await it.call()
        assert api.calls == []
        keeper.able = True
        it.clock.now += 10
        assert (await it.call()).status == 200
    assert len(server.asked) == 1  # what was got then is used now
    assert keeper.order == [1]


async def test_two_processes_share_one_refresh_token_that_rotates(server, api):
    server.rotates = True
    tokens = MemoryKeeper()
    login = client(server, refresh_token=server.first_refresh_token())
    async with house(api.base, login, tokens=tokens) as one, house(api.base, login, tokens=tokens) as two:
        for _ in range(3):
            assert (await one.call()).status == 200
            assert (await two.call()).status == 200
            one.clock.now += 4000
            two.clock.now += 4000
    assert len(server.asked) == 3


class Elsewhere(MemoryKeeper):
    """The keeper of another process: what is kept is the same, the turns are not."""

    def __init__(self, same):
        super().__init__()
        self._values = same._values


async def test_a_process_that_comes_second_takes_over_what_the_first_got(server, api):
    server.rotates = True
    tokens = MemoryKeeper()
    login = client(server, refresh_token=server.first_refresh_token())
    held = Held()

    async def late(heard):
        await held(heard)
        return await denies("invalid_grant", "somebody was faster")(heard)

    server.faults.append(late)
    async with (
        house(api.base, login, tokens=tokens) as second,
        house(api.base, login, tokens=Elsewhere(tokens)) as first,
    ):
        call = asyncio.create_task(second.call())
        await held.there.wait()
        assert (await first.call()).status == 200
        held.let_go.set()
        assert (await call).status == 200
    assert len(server.asked) == 3


# -- faults


@pytest.mark.parametrize(
    "fault", [fails(503), fails(429), fails(500), breaks, denies("temporarily_unavailable")]
)
async def test_a_token_server_in_trouble_is_asked_again_later(server, api, fault):
    server.faults.append(fault)
    async with house(api.base, client(server)) as it:
        with pytest.raises(RetryLater) as raised:
            await it.call()
        assert 0 < raised.value.after <= 1
        assert (it.state.phase, api.calls) == ("failing", [])
        with pytest.raises(RetryLater):
            await it.call()
        assert len(server.asked) == 1  # it rests
        it.clock.now += 1.1
        assert (await it.call()).status == 200
        assert it.state.phase == "ready"


async def test_a_dead_token_server_is_not_stormed(server, api):
    server.faults.extend([fails()] * 100)
    async with house(api.base, client(server)) as it:
        for _ in range(200):
            with pytest.raises(RetryLater):
                await it.call()
            it.clock.now += 1
        assert len(server.asked) <= 9  # 0 1 3 7 15 31 63 127 s
        assert not await it.connector.login_again()


async def test_retry_after_of_the_token_server_counts(server, api):
    server.faults.append(fails(503, "Retry-After: 60"))
    async with house(api.base, client(server)) as it:
        with pytest.raises(RetryLater) as raised:
            await it.call()
        assert raised.value.after == 60
        it.clock.now += 59
        with pytest.raises(RetryLater):
            await it.call()
        assert len(server.asked) == 1


async def test_the_old_token_works_on_while_the_token_server_is_down(server, api):
    async with house(api.base, client(server)) as it:
        await it.call()
        server.faults.extend([fails()] * 5)
        it.clock.now += 3500
        assert (await it.call()).status == 200
        await asyncio.wait([it.auth._fetching])
        assert (await it.call()).status == 200
        assert it.state.phase == "ready"
        assert "503" in it.state.reason
        it.clock.now += 200
        with pytest.raises(RetryLater):
            await it.call()


async def test_nobody_listens(server, api):
    async with TokenServer().listening() as gone:
        url = gone.token_url
    async with house(api.base, client(server, token_url=url)) as it:
        with pytest.raises(RetryLater):
            await it.call()


async def test_a_wrong_secret_wants_somebody_to_act(server, api):
    async with house(api.base, client(server, client_secret="wr0ng-secret")) as it:
        with pytest.raises(
            LoginRequired, match=r"invalid_client.*check `client_id`, `client_secret`"
        ) as raised:
            await it.call()
        assert "wr0ng-secret" not in str(raised.value)
        assert it.state.phase == "required"
        asked = len(server.asked)
        with pytest.raises(LoginRequired):
            await it.call()
        assert len(server.asked) == asked
        server.clients["shop"] = "wr0ng-secret"  # somebody has acted, there
        it.clock.now += 5
        assert (await it.call()).status == 200


async def test_a_void_refresh_token_wants_somebody_to_act(server, api):
    async with house(api.base, client(server, refresh_token="refresh-void")) as it:
        with pytest.raises(LoginRequired, match="put a new `refresh_token`"):
            await it.call()
        for _ in range(5):
            it.clock.now += 100
            with pytest.raises(LoginRequired):
                await it.call()
        assert len(server.asked) == 1  # it stays void: nobody asks again
        assert not await it.connector.login_again()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(200, b"<html>hello</html>"), "is this its URL"),
        (Said(200, b"{}"), "is this its URL"),
        (Said(404, b"no"), "404 and no token"),
        (Said(302, b"", ("Location: http://127.0.0.1:9/",)), "redirects are not followed"),
        (Said(200, b'{"access_token": "a b\\u0007"}'), "no header can carry"),
        (Said(200, b'{"access_token": "a", "token_type": "DPoP"}'), "DPoP"),
        (
            Said(200, b"error=bad_verification_code&error_description=The+code"),
            "bad_verification_code: The code",
        ),
        (Said(400, b'{"error": {"code": "nope", "message": "not you"}}'), "nope: not you"),
        (Said(403, b'{"message": "forbidden"}'), "403: forbidden"),
        (Said(200, b"[" * 100_000), "no token"),
        (Said(200, b'{"access_token": {"a": 1}}'), "no token"),
    ],
)
async def test_what_is_no_token_is_said(server, api, said, words):
    server.faults.extend([says(said)] * 2)
    async with house(api.base, client(server)) as it:
        with pytest.raises(LoginRequired, match=words):
            await it.call()
    assert api.calls == []


async def test_github_answers_by_a_form(server, api):
    server.shape = "form"
    async with house(api.base, client(server)) as it:
        assert (await it.call()).status == 200


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "BearerToken", "", "JWT"])
async def test_a_token_of_another_type_is_sent_as_bearer_and_told(server, api, kind):
    server.token_type = kind
    async with house(api.base, client(server)) as it:
        assert (await it.call()).status == 200
        assert ("say `prefix`" in it.state.reason) is (kind == "JWT")


async def test_a_narrowed_scope_is_told(server, api):
    server.scopes = lambda asked: "a"
    async with house(api.base, client(server, scopes=["a", "b", "offline_access"])) as it:
        assert (await it.call()).status == 200
        assert it.state.reason == "the token server did not grant b"
        assert it.state.scopes == ("a",)


async def test_the_last_twenty_fetches_are_told_with_their_reasons(server, api):
    async with house(api.base, client(server)) as it:
        for _ in range(25):
            await it.call()
            it.clock.now += 4000
        history = it.state.history
    assert len(history) == 20
    assert {one.why for one in history} == {"it ended 400 s ago"}
    assert history[-1].result == "a token for 3600 s"
    assert history[-1].at == START + 24 * 4000


async def test_what_proved_the_client_is_not_repeated(server, api):
    server.keys["shop"] = public_key(EC_PEM)

    async def echoes(heard):
        return Said(
            400,
            b'{"error": "invalid_client", "error_description": "'
            + heard.form["client_assertion"].encode()
            + b'"}',
        )

    server.faults.append(echoes)
    login = {"oauth2": {"token_url": server.token_url, "client_id": "shop", "assertion": {"key": EC_PEM}}}
    async with house(api.base, login) as it:
        with pytest.raises(LoginRequired, match=r"invalid_client: \*\*\*;"):
            await it.call()


# -- where secrets go


async def test_the_secret_goes_to_the_token_url_alone_and_the_token_to_the_api(server, api):
    async with house(api.base, client(server)) as it:
        await it.call()
        token = next(iter(server.tokens))
    assert all(SECRET not in str(one) for one in api.calls)
    assert all(token not in str(one) for one in server.asked)


async def test_a_redirect_takes_neither_secret_nor_token_along(server, api):
    async with ProtectedAPI(lambda _: True).listening() as thief:
        server.faults.append(says(Said(307, b"", (f"Location: {thief.base}/token",))))
        async with house(api.base, client(server)) as it:
            with pytest.raises(LoginRequired):
                await it.call()
            api.allows = lambda _: False
            api.refuses = Said(302, b"", (f"Location: {thief.base}/",))
            it.clock.now += 5
            assert (await it.call()).status == 302
        assert thief.calls == []


@pytest.mark.parametrize(
    "url", ["http://login.example/token", "http://203.0.113.7/token", "ftp://login.example/t"]
)
def test_a_token_url_in_the_clear_is_refused_before_anything_is_sent(url):
    from actions.auth import clear_problem
    from actions.egress import read_egress

    assert clear_problem(url, read_egress("public"))
    assert not clear_problem("https://login.example/token", read_egress("public"))
    assert not clear_problem("http://localhost:8080/token", read_egress("public"))
    assert bool(clear_problem(url, read_egress(["login.example", "203.0.113.0/24"]))) is url.startswith("ftp")


async def test_the_egress_of_the_connection_holds_for_the_token_server_too(server):
    async with house("https://api.example", client(server), egress="public") as it:
        with pytest.raises(LoginRequired, match="may not be called"):
            await it.auth.ready(5)
    assert server.asked == []


async def test_a_token_goes_where_the_connection_says(server, api):
    login = client(server) | {"in": "query", "name": "access_token", "prefix": None}
    api.allows = lambda heard: heard.query.get("access_token") in server.tokens
    async with house(api.base, login) as it:
        assert (await it.call()).status == 200
        server.revoke()
        it.clock.now += 10
        assert (await it.call()).status == 200
    assert "authorization" not in api.calls[0].headers


async def test_closing_ends_what_is_under_way(server, api, monkeypatch):
    monkeypatch.setattr("actions.auth.oauth2._CLOSE_WITHIN", 0.05)
    held = Held()
    server.faults.append(held)
    async with house(api.base, client(server)) as it:
        call = asyncio.create_task(it.call())
        await held.there.wait()
        await it.connector.close()
        await it.connector.close()
        with pytest.raises(RetryLater):
            await call
        with pytest.raises(RetryLater):
            await it.call()
    assert FETCH_WITHIN == 15.0


async def test_a_login_without_what_its_grant_needs_is_refused_with_all_that_is_wrong():
    with pytest.raises(Refused) as raised:
        async with house(
            "https://api.example", {"oauth2": {"grant": "password", "token_url": "http://x.example/t"}}
        ):
            pass
    assert {pointer for pointer, _ in raised.value.problems} == {"/oauth2/username", "/oauth2/password"}


async def test_the_logins_of_one_connection_present_a_refresh_token_once(server, api):
    server.rotates = True
    tokens = MemoryKeeper()
    given = client(server, refresh_token=server.first_refresh_token())
    async with house(api.base, given, tokens=tokens) as one, house(api.base, given, tokens=tokens) as other:
        for _ in range(3):
            answers = await asyncio.gather(one.call(), other.call())
            assert [answer.status for answer in answers] == [200, 200]
            one.clock.now += 4000
            other.clock.now += 4000
    assert len(server.asked) == 3
    assert other.state.history[-1].result.startswith("a token")


async def test_where_nothing_is_kept_no_refresh_token_is_spent(server, api):
    server.rotates = True
    first = server.first_refresh_token()
    async with house(api.base, client(server, refresh_token=first), tokens=NoKeeper()) as it:
        with pytest.raises(RetryLater, match="only the instance can"):
            await it.call()
    assert server.asked == []
    async with house(api.base, client(server), tokens=NoKeeper()) as it:
        assert (await it.call()).status == 200  # a client's own token is got anew whenever it is needed
