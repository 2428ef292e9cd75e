"""Who may do what: every endpoint of the OpenAPI document, with every kind of caller."""

import pytest

from service.usecases.tokens import ROLES
from tests.tables import every_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {("get", "/health/live"), ("get", "/health/ready")}
VALUES = {
    "message": "msg_000001",
    "reject": "rej_000001",
    "delivery": "dlv_000001-1-1",
    "connector": "shop",
    "connection": "shop",
    "operation": "order",
    "name": "nobody",
    "source": "open",
    "verb": "restart",
}


def least_role(method, path):
    """What the documentation says: to look is a reader's, to act an operator's, to rule an admin's."""
    if path.startswith("/api/v1/tokens") or path.endswith(("/configuration/reload", "/rewind")):
        return "admin"
    if path == "/api/v1/doctor":
        return "operator"  # it asks everything outside
    return "reader" if method == "get" else "operator"


def endpoints(app):
    for path, item in app.openapi()["paths"].items():
        for method in item:
            yield method, path
    yield "get", "/api/v1/openapi.json"


async def test_every_endpoint_lets_through_whom_it_should_and_nobody_else(home):
    seen = 0
    for method, path in endpoints(home.app):
        url = path.format(**VALUES)
        for caller in ("nobody", "wrong", *ROLES):
            headers = {"authorization": "Bearer pmt_wrong"} if caller == "wrong" else {}
            role = caller if caller in ROLES else None
            answer = await home.ask(method, url, role, headers=headers)
            told = f"{method} {path} as {caller}: {answer.status_code} {answer.text[:200]}"
            seen += 1
            if (method, path) in OPEN:
                assert answer.status_code == 200, told
            elif role is None:
                assert answer.status_code == 401, told
                assert answer.json()["type"] == "urn:pointsman:problem:unauthorized", told
                assert answer.headers["www-authenticate"].startswith("Bearer"), told
            elif ROLES.index(role) < ROLES.index(least_role(method, path)):
                assert answer.status_code == 403, told
                assert answer.json()["type"] == "urn:pointsman:problem:forbidden", told
            else:
                assert answer.status_code not in (401, 403, 500), told
    assert seen > 100


async def test_the_document_says_which_endpoints_want_a_token(home):
    for path, item in home.app.openapi()["paths"].items():
        for method, operation in item.items():
            assert bool(operation.get("security")) == ((method, path) not in OPEN), f"{method} {path}"


@every_row(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwbXQ=",
        "pmt_",
        "Bearer  ",
        "Bearer pmt_\xe9",
        "Bearer a b",
        "Token x",
    ],
)
async def test_what_is_no_token_is_none(home, header):
    answer = await home.client.get("/api/v1/messages", headers={b"authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoked_token_is_worthless_at_once(home):
    home.tokens["short"] = (await home.ask("POST", "/api/v1/tokens", json={"name": "short"})).json()["token"]
    assert (await home.ask("GET", "/api/v1/messages", "short")).status_code == 200
    assert (await home.ask("DELETE", "/api/v1/tokens/short")).status_code == 200
    assert (await home.ask("GET", "/api/v1/messages", "short")).status_code == 401


async def test_the_token_in_the_data_directory_is_an_admin_s_and_its_owner_s_alone(home):
    data = home.service.settings.data
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "admin.token").stat().st_mode & 0o777 == 0o600
    token = (data / "admin.token").read_text("ascii").strip()
    answer = await home.client.get("/api/v1/tokens", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_tokens_are_kept_as_hashes(home):
    kept = b"".join((await home.service.store.get("token/")).values()).decode()
    for token in home.tokens.values():
        assert token not in kept
        assert token not in (await home.ask("GET", "/api/v1/tokens")).text
