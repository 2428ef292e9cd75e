"""The service under test, seen from outside: started, waited for by what it says, signalled by its process id."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from tests.crash.launcher import Start
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
READY = '"configuration in force"'
NOT_TAKEN = '"the configuration was not taken; the running one stays"'


class Launcher:
    """A process that forks the service: see `launcher`. One service at a time; `another` for more."""

    def __init__(self, asked: socket.socket) -> None:
        asked.setblocking(False)
        self._socket = asked
        self._buffer = b""

    @classmethod
    @contextmanager
    def first(cls) -> Iterator[Self]:
        """Give a launcher that has imported the program; it ends, and so do the others that came of it."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.launcher", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        with ours:
            yield cls(ours)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def another(self) -> Iterator[Self]:
        """Give a launcher that has come of this one, which must have no service now."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [msgspec.json.encode(Start())], [theirs.fileno()])
        with ours:
            yield type(self)(ours)

    async def start(self, start: Start, log: Path) -> "Product":
        """Start a service."""
        ours, theirs = os.pipe()
        socket.send_fds(self._socket, [msgspec.json.encode(start)], [theirs])
        os.close(theirs)
        process = await self.line()
        product = Product(process, self.line, log)
        await product.attach(ours)
        return product

    async def line(self) -> int:
        """Return the next number that the launcher says."""
        while b"\n" not in self._buffer:
            more = b""
            with suppress(ConnectionError):
                more = await asyncio.get_running_loop().sock_recv(self._socket, 256)
            if not more:
                raise RuntimeError("the launcher has ended")
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\n")
        return int(text)


class Product:
    """One process of the service."""

    def __init__(self, process: int, status: Callable[[], Awaitable[int]], log: Path) -> None:
        self.process = process
        self.status: int | None = None
        self.started = time.monotonic()
        self.said: Counter[str] = Counter()
        self._status_line = status
        self._log = log
        self._changed = asyncio.Condition()
        self._watching: asyncio.Task[None] | None = None

    async def attach(self, descriptor: int) -> None:
        """Watch what it writes to standard error, and its end."""
        reader = asyncio.StreamReader(limit=1 << 20)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
        )
        self._watching = asyncio.create_task(self._watch(reader, transport))

    async def _watch(self, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        with self._log.open("ab") as log:
            log.write(f"--- process {self.process}\n".encode())
            while line := await reader.readline():
                log.write(line)
                for word in (READY, NOT_TAKEN):
                    if word.encode() in line:
                        async with self._changed:
                            self.said[word] += 1
                            self._changed.notify_all()
        transport.close()
        status = await self._status_line()
        async with self._changed:
            self.status = status
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self.status is not None

    async def until(self, word: str = "", count: int = 1, *, within: float) -> bool:
        """Wait until it has said a word so many times, or has ended; without a word until it has ended.

        Return whether that came to pass within so many seconds; for a word, an end is a no.
        """

        def happened() -> bool:
            return self.ended or bool(word and self.said[word] >= count)

        with suppress(TimeoutError):
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(happened)
        return self.said[word] >= count if word else self.ended

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing when it has ended."""
        if not self.ended:
            os.kill(self.process, number)

    async def kill(self) -> None:
        """Kill it, and wait for its end."""
        self.signal(signal.SIGKILL)
        if not await self.until(within=PATIENCE):
            raise RuntimeError(f"process {self.process} did not end")
        if self._watching is not None:
            await self._watching


def environment(
    crash: str = "", crash_log: Path | None = None, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of a service."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPYCACHEPREFIX")
    base = {name: os.environ[name] for name in kept if name in os.environ}
    base |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "POINTSMAN_LOG_FORMAT": "json",
        "POINTSMAN_GRACE": "5",
    }
    if crash:
        base["POINTSMAN_CRASH"] = crash
    if crash_log is not None:
        base["POINTSMAN_CRASH_LOG"] = str(crash_log)
    return base | dict(more or {})
