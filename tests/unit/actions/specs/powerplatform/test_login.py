"""Connection parameters, parameter sets and logins of apiProperties.json."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.model import Need, SecurityScheme, Spec
from tests.tables import every_row

GOOD = {"/o": {"get": {"operationId": "Get", "responses": {}}}}


def folder(properties: Any, **definition: Any) -> Spec:
    root = {"swagger": "2.0", "info": {}, "host": "a.x", "schemes": ["https"], "paths": GOOD, **definition}
    files = {"apiDefinition.swagger.json": root, "apiProperties.json": {"properties": properties}}
    return read_spec({name: json.dumps(one).encode() for name, one in files.items()})


def oauth(provider: str, custom: dict[str, Any], **more: Any) -> dict[str, Any]:
    settings = {
        "identityProvider": provider,
        "customParameters": custom,
        "scopes": ["a b"],
        "clientSecret": "hush",
        **more,
    }
    return {"token": {"type": "oauthSetting", "oAuthSettings": settings}}


def scheme_of(spec: Spec) -> SecurityScheme:
    (found,) = (one for one in spec.security_schemes.values() if one.kind == "oauth2")
    return found


@every_row(
    ("written", "kind"),
    [
        ("string", "string"),
        ("securestring", "secret"),
        ("SecureString", "secret"),
        ("int", "integer"),
        ("bool", "boolean"),
        ("gatewaySetting", "gateway"),
        ("magic", "string"),
    ],
)
def test_parameters_have_their_kinds(written: str, kind: str) -> None:
    spec = folder({"connectionParameters": {"p": {"type": written}}})
    assert spec.parameters["p"].kind == kind
    assert any(one.code == "connection-parameter" for one in spec.findings) == (written == "magic")


@every_row(
    ("required", "wanted"), [("true", True), (True, True), ("False", False), (None, False), (7, False)]
)
def test_required_is_text_as_a_rule(required: Any, wanted: bool) -> None:
    shown = {
        "displayName": "P",
        "tooltip": "t",
        "constraints": {
            "required": required,
            "allowedValues": [{"text": "A", "value": "a"}, {"text": "B"}, "c", 7],
        },
    }
    found = folder(
        {"connectionParameters": {"p": {"type": "string", "uiDefinition": shown, "defaultValue": True}}}
    ).parameters["p"]
    assert (found.required, found.enum, found.default, found.description) == (
        wanted,
        ("a", "B", "c", "7"),
        "true",
        "t",
    )
    assert found.extras["uiDefinition"] == shown


def test_a_parameter_knows_the_sets_that_it_belongs_to() -> None:
    key = {"type": "securestring", "uiDefinition": {"constraints": {"required": "true"}}}
    values = [
        {
            "name": "a",
            "uiDefinition": {"displayname": "A way"},
            "parameters": {"key": {"type": "securestring"}, "url": {"type": "string"}},
        },
        {"name": "b", "parameters": {"key": key}},
    ]
    spec = folder(
        {
            "connectionParameterSets": {"values": values},
            "connectionParameters": {"url": {"type": "string"}, "all": {"type": "string"}},
        }
    )
    assert spec.parameter_sets == {"a": "A way", "b": "b"}
    assert {name: one.sets for name, one in spec.parameters.items()} == {
        "key": ("a", "b"),
        "url": ("a",),
        "all": (),
    }
    assert spec.parameters["key"].required


def test_an_oauth_setting_is_the_login_of_a_definition_that_names_none() -> None:
    custom = {
        "AuthorizationUrl": {"value": "https://l"},
        "TokenUrl": "https://t",
        "RefreshUrl": {"value": "https://r"},
    }
    parameters = {**oauth("oauth2", custom), "token:Host": {"type": "string"}}
    spec = folder({"connectionParameters": parameters}, security=[])
    found = scheme_of(spec)
    assert found.flows == {
        "authorizationCode": {
            "authorizationUrl": "https://l",
            "tokenUrl": "https://t",
            "refreshUrl": "https://r",
            "scopes": {"a": "", "b": ""},
        }
    }
    kept = found.extras["power-platform"]
    assert kept["parameters"] == {"oauth": "token", "Host": "token:Host"}
    assert (kept["identityProvider"], kept["scopes"]) == ("oauth2", ["a", "b"])
    assert spec.operations["Get"].security == ((Need(scheme="token"),),)
    assert "hush" not in str(spec)


def test_undeclared_schemes_mean_what_the_properties_say() -> None:
    custom = {"tokenUrl": {"value": "https://t"}}
    spec = folder({"connectionParameters": oauth("oauth2", custom)}, security=[{"gone": ["s"]}])
    assert spec.security_schemes["gone"].flows["authorizationCode"]["tokenUrl"] == "https://t"
    assert spec.operations["Get"].security == ((Need(scheme="gone", scopes=("s",)),),)
    assert [(one.severity, one.code) for one in spec.findings] == [("info", "security-scheme")]
    other = {
        "securityDefinitions": {"k": {"type": "apiKey", "in": "query", "name": "q"}},
        "security": [{"gone": []}],
    }
    assert folder({}, **other).security_schemes["gone"].parameter == "q"
    two = {"Username": {"type": "string"}, "password": {"type": "securestring"}}
    basic = folder({"connectionParameters": two}, security=[{"gone": []}]).security_schemes["gone"]
    assert (basic.kind, basic.scheme) == ("http", "basic")
    assert basic.extras["power-platform"]["parameters"] == {"username": "Username", "password": "password"}
    assert folder({}, security=[{"gone": []}]).security_schemes["gone"].problem


def test_the_properties_are_right_where_a_definition_says_otherwise() -> None:
    declared = {"type": "oauth2", "flow": "implicit", "authorizationUrl": "https://old", "scopes": {"s": "d"}}
    custom = {"authorizationUrl": {"value": "https://new"}, "tokenUrl": {"value": "https://t"}}
    spec = folder({"connectionParameters": oauth("oauth2", custom)}, securityDefinitions={"o": declared})
    flow = scheme_of(spec).flows["authorizationCode"]
    assert (flow["authorizationUrl"], flow["scopes"]) == ("https://new", {"s": "d", "a": "", "b": ""})
    assert spec.operations["Get"].security == ((Need(scheme="o"),),)


@every_row(
    ("provider", "custom", "token"),
    [
        (
            "aad",
            {"loginUri": {"value": "https://l/"}, "tenantId": {"value": "t"}},
            "https://l/t/oauth2/token",
        ),
        ("aad", {}, "https://login.windows.net/common/oauth2/token"),
        ("aadcertificate", {}, "https://login.windows.net/common/oauth2/token"),
        ("facebook", {}, "https://graph.facebook.com/v9.0/oauth/access_token"),
        ("DocuSign", {"LoginUri": {"value": "https://d"}}, "https://d/oauth/token"),
        (
            "oauth2generic",
            {"tokenUrlTemplate": {"value": "{Url}/t"}, "tokenBodyTemplate": {"value": "x"}},
            "{Url}/t",
        ),
        ("unheard-of", {}, None),
    ],
)
def test_identity_providers_have_their_urls(provider: str, custom: dict[str, Any], token: str | None) -> None:
    spec = folder({"connectionParameters": oauth(provider, custom)})
    found = scheme_of(spec)
    assert found.flows["authorizationCode"].get("tokenUrl") == token
    assert set(found.extras["power-platform"]["customParameters"]) == set(custom)
    assert any(one.code == "identity-provider" for one in spec.findings) == (token is None)


def test_a_login_of_one_set_of_several_is_optional() -> None:
    values = [
        {"name": "a", "parameters": oauth("aad", {})},
        {"name": "b", "parameters": {"key": {"type": "securestring"}}},
    ]
    spec = folder({"connectionParameterSets": {"values": values}})
    assert spec.operations["Get"].security == ((Need(scheme="token"),), ())


@every_row(
    ("parameters", "taken"),
    [
        ({"api_key": {"type": "securestring"}, "other": {"type": "securestring"}}, "api_key"),
        ({"K": {"type": "string"}}, "K"),
        ({"mine": {"type": "securestring"}, "url": {"type": "string"}}, "mine"),
        ({"one": {"type": "securestring"}, "two": {"type": "securestring"}}, None),
    ],
)
def test_a_key_is_taken_from_its_connection_parameter(parameters: dict[str, Any], taken: str | None) -> None:
    spec = folder(
        {"connectionParameters": parameters},
        securityDefinitions={"k": {"type": "apiKey", "in": "header", "name": "K"}},
    )
    found = spec.security_schemes["k"].extras.get("power-platform", {"parameters": {"value": None}})
    assert found["parameters"] == {"value": taken}
    assert spec.operations["Get"].security == ((Need(scheme="k"),),)


def test_security_stays_empty_where_no_connection_parameter_asks_for_a_login() -> None:
    spec = folder({}, securityDefinitions={"k": {"type": "apiKey", "in": "header", "name": "K"}})
    assert spec.operations["Get"].security == ()


def test_a_parameter_of_two_kinds_is_reported() -> None:
    values = [
        {"name": name, "parameters": {"key": {"type": kind}}}
        for name, kind in (("a", "securestring"), ("b", "string"))
    ]
    spec = folder({"connectionParameterSets": {"values": values}})
    assert spec.parameters["key"].kind == "secret"
    assert [one.code for one in spec.findings] == ["connection-parameter"]


def test_a_declared_flow_stays_where_the_properties_name_no_token_url() -> None:
    declared = {"type": "oauth2", "flow": "application", "tokenUrl": "https://t", "scopes": {}}
    spec = folder({"connectionParameters": oauth("unheard-of", {})}, securityDefinitions={"o": declared})
    assert list(scheme_of(spec).flows) == ["clientCredentials"]
    assert scheme_of(spec).extras["power-platform"]["identityProvider"] == "unheard-of"
