"""The Kafka source keeps what every source promises, on a real broker."""

from typing import Any

import pytest
from typing_extensions import override

from tests.contract.source_contract import Outside, SourceContract
from tests.fakes.sources import entry
from tests.servers import unique
from tests.servers.kafka_room import KafkaRoom
from tests.servers.values import KafkaServer
from triggers.base import Source, SourceConfig
from triggers.kafka import KafkaSource
from triggers.kafka.config import KafkaConfig

PASSWORD = "pa55word-of-the-topic"


class Topic(Outside):
    """One topic of a shared broker, and a group for it."""

    credentials = (PASSWORD,)
    crash_points = ("kafka.before_commit", "kafka.after_commit")

    def __init__(self, room: KafkaRoom, topic: str, **settings: Any) -> None:
        self.room = room
        self.topic = topic
        self.group = unique("group")
        self.settings = settings

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {
            "kind": "kafka",
            "servers": [self.room.bootstrap],
            "topics": [self.topic],
            "group": self.group,
            "decode": "json",
            "batch": 10,
            "session_timeout": "2s",
        }
        return KafkaConfig.model_validate({**said, **self.settings, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        login = {"mechanism": "SCRAM-SHA-512", "username": "anna", "password": PASSWORD}
        return self.config(servers=["127.0.0.1:1"], sasl=login)

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        secret = [("authorization", PASSWORD.encode())]
        await self.room.produce(self.topic, map(entry, tokens), headers=secret)
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        await self.room.produce(self.topic, [b'{"n": '])
        return b'{"n": '

    @override
    async def unacknowledged(self) -> int:
        return await self.room.left(self.group, self.topic)


class TestKafka(SourceContract):
    @pytest.fixture
    async def outside(self, kafka: KafkaServer, kafka_topic) -> Outside:
        return Topic(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="contract"))

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, KafkaConfig)
        return KafkaSource(name, config)


class TestKafkaByIdentity(TestKafka):
    """Repeats are known by what the records say, not by where they lie."""

    @pytest.fixture
    async def outside(self, kafka: KafkaServer, kafka_topic) -> Outside:
        return Topic(KafkaRoom(kafka.bootstrap), await kafka_topic(prefix="contract"), id="data.n")
