"""What a connection may call, and the transport that sees to it.

A host is resolved here, every address is judged, and the call goes to the judged address: no name is looked
up again below this. What the outside is told of a refusal is always the same sentence; the reason goes to the
log and to the findings of `check`, which only operators read.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

import msgspec
from typing_extensions import override

from actions.addresses import BAD_PORTS, Address, Server, is_metadata, read_address, read_server, special
from actions.base import Answer, Finding
from actions.errors import Refused, RetryLater
from actions.transport import Engine, Request, as_read, header_problems, line_problems

PINNED_FOR: Final = 30.0
"""Seconds for which a judged address is called without asking the resolver again."""

_RESOLVE_WITHIN: Final = 5.0
_MAX_ADDRESSES: Final = 4  # how many addresses of one host a single call tries
_log = logging.getLogger(__name__)


class Listed(msgspec.Struct, frozen=True):
    """One entry of an allow-list: a network or a host name, on one port or on any."""

    network: IPv4Network | IPv6Network | None = None
    host: str = ""
    port: int | None = None

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Tell whether this entry allows the address, found under this host name, on this port."""
        if self.port is not None and self.port != port:
            return False
        return host == self.host if self.network is None else address in self.network

    @property
    def exact(self) -> bool:
        """Whether the entry names one single address."""
        return self.network is not None and self.network.num_addresses == 1


class Egress(msgspec.Struct, frozen=True):
    """What one connection may call: the open internet (`public`), what is listed, or both."""

    public: bool = True
    listed: tuple[Listed, ...] = ()

    def judge(self, server: Server, addresses: Sequence[str]) -> "Verdict":
        """Judge all addresses of a server's host.

        Under `public` alone one forbidden address refuses the whole: no honest public name has a private
        address among its own, and a mixed answer is how rebinding begins. With a list, names of the inside
        are expected to have more addresses than the list allows, so only the allowed ones are used.
        """
        allowed: list[str] = []
        reasons: list[str] = []
        for text in addresses:
            address = read_address(text)
            reason = "is no address" if address is None else self._reason(server, address)
            if reason:
                reasons.append(f"{text} {reason}")
            elif str(address) not in allowed:
                allowed.append(str(address))
        if reasons and not self.listed:
            allowed.clear()
        return Verdict(tuple(allowed[:_MAX_ADDRESSES]), tuple(reasons))

    def _reason(self, server: Server, address: Address) -> str:
        covering = [entry for entry in self.listed if entry.covers(server.host, address, server.port)]
        if is_metadata(address) and not any(entry.exact for entry in covering):
            return "is a metadata address, which only a listing of this very address allows"
        if covering:
            return ""
        if not self.public:
            return "is not listed"
        if server.port in BAD_PORTS:
            return f"is asked for on port {server.port}, which speaks another protocol"
        reason = special(address)
        return f"is not public ({reason})" if reason else ""


class Verdict(msgspec.Struct, frozen=True):
    """Which addresses may be called, in the resolver's order, and why the others may not."""

    allowed: tuple[str, ...]
    reasons: tuple[str, ...] = ()


def read_egress(value: str | Sequence[str]) -> Egress:
    """Return the policy that a connection's `egress` means. Raise Refused with every wrong entry.

    `public`, or a list of `public`, addresses, networks (`10.1.0.0/16`) and host names, each with an
    optional port (`127.0.0.1:9000`, `[fd00::/8]:443`, `shop.internal:8080`). A list without `public`
    allows nothing else.
    """
    entries = [value] if isinstance(value, str) else list(value)
    listed: list[Listed] = []
    problems: list[tuple[str, str]] = []
    for index, entry in enumerate(entries):
        if entry == "public":
            continue
        found = _read_entry(entry)
        if isinstance(found, Listed):
            listed.append(found)
        else:
            problems.append(("" if isinstance(value, str) else f"/{index}", found))
    if not entries:
        problems.append(("", "an empty list allows nothing: write `public`, or what may be called"))
    if problems:
        raise Refused("egress: " + "; ".join(text for _, text in problems), tuple(problems))
    return Egress(public="public" in entries, listed=tuple(listed))


def _read_entry(entry: str) -> Listed | str:
    """Return one entry, or what is wrong with it."""
    place, port = entry, None
    head, colon, tail = entry.rpartition(":")
    if colon and tail.isascii() and tail.isdigit() and (":" not in head or head.endswith("]")):
        if not 0 < int(tail[:6]) <= 65535 or tail[0] == "0":
            return f"{entry!r}: the port is not a number from 1 to 65535"
        place, port = head, int(tail)
    bare = place[1:-1] if place.startswith("[") and place.endswith("]") else place
    if "/" in bare or ":" in bare or read_address(bare) is not None:
        try:
            return Listed(network=ip_network(bare), port=port)
        except ValueError as error:
            return f"{entry!r}: {error}"
    server, wrong = read_server(f"http://{place}")
    if server is None:
        return f"{entry!r}: {'; '.join(wrong)}; write `public`, an address, a network or a host name"
    return Listed(host=server.host, port=port)


class Resolver(Protocol):
    """Looks names up. Raises OSError when a name has no address or nobody answers."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return all addresses of a host, best first."""

    def close(self) -> None:
        """Take no more names; a look-up under way ends by itself."""


class SystemResolver(Resolver):
    """The system's own look-up, in threads of its own: a hanging name server holds up one connection only.

    A look-up that was given up goes on in its thread, hence more than one.
    """

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    @override
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _look_up, host, port)
        except RuntimeError as error:  # what an executor says after its shutdown
            raise OSError("the resolver is closed") from error

    @override
    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Transport:
    """Sends the requests of one connection to the addresses it may call. Owns its engine and resolver."""

    def __init__(
        self,
        *,
        name: str,
        server: Server,
        egress: Egress,
        engine: Engine,
        resolver: Resolver,
        max_answer_bytes: int = 1 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.server = server
        self.egress = egress
        self._engine = engine
        self._resolver = resolver
        self._max_answer_bytes = max_answer_bytes
        self._clock = clock
        self._begin = (server.origin + "/", server.origin + "?")
        self._addresses: tuple[str, ...] = ()
        self._answering = ""  # the address that took over when another failed
        self._judged_until = float("-inf")
        self._resolving = asyncio.Lock()

    def problems(self, request: Request) -> list[str]:
        """Return everything for which `send` would refuse this request, whatever its host resolves to."""
        problems = line_problems(request.method, request.url)
        if not request.url.startswith(self._begin) and request.url != self.server.origin:
            problems.append(
                f"the URL is not on {self.server.origin}, where this connection's credentials belong"
            )
        return problems + header_problems(request.headers)

    async def send(self, request: Request, *, deadline: float) -> Answer:
        """Send once, within `deadline` seconds in all; errors as `Engine` says.

        While surely nothing was sent, the host's further addresses are tried. The request must have been
        found without `problems`; only its origin is looked at again.
        """
        if not request.url.startswith(self._begin) and request.url != self.server.origin:
            raise Refused(f"{self.name}: a request may only go to {self.server.origin}")
        now = self._clock()
        until = now + deadline
        if now >= self._judged_until:
            await self._pin(deadline)
        if not self._addresses:
            raise Refused(f"{self.name}: this server may not be called (egress)")
        failure: RetryLater | None = None
        for address in self._addresses:
            try:
                answer = await self._engine.send(
                    request,
                    address=address,
                    deadline=until - self._clock(),
                    max_answer_bytes=self._max_answer_bytes,
                )
            except RetryLater as error:
                failure = error
                self._judged_until = float("-inf")
                continue
            if failure is not None:
                self._answering = address
            return as_read(answer, self._max_answer_bytes)
        raise failure or RetryLater(f"{self.name}: no address to call")

    async def check(self) -> list[Finding]:
        """Resolve and judge the server, without connecting to it."""
        return await check_server(self.name, self.server, self.egress, self._resolver)

    async def close(self) -> None:
        """Cut all connections. Twice is harmless."""
        self._resolver.close()
        await self._engine.close()

    async def _pin(self, deadline: float) -> None:
        """Resolve and judge anew, once for all calls that wait for it."""
        try:
            async with asyncio.timeout(deadline), self._resolving:
                if self._clock() < self._judged_until:
                    return
                self._keep(await self._judged(deadline))
        except TimeoutError:
            raise RetryLater(f"{self.name}: {self.server.host} was not found in time") from None

    async def _judged(self, within: float) -> Verdict:
        return await judged(self.name, self.server, self.egress, self._resolver, within)

    def _keep(self, verdict: Verdict) -> None:
        if not verdict.allowed:
            _log.warning(
                "%s: %s may not be called: %s", self.name, self.server.origin, "; ".join(verdict.reasons)
            )
        for address in {*self._addresses} - {*verdict.allowed}:
            self._engine.forget(address)
        self._addresses = tuple(sorted(verdict.allowed, key=lambda address: address != self._answering))
        self._judged_until = self._clock() + PINNED_FOR


async def judged(
    name: str, server: Server, egress: Egress, resolver: Resolver, within: float = _RESOLVE_WITHIN
) -> Verdict:
    """Resolve a server's host and judge its addresses. Raise RetryLater when it is not found now."""
    literal = server.literal
    if literal is not None:
        return egress.judge(server, [str(literal)])
    try:
        async with asyncio.timeout(min(within, _RESOLVE_WITHIN)):
            found = await resolver.resolve(server.host, server.port)
    except TimeoutError:
        raise RetryLater(f"{name}: {server.host} was not found in time") from None
    except (OSError, UnicodeError):  # UnicodeError: a label the resolver's own IDNA step cannot take
        raise RetryLater(f"{name}: {server.host} was not found") from None
    if not found:
        raise RetryLater(f"{name}: {server.host} has no address")
    return egress.judge(server, found)


async def check_server(name: str, server: Server, egress: Egress, resolver: Resolver) -> list[Finding]:
    """Say whether a server may be called, without connecting to it."""
    try:
        verdict = await judged(name, server, egress, resolver)
    except RetryLater as error:
        return [
            Finding(
                severity="warning",
                code="server-not-found",
                message=str(error),
                fix="check the server's name; calls are retried until it is found",
            )
        ]
    if verdict.allowed:
        return []
    return [
        Finding(
            severity="error",
            code="egress-refused",
            message=f"{name}: {server.origin} may not be called: {'; '.join(verdict.reasons)}",
            fix="list the address, network or host under the connection's `egress`, if it is meant",
        )
    ]
