"""The contract of a connector: what can be called, and how a call is made.

A connector receives plain arguments, never a trigger message. It does not retry, does not keep anything,
and does not judge a status: that is the service's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

Reached = Callable[[str], None]
"""Is told by name where a call or a login stands: there the crash suite kills."""


def unarmed(point: str) -> None:
    """Stand where nobody kills."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found in a description or a connection: what is wrong, where, and what would be right.

    `line` and `column` count from 1; 0 means unknown. `pointer` is a JSON pointer into the document.
    """

    severity: Literal["error", "warning", "info"]
    code: str
    message: str
    fix: str = ""
    file: str = ""
    pointer: str = ""
    line: int = 0
    column: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the backend answered. Header names are lower case; `body` is cut at the connection's cap.

    `truncated` says that more came than we kept. `elapsed` is in seconds, from send to last byte read.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    elapsed: float = 0.0

    def header(self, name: str) -> str | None:
        """Return the first value of a header by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """How pages are followed, where the description and the answers do not tell.

    `max` counts pages, the first included. Paths are members of the answer joined by dots: `items` holds the
    items, `next` the URL of the next page, `cursor` what goes into the query field `parameter`. A `parameter`
    alone is counted on: an offset by items, a page number by one.
    """

    max: int = 10
    items: str = ""
    next: str = ""
    cursor: str = ""
    parameter: str = ""


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to a call beyond its first request.

    `pages`: read further pages of a list. `wait`: seconds to wait until what was accepted with 202 is done;
    0 for not at all. `if_match`: read the resource's ETag first and send it as `If-Match`. `accepted`: what
    an OutcomeUnknown brought: the call was made and accepted before, only its end is waited for.
    """

    pages: Paging | None = None
    wait: float = 0.0
    if_match: bool = False
    accepted: tuple[tuple[str, str], ...] = ()


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is ready to be made: everything but credentials and per-attempt headers.

    `digest` is a hash over method, URL, headers and body as rendered: two preparations of the same
    arguments under the same key are equal. `request` belongs to the connector. `follow` is put in by callers
    who want more than one request; a connector that cannot do it refuses the call.
    """

    operation: str
    key: str
    digest: bytes
    request: Any
    follow: Follow | None = None


class OperationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the outside is told of an operation: id, words and schemas (JSON Schema with `$ref`s kept)."""

    id: str
    aliases: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    method: str = ""
    path: str = ""
    deprecated: bool = False
    input_schema: dict[str, Any] = {}
    output_schemas: dict[str, Any] = {}
    takes_key: bool = False  # whether the description declares an idempotency key
    problem: str = ""  # why it cannot be called, "" when it can


class Difference(msgspec.Struct, kw_only=True):
    """What differed from the description on one side of an operation; `at` in wall-clock seconds."""

    operation: str
    side: Literal["arguments", "answer"]
    looked: int = 0
    differed: int = 0
    at: float = 0.0
    status: int = 0
    samples: list[str] = []


class Connector(ABC):
    """Performs operations of one backend.

    The order of calls is `check`? `open` (`prepare` `call`)* `close`. `prepare` is pure and may be called
    at any time; `close` is harmless twice and in any state.
    """

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Report what is wrong or doubtful, without calling any operation that changes something."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready to call. Does not have to reach the backend."""

    @abstractmethod
    def operations(self) -> Mapping[str, OperationInfo]:
        """Return all operations by id; a broken one carries its `problem`."""

    @abstractmethod
    def prepare(
        self, operation: str, arguments: Mapping[str, Any], *, key: str, at: float = 0.0, preset: str = ""
    ) -> Prepared:
        """Build the request without sending it. Raise Refused with every reason when it cannot be built.

        Values in `arguments` are JSON values; `msgspec.Raw` stands for a JSON token that is copied as it is.
        `preset` names what the description shows for the operation: it is sent where no argument says
        otherwise. What generators make depends on `key` and `at` alone, the moment of the message in
        wall-clock seconds: whoever prepares a call again gives the same.
        """

    @abstractmethod
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        """Make the call once, within `deadline` seconds in all; `headers` are added for this attempt.

        Return any answer of the backend. Raise RetryLater when nothing was sent, OutcomeUnknown when
        something may have been, Refused when it may not be sent at all.
        """

    @abstractmethod
    def show(self, prepared: Prepared) -> dict[str, Any]:
        """Return the exact request for people (`method`, `url`, `headers`, `body`), secrets masked."""

    @abstractmethod
    async def login_again(self) -> bool:
        """Drop cached credentials so that the next call logs in anew; False when there are none."""

    def secrets(self) -> tuple[str, ...]:
        """Return what calls carry and nobody may see: `actions.hiding` takes it out of what is shown."""
        return ()

    def login(self) -> object | None:
        """Return how this connector logs in (an `actions.auth.Auth`), for its state and logins by hand."""
        return None

    def differences(self) -> list[Difference]:
        """Return where calls and answers differed from the description, as far as that is looked at."""
        return []

    @abstractmethod
    async def close(self) -> None:
        """Let go of all connections. Twice is harmless, in any state."""
