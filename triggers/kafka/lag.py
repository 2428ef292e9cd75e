"""How far a source is, as the cluster and the store say it: never as the consumer believes."""

from triggers.base import Progress, SourceContext
from triggers.kafka import offsets
from triggers.kafka.cluster import Cluster
from triggers.kafka.config import KafkaConfig
from triggers.kafka.topics import chosen


async def progress(config: KafkaConfig, client_id: str, context: SourceContext, cluster: Cluster) -> Progress:
    """Count what waits for this member: records behind what is stored, in partitions that no other one has.

    A partition that nobody has counts as ours: a member that was dropped from its group without noticing
    shows as work that waits and a position that stands still.
    """
    metadata = await cluster.metadata(config.topics or None)
    partitions = chosen(config, metadata)
    group = await cluster.group(config.group)
    others = {one for member, share in group.members.items() if member != client_id for one in share}
    ours = [one for one in partitions if one not in others]
    stored = offsets.read(await context.positions(), metadata.cluster)
    committed = await cluster.committed(config.group, ours)
    logs = await cluster.logs(ours, committed=config.isolation == "read_committed")
    pending, places = 0, []
    for one in sorted(logs):
        log, position = logs[one], stored.get(one)
        if position is None and one not in committed:
            if config.start == "earliest":
                pending += log.end - log.start
            continue
        taken = max(position.next if position else 0, committed.get(one, 0))
        pending += max(log.end - max(taken, log.start), 0)
        places.append(f"{one.topic}/{one.partition}={taken}")
    return Progress(pending=pending, unit="messages", position=" ".join(places))
