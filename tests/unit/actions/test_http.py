import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.auth import APIKey, Bearer, read_auth
from actions.egress import read_egress
from actions.errors import OutcomeUnknown, Refused
from actions.http import HTTPConnector
from actions.origins import HTTPLimits
from actions.specs import read_spec
from tests.tables import every_row
from tests.unit.actions.calling import OK, Names, ScriptedEngine

PUBLIC = "93.184.216.34"
KEY = "0123456789abcdef"
ORDER = {"orderId": "o 1", "body": {"qty": 2}}


def operation(name, *parameters, body=False, **more):
    made = {
        "operationId": name,
        "responses": {"200": {"description": "ok"}},
        "parameters": list(parameters),
        **more,
    }
    if body:
        made["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return made


def header(name, required=False):
    return {"name": name, "in": "header", "required": required, "schema": {"type": "string"}}


ORDER_ID = {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string"}}
SPEC = read_spec(
    {
        "shop.json": msgspec.json.encode(
            {
                "openapi": "3.0.3",
                "info": {"title": "Shop", "version": "1"},
                "paths": {
                    "/orders/{orderId}": {
                        "get": operation("getOrder", ORDER_ID),
                        "put": operation("putOrder", ORDER_ID, body=True, security=[{"key": []}]),
                    },
                    "/pay": {
                        "post": operation("pay", header("X-Request-Id"), header("Idempotency-Key"), body=True)
                    },
                    "/old": {"post": operation("old", header("X-Idempotency-Key"), body=True)},
                    "/trace": {"post": operation("trace", header("traceparent"), header("User-Agent"))},
                },
                "components": {
                    "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
                },
            }
        )
    }
)


class Shop:
    def __init__(self, **options):
        self.names = Names([PUBLIC])
        self.engines: list[ScriptedEngine] = []
        values = {
            "server": "https://shop.example/v1",
            "resolver": self.names,
            "engine": self.engine,
            **options,
        }
        self.connector = HTTPConnector("shop", SPEC, **values)

    def engine(self, settings):
        self.engines.append(ScriptedEngine(settings))
        return self.engines[-1]

    async def sent(self, name, arguments, *, key=KEY, **headers):
        prepared = self.connector.prepare(name, arguments, key=key)
        answer = await self.connector.call(prepared, deadline=3.0, headers=headers)
        assert answer == OK
        return self.engines[0].sent[-1][0]


async def test_an_operation_becomes_one_request():
    shop = Shop(auth=Bearer("t0ken"))
    request = await shop.sent("putOrder", ORDER, traceparent="00-1-2-01")
    assert (request.method, request.url) == ("PUT", "https://shop.example/v1/orders/o%201")
    assert request.body == b'{"qty":2}'
    assert {name.lower(): value for name, value in request.headers} == {
        "content-type": "application/json",
        "user-agent": "Pointsman",
        "accept-encoding": "identity",
        "idempotency-key": f'"{KEY}"',
        "traceparent": "00-1-2-01",
        "authorization": "Bearer t0ken",
    }
    assert shop.engines[0].addresses == [PUBLIC]


async def test_the_engine_is_told_the_limits():
    shop = Shop(limits=HTTPLimits(in_flight=3, connect_timeout=1.5, max_answer_bytes=77))
    await shop.sent("getOrder", {"orderId": "1"})
    settings = shop.engines[0].settings
    assert (settings.name, settings.host, settings.in_flight, settings.connect_timeout) == (
        "shop",
        "shop.example",
        3,
        1.5,
    )
    assert shop.engines[0].caps == [77]


@every_row(
    ("name", "arguments", "expected"),
    [
        ("putOrder", ORDER, ("Idempotency-Key", f'"{KEY}"')),
        ("pay", {"body": {}}, ("Idempotency-Key", f'"{KEY}"')),
        ("pay", {"body": {}, "Idempotency-Key": "mine"}, ("Idempotency-Key", "mine")),
        ("old", {"body": {}}, ("X-Idempotency-Key", KEY)),
    ],
)
async def test_the_key_goes_into_the_header_that_is_declared(name, arguments, expected):
    request = await Shop().sent(name, arguments)
    keys = [pair for pair in request.headers if pair[0].lower() in {"idempotency-key", "x-idempotency-key"}]
    assert keys == [expected]


async def test_what_changes_nothing_needs_no_key():
    assert (await Shop().sent("getOrder", {"orderId": "1"})).header("idempotency-key") is None
    assert (await Shop().sent("putOrder", ORDER, key="")).header("idempotency-key") is None


async def test_what_the_arguments_say_wins_over_ours_but_not_over_the_attempt():
    request = await Shop().sent(
        "trace", {"traceparent": "theirs", "User-Agent": "their/1"}, traceparent="ours"
    )
    assert [value for name, value in request.headers if name.lower() == "traceparent"] == ["ours"]
    assert [value for name, value in request.headers if name.lower() == "user-agent"] == ["their/1"]


async def test_nothing_of_the_attempt_or_the_arguments_takes_the_place_of_credentials():
    shop = Shop(auth=key_login())
    request = await shop.sent("putOrder", ORDER, **{"x-key": "forged"})
    assert [value for name, value in request.headers if name.lower() == "x-key"] == ["secret"]


def key_login():
    return read_auth({"api_key": "secret"}, SPEC.security_schemes)


@every_row("value", ["a\r\nHost: evil", "é", "\x00"])
async def test_attempt_headers_cannot_end_early(value):
    shop = Shop()
    prepared = shop.connector.prepare("getOrder", {"orderId": "1"}, key=KEY)
    with pytest.raises(Refused, match="causationid"):
        await shop.connector.call(prepared, deadline=1.0, headers={"ce-causationid": value})
    assert shop.engines[0].sent == []


# -- the digest


def test_the_digest_is_over_the_request_without_credentials_and_key():
    one, other = Shop(auth=Bearer("a")).connector, Shop(auth=APIKey("query", "k", "b")).connector
    digest = one.prepare("putOrder", ORDER, key="1").digest
    assert (
        digest
        == one.prepare("putOrder", ORDER, key="2").digest
        == other.prepare("putOrder", ORDER, key="1").digest
    )
    assert len(digest) == 16


@every_row(
    ("name", "arguments"),
    [
        ("putOrder", {**ORDER, "orderId": "2"}),
        ("putOrder", {**ORDER, "body": {"qty": 3}}),
        ("getOrder", {"orderId": "o 1"}),
        ("pay", {"body": {"qty": 2}}),
        ("pay", {"body": {"qty": 2}, "X-Request-Id": "1"}),
    ],
)
def test_the_digest_changes_with_every_part(name, arguments):
    connector = Shop().connector
    assert (
        connector.prepare(name, arguments, key=KEY).digest
        != connector.prepare("putOrder", ORDER, key=KEY).digest
    )


def test_the_digest_stays_the_same_over_releases():
    digest = Shop().connector.prepare("putOrder", ORDER, key=KEY).digest.hex()
    assert digest == "8eb7825bdc236a5ce3716b264b609014"


# -- what is refused


def test_an_unknown_operation_is_told_with_what_was_meant():
    with pytest.raises(Refused, match="did you mean getOrder"):
        Shop().connector.prepare("getOrdr", {}, key=KEY)


def test_aliases_name_the_same_operation():
    connector = Shop().connector
    prepared = connector.prepare("GET /orders/{orderId}", {"orderId": "1"}, key=KEY)
    assert prepared == connector.prepare("getOrder", {"orderId": "1"}, key=KEY)
    assert prepared.operation in connector.operations()


@every_row("value", ["..", ".", "%2e%2e", "a/../b", "..%2f", "%252e%252e", "", "a\x00b"])
def test_no_path_parameter_leads_elsewhere(value):
    try:
        url = Shop().connector.prepare("getOrder", {"orderId": value}, key=KEY).request.url
    except Refused:
        return
    assert url.startswith("https://shop.example/v1/orders/")
    assert url.count("/") == 5


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_arguments_the_origin_and_the_framing_stay(order, text):
    connector = Shop(auth=Bearer("t")).connector
    try:
        prepared = connector.prepare("pay", {"body": {"a": order}, "X-Request-Id": text}, key=KEY)
    except Refused:
        return
    assert prepared.request.url == "https://shop.example/v1/pay"
    assert all("\r" not in value and "\n" not in value for _, value in prepared.request.headers)


@every_row("server", ["https://127.1/", "ftp://shop.example", "https://u:p@shop.example", "nonsense"])
def test_a_server_that_cannot_be_called_is_refused_at_once(server):
    with pytest.raises(Refused, match="shop: server"):
        Shop(server=server)


async def test_a_server_of_the_inside_is_refused_when_called():
    shop = Shop(server="http://10.0.0.1/v1")
    prepared = shop.connector.prepare("getOrder", {"orderId": "1"}, key=KEY)
    with pytest.raises(Refused, match="may not be called"):
        await shop.connector.call(prepared, deadline=1.0, headers={})


async def test_errors_of_the_engine_pass_as_they_are():
    shop = Shop()
    shop.engines[0].failing[PUBLIC] = OutcomeUnknown("cut")
    with pytest.raises(OutcomeUnknown, match="cut"):
        await shop.sent("getOrder", {"orderId": "1"})


# -- what people see


def test_the_request_is_shown_with_secrets_masked():
    shop = Shop(auth=Bearer("hunter2"))
    shown = shop.connector.show(shop.connector.prepare("putOrder", ORDER, key=KEY))
    assert "hunter2" not in str(shown)
    assert shown["headers"]["authorization"] == "Bearer ***"
    assert (shown["method"], shown["url"], shown["body"]) == (
        "PUT",
        "https://shop.example/v1/orders/o%201",
        '{"qty":2}',
    )


def test_operations_are_told_when_asked_for():
    operations = Shop().connector.operations()
    assert len(operations) == len(list(operations)) == 5
    by_name = {operations[one].aliases: operations[one] for one in operations}
    pay = next(one for aliases, one in by_name.items() if "pay" in (one.id, *aliases))
    assert (pay.method, pay.path, pay.takes_key, pay.problem) == ("POST", "/pay", True, "")
    assert "body" in pay.input_schema["properties"]


async def test_check_is_silent_for_a_public_server_with_a_login():
    assert await Shop(auth=Bearer("t")).connector.check() == []


@every_row(
    ("options", "codes"),
    [
        ({}, ["no-credentials"]),
        ({"auth": Bearer("t"), "server": "http://shop.example"}, ["credentials-in-clear"]),
        ({"auth": Bearer("t"), "server": "http://10.0.0.1", "egress": read_egress(["10.0.0.1"])}, []),
        ({"auth": Bearer("t"), "server": "https://10.0.0.1"}, ["egress-refused"]),
    ],
)
async def test_check_tells_what_is_doubtful(options, codes):
    assert [finding.code for finding in await Shop(**options).connector.check()] == codes


async def test_a_fixed_login_cannot_be_renewed():
    assert await Shop(auth=Bearer("t")).connector.login_again() is False


async def test_opening_and_closing_twice_is_harmless():
    shop = Shop()
    await shop.connector.open()
    await shop.connector.close()
    await shop.connector.close()
    assert shop.names.closed
