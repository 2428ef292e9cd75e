"""The configuration of a poll source. Pure."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from typing_extensions import override

from triggers.base import Called, Finding, SourceConfig
from triggers.quantities import Duration

CALL_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}\.\S(.{0,198}\S)?$"
"""`connection.operation`, as a rule's step writes it."""

ASKING: Final = ("state", "last")
"""What `with:` sees: the state that was kept, and the body before."""

ANSWERED: Final = ("body", "status", "headers", *ASKING)
"""What the expressions over an answer see."""

SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=31)


def _interval(value: timedelta) -> timedelta:
    if not SHORTEST <= value <= LONGEST:
        raise ValueError("an interval is 1s to 31d long")
    return value


class PollConfig(SourceConfig):
    """An operation that is called on an interval."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("items", "item_id", "state", "type", "subject")
    sees: ClassVar[dict[str, tuple[str, ...]]] = {
        "items": ANSWERED,
        "item_id": ("item",),
        "state": ("items", *ANSWERED),
    }

    kind: Literal["poll"] = Field(description="An operation, called again and again.")
    call: Annotated[str, StringConstraints(pattern=CALL_PATTERN)] = Field(
        description="What to call: connection.operation", examples=["shop.listOrders"]
    )
    with_: dict[str, Any] = Field(
        default={},
        alias="with",
        description="The operation's inputs by name: a JSON tree in which ${…} is CEL over `state`, `last`.",
    )
    every: Annotated[Duration, AfterValidator(_interval)] = Field(
        default=timedelta(minutes=1), description="From the start of a poll to the next, give or take 10 %."
    )
    items: str | None = Field(
        default=None,
        min_length=1,
        description="CEL over `body`, `status`, `headers`, `state`, `last`: the list of items. Absent: the "
        "body when it is a list, else the whole body as one item.",
        examples=["body.orders"],
    )
    item_id: str | None = Field(
        default=None,
        min_length=1,
        description="CEL over `item`: what makes an item itself. Absent: its content.",
        examples=["item.id"],
    )
    state: str | None = Field(
        default=None,
        min_length=1,
        description="CEL over the same and `items`: the next poll's `state`; null keeps what was there.",
        examples=["{'since': body.as_of}"],
    )
    initial: Any = Field(default={}, description="What the first poll sees as `state`: any JSON value.")
    order: Literal["newest-first", "oldest-first"] = Field(
        default="newest-first",
        description="How the answer is ordered; messages are emitted oldest first either way.",
    )
    first: Literal["skip", "emit"] = Field(
        default="skip",
        description="What to do with the items of the first poll: only remember them, or emit them.",
    )
    type: str | None = Field(
        default=None, min_length=1, description="CEL: the message's type. Absent: poll.item."
    )
    subject: str | None = Field(default=None, min_length=1, description="CEL: the message's subject.")

    @property
    def connection(self) -> str:
        """The connection's name."""
        return self.call.partition(".")[0]

    @override
    def called(self) -> tuple[Called, ...]:
        return (Called(operation=self.call, inputs=self.with_, variables=ASKING),)


def review(config: PollConfig) -> list[Finding]:
    """Return what is allowed and probably not meant."""
    if config.item_id is not None:
        return []
    return [
        Finding(
            severity="warning",
            code="no-item-id",
            message="without `item_id` an item is known by its content: one that changes is a new one, and "
            "two that are equal are one",
            fix="say what makes an item itself, for example item_id: item.id",
            field="item_id",
        )
    ]
