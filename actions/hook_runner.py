"""The child process that runs one hook: a program of its own, with nothing but the standard library.

`python -I -S -B hook_runner.py`: started by `actions.hooks`, never imported by it. Frames of JSON, each with
its length in front, come in on stdin and go out on stdout; every frame that comes in is answered by exactly
one. The hook's coroutine waits for nothing but `context.send`: it is driven by hand, there is no event loop.

Before the hook's code is loaded, the process gives up what the hook has no need of: memory beyond a limit,
files outside the standard library, sockets, other processes. That keeps mistakes small; it is no prison for
code that means harm, which nobody should install.
"""

import base64
import inspect
import json
import os
import resource
import struct
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, BinaryIO

MAX_LOG_LINES = 100
MAX_LOG_LINE = 1_000
HOOK = "<hook>"

FORBIDDEN = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "webbrowser.",
)
"""Audit events (https://docs.python.org/3/library/audit_events.html) of what a hook may not do."""


class Headers:
    """Headers by name, whatever the case. Several of one name are joined by commas."""

    # No base class: `typing.override`, which the house wants on overriding methods, is not in 3.11's library.

    def __init__(self, given: Any = ()) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        for name, value in given.items() if hasattr(given, "items") else given:
            before = self._values.get(str(name).lower())
            self[name] = f"{before[1]}, {value}" if before else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][1]

    def __setitem__(self, name: str, value: str) -> None:
        self._values[str(name).lower()] = (str(name), str(value))

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> list[tuple[str, str]]:
        """Return names and values."""
        return list(self._values.values())

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a value, or the default."""
        found = self._values.get(name.lower())
        return default if found is None else found[1]

    def pop(self, name: str, default: str | None = None) -> str | None:
        """Take a header away and return its value, or the default."""
        value = self.get(name, default)
        self._values.pop(name.lower(), None)
        return value

    def update(self, given: Any) -> None:
        """Set several headers."""
        for name, value in Headers(given).items():
            self[name] = value


class Message:
    """What requests and responses have in common: headers and a body, both to be changed at will."""

    def __init__(self, headers: Any = (), body: Any = b"") -> None:
        self.headers = Headers(headers)
        self.body = as_bytes(body, self.headers)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON; None when there is no body."""
        return json.loads(self.body) if self.body else None


class Request(Message):
    """A request: `method`, `url`, `headers`, `body`."""

    def __init__(self, method: str, url: str, headers: Any = (), body: Any = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.url = url


class Response(Message):
    """A response: `status`, `headers`, `body`."""

    def __init__(self, status: int = 200, headers: Any = (), body: Any = b"") -> None:
        super().__init__(headers, body)
        self.status = status


class Context:
    """What a hook is given: the operation, its request, and the way to send."""

    def __init__(self, operation_id: str, request: Request, correlation_id: str) -> None:
        self.Request = Request
        self.Response = Response
        self.operation_id = operation_id
        self.request = request
        self.correlation_id = correlation_id
        self.lines: list[str] = []

    def send(self, request: Request) -> "Sending":
        """Send a request to the backend, with the connection's login; await it to get the response."""
        return Sending(request)

    def log(self, *words: object) -> None:
        """Write a line to the log of the service."""
        if len(self.lines) < MAX_LOG_LINES:
            self.lines.append(" ".join(map(str, words))[:MAX_LOG_LINE])


class Sending:
    """A request on its way; waiting for it hands it to whoever drives the coroutine."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __await__(self) -> Generator[Request, Response, Response]:
        """Yield the request, return the response."""
        return (yield self.request)


class Runner:
    """Holds the hook and the calls of it that wait for a response."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading = reading
        self._writing = writing
        self._execute: Callable[[Context], Any] = _nothing
        self._calls: dict[int, tuple[Coroutine[Any, Any, Any], Context]] = {}
        self._cpu = 0.0

    def run(self) -> None:
        """Answer frames until there are no more."""
        while (frame := self._read()) is not None:
            for gone in frame.get("drop", ()):
                self._drop(gone)
            reply = self._load(frame) if frame["kind"] == "load" else self._step(frame)
            self._write(reply)

    def _load(self, frame: dict[str, Any]) -> dict[str, Any]:
        self._cpu = frame["cpu"]
        space: dict[str, Any] = {"__name__": "hook", "__file__": HOOK}
        limit(frame["memory"])
        _, error = tried(lambda: exec(compile(frame["source"], HOOK, "exec"), space))  # noqa: S102  # its purpose
        if error is not None:
            return {"kind": "error", "message": told(error)}
        execute = space.get("execute")
        if not inspect.iscoroutinefunction(execute):
            return {"kind": "error", "message": "it has no `async def execute(context)`"}
        self._execute = execute
        return {"kind": "loaded"}

    def _step(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Drive one call until it sends, returns or raises."""
        number = frame["id"]
        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + self._cpu) + 1, resource.RLIM_INFINITY))
        if frame["kind"] == "call":
            made = Request(frame["method"], frame["url"], frame["headers"], decoded(frame["body"]))
            context = Context(frame["operation"], made, frame["correlation"])
            coroutine, value = self._execute(context), None
        else:
            coroutine, context = self._calls[number]
            value = Response(frame["status"], frame["headers"], decoded(frame["body"]))
        sys.stdout = sys.stderr = Lines(context)  # all that `print` needs
        reply = self._driven(number, coroutine, context, value)
        lines, context.lines = context.lines, []
        return {**reply, "log": lines}

    def _driven(
        self, number: int, coroutine: Coroutine[Any, Any, Any], context: Context, value: Any
    ) -> dict[str, Any]:
        wanted, error = tried(lambda: coroutine.send(value))
        if error is not None:
            self._calls.pop(number, None)
            if isinstance(error, StopIteration):
                return framed("done", lambda: response_frame(error.value), "what it returned is no response")
            return {"kind": "error", "message": told(error)}
        self._calls[number] = (coroutine, context)
        reply = framed("send", lambda: request_frame(wanted), "what it sends is no request")
        if reply["kind"] == "error":
            self._drop(number)
        return reply

    def _drop(self, number: int) -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            tried(call[0].close)

    def _read(self) -> dict[str, Any] | None:
        head = self._reading.read(4)
        if len(head) < 4:
            return None
        frame: dict[str, Any] = json.loads(self._reading.read(struct.unpack(">I", head)[0]))
        return frame

    def _write(self, frame: dict[str, Any]) -> None:
        data = json.dumps(frame).encode()
        self._writing.write(struct.pack(">I", len(data)) + data)
        self._writing.flush()


class Lines:
    """What the hook prints becomes lines of its log."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def write(self, text: str) -> int:
        """Keep the lines of a text."""
        for line in text.splitlines():
            if line.strip():
                self._context.log(line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""


async def _nothing(context: Context) -> None:
    """Stand for a hook that is not loaded."""


def tried(step: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return what a step of the hook returned, or raised: all of it, an exit too, ends that call alone."""
    try:
        return step(), None
    except BaseException as error:  # noqa: BLE001  # the hook's own code; what it raises is told
        return None, error


def framed(kind: str, make: Callable[[], dict[str, Any]], wrong: str) -> dict[str, Any]:
    """Return a frame, or one that says why it could not be made of what the hook gave."""
    try:
        return {"kind": kind, **make()}
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return {"kind": "error", "message": f"{wrong}: {error}"}


def response_frame(value: Any) -> dict[str, Any]:
    """Return the members of a frame that say a response, given as one or as status, headers and body."""
    if isinstance(value, dict):
        unknown = set(value) - {"status", "headers", "body"}
        if unknown:
            raise ValueError(f"there is no {', '.join(sorted(map(str, unknown)))} in a response")
        value = Response(value.get("status", 200), value.get("headers") or {}, value.get("body", b""))
    if not isinstance(value, Response):
        raise TypeError(f"it is {type(value).__name__}")
    if type(value.status) is not int or not 200 <= value.status <= 599:
        raise ValueError(f"its status is {value.status!r}")
    body = as_bytes(value.body, value.headers)
    headers = [[name, str(text)] for name, text in value.headers.items()]
    return {"status": value.status, "headers": headers, "body": encoded(body)}


def request_frame(request: Any) -> dict[str, Any]:
    """Return the members of a frame that say a request."""
    if not isinstance(request, Request):
        raise TypeError("it waits for something else than context.send(request)")
    body = as_bytes(request.body, request.headers)
    return {
        "method": str(request.method),
        "url": str(request.url),
        "headers": [[name, str(value)] for name, value in request.headers.items()],
        "body": encoded(body),
    }


def as_bytes(body: Any, headers: Headers) -> bytes:
    """Return the bytes of a body: bytes as they are, text in UTF-8, anything else as JSON."""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if "content-type" not in headers:
        headers["Content-Type"] = "application/json"
    return json.dumps(body).encode()


def encoded(data: bytes) -> str:
    """Return bytes as they stand in a frame."""
    return base64.b64encode(data).decode("ascii")


def decoded(text: str) -> bytes:
    """Return the bytes that stand in a frame."""
    return base64.b64decode(text)


def told(error: BaseException) -> str:
    """Return what people are told of an exception: what it is, and the line of the hook."""
    if isinstance(error, MemoryError):
        return "it needs more memory than it may have"
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == HOOK]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {error}"[:MAX_LOG_LINE]


def limit(memory: int) -> None:
    """Give up everything that a hook has no need of, for good."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = tuple(
        {os.path.realpath(path) + os.sep for path in (*sys.path, os.__file__.rpartition(os.sep)[0]) if path}
    )
    inside = (*library, "/usr/share/zoneinfo/", "/dev/null", "/dev/urandom")

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"a hook may not do this ({event}): use context.send")
        if event in ("open", "os.listdir", "os.scandir") and not readable(event, arguments, inside):
            raise PermissionError(f"a hook sees no files: {arguments[0]!r}")

    sys.addaudithook(audit)


def readable(event: str, arguments: tuple[Any, ...], inside: tuple[str, ...]) -> bool:
    """Say whether a file may be opened: for reading, and a part of the standard library."""
    path = arguments[0]
    if isinstance(path, int):
        return True  # what is open already
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        if isinstance(mode, str) and set(mode) & set("wax+"):
            return False
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
            return False
    return (os.path.realpath(os.fsdecode(path or ".")) + os.sep).startswith(inside)


def main() -> None:
    """Take stdin and stdout for the frames and leave the hook neither."""
    reading = os.fdopen(os.dup(0), "rb")
    writing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    Runner(reading, writing).run()


if __name__ == "__main__":
    main()
