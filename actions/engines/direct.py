"""The engine on the event loop itself: asyncio's transports, httptools for the answers, no thread between.

It knows by itself what was written, so "surely not sent" is what it says: until the request's first byte is
handed to a connection, nothing was. A connection that the backend closed while it was idle is seen before it
is used again.
"""

import asyncio
import re
import select
import ssl
import time
from collections import deque
from typing import Final

from typing_extensions import override

from actions.base import Answer
from actions.engines.tls import trust
from actions.engines.wire import Cut, Wire
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.transport import Engine, EngineSettings, Request, header_problems, line_problems

_AUTHORITY: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\s]+)(?::[0-9]{1,5})?")

_IDLE: Final = 30.0
"""Seconds that an unused connection is kept."""

_FILLED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods that say how long their body is also when it is empty."""

_REMEMBERED: Final = 1_000
"""Names and authorities that are known to be sound."""

_LOOKED: Final = 0.05
"""Seconds of idleness after which a connection is looked at before it is used."""


class DirectEngine(Engine):
    """Sends on the running event loop."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._idle: dict[str, deque[Wire]] = {}
        self._busy: set[Wire] = set()
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._names: set[str] = set()
        self._authorities: set[str] = set()
        self._closed = False

    @override
    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        started = time.perf_counter()
        self._check(deadline)
        data, scheme, authority = self._written(request)
        home = self._idle.get(address)
        if home is None:
            home = self._idle[address] = deque()
        wire = self._take(home)
        if wire is None:
            wire = await self._connect(
                scheme, authority, address, min(deadline, self.settings.connect_timeout)
            )
            deadline -= time.perf_counter() - started
            try:
                self._check(deadline)
            except RetryLater:
                wire.abort()
                raise
        self._busy.add(wire)
        timer = asyncio.get_running_loop().call_later(deadline, wire.abort, "the time is over")
        try:
            await wire.exchange(data, cap=max_answer_bytes, bare=request.method == "HEAD")
        except Cut as cut:
            raise OutcomeUnknown(f"{self.settings.name}: no whole answer: {cut}") from None
        except asyncio.CancelledError:
            wire.abort()
            raise
        finally:
            timer.cancel()
            self._busy.discard(wire)
        answer = Answer(
            status=wire.status,
            headers=tuple(wire.headers),
            body=wire.body(),
            truncated=wire.truncated,
            elapsed=time.perf_counter() - started,
        )
        self._keep(address, home, wire)
        return answer

    @override
    def forget(self, address: str) -> None:
        for wire in self._idle.pop(address, ()):
            wire.abort()

    @override
    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for address in list(self._idle):
            self.forget(address)
        for wire in list(self._busy):
            wire.abort()

    def _check(self, deadline: float) -> None:
        """Raise RetryLater when nothing may be sent any more."""
        if self._closed or deadline <= 0:
            raise RetryLater(f"{self.settings.name}: {'closed' if self._closed else 'no time left'}")

    # -- the request

    def _written(self, request: Request) -> tuple[bytes, str, str]:
        """Return the request's bytes, its scheme and authority. Raise Refused."""
        headers, body = request.headers, request.body
        scheme, _, rest = request.url.partition("://")
        end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        if not target.startswith("/"):
            target = "/" + target
        fields = [f"{name}: {value}\r\n" for name, value in headers]
        if body or request.method in _FILLED:
            fields.append(f"Content-Length: {len(body)}\r\n")
        head = f"{request.method} {target} HTTP/1.1\r\nHost: {authority}\r\n{''.join(fields)}\r\n"
        # Cheap when all is well: no control but our own line ends, no name or address that is new.
        plain = head.count("\r\n") == len(fields) + 3 and head.replace("\r\n", "").isprintable()
        known = authority in self._authorities and self._names.issuperset([name for name, _ in headers])
        if line_problems(request.method, request.url) or not (
            (plain and known) or self._sound(authority, headers)
        ):
            raise self._refused()
        try:
            return head.encode("ascii") + body, scheme, authority
        except UnicodeEncodeError:
            raise self._refused() from None

    def _sound(self, authority: str, headers: tuple[tuple[str, str], ...]) -> bool:
        """Tell whether this can be written; keep in mind what was found so."""
        if not _AUTHORITY.fullmatch(authority) or header_problems(headers):
            return False
        if len(self._names) + len(self._authorities) < _REMEMBERED:
            self._names.update(name for name, _ in headers)
            self._authorities.add(authority)
        return True

    def _refused(self) -> Refused:
        return Refused(f"{self.settings.name}: the method, URL or a header cannot be sent")

    # -- connections

    def _take(self, home: deque[Wire]) -> Wire | None:
        """Return the connection that was used last and is still good; None when there is none."""
        now = time.monotonic()
        while home:
            wire = home.pop()
            rested = now - wire.idle_since
            if wire.reusable and rested < _IDLE and (rested < _LOOKED or _is_quiet(wire)):
                return wire
            wire.abort()
        return None

    def _keep(self, address: str, home: deque[Wire], wire: Wire) -> None:
        if not wire.reusable or self._idle.get(address) is not home or len(home) >= self.settings.in_flight:
            wire.abort()
            return
        wire.idle_since = time.monotonic()
        home.append(wire)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_IDLE, self._sweep)

    def _sweep(self) -> None:
        """Close what was idle for too long, the longest first; come again while anything is left."""
        self._sweeper = None
        oldest = time.monotonic() - _IDLE
        for home in self._idle.values():
            while home and home[0].idle_since <= oldest:
                home.popleft().abort()
        if any(self._idle.values()):
            self._sweeper = asyncio.get_running_loop().call_later(_IDLE, self._sweep)

    async def _connect(self, scheme: str, authority: str, address: str, within: float) -> Wire:
        """Return a new connection to the address. Raise RetryLater, Refused."""
        name, host = self.settings.name, self.settings.host.strip("[]")
        context = self._context() if scheme == "https" else None
        port = self._port(scheme, authority)
        try:
            async with asyncio.timeout(within):
                _, wire = await asyncio.get_running_loop().create_connection(
                    Wire,
                    address,
                    port,
                    ssl=context,
                    server_hostname=host if context is not None else None,
                )
        except TimeoutError:
            raise RetryLater(f"{name}: no connection within {within:.1f} s") from None
        except (OSError, ssl.SSLError) as error:
            raise RetryLater(f"{name}: no connection: {error.strerror or error}") from None
        return wire

    def _port(self, scheme: str, authority: str) -> int:
        _, colon, port = authority.rpartition(":")
        if not colon or port.endswith("]"):
            return 443 if scheme == "https" else 80
        if not 0 < int(port) < 1 << 16:
            raise self._refused()
        return int(port)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = trust(self.settings)
        return self._tls


def _is_quiet(wire: Wire) -> bool:
    """Tell whether an idle connection is open with nothing to read, whatever the loop has seen of it yet."""
    if wire.transport.get_extra_info("sslcontext") is not None:
        return True  # what is there to read may be the session's own: it says nothing
    poll = select.poll()  # `select.select` takes no descriptor beyond 1023
    poll.register(wire.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)
