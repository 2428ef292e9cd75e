"""What a campaign of calls has beside webhooks: the market, the person who logs in, and who kills meanwhile."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import yaml
from cryptography.exceptions import InvalidTag
from typing_extensions import override

from service.crashpoints import POINTS
from tests.crash.calls.look import kept
from tests.crash.campaign import end, first_line, start
from tests.crash.folder import Folder, together
from tests.crash.ledger import PATIENCE
from tests.crash.nemesis import RANDOM, STARTING, Goals, Nemesis
from tests.crash.product import READY, Launcher, Product

CALLS: Final = tuple(point for point in POINTS if point.partition(".")[0] in ("call", "login", "file"))
"""The points that plain calls never reach."""

BY_PERSON: Final = ("login.begun", "login.returned", "login.finished")
KINDS: Final = MappingProxyType(
    {"paged": 20, "job": 12, "edited": 20, "policed": 15, "hooked": 15, "older": 15, "one": 3}
)
FIRING: Final = 6.0
"""Seconds within which an armed point fires: a job takes some, a token lasts half a second."""

LOOKING: Final = 0.1
ORPHANED: Final = 10.0
"""Seconds within which a hook's process has noticed that its parent is no more; a busy machine has many."""

_FILES: Final = resources.files("tests.crash") / "files"


class Room:
    """What the configuration speaks of: the market's port and secret, its description in two versions, a hook."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(12)
        self.port = 0

    @property
    def passwords(self) -> dict[str, str]:
        """The client's secret."""
        return {"client": self.secret}

    def extend(self, text: str) -> str:
        """Return a configuration with the market beside the ledger."""
        more = (_FILES / "calls.yaml").read_text("utf-8").replace("<MARKET>", str(self.port))
        return together(yaml.safe_load(text), yaml.safe_load(more))

    def make(self, folder: Path) -> None:
        """Write the descriptions and the hook."""
        for version in ("2", "1"):
            place = folder / ("market" if version == "2" else f"market-{version}")
            place.mkdir()
            for file in (_FILES / "market").iterdir():
                text = file.read_text("utf-8").replace('"version": "2.0"', f'"version": "{version}.0"')
                (place / file.name).write_text(text, "utf-8")
        (folder / "hook.py").write_bytes((_FILES / "hook.py").read_bytes())


class Calls:
    """Everything of one campaign that is neither webhooks nor the ledger."""

    kinds: Mapping[str, int] = KINDS

    def __init__(self) -> None:
        self.room = Room()
        self._market: asyncio.subprocess.Process | None = None
        self._nemesis: CallsNemesis | None = None
        self._attending: asyncio.Task[None] | None = None

    async def begin(self, folder: Folder, *, seed: int) -> None:
        """Start the market."""
        options = {"journal": str(folder.journal("market")), "seed": seed, "secret": self.room.secret}
        self._market = await start("calls.market", options)
        self.room.port = int(await first_line(self._market))
        self.room.make(folder.path)

    def nemesis(
        self, folder: Folder, launcher: Launcher, goals: Goals, *, seed: int, mutant: str
    ) -> "CallsNemesis":
        """Return who kills the service, and logs in when it asks for that."""
        self._nemesis = CallsNemesis(folder, launcher, goals, seed=seed, mutant=mutant)
        return self._nemesis

    async def senders(self, folder: Folder, *, seed: int, drain: float) -> list[asyncio.subprocess.Process]:
        """Webhooks are all that is sent."""
        return []

    async def calm(self, product: Product) -> None:
        """Have the person attend the last life, too."""
        assert self._nemesis is not None
        self._attending = asyncio.create_task(self._nemesis.attend(product))

    async def taken(self, product: Product, deadline: float) -> None:
        """Nothing comes from outside but webhooks."""

    async def gather(self) -> None:
        """Nothing is to be asked: the market writes everything down."""
        await self._leave()

    async def close(self) -> None:
        """Let go of everything."""
        await self._leave()
        if self._market is not None:
            await end(self._market)

    async def _leave(self) -> None:
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.wait([self._attending])


class CallsNemesis(Nemesis):
    """Kills the service at the points of calls and logins; logs in as a person would when it says so."""

    @override
    def _count(self, goal: str) -> int:
        if goal.startswith("login."):
            return 1 if goal in BY_PERSON else self.random.randint(1, 2)
        return self.random.randint(1, 4) if goal in CALLS else super()._count(goal)

    @override
    async def _kill(self, goal: str) -> None:
        if goal.startswith("file."):
            await self._kill_first(goal)
        else:
            await super()._kill(goal)

    @override
    async def _drive(self, goal: str, product: Product) -> None:
        attending = asyncio.create_task(self.attend(product, at_once=goal in BY_PERSON))
        try:
            # Random kills fall everywhere in a life in which tokens are renewed twice a second.
            await product.until(within=self.random.uniform(0.1, 1.5) if goal == RANDOM else FIRING)
        finally:
            attending.cancel()
            await asyncio.wait([attending])
        if not attending.cancelled() and (error := attending.exception()) is not None:
            raise error

    async def _kill_first(self, goal: str) -> None:
        """Kill a first start where it writes a file: its token, its port, the key of tokens. The next must do."""
        self._side += 1
        data = self.folder.path / f"side-{self._side}"
        product = await self.start(f"{goal}:{self.random.randint(1, 3)}", data, port=0)
        if await product.until(READY, within=STARTING):
            with suppress(httpx.TransportError):
                await self._log_in(product, data)
            await product.until(within=LOOKING)
        await self._after(product, goal)
        product = await self.start(data=data, port=0)
        if not await product.until(READY, within=STARTING):
            self._trouble(f"after {goal} the directory could not be opened again")
        elif not await self._log_in_at_last(product, data):
            self._trouble(f"after {goal} nobody could log in")
        elif not kept(data).login:
            self._trouble(f"after {goal} a login was not kept")
        await self._after(product, RANDOM)
        left = [path.name for path in data.iterdir() if path.name.startswith(".")]
        if left:
            self._trouble(f"after {goal} there were {', '.join(left)}")

    async def _log_in_at_last(self, product: Product, data: Path) -> bool:
        """Log in, again where the token server had no time."""
        for _ in range(PATIENCE * 2):
            if await self._log_in(product, data):
                return True
            await product.until(within=LOOKING)
        return False

    async def attend(self, product: Product, *, at_once: bool = False) -> None:
        """Be the person who looks now and then, and logs in where somebody has to."""
        with suppress(httpx.TransportError, OSError, ValueError):  # it dies meanwhile: that is what it is for
            while not product.ended:
                if await self._needed(product) or at_once:
                    at_once = not await self._log_in(product, self.folder.data) and at_once
                await product.until(within=LOOKING)

    async def _needed(self, product: Product) -> bool:
        """Look whether the connection asks for a login; write down what it says."""
        async with _admin(self.folder.data) as client:
            shown = (await client.get("/connections/market")).raise_for_status().json()
        (login,) = shown["logins"]
        if login["state"] != "required" and shown["state"] != "held":
            return False
        reason = f"{login['reason']}; {shown['reason']}"
        self.journal.write(
            e="needed",
            at=time.time(),
            process=product.process,
            state=login["state"],
            reason=reason,
            fix=login["fix"],
        )
        return True

    async def _log_in(self, product: Product, data: Path) -> bool:
        """Log in; return whether that went well."""
        async with _admin(data) as client:
            begun = await client.post("/connections/market/login", json={})
            if begun.status_code != 200:
                return False
            async with httpx.AsyncClient(trust_env=False) as browser:
                page = await browser.get(begun.json()["url"])
            query = dict(parse_qsl(urlsplit(page.headers["location"]).query))
            done = await client.post("/login/finish", json={"query": query})
        self.journal.write(
            e="logged in",
            at=time.time(),
            process=product.process,
            main=data == self.folder.data,
            status=done.status_code,
        )
        return done.status_code == 200

    @override
    async def _after(self, product: Product, goal: str, *, graceful: bool = False) -> None:
        await super()._after(product, goal, graceful=graceful)
        try:
            found = kept(self.folder.data)
        except (ValueError, InvalidTag, OSError) as error:
            self._trouble(f"what is kept of a login cannot be read: {error!r}")
        else:
            self.journal.write(e="look", at=time.time(), login=found.login, number=found.number)
        await self._see_no_orphans()

    async def _see_no_orphans(self) -> None:
        """See that the process of a hook ends with the service."""
        deadline = time.monotonic() + ORPHANED
        while left := _orphans():
            if time.monotonic() > deadline:
                self._trouble(f"hooks have outlived the service: {left}")
                return
            await asyncio.sleep(0.02)


def _admin(data: Path) -> httpx.AsyncClient:
    """Return a client of the running instance."""
    port = (data / "admin.port").read_text("ascii").strip()
    token = (data / "admin.token").read_text("ascii").strip()
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}/api/v1",
        headers={"authorization": f"Bearer {token}"},
        timeout=10,
        trust_env=False,
    )


def _orphans() -> list[int]:
    """Return the processes of hooks whose parent is no more."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if b"hook_runner.py" in (place / "cmdline").read_bytes():
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == 1:
                    found.append(int(place.name))
    return found
