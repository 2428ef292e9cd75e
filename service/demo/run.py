"""`pointsman demo`: starts the shop and the service, plays the scenario, says what to try next."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from service.app import Service
from service.demo.scenario import NotShown, Scenario
from service.demo.shop import Shop
from service.demo.starter import write_starter
from service.errors import ServiceError
from service.observe import set_up_logs
from service.settings import Settings
from triggers.presets import sign


async def run_demo(*, once: bool, data: Path | None, port: int, admin_port: int, console: Console) -> int:
    """Run the demo and return its exit code: 0 only if everything it promises really happened."""
    set_up_logs(os.environ.get("POINTSMAN_LOG_LEVEL", "error"), "auto")
    started = time.perf_counter()
    stay = not once and sys.stdout.isatty()
    with _folder(data, keep=stay) as folder:
        try:
            return await _run(folder, stay, _free(port), _free(admin_port), console, started)
        except ServiceError as error:
            console.print(f"demo: {error}", markup=False, style="red")
            return 1


async def _run(folder: Path, stay: bool, port: int, admin_port: int, console: Console, started: float) -> int:
    if not (folder / "pointsman.yaml").exists():
        write_starter(folder)
    shop = Shop((folder / "secrets/shop").read_text("ascii"))
    await shop.start()
    config = folder / "pointsman.yaml"
    config.write_text(_with_port(config.read_text("utf-8"), shop.port), "utf-8")
    settings = Settings(config=config, data=folder / "data", port=port, admin_port=admin_port)
    service = Service(settings)
    try:
        async with service.running():
            url = f"http://127.0.0.1:{service.ingest.port}"
            _introduce(console, service, shop, url, time.perf_counter() - started)
            scenario = Scenario(folder, url, shop, service.desk, lambda *line: _say(console, *line))
            try:
                await scenario.play()
            except NotShown as missing:
                console.print(f"\ndemo: FAILED: this did not happen: {missing}", markup=False, style="red")
                return 1
            took = time.perf_counter() - started
            if stay:
                _what_next(console, folder, url, scenario)
                await _until_interrupted(service)
            console.print(f"\ndemo: everything above really happened, in {took:.1f} s", style="green")
            return 0
    finally:
        await shop.stop()


def _introduce(console: Console, service: Service, shop: Shop, url: str, took: float) -> None:
    plan = service.plan
    rules = len(plan.ruleset.rules) if plan is not None else 0
    console.print(
        f" ✓ store      {service.settings.data / 'pointsman.db'} (SQLite, every commit fsynced)", markup=False
    )
    console.print(
        f" ✓ backend    demo shop on 127.0.0.1:{shop.port}, read from shop.openapi.yaml (OpenAPI 3.1)"
    )
    console.print(f" ✓ service    webhooks at {url}/hooks/…, admin API on 127.0.0.1:{service.admin.port}")
    console.print(f" ✓ {rules} rules, 2 webhooks, 1 connector; started in {took:.1f} s\n")


def _say(console: Console, sent: str, status: str, happened: str) -> None:
    colour = "green" if status.startswith("2") else "yellow"
    console.print(Text.assemble(" → sent ", f"{sent:<18}", (f" {status} ", colour), " ", happened))


def _what_next(console: Console, folder: Path, url: str, scenario: Scenario) -> None:
    """Print commands that work when they are pasted."""
    command = _command()
    where = f"--data {shlex.quote(str(folder / 'data'))}"
    config = f"--config {shlex.quote(str(folder / 'pointsman.yaml'))}"
    inputs = shlex.quote('{"sku": "lamp-7", "body": {"order": "A-9", "quantity": 1}}')
    lines = [
        ("send a signed order (valid for 5 minutes)", _curl(folder, url)),
        ("why did nothing happen?", f"{command} explain {scenario.unmatched} big-orders {where}"),
        ("every attempt of the retried one", f"{command} deliveries show {scenario.retried} {where}"),
        ("call an operation by hand", f"{command} call shop.reserveStock --with {inputs} --dry-run {config}"),
        (
            "change a rule, then",
            f"{command} check {shlex.quote(str(folder / 'pointsman.yaml'))} && kill -HUP {os.getpid()}",
        ),
        ("make it yours", f"{command} init my-project"),
    ]
    console.print("\nNow you:", style="bold")
    for title, line in lines:
        console.print(f"  # {title}", markup=False, style="dim")
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print("\nCtrl-C ends the demo.")


def _curl(folder: Path, url: str) -> str:
    order = {
        "id": "A-2001",
        "sku": "desk-3",
        "quantity": 2,
        "total": 250.0,
        "currency": "EUR",
        "customer": "You",
    }
    body = msgspec.json.encode({"type": "order.paid", "order": order})
    name = f"evt_{os.urandom(8).hex()}"
    secret = (folder / "secrets/orders").read_text("ascii")
    headers = {
        "content-type": "application/json",
        **sign("standard-webhooks", secret, body, now=time.time(), id=name),
    }
    said = " ".join(f"-H {shlex.quote(f'{key}: {value}')}" for key, value in headers.items())
    return f"curl -i {url}/hooks/orders {said} -d {shlex.quote(body.decode())}"


def _command() -> str:
    """Return how this program is called from here."""
    if shutil.which("pointsman") is not None and Path(sys.argv[0]).name == "pointsman":
        return "pointsman" if Path(shutil.which("pointsman") or "").samefile(sys.argv[0]) else sys.argv[0]
    return sys.argv[0] if Path(sys.argv[0]).name == "pointsman" else f"{sys.executable} -m service"


async def _until_interrupted(service: Service) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, service.reload_later)
    await stopped.wait()


@contextlib.contextmanager
def _folder(data: Path | None, *, keep: bool) -> Iterator[Path]:
    """Give the demo a folder: the one named, or a new one that goes away unless somebody stays to look."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data
        return
    made = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(made)


def _with_port(text: str, port: int) -> str:
    """Return the demo's configuration with the shop's port in it."""
    head, mark, tail = text.partition("    server: http://127.0.0.1:")
    rest = tail.lstrip("0123456789")
    return f"{head}{mark}{port}{rest}" if mark else text


def _free(port: int) -> int:
    """Return the port, or 0 (any) when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
