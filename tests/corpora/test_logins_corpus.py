"""What real descriptions say about logins becomes logins: every identity provider, every kind of parameter."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

from actions.auth import Auth, LoginContext, MemoryKeeper, NoAuth, described, read_auth
from actions.auth.oauth2 import OAuth2
from actions.base import Answer
from actions.errors import Refused
from actions.specs.model import Spec
from actions.transport import Request
from tests.corpora.corpus import expected, folder, read

SET = "power-platform"
PARTS = 4
SECRET = "s3cret-of-the-connection"
CLIENT = {"client_id": "an-id", "client_secret": SECRET, "redirect": "https://here.example/back"}


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="module", params=range(PARTS))
def part(request: pytest.FixtureRequest) -> list[tuple[str, Spec]]:
    found = expected(SET)[request.param :: PARTS]
    return [(one["item"], read(folder(SET, one["file"]))) for one in found]


def values(spec: Spec) -> dict[str, str]:
    """Return something for every connection parameter; parts of a login's URL are hosts."""
    return {
        one.name: one.enum[0] if one.enum else one.default or _made(one.name, secret=one.kind == "secret")
        for one in spec.parameters.values()
        if one.kind != "oauth"
    }


def _made(name: str, *, secret: bool) -> str:
    if secret:
        return SECRET
    return "https://login.example" if name.lower().endswith("url") else ".example"


def unfinished(spec: Spec) -> bool:
    """Tell whether its author has left something to be filled in that no parameter fills."""
    tenant = any(name.lower() == "token:tenantid" for name in spec.parameters)
    return not tenant and any("<<" in str(one.flows) for one in spec.security_schemes.values())


class TokenServer:
    """Says no to everybody; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def fetch(self, request: Request, deadline: float) -> Answer:
        del deadline
        self.asked.append(request)
        return Answer(
            status=400, body=b'{"error": "invalid_grant", "error_description": "' + request.body + b'"}'
        )


def login(spec: Spec, server: TokenServer, given: dict[str, Any] | None) -> Auth:
    context = LoginContext(
        name="c", fetch=server.fetch, tokens=MemoryKeeper(), clock=lambda: 1.0, jitter=lambda: 0.0
    )
    return read_auth(given, described(spec, values(spec), "https://api.example/"), context)


async def test_every_oauth_setting_is_a_login_that_a_person_can_begin(part: list[tuple[str, Spec]]) -> None:
    count = 0
    for name, spec in part:
        if not any(one.kind == "oauth2" for one in spec.security_schemes.values()):
            continue
        server, given = TokenServer(), {"oauth2": {"grant": "authorization_code", **CLIENT}}
        if unfinished(spec):
            with pytest.raises(Refused, match="cannot be called"):
                login(spec, server, given)
            continue
        auth = login(spec, server, given)
        assert isinstance(auth, OAuth2)
        (browser,) = auth.browser_logins().values()
        begun = await browser.begin()
        assert begun.url.startswith("https://"), name
        assert not {"{", "}", " "} & set(begun.url), (name, begun.url)
        for word in ("state=", "code_challenge=", "client_id="):
            assert word in begun.url, (name, word)
        with pytest.raises(Exception, match="invalid_grant") as raised:
            await browser.finish({"state": begun.state, "code": "a-code"})
        assert SECRET not in f"{raised.value} {auth.states()}"
        (asked,) = server.asked
        assert asked.url.startswith("https://"), name
        assert b"a-code" in asked.body
        assert b"{" not in asked.body
        count += 1
    assert count > 20


def test_parameters_that_are_enough_are_a_login_and_nothing_breaks(part: list[tuple[str, Spec]]) -> None:
    logins = 0
    for _, spec in part:
        auth = login(spec, TokenServer(), None)
        shown = auth.mask(Request("GET", "https://api.example/x"))
        assert SECRET not in str(shown)
        logins += not isinstance(auth, NoAuth)
    assert logins > len(part) / 2
