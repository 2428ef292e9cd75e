"""The shape of the configuration: closed, frozen models of every resource.

Shape only: whether names exist, expressions compile and files can be read is found by `check` and by
`service.plan`. Secrets are `SecretStr` here; in files they are references (`secrets`).
"""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from service.config.backends import ConnectionConfig
from service.config.closed import Closed
from service.config.connectors import ConnectorConfig, Version
from service.config.values import (
    CALL_PATTERN,
    NAME_PATTERN,
    STATUS_PATTERN,
    STEP_PATTERN,
    Duration,
    Name,
    Refused,
)
from triggers.base import SourceConfig

OWN_SOURCE: Final = "pointsman"
"""The source of the service's own messages. Nobody configures it; rules may name it in `from`."""


class RetryConfig(Closed):
    """How long and how often a step is tried again: exponential, full jitter."""

    for_: Duration = Field(
        default=timedelta(hours=24), alias="for", description="How long in all, from the first attempt on."
    )
    first: Duration = Field(default=timedelta(seconds=1), description="The first delay.")
    max: Duration = Field(default=timedelta(hours=1), description="The longest delay.")

    @model_validator(mode="after")
    def _ordered(self) -> "RetryConfig":
        if self.first > self.max:
            raise Refused("`first` is longer than `max`", "make max at least first")
        return self


StatusKey = Annotated[str, StringConstraints(pattern=STATUS_PATTERN)]
StepName = Annotated[str, StringConstraints(pattern=STEP_PATTERN)]


Member = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PagingConfig(Closed):
    """How the pages of a list are followed, where description and answers do not tell."""

    max: StrictInt = Field(default=10, ge=1, le=10_000, description="Most pages, the first included.")
    items: Member | None = Field(
        default=None, description="Where the items stand in an answer: members joined by dots."
    )
    next: Member | None = Field(default=None, description="Where the URL of the next page stands.")
    cursor: Member | None = Field(default=None, description="Where the cursor of the next page stands.")
    parameter: Member | None = Field(
        default=None, description="The query parameter that takes the cursor, an offset or a page number."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "PagingConfig":
        if self.next is not None and (self.cursor is not None or self.parameter is not None):
            raise Refused(
                "`next` is a whole URL: it takes no cursor and no parameter", "give one way to go on"
            )
        return self


def _pages(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    return {"max": value} if isinstance(value, int) else value


def _short_pages(schema: dict[str, Any]) -> None:
    shorthand = [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": 10_000}]
    schema["anyOf"] = [*shorthand, *schema["anyOf"]]


Pages = Annotated[PagingConfig | None, BeforeValidator(_pages)]


class StepConfig(Closed):
    """One call."""

    name: StepName | None = Field(
        default=None, description="Name of the step in `steps.<name>`; absent: the operation's."
    )
    call: Annotated[str, StringConstraints(pattern=CALL_PATTERN)] = Field(
        description="What to call: connection.operation", examples=["shop.reserveStock"]
    )
    with_: dict[str, Any] = Field(
        default={},
        alias="with",
        description="The operation's inputs by name, `body` among them: a JSON tree in which ${…} is CEL.",
    )
    preset: str | None = Field(
        default=None,
        min_length=1,
        description="A request of a Postman collection by name: it is sent where `with` says nothing.",
    )
    version: Version | None = Field(
        default=None,
        description="The version of the connector's description that is called; absent: the present one.",
    )
    retry: RetryConfig = Field(default=RetryConfig(), description="How long and how often it is tried again.")
    on: dict[StatusKey, Literal["ok", "retry", "refused"]] = Field(
        default={}, description="What a status (409) or a class (4xx) means, when not what is usual."
    )
    on_unknown: Literal["retry", "dead"] = Field(
        default="retry", description="What to do when the call may have happened and no answer came."
    )
    timeout: Duration | None = Field(
        default=None, description="The longest one call may take; absent: the connection's."
    )
    follow_pages: Pages = Field(
        default=None,
        description="For a GET that lists: read further pages, and give all items as one answer. `true`, the "
        "most pages, or how.",
        examples=[True, 50, {"max": 20, "cursor": "meta.next", "parameter": "after"}],
        json_schema_extra=_short_pages,
    )
    wait: Duration | None = Field(
        default=None,
        description="When the answer is 202: how long to wait until it is done; absent: not at all.",
    )
    if_match: StrictBool = Field(
        default=False,
        description="For PUT, PATCH and DELETE: read the resource's ETag first and send it as If-Match.",
    )

    @property
    def connection(self) -> str:
        """The connection's name."""
        return self.call.partition(".")[0]

    @property
    def operation(self) -> str:
        """The operation's id or alias."""
        return self.call.partition(".")[2]

    @property
    def step(self) -> str:
        """The step's name: the one given, or the operation's."""
        return self.name or self.operation


class RuleTestConfig(Closed):
    """An example that the rule is tried on."""

    name: str = Field(min_length=1, description="What the example shows.")
    message: dict[str, Any] = Field(
        description="The message, as rules see it; absent attributes are made up."
    )
    expect: Literal["match", "no match"] = Field(description="Whether the rule matches it.")


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _names_schema(pattern: dict[str, str], least: int) -> dict[str, Any]:
    item = {"type": "string", **pattern}
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": least}]}


SourceNames = Annotated[
    tuple[Name, ...],
    BeforeValidator(_names),
    Field(min_length=1),
    WithJsonSchema(_names_schema({"pattern": NAME_PATTERN}, 1)),
]
FormerNames = Annotated[
    tuple[Name, ...],
    BeforeValidator(_names),
    WithJsonSchema(_names_schema({"pattern": NAME_PATTERN}, 0)),
]
Includes = Annotated[tuple[str, ...], WithJsonSchema(_names_schema({}, 0))]


class RuleConfig(Closed):
    """From which sources, which messages, when, and what to do."""

    description: str | None = Field(default=None, description="For people.")
    from_: SourceNames | None = Field(
        default=None,
        alias="from",
        description="Sources, by name; absent: all.",
    )
    match: dict[str, Any] | None = Field(
        default=None, description="An EventBridge pattern over the message; absent: every message."
    )
    when: str | None = Field(default=None, min_length=1, description="A CEL condition; always quote it.")
    key: str | None = Field(
        default=None, min_length=1, description="A CEL expression: what `mode` keeps apart."
    )
    mode: Literal["parallel", "queued", "single", "restart"] = Field(
        default="parallel",
        description="Per key: all at once, one after the other, only the first, or only the latest.",
    )
    do: tuple[StepConfig, ...] = Field(min_length=1, description="The calls, in order.")
    tests: tuple[RuleTestConfig, ...] = Field(default=(), description="Examples for `pointsman test`.")
    was: FormerNames = Field(
        default=(),
        description="Earlier names of the rule: its history goes on.",
    )
    paused: StrictBool = Field(default=False, description="Whether the rule makes no new deliveries.")


class Configuration(Closed):
    """Everything that stands in the files, includes resolved."""

    version: Literal[1] = Field(default=1, description="Version of this format.")
    include: Includes = Field(
        default=(),
        description="More files of this format: paths or patterns below this file's folder.",
        examples=[["rules/*.yaml"]],
    )
    sources: dict[Name, SerializeAsAny[SourceConfig]] = Field(
        default={}, description="Where messages come from, by name."
    )
    connectors: dict[Name, ConnectorConfig] = Field(default={}, description="API descriptions, by name.")
    connections: dict[Name, ConnectionConfig] = Field(
        default={}, description="Where the backends are and how to log in, by name."
    )
    rules: dict[Name, RuleConfig] = Field(default={}, description="What to do with which messages, by name.")
