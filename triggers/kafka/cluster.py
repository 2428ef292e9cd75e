"""Asks a Kafka cluster what it has: topics, offsets, a group. In no group itself, and never a consumer.

The source's progress and its check come from here, so that they see what is there and not what a consumer
believes. Connections are made when they are needed and kept; every question has a deadline. Topics are never
created by asking for them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import errors
from aiokafka.conn import create_conn
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest as OlderMetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from triggers.errors import SourceUnavailable
from triggers.kafka.faults import DRIVER, told, translated
from triggers.kafka.offsets import Log, Moment, Partition
from triggers.kafka.security import Link
from triggers.kafka.wire import Metadata, MetadataRequest, Node, Topic, Unspoken

EARLIEST: Final = -2
LATEST: Final = -1

_GROUP: Final = 0
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.2


_NOTHING: Final = Metadata("", {}, {})


class Group(msgspec.Struct, frozen=True):
    """A consumer group: its state, how it shares out, and which partitions each member (by client id) has."""

    state: str
    protocol: str
    members: dict[str, frozenset[Partition]]


class Cluster:
    """One cluster, asked by connections of our own. After `close`, harmless twice, it can be asked again."""

    def __init__(self, servers: Sequence[str], link: Link) -> None:
        self._servers = tuple(servers)
        self._link = link
        self._connections: dict[int, Any] = {}
        self._lock = asyncio.Lock()
        self._known = _NOTHING
        self._answering = -1  # the broker that answered last: it is asked first
        self._coordinators: dict[str, int] = {}

    async def close(self) -> None:
        """Let go of all connections."""
        connections, self._connections = self._connections, {}
        self._known = _NOTHING
        self._coordinators.clear()
        for connection in connections.values():
            await shut(connection)

    async def metadata(self, topics: Collection[str] | None = None) -> Metadata:
        """Return what the cluster says of the named topics; of all, when none are named."""
        wanted = None if topics is None else sorted(topics)
        for node in self._nodes():
            try:
                found = await metadata_of(await self._connected(node), wanted)
            except DRIVER:
                await self._drop(node)
            else:
                self._answering = node
                return self._learn(found)
        return self._learn(await self._bootstrap(wanted))

    async def logs(
        self, partitions: Collection[Partition], *, committed: bool = False
    ) -> dict[Partition, Log]:
        """Return what the partitions have; of one that does not exist, nothing.

        With `committed`, the end is that of what has been committed in transactions.
        """
        if not partitions:
            return {}
        known = await self.metadata({one.topic for one in partitions})
        there = [one for one in partitions if one.partition in _leaders(known, one.topic)]
        starts = await self._offsets(dict.fromkeys(there, EARLIEST), committed=False)
        ends = await self._offsets(dict.fromkeys(there, LATEST), committed=committed)
        return {
            one: Log(starts[one], max(ends[one], starts[one]), known.topics[one.topic].id) for one in there
        }

    async def offsets_at(self, moments: Mapping[Partition, Moment]) -> dict[Partition, int]:
        """Return the offset of a moment in each partition; the end, where nothing is as young."""
        numbers = {
            one: EARLIEST if at == "earliest" else LATEST if at == "latest" else at
            for one, at in moments.items()
        }
        found = await self._offsets(numbers, committed=False)
        beyond = [one for one, offset in found.items() if offset < 0]
        return found | await self._offsets(dict.fromkeys(beyond, LATEST), committed=False)

    async def committed(self, group: str, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the offsets that a group has committed, where it has."""
        if not partitions:
            return {}
        request = OffsetFetchRequest(group, _by_topic({one: one.partition for one in partitions}))
        with told(f"asking for the offsets of group {group}"):
            answer = await self._coordinator_says(group, request)
        found = {}
        for topic, parts in answer.topics:
            for partition, offset, _, code in parts:
                if code and errors.for_code(code) is not errors.UnknownTopicOrPartitionError:
                    raise translated(f"asking for the offsets of group {group}", errors.for_code(code)())
                if offset >= 0:
                    found[Partition(topic, partition)] = offset
        return found

    async def group(self, group: str) -> Group:
        """Return the state of a group and its members."""
        with told(f"asking for group {group}"):
            answer = await self._coordinator_says(group, DescribeGroupsRequest([group]))
        ((code, _, state, _, protocol, members, *_),) = answer.groups
        if code:
            raise translated(f"asking for group {group}", errors.for_code(code)())
        shares: dict[str, frozenset[Partition]] = {}
        for _, client, _, _, assignment in members:
            held = ConsumerProtocolMemberAssignment.decode(assignment).partitions() if assignment else []
            mine = shares.get(client, frozenset())
            shares[client] = mine | {Partition(one.topic, one.partition) for one in held}
        return Group(state, protocol, shares)

    async def raw(
        self, partition: Partition, offset: int, most: int, isolation: int
    ) -> tuple[bytes, list[tuple[int, int]]]:
        """Return the record batches of a partition from `offset` on, as they lie in the log.

        With them come the transactions that were aborted there: producer and first offset.
        """
        what = f"fetching {partition.topic}/{partition.partition} at {offset}"
        with told(what):
            if partition.topic not in self._known.topics:
                await self.metadata([partition.topic])
            leader = _leaders(self._known, partition.topic).get(partition.partition, -1)
            asked = [(partition.topic, [(partition.partition, offset, most)])]
            answer = await self._ask(leader, FetchRequest(100, 1, most, isolation, asked))
        for _, parts in answer.topics:
            for _, code, _, *rest in parts:
                if code:
                    raise translated(what, errors.for_code(code)())
                aborted = rest[2 if answer.API_VERSION >= 5 else 1] or []
                return bytes(rest[-1] or b""), aborted
        return b"", []

    # -- connections

    async def _bootstrap(self, topics: Sequence[str] | None) -> Metadata:
        """Ask the configured servers, one after the other. Raise what the first one said."""
        first: BaseException = errors.NoBrokersAvailable()
        for server in self._servers:
            host, port = address(server)
            connection = None
            try:
                connection = await create_conn(host, port, **self._link)
                return await metadata_of(connection, topics)
            except (*DRIVER, ValueError) as error:
                first = error
            finally:
                if connection is not None:
                    await shut(connection)
        raise translated(f"connecting to {', '.join(self._servers)}", first) from first

    async def _connected(self, node: int) -> Any:
        """Return a connection to a broker."""
        async with self._lock:
            connection = self._connections.get(node)
            if connection is not None and connection.connected():
                return connection
            await self._drop(node)
            where = self._known.nodes.get(node)
            if where is None:
                raise errors.NodeNotReadyError(f"broker {node} is not known")
            connection = await create_conn(where.host, where.port, **self._link)
            self._connections[node] = connection
            return connection

    def _nodes(self) -> list[int]:
        """Return the brokers, the one that answered last first."""
        return sorted(self._known.nodes, key=lambda node: node != self._answering)

    async def _drop(self, node: int) -> None:
        connection = self._connections.pop(node, None)
        if connection is not None:
            await shut(connection)

    async def _ask(self, node: int, request: Any) -> Any:
        """Return a broker's answer; a connection that brings none is given up."""
        connection = await self._connected(node)
        try:
            return await connection.send(request)
        except (OSError, TimeoutError, errors.KafkaError):
            await self._drop(node)
            raise

    async def _coordinator_says(self, group: str, request: Any) -> Any:
        """Return the answer of a group's coordinator, which is looked for again when it has moved."""
        for attempt in range(_ATTEMPTS):
            try:
                node = self._coordinators.get(group)
                if node is None:
                    node = self._coordinators[group] = await self._coordinator(group)
                answer = await self._ask(node, request)
            except errors.KafkaError as error:
                self._coordinators.pop(group, None)
                if not error.retriable or attempt == _ATTEMPTS - 1:
                    raise
            else:
                code = _group_code(answer)
                if errors.for_code(code) not in _MOVED or attempt == _ATTEMPTS - 1:
                    return answer
                self._coordinators.pop(group, None)
            await asyncio.sleep(_PAUSE)
        raise AssertionError("unreachable")

    async def _coordinator(self, group: str) -> int:
        await self.metadata([])  # finds a broker that answers
        known = self._known
        asked = self._nodes()
        if not asked:  # a broker that was frozen for long is fenced when it wakes, and names not even itself
            raise errors.NodeNotReadyError("the cluster names no broker")
        answer = await self._ask(asked[0], FindCoordinatorRequest(group, _GROUP))
        if answer.error_code:
            error = errors.for_code(answer.error_code)
            raise error(group)
        node: int = answer.coordinator_id
        if node not in known.nodes:
            nodes = {**known.nodes, node: Node(node, answer.host, answer.port)}
            self._known = Metadata(known.cluster, nodes, known.topics)
        return node

    async def _offsets(self, moments: Mapping[Partition, int], *, committed: bool) -> dict[Partition, int]:
        """Ask each partition's leader; again, when a leader has moved."""
        found: dict[Partition, int] = {}
        error: errors.KafkaError | None = None
        for attempt in range(_ATTEMPTS):
            left = {one: at for one, at in moments.items() if one not in found}
            if not left:
                return found
            if attempt:
                await asyncio.sleep(_PAUSE)
                await self.metadata({one.topic for one in left})
            with told("asking for offsets"):
                try:
                    error = await self._ask_leaders(left, found, committed=committed)
                except errors.KafkaError as raised:
                    error = raised
                    if not raised.retriable:
                        raise
        if len(found) == len(moments):
            return found
        raise translated("asking for offsets", error or errors.LeaderNotAvailableError())

    async def _ask_leaders(
        self, moments: Mapping[Partition, int], found: dict[Partition, int], *, committed: bool
    ) -> Any:
        """Ask once; add what is answered to `found`, return what was wrong with the rest."""
        trouble: Any = None
        by_leader: dict[int, dict[Partition, tuple[int, int]]] = defaultdict(dict)
        for one, at in moments.items():
            leader = _leaders(self._known, one.topic).get(one.partition, -1)
            if leader < 0:
                trouble = errors.LeaderNotAvailableError(f"{one.topic}/{one.partition}")
            else:
                by_leader[leader][one] = (one.partition, at)
        for leader, asked in by_leader.items():
            answer = await self._ask(leader, OffsetRequest(-1, int(committed), _by_topic(asked)))
            for topic, parts in answer.topics:
                for partition, code, _, offset, *_ in parts:
                    if code:
                        trouble = errors.for_code(code)(f"{topic}/{partition}")
                        if not trouble.retriable:
                            raise trouble
                    else:
                        found[Partition(topic, partition)] = offset
        return trouble

    def _learn(self, metadata: Metadata) -> Metadata:
        topics = self._known.topics | metadata.topics
        self._known = Metadata(metadata.cluster, metadata.nodes, topics)
        return metadata


_MOVED: Final = (
    errors.NotCoordinatorForGroupError,
    errors.GroupCoordinatorNotAvailableError,
    errors.GroupLoadInProgressError,
)


def _group_code(answer: Any) -> int:
    """Return the error of an answer about a group, 0 for none."""
    if hasattr(answer, "groups"):
        return int(answer.groups[0][0])
    for _, parts in answer.topics:
        for _, _, _, code in parts:
            return int(code)
    return 0


def _leaders(known: Metadata, topic: str) -> Mapping[int, int]:
    found = known.topics.get(topic)
    return found.leaders if found is not None and not found.error else {}


def _by_topic(parts: Mapping[Partition, Any]) -> list[tuple[str, list[Any]]]:
    topics: dict[str, list[Any]] = defaultdict(list)
    for one, part in parts.items():
        topics[one.topic].append(part)
    return list(topics.items())


def address(server: str) -> tuple[str, int]:
    """Return host and port of `host:port`; an IPv6 address stands in brackets."""
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)


async def shut(connection: Any) -> None:
    """Close a connection of aiokafka and wait until its socket is gone."""
    closed = connection.close()
    if closed is not None:
        await closed


async def metadata_of(connection: Any, topics: Sequence[str] | None) -> Metadata:
    """Ask one broker; an older one than 3.1 tells no topic ids."""
    try:
        answer: Metadata = await connection.send(MetadataRequest(topics))
    except Unspoken:
        older = await connection.send(OlderMetadataRequest(topics, allow_auto_topic_creation=False))
        return _older(older)
    return answer


def _older(answer: Any) -> Metadata:
    nodes = {node: Node(node, host, port) for node, host, port, *_ in answer.brokers}
    topics = {
        name: Topic(name, "", code, {part[1]: part[2] for part in parts}, internal)
        for code, name, internal, parts in answer.topics
    }
    cluster = getattr(answer, "cluster_id", None)  # versions 0 and 1 have none
    if not cluster:
        raise SourceUnavailable("the cluster tells no id: Kafka 0.10.1 or later is needed")
    return Metadata(cluster, nodes, topics)
