"""Logins of Power Platform connectors over sockets: what their identity providers and parameters mean."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from actions.auth import MemoryKeeper
from actions.auth.power_platform import AZURE
from actions.errors import LoginRequired
from actions.specs import read_spec
from tests.fakes.logins import house
from tests.fakes.token_server import ProtectedAPI, TokenServer

SECRET = "s3cr+t/=&client"
REDIRECT = "http://127.0.0.1:9/back"
PATHS = {"/things": {"get": {"operationId": "get", "responses": {"200": {"description": "ok"}}}}}


def connector(parameters, definitions=None, **more):
    """Read a connector folder with these connection parameters."""
    swagger = {
        "swagger": "2.0",
        "info": {"title": "C", "version": "1"},
        "host": "api.example",
        "paths": PATHS,
        "securityDefinitions": definitions or {},
    }
    properties = {"properties": {"connectionParameters": parameters, **more}}
    return read_spec(
        {
            "apiDefinition.swagger.json": json.dumps(swagger).encode(),
            "apiProperties.json": json.dumps(properties).encode(),
        },
        "apiDefinition.swagger.json",
    )


def oauth(provider, custom, **more):
    return {
        "token": {
            "type": "oauthSetting",
            "oAuthSettings": {
                "identityProvider": provider,
                "clientId": "dummy",
                "scopes": ["a", "b"],
                "customParameters": {name: {"value": value} for name, value in custom.items()},
                **more,
            },
        }
    }


@pytest.fixture
async def server():
    async with TokenServer().listening() as server:
        yield server


@pytest.fixture
async def api(server):
    async with ProtectedAPI(
        lambda heard: server.good(heard.headers.get("authorization", ""))
    ).listening() as api:
        yield api


async def log_in(it, server):
    (login,) = it.auth.browser_logins().values()
    begun = await login.begin()
    await login.finish(server.log_in(begun.url))
    return parse_qs(urlsplit(begun.url).query)


GENERIC = {
    "authorizationUrlTemplate": "{Base}/authorize",
    "authorizationUrlQueryStringTemplate": "?response_type=code&client_id={AppClientId}&redirect_uri={RedirectUrl}"
    "&scope={Scopes}&state={State}",
    "tokenUrlTemplate": "{Base}/token",
    "tokenBodyTemplate": "code={code}&grant_type=authorization_code&redirect_uri={redirectUrl}"
    "&client_id={AppClientId}&client_secret={AppClientSecret}",
    "refreshUrlTemplate": "{base}/token",
    "refreshBodyTemplate": "grant_type=refresh_token&refresh_token={RefreshToken}&client_id={AppClientId}"
    "&client_secret={AppClientSecret}&redirect_uri={RedirectUrl}",
    "scopeListDelimiter": ",",
}


async def test_generic_templates_are_filled_with_the_connection_parameters(server, api):
    spec = connector(
        oauth("oauth2generic", GENERIC)
        | {
            "token:Base": {"type": "string"},
            "token:AppClientId": {"type": "string"},
            "token:AppClientSecret": {"type": "securestring"},
        }
    )
    values = {"token:Base": server.base, "token:AppClientId": "shop", "token:AppClientSecret": SECRET}
    login = {"schemes": {"token": {"oauth2": {"redirect": REDIRECT}}}}
    for given in (login, None):  # the parameters alone are enough, but for where the browser comes back to
        async with house(api.base, given, spec=spec, values=values) as it:
            if given is None:
                with pytest.raises(LoginRequired, match="log in"):
                    await it.call()
                continue
            query = await log_in(it, server)
            assert query["scope"] == ["a,b"]
            assert (await it.call()).status == 200
            it.clock.now += 4000
            assert (await it.call()).status == 200
            assert SECRET not in str(it.auth.states())
    assert [one.form["grant_type"] for one in server.asked] == ["authorization_code", "refresh_token"]
    assert server.asked[0].form["code_verifier"]
    assert server.asked[1].form["redirect_uri"] == REDIRECT


async def test_policies_see_the_new_token_when_one_was_refused(server):
    policy = {
        "templateId": "setheader",
        "title": "their own header",
        "parameters": {
            "x-ms-apimTemplateParameter.name": "Authorization",
            "x-ms-apimTemplateParameter.value": "Key @{headers('Authorization')}",
            "x-ms-apimTemplateParameter.existsAction": "override",
            "x-ms-apimTemplate-policySection": "Request",
        },
    }
    spec = connector(oauth("oauth2", {}), policyTemplateInstances=[policy])
    login = {
        "oauth2": {
            "grant": "client_credentials",
            "token_url": server.token_url,
            "client_id": "shop",
            "client_secret": SECRET,
        }
    }
    async with (
        ProtectedAPI(
            lambda heard: server.good(heard.headers.get("authorization", "").removeprefix("Key "))
        ).listening() as api,
        house(api.base, login, spec=spec) as it,
    ):
        assert (await it.call()).status == 200
        server.revoke()
        it.clock.now += 10
        assert (await it.call()).status == 200
        assert [one.headers["authorization"][:11] for one in api.calls] == ["Key Bearer "] * 3
    assert len(server.asked) == 2


async def test_a_template_that_forgets_the_state_gets_one(server, api):
    forgetful = GENERIC["authorizationUrlQueryStringTemplate"].removesuffix("&state={State}")
    spec = connector(
        oauth("oauth2generic", GENERIC | {"authorizationUrlQueryStringTemplate": forgetful})
        | {
            "token:Base": {"type": "string"},
            "token:AppClientId": {"type": "string"},
            "token:AppClientSecret": {"type": "securestring"},
        }
    )
    values = {"token:Base": server.base, "token:AppClientId": "shop", "token:AppClientSecret": SECRET}
    login = {"schemes": {"token": {"oauth2": {"redirect": REDIRECT}}}}
    async with house(api.base, login, spec=spec, values=values) as it:
        assert len((await log_in(it, server))["state"]) == 1
        assert (await it.call()).status == 200


async def test_tokens_of_one_tenant_are_not_shown_to_another(server, api):
    spec = connector(
        oauth("oauth2generic", GENERIC)
        | {
            "token:Base": {"type": "string"},
            "token:AppClientId": {"type": "string"},
            "token:AppClientSecret": {"type": "securestring"},
        }
    )
    values = {"token:Base": server.base, "token:AppClientId": "shop", "token:AppClientSecret": SECRET}
    login = {"schemes": {"token": {"oauth2": {"redirect": REDIRECT}}}}
    tokens = MemoryKeeper()
    async with house(api.base, login, spec=spec, values=values, tokens=tokens) as it:
        await log_in(it, server)
    async with TokenServer().listening() as other:
        moved = values | {"token:Base": other.base}
        async with house(api.base, login, spec=spec, values=moved, tokens=tokens) as it:
            it.clock.now += 4000
            with pytest.raises(LoginRequired, match="log in"):
                await it.call()
        assert other.asked == []
    rotated = values | {"token:AppClientSecret": "another"}
    async with house(api.base, login, spec=spec, values=rotated, tokens=tokens) as it:
        assert (await it.call()).status == 200  # a new secret of the same client changes nothing


async def test_a_generic_provider_without_bodies_is_asked_in_the_usual_way(server, api):
    custom = {
        "authorizationUrlTemplate": server.authorization_url,
        "tokenUrlTemplate": server.token_url,
        "refreshUrlTemplate": server.token_url,
        # As found in the field: a refresh body that knows no refresh token.
        "refreshBodyTemplate": "code={code}&grant_type=authorization_code&client_id={ClientId}",
    }
    login = {"oauth2": {"client_id": "shop", "client_secret": SECRET, "redirect": REDIRECT}}
    async with house(api.base, login, spec=connector(oauth("oauth2generic", custom))) as it:
        await log_in(it, server)
        it.clock.now += 4000
        assert (await it.call()).status == 200
    assert server.asked[0].form["client_secret"] == SECRET  # as the platform does, in the form
    assert server.asked[1].form["grant_type"] == "refresh_token"


async def test_a_plain_provider_takes_client_and_secret_of_the_connection(server, api):
    custom = {
        "authorizationUrl": server.authorization_url,
        "tokenUrl": server.token_url,
        "refreshUrl": server.token_url,
    }
    login = {"oauth2": {"client_id": "shop", "client_secret": SECRET, "redirect": REDIRECT}}
    async with house(api.base, login, spec=connector(oauth("oauth2", custom))) as it:
        assert (await log_in(it, server))["scope"] == ["a b"]
        assert (await it.call()).status == 200
        assert it.state.kind == "oauth2 authorization_code"


@pytest.mark.parametrize("provider", sorted(AZURE))
async def test_azure_takes_tenant_and_resource_and_client_credentials_work(server, api, provider):
    custom = {"loginUri": server.base, "tenantId": "common", "resourceUri": "https://graph.example"}
    spec = connector(oauth(provider, custom) | {"token:TenantId": {"type": "string"}})
    login = {"oauth2": {"grant": "client_credentials", "client_id": "shop", "client_secret": SECRET}}
    async with house(api.base, login, spec=spec, values={"token:TenantId": "contoso"}) as it:
        with pytest.raises(LoginRequired, match="404"):
            await it.call()
    (asked,) = server.asked
    assert asked.path == "/contoso/oauth2/token"
    assert asked.form["resource"] == "https://graph.example"


async def test_user_name_and_password_of_the_parameters_are_a_login():
    spec = connector(
        {"username": {"type": "securestring"}, "password": {"type": "securestring"}}, {"b": {"type": "basic"}}
    )
    async with (
        ProtectedAPI(lambda _: True).listening() as api,
        house(api.base, None, spec=spec, values={"username": "u", "password": "p"}) as it,
    ):
        assert (await it.call()).status == 200
    assert api.calls[0].headers["authorization"] == "Basic dTpw"


async def test_the_key_of_the_parameters_is_a_login():
    spec = connector(
        {"api_key": {"type": "securestring"}}, {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    )
    async with (
        ProtectedAPI(lambda _: True).listening() as api,
        house(api.base, None, spec=spec, values={"api_key": "k3y"}) as it,
    ):
        assert (await it.call()).status == 200
    assert api.calls[0].headers["x-key"] == "k3y"


async def test_of_several_sets_the_one_whose_values_are_given_logs_in(server):
    sets = {
        "connectionParameterSets": {
            "values": [
                {"name": "key", "parameters": {"api_key": {"type": "securestring"}}},
                {
                    "name": "oauth",
                    "parameters": oauth(
                        "oauth2", {"authorizationUrl": f"{server.base}/a", "tokenUrl": server.token_url}
                    ),
                },
            ]
        }
    }
    spec = connector({}, {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}, **sets)
    async with (
        ProtectedAPI(lambda heard: heard.headers.get("x-key") == "k3y").listening() as api,
        house(api.base, None, spec=spec, values={"api_key": "k3y"}) as it,
    ):
        assert (await it.call()).status == 200
        assert it.auth.states() == []
