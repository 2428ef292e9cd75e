"""`docker compose up` for real, where an engine, the plugin and the images are: four sources, one shop.

Images are never fetched or built here: have them by `docker compose build` and `docker compose pull`, or as the
stand-ins of tests/compose/standins where no registry is reachable.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "compose.yaml"
PATIENCE = 240.0
KINDS = {"orders": "w", "stream": "k", "queue": "r", "rows": "p"}


def compose(*words, within=PATIENCE):
    return subprocess.run(
        ["docker", "compose", "--file", FILE, "--project-name", "pointsman-test", *words],
        check=False, capture_output=True, text=True, timeout=within, env={**os.environ, "PROJECT": ""},
    )  # fmt: skip


def missing():
    """Say what keeps us from running it, or None."""
    if shutil.which("docker") is None:
        return "docker is not here"
    for words, what in ((("info",), "no engine answers"), (("compose", "version"), "the plugin is not here")):
        if subprocess.run(["docker", *words], check=False, capture_output=True, timeout=30).returncode:
            return f"docker: {what}"
    for image in compose("config", "--images").stdout.split():
        if subprocess.run(["docker", "image", "inspect", image], check=False, capture_output=True).returncode:
            return f"the image {image} is not here: docker compose build, docker compose pull"
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            return "somebody listens on port 8080"
    return None


@pytest.fixture(scope="module")
def up():
    if (lacking := missing()) is not None:
        pytest.skip(lacking)
    try:
        ran = compose("up", "--detach", "--wait", "--pull", "never", "--no-build")
        assert ran.returncode == 0, ran.stderr
        yield
    finally:
        compose("down", "--volumes", "--timeout", "5")


def await_orders(since, kinds=KINDS):
    """Wait until the shop has heard of an order from each source since then; return what it said."""
    deadline = time.monotonic() + PATIENCE
    while True:
        said = compose("logs", "--no-log-prefix", "--no-color", "--since", since, "shop").stdout
        if all(re.search(rf"→ 201 .*-{letter}\d+'.*/sources/{name}", said) for name, letter in kinds.items()):
            return said
        assert time.monotonic() < deadline, said + compose("logs", "--tail", "20").stdout
        time.sleep(0.5)


def sources():
    ran = compose("exec", "-T", "pointsman", "pointsman", "sources", "-o", "json")
    return {one["name"]: one for one in json.loads(ran.stdout)["items"]}


def now():
    return str(int(time.time()))


@pytest.mark.timeout(600)
def test_orders_come_four_ways_and_go_on_when_everything_was_down(up):
    await_orders("0")
    assert {one["state"] for one in sources().values()} == {"running"}
    dead = compose("exec", "-T", "pointsman", "pointsman", "deliveries", "--state", "dead,held", "-o", "json")
    assert json.loads(dead.stdout)["items"] == []
    with socket.create_connection(("127.0.0.1", 8080), 5):
        pass
    checked = compose("exec", "-T", "pointsman", "pointsman", "check")
    assert "0 errors" in checked.stdout + checked.stderr
    # Data outlive containers, and positions fit the servers that come back.
    assert compose("down", "--timeout", "30").returncode == 0
    since = now()
    ran = compose("up", "--detach", "--wait", "--pull", "never", "--no-build")
    assert ran.returncode == 0, ran.stderr
    await_orders(since)
    assert {one["state"] for one in sources().values()} == {"running"}
