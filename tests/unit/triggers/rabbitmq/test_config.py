"""What a RabbitMQ source can be told, and what it answers to what it cannot."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.fakes.sources import Emitted, source_context
from tests.tables import every_row
from triggers.errors import SourceRejected
from triggers.rabbitmq import RabbitMQConfig, RabbitMQSource

PASSWORD = "s3cret-of-rabbit"


def config(**said: Any) -> RabbitMQConfig:
    return RabbitMQConfig.model_validate(
        {"kind": "rabbitmq", "url": "amqp://localhost", "queue": "orders", **said}
    )


@every_row(
    ("said", "words"),
    [
        ({"url": "http://localhost"}, "amqps://host:port/vhost"),
        ({"url": "amqp://"}, "amqps://host:port/vhost"),
        ({"url": "amqp://host:99999"}, "amqps://host:port/vhost"),
        ({"url": f"amqp://me:{PASSWORD}@localhost"}, "credentials do not belong"),
        ({"url": "amqp://localhost?heartbeat=1"}, "no query"),
        ({"url": "amqp://localhost/a/b"}, "%2F"),
        ({"queue": "amq.gen-xyz"}, "server names goes away"),
        ({"queue": "é" * 128}, "longer than 255 bytes"),
        ({"exclusive": True}, "not permitted"),
        ({"auto_delete": True}, "not permitted"),
        ({"no_ack": True}, "not permitted"),
        ({"username": "me"}, "go together"),
        ({"cert": "x"}, "go together"),
        ({"ca": "x"}, "need TLS"),
        ({"stream": {}, "declare": {"type": "quorum"}}, "`declare` says quorum"),
        ({"declare": {"type": "quorum", "durable": False}}, "always durable"),
        ({"declare": {"arguments": {"x-queue-type": "quorum"}}}, "`type:`"),
        ({"stream": {"start": "last"}}, "write first, next"),
        ({"stream": {"start": "2026-02-31T12:00:00Z"}}, "day"),
        ({"batch": 100, "prefetch": 50}, "smaller than batch"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"heartbeat": "0s"}, "1 second"),
        ({"prefetch": 70_000}, "65535"),
    ],
)
def test_what_cannot_be_is_refused_in_plain_words(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**said)
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_defaults_lose_nothing() -> None:
    made = config()
    assert (made.batch, made.ahead, made.vhost, made.tls) == (200, 400, "/", False)
    assert config(declare={}).declare is not None
    assert config(declare={}).declare.type == "quorum"  # type: ignore[union-attr]


def test_a_declared_stream_is_read_as_one() -> None:
    made = RabbitMQSource("shop", config(declare={"type": "stream"}))
    assert made.ordered
    assert not RabbitMQSource("shop", config()).ordered


def test_the_virtual_host_is_unquoted() -> None:
    assert config(url="amqps://host/a%2Fb").vhost == "a/b"


@every_row(
    ("said", "codes"),
    [
        ({}, ["random-id"]),
        ({"id": "data.id"}, []),
        ({"stream": {}}, []),
        ({"body": "cloudevents"}, []),
        ({"id": "data.id", "url": "amqp://rabbit.example.com"}, ["no-tls", "guest"]),
        ({"id": "data.id", "url": "amqps://r.example.com", "username": "a", "password": "b"}, []),
        ({"id": "data.id", "declare": {}}, ["no-dead-letters"]),
        ({"id": "data.id", "declare": {"arguments": {"x-delivery-limit": -1}}}, []),
        ({"id": "data.id", "declare": {"arguments": {"x-dead-letter-exchange": "d"}}}, []),
        ({"id": "data.id", "declare": {"type": "classic", "durable": False}}, ["not-durable"]),
        (
            {
                "id": "data.id",
                "declare": {"type": "classic", "arguments": {"x-expires": 1, "x-message-ttl": 1}},
            },
            ["expires", "drops-messages"],
        ),
        ({"id": "data.id", "declare": {"type": "stream", "arguments": {"x-max-length-bytes": 1}}}, []),
    ],
)
def test_a_review_names_what_is_probably_not_meant(said: dict[str, Any], codes: list[str]) -> None:
    findings = RabbitMQSource("shop", config(**said)).review()
    assert [finding.code for finding in findings] == codes
    assert all(finding.severity == "warning" and finding.fix for finding in findings)


@every_row(
    ("said", "words"),
    [
        ({"ca": "no certificate"}, "`ca` is no PEM certificate"),
        ({"cert": "no", "key": PASSWORD}, "`cert` and `key` cannot be used"),
        ({"id": "1 +"}, "`id:`"),
    ],
)
async def test_what_cannot_be_opened_is_refused(said: dict[str, Any], words: str) -> None:
    source = RabbitMQSource("shop", config(**{"url": "amqps://localhost", **said}))
    with pytest.raises(SourceRejected, match=words) as caught:
        await source.open(source_context(Emitted()))
    assert PASSWORD not in str(caught.value)


async def test_a_queue_cannot_be_rewound() -> None:
    source = RabbitMQSource("shop", config())
    await source.open(source_context(Emitted()))
    with pytest.raises(SourceRejected, match="forgets what was acknowledged"):
        source.rewind({}, "earliest")
    stream = RabbitMQSource("shop", config(stream={}))
    await stream.open(source_context(Emitted()))
    assert stream.rewind({}, "earliest") == {"offset": b"from:first"}


async def test_nothing_runs_before_it_is_open() -> None:
    with pytest.raises(SourceRejected, match="not open"):
        await RabbitMQSource("shop", config()).run(Emitted().begin())
