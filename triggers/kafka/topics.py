"""Which topics of a cluster a source takes. Pure."""

import re

from triggers.kafka.config import KafkaConfig
from triggers.kafka.offsets import Partition
from triggers.kafka.wire import Metadata


def chosen(config: KafkaConfig, metadata: Metadata) -> list[Partition]:
    """Return the partitions that are named or match the pattern, which never means internal topics."""
    pattern = re.compile(config.pattern) if config.pattern is not None else None
    return [
        Partition(topic.name, partition)
        for topic in metadata.topics.values()
        if not topic.error
        and (
            topic.name in config.topics if pattern is None else _matches(pattern, topic.name, topic.internal)
        )
        for partition in topic.leaders
    ]


def _matches(pattern: re.Pattern[str], name: str, internal: bool) -> bool:
    return not internal and pattern.fullmatch(name) is not None
