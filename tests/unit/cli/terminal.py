"""Runs the command line in this process, as a shell would, and keeps what it printed."""

import io
import sys
from dataclasses import dataclass

from service.cli.app import run


@dataclass(frozen=True)
class Ran:
    """What became of a command."""

    code: int
    out: str
    err: str


class Terminal:
    """A place to type commands; `stdin` is what is piped into them."""

    def __init__(self, monkeypatch, capfdbinary) -> None:
        self._monkeypatch = monkeypatch
        self._captured = capfdbinary

    def __call__(self, *words: str, stdin: bytes = b"") -> Ran:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        self._captured.readouterr()
        code = run(words)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = self._captured.readouterr()
        return Ran(code, out.decode("utf-8"), err.decode("utf-8"))
