"""Where brokers live, and whether they may be called.

`read_brokers` is pure. A `Gate` resolves and judges hosts for a connector whose driver opens connections by
itself: what it lets through was allowed a moment ago; what the driver then resolves is its own business,
unless the driver takes an address.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from actions.addresses import Server, read_server
from actions.base import Answer, Finding
from actions.egress import PINNED_FOR, Egress, Resolver, Verdict, check_server, judged
from actions.errors import ActionError, Refused

SCHEMES: Final = {"kafka": 9092, "kafka-secure": 9093, "amqp": 5672, "amqps": 5671}
"""What a broker's URL may begin with, and the port where none is given."""

_URL: Final = re.compile(r"([a-z-]+)://([^/?#\\\s]*)(?:/([^?#\\\s]*))?", re.ASCII)


class Brokers(msgspec.Struct, frozen=True, kw_only=True):
    """The servers of one bus, in the order given. `vhost` belongs to AMQP."""

    scheme: str
    servers: tuple[Server, ...]
    vhost: str = "/"

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme in {"kafka-secure", "amqps"}

    @property
    def url(self) -> str:
        """The URL for people; it never holds credentials."""
        hosts = ",".join(f"{one.host}:{one.port}" for one in self.servers)
        path = "" if self.vhost == "/" else f"/{self.vhost}"
        return f"{self.scheme}://{hosts}{path}"


def read_brokers(url: str, schemes: Iterable[str] = SCHEMES) -> Brokers:
    """Return the brokers that a URL means. Raise Refused with everything that is wrong with it.

    `kafka://one:9092,two:9092`, `amqp://host:5672/vhost`; `%2F` in a vhost is a slash.
    """
    matched = _URL.fullmatch(url)
    wanted = " or ".join(f"{one}://" for one in schemes)
    if matched is None or matched[1] not in schemes:
        raise Refused(f"server {url[:200]!r}: write {wanted}host:port, without query and fragment")
    scheme, hosts, path = matched[1], matched[2], matched[3]
    problems: list[str] = []
    servers = []
    for place in hosts.split(","):
        if "@" in place:
            problems.append("user names in a URL are not taken: use the connection's `auth`")
            continue
        server, wrong = read_server(f"http://{place if _has_port(place) else f'{place}:{SCHEMES[scheme]}'}")
        problems += wrong
        if server is not None:
            servers.append(Server(scheme, server.host, server.port))
    if scheme.startswith("kafka") and path:
        problems.append("the URL of Kafka brokers has no path: the topic belongs to the call")
    if scheme.startswith("amqp") and path and "/" in path:
        problems.append("the path is the name of a virtual host: a slash in it is written %2F")
    if problems:
        raise Refused(f"server {url[:200]!r}: " + "; ".join(dict.fromkeys(problems)))
    return Brokers(scheme=scheme, servers=tuple(servers), vhost=unquote(path) if path else "/")


def _has_port(place: str) -> bool:
    return re.search(r":[^\]]*$", place) is not None and not place.endswith("]")


class Deadlines:
    """The time limits of calls under way: all of them can be ended at once."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError when the block takes longer, or when `end` is called."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def end(self) -> None:
        """Let every block that runs now end with a TimeoutError."""
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(0)


class Denied(ActionError):
    """A broker says no: to our login (401), to this call (403), or that nobody is there (404).

    Within a connector only: it becomes an answer of that status, which the service judges.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(status: int, document: Mapping[str, Any], began: float) -> Answer:
    """Return what a broker said, in the form of an HTTP answer; `began` is when the call did (monotonic)."""
    body = msgspec.json.encode(document)
    headers = (("content-type", "application/json"),)
    return Answer(status=status, headers=headers, body=body, elapsed=time.monotonic() - began)


def in_clear(name: str, brokers: Brokers, egress: Egress) -> list[Finding]:
    """Warn of a password that is sent where others can read it."""
    if brokers.secure or not egress.public:
        return []
    secure = {"kafka": "kafka-secure", "amqp": "amqps"}[brokers.scheme]
    return [
        Finding(
            severity="warning",
            code="credentials-in-clear",
            message=f"{name}: credentials go over {brokers.scheme}:// for everybody on the way to read",
            fix=f"use {secure}://",
        )
    ]


class Gate:
    """Judges the hosts of one connection. A verdict is good for a while, then it is asked for anew."""

    def __init__(
        self, name: str, egress: Egress, resolver: Resolver, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take over the resolver."""
        self.name = name
        self.egress = egress
        self._resolver = resolver
        self._clock = clock
        self._known: dict[tuple[str, int], tuple[float, Verdict]] = {}

    async def addresses(self, server: Server) -> tuple[str, ...]:
        """Return the addresses of a server that may be called.

        Raise RetryLater when its name is not found now, Refused when none may be called.
        """
        place = (server.host, server.port)
        known = self._known.get(place)
        if known is None or known[0] <= self._clock():
            verdict = await judged(self.name, server, self.egress, self._resolver)
            known = self._known[place] = (self._clock() + PINNED_FOR, verdict)
        if not known[1].allowed:
            raise Refused(f"{self.name}: {server.origin} may not be called (egress)")
        return known[1].allowed

    async def check(self, servers: Iterable[Server]) -> list[Finding]:
        """Resolve and judge servers, without connecting to them."""
        found = []
        for server in servers:
            found += await check_server(self.name, server, self.egress, self._resolver)
        return found

    def close(self) -> None:
        """Take no more names."""
        self._resolver.close()
