import pytest

from actions.auth import Described
from actions.auth.oauth2_reading import oauth2_settings
from actions.auth.placing import AUTHORIZATION
from actions.errors import Refused
from actions.specs.model import ConnectionParameter, SecurityScheme
from tests.tables import every_row

URL = "https://login.example/token"


def scheme(name="sso", **flows):
    return SecurityScheme(name=name, kind="oauth2", flows=flows)


def settings(given, *schemes, **more):
    known = Described(schemes={one.name: one for one in schemes}, **more)
    return oauth2_settings(given, known, AUTHORIZATION)


def problems(given, *schemes, **more):
    with pytest.raises(Refused) as raised:
        settings(given, *schemes, **more)
    return dict(raised.value.problems)


@every_row(
    ("given", "grant"),
    [
        ({"client_id": "c", "client_secret": "s"}, "client_credentials"),
        ({"client_id": "c", "username": "u", "password": "p"}, "password"),
        ({"refresh_token": "r"}, "refresh_token"),
        ({"assertion": {"key": "shared secret, long enough"}}, "jwt_bearer"),
        ({"client_id": "c", "assertion": {"key": "shared secret, long enough"}}, "client_credentials"),
        ({"client_id": "c", "grant": "password", "username": "u", "password": "p"}, "password"),
    ],
)
def test_the_grant_is_what_fits_the_fields(given, grant):
    assert settings({"token_url": URL, **given}).grant == grant


def test_the_grant_is_what_the_description_has():
    code = {"authorizationUrl": "https://login.example/authorize", "tokenUrl": URL}
    given = {"client_id": "c"}
    assert settings(given, scheme(authorizationCode=code)).grant == "authorization_code"
    assert (
        settings(given, scheme(authorizationCode=code, clientCredentials={"tokenUrl": URL})).grant
        == "client_credentials"
    )


def test_the_flow_of_the_grant_says_where():
    one = scheme(
        clientCredentials={"tokenUrl": URL}, password={"tokenUrl": f"{URL}2", "refreshUrl": f"{URL}3"}
    )
    assert settings({"client_id": "c"}, one).token_url == URL
    found = settings({"client_id": "c", "username": "u", "password": "p"}, one)
    assert (found.token_url, found.refresh_url) == (f"{URL}2", f"{URL}3")
    assert (
        settings({"client_id": "c", "token_url": "https://mine.example/t"}, one).token_url
        == "https://mine.example/t"
    )


def test_the_implicit_flow_says_where_people_log_in():
    one = scheme(implicit={"authorizationUrl": "https://login.example/a"})
    found = settings({"client_id": "c", "token_url": URL, "grant": "authorization_code"}, one)
    assert found.authorization_url == "https://login.example/a"
    assert "say `token_url`" in problems({"client_id": "c"}, one)["/oauth2"]


def test_several_token_urls_for_no_flow_of_ours_are_told():
    one = scheme(clientCredentials={"tokenUrl": URL}, password={"tokenUrl": f"{URL}2"})
    assert "several token URLs" in problems({"refresh_token": "r"}, one)["/oauth2/token_url"]
    assert settings({"refresh_token": "r", "token_url": URL}, one).token_url == URL


@every_row(
    ("url", "wanted"),
    [("/token", "https://api.example/token"), ("token", "https://api.example/v1/token"), (URL, URL)],
)
def test_a_relative_url_is_relative_to_the_api(url, wanted):
    found = settings(
        {"client_id": "c"}, scheme(clientCredentials={"tokenUrl": url}), base="https://api.example/v1"
    )
    assert found.token_url == wanted


def test_everything_that_is_missing_is_said_at_once():
    assert problems({"grant": "password"}).keys() == {"/oauth2", "/oauth2/username", "/oauth2/password"}
    assert problems({"grant": "authorization_code", "token_url": URL}).keys() == {
        "/oauth2/client_id",
        "/oauth2/authorization_url",
    }
    assert problems({"client_id": "c", "token_url": URL, "client_auth": "private_key_jwt"}).keys() == {
        "/oauth2/assertion"
    }
    assert problems({"client_id": "c", "token_url": URL, "client_auth": "client_secret_post"}).keys() == {
        "/oauth2/client_secret"
    }
    for url in (
        "ftp://x/",
        "nope",
        "https://l.example/<<tenant>>/token",
        "https://u:p@l.example/",
        "https://l.example/../t",
    ):
        assert "cannot be called" in problems({"client_id": "c", "token_url": url})["/oauth2/token_url"]
    assert problems({"grant": "jwt_bearer", "token_url": URL, "assertion": {"key": "{"}}).keys() >= {
        "/oauth2/assertion"
    }


def test_a_url_that_is_not_safe_is_said():
    def unsafe(url):
        return "not there" * url.startswith("http://")

    assert problems({"client_id": "c", "token_url": "http://l.example/t"}, unsafe=unsafe) == {
        "/oauth2/token_url": "`token_url` cannot be called: not there"
    }


def test_openid_connect_is_discovered():
    one = SecurityScheme(
        name="o", kind="openIdConnect", url="https://issuer.example/.well-known/openid-configuration"
    )
    assert settings({"client_id": "c"}, one).discovery == one.url
    assert settings({"client_id": "c", "token_url": URL}, one).discovery == ""


def test_nothing_secret_is_in_a_repr():
    given = {
        "client_id": "c",
        "client_secret": "s3cret",
        "extra": {"k": "s3cret"},
        "username": "u",
        "password": "s3cret",
    }
    found = settings(
        {"token_url": URL, **given, "refresh_token": "s3cret", "assertion": {"key": "s3cret, long enough"}}
    )
    assert "s3cret" not in repr(found)
    assert "s3cret" not in repr(Described(values={"a": "s3cret"}))
    with pytest.raises(Refused) as raised:
        settings({**given, "token_url": "nope"})
    assert "s3cret" not in str(raised.value)


# -- Power Platform

GENERIC = SecurityScheme(
    name="token",
    kind="oauth2",
    flows={
        "authorizationCode": {
            "authorizationUrl": "https://accounts.zoho{CustomHost}/oauth/v2/auth",
            "tokenUrl": "https://accounts.zoho{CustomHost}/oauth/v2/token",
        }
    },
    extras={
        "power-platform": {
            "identityProvider": "oauth2generic",
            "customParameters": {
                "authorizationUrlQueryStringTemplate": "?client_id={ClientId}&state={State}",
                "tokenBodyTemplate": "code={Code}&client_secret={ClientSecret}",
                "refreshBodyTemplate": "refresh_token={RefreshToken}",
                "scopeListDelimiter": ",",
            },
            "scopes": ["a", "b"],
            "parameters": {
                "oauth": "token",
                "CustomHost": "token:CustomHost",
                "ClientSecret": "token:ClientSecret",
            },
        }
    },
)
PARAMETERS = {
    name: ConnectionParameter(name=name, kind=kind)
    for name, kind in (("token", "oauth"), ("token:CustomHost", "string"), ("token:ClientSecret", "secret"))
}


def test_templates_take_the_connection_parameters():
    values = {"token:CustomHost": ".eu", "token:ClientSecret": "s3cret-value"}
    found = settings({"client_id": "c"}, GENERIC, parameters=PARAMETERS, values=values)
    assert found.grant == "authorization_code"
    assert found.templates.values == {"customhost": ".eu", "clientsecret": "s3cret-value"}
    assert found.templates.hidden == ("s3cret-value",)
    assert (found.scopes, found.delimiter, found.client_secret) == (("a", "b"), ",", "s3cret-value")
    assert "s3cret-value" not in repr(found)


def test_a_parameter_that_a_url_needs_is_asked_for():
    found = problems({"client_id": "c"}, GENERIC, parameters=PARAMETERS)
    assert found["/oauth2/token_url"] == "the URL needs CustomHost: give it under `parameters`"


def test_azure_takes_tenant_and_resource():
    azure = SecurityScheme(
        name="token",
        kind="oauth2",
        flows={
            "authorizationCode": {
                "authorizationUrl": "https://login.windows.net/common/oauth2/authorize",
                "tokenUrl": "https://login.windows.net/common/oauth2/token",
            }
        },
        extras={
            "power-platform": {
                "identityProvider": "aad",
                "customParameters": {"resourceUri": "@connectionParameters('res','https://graph.example')"},
                "parameters": {"oauth": "token", "TenantId": "token:TenantId"},
            }
        },
    )
    given = {"client_id": "c", "client_secret": "s", "grant": "client_credentials"}
    found = settings(given, azure, values={"token:TenantId": "contoso"})
    assert found.token_url == "https://login.windows.net/contoso/oauth2/token"
    assert found.extra == {"resource": "https://graph.example"}
    assert found.client_auth == "client_secret_post"
    found = settings({**given, "extra": {"resource": "mine"}}, azure, values={"res": "x"})
    assert found.extra == {"resource": "mine"}
    assert found.authorization_extra == {"resource": "x"}
    assert "/common/" in found.token_url
