"""A connection that logs in by OAuth 2, in a running instance: no delivery is lost to a token server."""

from pathlib import Path
from typing import Any

from tests.end_to_end.backend import Act, Call, answers, backend
from tests.end_to_end.instance import Instance, connection, document, instance, until
from tests.fakes.token_server import TokenServer, fails

SECRET = "s3cr+t/=&client"


def _content(url: str, server: TokenServer, **more: Any) -> dict[str, Any]:
    oauth2 = {
        "token_url": server.token_url,
        "client_id": "shop",
        "client_secret": {"env": "BACKEND_TOKEN"},
        **more,
    }
    return document(url, connections={"shop": connection(url, auth={"oauth2": oauth2})})


def _wants(server: TokenServer) -> Any:
    def decide(call: Call) -> Act | None:
        return (
            None if server.good(call.headers.get("authorization", "")) else answers(401, {"why": "the token"})
        )

    return decide


async def _delivered(it: Instance, count: int) -> bool:
    return await it.count("delivered") == count


async def test_deliveries_share_a_token_and_outlive_its_revocation(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        async with instance(
            tmp_path, _content(shop.url, server), environment={"BACKEND_TOKEN": SECRET}
        ) as it:
            for n in range(10):
                await it.send({"n": n})
            await until(lambda: _delivered(it, 10), "10 delivered")
            assert len(server.asked) == 1
            server.revoke()
            for n in range(10):
                await it.send({"n": n})
            await until(lambda: _delivered(it, 20), "20 delivered")
            kept = b"".join(file.read_bytes() for file in (tmp_path / "data").glob("pointsman.db*"))
        for secret in server.secrets():
            assert secret.encode() not in kept


async def test_a_token_server_that_is_down_delays_and_loses_nothing(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        server.faults.append(fails(503))
        async with instance(
            tmp_path, _content(shop.url, server), environment={"BACKEND_TOKEN": SECRET}
        ) as it:
            for n in range(5):
                await it.send({"n": n})
            await until(lambda: _delivered(it, 5), "5 delivered")
        assert len(server.asked) == 2
        assert len(shop.calls) == 5


async def test_a_client_that_is_refused_holds_the_connection_until_it_is_taken(tmp_path: Path) -> None:
    async with TokenServer().listening() as server, backend() as shop:
        shop.decide = _wants(server)
        server.clients["shop"] = "another"
        async with instance(
            tmp_path, _content(shop.url, server), environment={"BACKEND_TOKEN": SECRET}
        ) as it:
            for n in range(5):
                await it.send({"n": n})
            await until(lambda: _held(it, 5), "5 held")
            assert shop.calls == []
            (listed,) = (await it.admin("GET", "/api/v1/connections")).json()["items"]
            assert listed["state"] == "held"
            assert "invalid_client" in listed["reason"]
            assert SECRET not in str(listed)
            server.clients["shop"] = SECRET
            await until(lambda: _released(it), "released and delivered")


async def _held(it: Instance, count: int) -> bool:
    return await it.count("held") == count


async def _released(it: Instance) -> bool:
    """Release until the login's own rest is over."""
    await it.admin("POST", "/api/v1/connections/shop/release")
    return await _delivered(it, 5)
