"""The RabbitMQ source: takes the messages of one queue or stream, stores them, then acknowledges.

One consumer on a connection of its own, which nothing brings back behind our back: when anything ends it,
`run` ends with the reason, and what was not acknowledged comes again. A batch is what has come while the one
before was stored; a lone message waits for nobody. Rejects are acknowledged like messages: they are stored.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from aiormq.abc import AbstractChannel, DeliveredMessage
from typing_extensions import override

from triggers.base import Emit, Finding, Progress, SetupStep, Source, SourceConfig, SourceContext
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable, TriggerError
from triggers.expressions import compile_expressions
from triggers.rabbitmq import checking, streams, topology
from triggers.rabbitmq.config import RabbitMQConfig, StreamConfig
from triggers.rabbitmq.connection import Access, Link
from triggers.rabbitmq.decoding import Decoder
from triggers.rabbitmq.feed import Feed, delivery

_PEEK: Final = 2.0
"""Seconds to wait for what a stream has last; an empty one has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    context: SourceContext
    access: Access
    decoder: Decoder


class RabbitMQSource(Source[RabbitMQConfig]):
    """The messages of one queue or stream."""

    kind: ClassVar[str] = "rabbitmq"
    Config: ClassVar[type[SourceConfig]] = RabbitMQConfig

    def __init__(
        self, name: str, config: RabbitMQConfig, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        super().__init__(name, config)
        self._random = random
        self._stream = config.reads_stream
        self._open: _Opened | None = None
        self._feed: Feed | None = None
        self._mark: streams.Mark | None = None  # how far a stream is stored
        self._taken = 0
        self._position = ""
        self._looking: Link | None = None  # the connection of `progress`
        self._look = asyncio.Lock()

    @property
    @override
    def ordered(self) -> bool:
        return self._stream is not None

    @override
    def review(self) -> list[Finding]:
        return checking.review(self.config)

    @override
    async def open(self, context: SourceContext) -> None:
        self._open = _Opened(
            context=context,
            access=Access(self.name, self.config),
            decoder=Decoder(
                self.name,
                self.config,
                expressions=compile_expressions(self.config, context),
                random=self._random,
            ),
        )

    @override
    async def check(self) -> list[Finding]:
        return await checking.check(self._opened().access, self.config)

    @override
    async def setup(self, *, apply: bool) -> list[SetupStep]:
        async with await self._opened().access.connect("setup") as link:
            return await topology.setup(link, self.config, apply=apply)

    @override
    async def teardown(self, *, apply: bool) -> list[SetupStep]:
        async with await self._opened().access.connect("teardown") as link:
            return await topology.teardown(link, self.config, apply=apply)

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        if self._stream is None:
            raise SourceRejected(
                f"the queue {self.config.queue} forgets what was acknowledged: it cannot begin elsewhere "
                f"(asked for: {to})"
            )
        return streams.rewound(to, self._opened().context.clock())

    @override
    async def run(self, emit: Emit) -> None:
        async with await self._opened().access.connect() as link:
            await topology.establish(link, self.config)
            if self._stream is None:
                await self._take_queue(link, emit)
            else:
                await self._take_stream(link, emit, self._stream)

    @override
    async def close(self) -> None:
        looking, self._looking = self._looking, None
        if looking is not None:
            await looking.close()

    # -- taking

    async def _take_queue(self, link: Link, emit: Emit) -> None:
        feed = await Feed.begin(link, self.config.queue, ahead=self.config.ahead)
        async with self._consuming(link, feed):
            while True:
                taken = await feed.take(self.config.batch)
                await self._store(emit, feed, taken, taken)

    async def _take_stream(self, link: Link, emit: Emit, stream: StreamConfig) -> None:
        context, queue = self._opened().context, self.config.queue
        mark, new = streams.begin(await context.positions(), stream.start, context.clock())
        if new:
            await emit((), {streams.KEY: mark.encode()})
        while True:
            self._mark = mark
            arguments = {"x-stream-offset": mark.argument}
            feed = await Feed.begin(link, queue, ahead=self.config.ahead, arguments=arguments)
            try:
                async with self._consuming(link, feed):
                    taken = await self._first(link, feed, mark)
                    new_ones = taken if mark.start else self._behind(mark, taken)
                    while True:
                        await self._store(emit, feed, taken, new_ones)
                        taken = new_ones = await feed.take(self.config.batch)
            except SourceGap as gap:
                notice, mark = streams.passed(gap, stream.on_gap, context.clock())
                await emit((notice,), {streams.KEY: mark.encode()})
                await feed.end()

    async def _first(self, link: Link, feed: Feed, mark: streams.Mark) -> list[DeliveredMessage]:
        """Return what a stream gives first. Raise SourceGap when it ends before what is stored from it."""
        queue = self.config.queue
        while not mark.start:
            try:
                async with asyncio.timeout(self.config.timeout.total_seconds()):
                    return await feed.take(self.config.batch)
            except TimeoutError:
                last = await _last_offset(link, queue)
            if last >= mark.offset:  # a reader of a segment that was just deleted gets nothing
                raise SourceUnavailable(f"the stream {queue} gives nothing from offset {mark.offset} on")
            if last >= 0:
                raise streams.ends_early(mark, last, queue)
            # Everything in it has expired; what comes next tells whether anything is missing.
        return await feed.take(self.config.batch)

    def _behind(self, mark: streams.Mark, taken: list[DeliveredMessage]) -> list[DeliveredMessage]:
        """Return what is new of the first messages of a stream. Raise SourceGap when something is missing."""
        again = streams.goes_on(mark, _offset(taken[0]), taken[0].body, self.config.queue)
        return taken[1:] if again else taken

    async def _store(
        self, emit: Emit, feed: Feed, taken: list[DeliveredMessage], new: list[DeliveredMessage]
    ) -> None:
        """Store what is new of a batch, then acknowledge all of it."""
        opened = self._opened()
        decode, context = opened.decoder.decode, opened.context
        if new:
            mark = None if self._stream is None else streams.behind(_offset(new[-1]), new[-1].body)
            positions = None if mark is None else {streams.KEY: mark.encode()}
            await emit([decode(delivery(message)) for message in new], positions)
            self._mark = mark
        context.reached("rabbitmq.before_ack")
        await feed.acknowledge(taken)
        context.reached("rabbitmq.after_ack")
        self._taken += len(taken)
        self._position = f"{self._taken} at {context.clock():.3f}"

    @contextlib.asynccontextmanager
    async def _consuming(self, link: Link, feed: Feed) -> AsyncIterator[None]:
        """Say that the source runs, and watch over its consumer meanwhile."""
        self._feed = feed
        watching = self._watch(link, await link.channel(), feed)
        watch = asyncio.create_task(watching, name=f"watch over {self.name}")
        self._opened().context.report.running(
            f"consuming {self.config.queue} at {self.config.host}, RabbitMQ {link.version}"
        )
        try:
            yield
        finally:
            self._feed = None
            watch.cancel()
            await asyncio.wait({watch})
            if not watch.cancelled():
                watch.result()

    async def _watch(self, link: Link, channel: AbstractChannel, feed: Feed) -> None:
        """Ask the broker now and then whether we are still its consumer; a silence ends the feed."""
        beat = self.config.heartbeat.total_seconds()
        queue = self.config.queue
        try:
            missed = False
            while True:
                await asyncio.sleep(min(1.0, beat / 4) if missed else beat)
                look = channel.queue_declare(queue, passive=True)
                declared = await link.call(look, "a sign of life", within=beat)
                gone = declared.consumer_count == 0 and self._stream is None
                if missed and gone:
                    feed.fail(SourceUnavailable(f"{link.where} counts no consumer on {queue} any more"))
                missed = gone  # looked at twice: a broker that closes the channel says why a moment later
        except TriggerError as error:
            feed.fail(SourceUnavailable(str(error)))

    # -- seen from outside

    @override
    async def progress(self) -> Progress:
        async with self._look:
            link = self._looking
            if link is None or not link.alive:
                await self.close()
                link = self._looking = await self._opened().access.connect("progress")
            try:
                pending = await self._pending(link)
            except TriggerError:
                await self.close()
                raise
        return Progress(pending=pending, position=self._position)

    async def _pending(self, link: Link) -> int | None:
        """Return what waits: in the queue and with us; of a stream at least so much."""
        queue = self.config.queue
        if self._stream is not None:
            if self._mark is None or self._mark.start:
                return None
            return max(0, await _last_offset(link, queue) - self._mark.offset)
        try:
            declared = await topology.asked(
                link, lambda channel: channel.queue_declare(queue, passive=True), "a look at the queue"
            )
        except SourceRejected as error:
            raise SourceUnavailable(str(error)) from error
        feed = self._feed
        return (declared.message_count or 0) + (feed.received - feed.acknowledged if feed is not None else 0)

    def _opened(self) -> _Opened:
        if self._open is None:
            raise SourceRejected(f"{self.name} is not open")
        return self._open


def _offset(message: DeliveredMessage) -> int:
    return streams.offset_of(message.header.properties.headers)


async def _last_offset(link: Link, queue: str) -> int:
    """Return an offset of what a stream got last (the first of its last chunk), or -1 when it is empty."""
    feed = await Feed.begin(link, queue, ahead=1, arguments={"x-stream-offset": "last"})
    try:
        async with asyncio.timeout(_PEEK):
            return _offset((await feed.take(1))[0])
    except TimeoutError:
        return -1
    finally:
        await feed.end()
