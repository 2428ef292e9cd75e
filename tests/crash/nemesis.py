"""Kills the service: at the crash points, and at random instants; brings it back, and drives what the points need.

A goal is a crash point, or "random". A point that did not fire within its time is killed at that instant, which counts as
random, and comes up again later. What it does and what it sees goes into its journal.
"""

import itertools
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from tests.crash import history
from tests.crash.folder import Folder
from tests.crash.journal import Journal
from tests.crash.launcher import Start
from tests.crash.product import NOT_TAKEN, READY, Launcher, Product, environment
from tests.patience import PATIENCE

RANDOM: Final = "random"
STARTING: Final = PATIENCE
"""Seconds within which a started service has its configuration in force."""

FIRING: Final = 3.0
"""Seconds within which an armed point fires; then it is killed where it stands."""

STOPPING: Final = 10.0
MISSES: Final = 12
"""How often a point may miss before nobody tries any more; the verdict then says what is missing."""

COMMAND_EVERY: Final = 12
"""Every so many starts the plain command is used, not a fork."""

FAILURES: Final = 2
"""How often in a row the service may end by itself before there is no point in going on."""

KILLED: Final = -signal.SIGKILL


class Goals:
    """What is to be done, shared by all who do it."""

    def __init__(self, points: Iterable[str], each: int, total: int, chance: random.Random) -> None:
        goals = [point for point in points for _ in range(each)]
        self.total = max(total, len(goals))
        goals += [RANDOM] * (self.total - len(goals))
        chance.shuffle(goals)
        # Nobody can be retried by hand before somebody has died: not in the first quarter.
        early = [goal for goal in goals if goal.startswith("release.")]
        goals = [goal for goal in goals if not goal.startswith("release.")]
        for goal in early:
            goals.insert(chance.randint(len(goals) // 4, len(goals)), goal)
        self._left = deque(goals)
        self._misses: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()

    def take(self) -> str | None:
        """Return the next goal, None when all is done."""
        return self._left.popleft() if self._left else None

    def missed(self, goal: str) -> None:
        """Put a point back that did not fire."""
        self._misses[goal] += 1
        if self._misses[goal] <= MISSES:
            self._left.append(goal)

    @property
    def done(self) -> int:
        """How many kills there were."""
        return sum(self.kills.values())


class Nemesis:
    """Kills the service of one folder until no goal is left."""

    def __init__(
        self, folder: Folder, launcher: Launcher, goals: Goals, *, seed: int, mutant: str = ""
    ) -> None:
        self.folder = folder
        self.launcher = launcher
        self.goals = goals
        self.random = random.Random(seed)
        self.mutant = mutant
        self.journal = Journal(folder.journal("nemesis"))
        self.crash_log = folder.path / "crash.log"
        self.product: Product | None = None
        self._versions = itertools.count(2)
        self._starts = 0
        self._seen_until = 0
        self._side = 0
        self._failures = 0

    async def run(self) -> None:
        """Work until the goals are done; nothing runs afterwards."""
        try:
            while (goal := self.goals.take()) is not None:
                await self._kill(goal)
        finally:
            if self.product is not None:
                await self.product.kill()

    async def start(self, crash: str = "", data: Path | None = None, port: int | None = None) -> Product:
        """Start the service, armed with a point; say `data` for another directory than the run's."""
        self._starts += 1
        command = not self.mutant and self._starts % COMMAND_EVERY == 0
        words = ["serve", "--config", str(self.folder.config), "--data", str(data or self.folder.data)]
        words += ["--port", str(self.folder.port if port is None else port), "--admin-port", "0"]
        start = Start(
            words,
            environment(crash, self.crash_log),
            str(self.folder.path),
            self.mutant,
            command,
        )
        self.journal.write(e="start", at=time.time(), crash=crash, command=command)
        self.product = await self.launcher.start(start, self.folder.path / "service.log")
        return self.product

    async def stop(self) -> None:
        """Stop the service gracefully, as an operator would."""
        if self.product is not None:
            self.product.signal(signal.SIGTERM)
            await self.product.until(within=STOPPING)
            await self._after(self.product, "", graceful=True)

    # -- one kill

    async def _kill(self, goal: str) -> None:
        if goal.startswith("migration."):
            await self._kill_migration(goal)
        else:
            await self._kill_one(goal)

    async def _kill_one(self, goal: str) -> None:
        product = await self.start("" if goal == RANDOM else f"{goal}:{self._count(goal)}")
        if goal == RANDOM and self.random.random() < 0.25:
            await product.until(within=self.random.uniform(0, 0.4))  # somewhere in its start
        elif await product.until(READY, within=STARTING):
            await self._drive(goal, product)
        elif not product.ended:
            self._trouble(f"process {product.process} was not ready within {STARTING:.0f} s")
        await self._after(product, goal)

    def _count(self, goal: str) -> int:
        """Return at which hit to kill; some points are hit once in a life."""
        if goal.startswith(("recovery.", "stop.", "release.")):
            return 1
        if goal.startswith("reload."):
            return self.random.choice((1, 2, 2))
        if goal.startswith(("store.claim.", "dispatch.claimed", "dispatch.retry", "dispatch.between")):
            return self.random.randint(1, 4)
        return self.random.randint(1, 12)

    async def _drive(self, goal: str, product: Product) -> None:
        """Do what the point needs; return when the service is dead, or its time is up."""
        if goal == RANDOM:
            what = self.random.random()
            if what < 0.3:
                await self._reload(product)
            elif what < 0.5:
                await self._retry_dead(product, self.random.uniform(0, 0.3))
            await product.until(within=self.random.uniform(0, 0.5))
            return
        if goal.startswith("reload."):
            await self._reload(product)
        elif goal.startswith("release."):
            await self._retry_dead(product, FIRING)
        elif goal.startswith("stop."):
            await product.until(within=self.random.uniform(0, 0.3))
            product.signal(signal.SIGTERM)
        await product.until(within=FIRING)

    async def _reload(self, product: Product) -> None:
        """Change the rules and have them read; before, sometimes, a broken file that must not be taken."""
        if self.random.random() < 0.3:
            self.folder.write_config(0, broken=True)
            product.signal(signal.SIGHUP)
            if not await product.until(NOT_TAKEN, within=FIRING) and not product.ended:
                self._trouble("a broken configuration was not refused")
            # Before it dies, lest the next start read it: a start has no other configuration to go on with.
        self.folder.write_config(next(self._versions))
        product.signal(signal.SIGHUP)

    async def _retry_dead(self, product: Product, seconds: float) -> None:
        """Retry dead deliveries through the admin API until the service dies or the time is up."""
        deadline = time.monotonic() + seconds
        port = (self.folder.data / "admin.port").read_text("ascii").strip()
        token = (self.folder.data / "admin.token").read_text("ascii").strip()
        base, headers = f"http://127.0.0.1:{port}/api/v1", {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=base, headers=headers, timeout=FIRING, trust_env=False
        ) as client:
            with suppress(httpx.TransportError):  # it dies in the middle of this: that is what it is for
                while not product.ended and time.monotonic() < deadline:
                    page = (
                        await client.get("/deliveries", params={"state": "dead", "limit": 20})
                    ).raise_for_status()
                    for item in page.json()["items"]:
                        await client.post(f"/deliveries/{item['id']}/retry")
                    await product.until(within=0.05)

    async def _kill_migration(self, goal: str) -> None:
        """Kill in the first start upon a new directory; the next start must finish what was begun."""
        self._side += 1
        data = self.folder.path / f"side-{self._side}"
        product = await self.start(f"{goal}:1", data, port=0)
        await product.until(within=STARTING)
        await self._after(product, goal)
        product = await self.start(data=data, port=0)
        if not await product.until(READY, within=STARTING):
            self._trouble(f"after {goal} the directory could not be opened again")
        await self._after(product, RANDOM)
        connection = history.connect(data / "pointsman.db")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (done,) = connection.execute("SELECT count(*) FROM migrations").fetchone()
        finally:
            connection.close()
        if not version or version != done:
            self._trouble(f"after {goal}: version {version}, and {done} migrations were recorded")

    async def _after(self, product: Product, goal: str, *, graceful: bool = False) -> None:
        """See to it that the service is dead, note how it ended, and look at the ends of runs meanwhile."""
        fired = self._fired()
        await product.kill()
        fired = fired or self._fired()
        self.product = None
        point = fired or RANDOM
        if graceful and product.status == 0:
            self.journal.write(e="stop", at=time.time())
        elif product.status == KILLED and not graceful:
            self._failures = 0
            self.goals.kills[point] += 1
            self.journal.write(
                e="kill", at=time.time(), point=point, status=product.status, process=product.process
            )
        else:
            self._trouble(f"process {product.process} ended by itself with status {product.status} ({goal})")
            self._failures += 1
            if self._failures > FAILURES:
                raise RuntimeError(f"the service ends by itself: see {self.folder.path / 'service.log'}")
        if goal not in ("", RANDOM) and point != goal:
            self.goals.missed(goal)
        self._look()

    def _fired(self) -> str:
        """Return the point that the service wrote down before it killed itself."""
        with suppress(FileNotFoundError):
            point = self.crash_log.read_text("ascii").strip()
            self.crash_log.unlink()
            return point
        return ""

    def _look(self) -> None:
        """Write down which runs have ended since the last look; they must stay as they are."""
        database = self.folder.data / "pointsman.db"
        if not database.exists() or not database.stat().st_size:
            return
        connection = history.connect(database)
        try:
            (tables,) = connection.execute(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'runs'"
            ).fetchone()
            rows = history.ends(connection, self._seen_until) if tables else []
        finally:
            connection.close()
        if rows:
            self._seen_until = max(row[4] for row in rows)
            self.journal.write(e="ends", at=time.time(), runs=[row[:4] for row in rows])

    def _trouble(self, what: str) -> None:
        self.journal.write(e="trouble", at=time.time(), what=what)
