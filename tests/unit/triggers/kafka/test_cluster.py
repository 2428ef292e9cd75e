"""What a cluster's answers that name nothing become; what real brokers say is tested on them."""

from typing import Any

import pytest

from triggers.errors import SourceUnavailable
from triggers.kafka import cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.offsets import Partition
from triggers.kafka.security import link
from triggers.kafka.wire import Metadata

CONFIG = KafkaConfig(kind="kafka", servers=["127.0.0.1:9092"], topics=["t"], group="g")


class Fenced:
    """A connection to a broker that answers and is fenced, as one that wakes after its session has ended."""

    async def send(self, request: Any) -> Metadata:
        return Metadata("c", {}, {})

    def close(self) -> None:
        pass


async def test_a_cluster_that_names_no_broker_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(host: str, port: int, **link: Any) -> Fenced:
        return Fenced()

    monkeypatch.setattr(cluster, "create_conn", connect)
    monkeypatch.setattr(cluster, "_PAUSE", 0)
    asked = cluster.Cluster(CONFIG.servers, link(CONFIG, "c", None))
    with pytest.raises(SourceUnavailable, match="names no broker"):
        await asked.group("g")
    with pytest.raises(SourceUnavailable, match="names no broker"):
        await asked.committed("g", [Partition("t", 0)])
    await asked.close()
