"""Logins and servers of described APIs in a real instance: over sockets, with servers that check what they get."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.apis import call, configured, done, openapi, operation, write
from tests.end_to_end.backend import Act, Call, answers, backend
from tests.end_to_end.instance import instance, until
from tests.fakes.certificates import authority, server_context
from tests.fakes.digest_server import DigestServer
from tests.fakes.raw_backend import RawBackend
from tests.fakes.token_server import Held, ProtectedAPI, TokenServer, serve
from tests.patience import PATIENCE

SECRET = "s3cr+t/=&client"
ENVIRONMENT = {"CLIENT_SECRET": SECRET}


def _protected(scheme: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    spec = openapi({"/things": {"post": operation("make", **more)}})
    if scheme is not None:
        spec |= {"components": {"securitySchemes": {"login": scheme}}, "security": [{"login": []}]}
    return spec


def _credentials(server: TokenServer, **more: Any) -> dict[str, Any]:
    return {
        "oauth2": {
            "token_url": server.token_url,
            "client_id": "shop",
            "client_secret": {"env": "CLIENT_SECRET"},
            **more,
        }
    }


def _wants(server: TokenServer) -> Any:
    def decide(request: Call) -> Act | None:
        good = server.good(request.headers.get("authorization", ""))
        return None if good else answers(401, {"why": "the token"})

    return decide


# -- servers


@pytest.mark.parametrize("said", [False, True])
async def test_an_operations_own_server_wins_unless_the_connection_names_one(
    tmp_path: Path, said: bool
) -> None:
    async with backend() as main, backend() as other, backend() as named:
        own = operation(
            "make", servers=[{"url": f"{other.url}/own/{{zone}}", "variables": {"zone": {"default": "z1"}}}]
        )
        spec = openapi(
            {"/things": {"post": own, "get": operation("list")}},
            servers=[{"url": f"{main.url}/base"}],
        )
        write(tmp_path, {"api.json": spec})
        content = configured(
            f"{named.url}/said", call("make"), call("list"), auth={"bearer": {"env": "BACKEND_TOKEN"}}
        )
        if not said:
            del content["connections"]["api"]["server"]
            content["connections"]["api"]["variables"] = {"zone": "z2"}
        async with instance(tmp_path, content) as it:
            for name in ("make", "list"):
                await done(it, name)
        targets = [[one.target for one in server.calls] for server in (main, other, named)]
        assert targets == (
            [[], [], ["/said/things"] * 2] if said else [["/base/things"], ["/own/z2/things"], []]
        )
        for one in (*main.calls, *other.calls, *named.calls):
            assert one.headers["authorization"] == "Bearer token-of-the-backend"


# -- digest and keys


@contextlib.asynccontextmanager
async def _digesting(server: DigestServer) -> AsyncIterator[str]:
    raw = RawBackend(lambda talk: serve(talk, server.answer))
    async with raw.listening():
        yield f"http://127.0.0.1:{raw.port}"


async def test_digest_is_answered_once_and_said_beforehand_after_that(tmp_path: Path) -> None:
    server = DigestServer(qop="auth-int")
    write(tmp_path, {"api.json": _protected({"type": "http", "scheme": "digest"})})
    async with _digesting(server) as url:
        auth = {"digest": {"username": "Mufasa", "password": {"env": "CLIENT_SECRET"}}}
        content = configured(url, call("make"), auth=auth)
        async with instance(tmp_path, content, environment={"CLIENT_SECRET": server.password}) as it:
            for _ in range(3):
                await done(it, "make")
    assert (server.challenged, server.taken) == (1, 3)
    keys = [one.headers["idempotency-key"] for one in server.heard]
    assert keys[0] == keys[1]  # the challenge and its answer are one call
    assert len(set(keys)) == 3


async def test_a_key_in_a_cookie_stands_beside_the_operations_own_cookies(tmp_path: Path) -> None:
    cookie = {"name": "lang", "in": "cookie", "schema": {"type": "string"}}
    spec = _protected({"type": "apiKey", "in": "cookie", "name": "sid"}, parameters=[cookie])
    write(tmp_path, {"api.json": spec})
    async with backend() as api:
        content = configured(
            api.url, call("make", {"lang": "${data.lang}"}), auth={"api_key": {"env": "CLIENT_SECRET"}}
        )
        async with instance(tmp_path, content, environment={"CLIENT_SECRET": "k+1/2="}) as it:
            await done(it, "make", {"lang": "d e"})
        (request,) = api.calls
        cookies = dict(part.split("=", 1) for part in request.headers["cookie"].split("; "))
        assert cookies["lang"] == "d%20e"
        assert cookies["sid"] == "k+1/2="


# -- OAuth 2


async def test_a_token_that_ends_in_the_middle_of_a_burst_is_fetched_once_for_all(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _protected()})
    async with TokenServer().listening() as server, backend() as api:
        api.decide = _wants(server)
        content = configured(api.url, call("make"), auth=_credentials(server))
        async with instance(tmp_path, content, environment=ENVIRONMENT) as it:
            await done(it, "make")
            assert len(server.asked) == 1
            server.revoke()
            gate, held = asyncio.Event(), Held()
            server.faults.append(held)
            api.decide = lambda request: _after(_wants(server)(request), gate)
            messages = [await it.send({"do": "make"}) for _ in range(40)]
            await until(lambda: api.in_flight == 16, "as many calls as may be are under way")
            gate.set()  # all of them are refused at once
            await asyncio.wait_for(held.there.wait(), PATIENCE)
            held.let_go.set()
            for message in messages:
                assert (await it.ended(message))["state"] == "delivered"
        assert len(server.asked) == 2
        refused = [one for one in api.calls[1:] if not server.good(one.headers["authorization"])]
        assert len(refused) == 16
        taken = [one for one in api.calls if server.good(one.headers["authorization"])]
        assert len({one.key for one in taken}) == 40


def _after(act: Act | None, gate: asyncio.Event) -> Act | None:
    return act and replace(act, gate=gate)


async def test_a_token_server_that_is_down_for_a_while_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _protected()})
    async with backend() as gate, TokenServer().listening() as server, backend() as api:
        api.decide = _wants(server)
        await gate.die()  # nobody listens where tokens come from
        content = configured(api.url, call("make"), auth=_credentials(server, token_url=f"{gate.url}/token"))
        async with instance(tmp_path, content, environment=ENVIRONMENT) as it:
            messages = [await it.send({"do": "make"}) for _ in range(10)]

            async def all_wait() -> bool:
                rows = await it.deliveries()
                return len(rows) == 10 and all(row["state"] in ("waiting", "held") for row in rows)

            await until(all_wait, "all wait")
            assert api.calls == []
            shown = (await it.admin("GET", "/api/v1/connections/api")).json()
            assert shown["logins"][0]["state"] == "failing"
            assert shown["logins"][0]["fix"] == "it is asked again by itself"
            gate.decide = lambda _: _granted(server)
            await gate.revive()
            for message in messages:
                assert (await it.ended(message))["state"] == "delivered"
            asked = len(gate.calls)
        assert asked == 1
        assert len({one.key for one in api.calls}) == 10


def _granted(server: TokenServer) -> Act:
    server.tokens["access-after-all"] = ""
    return answers(200, {"access_token": "access-after-all", "token_type": "Bearer", "expires_in": 3600})


# -- TLS


def _tls(folder: Path) -> dict[str, str]:
    identity = authority().sign("pointsman", client=True)
    middle = identity.index(b"-----BEGIN PRIVATE KEY-----")
    for name, text in (
        ("ca.pem", authority().pem),
        ("cert.pem", identity[:middle]),
        ("key.pem", identity[middle:]),
    ):
        path = folder / name
        path.write_bytes(text)
        path.chmod(0o600)
    return {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


@pytest.mark.parametrize("engine", ["pyreqwest", "direct", "httpx"])
async def test_our_certificate_is_shown_to_the_api_and_to_the_token_server(
    tmp_path: Path, engine: str
) -> None:
    write(tmp_path, {"api.json": _protected()})
    context = server_context(authority().sign("127.0.0.1"), client_authority=authority().pem)
    async with (
        TokenServer().listening(context) as server,
        ProtectedAPI(lambda heard: server.good(heard.headers.get("authorization", ""))).listening(
            context
        ) as api,
    ):
        server.clients["shop"] = ""
        login = {"oauth2": {"token_url": server.token_url, "client_id": "shop", "client_auth": "none"}}
        content = configured(api.base, call("make"), auth=login, tls=_tls(tmp_path), engine=engine)
        async with instance(tmp_path, content) as it:
            await done(it, "make")
            # Without our certificate nothing goes through, and nothing is lost.
            tls = content["connections"]["api"]["tls"]
            content["connections"]["api"]["tls"] = {"ca": "ca.pem"}
            await it.reload(content)
            message = await it.send({"do": "make"})

            async def waits() -> bool:
                return (await it.deliveries(message=message))[0]["state"] in ("waiting", "held")

            await until(waits)
            content["connections"]["api"]["tls"] = tls
            await it.reload(content)
            assert (await it.ended(message))["state"] == "delivered"
    assert api.taken == 2
