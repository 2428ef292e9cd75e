"""The command line as people use it: in a folder, through a real shell or as a process of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE

PROGRAM = (sys.executable, "-m", "service")
SETTINGS = ("POINTSMAN_", "ONCE", "WITH", "KILLS", "EXAMPLES", "MAKE", "MFLAGS")


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which no setting stands, none of `make` either, with `pointsman` on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    binaries = str(Path(sys.executable).parent)
    root = str(Path(__file__).resolve().parents[2])
    return {**kept, "PATH": f"{binaries}:{kept['PATH']}", "PYTHONPATH": root, "TERM": "xterm", **more}


def pointsman(
    *words: str, cwd: Path, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [*PROGRAM, *words], check=False, cwd=cwd, env=environment(**variables), input=stdin,
        capture_output=True, timeout=PATIENCE
    )  # fmt: skip
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )


def shell(line: str, *, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line as it is pasted into a shell."""
    return subprocess.run(
        ["bash", "-c", line], check=False, cwd=cwd, env=environment(**variables),
        capture_output=True, text=True, timeout=PATIENCE
    )  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A process that stays until it is told to end; `said` is what it printed so far."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def until(self, text: str, within: float = PATIENCE) -> str:
        """Wait until it has printed something; return everything it printed."""
        deadline = time.monotonic() + within
        while text not in self.said:
            assert self.process.poll() is None or text in self.said, self.said
            assert time.monotonic() < deadline, f"{text!r} was not printed:\n{self.said}"
            time.sleep(0.01)
        return self.said

    def tell(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def started(words: Sequence[str], *, cwd: Path, **variables: str) -> Iterator[Running]:
    """Run a command inside the block."""
    output = cwd / f".output-{time.monotonic_ns()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*PROGRAM, *words], cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL,
            stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield Running(process, output)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)


@contextlib.contextmanager
def serving(project: Path, **variables: str) -> Iterator[tuple[Running, Mapping[str, int]]]:
    """Serve a project inside the block, on free ports; they are the second value."""
    words = ("serve", "--port", "0", "--admin-port", "0")
    with started(words, cwd=project, POINTSMAN_LOG_FORMAT="json", **variables) as running:
        said = running.until('"event": "listening"')
        line = next(line for line in said.splitlines() if '"event": "listening"' in line)
        told = json.loads(line)
        yield running, {"webhooks": told["webhooks"], "admin": told["admin"]}
