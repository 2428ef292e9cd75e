"""A producer of aiokafka that can be given up at once, and asks before it connects anywhere.

aiokafka's own keeps what it could not send and tries for ever: beside retries of the service that would send
one message many times over. `give_up` ends it within a second, whatever state the cluster is in. Its client
is told of further brokers by the cluster: they are judged like the ones that were configured.
"""

import asyncio
import contextlib
import logging
import ssl
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.sender import Sender
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.util import create_task
from typing_extensions import override

from actions.addresses import Server
from actions.brokers import Brokers, Deadlines, Denied, Gate
from actions.errors import Refused, RetryLater
from actions.kafka.records import MAX_RECORD_BYTES, Record

TOPIC_WITHIN: Final = 3.0
"""Seconds for the cluster to say that it knows a topic; one that is being created takes less."""

CLOSE_WITHIN: Final = 1.0
BACKOFF_MS: Final = 100
_LOGIN_REFUSED: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
_log = logging.getLogger(__name__)


class Access:
    """How a connection reaches its cluster: the brokers, what judges them, and the login."""

    def __init__(
        self,
        name: str,
        brokers: Brokers,
        gate: Gate,
        *,
        context: ssl.SSLContext | None,
        login: tuple[str, str, str] | None,
        timeout: float,
    ) -> None:
        """Take user name, password and mechanism as the login; `timeout` in seconds is a request's."""
        self.name = name
        self.brokers = brokers
        self.gate = gate
        layer = "SSL" if brokers.secure else "PLAINTEXT"
        self.options: dict[str, Any] = {
            "client_id": f"pointsman-{name}",
            "request_timeout_ms": int(timeout * 1000),
            "security_protocol": f"SASL_{layer}" if login else layer,
            "ssl_context": context,
        }
        if login:
            user, password, mechanism = login
            self.options.update(
                sasl_mechanism=mechanism, sasl_plain_username=user, sasl_plain_password=password
            )


class Client(AIOKafkaClient):
    """A client that connects only where it may."""

    def __init__(self, access: Access) -> None:
        """Connect nowhere yet."""
        places = [f"{one.host}:{one.port}" for one in access.brokers.servers]
        super().__init__(bootstrap_servers=places, retry_backoff_ms=BACKOFF_MS, **access.options)
        self._access = access

    @override
    async def bootstrap(self) -> None:
        """Learn the cluster from the first broker that answers. Raise RetryLater, Denied or Refused."""
        reasons = []
        for server in self._access.brokers.servers:
            reason = await self._learn(server)
            if not reason:
                await self._judge_named()
                self._sync_task = create_task(self._md_synchronizer())
                return
            reasons.append(f"{server.host}:{server.port} {reason}")
        raise RetryLater(f"{self._access.name}: no broker can be reached: {'; '.join(reasons)}")

    async def _learn(self, server: Server) -> str:
        """Ask one broker for its cluster; return why that failed, "" when it did not."""
        name = self._access.name
        try:
            await self._access.gate.addresses(server)
            connection = await create_conn(server.host.strip("[]"), server.port, **self._access.options)
        except _LOGIN_REFUSED as error:
            raise Denied(401, f"{name}: the broker does not take the login: {error}") from error
        except (OSError, KafkaError, TimeoutError, RetryLater) as error:
            return str(error) or type(error).__name__
        try:
            self.cluster.update_metadata(await connection.send(MetadataRequest([])))
        except (KafkaError, TimeoutError) as error:
            return str(error) or type(error).__name__
        finally:
            connection.close()
        return "" if self.cluster.brokers() else "names no broker"

    async def _judge_named(self) -> None:
        """Raise Refused when none of the brokers that the cluster names may be called."""
        reasons = []
        for broker in self.cluster.brokers():
            try:
                await self._access.gate.addresses(self._server(broker))
            except Refused as error:
                reasons.append(str(error))
            except RetryLater:
                return  # its name is not found just now: no reason to refuse anything
            else:
                return
        raise Refused(f"no broker that the cluster names may be called: {'; '.join(reasons)}")

    def _server(self, broker: Any) -> Server:
        host = f"[{broker.host}]" if ":" in broker.host else broker.host.lower()
        return Server(self._access.brokers.scheme, host, broker.port)

    @override
    async def _get_conn(
        self, node_id: Any, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        """Return a connection to a broker, None when there is none or may be none."""
        broker = self.cluster.broker_metadata(node_id)
        if broker is not None and (node_id, group) not in self._conns:
            try:
                await self._access.gate.addresses(self._server(broker))
            except (Refused, RetryLater) as error:
                _log.warning("%s: a broker that the cluster names is left out: %s", self._access.name, error)
                return None
        return await super()._get_conn(node_id, group=group, no_hint=no_hint)

    def connected(self, node_id: Any) -> bool:
        """Tell whether there is a connection to a broker."""
        connection = self._conns.get((node_id, ConnectionGroup.DEFAULT))
        return connection is not None and bool(connection.connected())

    async def abort(self) -> None:
        """Close all connections, those that do not want to within a moment by force."""
        writers = [one._writer for one in self._conns.values()]  # noqa: SLF001 - it has no abort of its own
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close()
        except TimeoutError:
            for writer in writers:
                if writer is not None:
                    writer.transport.abort()


class _Sender(Sender):
    """A sender whose requests can be given up."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._requests: set[asyncio.Task[None]] = set()

    @override
    async def _send_produce_req(self, node_id: Any, batches: Any) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        await super()._send_produce_req(node_id, batches)

    async def give_up(self) -> None:
        """End the routine and all requests under way."""
        tasks = [task for task in (self.sender_task, *self._requests) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Producer(AIOKafkaProducer):
    """An idempotent producer that waits for every replica in sync. Start it once, give it up once."""

    def __init__(self, access: Access) -> None:
        """Connect nowhere yet."""
        super().__init__(
            acks="all",
            enable_idempotence=True,
            linger_ms=0,  # what comes while a request is under way makes the next batch
            max_request_size=2 * MAX_RECORD_BYTES,
            retry_backoff_ms=BACKOFF_MS,
            request_timeout_ms=access.options["request_timeout_ms"],
        )
        self._access = access
        self._partitions = DefaultPartitioner()
        self.client = Client(access)
        self.client.cluster = self._metadata  # the accumulator looks there for leaders
        self._sender = _Sender(
            self.client,
            acks=-1,
            txn_manager=self._txn_manager,
            message_accumulator=self._message_accumulator,
            retry_backoff_ms=BACKOFF_MS,
            request_timeout_ms=access.options["request_timeout_ms"],
        )
        self.deadlines = Deadlines()  # of all who wait for it
        self.calls = 0  # how many use it
        self.retired = False  # it takes no more calls

    def place_now(self, record: Record) -> int | None:
        """Return the partition of a record, None when that cannot be said without asking the cluster."""
        known = self._metadata.partitions_for_topic(record.topic)
        if self.retired or not known or (record.partition is not None and record.partition not in known):
            return None
        partition = self._partition_of(record, known)
        leader = self._metadata.leader_for_partition(TopicPartition(record.topic, partition))
        return partition if self.client.connected(leader) else None

    async def place(self, record: Record) -> int:
        """Return the partition of a record, whose leader is connected to us.

        Raise RetryLater when that cannot be had now, Refused or Denied when it never can.
        """
        name, topic = self._access.name, record.topic
        try:
            async with asyncio.timeout(TOPIC_WITHIN):
                known = await self.partitions_for(topic)
        except (TimeoutError, UnknownTopicOrPartitionError):
            raise RetryLater(
                f"{name}: the cluster does not know the topic {topic}; it has to be created"
            ) from None
        except TopicAuthorizationFailedError as error:
            raise Denied(403, f"{name}: the cluster does not let us use the topic {topic}") from error
        except KafkaError as error:
            raise RetryLater(f"{name}: topic {topic}: {error}") from error
        if record.partition is not None and record.partition not in known:
            raise Refused(f"{name}: the topic {topic} has no partition {record.partition}, only {len(known)}")
        partition = self._partition_of(record, known)
        leader = self._metadata.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader == -1:
            self.client.force_metadata_update()
            raise RetryLater(f"{name}: partition {partition} of {topic} has no leader")
        if not await self.client.ready(leader):
            raise RetryLater(f"{name}: the leader of {topic}/{partition} cannot be reached")
        return partition

    def _partition_of(self, record: Record, known: set[int]) -> int:
        if record.partition is not None:
            return record.partition
        available = list(self._metadata.available_partitions_for_topic(record.topic) or ())
        return int(self._partitions(record.key, sorted(known), available))

    async def hand_over(self, record: Record, partition: int) -> asyncio.Future[Any]:
        """Return what will tell the record's offset. Whatever this raises, nothing was sent."""
        future: asyncio.Future[Any] = await self.send(
            record.topic, record.value, record.key, partition, headers=list(record.headers)
        )
        return future

    async def give_up(self) -> None:
        """Send nothing more, end whoever waits, close everything. Twice is harmless."""
        self._closed = self.retired = True
        self.deadlines.end()
        await self._sender.give_up()
        with contextlib.suppress(KafkaError):
            await self.client.abort()
