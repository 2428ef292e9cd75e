"""Measures the whole way (`DESIGN.md` §14): a signed webhook, one of ten rules, seven fields, one POST.

The service is a real one (`python -m service serve`) with its files on a real disk, SQLite with FULL
synchronisation; sender and backend are processes of their own. Every message that got its 202 must have
reached the backend exactly once: anything else is said, and ends with exit code 1.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import yaml

from actions.engines import DEFAULT, ENGINES
from bench.figures import Row, Table, rss_mib
from bench.sender import SECRET

WAIT: Final = 60.0
"""Seconds that something may take: to be ready, to have everything delivered."""

_TICK: Final = 1e6 / os.sysconf("SC_CLK_TCK")

FIELDS: Final = {
    "ref": "${data.ref}",
    "revision": "${data.after}",
    "number": "${data.number}",
    "sent_at": "${data.sent_at}",
    "repository": "${data.repository.full_name}",
    "by": "${data.pusher.name}",
    "message": "${data.head_commit.message}",
}


class Wrong(Exception):
    """What was measured did not do its job."""


def specification() -> dict[str, Any]:
    """Return the description of the backend."""
    schema = {
        "type": "object",
        "properties": {name: {} for name in FIELDS},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Deployments", "version": "1"},
        "paths": {
            "/deployments": {
                "post": {
                    "operationId": "createDeployment",
                    "requestBody": {"content": {"application/json": {"schema": schema}}},
                    "responses": {"200": {"description": "made"}},
                }
            }
        },
    }


COMPARED = (DEFAULT, "direct")
"""The engines that are measured when none is named: in one run, because only ratios are to be trusted."""


def configuration(backend: int, in_flight: int, engine: str) -> dict[str, Any]:
    """Return the configuration: ten rules, of which the messages match one."""
    matches: list[dict[str, Any]] = [
        {"type": ["com.github.push"], "data": {"ref": ["refs/heads/main"], "forced": [False]}},
        {"type": ["com.github.push"], "data": {"ref": ["refs/heads/release"]}},
        {"type": ["com.github.push"], "data": {"ref": [{"prefix": "refs/tags/"}]}},
        {"type": ["com.github.push"], "data": {"repository": {"private": [False]}}},
        {"type": ["com.github.push"], "data": {"pusher": {"name": ["hubot", "robot"]}}},
        {"type": ["com.github.issues"]},
        {"type": ["com.github.pull_request"], "data": {"action": ["opened", "reopened"]}},
        {"type": ["com.github.release"], "data": {"action": ["published"]}},
        {"type": [{"prefix": "com.github.workflow"}], "data": {"workflow_run": {"conclusion": ["failure"]}}},
        {"data": {"repository": {"stars": [{"numeric": [">=", 1000]}]}}},
    ]
    do = [{"call": "backend.createDeployment", "with": {"body": FIELDS}}]
    return {
        "sources": {
            "github": {"kind": "webhook", "verify": {"scheme": "github", "secrets": [{"env": "SECRET"}]}}
        },
        "connectors": {"backend": {"spec": "backend.openapi.json"}},
        "connections": {
            "backend": {
                "connector": "backend",
                "server": f"http://127.0.0.1:{backend}",
                "egress": ["127.0.0.1"],
                "limits": {"in_flight": in_flight},
                "engine": engine,
            }
        },
        "rules": {
            f"rule-{number}": {"from": ["github"], "match": match, "do": do}
            for number, match in enumerate(matches)
        },
    }


class Sink:
    """The backend, as `bench.sink` tells of itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._in, self._out = _pipes(process)
        self.port = int(self._out.readline())

    def ask(self, word: str) -> dict[str, Any]:
        self._in.write(word + "\n")
        self._in.flush()
        answer: dict[str, Any] = json.loads(self._out.readline())
        return answer


class Server:
    """The service's process: what it has used."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port

    def cpu_us(self) -> float:
        """Return the microseconds of CPU it has taken, all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK

    def rss_mib(self) -> float:
        """Return its resident memory."""
        return rss_mib(self.pid)


@contextlib.contextmanager
def service(directory: Path, backend: int, in_flight: int = 64, engine: str = DEFAULT) -> Iterator[Server]:
    """Run a service that calls this backend; it is ready inside the block."""
    with instance(directory, configuration(backend, in_flight, engine)) as server:
        yield server


@contextlib.contextmanager
def instance(directory: Path, document: dict[str, Any], secret: str = SECRET) -> Iterator[Server]:
    """Run a service with this configuration, in which {env: SECRET} is `secret`; its data are in `data`.

    It is ready inside the block.
    """
    (directory / "backend.openapi.json").write_text(json.dumps(specification()))
    (directory / "pointsman.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    port, admin_port = _free_ports()
    environment = os.environ | {
        "SECRET": secret,
        "POINTSMAN_CONFIG": str(directory / "pointsman.yaml"),
        "POINTSMAN_DATA": str(directory / "data"),
        "POINTSMAN_PORT": str(port),
        "POINTSMAN_ADMIN_PORT": str(admin_port),
        "POINTSMAN_LOG_LEVEL": "warning",
    }
    with _process([sys.executable, "-m", "service", "serve"], environment) as process:
        _await_ready(port, process)
        yield Server(process.pid, port)


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """Run the backend."""
    with _process([sys.executable, "-m", "bench.sink"], dict(os.environ)) as process:
        yield Sink(process)


def measure(name: str, server: Server, backend: Sink, first: int, count: int, rate: int) -> Row:
    """Send so many messages, wait until all are delivered, return the figures. Raise Wrong."""
    backend.ask("reset")
    rss, cpu = server.rss_mib(), server.cpu_us()
    sender = subprocess.run(
        [sys.executable, "-m", "bench.sender", *map(str, (server.port, first, count, rate))],
        stdout=subprocess.PIPE,
        check=True,
    )
    sent = json.loads(sender.stdout)
    deadline = time.monotonic() + WAIT
    while backend.ask("count")["messages"] < sent["accepted"] and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)  # for what comes too often, and the last commits
    cpu, seen = server.cpu_us() - cpu, backend.ask("report")
    if sent["refused"]:
        print(f"{name}: {sent['refused']} of {count} were refused", file=sys.stderr)
    if seen["messages"] != sent["accepted"] or seen["repeats"]:
        raise Wrong(
            f"{name}: {sent['accepted']} messages were accepted, {seen['messages']} reached the backend,"
            f" {seen['repeats']} repeats"
        )
    return {
        "run": name,
        "messages": count,
        "messages/s": round(count / (seen["last_at"] - sent["began_at"]) * 1e9),
        "CPU µs each": round(cpu / count, 1),
        "answer p50 ms": sent["p50_ms"],
        "answer p99 ms": sent["p99_ms"],
        "end to end p50 ms": seen["p50_ms"],
        "end to end p99 ms": seen["p99_ms"],
        "RSS before MiB": rss,
        "RSS after MiB": server.rss_mib(),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=30_000, help="messages at saturation (30000)")
    parser.add_argument("--rate", type=int, default=200, help="messages a second at rest (200)")
    parser.add_argument("--seconds", type=int, default=15, help="seconds at rest; 0 leaves it out (15)")
    parser.add_argument("--in-flight", type=int, default=64, help="calls in flight (64)")
    parser.add_argument(
        "--engine", choices=ENGINES, help=f"the HTTP client (one run each: {', '.join(COMPARED)})"
    )
    parser.add_argument("--directory", type=Path, help="where the store lies: a real disk")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure at saturation and at rest, with one engine after the other."""
    for engine in [options.engine] if options.engine else COMPARED:
        yield _figures(options, engine)


def _figures(options: argparse.Namespace, engine: str) -> Table:
    with (
        tempfile.TemporaryDirectory(prefix="pointsman-bench-", dir=options.directory) as directory,
        sink() as backend,
        service(Path(directory), backend.port, options.in_flight, engine) as server,
    ):
        measure("warm-up", server, backend, 1, 500, 0)
        rows = [measure("saturation", server, backend, 1_000, options.messages, 0)]
        if options.seconds:
            first, count = 1_000 + options.messages, options.rate * options.seconds
            rows.append(measure(f"{options.rate} a second", server, backend, first, count, options.rate))
        return Table(f"the whole way: webhook, 10 rules, one call through {engine}", rows)


# -- processes


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _await_ready(port: int, process: "subprocess.Popen[str]") -> None:
    """Wait until the service takes messages: before that every request gets 503."""
    request = b"POST /hooks/github HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Wrong(f"the service ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(request)
            if client.recv(64).startswith((b"HTTP/1.1 401", b"HTTP/1.1 404")):
                return
        time.sleep(0.01)
    raise Wrong(f"the service was not ready within {WAIT:.0f} s")


if __name__ == "__main__":
    from bench.__main__ import main

    main(["whole", *sys.argv[1:]])
