"""Fakes around sources: an emit that remembers, an outside in memory with its source, and sources that misbehave."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal

import msgspec
from pydantic import Field, SecretStr
from typing_extensions import override

from service.usecases.checking import compile_over, compile_tree
from tests.patience import PATIENCE
from triggers.base import (
    Accepted,
    Call,
    Emit,
    Expression,
    Finding,
    Item,
    Notice,
    Progress,
    Reject,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.bodies import read_json
from triggers.errors import BadEvent, NotStored, SourceRejected, SourceUnavailable
from triggers.message import TriggerMessage

# -- what the service hands in


class Emitted:
    """Stores what sources emit, all of a batch with its positions or nothing, and outlives them as a store does.

    `begin` returns the emit of one run; from then on that of every earlier run is fenced: what it still brings is
    refused and counted in `late`. Repeats are known by (CloudEvents source, id), as the service knows them.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        """What is stored, in order, repeats left out."""
        self.batches: list[tuple[Item, ...]] = []
        """The batches that were stored, as they came."""
        self.offered: list[Item] = []
        """Everything that was brought, stored or not."""
        self.repeats: list[TriggerMessage] = []
        """Messages that came again after they were stored."""
        self.conflicts: list[TriggerMessage] = []
        """Messages with the identity of a stored one and another body."""
        self.kept: dict[str, bytes] = {}
        """The positions, as stored last."""
        self.in_flight = 0
        self.late = 0
        self.stores_when_cancelled = False
        """What became of a batch whose caller was cancelled while it was on its way: stored, or not."""
        self._failures = 0
        self._run = 0
        self._gate = asyncio.Event()
        self._gate.set()
        self._positions_pass = False
        self._stirred = asyncio.Event()
        self._seen: dict[tuple[str, str], TriggerMessage] = {}

    @property
    def messages(self) -> list[TriggerMessage]:
        """The stored messages, in order."""
        return [item for item in self.items if isinstance(item, TriggerMessage)]

    @property
    def rejects(self) -> list[Reject]:
        """The stored rejects, in order."""
        return [item for item in self.items if isinstance(item, Reject)]

    @property
    def notices(self) -> list[Notice]:
        """The stored notices, in order."""
        return [item for item in self.items if isinstance(item, Notice)]

    def begin(self) -> Emit:
        """Return the emit of a new run."""
        self._run += 1
        run = self._run

        async def emit(
            batch: Sequence[Item], positions: Mapping[str, bytes | None] | None = None
        ) -> Accepted:
            return await self._take(run, tuple(batch), dict(positions or {}))

        return emit

    def end(self) -> None:
        """Fence the run that began last."""
        self._run += 1

    def block(self, *, positions_too: bool = True) -> None:
        """Let nothing be stored until `release`; or nothing but positions that come without an item."""
        self._gate.clear()
        self._positions_pass = not positions_too

    def release(self) -> None:
        """Store what waits."""
        self._gate.set()

    def fail(self, times: int = 1, *, positions_too: bool = True) -> None:
        """Refuse the next batches with NotStored; or only those with an item."""
        self._failures = times
        self._positions_pass = not positions_too

    async def positions(self) -> Mapping[str, bytes]:
        """Return what is stored under each key."""
        return dict(self.kept)

    async def until(self, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """Wait until a condition over what was brought holds. It is looked at whenever something was."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            raise AssertionError(
                f"{what}: not within {within} s; stored {len(self.items)}, offered {len(self.offered)}, "
                f"repeats {len(self.repeats)}, in flight {self.in_flight}"
            ) from None

    async def _take(self, run: int, batch: tuple[Item, ...], positions: dict[str, bytes | None]) -> Accepted:
        if run != self._run:
            self.late += 1
            raise NotStored("this run has ended")
        self.offered += batch
        self.in_flight += 1
        self._stirred.set()
        passes = self._positions_pass and not batch
        try:
            if not passes:
                await self._gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if self.stores_when_cancelled:
                self._store(batch, positions)
            raise
        finally:
            self.in_flight -= 1
            self._stirred.set()
        if run != self._run:
            self.late += 1
            raise NotStored("this run has ended")
        if self._failures and not passes:
            self._failures -= 1
            raise NotStored("the store takes nothing now")
        return self._store(batch, positions)

    def _store(self, batch: tuple[Item, ...], positions: dict[str, bytes | None]) -> Accepted:
        new = known = rejected = 0
        for item in batch:
            if isinstance(item, TriggerMessage):
                before = self._seen.setdefault((item.source, item.id), item)
                if before is item:
                    new += 1
                    self.items.append(item)
                elif before.data == item.data:
                    known += 1
                    self.repeats.append(item)
                else:
                    rejected += 1
                    self.conflicts.append(item)
            else:
                rejected += isinstance(item, Reject)
                self.items.append(item)
        for key, value in positions.items():
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        self.batches.append(batch)
        self._stirred.set()
        ids = tuple(f"msg_{len(self.items)}_{index}" for index in range(len(batch)))
        return Accepted(new=new, known=known, rejected=rejected, ids=ids)


class Reports:
    """A reporter that remembers what a source told of itself."""

    def __init__(self) -> None:
        self.details: list[str] = []
        self.warnings: dict[str, tuple[str, str]] = {}
        self.warned: list[str] = []
        self.connected = asyncio.Event()

    def running(self, detail: str = "") -> None:
        """Note it."""
        self.details.append(detail)
        self.connected.set()

    def busy(self, detail: str) -> None:
        """Note it."""
        self.details.append(detail)

    def warn(self, code: str, message: str, fix: str = "") -> None:
        """Note it."""
        self.warned.append(code)
        self.warnings[code] = (message, fix)

    def clear(self, code: str) -> None:
        """Forget it."""
        self.warnings.pop(code, None)

    @property
    def text(self) -> str:
        """Everything that was told, as one text."""
        return repr((self.details, self.warnings, self.warned))


def path_expression(text: str) -> Expression:
    """Compile `data.order.id`: a path of names and nothing else, enough where CEL itself is not the subject."""
    names = text.split(".")
    if not all(name.isidentifier() for name in names):
        raise ValueError(f"no path of names: {text}")

    def evaluate(seen: Mapping[str, Any]) -> Any:
        value: Any = seen
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                raise ValueError(f"no such field: {name}")
            value = value[name]
        return value

    return evaluate


def source_context(
    emitted: Emitted,
    *,
    name: str = "orders",
    reached: Callable[[str], None] = lambda _name: None,
    report: Reports | None = None,
    clock: Callable[[], float] = time.time,
    call: Call | None = None,
    expression: Callable[[str], Expression] = path_expression,
) -> SourceContext:
    """Return the context of a source whose batches go to `emitted`."""
    more: dict[str, Any] = {} if call is None else {"call": call}
    return SourceContext(
        name=name,
        reached=reached,
        clock=clock,
        expression=expression,
        positions=emitted.positions,
        report=report or Reports(),
        expression_over=compile_over,
        template=compile_tree,
        **more,
    )


# -- an outside in memory, and its source

BROKERS: Final[dict[str, "MemoryBroker"]] = {}
"""The brokers that can be reached now, by name."""


class Session:
    """A consumer's connection to a broker; it is cut from outside."""

    def __init__(self) -> None:
        self.cut = False
        self.stirred = asyncio.Event()


class MemoryBroker:
    """Keeps entries in order and brings everything again, to each new session, that was not acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[bytes] = []
        self.acknowledged = 0
        self.frozen = False
        self.sessions: set[Session] = set()

    @contextmanager
    def reachable(self) -> Iterator["MemoryBroker"]:
        """Be found under the name, as long as the block runs."""
        BROKERS[self.name] = self
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Be found again."""
        BROKERS[self.name] = self

    def stop(self) -> None:
        """Cut every session and be found no more."""
        BROKERS.pop(self.name, None)
        for session in self.sessions:
            session.cut = True
            session.stirred.set()

    def freeze(self, *, frozen: bool = True) -> None:
        """Keep every connection and deliver nothing, or go on."""
        self.frozen = frozen
        self._stir()

    def append(self, *bodies: bytes) -> None:
        """Take entries in."""
        self.entries += bodies
        self._stir()

    def connect(self) -> Session:
        """Return a new session."""
        session = Session()
        self.sessions.add(session)
        return session

    def leave(self, session: Session) -> None:
        """End a session. Twice is harmless."""
        session.cut = True
        session.stirred.set()
        self.sessions.discard(session)

    async def take(self, session: Session, start: int, most: int) -> list[bytes]:
        """Return entries from `start` on, at least one. Raise SourceUnavailable when the session is cut."""
        while True:
            if session.cut:
                raise SourceUnavailable(f"broker {self.name} has closed the connection")
            if len(self.entries) > start and not self.frozen:
                return self.entries[start : start + most]
            session.stirred.clear()
            await session.stirred.wait()

    def acknowledge(self, session: Session, position: int) -> None:
        """Forget everything before `position`. Raise SourceUnavailable when the session is cut."""
        if session.cut:
            raise SourceUnavailable(f"broker {self.name} has closed the connection")
        self.acknowledged = max(self.acknowledged, position)

    def _stir(self) -> None:
        for session in self.sessions:
            session.stirred.set()


class MemoryConfig(SourceConfig):
    """A source that takes the entries of a broker in memory."""

    kind: Literal["memory"] = Field(description="Entries of a broker in memory.")
    broker: str = Field(description="The broker's name.")
    ordered: bool = Field(default=False, description="Remember positions, and take no entry twice.")
    password: SecretStr | None = Field(default=None, description="Checked by nobody.")
    batch: int = Field(default=100, ge=1, description="Most entries of a batch.")


class MemorySource(Source[MemoryConfig]):
    """Takes the entries of a broker in memory; the smallest source that keeps the whole contract."""

    kind: ClassVar[str] = "memory"
    Config: ClassVar[type[SourceConfig]] = MemoryConfig

    def __init__(self, name: str, config: MemoryConfig) -> None:
        super().__init__(name, config)
        self._context: SourceContext | None = None
        self._session: Session | None = None

    @property
    @override
    def ordered(self) -> bool:
        return self.config.ordered

    @override
    async def open(self, context: SourceContext) -> None:
        self._context = context

    @override
    async def check(self) -> list[Finding]:
        try:
            self._broker()
        except SourceUnavailable as error:
            return [Finding(severity="error", code="unreachable", message=str(error), fix="start the broker")]
        return []

    @override
    async def run(self, emit: Emit) -> None:
        context = self._opened()
        broker = self._broker()
        session = self._session = broker.connect()
        try:
            stored = int((await context.positions()).get("next", b"0")) if self.config.ordered else 0
            start = max(broker.acknowledged, stored)
            broker.acknowledge(session, start)
            context.report.running(f"connected to {broker.name}")
            while True:
                entries = await broker.take(session, start, self.config.batch)
                items = [self._decode(body, start + index) for index, body in enumerate(entries)]
                start += len(entries)
                await emit(items, {"next": b"%d" % start} if self.config.ordered else None)
                context.reached("memory.before_acknowledge")
                broker.acknowledge(session, start)
        finally:
            broker.leave(session)

    @override
    async def progress(self) -> Progress:
        broker = self._broker()
        return Progress(pending=len(broker.entries) - broker.acknowledged, position=f"{broker.acknowledged}")

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        if to != "earliest":
            raise SourceRejected(f"{self.name} can begin at: earliest (asked for: {to})")
        return dict.fromkeys(positions, None)

    @override
    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.cut = True
            session.stirred.set()

    def _opened(self) -> SourceContext:
        assert self._context is not None
        return self._context

    def _broker(self) -> MemoryBroker:
        broker = BROKERS.get(self.config.broker)
        if broker is None:
            raise SourceUnavailable(f"{self.name}: nothing answers as {self.config.broker}")
        return broker

    def _decode(self, body: bytes, offset: int) -> Item:
        meta = {"kind": "memory", "broker": self.config.broker, "offset": offset}
        try:
            read_json(body)
        except BadEvent as error:
            return Reject(reason=error.reason, detail=error.detail, data=body, meta=meta)
        return TriggerMessage(
            id=f"{self.config.broker}/{offset}",
            source=f"/sources/{self.name}",
            type="memory.entry",
            datacontenttype="application/json",
            format="json",
            data=body,
            meta=meta,
        )


# -- sources that misbehave


class BareConfig(SourceConfig):
    """Nothing to say."""


class BareSource(Source[SourceConfig]):
    """A source of nothing; what is wrong with one is each subclass's to say."""

    kind: ClassVar[str] = "bare"
    Config: ClassVar[type[SourceConfig]] = BareConfig

    def __init__(self, name: str = "bare", config: SourceConfig | None = None) -> None:
        super().__init__(name, config or BareConfig(kind="bare"))
        self.closed = 0

    @override
    async def open(self, context: SourceContext) -> None:
        self.context = context

    @override
    async def check(self) -> list[Finding]:
        return []

    @override
    async def run(self, emit: Emit) -> None:
        await asyncio.Event().wait()

    @override
    async def close(self) -> None:
        self.closed += 1


class BlockingSource(BareSource):
    """Runs for ever and lets no cancellation end it, until the test sets `let_go` (F14).

    `check` and `progress` never come back either, and neither does `close` once one of them was called.
    """

    kind: ClassVar[str] = "blocking"
    made: ClassVar[list["BlockingSource"]] = []
    """Every one that was made and not released."""

    def __init__(self, name: str = "blocking", config: SourceConfig | None = None) -> None:
        super().__init__(name, config)
        self.made.append(self)
        self.let_go = asyncio.Event()
        self.running = asyncio.Event()
        self.cancellations = 0
        self.stays = False

    @override
    async def run(self, emit: Emit) -> None:
        self.running.set()
        await self._stay()

    @override
    async def check(self) -> list[Finding]:
        await self._stay()
        return []

    @override
    async def progress(self) -> Progress:
        await self._stay()
        return Progress()

    @override
    async def close(self) -> None:
        await super().close()
        if self.stays:
            await self._stay()

    @classmethod
    def release(cls) -> None:
        """Let all of them go."""
        while cls.made:
            cls.made.pop().let_go.set()

    async def _stay(self) -> None:
        self.stays = True
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.cancellations += 1


class FailingSource(BareSource):
    """Each run raises the next of `errors`, the last one for ever."""

    kind: ClassVar[str] = "failing"

    def __init__(
        self,
        name: str = "failing",
        config: SourceConfig | None = None,
        *,
        errors: Sequence[BaseException] = (SourceUnavailable("nothing answers"),),
    ) -> None:
        super().__init__(name, config)
        self.errors = list(errors)
        self.runs = 0

    @override
    async def run(self, emit: Emit) -> None:
        error = self.errors[min(self.runs, len(self.errors) - 1)]
        self.runs += 1
        await asyncio.sleep(0)
        raise error


def entry(token: str) -> bytes:
    """Return the JSON of an entry that carries a token."""
    return msgspec.json.encode({"n": token})
