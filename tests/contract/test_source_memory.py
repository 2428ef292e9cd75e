"""The source in memory keeps what every source promises, with and without positions."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from typing_extensions import override

from tests.contract.source_contract import Outside, SourceContract
from tests.fakes.sources import MemoryBroker, MemoryConfig, MemorySource, entry
from triggers.base import Source, SourceConfig


class Memory(Outside):
    """A broker in memory."""

    credentials = ("pa55word-of-memory",)
    crash_points = ("memory.before_acknowledge",)
    restartable = True

    def __init__(self, broker: MemoryBroker, *, ordered: bool) -> None:
        self.broker = broker
        self.ordered = ordered

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {"kind": "memory", "broker": self.broker.name, "ordered": self.ordered}
        return MemoryConfig.model_validate({**said, "password": self.credentials[0], "batch": 10, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        return self.config(broker="nowhere")

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        self.broker.append(*map(entry, tokens))
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        self.broker.append(b'{"n": ')
        return b'{"n": '

    @override
    async def unacknowledged(self) -> int:
        return len(self.broker.entries) - self.broker.acknowledged

    @override
    async def stop(self) -> None:
        self.broker.stop()

    @override
    async def start(self) -> None:
        self.broker.start()


class TestMemorySource(SourceContract):
    ordered = False

    @pytest.fixture
    def outside(self) -> Iterator[Outside]:
        with MemoryBroker(uuid.uuid4().hex).reachable() as broker:
            yield Memory(broker, ordered=self.ordered)

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, MemoryConfig)
        return MemorySource(name, config)


class TestMemorySourceWithPositions(TestMemorySource):
    ordered = True
