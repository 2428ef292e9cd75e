"""Answers of a Kafka cluster that no broker of ours gives on command: it names no broker, or is too old.

A broker that wakes after its session has ended names no broker, not even itself. The one here speaks just the
two requests that are asked of it.
"""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fakes.raw_backend import RawBackend, Talk
from triggers.errors import SourceUnavailable
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.offsets import Partition
from triggers.kafka.security import link

VERSIONS, METADATA = 18, 3
NAMELESS = struct.pack(">ih4sii", 0, 4, b"here", 1, 0)
"""Metadata 2: no brokers, the cluster, its controller, no topics."""
ANCIENT = struct.pack(">iii", 0, 1, 0)
"""Metadata 1: no brokers, the controller, no topics; it has no place for the cluster."""


@asynccontextmanager
async def speaking(version: int, metadata: bytes) -> AsyncIterator[Cluster]:
    """Give a cluster of one broker that answers Metadata in this version."""
    answers = {
        VERSIONS: struct.pack(">hi3h3h", 0, 2, VERSIONS, 0, 0, METADATA, 0, version),
        METADATA: metadata,
    }

    async def broker(talk: Talk) -> None:
        while True:
            (size,) = struct.unpack(">i", await talk.reader.readexactly(4))
            request, _, correlation = struct.unpack(">hhi", (await talk.reader.readexactly(size))[:8])
            answer = struct.pack(">i", correlation) + answers[request]
            await talk.say(struct.pack(">i", len(answer)) + answer)

    async with RawBackend(broker).listening() as listening:
        config = KafkaConfig(kind="kafka", servers=[f"127.0.0.1:{listening.port}"], topics=["t"], group="g")
        cluster = Cluster(config.servers, link(config, "c", None))
        yield cluster
        await cluster.close()


async def test_a_cluster_that_is_too_old_says_so() -> None:
    async with speaking(1, ANCIENT) as cluster:
        with pytest.raises(SourceUnavailable, match=r"Kafka 0\.10\.1 or later"):
            await cluster.group("g")


async def test_a_cluster_that_names_no_broker_is_unavailable() -> None:
    async with speaking(2, NAMELESS) as cluster:
        with pytest.raises(SourceUnavailable, match=r"group g: .*names no broker"):
            await cluster.group("g")
        with pytest.raises(SourceUnavailable, match=r"group g: .*names no broker"):
            await cluster.committed("g", [Partition("t", 0)])
