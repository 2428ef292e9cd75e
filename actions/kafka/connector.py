"""Publishes messages to Kafka.

aiokafka's producer is used as it is, without FastStream's broker around it: a call has to know whether its
record was handed over to be sent, and a producer that failed has to be replaced while others go on; a broker
object hides both. Every replica in sync confirms before a call is answered. What was not confirmed in time
may have been published: then the producer is given up, since it would go on sending beside our own retries.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from typing_extensions import override

from actions.base import Answer, Connector, Finding, OperationInfo, Prepared
from actions.brokers import Deadlines, Denied, Gate, answer, in_clear, read_brokers
from actions.cloudevents import EventStyle
from actions.egress import Egress, Resolver, SystemResolver
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.kafka.producer import Access, Producer
from actions.kafka.records import Record, make_record
from actions.operations import Infos, find
from actions.presets import no_preset
from actions.publishing import Compose, compile_publication, digest
from actions.specs.model import Spec

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_BATCH_BYTES: Final = 16_384
"""Smaller records share a batch: one that is too large says little of each."""


class KafkaConnector(Connector):
    """Performs operations of a `Spec` at one Kafka cluster. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        server: str,
        login: tuple[str, str, str] | None = None,
        context: Callable[[], ssl.SSLContext] | None = None,
        egress: Egress | None = None,
        resolver: Resolver | None = None,
        style: EventStyle | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Take user name, password and mechanism as `login`, and over the resolver.

        Raise Refused when the server's URL cannot be called at all.
        """
        brokers = read_brokers(server, ("kafka", "kafka-secure"))
        self.name = name
        self._spec = spec
        self._brokers = brokers
        self._gate = Gate(name, egress or Egress(), resolver or SystemResolver())
        self._style = style or EventStyle()
        self._reveals = login is not None and login[2] == "PLAIN"
        self._access = Access(
            name,
            brokers,
            self._gate,
            context=(context or ssl.create_default_context)() if brokers.secure else None,
            login=login,
            timeout=timeout,
        )
        self._compiled: dict[str, tuple[str, Compose]] = {}
        self._current: Producer | None = None
        self._living: set[Producer] = set()
        self._starting = asyncio.Lock()
        self._deadlines = Deadlines()
        self._closed = False

    @override
    async def check(self) -> list[Finding]:
        found = await self._gate.check(self._brokers.servers)
        if self._reveals:
            found += in_clear(self.name, self._brokers, self._gate.egress)
        return found

    @override
    async def open(self) -> None:
        """Nothing to do: the first call starts a producer."""

    @override
    def operations(self) -> Mapping[str, OperationInfo]:
        return Infos(self._spec)

    @override
    def prepare(
        self, operation: str, arguments: Mapping[str, Any], *, key: str, at: float = 0.0, preset: str = ""
    ) -> Prepared:
        no_preset(operation, preset)
        id_, compose = self._compiled.get(operation) or self._compile(operation)
        outgoing = compose(arguments)
        record = make_record(outgoing, self._style, operation=id_, key=key)
        return Prepared(operation=id_, key=key, digest=digest(outgoing), request=record)

    @override
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        record: Record = prepared.request.with_attempt(headers)
        began = time.monotonic()
        try:
            producer, partition = await self._place(record, deadline)
            try:
                left = deadline - (time.monotonic() - began)
                offset = await self._publish(producer, record, partition, left)
            finally:
                await self._let_go(producer)
        except Denied as denied:
            return answer(denied.status, {"error": str(denied)}, began)
        return answer(200, {"topic": record.topic, "partition": partition, "offset": offset}, began)

    @override
    def show(self, prepared: Prepared) -> dict[str, Any]:
        record: Record = prepared.request
        url = f"{self._brokers.url}/{record.topic}"
        words = [] if record.key is None else [f"key={quote(record.key, safe='')}"]
        words += [] if record.partition is None else [f"partition={record.partition}"]
        return {
            "method": "PUBLISH",
            "url": f"{url}?{'&'.join(words)}" if words else url,
            "headers": {name: value.decode("utf-8", "replace") for name, value in record.headers},
            "body": (record.value or b"").decode("utf-8", "replace"),
        }

    @override
    async def login_again(self) -> bool:
        return False  # each connection logs in anew with what is configured

    @override
    async def close(self) -> None:
        self._closed = True
        self._current = None
        self._deadlines.end()
        for producer in list(self._living):
            await producer.give_up()
            self._living.discard(producer)
        self._gate.close()

    # The way of a record

    async def _place(self, record: Record, deadline: float) -> tuple[Producer, int]:
        """Return a started producer, marked as in use, and the partition. Nothing is sent here."""
        producer = self._current
        at_once = producer.place_now(record) if producer is not None else None
        if producer is not None and at_once is not None:
            producer.calls += 1
            return producer, at_once
        producer = None
        try:
            async with self._deadlines.within(deadline):
                producer = await self._started()
                producer.calls += 1
                return producer, await producer.place(record)
        except BaseException as error:
            if producer is not None:
                await self._let_go(producer)
            if isinstance(error, TimeoutError):
                why = (
                    "the connection is closed"
                    if self._closed
                    else f"no broker was ready within {deadline:g} s"
                )
                raise RetryLater(f"{self.name}: {why}; nothing was sent") from None
            raise

    async def _started(self) -> Producer:
        """Return the producer in use, or start one."""
        while True:
            if self._closed:
                raise RetryLater(f"{self.name}: the connection is closed")
            producer = self._current
            if producer is not None and not producer.retired:
                return producer
            async with self._starting:
                if self._current is producer:
                    self._current = await self._start()
                if self._closed and self._current is not None:
                    await self._current.give_up()

    async def _start(self) -> Producer:
        producer = Producer(self._access)
        self._living.add(producer)
        try:
            await producer.start()
        except BaseException as error:
            await producer.give_up()
            self._living.discard(producer)
            if isinstance(error, ClusterAuthorizationFailedError):
                raise Denied(403, f"{self.name}: the cluster does not let us publish anything") from error
            if isinstance(error, KafkaError | OSError):
                raise RetryLater(f"{self.name}: {error}") from error
            raise
        return producer

    async def _publish(self, producer: Producer, record: Record, partition: int, left: float) -> int | None:
        """Return the offset once it is confirmed; None where the broker knew the record already."""
        future: asyncio.Future[Any] | None = None
        try:
            async with producer.deadlines.within(left):
                future = await producer.hand_over(record, partition)
                found = await future
        except (TimeoutError, KafkaError, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            # Of what was handed over it would go on sending; after an error it may never be able to.
            producer.retired = producer.retired or future is not None or isinstance(error, KafkaError)
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if future is None:
                words = f"{self.name}: the producer's buffer took nothing ({error}); nothing was sent"
                raise RetryLater(words) from error
            raise self._judged(error, record) from error
        return None if found.offset < 0 else int(found.offset)

    def _judged(self, error: BaseException, record: Record) -> Exception:
        """Return what an error means that came after a record was handed over."""
        place = f"{self.name}: topic {record.topic}"
        if isinstance(error, TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
            return Denied(403, f"{place}: the cluster does not let us publish")
        if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
            if record.size > _BATCH_BYTES:
                return Refused(f"{place}: the broker does not take a record of {record.size} bytes")
            return RetryLater(f"{place}: the broker does not take a batch of this size")
        if isinstance(error, InvalidTopicError | PolicyViolationError):
            return Refused(f"{place}: {error}")
        if isinstance(error, TimeoutError):
            return OutcomeUnknown(f"{place}: not confirmed; it may have been published")
        return OutcomeUnknown(f"{place}: {error or type(error).__name__}; it may have been published")

    async def _let_go(self, producer: Producer) -> None:
        """End a call's use of a producer; the last one of a retired producer gives it up."""
        producer.calls -= 1
        if producer.retired:
            if self._current is producer:
                self._current = None
            if not producer.calls and producer in self._living:
                self._living.discard(producer)
                await producer.give_up()

    def _compile(self, name: str) -> tuple[str, Compose]:
        operation = find(self._spec, name, self.name)
        found = operation.id, compile_publication(operation, self._spec, "kafka")
        self._compiled[operation.id] = found
        if name in self._spec.aliases:  # only names of the description: callers cannot make this grow
            self._compiled[name] = found
        return found
