"""What to try next: commands that work when they are pasted into a shell, whatever folder it is in."""

import os
import shlex
import shutil
import sys
import time
from pathlib import Path

import msgspec

from service.demo.scenario import Scenario
from triggers.presets import sign


def commands(
    folder: Path, config: Path, url: str, admin_port: int, scenario: Scenario
) -> list[tuple[str, str]]:
    """Return (what it shows, command) for the demo that runs in a folder with a configuration."""
    program, data = _program(), f"--data {shlex.quote(str(folder / 'data'))}"
    shown = shlex.quote(str(config))
    inputs = shlex.quote('{"sku": "lamp-7", "body": {"order": "A-9", "quantity": 1}}')
    token = shlex.quote(str(folder / "data/admin.token"))
    return [
        ("send a signed order (its signature holds for 5 minutes)", _curl(folder, url)),
        ("what became of it, and of those before", f"{program} deliveries {data}"),
        ("every attempt of the retried one", f"{program} deliveries show {scenario.retried} {data}"),
        ("why did nothing happen?", f"{program} explain {scenario.unmatched} big-orders {data}"),
        (
            "the exact request of an operation; without --dry-run it is sent",
            f"{program} call shop.reserveStock --with {inputs} --dry-run --config {shown}",
        ),
        (
            "the metrics",
            f'curl -s -H "Authorization: Bearer $(cat {token})" http://127.0.0.1:{admin_port}/metrics',
        ),
        (
            f"change a rule in {folder / 'pointsman.yaml'}, then",
            f"{program} check {shown} && kill -HUP {os.getpid()}",
        ),
        ("begin a project of your own", f"{program} init my-project"),
    ]


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
    secret = (folder / "secrets/orders").read_text("ascii").strip()
    headers = {
        "content-type": "application/json",
        **sign("standard-webhooks", secret, body, now=time.time(), id=name),
    }
    said = " ".join(f"-H {shlex.quote(f'{key}: {value}')}" for key, value in headers.items())
    return f"curl -si {url}/hooks/orders {said} -d {shlex.quote(body.decode())}"


def _program() -> str:
    """Return how this program is called from anywhere."""
    called = Path(sys.argv[0])
    if called.name != "pointsman":
        return f"{shlex.quote(sys.executable)} -m service"
    found = shutil.which("pointsman")
    if found is not None and called.exists() and Path(found).samefile(called):
        return "pointsman"
    return shlex.quote(str(called.resolve()))
