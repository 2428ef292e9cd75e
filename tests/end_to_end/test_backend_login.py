"""Credentials that are refused hold a connection and lose no delivery; redirects take no credential anywhere."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.backend import Act, Call, answers, backend
from tests.end_to_end.instance import Instance, connection, document, instance, step, until

OLD, NEW = "token-of-the-backend", "the-new-token"


def _content(url: str, **more: Any) -> dict[str, Any]:
    auth = {"auth": {"bearer": {"env": "BACKEND_TOKEN"}}}
    return document(url, connections={"shop": connection(url, **auth, **more)})


def _wants(token: str) -> Any:
    """Return a decision: 401 to everybody who does not bring this token."""

    def decide(call: Call) -> Act | None:
        if call.headers.get("authorization") == f"Bearer {token}":
            return None
        return answers(401, {"why": "the token has expired"}, www_authenticate="Bearer")

    return decide


async def _held(it: Instance, count: int) -> None:
    async def look() -> bool:
        found = await it.deliveries()
        return len(found) == count and {row["state"] for row in found} == {"held"}

    await until(look, f"{count} held deliveries")


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_hold_the_connection_until_an_operator_releases_it(
    tmp_path: Path, status: int
) -> None:
    async with backend(answers(status, {"why": "no"})) as shop, instance(tmp_path, _content(shop.url)) as it:
        await asyncio.gather(*(it.send({"n": n}) for n in range(20)))
        await _held(it, 20)
        assert it.lane().state == "held"
        calls = len(shop.calls)
        assert calls <= 16  # what was in flight, and nothing after
        await it.send({"n": 20})
        await _held(it, 21)
        assert len(shop.calls) == calls

        listed = (await it.admin("GET", "/api/v1/connections")).json()["items"][0]
        assert listed["state"] == "held"
        assert f"the backend answered {status}" in listed["reason"]
        assert OLD not in str(listed)
        assert (await it.admin("GET", "/api/v1/health")).json()["status"] == "degraded"

        shop.default = Act()
        released = await it.admin("POST", "/api/v1/connections/shop/release")
        assert released.status_code == 200, released.text
        await until(lambda: _delivered(it, 21), "21 delivered")
        assert it.lane().state == "ok"
        again = await it.admin("POST", "/api/v1/connections/shop/release")
        assert again.status_code == 409


async def _delivered(it: Instance, count: int) -> bool:
    return await it.count("delivered") == count


async def test_new_credentials_in_the_configuration_let_everything_go_on(tmp_path: Path) -> None:
    async with backend() as shop:
        shop.decide = _wants(NEW)
        environment = {"BACKEND_TOKEN": OLD}
        async with instance(tmp_path, _content(shop.url), environment=environment) as it:
            await asyncio.gather(*(it.send({"n": n}) for n in range(10)))
            await _held(it, 10)
            await it.reload()  # nothing about the connection has changed: it stays held
            assert it.lane().state == "held"
            it.service._environment["BACKEND_TOKEN"] = NEW  # type: ignore[index]
            await it.reload()
            await until(lambda: _delivered(it, 10), "10 delivered")
            first = await it.show((await it.deliveries())[-1]["id"])
            assert [one["outcome"] for one in first["attempts"]][-1] == "ok"
            keys = {
                call.body: {one.key for one in shop.calls if one.body == call.body} for call in shop.calls
            }
            assert all(len(made) == 1 for made in keys.values())


async def test_a_hold_outlives_a_restart_and_a_login_ends_it(tmp_path: Path) -> None:
    async with backend() as shop:
        shop.decide = _wants(NEW)
        async with instance(tmp_path, _content(shop.url)) as it:
            await it.send({"n": 1})
            await _held(it, 1)
            await until(lambda: it.service.store.get("hold/"), "the hold is on disk")
            calls = len(shop.calls)
        async with instance(tmp_path, _content(shop.url)) as it:
            assert it.lane().state == "held"
            await it.send({"n": 2})
            await _held(it, 2)
            assert len(shop.calls) == calls
        async with instance(tmp_path, _content(shop.url), environment={"BACKEND_TOKEN": NEW}) as it:
            await until(lambda: _delivered(it, 2), "2 delivered")
            assert not await it.service.store.get("hold/")


async def test_a_probe_finds_out_that_the_credentials_are_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.connections.HOLD_PROBE", 0.2)
    async with backend(answers(401)) as shop, instance(tmp_path, _content(shop.url)) as it:
        await asyncio.gather(*(it.send({"n": n}) for n in range(30)))
        await until(lambda: it.lane().state == "held", "the hold")
        await _held(it, 30)
        before = len(shop.calls)
        shop.most_in_flight = 0
        await shop.called(before + 2)
        assert shop.most_in_flight == 1  # probes go alone
        shop.default = Act()
        await until(lambda: _delivered(it, 30), "30 delivered")


async def test_a_connection_that_is_not_to_be_held_lets_each_delivery_die(tmp_path: Path) -> None:
    async with (
        backend(answers(403, {"why": "not yours"})) as shop,
        instance(tmp_path, _content(shop.url, hold=False)) as it,
    ):
        first = await it.ended(await it.send({"n": 1}))
        assert first["state"] == "dead"
        assert "403" in first["reason"]
        assert it.lane().state == "ok"
        shop.default = Act()
        assert (await it.ended(await it.send({"n": 2})))["state"] == "delivered"


async def test_gone_ends_the_delivery_and_the_rule_goes_on(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        shop.script(answers(410, {"why": "moved away"}))
        gone = await it.ended(await it.send({"n": 1}))
        assert gone["state"] == "dead"
        assert "410" in gone["reason"]
        assert (await it.ended(await it.send({"n": 2})))["state"] == "delivered"


async def test_a_redirect_is_not_followed_and_no_credential_goes_anywhere_else(tmp_path: Path) -> None:
    async with backend() as thief, backend() as shop:
        content = _content(shop.url)
        content["rules"]["all"]["do"].append(step("shop.get", **{"with": {}}))
        async with instance(tmp_path, content) as it:
            for status in (301, 302, 303, 307, 308):
                shop.script(
                    answers(status, location=f"{thief.url}/one"),
                )
                dead = await it.ended(await it.send({"n": status}))
                assert dead["state"] == "dead"
                assert "redirects are not followed" in dead["reason"]
            shop.script(answers(200), answers(302, location=f"{thief.url}/get"))
            dead = await it.ended(await it.send({"n": 1}))
            assert (dead["state"], dead["step"]) == ("dead", 1)
        assert thief.connections == 0
        assert all(call.headers["authorization"] == f"Bearer {OLD}" for call in shop.calls)


async def test_no_credential_is_kept_anywhere(tmp_path: Path) -> None:
    """Neither ours nor the sender's nor the backend's: the files of the store are searched."""
    sent = {
        "authorization": "Bearer sender-secret-1", "cookie": "session=sender-secret-2", "x-api-key": "sender-secret-3",
    }  # fmt: skip
    async with backend() as shop:
        shop.script(
            answers(422, {"why": "no"}, set_cookie="id=backend-secret-1", www_authenticate="backend-secret-2")
        )
        async with instance(tmp_path, _content(shop.url)) as it:
            message = (await it.post(b'{"n": 1}', headers=sent)).json()["id"]
            dead = await it.ended(message)
            shown = str(dead) + str((await it.admin("GET", f"/api/v1/messages/{message}")).json())
        kept = b"".join(file.read_bytes() for file in (tmp_path / "data").glob("pointsman.db*"))
        for secret in ("sender-secret", "backend-secret", OLD):
            assert secret.encode() not in kept, secret
            assert secret not in shown, secret
        assert shop.calls[0].headers["authorization"] == f"Bearer {OLD}"
