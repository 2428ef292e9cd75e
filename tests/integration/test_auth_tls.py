"""A private authority and our own certificate hold for the token server as for the backend."""

import pytest

from actions.errors import LoginRequired, RetryLater
from actions.origins import Certificates
from tests.fakes.certificates import authority, server_context
from tests.fakes.logins import house
from tests.fakes.token_server import ProtectedAPI, TokenServer

SECRET = "s3cr+t/=&client"


def context(**more):
    return server_context(authority().sign("127.0.0.1"), **more)


def certificates(*, client=True):
    identity = authority().sign("pointsman", client=True) if client else b""
    return Certificates(ca=authority().pem, identity=identity)


@pytest.fixture(params=["direct", "pyreqwest", "httpx"])
async def call(request):
    async with (
        TokenServer().listening(context(client_authority=authority().pem)) as server,
        ProtectedAPI(lambda heard: server.good(heard.headers.get("authorization", ""))).listening(
            context()
        ) as api,
    ):

        async def made(shown, login=None):
            login = login or {"client_secret": SECRET}
            login = {"oauth2": {"token_url": server.token_url, "client_id": "shop", **login}}
            async with house(api.base, login, certificates=shown, engine=request.param) as it:
                return await it.call()

        made.server = server
        yield made


async def test_our_certificate_is_shown_to_the_token_server_too(call):
    assert (await call(certificates())).status == 200


async def test_a_client_may_be_known_by_its_certificate_alone(call):
    call.server.clients["shop"] = ""  # RFC 8705 §2: the name in the form, the proof in the handshake
    assert (await call(certificates(), {"client_auth": "none"})).status == 200
    assert call.server.asked[0].form["client_id"] == "shop"


async def test_without_our_certificate_no_token_is_given(call):
    with pytest.raises(RetryLater):
        await call(certificates(client=False))
    assert call.server.asked == []


async def test_a_token_server_of_an_unknown_authority_gets_no_secret(call):
    with pytest.raises((RetryLater, LoginRequired)):
        await call(Certificates())
    assert call.server.asked == []
