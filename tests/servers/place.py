"""Where the processes of one run meet: a folder with a state file for each server, behind a lock.

A keeper process (`tests.servers.keeper`) holds each server and lives as long as its owner: the test run that
wanted it first, or nobody (`python -m tests.servers up`). Whoever wants a server asks here; the first one
starts the keeper, all wait for the same state file.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from service.demo.servers import processes
from tests.servers.values import VALUES, Value

ROOT: Final = Path(__file__).resolve().parents[2]
WAIT: Final = 110.0
"""Seconds to wait for a server that somebody is starting: more than its own patience, less than a test's."""

Name = Literal["starting", "ready", "missing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a keeper says of its server; `missing` is not installed, `failed` is installed and does not run."""

    name: Name
    keeper: int
    since: str
    """The keeper's start time: a process id alone may be somebody else's by now."""
    reason: str = ""
    value: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return processes.started(self.keeper) == self.since


class Place:
    """The folder of one run, or of the servers that stand between runs."""

    def __init__(self, folder: Path, owner: int | None) -> None:
        self.folder: Final = folder
        self.owner: Final = owner

    def want(self, kind: str) -> None:
        """Have the server started unless it is there or on its way; do not wait."""
        with self.locked(kind):
            state = self.read(kind)
            if state is not None and state.alive:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            owner = [] if self.owner is None else ["--owner", str(self.owner)]
            with (self.folder / f"{kind}.keeper.log").open("ab") as log:
                subprocess.run(
                    [sys.executable, "-m", "tests.servers.keeper", kind, str(self.folder), *owner],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=30,
                    check=True,
                )

    def await_state(self, kind: str, within: float = WAIT) -> State:
        """Wait until a server that was wanted is ready, missing or failed."""
        deadline = time.monotonic() + within
        while True:
            state = self.read(kind)
            if state is not None and state.name != "starting":
                return state
            if state is None or not state.alive:
                words = self._words(kind)
                return State(name="failed", keeper=0, since="", reason=f"its keeper has ended: {words}")
            if time.monotonic() > deadline:
                return State(name="failed", keeper=0, since="", reason=f"not ready within {within:g} s")
            time.sleep(0.05)

    def read(self, kind: str) -> State | None:
        """Return the last state written, or None."""
        with contextlib.suppress(FileNotFoundError):
            return State(**json.loads((self.folder / f"{kind}.json").read_text("utf-8")))
        return None

    def write(self, kind: str, state: State) -> None:
        """Replace the state in one step."""
        new = self.folder / f"{kind}.json.{os.getpid()}"
        new.write_text(json.dumps(dataclasses.asdict(state)), "utf-8")
        new.replace(self.folder / f"{kind}.json")

    def forget(self, kind: str) -> None:
        """Remove what is said of a server that has ended; after the end of a run, the folder too."""
        with self.locked(kind):
            for name in ("json", "keeper.log"):
                (self.folder / f"{kind}.{name}").unlink(missing_ok=True)
        if self.owner is not None and processes.started(self.owner) is None:
            # Nobody comes for the lock any more, so it may go; the last keeper takes the folder with it.
            (self.folder / f"{kind}.lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    @contextlib.contextmanager
    def locked(self, kind: str) -> Iterator[None]:
        """Hold the lock of one kind; held for moments only."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{kind}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _words(self, kind: str) -> str:
        log = self.folder / f"{kind}.keeper.log"
        return log.read_text("utf-8", "replace")[-1500:].strip() if log.exists() else "(it said nothing)"


def value_of(kind: str, state: State) -> Value:
    """Return the addresses of a server that is ready."""
    return VALUES[kind](**state.value)


def standing() -> Place:
    """Return the place of the servers that `up` keeps for this checkout."""
    return Place(_base() / "standing", None)


def of_run(owner: int) -> Place:
    """Return the place of the test run whose controlling process this is."""
    return Place(_base() / f"run-{owner}-{processes.started(owner)}", owner)


def chosen(kind: str, owner: int) -> Place:
    """Return where to look for a server: among the standing ones if it stands, else in the run's own place."""
    place = standing()
    state = place.read(kind)
    usable = state is not None and state.alive and state.name in {"ready", "starting"}
    return place if usable else of_run(owner)


def sweep() -> None:
    """Remove what runs have left whose keepers are gone; their servers died with them."""
    for folder in _base().glob("run-*"):
        owner, _, since = folder.name.removeprefix("run-").partition("-")
        place = Place(folder, int(owner))
        kept = any(state is not None and state.alive for state in map(place.read, VALUES))
        if not kept and processes.started(int(owner)) != since:
            shutil.rmtree(folder, ignore_errors=True)


def _base() -> Path:
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"pointsman-servers-{os.getuid()}-{checkout}"
