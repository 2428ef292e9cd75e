"""What a guest of a server is: it makes things of its own there, brings events, and leaves nothing behind."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec

from service.errors import Unavailable

WITHIN: Final = 10.0
"""Seconds for one thing that is asked of a server."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order that somebody paid, as every kind of server carries it."""

    id: str
    sku: str = "lamp-7"
    quantity: int = 1
    total: float = 120.5
    currency: str = "EUR"
    customer: str = "Grace"

    def event(self) -> bytes:
        """Return what a producer writes."""
        return msgspec.json.encode({"type": "order.paid", "order": self})


class Guest(ABC):
    """A guest of one server at an address.

    `name` begins the name of everything that it makes there; `orders` is the topic, queue or table that
    orders go to. What a driver raises becomes Unavailable with the server's name and no credentials.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    event: ClassVar[str]
    """What one event is called there."""
    usual: ClassVar[str]
    """Where such a server listens on a machine that has one, and how it lets people in at first."""
    example: ClassVar[str]
    """How an address is written."""
    failures: ClassVar[tuple[type[Exception], ...]]
    """What its driver raises of its own."""

    def __init__(self, address: str, name: str, orders: str = "") -> None:
        """Raise ValueError, with words that follow "is no address: ", when the address cannot be read."""
        self.address: Final = address
        self.name: Final = name
        self.orders: Final = orders or f"{name}_orders"

    @property
    @abstractmethod
    def place(self) -> str:
        """The address as people may see it."""

    @abstractmethod
    async def refusal(self) -> str:
        """Say why this server is of no use to us, or "". Nothing is left behind."""

    @abstractmethod
    async def arrive(self) -> None:
        """Make what the demo needs there. Raise Unavailable."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """Return the values of the places `@name@` in the configuration that the demo writes."""

    def secrets(self) -> dict[str, str]:
        """Return the secrets that the configuration refers to, by the name of their file."""
        return {}

    @abstractmethod
    async def bring(self, order: Order) -> str:
        """Bring one event and say where it went, once the server has it for good. Raise Unavailable."""

    async def answer(self, order: Order, patience: float) -> str:
        """Wait for what comes back out and say what it was; "" when nothing is to come.

        Raise Unavailable when it does not come in time.
        """
        del order, patience
        return ""

    async def rest(self) -> None:  # noqa: B027 - most keep no connection
        """Close what `bring` left open for `answer`. Twice is harmless; raises nothing of its own."""

    @abstractmethod
    async def leave(self) -> None:
        """Remove all that was made here or by the demo's sources, and nothing else. Raise Unavailable."""

    @contextlib.contextmanager
    def mapped(self, what: str) -> Iterator[None]:
        """Turn what the driver raises into Unavailable."""
        try:
            yield
        except self.failures as error:
            raise Unavailable(f"{self.title} at {self.place}: {what}: {told(error)}") from error


def told(error: BaseException) -> str:
    """Return one readable line of what a driver raised."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
