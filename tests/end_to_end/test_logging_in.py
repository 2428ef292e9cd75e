"""A person logs in to a backend, by API, browser and command; tokens survive a restart, unreadable."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.end_to_end.backend import Act, Call, answers, backend
from tests.end_to_end.instance import ENVIRONMENT, Instance, connection, document, instance, until
from tests.end_to_end.shell import PROGRAM, environment, pointsman
from tests.fakes.token_server import TokenServer
from tests.patience import PATIENCE


def _wants(server: TokenServer) -> Any:
    def decide(call: Call) -> Act | None:
        return (
            None if server.good(call.headers.get("authorization", "")) else answers(401, {"why": "no token"})
        )

    return decide


def _content(url: str, server: TokenServer, **more: Any) -> dict[str, Any]:
    login = {
        "grant": "authorization_code",
        "token_url": server.token_url,
        "authorization_url": server.authorization_url,
        "client_id": "shop",
        "client_secret": {"env": "CLIENT_SECRET"},
        "scopes": ["orders"],
        **more,
    }
    return document(url, connections={"shop": connection(url, auth={"oauth2": login})})


def _secrets(server: TokenServer) -> dict[str, str]:
    return {"CLIENT_SECRET": server.clients["shop"]}


async def _held(it: Instance, message: str) -> None:
    await it.ended(message, "held")
    shown = (await it.admin("GET", "/api/v1/connections/shop")).json()
    assert shown["state"] == "held"
    assert shown["logins"][0]["state"] == "required"
    assert shown["logins"][0]["fix"] == "log in: pointsman connections login shop"


async def test_deliveries_wait_for_a_login_in_a_browser_and_tokens_survive_a_restart(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        content = _content(shop.url, server)
        async with instance(tmp_path, content, environment=_secrets(server)) as it:
            message = await it.send({"n": 1})
            await _held(it, message)
            back = f"http://127.0.0.1:{it.service.admin.port}/oauth/callback"
            server.redirects = (back,)
            begun = (await it.admin("POST", "/api/v1/connections/shop/login", json={"redirect": back})).json()
            returned = server.log_in(begun["url"])
            wrong = await it.client.get(back, params={**returned, "state": f"{returned['state']}x"})
            assert wrong.status_code == 400
            page = await it.client.get(back, params=returned)
            assert page.status_code == 200
            assert "works now" in page.text
            assert (await it.client.get(back, params=returned)).status_code == 400  # once
            assert (await it.ended(message))["state"] == "delivered"
        stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("pointsman.db*"))
        assert not any(secret.encode() in stored for secret in server.secrets() if secret)
        assert (tmp_path / "data" / "seal.key").stat().st_mode & 0o077 == 0
        async with instance(tmp_path, content, environment=_secrets(server)) as it:
            asked = len(server.asked)
            assert (await it.ended(await it.send({"n": 2})))["state"] == "delivered"
            assert len(server.asked) == asked  # the token of before


async def test_a_connection_is_tried_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        async with instance(tmp_path, _content(shop.url, server), environment=_secrets(server)) as it:
            tried = (await it.admin("POST", "/api/v1/connections/shop/test", json={})).json()
            assert (tried["state"], tried["operation"]) == ("authorization-required", "get")
            assert tried["fix"] == "log in: pointsman connections login shop"
            back = "http://127.0.0.1:9/back"
            begun = (await it.admin("POST", "/api/v1/connections/shop/login", json={"redirect": back})).json()
            query = server.log_in(begun["url"])
            for lacking in ({}, {"code": "x"}, {"state": ":x", "code": "x"}):
                refused = await it.admin("POST", "/api/v1/login/finish", json={"query": lacking})
                assert refused.status_code == 422
                assert "no `state` came back" in refused.text
            done = await it.admin("POST", "/api/v1/login/finish", json={"query": query})
            assert done.json() == {"connection": "shop", "scheme": "", "state": "ready"}
            tried = (await it.admin("POST", "/api/v1/connections/shop/test", json={})).json()
            assert (tried["state"], tried["status"]) == ("ok", 200)
            history = tried["logins"][0]["history"]
            assert history[-1]["why"] == "somebody logged in"
            assert not any(secret in str(tried) for secret in server.secrets() if secret)
            refused = await it.admin("POST", "/api/v1/connections/shop/test", json={"operation": "one"})
            assert refused.status_code == 422
            assert "changes nothing" in refused.text


async def test_the_command_waits_for_the_browser_to_come_back(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        async with instance(tmp_path, _content(shop.url, server), environment=_secrets(server)) as it:
            port = it.service.admin.port
            process = await asyncio.create_subprocess_exec(
                *(*PROGRAM, "connections", "login", "shop"),
                *("--server", f"http://127.0.0.1:{port}", "--data", str(tmp_path / "data")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment(),
                cwd=tmp_path,
            )
            assert process.stdout is not None
            said = ""
            while "waiting for it" not in said:
                said += (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
            (url,) = re.findall(r"^http://\S+/authorize\S+$", said, re.MULTILINE)
            (back,) = re.findall(r"come back to (\S+)", said)
            server.redirects = (back,)
            for guess in ({"state": "guessed", "code": "x"}, {"state": ""}, {}):  # any page can send these
                assert (await it.client.get(back, params=guess)).status_code == 404
            assert (await it.client.get(back, params=server.log_in(url))).status_code == 200
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
            await until(lambda: it.lane().state == "ok")
            assert (await it.ended(await it.send({})))["state"] == "delivered"


async def test_a_command_without_an_instance_keeps_the_refresh_token_that_it_was_given(
    tmp_path: Path,
) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        server.rotates = True
        login = {"grant": "refresh_token", "refresh_token": {"env": "FIRST"}}
        content = _content(shop.url, server, **login)
        secrets = {**ENVIRONMENT, **_secrets(server), "FIRST": server.first_refresh_token()}
        async with instance(tmp_path, content, environment=secrets) as it:
            assert (await it.ended(await it.send({"n": 1})))["state"] == "delivered"
            beside = await _tried(tmp_path, secrets, server="http://127.0.0.1:9")
            assert (
                beside["state"] == "login-failing"
            )  # the instance has the tokens, and is not robbed of them
            assert "cannot be had" in beside["reason"]
            assert (await it.ended(await it.send({"n": 2})))["state"] == "delivered"
        server.tokens.clear()  # what was kept is not taken any more: a new one is asked for
        assert (await _tried(tmp_path, secrets))["state"] == "ok"
        server.tokens.clear()
        async with instance(tmp_path, content, environment=secrets) as it:
            assert (await it.ended(await it.send({"n": 3})))["state"] == "delivered"


async def _tried(folder: Path, secrets: dict[str, str], server: str = "") -> Any:
    """Try the connection by the command that works without an instance."""
    words = ("connections", "test", "shop", "--data", str(folder / "data"), "-o", "json")
    done = await asyncio.to_thread(
        lambda: pointsman(*words, *(("--server", server) if server else ()), cwd=folder, **secrets)
    )
    return json.loads(done.stdout)
