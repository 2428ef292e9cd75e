"""One consumer on one channel: what the broker hands over, and how it is acknowledged.

Deliveries of one channel are acknowledged together up to a tag. Whatever ends the consumer (the broker takes
it back, the channel or the connection closes, a watch finds it gone) ends `take` with the reason: there is no
state in which nobody consumes and nobody knows.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from triggers.errors import SourceUnavailable, TriggerError
from triggers.rabbitmq.connection import Link, said
from triggers.rabbitmq.decoding import Delivery

MAX_BYTES: Final = 8 * 1024 * 1024
"""A batch ends with the message that brings it to this size."""


_TURNS: Final = 2
"""Idle turns of the loop after which nothing more is on its way from the socket to us (measured)."""


class Feed:
    """The deliveries of one consumer. `received` and `acknowledged` count them."""

    def __init__(self, link: Link, queue: str) -> None:
        self.received = 0
        self.acknowledged = 0
        self._link = link
        self._queue = queue
        self._channel: AbstractChannel | None = None
        self._waiting: deque[DeliveredMessage] = deque()
        self._stirred = asyncio.Event()
        self._failure: TriggerError | None = None

    @classmethod
    async def begin(
        cls, link: Link, queue: str, *, ahead: int, arguments: Mapping[str, Any] | None = None
    ) -> Self:
        """Begin to consume. Raise SourceUnavailable or SourceRejected."""
        feed = cls(link, queue)
        channel = feed._channel = await link.channel()
        channel.on_consumer_cancel_callbacks.add(feed._cancelled)
        channel.closing.add_done_callback(feed._closed)
        link.closing.add_done_callback(feed._closed)
        await link.call(channel.basic_qos(prefetch_count=ahead), "setting the prefetch count")
        await link.call(
            channel.basic_consume(queue, feed._arrived, arguments=dict(arguments or {})),
            f"to consume from the queue {queue}",
        )
        return feed

    def fail(self, error: TriggerError) -> None:
        """End `take` with this error, unless it has ended with another one before."""
        if self._failure is None:
            self._failure = error
            self._stirred.set()

    async def take(self, most: int) -> list[DeliveredMessage]:
        """Return what has come, in order, at least one; nothing is waited for that is not there yet."""
        waiting = self._waiting
        while self._failure is None and not waiting:
            self._stirred.clear()
            await self._stirred.wait()
        await self._gather(most)
        if self._failure is not None:
            raise self._failure
        taken: list[DeliveredMessage] = []
        size = 0
        while waiting and len(taken) < most and size < MAX_BYTES:
            message = waiting.popleft()
            size += len(message.body)
            taken.append(message)
        return taken

    async def acknowledge(self, taken: list[DeliveredMessage]) -> None:
        """Acknowledge the deliveries of one `take`, and all before it."""
        channel, tag = self._channel, taken[-1].delivery_tag
        if self._failure is not None:
            raise self._failure
        if channel is None or tag is None:
            raise SourceUnavailable(f"the consumer of the queue {self._queue} has not begun")
        await self._link.tell(
            channel.basic_ack(tag, multiple=True, wait=False), f"acknowledging on the queue {self._queue}"
        )
        self.acknowledged += len(taken)

    async def end(self) -> None:
        """Close the channel; what was not acknowledged goes back."""
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            await self._link.call(channel.close(), "closing a channel")

    async def _gather(self, most: int) -> None:
        """Let what has reached the socket come in, which takes turns of the loop; wait for nothing else."""
        waiting, seen, idle = self._waiting, 0, 0
        while len(waiting) < most and idle < _TURNS:
            idle = idle + 1 if len(waiting) == seen else 0
            seen = len(waiting)
            await asyncio.sleep(0)

    async def _arrived(self, message: DeliveredMessage) -> None:
        self.received += 1
        self._waiting.append(message)
        self._stirred.set()

    def _cancelled(self, _frame: Basic.Cancel) -> None:
        self.fail(
            SourceUnavailable(
                f"{self._link.where} has ended the consumer of {self._queue}: "
                "the queue was deleted, or its node is gone"
            )
        )

    def _closed(self, closing: "asyncio.Future[Any]") -> None:
        error = None if closing.cancelled() else closing.exception()
        why = said(error) if error is not None and not isinstance(error, asyncio.CancelledError) else ""
        self.fail(
            SourceUnavailable(
                f"{self._link.where} has closed the channel on the queue {self._queue}{why and ': '}{why}"
            )
        )


def delivery(message: DeliveredMessage) -> Delivery:
    """Return what the decoder wants to know of a delivery."""
    frame = message.delivery
    return Delivery(
        message.body,
        message.header.properties,
        frame.exchange or "",  # type: ignore[union-attr]  # a consumer gets Basic.Deliver and nothing else
        frame.routing_key or "",  # type: ignore[union-attr]
        frame.redelivered or False,  # type: ignore[union-attr]
    )
