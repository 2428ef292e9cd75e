"""All sources together: which there are, how they are, and what operators want of them."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import structlog

from service.errors import Conflict, NotFound, Unavailable, nearest
from service.intake import Intake
from service.store.base import Store
from service.supervisor.bounds import bounded, end
from service.supervisor.emitting import Emitting
from service.supervisor.status import SourceStatus
from service.supervisor.supervised import GRACE, Supervised
from service.supervisor.telling import Telling
from service.supervisor.watching import Watching
from triggers.base import (
    Accepted,
    Finding,
    Reporter,
    SetupStep,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.errors import SourceRejected, TriggerError

log = structlog.get_logger(__name__)

WATCH: Final = 5.0
"""Seconds between looks at how far the sources are."""

WORK: Final = 30.0
"""Seconds that a check, a setup or a teardown may take."""

STALL: Final = 30.0
"""Seconds that a position may stand still while work is pending, before the source counts as stuck."""

PAUSED: Final = "paused/source/"
"""Where an operator's pause is kept: it outlives the process."""

T = TypeVar("T")
Make = Callable[[str, SourceConfig], Source[Any]]
Context = Callable[[str, Reporter, Callable[[], Awaitable[Mapping[str, bytes]]]], SourceContext]


class Supervisor:
    """Every source of the configuration in force. Belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        *,
        refusing: Callable[[], str],
        make: Make,
        context: Context,
        reached: Callable[[str], None],
        watch: float = WATCH,
        stall: float = STALL,
        grace: float = GRACE,
    ) -> None:
        self._store = store
        self._intake = intake
        self._refusing = refusing
        self._make = make
        self._context = context
        self._reached = reached
        self._watch_every = watch
        self.grace = grace
        self._sources: dict[str, Supervised] = {}
        self._numbers: dict[str, int] = {}
        self._paused: dict[str, dict[str, Any]] = {}
        self._telling = Telling(intake)
        self._watching = Watching(stall=stall, refusing=refusing, tell=self.tell)
        self._retiring: dict[asyncio.Task[None], Supervised] = {}
        self._closed = False

    # -- life

    async def restore(self) -> None:
        """Take up which sources an operator had paused."""
        for name, value in (await self._store.get(PAUSED)).items():
            self._paused[name.removeprefix(PAUSED)] = msgspec.json.decode(value)

    def use(self, configs: Mapping[str, SourceConfig], numbers: Mapping[str, int]) -> None:
        """Run these sources from now on: what has not changed goes on undisturbed, the rest begins anew."""
        if self._closed:
            return
        self._numbers = dict(numbers)
        for name, present in tuple(self._sources.items()):
            if name not in configs or configs[name].kind != present.config.kind:
                del self._sources[name]
                self._retire(present)
            elif configs[name] != present.config:
                present.config = configs[name]
                present.clear_warnings()
                present.restart()
        for name, config in configs.items():
            if name in self._sources:
                continue
            supervised = self._sources[name] = Supervised(name, config, self)
            held = self._paused.get(name)
            if held is not None:
                supervised.pause(held["by"], drain=held["drain"])
            else:
                supervised.start()

    def _retire(self, supervised: Supervised) -> None:
        async def away() -> None:
            await supervised.settled()
            async with supervised.rewinding:
                pass  # nobody writes its positions any more

        supervised.close()
        task = asyncio.get_running_loop().create_task(away())
        self._retiring[task] = supervised
        task.add_done_callback(self._retiring.pop)

    async def close(self) -> None:
        """End all sources, within bounds; none begins any more."""
        self._closed = True
        every = [*self._sources.values(), *self._retiring.values()]
        for supervised in every:
            supervised.close()
        leaving = [*(asyncio.ensure_future(one.settled()) for one in every), *self._retiring]
        if leaving:
            await asyncio.wait(leaving, timeout=self.grace + 1.0)
        for task in leaving:
            task.cancel()
        for supervised in every:
            supervised.give_up()
        await asyncio.gather(*leaving, return_exceptions=True)
        await self._watching.close()

    # -- what the life of a source needs (`supervised.Surroundings`)

    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        """Make a source that was never opened."""
        return self._make(name, config)

    def context(self, name: str, reporter: Reporter) -> SourceContext:
        """Return what a source is handed when it opens."""
        return self._context(name, reporter, functools.partial(self._store.positions, self._numbers[name]))

    def emitting(self, source: Source[Any], told: Callable[[int, Accepted], None]) -> Emitting:
        """Return the `emit` of one run."""
        return Emitting(
            source.name,
            self._intake,
            ordered=source.ordered,
            refusing=self._refusing,
            reached=self._reached,
            told=told,
        )

    def tell(self, kind: str, name: str, data: Mapping[str, object], *, told_as: str) -> None:
        """Make a message of a trouble; when the store takes nothing now, the watch tries again."""
        self._telling.tell(kind, name, data, told_as=told_as)

    async def gone(self, name: str) -> None:
        """Wait until what an earlier source of this name brought is stored or refused."""
        if leaving := [task for task, whose in self._retiring.items() if whose.name == name]:
            await asyncio.wait(leaving)

    async def unwatched(self, source: Source[Any]) -> None:
        """Return when nobody asks this source anything any more."""
        await self._watching.leave(source)

    async def watch(self) -> None:
        """Look how far every source is, for ever."""
        while True:
            for supervised in tuple(self._sources.values()):
                self._watching.look(supervised)
            self._telling.again()
            await asyncio.sleep(self._watch_every)

    @property
    def untold(self) -> int:
        """How many troubles are not stored as messages yet."""
        return self._telling.waiting

    # -- questions and orders

    def statuses(self) -> list[SourceStatus]:
        """Return how every source is."""
        return [self._status(one) for one in self._sources.values()]

    def status(self, name: str) -> SourceStatus:
        """Return how one source is. Raise NotFound."""
        return self._status(self._named(name))

    def _status(self, supervised: Supervised) -> SourceStatus:
        status = supervised.status()
        last = self._intake.last_at.get(supervised.name, 0)
        status = msgspec.structs.replace(status, last_message_at=max(status.last_message_at, last))
        asked = self._intake.taken.get(supervised.name)
        if asked is None:
            return status
        rejected = (
            asked["rejected"] + asked["conflict"]
        )  # what the ingest server brought does not go through `emit`
        return msgspec.structs.replace(status, new=asked["new"], known=asked["known"], rejected=rejected)

    async def unfinished(self, name: str) -> int:
        """Return how many deliveries of a source's messages have not ended. Raise NotFound."""
        self._named(name)
        return await self._store.unfinished(self._numbers[name])

    def restart(self, name: str) -> SourceStatus:
        """Begin a source anew at once. Raise NotFound, Conflict while it is paused."""
        supervised = self._named(name)
        if supervised.paused_by:
            raise Conflict(f"{name} is paused by {supervised.paused_by}: resume it instead")
        supervised.restart()
        return self._status(supervised)

    async def pause(self, name: str, by: str, *, drain: bool = False) -> SourceStatus:
        """Take nothing more of a source, also after a restart of the service. Raise NotFound."""
        supervised = self._named(name)
        held = self._paused[name] = {"by": by, "drain": drain}
        supervised.pause(by, drain=drain)
        await self._store.put(PAUSED + name, msgspec.json.encode(held))
        return self._status(supervised)

    async def resume(self, name: str) -> SourceStatus:
        """Take messages of a source again. Raise NotFound."""
        supervised = self._named(name)
        if supervised.paused_by:  # in memory first, as in `pause`: what was ordered last is written last
            self._paused.pop(name, None)
            supervised.resume()
            await self._store.put(PAUSED + name, None)
        return self._status(supervised)

    def paused(self, name: str) -> bool:
        """Say whether an operator wants nothing taken of a source now."""
        supervised = self._sources.get(name)
        return supervised is not None and bool(supervised.paused_by)

    async def rewind(self, name: str, to: str) -> SourceStatus:
        """Let a source begin elsewhere: its run ends, its positions change, it runs again.

        Raise NotFound; Conflict with what is possible.
        """
        supervised = self._named(name)
        if supervised.rewinding.locked():
            raise Conflict(f"{name} is being rewound: wait for that")
        try:
            async with supervised.rewinding:
                await self._rewind(supervised, self._numbers[name], to)
        except SourceRejected as error:
            raise Conflict(str(error)) from error
        finally:
            if self._sources.get(name) is supervised:
                supervised.start()
        log.info("source rewound", source=name, to=to)
        return self._status(supervised)

    async def _rewind(self, supervised: Supervised, number: int, to: str) -> None:
        """Change the positions of a source while nothing of it runs. Raise SourceRejected, Conflict."""
        name = supervised.name
        source = self._make(name, supervised.config)
        try:
            source.rewind(await self._store.positions(number), to)  # before anything is stopped
            supervised.stop()
            await supervised.settled()
            # One that was retired meanwhile waits for us: to wait for it, in `gone`, would never end.
            self._still(supervised)
            await self.gone(name)
            self._still(supervised)
            await self._store.set_positions(number, source.rewind(await self._store.positions(number), to))
        finally:
            await end(source, self.grace)

    def _still(self, supervised: Supervised) -> None:
        if self._sources.get(supervised.name) is not supervised:
            raise Conflict(f"{supervised.name} is another source now: the configuration has changed")

    async def check(self, name: str) -> list[Finding]:
        """Prove a source's access to the outside. Raise NotFound."""
        return await self._with(name, lambda source: source.check())

    async def setup(self, name: str, *, apply: bool) -> list[SetupStep]:
        """Show or do what the outside needs to have for a source. Raise NotFound, Conflict."""
        return await self._with(name, lambda source: source.setup(apply=apply))

    async def teardown(self, name: str, *, apply: bool) -> list[SetupStep]:
        """Show or do what is removed outside when a source is given up. Raise NotFound, Conflict."""
        return await self._with(name, lambda source: source.teardown(apply=apply))

    async def _with(self, name: str, work: Callable[[Source[Any]], Awaitable[T]]) -> T:
        """Do something with a source object of its own, so that nobody waits for the one that runs."""
        source = self._make(name, self._named(name).config)

        async def opened() -> T:
            await source.open(self.context(name, _Unheard()))
            return await work(source)

        try:
            return await bounded(opened(), WORK)
        except TimeoutError:
            raise Unavailable(f"source {name} gave no answer within {WORK:.0f} s") from None
        except TriggerError as error:
            raise Conflict(str(error)) from error
        finally:
            await end(source, self.grace)

    def _named(self, name: str) -> Supervised:
        supervised = self._sources.get(name)
        if supervised is None:
            near = nearest(name, list(self._sources))
            raise NotFound(f"there is no source {name}" + (f"; did you mean {near}?" if near else ""))
        return supervised


class _Unheard:
    """Reports of a source that does not run."""

    def running(self, detail: str = "") -> None: ...
    def busy(self, detail: str) -> None: ...
    def warn(self, code: str, message: str, fix: str = "") -> None: ...
    def clear(self, code: str) -> None: ...
