"""This process as a member of a consumer group: a broker and a subscriber of FastStream, for one source.

The subscriber has no handler, and its consumer is polled by us. FastStream's own loop would log what a
handler or a fetch raises and go on with the next batch, sleep between empty polls, and take header values for
UTF-8; none of that may happen between a record and its offset. What stays FastStream's is making, starting
and stopping.

Nothing is ever committed but by `commit`, and no offset is ever reset but by `seek`.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoding import Record
from triggers.kafka.faults import DAMAGE, Damaged, plain, told, translated
from triggers.kafka.offsets import Partition
from triggers.kafka.security import broker_security

NEVER: Final = 7 * 24 * 3600 * 1000
"""Milliseconds that a store may take: aiokafka leaves the group when nobody polls for so long (F32).

The service sees by its progress that a source stands still; leaving the group meanwhile would only make the
others repeat.
"""

START_SECONDS: Final = 1.0
"""How long a start may go on that nobody wants any more: cut off too early, it forgets a connection."""

STOP_SECONDS: Final = 4.0
"""How long a cluster may take to let us leave before its connections are cut."""


_REBALANCE_SECONDS: Final = 2.0


class OutOfRange(Exception):
    """A partition does not have what was asked of it, no longer or not yet: it has to be placed anew."""


class NotCommitted(Exception):
    """An offset was not committed: the group has moved on without us, or its coordinator does not answer."""


class Member:
    """One member of one group. It is started once; stopping twice is harmless, in any state."""

    def __init__(self, config: KafkaConfig, client_id: str, context: ssl.SSLContext | None) -> None:
        self.generation = 0
        """Changes whenever partitions are given or taken: what was polled before is void then."""
        self._config = config
        self._broker = make_broker(config, client_id, context)
        self._subscriber: Any = None
        self._starting: asyncio.Task[None] | None = None
        self._consumer: Any = None
        self._assigned = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def start(self, topics: Collection[str]) -> None:
        """Join the group for these topics, or for the configured pattern. Raise when nothing comes of it."""
        config = self._config
        self._subscriber = make_subscriber(self._broker, config, topics, _Listener(self))
        patience = (config.rebalance_timeout + 2 * config.request_timeout).total_seconds()
        self._starting = asyncio.ensure_future(self._broker.start())
        with told(f"joining group {config.group}"):
            done, _ = await asyncio.wait([self._starting], timeout=patience)
            if not done:
                raise TimeoutError
            self._starting.result()
        self._consumer = self._subscriber.consumer

    async def stop(self) -> None:
        """Leave the group and close everything, by force when the cluster takes too long."""
        self._quiet.set()
        await self._started()
        stopping = asyncio.ensure_future(self._broker.stop())
        try:
            await asyncio.wait([stopping], timeout=STOP_SECONDS)
        finally:
            if not stopping.done():
                self._cut()
                await asyncio.wait([stopping], timeout=STOP_SECONDS)
            if not stopping.cancel():
                _look_at(stopping)  # what could not be said to the cluster need not be
            await self._release()

    async def _started(self) -> None:
        """Let a start come to its end, or to the point from which aiokafka knows what it has opened."""
        starting = self._starting
        if starting is None or starting.done():
            return
        try:
            await asyncio.wait([starting], timeout=START_SECONDS)
        finally:
            starting.cancel()
            await asyncio.wait([starting], timeout=STOP_SECONDS)
            if starting.done():
                _look_at(starting)

    async def assigned(self, seconds: float) -> bool:
        """Wait until the group has given us our share, be it empty."""
        if not self._assigned.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._assigned.wait()
        return self._assigned.is_set()

    def share(self) -> frozenset[Partition]:
        """Return the partitions that are ours."""
        return frozenset(Partition(*one) for one in self._consumer.assignment())

    def subscribe(self, topics: Collection[str]) -> None:
        """Take other topics from now on."""
        self._consumer.subscribe(topics=set(topics), listener=_Listener(self))

    async def poll(self, seconds: float, most: int) -> Mapping[Partition, Sequence[Record]]:
        """Return what is there, by partition; nothing when nothing comes in time."""
        try:
            # Beyond its own time-out aiokafka waits for the end of a rebalance, for ever if need be.
            async with asyncio.timeout(seconds + _REBALANCE_SECONDS):
                found: Mapping[Partition, Sequence[Record]] = await self._consumer.getmany(
                    timeout_ms=int(seconds * 1000), max_records=most
                )
        except TimeoutError:
            return {}
        except (errors.OffsetOutOfRangeError, errors.NoOffsetForPartitionError) as error:
            raise OutOfRange(plain(error)) from error
        except DAMAGE as error:
            raise Damaged(plain(error)) from error
        except (errors.KafkaError, errors.ConsumerStoppedError) as error:
            raise translated(f"reading as a member of group {self._config.group}", error) from error
        return found

    async def position(self, partition: Partition) -> int:
        """Return the offset that is polled next: what stands before it was polled, or is no record."""
        try:
            at: int = await self._consumer.position(TopicPartition(*partition))
        except errors.IllegalStateError:
            return 0
        return at

    def seek(self, partition: Partition, offset: int) -> bool:
        """Poll a partition from an offset on; say whether it is still ours."""
        try:
            self._consumer.seek(TopicPartition(*partition), offset)
        except errors.IllegalStateError:
            return False
        return True

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group what is stored. Raise NotCommitted."""
        if not offsets:
            return
        try:
            async with asyncio.timeout(self._config.request_timeout.total_seconds()), _nothing_forgotten():
                await self._consumer.commit({TopicPartition(*one): at for one, at in offsets.items()})
        except (errors.KafkaError, errors.ConsumerStoppedError, TimeoutError) as error:
            raise NotCommitted(plain(error)) from error

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Hold a rebalance back, within bounds, while something is stored and committed."""
        self._quiet.clear()
        try:
            yield
        finally:
            self._quiet.set()

    # -- what the group tells

    async def revoked(self) -> None:
        """Be told that our share is void: what is being stored may still be finished and committed."""
        self._assigned.clear()
        self.generation += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.rebalance_timeout.total_seconds() / 2):
                await self._quiet.wait()

    def given(self) -> None:
        """Be told that we have a share again."""
        self.generation += 1
        self._assigned.set()

    # -- what aiokafka leaves open

    def _parts(self) -> Mapping[str, Any]:
        consumer = self._subscriber.consumer if self._subscriber is not None else None
        return vars(consumer) if consumer is not None else {}

    def _cut(self) -> None:
        """Close the connections, so that whatever waits for an answer fails now."""
        client = self._parts().get("_client")
        for connection in list(vars(client)["_conns"].values()) if client is not None else ():
            connection.close()

    async def _release(self) -> None:
        """Close what a stop that failed half-way has left open: aiokafka does not go on after an error."""
        parts = self._parts()
        for name in ("_fetcher", "_client"):
            if parts.get(name) is not None:
                with contextlib.suppress(errors.KafkaError):
                    await asyncio.wait([asyncio.ensure_future(parts[name].close())], timeout=STOP_SECONDS)


@contextlib.asynccontextmanager
async def _nothing_forgotten() -> AsyncIterator[None]:
    """See to a commit that is cancelled: aiokafka shields its request and forgets the task it runs in."""
    try:
        yield
    except asyncio.CancelledError:
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") == "_do_commit_offsets":
                task.add_done_callback(_look_at)
        raise


def _look_at(task: "asyncio.Task[Any]") -> None:
    """Look at how a task ended, so that nobody is warned that nobody did."""
    if not task.cancelled():
        task.exception()


class _Listener:
    """Hands on what the group tells."""

    def __init__(self, member: Member) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Be told before a rebalance."""
        del revoked
        await self._member.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Be told after a rebalance."""
        del assigned
        self._member.given()


ConsumerRebalanceListener.register(_Listener)  # aiokafka has no types: a subclass of it could not be checked


def make_broker(config: KafkaConfig, client_id: str, context: ssl.SSLContext | None) -> KafkaBroker:
    """Return a broker of one source's own: it makes no topics, has no producer and logs nothing."""
    return KafkaBroker(
        list(config.servers),
        client_id=client_id,
        request_timeout_ms=int(config.request_timeout.total_seconds() * 1000),
        metadata_max_age_ms=int(config.refresh.total_seconds() * 1000),
        security=broker_security(config.sasl, context),
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        consumer_only=True,
        allow_auto_create_topics=False,
        logger=None,
    )


def make_subscriber(broker: KafkaBroker, config: KafkaConfig, topics: Collection[str], listener: Any) -> Any:
    """Return the subscriber that joins the group. Offsets are ours: none is committed or reset for us."""
    session = int(config.session_timeout.total_seconds() * 1000)
    pattern = None
    if config.pattern is not None:  # a whole name; braces are FastStream's own syntax unless they are doubled
        pattern = f"(?:{config.pattern})\\Z".replace("{", "{{").replace("}", "}}")
    return broker.subscriber(
        *(() if pattern else sorted(topics)),
        pattern=pattern,
        group_id=config.group,
        batch=True,
        max_records=config.batch,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="none",
        isolation_level=config.isolation,
        max_partition_fetch_bytes=config.max_fetch,
        partition_assignment_strategy=(_assignor(config.assignor),),
        session_timeout_ms=session,
        heartbeat_interval_ms=max(session // 10, 100),
        rebalance_timeout_ms=int(config.rebalance_timeout.total_seconds() * 1000),
        max_poll_interval_ms=NEVER,
        listener=listener,
    )


def _assignor(name: str) -> Any:
    """Return an assignor. aiokafka's sticky one keeps its state on the class: each member needs its own."""
    found = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}.get(name)
    return found or type("StickyPartitionAssignor", (StickyPartitionAssignor,), {})
