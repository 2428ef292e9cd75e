from typing import Any

from actions.specs.model import Need
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import codes, item, one, read


def login(kind: str, **values: Any) -> dict[str, Any]:
    return {"type": kind, kind: [{"key": key, "value": value} for key, value in values.items()]}


def needs(operation: Any) -> list[list[str]]:
    return [[need.scheme for need in alternative] for alternative in operation.security]


@every_row(
    ("auth", "expected"),
    [
        (login("basic", username="{{u}}", password="{{p}}"), ("http", "basic", "", "")),
        (login("bearer", token="{{t}}"), ("http", "bearer", "", "")),
        (login("digest", username="{{u}}", password="{{p}}"), ("http", "digest", "", "")),
        (login("apikey", key="X-Key", value="{{k}}"), ("apiKey", "", "header", "X-Key")),
        (login("apikey", key="key", value="{{k}}", **{"in": "query"}), ("apiKey", "", "query", "key")),
        (login("oauth2", accessToken="{{t}}", addTokenTo="header"), ("http", "bearer", "", "")),
        (
            login("oauth2", accessToken="{{t}}", addTokenTo="queryParams"),
            ("apiKey", "", "query", "access_token"),
        ),
        ({"type": "bearer", "bearer": {"token": "{{t}}"}}, ("http", "bearer", "", "")),
    ],
)
def test_a_login_becomes_a_scheme(auth: dict[str, Any], expected: tuple[str, ...]) -> None:
    spec = read(item("https://a.x/b", auth=auth))
    (scheme,) = spec.security_schemes.values()
    assert (scheme.kind, scheme.scheme, scheme.location, scheme.parameter) == expected
    assert scheme.problem == ""
    assert one(spec).security == ((Need(scheme=scheme.name),),)
    assert codes(spec) == []


@every_row(
    ("grant", "flow", "urls"),
    [
        ("authorization_code_with_pkce", "authorizationCode", {"authorizationUrl", "tokenUrl"}),
        ("implicit", "implicit", {"authorizationUrl"}),
        ("password_credentials", "password", {"tokenUrl"}),
        ("client_credentials", "clientCredentials", {"tokenUrl"}),
    ],
)
def test_oauth_2_keeps_its_flow_and_scopes(grant: str, flow: str, urls: set[str]) -> None:
    auth = login(
        "oauth2", grant_type=grant, authUrl="{{id}}/auth", accessTokenUrl="{{id}}/token", scope="a b"
    )
    spec = read(item("https://a.x/b", auth=auth), variable=[{"key": "id", "value": "https://id.x"}])
    flows = spec.security_schemes["oauth2"].flows
    assert list(flows) == [flow]
    assert flows[flow].keys() - {"scopes"} == urls
    assert all(flows[flow][name].startswith("https://id.x/") for name in urls)
    assert one(spec).security == ((Need(scheme="oauth2", scopes=("a", "b")),),)


@every_row("kind", ["oauth1", "hawk", "awsv4", "ntlm", "edgegrid", "jwt", "asap", "new kind"])
def test_a_login_that_cannot_be_done_says_so_and_degrades(kind: str) -> None:
    spec = read(item("https://a.x/b", auth=login(kind, x="y")))
    (scheme,) = spec.security_schemes.values()
    assert scheme.problem
    assert one(spec).status == "degraded"
    assert scheme.name in one(spec).degraded[0]
    assert "security-scheme" in codes(spec)


def test_a_request_inherits_from_the_nearest_that_says_anything() -> None:
    spec = read(
        {"name": "f", "auth": login("basic", username="{{u}}", password="{{p}}"), "item": [
            item("https://a.x/1"),
            item("https://a.x/2", auth=login("bearer", token="{{own}}")),
            item("https://a.x/3", auth={"type": "noauth"}),
            {"name": "g", "item": [item("https://a.x/4")]},
        ]},
        item("https://a.x/5"),
        auth=login("bearer", token="{{t}}"),
    )  # fmt: skip
    found = {operation.path: needs(operation) for operation in spec.operations.values()}
    assert found == {
        "/1": [["basic"]], "/2": [["bearer_own"]], "/3": [[]], "/4": [["basic"]], "/5": [["bearer_t"]]
    }  # fmt: skip


def test_nothing_said_of_a_login_says_nothing() -> None:
    assert one(read(item("https://a.x/b"))).security == ()


def test_requests_of_one_operation_with_other_logins_are_alternatives() -> None:
    spec = read(
        item("https://a.x/b", name="1", auth={"type": "noauth"}),
        item("https://a.x/b", name="2", auth=login("basic", username="{{u}}", password="{{p}}")),
        item("https://a.x/b", name="3", auth=login("bearer", token="{{t}}")),
        item("https://a.x/b", name="4", auth=login("bearer", token="{{t}}")),
    )
    assert needs(one(spec)) == [["bearer"], ["basic"], []]


@every_row(
    ("value", "kind", "scheme"),
    [
        ("Bearer {{t}}", "http", "bearer"),
        ("Basic {{b}}", "http", "basic"),
        ("{{t}}", "apiKey", ""),
        ("Token x", "apiKey", ""),
    ],
)
def test_an_authorization_header_is_a_login_and_no_parameter(value: str, kind: str, scheme: str) -> None:
    spec = read(item("https://a.x/b", header=[{"key": "Authorization", "value": value}]))
    assert one(spec).parameters == ()
    (known,) = spec.security_schemes.values()
    assert (known.kind, known.scheme) == (kind, scheme)


def test_the_login_of_a_collection_wins_over_a_header() -> None:
    spec = read(item("https://a.x/b", header="Authorization: Token x"), auth=login("bearer", token="{{t}}"))
    assert needs(one(spec)) == [["bearer"]]


def test_keys_in_headers_and_queries_are_logins_beside_the_others() -> None:
    spec = read(
        item("https://a.x/b?api_key={{k}}&c=d", header=[{"key": "X-API-Key", "value": "{{k}}"}, {"key": "X-Other", "value": "{{k}}"}], auth=login("bearer", token="{{t}}"))
    )  # fmt: skip
    assert needs(one(spec)) == [["bearer", "X-API-Key", "api_key"]]
    assert [parameter.name for parameter in one(spec).parameters] == ["c", "X-Other"]


def test_credentials_of_a_collection_are_not_kept() -> None:
    spec = read(
        item("https://a.x/1", auth=login("basic", username="ich", password="geheim")),
        item("https://a.x/2", auth=login("bearer", token="geheim")),
        item("https://a.x/3", header="Authorization: Bearer geheim"),
        item("https://a.x/4", auth=login("oauth1", consumerSecret="geheim")),
        item("https://a.x/5", auth=login("apikey", key="K", value="geheim")),
    )
    assert "geheim" not in repr(spec)
    assert codes(spec).count("credential") == 3


def test_a_login_keeps_the_variables_that_it_is_made_of() -> None:
    spec = read(item("https://a.x/b", auth=login("basic", username="{{u}}", password="{{p}}")))
    assert spec.security_schemes["basic"].extras["x-postman-variables"] == {
        "password": ["p"],
        "username": ["u"],
    }


def test_a_key_without_a_name_cannot_be_sent() -> None:
    (scheme,) = read(item("https://a.x/b", auth=login("apikey", value="{{k}}"))).security_schemes.values()
    assert "names no header" in scheme.problem


@every_row("name", ["X-V5-Auth-Token", "X-My-Shop-Api-Key", "X-Vendor-Access-Token"])
def test_keys_in_headers_of_vendors_are_logins(name: str) -> None:
    operation = one(read(item("https://a.x/b", header=[{"key": name, "value": "{{k}}"}])))
    assert (needs(operation), operation.parameters) == ([[name]], ())


@every_row("name", ["X-Next-Token", "Token-Kind", "Y-V5-Auth-Token", "X-Auth-Token-Kind"])
def test_headers_that_only_sound_like_it_are_inputs(name: str) -> None:
    operation = one(read(item("https://a.x/b", header=[{"key": name, "value": "{{k}}"}])))
    assert [known.name for known in operation.parameters] == [name]
