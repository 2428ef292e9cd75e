"""The shape of `auth`: what is taken, and what is said about the rest."""

import pytest
from pydantic import SecretStr

from service.config.model import Configuration
from tests.tables import every_row

HEAD = "connectors: {api: {spec: api.json}}\nconnections: {api: {connector: api, auth: "
ENV = {"S": "secret-value"}


@pytest.fixture
def auth(check, write):
    write("api.json", "{}")

    def read(text, **env):
        return check(f"{HEAD}{text}}}}}\n", **(env or ENV))

    return read


@every_row(
    "text",
    [
        "{bearer: {env: S}, prefix: 'Token '}",
        "{api_key: {env: S}, in: cookie, name: sid, prefix: x}",
        "{digest: {username: u, password: {env: S}}}",
        "{jwt: {key: {env: S}, issuer: me, lifetime: 9m, claims: {scope: a, n: 1}}}",
        "{oauth2: {client_id: c, client_secret: {env: S}}}",
        "{oauth2: {client_id: {env: S}, client_secret: {env: S}, scopes: a b}}",
        "{oauth2: {client_id: c, scopes: [a, b], delimiter: ','}, in: query, name: access_token}",
        "{oauth2: {grant: password, username: u, password: {env: S}, token_url: 'https://l.example/t?x=1'}}",
        "{oauth2: {refresh_token: {env: S}, extra: {audience: a, code: {env: S}}}}",
        "{oauth2: {grant: jwt_bearer, assertion: {key: {env: S}, algorithm: ES256}}}",
        "{oauth2: {grant: authorization_code, discovery: 'https://l.example', redirect: 'http://127.0.0.1:1/b'}}",
        "{oauth2: {client_id: c, expired_when: {status: 419}}}",
        "{oauth2: {client_id: c, expired_when: {status: [400, 419], body_contains: expired}}}",
        "{schemes: {a: {oauth2: {client_id: c}}, b: {api_key: {env: S}}}}",
    ],
)
def test_every_way_to_log_in_is_taken(auth, text):
    assert auth(text).problems == ()


@every_row(
    ("text", "pointer", "words"),
    [
        ("{}", "", "0 are given: none; give one of bearer, basic, digest, api_key, jwt, oauth2"),
        ("{bearer: {env: S}, digest: {username: u, password: {env: S}}}", "", "2 are given: bearer, digest"),
        ("{bearer: {env: S}, in: query, name: x}", "", "belong to `api_key`, `jwt` and `oauth2`"),
        ("{basic: {username: u, password: {env: S}}, prefix: x}", "", "`prefix` belongs to"),
        ("{oauth2: {client_secret: plain}}", "/oauth2/client_secret", "secrets are references"),
        ("{oauth2: {extra: {a: {env: MISSING}}}}", "/oauth2/extra/a", "MISSING is not set"),
        ("{oauth2: {grant: implicit}}", "/oauth2/grant", "client_credentials"),
        ("{oauth2: {token_url: l.example/token}}", "/oauth2/token_url", "form"),
        ("{oauth2: {token_url: 'https://u:p@l.example/'}}", "/oauth2/token_url", "form"),
        ("{oauth2: {username: u}}", "/oauth2", "`username` and `password` go together"),
        ("{oauth2: {expired_when: {}}}", "/oauth2/expired_when", "says nothing"),
        ("{oauth2: {expired_when: {status: 99}}}", "/oauth2/expired_when/status", "100"),
        ("{oauth2: {clientid: c}}", "/oauth2/clientid", "did you mean `client_id`"),
        ("{jwt: {issuer: me}}", "/jwt/key", "missing"),
        ("{jwt: {key: {env: S}, lifetime: 5}}", "/jwt/lifetime", "unit"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(auth, text, pointer, words):
    problems = [one for one in auth(text).problems if one.severity == "error"]
    assert [one.pointer.removeprefix("/connections/api/auth") for one in problems] == [pointer] or any(
        one.pointer.removeprefix("/connections/api/auth").startswith(pointer) for one in problems
    )
    assert words in " ".join(map(str, problems))
    assert "plain" not in str([one.found for one in problems])


def test_a_plain_value_may_stand_where_a_secret_may(auth):
    given = auth("{oauth2: {client_id: c, extra: {audience: a, code: {env: S}}}}").configuration
    oauth2 = given.connections["api"].auth.oauth2
    assert oauth2.client_id == "c"
    assert oauth2.extra == {"audience": "a", "code": SecretStr("secret-value")}
    assert "secret-value" not in repr(given)


def test_parameters_are_plain_or_secret(check, write):
    write("api.json", "{}")
    text = "connectors: {api: {spec: api.json}}\nconnections: {api: {connector: api, parameters: {a: x, b: 7, c: true, d: {env: S}}}}\n"
    checked = check(text, **ENV)
    assert checked.problems == ()
    given = checked.configuration.connections["api"].parameters
    assert given == {"a": "x", "b": 7, "c": True, "d": SecretStr("secret-value")}
    assert isinstance(given["c"], bool)


def test_no_secret_of_a_login_is_in_what_is_stored(auth):
    checked = auth("{oauth2: {client_id: {env: S}, client_secret: {env: S}, extra: {a: {env: S}}}}")
    assert b"secret-value" not in checked.document
    assert isinstance(checked.configuration, Configuration)
