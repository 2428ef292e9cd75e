"""What a local server is: one process in one directory, on the same ports for as long as the value lives.

`kill`, `freeze`, `thaw` and `end` are synchronous, so that whoever injects faults needs no event loop.
`start`, `stop` and `restart` wait for the server and are not. No loop is remembered: each call may come from
another one.
"""

import asyncio
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final

from service.demo.servers import processes
from service.errors import Unavailable

START_WITHIN: Final = 90.0
"""Seconds a server may take until it is ready; ten is usual, two busy cores with eight starts are not."""
STOP_WITHIN: Final = 15.0
_PROBE_WITHIN: Final = 5.0
_PROBE_EVERY: Final = 0.1
_TAIL: Final = 15


class LocalServer(ABC):
    """One server process with its data in `directory`. Made without effect; `start` does the work.

    The process ends with the thread that called `start`; `stop` ends it earlier and in good order. The data
    stay: who gave the directory removes it.
    """

    kind: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    def find(self) -> str | None:
        """Say in plain words what is missing on this machine and how to mend it, or None."""
        return processes.missing() or self._find()

    @property
    @abstractmethod
    def port(self) -> int:
        """The port clients connect to; the same after a restart."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The address in the form its clients want."""

    @property
    def log(self) -> Path:
        """Where the server's own words go."""
        return self.directory / f"{self.kind}.log"

    @property
    def pid(self) -> int | None:
        """The id of the server process, or None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self, patience: float = START_WITHIN) -> None:
        """Start the server on the data that are there and return when it is ready for clients.

        Raises `Unavailable` with the server's last words when it ends or is not ready in `patience` seconds.
        A server that runs already is left as it is.
        """
        if self.pid is not None:
            return
        lacking = self.find()
        if lacking is not None:
            raise Unavailable(lacking)
        self.directory.mkdir(parents=True, exist_ok=True)
        processes.sweep(self.directory.glob("*.pid"))
        await asyncio.to_thread(self._prepare)
        try:
            # In this thread, not in a worker: the process dies with the thread that starts it.
            self._process = self._launch()
            processes.record(self.directory / f"{self.kind}.pid", self._process.pid)
            await self._ready(self._process, patience)
        except BaseException:
            self.kill()
            raise

    async def stop(self, patience: float = STOP_WITHIN) -> None:
        """End the server in good order, by force after `patience` seconds. Harmless when it does not run."""
        process = self._process
        if process is not None and process.poll() is None:
            processes.thaw(process.pid)
            process.send_signal(self.stop_signal)
            try:
                await asyncio.to_thread(process.wait, patience)
            except subprocess.TimeoutExpired:
                pass
            finally:
                self.kill()
        self.end()

    def end(self) -> None:
        """Kill the server and whatever it needed beside it, at once: for whoever throws its data away."""
        self.kill()
        self._end_companions()
        for file in self.directory.glob("*.pid"):
            file.unlink(missing_ok=True)

    async def restart(self, patience: float = START_WITHIN) -> None:
        """Start anew on the same data and ports; a server that still runs is stopped first."""
        await self.stop()
        await self.start(patience)

    def kill(self) -> None:
        """Send SIGKILL to the server and all its children; return when they are really gone."""
        process = self._process
        if process is not None:
            if process.poll() is None:
                processes.kill(process.pid)
            process.wait(processes.GONE_WITHIN)

    def freeze(self) -> None:
        """Stop the server in the middle of what it does (SIGSTOP): connections stay open, nothing answers."""
        processes.freeze(self._running())

    def thaw(self) -> None:
        """Let a frozen server go on."""
        processes.thaw(self._running())

    @abstractmethod
    def _find(self) -> str | None:
        """Say which of the server's own programs is missing and how to get it, or None."""

    @abstractmethod
    def _prepare(self) -> None:
        """Write configuration and, the first time, lay out the data. Runs in a worker thread, bounded."""

    @abstractmethod
    def _launch(self) -> "subprocess.Popen[bytes]":
        """Start the process and return at once."""

    @abstractmethod
    async def _probe(self) -> bool:
        """Say whether a client gets what it wants now; must not raise because the server is not up yet."""

    def _end_companions(self) -> None:  # noqa: B027 - most servers have none
        """End the processes that a killed server's successor goes on using. Twice is harmless."""

    def _running(self) -> int:
        pid = self.pid
        if pid is None:
            raise Unavailable(f"the local {self.kind} server does not run")
        return pid

    async def _ready(self, process: "subprocess.Popen[bytes]", patience: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while not await self._probe_in_time():
            if process.poll() is not None:
                raise Unavailable(f"{self.kind} ended with {process.returncode} while starting{self._tail()}")
            if loop.time() > deadline:
                raise Unavailable(f"{self.kind} was not ready within {patience:g} s{self._tail()}")
            await asyncio.sleep(_PROBE_EVERY)

    async def _probe_in_time(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_WITHIN):
                return await self._probe()
        except TimeoutError:
            return False

    def _tail(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_TAIL:] if self.log.exists() else []
        return f"; its last words, in {self.log}:\n  " + "\n  ".join(lines or ["(none)"])


def run(command: list[str], environment: dict[str, str], within: float = 60.0) -> None:
    """Run one step of laying out data to its end; raises `Unavailable` with its words when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the words come from our own modules
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not end within {within:g} s") from None
    if done.returncode:
        words = done.stdout.decode("utf-8", "replace").strip()
        raise Unavailable(f"{command[0]} failed with {done.returncode}: {words[-2000:]}")
