"""The contract suite of sources sees what it is there for: each planted bug fails the test that is meant for it."""

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from typing_extensions import override

from tests.contract.source_contract import SourceContract
from tests.contract.test_source_memory import Memory
from tests.fakes.sources import Emitted, MemoryBroker, MemoryConfig, MemorySource, Session
from triggers.base import Accepted, Emit, Finding, Item, Progress, Reject, Source, SourceConfig, SourceContext
from triggers.errors import NotStored


class AcknowledgesFirst(MemorySource):
    @override
    async def run(self, emit: Emit) -> None:
        broker = self._broker()

        async def eager(*given: Any) -> Accepted:
            broker.acknowledged = len(broker.entries)
            return await emit(*given)

        await super().run(eager)


class StoresItsPositionThenAcknowledgesFirst(AcknowledgesFirst):
    """What it stores first is no message, and nothing is to be acknowledged for it."""

    @override
    async def run(self, emit: Emit) -> None:
        await emit([], {"next": b"0"})
        await super().run(emit)


class SwallowsWhatWasNotStored(MemorySource):
    @override
    async def run(self, emit: Emit) -> None:
        async def careless(*given: Any) -> Accepted:
            with contextlib.suppress(NotStored):
                return await emit(*given)
            return Accepted()

        await super().run(careless)


class DropsWhatIsBad(MemorySource):
    @override
    async def run(self, emit: Emit) -> None:
        async def dropping(batch: Any, positions: Any = None) -> Accepted:
            return await emit([item for item in batch if not isinstance(item, Reject)], positions)

        await super().run(dropping)


class InventsIds(MemorySource):
    @override
    def _decode(self, body: bytes, offset: int) -> Item:
        item = super()._decode(body, offset)
        return (
            item
            if isinstance(item, Reject)
            else type(item)(
                **{name: getattr(item, name) for name in item.__struct_fields__} | {"id": uuid.uuid4().hex}
            )
        )


class ForgetsPositions(MemorySource):
    @override
    async def open(self, context: SourceContext) -> None:
        async def nothing() -> dict[str, bytes]:
            return {}

        await super().open(
            SourceContext(
                name=context.name,
                reached=context.reached,
                clock=context.clock,
                expression=context.expression,
                positions=nothing,
            )
        )


class TurnsRound(MemorySource):
    @override
    async def run(self, emit: Emit) -> None:
        async def backwards(batch: Any, positions: Any = None) -> Accepted:
            return await emit(list(reversed(batch)), positions)

        await super().run(backwards)


class TellsThePassword(MemorySource):
    @override
    def _decode(self, body: bytes, offset: int) -> Item:
        item = super()._decode(body, offset)
        assert self.config.password is not None
        item.meta["login"] = self.config.password.get_secret_value()
        return item


class LeavesATask(MemorySource):
    @override
    async def open(self, context: SourceContext) -> None:
        await super().open(context)
        self.task = asyncio.create_task(asyncio.Event().wait())


class FindsNothing(MemorySource):
    @override
    async def check(self) -> list[Finding]:
        return []


class StandsStill(MemorySource):
    @override
    async def progress(self) -> Progress:
        progress = await super().progress()
        return Progress(pending=progress.pending, position="0")


class BringsLate(MemorySource):
    @override
    async def run(self, emit: Emit) -> None:
        self.emit = emit
        await super().run(emit)

    @override
    async def close(self) -> None:
        await super().close()
        if hasattr(self, "emit"):
            with contextlib.suppress(NotStored):
                await self.emit([])


class WaitsForever(MemorySource):
    """Does not say that nothing answers: it waits for it."""

    @override
    async def run(self, emit: Emit) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(Session().stirred.wait(), 60)


CASES: list[tuple[type[MemorySource], bool, str]] = [
    (AcknowledgesFirst, False, "test_acknowledges_only_after_emit_returned"),
    (StoresItsPositionThenAcknowledgesFirst, True, "test_acknowledges_only_after_emit_returned"),
    (SwallowsWhatWasNotStored, False, "test_what_was_not_stored_ends_the_run_and_comes_again"),
    (DropsWhatIsBad, False, "test_what_cannot_become_a_message_is_kept_and_the_rest_goes_on"),
    (InventsIds, False, "test_a_crash_before_the_acknowledgement_loses_nothing"),
    (ForgetsPositions, True, "test_a_crash_before_the_acknowledgement_loses_nothing"),
    (TurnsRound, False, "test_brings_everything_in_order"),
    (TellsThePassword, False, "test_no_credential_enters_what_it_tells"),
    (LeavesATask, False, "test_close_is_harmless_after_open"),
    (FindsNothing, False, "test_a_check_where_nothing_answers_says_so"),
    (StandsStill, False, "test_progress_shows_what_waits_and_moves"),
    (BringsLate, False, "test_close_is_harmless_after_a_failure"),
    (WaitsForever, False, "test_a_run_where_nothing_answers_says_so"),
]


@pytest.mark.parametrize(("mutant", "ordered", "test"), CASES, ids=lambda one: getattr(one, "__name__", None))
async def test_a_planted_bug_fails_the_test_that_is_meant_for_it(mutant, ordered, test) -> None:
    class Suite(SourceContract):
        patience = 1.0
        reaction = 0.3
        quiet = 0.05
        footprint = 0.1

        @override
        def make(self, name: str, config: SourceConfig) -> Source[Any]:
            assert isinstance(config, MemoryConfig)
            made = mutant(name, config)
            sources.append(made)
            return made

    sources: list[MemorySource] = []
    with MemoryBroker(uuid.uuid4().hex).reachable() as broker:
        with pytest.raises(AssertionError):
            await getattr(Suite(), test)(Memory(broker, ordered=ordered), Emitted())
        for source in sources:
            if isinstance(source, LeavesATask):
                source.task.cancel()
