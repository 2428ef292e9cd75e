"""The transports of one connection, one for each origin that it calls. Knows no operation and no login.

Most connections call one origin. Operations with a server of their own, policies that choose the host and
token servers make it several; each is judged by the same egress policy, and none sees another's sockets.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from actions.addresses import Server, read_server
from actions.base import Answer
from actions.egress import Egress, Resolver, SystemResolver, Transport
from actions.engines import DEFAULT, make_engine
from actions.errors import Refused, RetryLater
from actions.transport import Engine, EngineSettings, Request

MAX_ORIGINS: Final = 64
"""Origins that one connection may call: a bound for descriptions with hosts made of parameters."""


class HTTPLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may use: calls at a time, seconds to connect, bytes of an answer that are kept."""

    in_flight: int = 16
    connect_timeout: float = 5.0
    max_answer_bytes: int = 1 << 20


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """PEM text: an authority to trust besides the system's, and our certificate together with its key."""

    ca: bytes = b""
    identity: bytes = b""


class Origins:
    """Gives the transport for a URL. Owns all engines and the resolver; belongs to one event loop."""

    def __init__(
        self,
        *,
        settings: EngineSettings,
        egress: Egress,
        make: Callable[[EngineSettings], Engine],
        resolver: Resolver,
        max_answer_bytes: int,
    ) -> None:
        """`settings` are those of every engine; their `host` is filled in for each origin."""
        self.egress = egress
        self._settings = settings
        self._make = make
        self._resolver = resolver
        self._max_answer_bytes = max_answer_bytes
        self._transports: dict[str, Transport] = {}
        self._closed = False

    def at(self, url: str) -> Transport:
        """Return the transport for an absolute URL. Raise Refused for one that can never be called."""
        origin = origin_of(url)
        place, problems = read_server(origin)
        if place is None:
            shown = re.sub(r"//.*@", "//…@", origin)  # a user and a password before the host
            raise Refused(f"{self._settings.name}: server {shown[:200]!r}: " + "; ".join(problems))
        return self.transport(place)

    def transport(self, place: Server) -> Transport:
        """Return the transport for an origin, made at the first call."""
        found = self._transports.get(place.origin)
        if found is None:
            if len(self._transports) >= MAX_ORIGINS:
                raise Refused(f"{self._settings.name}: calls more than {MAX_ORIGINS} origins")
            found = self._transports[place.origin] = Transport(
                name=self._settings.name,
                server=place,
                egress=self.egress,
                engine=self._make(msgspec.structs.replace(self._settings, host=place.host)),
                resolver=self._resolver,
                max_answer_bytes=self._max_answer_bytes,
            )
        return found

    async def fetch(self, request: Request, deadline: float) -> Answer:
        """Send once to wherever the egress policy allows; errors as `Engine` says."""
        if self._closed:
            raise RetryLater(f"{self._settings.name}: is closed")
        transport = self.at(request.url)
        problems = transport.problems(request)
        if problems:
            raise Refused(f"{self._settings.name}: cannot be fetched: " + "; ".join(problems))
        return await transport.send(request, deadline=deadline)

    async def close(self) -> None:
        """Cut all connections. Twice is harmless."""
        self._closed = True
        self._resolver.close()
        for transport in tuple(self._transports.values()):
            await transport.close()


def origin_of(url: str) -> str:
    """Return scheme and authority of an absolute URL, as written."""
    scheme, mark, rest = url.partition("://")
    end = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    return f"{scheme}{mark}{rest[:end]}"


def make_origins(
    name: str,
    *,
    egress: Egress | None = None,
    limits: HTTPLimits | None = None,
    certificates: Certificates | None = None,
    engine: str | Callable[[EngineSettings], Engine] = DEFAULT,
    resolver: Resolver | None = None,
) -> Origins:
    """Return the guarded transports of one connection, for its connector and its logins."""
    limits, certificates = limits or HTTPLimits(), certificates or Certificates()
    settings = EngineSettings(
        name=name,
        host="",
        in_flight=limits.in_flight,
        connect_timeout=limits.connect_timeout,
        ca_pem=certificates.ca,
        identity_pem=certificates.identity,
    )
    return Origins(
        settings=settings,
        egress=egress or Egress(),
        make=partial(make_engine, engine) if isinstance(engine, str) else engine,
        resolver=resolver or SystemResolver(),
        max_answer_bytes=limits.max_answer_bytes,
    )
