"""What reaches the API at all: hosts, origins, sizes; and what every answer tells browsers."""

import pytest

from service.api.security import LARGEST_BODY
from tests.tables import every_row

pytestmark = pytest.mark.asyncio(loop_scope="module")


@every_row("host", ["127.0.0.1", "127.0.0.1:8081", "localhost:9", "[::1]:8081", "LOCALHOST"])
async def test_our_own_hosts_are_served(home, host):
    assert (await home.ask("GET", "/health/live", None, headers={"host": host})).status_code == 200


@every_row(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8081", "", "127.0.0.1@evil.example", "::1"],
)
async def test_other_hosts_are_refused_before_the_token_is_looked_at(home, host):
    answer = await home.ask("GET", "/api/v1/messages", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:pointsman:problem:unknown-host"


async def test_two_host_headers_are_refused(home):
    headers = [("host", "127.0.0.1"), ("host", "evil.example")]
    assert (await home.client.get("/health/live", headers=headers)).status_code == 421


@every_row(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://evil.example:8081",
    ],
)
async def test_foreign_origins_are_refused(home, origin):
    answer = await home.ask("POST", "/api/v1/configuration/reload", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:pointsman:problem:foreign-origin"


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8081", "http://localhost"])
async def test_our_own_origin_is_served(home, origin):
    assert (await home.ask("GET", "/api/v1/rules", headers={"origin": origin})).status_code == 200


async def test_a_body_that_says_it_is_too_large_is_refused(home):
    answer = await home.ask("POST", "/api/v1/tokens", content=b" " * (LARGEST_BODY + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:pointsman:problem:body-too-large")


async def test_a_body_that_does_not_end_is_refused(home):
    async def endless():
        for _ in range(100):
            yield b" " * (LARGEST_BODY // 10)

    answer = await home.ask("POST", "/api/v1/tokens", content=endless())
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:pointsman:problem:body-too-large")


@every_row("path", ["/health/live", "/api/v1/messages", "/nothing", "/api/v1/deliveries/x"])
async def test_no_answer_is_kept_guessed_or_framed_by_a_browser(home, path):
    answer = await home.ask("GET", path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@every_row("path", ["/docs", "/redoc", "/openapi.json", "/", "/api", "/metrics/", "/debug"])
async def test_there_is_nothing_to_see_without_a_token(home, path):
    answer = await home.ask("GET", path, None)
    assert answer.status_code in (401, 404, 307)
    assert "pmt_" not in answer.text


async def test_nothing_of_a_strangers_body_is_read(home):
    read = 0

    async def body():
        nonlocal read
        for _ in range(3):
            read += 1
            yield b" " * 1000

    answer = await home.client.post(
        "/api/v1/tokens", content=body(), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:pointsman:problem:unauthorized")
    # httpx's transport reads ahead by one piece at most.
    assert read <= 1


async def test_half_a_surrogate_pair_is_answered(home):
    answer = await home.ask("POST", "/api/v1/tokens", content=b'{"name": "\\ud800", "role": "\\ud800"}')
    assert answer.status_code == 422
