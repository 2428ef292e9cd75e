"""Every connector of the registry keeps the contract."""

from typing import Any, ClassVar

import msgspec

from actions import CONNECTORS, SCHEMES
from actions.auth import Bearer
from actions.base import Connector
from actions.http import HTTPConnector
from actions.kafka.connector import KafkaConnector
from actions.plain import PLAIN, description
from actions.rabbitmq.connector import RabbitMQConnector
from actions.specs import read_spec
from tests.contract.connector_contract import ConnectorContract, openapi

BODY = {"body": {"x": 1}}
RAW = {"body": {"x": msgspec.Raw(b"1")}}


class TestHTTP(ConnectorContract):
    operation = "one"
    arguments = BODY
    raw = RAW
    wrong = ({"bdoy": 1}, {"body": 1, "more": 2})

    def make(self, host: str, **options: Any) -> Connector:
        return HTTPConnector("shop", openapi(), server=f"http://{host}", auth=Bearer(self.secret), **options)


class TestKafka(ConnectorContract):
    operation = "publish"
    arguments: ClassVar[dict[str, Any]] = {"topic": "t", **BODY}
    raw: ClassVar[dict[str, Any]] = {"topic": msgspec.Raw(b'"t"'), **RAW}
    wrong = (
        {},
        {"topic": "a b", "body": 1},
        {"topic": "t", "body": None},
        {"topic": "t", "body": 1, "tpoic": 1},
    )

    def make(self, host: str, **options: Any) -> Connector:
        spec = read_spec({"kafka": description("kafka")})
        login = ("user", self.secret, "PLAIN")
        return KafkaConnector("bus", spec, server=f"kafka://{host}", login=login, timeout=1.0, **options)


class TestRabbitMQ(ConnectorContract):
    operation = "publish"
    arguments: ClassVar[dict[str, Any]] = {"routing_key": "k", **BODY}
    raw: ClassVar[dict[str, Any]] = {"routing_key": msgspec.Raw(b'"k"'), **RAW}
    wrong = ({}, {"routing_key": "k" * 256, "body": 1}, {"exchange": " ", "body": 1}, {"body": 1, "key": 1})

    def make(self, host: str, **options: Any) -> Connector:
        spec = read_spec({"rabbitmq": description("rabbitmq")})
        login = ("user", self.secret)
        return RabbitMQConnector("mq", spec, server=f"amqp://{host}", login=login, **options)


def test_every_registered_connector_keeps_the_contract() -> None:
    assert len(ConnectorContract.__subclasses__()) == len(CONNECTORS)
    assert set(SCHEMES.values()) == set(CONNECTORS)
    assert set(PLAIN) < set(CONNECTORS)
