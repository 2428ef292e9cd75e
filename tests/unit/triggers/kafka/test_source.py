"""The configuration of a Kafka source, and what it is before anything is connected."""

import subprocess
import sys
from typing import Any

import pytest
from faststream import AckPolicy
from pydantic import ValidationError

from tests.fakes.certificates import Authority
from tests.fakes.sources import Emitted, source_context
from tests.tables import every_row
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoders import DECODERS
from triggers.kafka.member import NEVER, make_broker, make_subscriber
from triggers.kafka.offsets import Partition
from triggers.kafka.topics import chosen
from triggers.kafka.wire import Metadata, Topic

SAID: dict[str, Any] = {"kind": "kafka", "servers": ["127.0.0.1:9092"], "topics": ["orders"]}


def config(**changes: Any) -> KafkaConfig:
    return KafkaConfig.model_validate({**SAID, **changes})


def source(**changes: Any) -> KafkaSource:
    return KafkaSource("orders", config(**changes))


@every_row(
    "changes",
    [
        {},
        {"servers": ["broker.example.com:9092", "[::1]:9093"]},
        {"topics": [], "pattern": r"orders\..{2,3}"},
        {"start": "latest"},
        {"start": "2026-11-21T08:00:00+01:00"},
        {"on_gap": "stop", "isolation": "read_uncommitted", "assignor": "sticky", "deduplicate": True},
        {"sasl": {"mechanism": "SCRAM-SHA-256", "username": "anna", "password": "x"}, "tls": {}},
        {"max_fetch": "4MiB", "session_timeout": "6s", "batch": 1000},
    ],
)
def test_good_configurations_are_taken(changes: dict[str, Any]) -> None:
    config(**changes)


@every_row(
    ("changes", "words"),
    [
        ({"servers": []}, "at least 1"),
        ({"servers": ["kafka://a:1"]}, "host:port"),
        ({"servers": ["a"]}, "host:port"),
        ({"servers": ["a:0"]}, "host:port"),
        ({"servers": ["a:70000"]}, "host:port"),
        ({"servers": ["anna:pw@a:1"]}, "host:port"),
        ({"topics": ["a b"]}, "a topic has"),
        ({"topics": ["."]}, "a topic has"),
        ({"topics": ["a", "a"]}, "stands twice"),
        ({"topics": []}, "either `topics` or `pattern`"),
        ({"pattern": "a"}, "either `topics` or `pattern`"),
        ({"topics": [], "pattern": "("}, "not a regular expression"),
        ({"start": "yesterday"}, "write earliest, latest or a time"),
        ({"decode": "avro"}, "there is no such decoder"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"batch": 1001}, "less than or equal to 1000"),
        ({"session_timeout": "10ms"}, "`session_timeout` is from 1s to 1800s"),
        ({"refresh": "2h"}, "`refresh` is from 1s to 3600s"),
        ({"sasl": {"mechanism": "GSSAPI", "username": "a", "password": "b"}}, "PLAIN"),
        ({"tls": {"cert": "x"}}, "belong together"),
        ({"group_id": "x"}, "Extra inputs"),
    ],
)
def test_bad_configurations_are_refused_in_plain_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        config(**changes)
    assert "input_value" not in str(caught.value)


def test_every_field_is_described_and_decoders_are_listed() -> None:
    schema = KafkaConfig.model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values())
    assert schema["properties"]["decode"]["enum"] == list(DECODERS)


def test_repeats_are_known_by_place_unless_messages_have_ids_of_their_own() -> None:
    assert source().ordered
    assert source(type="data.t", subject="data.s").ordered
    assert not source(deduplicate=True).ordered
    assert not source(id="data.id").ordered


def test_what_is_doubtful_is_found_without_asking_anybody() -> None:
    login = {"mechanism": "PLAIN", "username": "anna", "password": "x"}
    assert source().review() == []
    assert source(sasl=login, tls={}).review() == []
    (clear,) = source(sasl=login).review()
    assert (clear.code, clear.field) == ("password-in-clear", "sasl")
    (names,) = source(tls={"verify_hostname": False}).review()
    assert names.code == "hostname-not-verified"


async def test_certificates_are_read_when_it_opens() -> None:
    authority = Authority()
    identity = authority.sign("localhost", client=True).decode()
    at = identity.index("-----BEGIN PRIVATE KEY")
    good = {"ca": authority.pem.decode(), "cert": identity[:at], "key": identity[at:]}
    await source(tls=good).open(source_context(Emitted()))
    for changes, word in (({"ca": "nonsense"}, "tls.ca"), ({"key": "nonsense"}, "tls.key")):
        with pytest.raises(SourceRejected, match=word) as caught:
            await source(tls=good | changes).open(source_context(Emitted()))
        assert "nonsense" not in str(caught.value)


async def test_what_is_not_open_cannot_run() -> None:
    closed = source()
    for asked in (closed.run(Emitted().begin()), closed.progress(), closed.check()):
        with pytest.raises(SourceUnavailable, match="not open"):
            await asked
    await closed.close()
    await closed.close()


async def test_nothing_is_committed_or_reset_by_the_driver() -> None:
    for changes in ({}, {"topics": [], "pattern": "a{2}[{].*"}):
        said = config(**changes)
        broker = make_broker(said, "me", None)
        subscriber = make_subscriber(broker, said, said.topics, None)
        assert subscriber.ack_policy is AckPolicy.MANUAL
        arguments = subscriber._connection_args
        assert arguments["enable_auto_commit"] is False
        assert arguments["auto_offset_reset"] == "none"
        assert arguments["isolation_level"] == "read_committed"
        assert arguments["max_poll_interval_ms"] == NEVER
        assert not subscriber.calls
        assert subscriber.pattern is None or subscriber.pattern.broker_address == r"(?:a{2}[{].*)\Z"
        assert broker.config.consumer_only
        assert not broker.config.allow_auto_create_topics
        assert broker.config.logger.logger.logger is None


async def test_sticky_assignors_share_no_state() -> None:
    said = config(assignor="sticky")
    made = [make_subscriber(make_broker(said, "me", None), said, said.topics, None) for _ in range(2)]
    (one,), (two,) = (each._connection_args["partition_assignment_strategy"] for each in made)
    assert one is not two
    assert one.name == two.name == "sticky"


def test_topics_are_chosen_by_name_or_by_the_whole_of_a_pattern() -> None:
    names = ("orders", "orders.eu", "xorders", "__consumer_offsets", "secret")
    topics = {
        name: Topic(name, "", 29 if name == "secret" else 0, {0: 1, 1: 1}, internal=name.startswith("__"))
        for name in names
    }
    known = Metadata("c", {}, topics)
    assert chosen(config(topics=["orders", "secret", "gone"]), known) == [
        Partition("orders", 0),
        Partition("orders", 1),
    ]
    assert {one.topic for one in chosen(config(topics=[], pattern="orders.*"), known)} == {
        "orders",
        "orders.eu",
    }
    assert {one.topic for one in chosen(config(topics=[], pattern=".*"), known)} == set(names[:3])


def test_a_configuration_is_looked_at_without_a_driver() -> None:
    code = (
        "import sys; import triggers.kafka; "
        "print([name for name in ('aiokafka', 'faststream') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"
