"""Leads every request to the mock, wherever it was meant to go. Nobody's name is ever looked up."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from typing_extensions import override

from actions.base import Answer
from actions.egress import Egress, Resolver, read_egress
from actions.engines import DEFAULT, make_engine
from actions.transport import Engine, EngineSettings, Request

LOOPBACK: Final = "127.0.0.1"


class Diverted(Engine):
    """Sends to one origin whatever the URL says. The path and all the rest stay as they are."""

    def __init__(self, settings: EngineSettings, origin: str) -> None:
        super().__init__(settings)
        self._origin = origin
        self._inner = make_engine(DEFAULT, msgspec.structs.replace(settings, host=LOOPBACK))

    @override
    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        diverted = Request(
            request.method, self._origin + after_origin(request.url), request.headers, request.body
        )
        return await self._inner.send(
            diverted, address=LOOPBACK, deadline=deadline, max_answer_bytes=max_answer_bytes
        )

    @override
    def forget(self, address: str) -> None:
        self._inner.forget(LOOPBACK)

    @override
    async def close(self) -> None:
        await self._inner.close()


class Nowhere(Resolver):
    """Finds every name on the loopback, without asking anybody."""

    @override
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        return [LOOPBACK]

    @override
    def close(self) -> None:
        """Nothing is held."""


def diverted_to(origin: str) -> Callable[[EngineSettings], Engine]:
    """Return what makes the engines of a connection whose every request goes to `origin`."""
    return lambda settings: Diverted(settings, origin)


def anywhere() -> Egress:
    """Return the policy of a connection whose engine goes nowhere else: all addresses are fine."""
    return read_egress(["0.0.0.0/0", "::/0", "169.254.169.254"])


def after_origin(url: str) -> str:
    """Return path and query of an absolute URL."""
    rest = url.partition("://")[2]
    at = min((found for mark in "/?" if (found := rest.find(mark)) >= 0), default=len(rest))
    return rest[at:] if rest[at : at + 1] == "/" else "/" + rest[at:]
