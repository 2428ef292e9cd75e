"""The Kafka source: records of topics, in the order of their partitions.

`source` is what the service sees; `reading` is the run, `offsets` decides where a partition is read from,
`decoding` makes messages of records, `cluster` asks the cluster by connections of its own, `member` holds
the member of the group. Drivers are imported where something is connected, not before.
"""

from triggers.kafka.source import KafkaSource

__all__ = ["KafkaSource"]
