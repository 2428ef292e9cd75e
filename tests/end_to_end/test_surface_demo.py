"""The first five minutes: the demo proves itself, stays on a terminal, and what it prints works when pasted."""

import asyncio
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from service.cli.output import out
from service.demo.run import run_demo
from service.demo.shop import Shop
from service.demo.starter import CONFIG, move_shop, write_starter
from tests.end_to_end.shell import PROGRAM, environment, free_port, pointsman, shell, started
from tests.patience import PATIENCE

SCENES = ("github.push ", "github.push again", "order.paid 120.5", "order.paid 5 ", "forged order")


def test_the_demo_ends_by_itself_and_shows_everything(tmp_path):
    ran = pointsman("demo", "--port", "0", "--admin-port", "0", cwd=tmp_path, ONCE="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    for scene in SCENES:
        assert f" → {scene}" in ran.stdout
    for happened in ("503, the shop was closed", "with the same key and body", "is known: the same id", "→ no rule",
                     "data.order.total is 5; would match: a number >= 100", "401  Not authenticated"):  # fmt: skip
        assert happened in ran.stdout
    assert re.search(r"demo: everything above really happened, in \d+\.\d s\n$", ran.stdout)
    folder = re.search(r"store +(\S+)/data/pointsman\.db", ran.stdout)[1]
    assert not Path(folder).exists(), "what nobody looks at is removed"
    assert "\x1b" not in ran.stdout


def test_two_demos_at_once_and_taken_ports_are_no_trouble(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [str(taken.getsockname()[1]) for taken in (one, two)]
        words = ("demo", "--once", "--port", ports[0], "--admin-port", ports[1])
        with started(words, cwd=tmp_path) as first, started(words, cwd=tmp_path) as second:
            for demo in (first, second):
                assert demo.process.wait(PATIENCE) == 0, demo.said
                for port in ports:
                    assert f"port {port} is taken; taking a free one" in demo.said


async def test_a_folder_of_ones_own_is_kept_and_can_be_used_again(tmp_path, capsys):
    for _ in range(2):
        code = await run_demo(once=True, folder=tmp_path, port=0, admin_port=0, console=out())
        assert code == 0, capsys.readouterr().out
    listed = pointsman("messages", "--data", "data", "-o", "jsonl", cwd=tmp_path)
    assert len(listed.stdout.splitlines()) == 6


def break_forgery(text):
    return text.replace("{scheme: standard-webhooks, secrets: [{file: secrets/orders}]}", "{scheme: none}")


def break_rule(text):
    return text.replace('numeric: [">=", 100]', 'numeric: [">=", 1000]')


def break_backend(text):
    return text.replace("auth: {bearer: {file: secrets/shop}}", "auth: {bearer: {file: secrets/github}}")


def break_retry(text):
    return text.replace("retry: {for: 1h", "on: {503: refused}\n        retry: {for: 1h")


def break_configuration(text):
    return text.replace("rules:", "rulez:", 1)


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        (break_forgery, "a forged signature is refused (got 202)"),
        (break_rule, "the shop is called for reserveStock"),
        (break_backend, "the shop is called for createDeployment"),
        (break_retry, "the shop is called for reserveStock"),
        (break_configuration, "did you mean `rules`?"),
    ],
)
async def test_the_demo_fails_when_one_thing_does_not_happen(tmp_path, capsys, broken, missing):
    write_starter(tmp_path)
    path = tmp_path / CONFIG
    text = path.read_text("utf-8")
    assert broken(text) != text
    path.write_text(broken(text), "utf-8")
    move_shop(tmp_path, free_port())
    code = await run_demo(once=True, folder=tmp_path, port=0, admin_port=0, console=out(), patience=5.0)
    said = capsys.readouterr().out
    assert code == 1, said
    assert "demo: FAILED: " in said
    assert missing in said
    assert "really happened" not in said


async def test_a_shop_that_closes_keeps_no_connection():
    shop = Shop("t")
    await shop.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 ")
    await shop.stop()
    await reader.read()
    writer.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_failed_demo_ends_the_process_with_1(tmp_path):
    write_starter(tmp_path / "p")
    path = tmp_path / "p/pointsman.yaml"
    path.write_text(break_forgery(path.read_text("utf-8")), "utf-8")
    ran = pointsman("demo", "--once", "--data", "p", "--port", "0", "--admin-port", "0", cwd=tmp_path)
    assert ran.returncode == 1
    assert "demo: FAILED: this did not happen: a forged signature is refused (got 202)" in ran.stdout


class Terminal:
    """A demo on a terminal, as a person starts it."""

    def __init__(self, cwd):
        self.fd, follower = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, "demo", "--port", "0", "--admin-port", "0"], cwd=cwd, env=environment(COLUMNS="100"),
            stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        self.said = ""

    def until(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.fd], [], [], 0.1)[0]:
                self.said += os.read(self.fd, 65_536).decode("utf-8", "replace")
            assert self.process.poll() is None, self.said
        return self.said

    def interrupt(self):
        os.killpg(self.process.pid, signal.SIGINT)
        while select.select([self.fd], [], [], 5)[0]:
            try:
                self.said += os.read(self.fd, 65_536).decode("utf-8", "replace")
            except OSError:  # the other side of the terminal is closed
                break
        return self.process.wait(PATIENCE)


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    os.close(made.fd)


def advice(said):
    """Return the commands that the demo printed, by what they show."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said).replace("\r\n", "\n").partition("Now you:\n")[2]
    lines = [line[2:] for line in plain.splitlines() if line.startswith("  ")]
    return {lines[at][2:]: lines[at + 1] for at in range(0, len(lines), 2)}


def test_on_a_terminal_it_stays_until_ctrl_c_and_every_command_it_prints_works(terminal, tmp_path):
    commands = advice(terminal.until("Ctrl-C ends the demo."))
    assert len(commands) == 8
    seen = {}
    for title, command in commands.items():
        ran = shell(command, cwd=tmp_path)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        seen[title.split(" ")[0]] = ran.stdout + ran.stderr
    assert "HTTP/1.1 202" in seen["send"]
    assert seen["what"].count("big-orders") >= 2
    assert "503" in seen["every"]
    assert "201" in seen["every"]
    assert "data.order.total is 5" in seen["why"]
    assert "Bearer ***" in seen["the"] or "pointsman_ruleset" in seen["the"]
    assert "fine; 2 rules would run" in seen["change"]
    assert (tmp_path / "my-project/pointsman.yaml").exists()
    assert terminal.interrupt() == 0
    assert "Traceback" not in terminal.said
    folder = re.search(r"its files stay in (\S+)", terminal.said)[1]
    after = shell(commands["what became of it, and of those before"], cwd=tmp_path)
    assert after.returncode == 0, "the store of the demo that ended can still be looked at"
    shell(f"rm -r {folder}", cwd=tmp_path)


def test_what_init_prints_works_as_it_is_printed(tmp_path):
    made = pointsman("init", "my-project", cwd=tmp_path)
    lines = made.stderr.replace("\\\n", " ").partition("next:\n")[2].splitlines()
    commands = [line.strip() for line in lines if not line.strip().startswith("#")]
    assert commands[0] == "cd my-project"
    project = tmp_path / "my-project"
    ports = {"8080": str(free_port()), "8081": str(free_port())}
    path = project / "pointsman.yaml"
    path.write_text(path.read_text("utf-8").replace("127.0.0.1:8082", f"127.0.0.1:{free_port()}"), "utf-8")
    settings = {"POINTSMAN_PORT": ports["8080"], "POINTSMAN_ADMIN_PORT": ports["8081"]}
    check, shop, serve, send, look = commands[1:]
    assert shell(check, cwd=project).returncode == 0
    with (
        started(shop.split()[1:], cwd=project) as backend,
        started(serve.split()[1:], cwd=project, **settings) as service,
    ):
        backend.until("the shop listens on")
        service.until("listening")
        sent = shell(send.replace("8080", ports["8080"]), cwd=project)
        assert sent.returncode == 0, sent.stderr
        assert "202 Accepted" in sent.stdout
        backend.until("PUT /orders/A-1/confirmation → 200")
        looked = shell(look, cwd=project)
        deadline = time.monotonic() + PATIENCE
        while "delivered" not in looked.stdout and time.monotonic() < deadline:
            looked = shell(look, cwd=project)
        assert "delivered" in looked.stdout
        assert service.end(signal.SIGINT) == 0
        assert backend.end(signal.SIGINT) == 0


def test_a_shop_without_a_project_or_a_port_says_so(tmp_path):
    ran = pointsman("demo", "--shop", ".", cwd=tmp_path)
    assert ran.returncode == 1
    assert "pointsman.yaml cannot be read" in ran.stderr
    write_starter(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = tmp_path / "pointsman.yaml"
        port = str(taken.getsockname()[1])
        path.write_text(path.read_text("utf-8").replace("8082", port), "utf-8")
        ran = pointsman("demo", "--shop", ".", cwd=tmp_path)
    assert ran.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ran.stdout
    assert "Traceback" not in ran.stderr
