"""A connection's configuration becomes the connector that its server's URL asks for."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from actions.errors import Refused
from actions.http import HTTPConnector
from actions.kafka.connector import KafkaConnector
from actions.plain import description
from actions.rabbitmq.connector import RabbitMQConnector
from service.config.model import Configuration
from service.config.secrets import PLACEHOLDER
from service.connectors import PEM, make_connector
from service.plan import Plan, build
from tests.tables import every_row

OPENAPI = json.dumps(
    {"openapi": "3.0.3", "servers": [{"url": "https://shop.example"}], "paths": {"/a": {"get": {"operationId": "a", "responses": {}}}}}
).encode()  # fmt: skip
ASYNCAPI = json.dumps(
    {
        "asyncapi": "2.6.0",
        "servers": {"s": {"url": "kafka-1:9092", "protocol": "kafka"}},
        "channels": {"orders": {"publish": {"message": {"payload": {}}}}},
    }
).encode()
FILES = {
    "shop": OPENAPI,
    "orders": ASYNCAPI,
    "bus": description("kafka"),
    "mq": description("rabbitmq"),
}


def plan(connector: str, **connection: Any) -> Plan:
    content = {
        "connectors": {
            "shop": {"spec": "shop.json"},
            "orders": {"spec": "orders.json"},
            "bus": {"kind": "kafka"},
            "mq": {"kind": "rabbitmq"},
        },
        "connections": {"c": {"connector": connector, **connection}},
    }
    return build(Configuration.model_validate(content), FILES)


def problems(connector: str, **connection: Any) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in plan(connector, **connection).problems]


async def made(connector: str, **connection: Any) -> Any:
    planned = plan(connector, **connection)
    assert planned.problems == ()
    return make_connector(planned.connections["c"], planned.connections["c"].spec, PEM())


@every_row(
    ("connector", "server", "kind"),
    [
        ("shop", None, HTTPConnector),
        ("shop", "http://shop.internal", HTTPConnector),
        ("orders", None, KafkaConnector),
        ("orders", "amqps://mq", RabbitMQConnector),
        ("bus", "kafka://a:9092,b:9092", KafkaConnector),
        ("bus", "kafka-secure://a", KafkaConnector),
        ("mq", "amqp://mq:5672/v", RabbitMQConnector),
    ],
)
async def test_the_server_decides(connector: str, server: str | None, kind: type) -> None:
    found = await made(connector, server=server)
    assert type(found) is kind
    await found.close()


@every_row(
    ("connector", "server", "words"),
    [
        ("shop", "kafka://a", "speaks HTTP"),
        ("orders", "https://a", "speaks Kafka or RabbitMQ"),
        ("bus", "amqp://a", "speaks kafka"),
        ("mq", "kafka://a", "speaks rabbitmq"),
        ("mq", "https://a", "speaks rabbitmq"),
    ],
)
def test_a_server_of_another_kind_is_a_problem(connector: str, server: str, words: str) -> None:
    ((code, message),) = problems(connector, server=server)
    assert (code, words in message) == ("wrong-server", True)


def test_a_bus_without_description_needs_its_server() -> None:
    assert [code for code, _ in problems("bus")] == ["no-server"]


def test_a_plain_connector_is_pinned_like_a_file() -> None:
    first, second = (plan("bus", server="kafka://a").connections["c"].spec_digest for _ in range(2))
    assert first == second
    assert plan("mq", server="amqp://a").connections["c"].spec_digest != first


@every_row("connector", [{}, {"spec": "a", "kind": "kafka"}])
def test_a_connector_has_either_a_description_or_a_kind(connector: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either a description or a kind"):
        Configuration.model_validate({"connectors": {"c": connector}})


BASIC = {"username": "u", "password": "p"}


@every_row(
    ("connector", "more", "words"),
    [
        ("bus", {"server": "kafka://a", "auth": {"bearer": "t"}}, "takes `basic"),
        ("bus", {"server": "kafka://a", "events": {"prefix": "cloudEvents_"}}, "prefix"),
        ("mq", {"server": "amqp://a", "auth": {"basic": {**BASIC, "mechanism": "PLAIN"}}}, "for Kafka only"),
        ("shop", {"auth": {"basic": {**BASIC, "mechanism": "PLAIN"}}}, "for Kafka only"),
        ("shop", {"events": {"mode": "none"}}, "for Kafka and RabbitMQ"),
        ("bus", {"server": "kafka://a/topic"}, "no path"),
        ("bus", {"server": "kafka://127.1"}, "plain form"),
        ("mq", {"server": "amqps://a", "tls": {"ca": "ca.pem"}}, "cannot be read"),
    ],
)
async def test_what_does_not_fit_the_kind_is_refused(
    connector: str, more: dict[str, Any], words: str
) -> None:
    planned = plan(connector, **more).connections["c"]
    with pytest.raises(Refused) as caught:
        make_connector(planned, planned.spec, PEM(ca=b"no pem"))
    assert words in str(caught.value)


async def test_login_and_events_reach_the_message() -> None:
    bus = await made(
        "bus",
        server="kafka-secure://a",
        auth={"basic": {**BASIC, "mechanism": "SCRAM-SHA-512"}},
        events={"mode": "structured", "source": "/shop"},
    )
    shown = bus.show(bus.prepare("publish", {"topic": "t", "body": 1}, key="k"))
    assert '"source":"/shop"' in shown["body"]
    await bus.close()
    mq = await made("mq", server="amqp://a", auth={"basic": BASIC}, events={"prefix": "cloudEvents:"})
    shown = mq.show(mq.prepare("publish", {"body": 1, "properties": {"user_id": "u"}}, key="k"))
    assert shown["headers"]["cloudEvents:id"] == "k"
    await mq.close()


# -- logins of HTTP

SCHEMES = {
    "sso": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "https://login.example/token", "scopes": {}}},
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
}
SECURED = json.dumps({**json.loads(OPENAPI), "components": {"securitySchemes": SCHEMES}}).encode()
CLIENT = {"client_id": "c", "client_secret": "s3cret"}


def secured(**connection: Any) -> Any:
    content = {
        "connectors": {"shop": {"spec": "shop.json"}},
        "connections": {"c": {"connector": "shop", **connection}},
    }
    planned = build(Configuration.model_validate(content), {"shop": SECURED}).connections["c"]
    return make_connector(planned, planned.spec, PEM())


@every_row(
    ("auth", "kind"),
    [
        ({"oauth2": CLIENT}, "oauth2 client_credentials"),
        ({"oauth2": {**CLIENT, "grant": "password", "username": "u", "password": "p"}}, "oauth2 password"),
        ({"schemes": {"sso": {"oauth2": CLIENT}, "key": {"api_key": "k"}}}, "oauth2 client_credentials"),
        ({"oauth2": {**CLIENT, "token_url": "http://127.0.0.1:9/t"}}, "oauth2 client_credentials"),
        ({"jwt": {"key": "a shared secret that is long enough", "issuer": "me", "lifetime": "9m"}}, None),
        ({"digest": {"username": "u", "password": "p"}}, None),
    ],
)
async def test_a_login_is_made_of_configuration_and_description(
    auth: dict[str, Any], kind: str | None
) -> None:
    connector = secured(auth=auth)
    assert [state.kind for state in connector.login().states()] == [kind] * (kind is not None)
    shown = connector.show(connector.prepare("a", {}, key="k"))
    assert "***" in str(shown["headers"])
    assert "s3cret" not in f"{shown} {connector.login().states()}"
    await connector.close()


@every_row(
    ("auth", "where", "words"),
    [
        ({"schemes": {"ssso": {"bearer": "t"}}}, ["/auth/schemes/ssso"], "did you mean 'sso'"),
        ({"oauth2": {}}, ["/auth/oauth2/client_id"], "needs `client_id`"),
        (
            {"schemes": {"sso": {"oauth2": {**CLIENT, "token_url": "http://login.example/t"}}}},
            ["/auth/schemes/sso/oauth2/token_url"],
            "secrets are not sent over http://",
        ),
        (
            {"oauth2": {"grant": "jwt_bearer", "assertion": {"key": "s3cret", "algorithm": "RS256"}}},
            ["/auth/oauth2/assertion"],
            "signs with HS256",
        ),
    ],
)
def test_a_login_that_cannot_be_is_refused_at_its_place(
    auth: dict[str, Any], where: list[str], words: str
) -> None:
    with pytest.raises(Refused, match=words) as caught:
        secured(auth=auth)
    assert [pointer for pointer, _ in caught.value.problems] == where
    assert "s3cret" not in str(caught.value)


async def test_a_key_that_is_missing_where_only_a_check_runs_is_no_fault_of_the_key() -> None:
    assertion = {"key": PLACEHOLDER, "algorithm": "RS256"}
    for auth in (
        {"jwt": assertion},
        {"oauth2": {"assertion": assertion}},
        {"schemes": {"sso": {"jwt": assertion}}},
    ):
        await secured(auth=auth).close()


async def test_a_token_url_in_the_clear_may_be_listed() -> None:
    oauth2 = {**CLIENT, "token_url": "http://login.internal/t"}
    await secured(auth={"oauth2": oauth2}, egress=["public", "login.internal"]).close()


async def test_connection_parameters_reach_the_connector() -> None:
    connector = secured(parameters={"a": True, "b": "x"})
    assert connector._place.parameters == {"a": "true", "b": "x"}
    await connector.close()
