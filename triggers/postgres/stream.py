"""Reads the replication stream: decodes, gathers, stores, and confirms what is stored.

What was confirmed never comes again, so nothing is confirmed that is not in the stored position: the end of
the last transaction that is stored whole, or, when everything that came is stored and no transaction is in
work, how far the server says it has read. While `emit` waits nothing is read, and the server slows down by
itself; status updates go on meanwhile.
"""

import asyncio
import struct
import time
from typing import Final, NoReturn

from triggers.base import SourceContext
from triggers.errors import SourceUnavailable
from triggers.postgres.changes import Batch, Changes
from triggers.postgres.gate import Gate
from triggers.postgres.learning import Learner
from triggers.postgres.pgoutput import Decoder, ProtocolError, Relation
from triggers.postgres.skipping import SkippingAlarm
from triggers.postgres.wire import Wire

STATUS_EVERY: Final = 10.0
"""Seconds between status updates; less when the server takes us for dead earlier."""

SILENCES: Final = 3
"""So many status updates without an answer mean that the server is gone."""

_DATA: Final = 0x77  # w
_KEEPALIVE: Final = 0x6B  # k
_DATA_HEADER: Final = 25
_KEEPALIVE_BODY: Final = struct.Struct(">xQqB")
_TURN: Final = 1024
"""After so many frames others get their turn, whatever happens."""


class Stream:
    """One run of a stream. `read` and `beat` are two tasks; either ends both by raising."""

    def __init__(
        self, wire: Wire, gate: Gate, changes: Changes, learner: Learner, context: SourceContext
    ) -> None:
        self._wire = wire
        self._gate = gate
        self._changes = changes
        self._learner = learner
        self._context = context
        self._decoder = Decoder()
        self._confirmed = gate.position.lsn
        self._moved_at = time.monotonic()
        self._every = min(STATUS_EVERY, wire.timeout / 3) if wire.timeout else STATUS_EVERY

    async def read(self) -> NoReturn:
        """Take what comes, for ever."""
        frames = 0
        next_frame, decode = self._wire.frame, self._decoder.decode
        take_bytes, take = self._changes.take_bytes, self._changes.take
        try:
            while True:
                frame = next_frame()
                if frame is None:
                    await self._caught_up()
                    continue
                if frame[0] != _DATA:
                    await self._keepalive(frame)
                elif (full := take_bytes(frame, _DATA_HEADER)) is not None:
                    if full:
                        await self._store(self._changes.part())
                elif type(message := decode(frame, _DATA_HEADER)) is Relation:
                    self._changes.relation(message, await self._learner.learn(message))
                elif take(message, frame):
                    await self._store(self._changes.part())
                frames += 1
                if frames % _TURN == 0:
                    await asyncio.sleep(0)
        except ProtocolError as error:
            raise SourceUnavailable(f"the stream cannot be read: {error}") from error

    async def beat(self) -> NoReturn:
        """Tell the server how far we are, and see that it is alive, for ever."""
        alarm = SkippingAlarm(self._changes, self._context.report)
        while True:
            self._wire.status(self._confirmed, ask=True)
            await asyncio.sleep(self._every)
            alarm.look(time.monotonic())
            if self._wire.silent_for > SILENCES * self._every:
                raise SourceUnavailable(f"the server has been silent for {self._wire.silent_for:.0f} s")

    async def _caught_up(self) -> None:
        """Store what is whole, then wait for more."""
        if self._changes.due:
            await self._store(self._changes.whole())
        else:
            await self._wire.readable()

    async def _keepalive(self, frame: bytes) -> None:
        """Answer; when nothing is in work, store how far the server has read as our position, at times."""
        if frame[0] != _KEEPALIVE or len(frame) != _KEEPALIVE_BODY.size:
            raise ProtocolError(f"a frame of an unknown kind: {frame[:1]!r}, {len(frame)} bytes")
        lsn, _, wants_answer = _KEEPALIVE_BODY.unpack(frame)
        changes = self._changes
        if not changes.in_transaction:
            changes.idle(lsn)
            due = wants_answer or time.monotonic() - self._moved_at >= self._every
            if changes.due or (changes.moved and due):
                await self._store(changes.whole())
        if wants_answer:
            self._wire.status(self._confirmed)

    async def _store(self, batch: Batch) -> None:
        """Store a batch, then confirm what is whole."""
        await self._gate.changes(batch.items, batch.position, batch.xids, batch.tables)
        self._moved_at = time.monotonic()
        if batch.position.lsn > self._confirmed:
            self._context.reached("postgres.before_confirm")
            self._confirmed = batch.position.lsn
            self._wire.status(self._confirmed)
            self._context.reached("postgres.after_confirm")
