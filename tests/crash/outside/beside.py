"""What a campaign has beside webhooks: its room on the servers, its producers, its looks, and the truth at the end."""

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import httpx
import msgspec
from typing_extensions import override

from service.crashpoints import POINTS
from tests.crash import journal
from tests.crash.campaign import start
from tests.crash.folder import Folder
from tests.crash.nemesis import RANDOM, Goals, Nemesis
from tests.crash.outside import truth
from tests.crash.outside.look import Look
from tests.crash.outside.room import Room
from tests.crash.outside.servers import Servers
from tests.crash.product import Launcher, Product

OUTSIDE: Final = tuple(
    point
    for point in POINTS
    if point.partition(".")[0] in ("source", "kafka", "rabbitmq", "postgres", "poll", "schedule")
)
"""The points that webhooks never reach."""

FIRING: Final = {"kafka": 12.0, "postgres": 6.0}
"""Seconds within which an armed point fires; a group waits for the session of a killed member, servers are killed."""

USUALLY: Final = 5.0
LOOKING: Final = 0.1


class Beside:
    """Everything of one campaign that is not webhooks."""

    kinds: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self, room: Room, servers: Servers, *, rate: float, disturbed: "asyncio.Future[None] | None" = None
    ) -> None:
        self.room = room
        self._disturbed = disturbed
        self.servers = servers
        self._rate = rate
        self._folder: Folder | None = None
        self.look: Look | None = None

    def nemesis(
        self, folder: Folder, launcher: Launcher, goals: Goals, *, seed: int, mutant: str
    ) -> "OutsideNemesis":
        """Return who kills the service, and looks at it when it lies dead."""
        self._folder = folder
        self.look = Look(
            self.room,
            self.servers,
            folder.data / "pointsman.db",
            folder.journal("producers"),
            folder.journal("looks"),
        )
        return OutsideNemesis(folder, launcher, goals, self.look, seed=seed, mutant=mutant)

    async def begin(self, folder: Folder, *, seed: int) -> None:
        """Nothing to do: the servers run already."""

    async def senders(self, folder: Folder, *, seed: int, drain: float) -> list[asyncio.subprocess.Process]:
        """Start the producers."""
        room = msgspec.to_builtins(self.room)
        path = str(folder.journal("producers"))
        options = {"journal": path, "room": room, "rate": self._rate, "seed": seed, "drain": drain}
        return [await start("outside.producers", options)]

    async def calm(self, product: Product) -> None:
        """Wait until nobody disturbs the servers any more."""
        if self._disturbed is not None:
            await asyncio.shield(self._disturbed)

    async def taken(self, product: Product, deadline: float) -> None:
        """Wait until everything outside is in the store, or the time is up; write down what there was."""
        assert self._folder is not None
        assert self.look is not None
        path = self._folder.journal("truth")
        ends = await truth.write_log(self.room, path)
        items = self._folder.journal("items")
        while time.monotonic() < deadline and not product.ended:
            positions = self.look.read()
            shown = {record["id"] for record in journal.read(items)} if "poll" in self.room.kinds else set()
            left = [name for name in ("jobs", "rows", "stock", "box") if self.look.lacking(name)]
            if shown - self.look.taken.get("items", set()):
                left.append("items")
            stored = {key.rpartition("/")[2]: value for key, value in positions.get("log", {}).items()}
            for partition, end in ends.items():
                place = stored.get(str(partition))
                if end and (place is None or msgspec.json.decode(place)["next"] < end):
                    left.append("log")
            if not left:
                break
            await product.until(within=LOOKING)
        truth.write_items(items, path)

    async def gather(self) -> None:
        """Write down what was published, once the service has stopped."""
        assert self._folder is not None
        await truth.write_published(self.room, self._folder.journal("truth"))

    async def close(self) -> None:
        """Let go of everything."""
        if self.look is not None:
            await self.look.close()


class OutsideNemesis(Nemesis):
    """Kills the service at the points of its other sources, too; whenever it is dead, positions are compared."""

    def __init__(
        self, folder: Folder, launcher: Launcher, goals: Goals, look: Look, *, seed: int, mutant: str
    ) -> None:
        super().__init__(folder, launcher, goals, seed=seed, mutant=mutant)
        self.look = look

    @override
    def _count(self, goal: str) -> int:
        if goal.startswith(("poll.", "schedule.", "postgres.snapshot.begun", "postgres.snapshot.done")):
            return 1
        if goal.startswith(("kafka.", "postgres.", "rabbitmq.")):
            return self.random.randint(1, 5)
        return super()._count(goal)

    @override
    async def _drive(self, goal: str, product: Product) -> None:
        if goal == RANDOM and self.random.random() < 0.5:
            # Long enough for a group to be joined; sometimes a snapshot begins.
            if self.random.random() < 0.3:
                await self._rewind(product)
            await product.until(within=self.random.uniform(0.5, 3.0))
        elif goal in OUTSIDE:
            if goal.startswith("postgres.snapshot."):
                await self._rewind(product)
            await product.until(within=FIRING.get(goal.partition(".")[0], USUALLY))
        else:
            await super()._drive(goal, product)

    async def _rewind(self, product: Product) -> None:
        """Have the rows of the table `stock` read again, as an operator would."""
        if "postgres" not in self.look.room.kinds or product.ended:
            return
        port = (self.folder.data / "admin.port").read_text("ascii").strip()
        token = (self.folder.data / "admin.token").read_text("ascii").strip()
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(headers=headers, timeout=3, trust_env=False) as client:
            try:
                answer = await client.post(
                    f"http://127.0.0.1:{port}/api/v1/sources/stock/rewind", json={"to": "snapshot"}
                )
            except httpx.TransportError:
                return  # it died of the point meanwhile
        if answer.status_code != 200:
            self._trouble(f"rewind of stock: {answer.status_code} {answer.text[:300]}")

    @override
    async def _after(self, product: Product, goal: str, *, graceful: bool = False) -> None:
        await super()._after(product, goal, graceful=graceful)
        await self.look.dead()
