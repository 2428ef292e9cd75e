"""What the README tells a newcomer to type works as it stands."""

import re
import signal
from pathlib import Path

import yaml

from tests.end_to_end.shell import free_port, shell, started

ROOT = Path(__file__).resolve().parents[2]


def test_the_commands_of_the_readme_work_one_after_the_other(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    demo, start, shop, serve, send = (block.strip() for block in blocks)
    assert demo == "make demo"
    assert re.search(r"^demo:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    begun = shell("set -e; " + start.partition("\n")[2], cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    assert "fine; 2 rules would run" in begun.stderr
    project = tmp_path / "my-project"
    port, admin_port = str(free_port()), str(free_port())
    path = project / "pointsman.yaml"
    path.write_text(path.read_text("utf-8").replace("127.0.0.1:8082", f"127.0.0.1:{free_port()}"), "utf-8")
    settings = {"POINTSMAN_PORT": port, "POINTSMAN_ADMIN_PORT": admin_port}
    with (
        started(shop.split()[1:], cwd=project) as backend,
        started(serve.split()[1:], cwd=project, **settings) as service,
    ):
        backend.until("the shop listens on")
        service.until("listening")
        sent = shell("set -eo pipefail; " + send.replace("8080", port), cwd=project)
        assert sent.returncode == 0, sent.stderr
        assert "202 Accepted" in sent.stdout
        assert "big-orders" in sent.stdout
        assert "✓ big-orders matches" in sent.stdout
        assert service.end(signal.SIGINT) == 0


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
