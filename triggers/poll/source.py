"""Polls an operation of a connection and emits what is new in its answers.

One poll after another, never two at a time. What an answer taught (state, Location, items seen) is stored
in the transaction of its messages, so a crash repeats nothing and forgets nothing. How a call is made is
not its business: that is handed in.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec
from typing_extensions import override

from triggers.base import (
    Emit,
    Expression,
    Finding,
    Polled,
    Progress,
    Reject,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.bodies import read_json
from triggers.errors import BadEvent, SourceGap, SourceRejected, SourceUnavailable
from triggers.expressions import compile_expressions
from triggers.poll.answers import SOONEST, next_query, retry_after
from triggers.poll.config import ASKING, PollConfig, review
from triggers.poll.memory import (
    LAST_KEY,
    MAX_LAST,
    MEMORY_KEY,
    SEEN_KEY,
    Memory,
    Seen,
    fingerprint,
    forgotten,
    read_memory,
    write_memory,
)
from triggers.poll.news import News, NewsReader

BATCH: Final = 500
"""Messages that are stored at once."""

JITTER: Final = 0.1
"""By how much of the interval a poll may come sooner or later, so that many sources do not poll at once."""

_REFUSALS: Final = frozenset({400, 405, 406, 410, 413, 414, 415, 422, 501})
"""Statuses that the same call gets again and again until somebody changes it."""

_SLOW_DOWN: Final = frozenset({429, 503})
_RANDOM: Final = random.SystemRandom()


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What an open source has: what it was handed, and what was compiled."""

    context: SourceContext
    arguments: Expression
    reader: NewsReader


class PollSource(Source[PollConfig]):
    """An operation that is polled. `wait` sleeps, `chance` is a random number in [0, 1)."""

    kind: ClassVar[str] = "poll"
    Config: ClassVar[type[SourceConfig]] = PollConfig

    def __init__(
        self,
        name: str,
        config: PollConfig,
        *,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = _RANDOM.random,
    ) -> None:
        super().__init__(name, config)
        self._wait = wait
        self._chance = chance
        self._opened: _Opened | None = None
        self._conditional = False
        self._keeps_last = _mentions_last(config)
        self._memory = Memory()
        self._seen = Seen()
        self._last: Any = None
        self._taken = 0

    @override
    def review(self) -> list[Finding]:
        return review(self.config)

    @override
    async def open(self, context: SourceContext) -> None:
        expressions = compile_expressions(self.config, context)
        try:
            arguments = context.template(self.config.with_, ASKING)
        except ValueError as error:
            raise SourceRejected(f"{self.name}: `with:` {error}") from error
        reader = NewsReader(self.name, self.config, expressions)
        self._opened = _Opened(context=context, arguments=arguments, reader=reader)

    @override
    async def check(self) -> list[Finding]:
        """Call the operation once, where that is sure to change nothing."""
        context = self._context()
        try:
            if not context.call.changes_nothing(self.config.call):
                return []
            await self._recall()
            answer = await context.call(self.config.call, self._rendered(), query=self._memory.query)
            self._judge(answer)
        except (SourceUnavailable, SourceRejected, SourceGap) as error:
            fix = getattr(error, "fix", f"try it by hand: pointsman call {self.config.call}")
            return [Finding(severity="error", code="poll-failed", message=str(error), fix=fix, field="call")]
        return []

    @override
    async def run(self, emit: Emit) -> None:
        context = self._context()
        self._conditional = context.call.changes_nothing(self.config.call)
        await self._recall()
        while True:
            started = context.clock()
            wished = await self._poll(emit)
            pause = self._pause(wished, context.clock() - started)
            context.report.running(f"{self._taken} items taken since the start; next poll in {pause:.0f} s")
            await self._wait(pause)

    @override
    async def close(self) -> None:
        """Nothing is held between two calls."""

    @override
    async def progress(self) -> Progress:
        return Progress(position=f"{self._memory.changes}/{self._taken}")

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        if to not in ("now", "earliest"):
            raise SourceRejected(f"a poll can begin at now or earliest (asked for: {to})")
        try:
            return forgotten(positions, "skip" if to == "now" else "emit")
        except ValueError:
            return dict.fromkeys(positions, None)

    # -- one poll

    async def _poll(self, emit: Emit) -> float | None:
        """Ask once and store what came. Return when the answer wants to be asked again, if it says."""
        context, memory = self._context(), self._memory
        arguments = self._rendered()
        request = fingerprint(msgspec.json.encode([arguments, memory.query]))
        conditional = {"if-none-match": memory.etag} if memory.etag and memory.request == request else None
        answer = await context.call(self.config.call, arguments, query=memory.query, headers=conditional)
        context.reached("poll.answered")
        wished = retry_after(answer, context.clock())
        if answer.status in _SLOW_DOWN and wished is not None:
            context.report.warn(
                "asked-to-wait",
                f"{self.config.call} answered {answer.status}: wait {wished:.0f} s",
                "poll less often: every",
            )
            return wished
        context.report.clear("asked-to-wait")
        if answer.status == 304:
            return wished
        self._judge(answer)
        memory = self._follow(answer, memory)
        if answer.status in (202, 204) or not answer.body:  # nothing new
            await self._keep(emit, msgspec.structs.replace(memory, answered=True, state=self._state()))
            return wished
        await self._take(emit, answer, memory, request)
        return wished

    async def _take(self, emit: Emit, answer: Polled, memory: Memory, request: str) -> None:
        """Store what is new in an answer, or the answer itself when it cannot be read."""
        report = self._context().report
        try:
            news = self._open().reader.read(answer, memory, self._seen, self._last)
        except BadEvent as error:
            report.warn("bad-answer", f"{self.config.call}: {error.detail}", _FIXES.get(error.reason, ""))
            await self._reject(emit, answer, error)
            return
        report.clear("bad-answer")
        if news.strangers and self.config.state is None and not memory.query:
            report.warn(
                "maybe-missed",
                "nothing in the answer was known: items may have come and gone between two polls",
                "poll more often, or ask for what is new with state:",
            )
        else:
            report.clear("maybe-missed")
        etag = (answer.header("etag") or "") if self._conditional else ""
        memory = msgspec.structs.replace(news.memory, etag=etag, request=request if etag else "")
        await self._store(emit, news, memory)

    async def _store(self, emit: Emit, news: News, memory: Memory) -> None:
        """Emit the new items and remember them; the rest is remembered with the last of them."""
        new = news.new
        *early, late = [new[at : at + BATCH] for at in range(0, len(new), BATCH)] or [()]
        for part in early:
            self._seen.add(name for name, _ in part)
            await emit([item for _, item in part], {SEEN_KEY: self._seen.encode()})
        positions: dict[str, bytes | None] = {}
        if self._seen.add(news.present):
            positions[SEEN_KEY] = self._seen.encode()
        if memory != self._memory:
            positions[MEMORY_KEY] = write_memory(memory)
        last = self._last_of(news)
        if self._keeps_last and (last is None or self._last != news.body.value):
            positions[LAST_KEY] = last
        if late or positions:
            await emit([item for _, item in late], positions)
            self._context().reached("poll.stored")
        self._memory, self._last = memory, news.body.value if last is not None else None
        self._taken += len(new)

    def _last_of(self, news: News) -> bytes | None:
        """Return the body as `last` keeps it, None when it is not kept."""
        report = self._context().report
        if not self._keeps_last or news.body.format != "json":
            return None
        if len(news.body.data) > MAX_LAST:
            message = f"the body is longer than {MAX_LAST} bytes: `last` is null"
            report.warn("last-too-long", message, "keep what is needed of it in state:")
            return None
        report.clear("last-too-long")
        return news.body.data

    async def _keep(self, emit: Emit, memory: Memory) -> None:
        """Remember something without a message."""
        if memory != self._memory:
            await emit([], {MEMORY_KEY: write_memory(memory)})
            self._context().reached("poll.stored")
            self._memory = memory

    async def _reject(self, emit: Emit, answer: Polled, error: BadEvent) -> None:
        """Keep an answer that cannot be read, once; nothing else is learnt from it."""
        bad = fingerprint(error.reason.encode(), answer.body)
        if bad == self._memory.bad:
            return
        memory = msgspec.structs.replace(self._memory, bad=bad)
        meta = {"kind": "poll", "call": self.config.call, "status": answer.status}
        reject = Reject(reason=error.reason, detail=error.detail, data=answer.body, meta=meta)
        await emit([reject], {MEMORY_KEY: write_memory(memory)})
        self._context().reached("poll.stored")
        self._memory = memory

    # -- what an answer means

    def _judge(self, answer: Polled) -> None:
        """Raise what a status means that brings no items."""
        status, call = answer.status, self.config.call
        if 200 <= status < 300 or status == 304:
            return
        said = answer.body[:256].decode("utf-8", "replace").strip()
        what = f"{call} answered {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            connection = self.config.connection
            raise SourceUnavailable(
                f"{what} (check the `auth` of connection {connection} and what it may do)"
            )
        if status == 410 and self._memory.answered:
            raise SourceGap(
                f"{what}: what the state asks for is gone",
                fix=f"pointsman sources rewind {self.name} --to now (or earliest)",
                facts={"state": self._memory.state},
            )
        if 300 <= status < 400:
            raise SourceRejected(f"{what}: redirects are not followed")
        if status in _REFUSALS:
            raise SourceRejected(what)
        raise SourceUnavailable(what)

    def _follow(self, answer: Polled, memory: Memory) -> Memory:
        """Take over where the Location of an answer says to go on."""
        report = self._context().report
        query, problem = next_query(answer)
        if answer.ignored:
            problem = f"the operation has no query parameter {', '.join(answer.ignored)}"
        if problem:
            report.warn(
                "location-ignored",
                f"{self.config.call}: {problem}; it is not followed",
                "describe the parameter in the description, or ask for what is new with state:",
            )
        elif query is not None:
            report.clear("location-ignored")
        return memory if query is None else msgspec.structs.replace(memory, query=query)

    def _pause(self, wished: float | None, took: float) -> float:
        """Return how many seconds to wait for the next poll."""
        if wished is not None:
            return wished
        every = self.config.every.total_seconds()
        swing = 1.0 - JITTER + 2 * JITTER * self._chance()
        return max(SOONEST, every * swing - min(max(took, 0.0), every))

    # -- what was handed in, and what was kept

    async def _recall(self) -> None:
        """Read what was kept of the polls before."""
        positions = await self._context().positions()
        try:
            self._memory = read_memory(positions)
            kept = positions.get(LAST_KEY)
            self._last = read_json(kept) if kept is not None and self._keeps_last else None
        except (ValueError, BadEvent) as error:
            raise SourceRejected(f"{self.name}: {error}; sources rewind {self.name} --to now") from None
        self._seen = Seen(positions.get(SEEN_KEY, b""))

    def _state(self) -> Any:
        return self._memory.state if self._memory.answered else self.config.initial

    def _rendered(self) -> Mapping[str, Any]:
        """Return the operation's inputs. Raise SourceRejected when an expression has no value."""
        seen = {"state": self._state(), "last": self._last}
        try:
            arguments: Mapping[str, Any] = self._open().arguments(seen)
        except ValueError as error:
            raise SourceRejected(f"{self.name}: `with:` has no value: {error}") from error
        return arguments

    def _open(self) -> "_Opened":
        if self._opened is None:
            raise SourceRejected(f"{self.name} is not open")
        return self._opened

    def _context(self) -> SourceContext:
        return self._open().context


_FIXES: Final = {
    "answer-cut": "raise max_answer in the connection's limits, or ask for smaller pages",
    "no-items": "mend items: or the description",
    "no-state": "mend state:, for example with .? for what may be missing",
    "state-too-long": "keep less in state:",
}


def _mentions_last(config: PollConfig) -> bool:
    """Say whether any expression may look at the body before; else it need not be kept."""
    texts = (config.items, config.item_id, config.state, msgspec.json.encode(config.with_).decode())
    return any(text is not None and "last" in text for text in texts)
