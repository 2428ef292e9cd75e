"""Hooks: code of the operator that performs operations, in a child process of its own (see docs/hooks.md).

A hook stands in for the script that came with a description (`script.csx`) and has its contract: it is given
the request of an operation, may send what it likes to where that request goes, and returns the response. The
child has no credentials, no network and no files: what it sends, the parent sends, with the connection's
login.

One child serves one connector. It works on one call at a time; calls that wait for the backend do not hold it
up. A hook that takes too long or too much ends its child, and the next call gets another.
"""

import asyncio
import contextlib
import itertools
import logging
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from actions.base import Answer, Finding
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.origins import origin_of
from actions.specs.model import Operation
from actions.transport import Request

Send = Callable[[Request], Awaitable[Answer]]
"""Sends one request to the backend, with its login."""

MAX_FRAME: Final = 32 << 20
"""Bytes of one frame between parent and child."""
START: Final = 10.0
"""Seconds for a child to start and to load its hook."""
MAX_SENDS: Final = 100
"""Requests that one call of a hook may send."""

_RUNNER: Final = Path(__file__).with_name("hook_runner.py")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that are defined to change nothing (RFC 9110 §9.2.1)."""

_NO_TIME: Final = "the call has no time left for it"

_log = logging.getLogger(__name__)


class HookLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of a hook may use: seconds of its own (not those of what it sends), bytes of memory."""

    seconds: float = 5.0
    memory_bytes: int = 256 << 20


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the child says of one frame."""

    kind: Literal["loaded", "send", "done", "error"]
    message: str = ""
    method: str = ""
    url: str = ""
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    log: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Reply).decode


class _Ended(Exception):
    """The child is gone; the text says why. What it was working on will never be answered."""


class _Slow(Exception):
    """The child did not answer in time."""


class _Lost(Exception):
    """The call could not go on, and its hook is not to blame."""


class Hook:
    """One hook, in its child. Belongs to one event loop."""

    def __init__(self, name: str, source: str, *, limits: HookLimits | None = None) -> None:
        self.name = name
        self._source = source
        self._limits = limits or HookLimits()
        self._child: _Child | None = None
        self._turn = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    async def check(self) -> list[Finding]:
        """Load the hook and report what is wrong with it; nothing of it is performed."""
        try:
            async with self._turn:
                await self._ready(START)
        except (Refused, RetryLater, _Lost) as error:
            return [Finding(severity="error", code="hook", message=str(error), file=self.name)]
        return []

    async def execute(
        self, operation: str, request: Request, send: Send, *, correlation: str, deadline: float
    ) -> Answer:
        """Perform an operation within `deadline` seconds in all, and return what the hook makes of it.

        What is raised says what is known: OutcomeUnknown once something was sent that may have changed
        something, else Refused for what the hook did wrong; what `send` raises goes through.
        """
        call = _Call(self, operation, send, request, deadline)
        try:
            return await call.run(request, correlation)
        except (_Ended, _Slow) as error:
            raise call.failed(f"the hook {self.name}: {error}") from error
        except _Lost as error:
            raise call.failed(f"the hook {self.name}: {error}", RetryLater) from error
        finally:
            call.forget()

    async def close(self) -> None:
        """End the child, and with it the call that it works on. Twice is harmless."""
        self._closed = True
        if self._child is not None:
            self._child.kill()
        async with self._turn:  # whoever reads from the child has seen its end then
            child, self._child = self._child, None
            if child is not None:
                await child.end()

    async def exchange(
        self, frame: Mapping[str, Any], child: "_Child | None", *, left: float, until: float
    ) -> tuple["_Child", _Reply, float]:
        """Hand a frame to the child when it is its turn; return the child, its reply, and how long it took.

        `child` is the one that a call began in: where another has taken its place, the call is lost. The
        hook may take `left` seconds; waiting for the turn may last until a moment of the monotonic clock.
        """
        try:
            async with asyncio.timeout(max(until - time.monotonic(), 0.0)):
                await self._turn.acquire()
        except TimeoutError:
            raise _Lost("other calls of it took all the time there was") from None
        try:
            current = await self._ready(min(START, until - time.monotonic()))
            if child is not None and child is not current:
                raise _Lost("another call of it ended its process")
            began = time.monotonic()
            try:
                reply = await current.exchange(frame, max(min(left, until - began), 0.0))
            except BaseException as error:
                # The child is in the middle of something that nobody will read: it cannot be used again.
                self._child = None
                await current.end()
                if isinstance(error, _Ended | _Slow) and self._closed:
                    raise _Lost("it is closed") from error
                if isinstance(error, _Slow) and until - began < left:
                    raise _Lost(_NO_TIME) from error
                raise
            return current, reply, time.monotonic() - began
        finally:
            self._turn.release()

    def number(self) -> int:
        """Return a number for a call."""
        return next(self._numbers)

    @property
    def seconds(self) -> float:
        """How long one call may take, without what it sends."""
        return self._limits.seconds

    async def _ready(self, within: float) -> "_Child":
        """Return the child, which is started and given its hook where there is none."""
        if self._closed:
            raise _Lost("it is closed")
        if self._child is None or self._child.gone:
            self._child = None
            child = self._child = await _start(self.name)
            try:
                await self._load(child, within)
            except BaseException:
                self._child = None
                await child.end()
                raise
        return self._child

    async def _load(self, child: "_Child", within: float) -> None:
        """Give a child its hook. Raise Refused where it cannot be loaded."""
        if self._closed:
            raise _Lost("it is closed")
        limits = self._limits
        load = {"kind": "load", "source": self._source, "memory": limits.memory_bytes, "cpu": limits.seconds}
        try:
            reply = await child.exchange(load, max(within, 0.0))
        except (_Ended, _Slow) as error:
            if self._closed:
                raise _Lost("it is closed") from error
            if isinstance(error, _Slow) and within < START:
                raise _Lost(_NO_TIME) from error
            raise Refused(f"the hook {self.name} cannot be loaded: {error}") from error
        if reply.kind != "loaded":
            raise Refused(f"the hook {self.name} cannot be loaded: {reply.message}")


class _Call:
    """One call of a hook: what it has sent, and what is left of its time."""

    def __init__(self, hook: Hook, operation: str, send: Send, request: Request, deadline: float) -> None:
        self._hook = hook
        self._operation = operation
        self._send = send
        self._origin = origin_of(request.url)
        self._left = hook.seconds
        self._until = time.monotonic() + deadline
        self._child: _Child | None = None
        self._number = hook.number()
        self._changed = False
        self._waits = False

    async def run(self, request: Request, correlation: str) -> Answer:
        """Drive the call to its end."""
        began = time.monotonic()
        frame: dict[str, Any] = {
            "kind": "call",
            "id": self._number,
            "operation": self._operation,
            "correlation": correlation,
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            "body": request.body,
        }
        for _ in range(MAX_SENDS):
            reply = await self._exchange(frame)
            if reply.kind == "done":
                headers = tuple((name.lower(), value) for name, value in reply.headers)
                elapsed = time.monotonic() - began
                return Answer(status=reply.status, headers=headers, body=reply.body, elapsed=elapsed)
            if reply.kind == "error":
                raise self.failed(f"the hook {self._hook.name}: {reply.message}")
            answer = await self._sent(Request(reply.method, reply.url, reply.headers, reply.body))
            frame = {
                "kind": "answer",
                "id": self._number,
                "status": answer.status,
                "headers": answer.headers,
                "body": answer.body,
            }
        raise self.failed(f"the hook {self._hook.name} sends more than {MAX_SENDS} requests")

    def failed(
        self, message: str, otherwise: type[Refused] | type[RetryLater] = Refused
    ) -> Refused | RetryLater | OutcomeUnknown:
        """Return the error that is true: something may have been changed, or nothing was."""
        if self._changed:
            return OutcomeUnknown(f"{message} (after it had sent a request)")
        return otherwise(message)

    async def _exchange(self, frame: Mapping[str, Any]) -> _Reply:
        self._child, reply, took = await self._hook.exchange(
            frame, self._child, left=self._left, until=self._until
        )
        self._left -= took
        self._waits = reply.kind == "send"
        for line in reply.log:
            _log.info("hook %s, %s: %s", self._hook.name, self._operation, line)
        return reply

    async def _sent(self, request: Request) -> Answer:
        """Send for the hook. Errors go through, made as bad as what was sent before."""
        if origin_of(request.url) != self._origin:
            raise self.failed(
                f"the hook {self._hook.name} may send to {self._origin} only, not to {request.url[:200]}"
            )
        try:
            answer = await self._send(request)
        except ActionError as error:
            if self._changed and not isinstance(error, OutcomeUnknown):
                raise self.failed(str(error)) from error
            raise
        self._changed = self._changed or request.method.upper() not in _SAFE
        return answer

    def forget(self) -> None:
        """Let the child drop the call, where it still waits for something."""
        if self._waits and self._child is not None:
            self._child.dropped.append(self._number)


class _Child:
    """The process, its two pipes, and one frame at a time between them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.dropped: list[int] = []

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.returncode is not None

    async def exchange(self, frame: Mapping[str, Any], within: float) -> _Reply:
        """Send a frame and read the one that answers it. Raise _Slow, or _Ended."""
        data = msgspec.json.encode({**frame, "drop": self.dropped})
        self.dropped = []
        if len(data) > MAX_FRAME:
            raise _Ended(f"more than {MAX_FRAME} bytes cannot be handed to it")
        try:
            async with asyncio.timeout(within):
                return await self._exchanged(data)
        except TimeoutError:
            raise _Slow("it took longer than it may") from None
        except (OSError, asyncio.IncompleteReadError, EOFError):
            raise _Ended(await self._why()) from None
        except msgspec.DecodeError:
            raise _Ended("it answered with what is no frame") from None

    async def _exchanged(self, data: bytes) -> _Reply:
        writer, reader = self._process.stdin, self._process.stdout
        if writer is None or reader is None:
            raise EOFError
        writer.write(struct.pack(">I", len(data)) + data)
        await writer.drain()
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        if size > MAX_FRAME:
            raise _Ended(f"it answered with more than {MAX_FRAME} bytes")
        return _decode(await reader.readexactly(size))

    async def _why(self) -> str:
        """Return why the process is gone."""
        try:
            async with asyncio.timeout(1.0):
                code = await self._process.wait()
        except TimeoutError:
            return "it no longer answers"
        if code in (-9, -24):  # SIGKILL, SIGXCPU
            return "it was ended: it used more processor time or memory than it may"
        return f"its process ended with {code}"

    def kill(self) -> None:
        """End the process; whoever waits for it sees that."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        """End the process and wait for its end, also when the caller is given up."""
        self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.shield(asyncio.ensure_future(self._buried()))

    async def _buried(self) -> None:
        reader = self._process.stdout
        while reader is not None and await reader.read(1 << 16):
            pass  # asyncio does not see the end of a process whose pipe still holds something
        await self._process.wait()


async def _start(name: str) -> _Child:
    """Start a child with nothing of ours: no environment, no folder, no descriptor but its pipes."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-B", str(_RUNNER)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            limit=MAX_FRAME,
            start_new_session=True,
        )
    except OSError as error:
        raise RetryLater(f"the hook {name}: its process cannot be started: {error}") from error
    return _Child(process)


def performs(operation: Operation, listed: tuple[str, ...]) -> bool:
    """Say whether a connector's hook performs an operation: one that is listed, else one that needs code."""
    return operation.id in listed or (not listed and operation.needs_code)
