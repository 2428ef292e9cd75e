"""Digest over sockets: a server that counts and checks, and what servers in the field do."""

import asyncio
import contextlib

import pytest

from tests.fakes.digest_server import DigestServer
from tests.fakes.logins import house, spec_of
from tests.fakes.raw_backend import RawBackend
from tests.fakes.token_server import Said, serve
from tests.patience import PATIENCE

PATHS = {
    "/things": {
        "get": {"operationId": "get", "responses": {"200": {"description": "ok"}}},
        "post": {
            "operationId": "post",
            "requestBody": {"content": {"application/json": {"schema": {}}}},
            "responses": {"200": {"description": "ok"}},
        },
    }
}
LOGIN = {"digest": {"username": "Mufasa", "password": "Circle of Life"}}


class Unable:
    """Asks for what nobody can do."""

    def __init__(self, challenge):
        self.said = Said(401, b"", (f"WWW-Authenticate: {challenge}",))

    async def answer(self, heard):
        return self.said


@contextlib.asynccontextmanager
async def at(server, login=LOGIN):
    async with (
        RawBackend(lambda talk: serve(talk, server.answer)).listening() as backend,
        house(f"http://127.0.0.1:{backend.port}", login, spec=spec_of(paths=PATHS)) as it,
    ):
        yield it


@pytest.mark.parametrize(
    "algorithm",
    [None, "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", "md5"],
)
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int,auth", "auth, auth-int"])
async def test_every_algorithm_is_answered_at_once_and_beforehand_after_that(algorithm, qop):
    server = DigestServer(algorithm=algorithm, qop=qop)
    async with at(server) as it:
        for _ in range(3):
            assert (await it.call()).status == 200
            prepared = it.connector.prepare("post", {"body": {"a": 1}}, key="k")
            assert (await it.connector.call(prepared, deadline=PATIENCE, headers={})).status == 200
    assert (server.challenged, server.taken) == (1, 6)


async def test_a_server_without_qop_is_answered_the_old_way():
    server = DigestServer(algorithm=None, qop=None)
    async with at(server) as it:
        for _ in range(3):
            assert (await it.call()).status == 200
    assert server.challenged == 1


async def test_parallel_calls_share_one_nonce_and_count_it():
    server = DigestServer()
    async with at(server) as it:
        assert (await it.call()).status == 200
        answers = await asyncio.gather(*(it.call() for _ in range(30)))
    assert {one.status for one in answers} == {200}
    assert server.challenged == 1
    assert sorted(map(len, server.nonces.values())) == [31]


async def test_parallel_first_calls_are_all_answered():
    server = DigestServer()
    async with at(server) as it:
        answers = await asyncio.gather(*(it.call() for _ in range(10)))
    assert {one.status for one in answers} == {200}


async def test_a_stale_nonce_is_replaced_within_the_call():
    server = DigestServer(uses=2)
    async with at(server) as it:
        for _ in range(7):
            assert (await it.call()).status == 200
    assert server.taken == 7
    assert len(server.nonces) == 4


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-256-sess", "MD5-sess"])
async def test_the_next_nonce_of_an_answer_is_used(algorithm):
    server = DigestServer(next_after=2, algorithm=algorithm)
    async with at(server) as it:
        for _ in range(7):
            assert (await it.call()).status == 200
    assert server.challenged == 1
    assert len(server.nonces) == 1
    assert server.taken == 7


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256-sess"])
async def test_a_server_that_keeps_no_session_is_satisfied_too(algorithm):
    server = DigestServer(algorithm=algorithm, forgets=True)
    async with at(server) as it:
        for _ in range(3):
            assert (await it.call()).status == 200
    assert server.challenged == 1


async def test_a_user_name_may_travel_as_a_hash():
    server = DigestServer(userhash=True)
    async with at(server) as it:
        assert (await it.call()).status == 200
    assert "Mufasa" not in str(server.heard)


async def test_a_user_name_beyond_ascii_travels_encoded():
    server = DigestServer(user="Jäsøn Doe", password="Secret, or not?")
    async with at(server, {"digest": {"username": "Jäsøn Doe", "password": "Secret, or not?"}}) as it:
        assert (await it.call()).status == 200
    assert "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe" in server.heard[-1].headers["authorization"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
async def test_a_nonce_that_is_good_once_is_replaced_though_nobody_says_stale(algorithm):
    server = DigestServer(uses=1, says_stale=False, algorithm=algorithm)
    async with at(server) as it:
        for _ in range(4):
            assert (await it.call()).status == 200
        server.password = "changed"
        for heard in (2, 2):
            before = len(server.heard)
            assert (await it.call()).status == 401
            assert len(server.heard) - before == heard
    assert server.taken == 4


async def test_a_wrong_password_is_tried_once():
    server = DigestServer()
    async with at(server, {"digest": {"username": "Mufasa", "password": "wrong"}}) as it:
        assert (await it.call()).status == 401
        assert len(server.heard) == 2
        assert (await it.call()).status == 401
        assert not await it.connector.login_again()
    assert "wrong" not in str(server.heard)


@pytest.mark.parametrize(
    "more",
    [
        ('WWW-Authenticate: Basic realm="x"',),
        ('WWW-Authenticate: Negotiate, Digest realm="x", nonce="y", algorithm=TIGER, qop="auth"',),
        ('WWW-Authenticate: Digest realm="x, y", qop="auth-conf", nonce="z"',),
        ("WWW-Authenticate: NTLM TlRMTVNTUAACAAAA==",),
    ],
)
async def test_the_challenge_that_we_can_meet_is_met(more):
    server = DigestServer(more=more)
    async with at(server) as it:
        assert (await it.call()).status == 200


async def test_of_several_algorithms_the_strongest_is_taken():
    server = DigestServer(more=('WWW-Authenticate: Digest realm="m", nonce="n", qop="auth", algorithm=MD5',))
    async with at(server) as it:
        assert (await it.call()).status == 200


@pytest.mark.parametrize(
    "field",
    ["Basic realm=x", "Digest", 'Digest realm="x"', "Digest realm=x, nonce=y, algorithm=TIGER", "", ",,,="],
)
async def test_a_challenge_that_we_cannot_meet_leaves_the_401(field):
    async with at(Unable(field)) as it:
        assert (await it.call()).status == 401
