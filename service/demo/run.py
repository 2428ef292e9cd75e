"""`pointsman demo`: starts the shop and the service, plays the scenario, says what to try next."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import httpx
from rich.console import Console
from rich.text import Text

from service.app import Service
from service.demo.advice import commands
from service.demo.guests.base import Guest
from service.demo.project import write_project
from service.demo.scenario import PATIENCE, NotShown, Scenario
from service.demo.scenes import Scenes
from service.demo.shop import Call, Shop
from service.demo.starter import CONFIG, SHOP_SECRET, move_shop, shop_port, write_starter
from service.errors import Conflict, ServiceError
from service.foreign import listen
from service.observe import set_up_logs
from service.settings import Settings

if TYPE_CHECKING:
    from service.demo.feed import Feeder
    from service.demo.wanted import Wanted

LOOPBACK: Final = "127.0.0.1"
TERMINATED: Final = 143  # 128 + SIGTERM, as shells have it

SHOP_TOKEN: Final = "SHOP_TOKEN"  # noqa: S105 - the name of a variable
"""The variable that holds the token which the shop wants, where no file does."""


async def run_demo(
    *,
    once: bool,
    folder: Path | None,
    port: int,
    admin_port: int,
    console: Console,
    patience: float = PATIENCE,
    wanted: "Wanted" = MappingProxyType({}),
) -> int:
    """Run the demo and return its exit code: 0 only if everything it promises really happened.

    It ends by itself with `once` or when nobody watches on a terminal. `patience` is how many seconds one
    scene may take; `wanted` are the real servers that are to take part.
    """
    set_up_logs(os.environ.get("POINTSMAN_LOG_LEVEL", "error"), "auto")
    listen()
    started = time.perf_counter()
    stay = not once and sys.stdout.isatty()
    with _folder(folder, keep=stay) as place, _ended_in_good_order() as ended:
        demo = _Demo(place, console, started, patience)
        try:
            return await demo.run(wanted, stay, _free(port, console), _free(admin_port, console))
        except NotShown as missing:
            demo.fail(f"this did not happen: {missing}")
        except (ServiceError, httpx.HTTPError) as error:
            demo.fail(str(error) or type(error).__name__)
        except asyncio.CancelledError:
            if not ended.is_set():
                raise
            return TERMINATED
        return 1


async def run_feed(feeder: "Feeder") -> int:
    """Bring orders until Ctrl-C."""
    await feeder.run(_ending())
    return 0


async def run_shop(folder: Path, host: str, console: Console) -> int:
    """Run the shop alone, where a project's configuration expects it, until Ctrl-C; print what reaches it."""
    port = shop_port(folder)
    token = _token(folder)
    if not token:
        raise Conflict(f"{folder} has no {SHOP_SECRET}, and the variable {SHOP_TOKEN} is not set")

    def heard(call: Call) -> None:
        again = " (known by its idempotency key: not done again)" if call.repeated else ""
        console.print(Text(f"{call.method} {call.path} → {call.status or 'cut'}{again}  {call.body}"))

    shop = Shop(token, heard=heard)
    try:
        await shop.start(port, host)
    except OSError as error:
        taken = f"the shop cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
        console.print(Text(f"{taken}; write another port in {folder / CONFIG}, connections.shop.server"))
        return 1
    stopped = _ending()
    console.print(f"the shop listens on {host}:{shop.port}; Ctrl-C ends it")
    try:
        await stopped.wait()
    finally:
        await shop.stop()
    return 0


class _Demo:
    """One run of the demo in a folder."""

    def __init__(self, folder: Path, console: Console, started: float, patience: float) -> None:
        self.folder = folder
        self.console = console
        self.started = started
        self.patience = patience
        self.config = folder / CONFIG

    async def run(self, wanted: "Wanted", stay: bool, port: int, admin_port: int) -> int:
        fresh = not (self.folder / CONFIG).exists()
        if fresh:
            write_starter(self.folder)
        wanted_port = 0 if fresh else shop_port(self.folder)
        async with contextlib.AsyncExitStack() as stack:
            guests = await self._guests(wanted, stack)
            shop = Shop(_token(self.folder))
            await shop.start(_free(wanted_port, self.console))
            stack.push_async_callback(shop.stop)
            move_shop(self.folder, shop.port)
            if guests:
                self.config = write_project(self.folder, CONFIG, guests)
            data = self.folder / "data"
            settings = Settings(config=self.config, data=data, port=port, admin_port=admin_port)
            await self._serve(Service(settings), shop, guests, stay=stay)
        if stay:
            self.console.print(Text(f"\nthe demo has ended; its files stay in {self.folder}"))
        return 0

    async def _serve(self, service: Service, shop: Shop, guests: Sequence[Guest], *, stay: bool) -> None:
        """Run the service, show everything, and stay until Ctrl-C where somebody watches."""
        async with service.running():
            url = f"http://{LOOPBACK}:{service.ingest.port}"
            self._introduce(service, shop, url)
            scenario = Scenario(self.folder, url, shop, service.desk, self._say, patience=self.patience)
            await scenario.play()
            await Scenes(guests, shop, service.desk, self._say, patience=self.patience).play()
            took = time.perf_counter() - self.started
            self.console.print(f"\ndemo: everything above really happened, in {took:.1f} s", style="green")
            if stay:
                stopped = _ending(service)
                self._what_next(scenario, url, service.admin.port)
                await stopped.wait()

    async def _guests(self, wanted: "Wanted", stack: contextlib.AsyncExitStack) -> list[Guest]:
        if not wanted:
            return []
        from service.demo.finding import welcome  # with the drivers, which most demos do not need

        return await welcome(wanted, self.folder, self.console, stack)

    def fail(self, why: str) -> None:
        self.console.print(Text(f"\ndemo: FAILED: {why}", style="red"))

    def _introduce(self, service: Service, shop: Shop, url: str) -> None:
        plan = service.plan
        rules = len(plan.ruleset.rules) if plan is not None else 0
        took = time.perf_counter() - self.started
        for what, text in (
            ("store", f"{service.settings.data / 'pointsman.db'} (SQLite, every commit fsynced)"),
            ("backend", f"demo shop on {LOOPBACK}:{shop.port}, read from shop.openapi.yaml (OpenAPI 3.1)"),
            ("service", f"webhooks at {url}/hooks/…, admin API on {LOOPBACK}:{service.admin.port}"),
            ("rules", f"{rules} of {self.config}, in force after {took:.1f} s"),
        ):
            self.console.print(Text.assemble((" ✓ ", "green"), f"{what:<9}", text))
        self.console.print()

    def _say(self, sent: str, status: str, *happened: str) -> None:
        """Print one scene of the timeline."""
        colour = "green" if status.startswith(("2", "ok")) else "yellow"
        first, *more = happened
        self.console.print(Text.assemble(" → ", f"{sent:<19}", (f"{status} ", colour), " ", first))
        for line in more:
            self.console.print(Text(" " * 28 + line))

    def _what_next(self, scenario: Scenario, url: str, admin_port: int) -> None:
        """Print commands that work when they are pasted."""
        self.console.print("\nNow you:", style="bold")
        for title, command in commands(self.folder, self.config, url, admin_port, scenario):
            self.console.print(Text(f"  # {title}", style="dim"))
            self.console.print(Text(f"  {command}"))
        self.console.print("\nCtrl-C ends the demo.")


def _token(folder: Path) -> str:
    if given := os.environ.get(SHOP_TOKEN):
        return given
    try:
        return (folder / SHOP_SECRET).read_text("ascii").strip()
    except OSError:
        return ""


def _ending(service: Service | None = None) -> asyncio.Event:
    """Return what Ctrl-C and SIGTERM set from now on; SIGHUP reads the configuration again."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if service is not None:
        loop.add_signal_handler(signal.SIGHUP, service.reload_later)
    return stopped


@contextlib.contextmanager
def _ended_in_good_order() -> Iterator[asyncio.Event]:
    """Let SIGTERM end the demo as Ctrl-C does, for nothing may stay in servers. Tell whether it came."""
    loop, task, ended = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

    def end() -> None:
        ended.set()
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield ended
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@contextlib.contextmanager
def _folder(named: Path | None, *, keep: bool) -> Iterator[Path]:
    """Give the demo a folder: the one named, or a new one that goes away unless somebody stays to look."""
    if named is not None:
        named.mkdir(parents=True, exist_ok=True)
        yield named.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made)


def _free(port: int, console: Console) -> int:
    """Return the port, or 0 (any), saying so, when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            console.print(f" · port {port} is taken; taking a free one")
            return 0
    return port
