"""What a run of a source is given as `emit`: stores batches whole, waits for a busy store, ends with its run.

Each run has its own. Once it is shut, nothing more of that run is stored: a source that goes on although it
was told to stop does no harm.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from service.errors import Invalid, Unavailable
from service.intake import Intake
from triggers.base import Accepted, Item
from triggers.errors import NotStored

PATIENCE: Final = 10.0
"""Seconds that a batch waits for a store that takes nothing, before it is left to the outside."""

_PAUSE: Final = 0.25


class Emitting:
    """`emit` for one run of one source."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        *,
        ordered: bool,
        refusing: Callable[[], str],
        reached: Callable[[str], None],
        told: Callable[[int, Accepted], None],
        patience: float = PATIENCE,
    ) -> None:
        self._name = name
        self._intake = intake
        self._ordered = ordered
        self._refusing = refusing
        self._reached = reached
        self._told = told
        self._patience = patience
        self._under_way: set[asyncio.Future[Accepted]] = set()
        self._shut = False

    async def __call__(
        self, batch: Sequence[Item], positions: Mapping[str, bytes | None] | None = None
    ) -> Accepted:
        """Store a batch, waiting a while for a store that takes nothing just now. Raise NotStored."""
        self._reached("source.before_emit")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            try:
                accepted = await self._attempt(batch, positions or {})
            except Unavailable as error:
                if loop.time() >= deadline:
                    raise NotStored(f"nothing could be stored for {self._patience:.0f} s: {error}") from error
                await asyncio.sleep(_PAUSE)
                continue
            except Invalid as error:
                raise NotStored(f"the store refuses the batch: {error}") from error
            self._told(len(batch), accepted)
            self._reached("source.after_emit")
            return accepted

    async def _attempt(self, batch: Sequence[Item], positions: Mapping[str, bytes | None]) -> Accepted:
        """Have the batch stored. Raise Unavailable. Once begun, it goes on when the source is cancelled."""
        if self._shut:
            raise NotStored("this run of the source has ended")
        reason = self._refusing()
        if reason:
            raise Unavailable(reason)
        future = self._intake.take_batch(self._name, batch, positions, ordered=self._ordered)
        self._under_way.add(future)
        future.add_done_callback(self._ended)
        await asyncio.wait((future,))
        return future.result()

    def _ended(self, future: asyncio.Future[Accepted]) -> None:
        self._under_way.discard(future)
        if not future.cancelled():
            future.exception()  # looked at: nobody may wait for it any more

    @property
    def open(self) -> bool:
        """Whether the run may still store and report."""
        return not self._shut

    def shut(self) -> None:
        """Store nothing more of this run."""
        self._shut = True

    async def settled(self) -> None:
        """Wait until what the store already has of this run is stored or refused."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))
