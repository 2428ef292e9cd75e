"""What the README tells a newcomer to type works as it stands."""

import re
import signal
from pathlib import Path

import yaml

from tests.end_to_end.shell import free_port, shell, started

ROOT = Path(__file__).resolve().parents[2]


def blocks() -> dict[str, str]:
    """Return the commands of the README by what they are for, in their order."""
    found = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    names = ("demo", "start", "shop", "serve", "send", "described", "mock", "try")
    return dict(zip(names, (block.strip() for block in found), strict=True))


def begun(folder: Path) -> Path:
    """Make the project as the README says, with its shop at a free port; return its folder."""
    done = shell("set -e; " + blocks()["start"].partition("\n")[2], cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "fine; 2 rules would run" in done.stderr
    return folder / "my-project"


def moved(project: Path) -> int:
    """Let the project's shop be at a free port; return it."""
    port, path = free_port(), project / "pointsman.yaml"
    path.write_text(path.read_text("utf-8").replace("127.0.0.1:8082", f"127.0.0.1:{port}"), "utf-8")
    return port


def test_the_commands_of_the_readme_work_one_after_the_other(tmp_path):
    commands = blocks()
    assert commands["demo"] == "make demo"
    for target in ("demo", "setup", "corpora"):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    project = begun(tmp_path)
    moved(project)
    port, admin_port = str(free_port()), str(free_port())
    settings = {"POINTSMAN_PORT": port, "POINTSMAN_ADMIN_PORT": admin_port}
    with (
        started(commands["shop"].split()[1:], cwd=project) as backend,
        started(commands["serve"].split()[1:], cwd=project, **settings) as service,
    ):
        backend.until("the shop listens on")
        service.until("listening")
        sent = shell("set -eo pipefail; " + commands["send"].replace("8080", port), cwd=project)
        assert sent.returncode == 0, sent.stderr
        assert "202 Accepted" in sent.stdout
        assert "big-orders" in sent.stdout
        assert "✓ big-orders matches" in sent.stdout
        assert service.end(signal.SIGINT) == 0


def test_the_commands_of_the_readme_on_descriptions_work_one_after_the_other(tmp_path):
    commands = blocks()
    project = begun(tmp_path)
    read = shell("set -e; " + commands["described"], cwd=project)
    assert read.returncode == 0, read.stderr
    assert "100.00% of the operations that can be called were accepted" in read.stderr
    for said in ("openapi3.1", "shop.reserveStock", "POST http://127.0.0.1:8082/stock/A-1/reservations"):
        assert said in read.stdout
    port = moved(project)
    words = commands["mock"].replace("8082", str(port)).split()[1:]
    with started(words, cwd=project) as mock:
        mock.until("mock of Demo shop")
        tried = shell("set -e; " + commands["try"], cwd=project)
        assert tried.returncode == 0, tried.stderr
        assert "shop: ok" in tried.stdout
        mock.until("✓ POST /stock/A-1/reservations")
        assert mock.end(signal.SIGINT) == 0


def test_the_demo_with_servers_is_called_as_the_readme_says():
    text = (ROOT / "README.md").read_text("utf-8")
    assert "`make demo WITH=kafka,rabbitmq,postgres`" in text
    planned = shell("make -n demo WITH=kafka,postgres ONCE=1 | tail -n 1", cwd=ROOT)
    assert planned.stdout == "ONCE=1 .venv/bin/pointsman demo --with 'kafka,postgres'\n"
    helped = shell("pointsman demo --help", cwd=ROOT).stdout
    for word in re.findall(r" (--[a-z]+) ", re.search(r"`(pointsman demo --kafka[^`]*)`", text)[1]):
        assert word in helped


def test_every_container_that_the_pages_speak_of_is_one_of_compose():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    for page in ("README.md", "docs/operations.md"):
        text = (ROOT / page).read_text("utf-8")
        named = re.findall(r"docker compose (?:logs -f|exec|up --no-deps) ([a-z]+)", text)
        assert set(named) <= set(services)
        assert named
