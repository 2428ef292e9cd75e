"""The shape of the configuration: closed, frozen models of every resource.

Shape only: whether names exist, expressions compile and files can be read is found by `check` and by
`service.plan`. Secrets are `SecretStr` here; in files they are references (`secrets`).
"""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializeAsAny,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from service.config.closed import Closed
from service.config.logins import LoginConfig
from service.config.values import (
    CALL_PATTERN,
    NAME_PATTERN,
    SHA256_PATTERN,
    STATUS_PATTERN,
    STEP_PATTERN,
    Duration,
    Name,
    PathText,
    RateText,
    Refused,
    Size,
)
from triggers.base import SourceConfig

OWN_SOURCE: Final = "pointsman"
"""The source of the service's own messages. Nobody configures it; rules may name it in `from`."""

_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?", re.IGNORECASE)
_SERVER: Final = re.compile(r"(https?|kafka|kafka-secure|amqps?)://[^/@\s?#]+(/[^@\s?#]*)?")


COPIES: Final = ".pointsman/descriptions"
"""Where copies of descriptions from URLs lie, beside the file that names them; each is named by its hash."""


def is_url(spec: str) -> bool:
    """Say whether a description is named by a URL rather than by a path."""
    return spec.startswith(("http://", "https://"))


def copy_of(sha256: str) -> str:
    """Return where the copy of a description from a URL lies."""
    return f"{COPIES}/{sha256}"


VERSION_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]


class ConnectorConfig(Closed):
    """Where operations come from: an API description, or what a kind of bus can do anyway."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "oneOf": [{"required": ["spec"]}, {"required": ["kind"]}],
            "dependentSchemas": {"sha256": {"properties": {"spec": {"pattern": "^https?://"}}}},
        },
    )

    spec: PathText | None = Field(
        default=None,
        description="The description: a file (OpenAPI, Swagger, AsyncAPI, Postman; JSON or YAML), a folder, "
        "a zip archive or a git directory that holds one, relative to the file that names it; or a URL.",
        examples=["specs/shop.openapi.yaml", "specs/shop", "https://api.example.com/openapi.json"],
    )
    sha256: str | None = Field(
        default=None,
        pattern=SHA256_PATTERN,
        description="For a description from a URL: the SHA-256 of its bytes in hexadecimal digits. It is "
        "read from the copy that `pointsman connectors fetch` made; nothing is ever fetched by itself.",
    )
    versions: dict[Version, PathText] = Field(
        default={},
        description="Earlier versions of the description, by a name of their own, for steps that pin one "
        "(`version`). A step that pins none floats: it is called as `spec` says.",
        examples=[{"2024-10": "specs/shop-2024-10.yaml"}],
    )
    code: PathText | None = Field(
        default=None,
        description="A hook: a Python file that performs operations, see docs/hooks.md.",
        examples=["hooks/shop.py"],
    )
    code_for: tuple[str, ...] = Field(
        default=(), description="The operations that the hook performs; absent: those that need code."
    )
    code_timeout: Duration = Field(
        default=timedelta(seconds=5), description="How long the hook may take a call, what it sends apart."
    )
    kind: Literal["kafka", "rabbitmq"] | None = Field(
        default=None,
        description="Instead of a description: a bus, to which anything can be published.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ConnectorConfig":
        if (self.spec is None) == (self.kind is None):
            raise Refused(
                "a connector has either a description or a kind",
                "give `spec: file`, or `kind: kafka` or `kind: rabbitmq`",
            )
        if self.versions and self.spec is None:
            raise Refused("a bus has no versions", "remove `versions`")
        if self.code is not None and self.spec is None:
            raise Refused("hooks are for descriptions of HTTP APIs", "remove `code`")
        if self.code is None and self.code_for:
            raise Refused("`code_for` belongs to `code`", "remove it, or name the hook's file as `code`")
        if self.sha256 is not None and not is_url(self.spec or ""):
            raise Refused(
                "`sha256` pins a description from a URL, and this is none",
                "remove it; files are pinned by what is read of them",
            )
        return self

    @property
    def title(self) -> str:
        """What names it to people: the file, or the kind."""
        return self.spec or str(self.kind)


class LimitsConfig(Closed):
    """How hard a backend may be used."""

    rate: RateText | None = Field(default=None, description="Most calls per time; absent: no limit.")
    in_flight: StrictInt = Field(default=16, ge=1, le=10_000, description="Most calls at the same time.")
    timeout: Duration = Field(
        default=timedelta(seconds=10), description="The longest one call may take in all, answer included."
    )
    max_answer: Size = Field(
        default=1024 * 1024, description="How much of an answer is read; the rest is cut."
    )


class BreakerConfig(Closed):
    """When a backend counts as down, and how it is tried again."""

    failures: StrictInt = Field(
        default=10, ge=1, le=1_000, description="So many unhealthy answers in a row open the breaker."
    )
    first: Duration = Field(default=timedelta(seconds=1), description="Wait before the first probe.")
    max: Duration = Field(default=timedelta(seconds=30), description="The longest wait between probes.")

    @model_validator(mode="after")
    def _ordered(self) -> "BreakerConfig":
        if self.first > self.max:
            raise Refused("`first` is longer than `max`", "make max at least first")
        return self


class TLSConfig(Closed):
    """Certificates for a backend."""

    ca: PathText | None = Field(
        default=None, description="PEM file of an authority to trust besides the system's."
    )
    cert: PathText | None = Field(default=None, description="PEM file of our client certificate.")
    key: PathText | None = Field(default=None, description="PEM file of the client certificate's key.")

    @model_validator(mode="after")
    def _pair(self) -> "TLSConfig":
        if (self.cert is None) != (self.key is None):
            raise Refused("`cert` and `key` go together", "give both or neither")
        return self


def _egress(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _reachable(value: Any) -> Any:
    """Check one entry of `egress`: public, an address, a network, or a host with or without a port."""
    if not isinstance(value, str) or value == "public":
        return value
    try:
        ipaddress.ip_network(value, strict=True)
    except ValueError:
        host, _, port = value.rpartition(":") if value.count(":") == 1 else (value, "", "")
        numeric = re.fullmatch(r"[0-9./:]+", value) is not None
        if numeric and "/" not in value and port:
            numeric = False
        good_port = not port or (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536)
        if numeric or not good_port or not _HOST.fullmatch(host):
            raise Refused(
                "not a destination", "write public, an address, a network (10.0.0.0/8), a host, or host:port"
            ) from None
    return value


def _server(value: Any) -> Any:
    if not isinstance(value, str) or _SERVER.fullmatch(value):
        return value
    if "@" in value:
        raise Refused("a server's URL carries no credentials", "put them into `auth`", masked=True)
    raise Refused(
        "not the URL of a server",
        "write https://host/base, kafka://host:9092,host2:9092 or amqp://host:5672/vhost, "
        "without query and fragment",
    )


Destination = Annotated[str, BeforeValidator(_reachable)]
Server = Annotated[
    str,
    BeforeValidator(_server),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^{_SERVER.pattern}$",
            "examples": ["https://shop.example/v1", "kafka://one:9092,two:9092", "amqp://mq:5672/orders"],
        }
    ),
]
_EGRESS_ITEM: Final[dict[str, Any]] = {
    "type": "string",
    "examples": ["public", "10.0.0.0/8", "127.0.0.1", "shop.internal"],
}


Egress = Annotated[
    tuple[Destination, ...],
    BeforeValidator(_egress),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_EGRESS_ITEM, {"type": "array", "items": _EGRESS_ITEM, "minItems": 1}]}),
]


ParameterValue = StrictBool | StrictInt | str | SecretStr
"""The value of a connection parameter: plain, or a reference where it is secret."""


class EventsConfig(Closed):
    """How messages to a bus are written as CloudEvents."""

    mode: Literal["binary", "structured", "none"] = Field(
        default="binary",
        description="binary: attributes as headers; structured: one JSON document; none: no CloudEvents.",
    )
    prefix: Literal["ce-", "cloudEvents_", "cloudEvents:"] = Field(
        default="ce-", description="For RabbitMQ only: what begins the names of the headers."
    )
    source: str = Field(
        default="/pointsman", min_length=1, description="The event's source where a call names none."
    )


class ValidateConfig(Closed):
    """What follows when a call or an answer does not fit the description."""

    arguments: Literal["off", "warn", "reject"] = Field(
        default="warn", description="Before the call: nobody looks, it is told, or the call is refused."
    )
    answers: Literal["off", "warn"] = Field(
        default="warn", description="After the call: nobody looks, or it is told."
    )


def _validate(value: Any) -> Any:
    if isinstance(value, str):
        return {"arguments": value, "answers": "warn" if value == "reject" else value}
    return value


def _short_validate(schema: dict[str, Any]) -> None:
    reference = schema.pop("$ref", None)
    inner = [{"$ref": reference}] if reference else schema.pop("allOf", [])
    schema["anyOf"] = [{"enum": ["off", "warn", "reject"]}, *inner]


class ConnectionConfig(Closed):
    """A connector plus where it lives, how to log in, and what it bears."""

    connector: Name = Field(description="Name of the connector.")
    server: Server | None = Field(
        default=None, description="Base URL, or the brokers; absent: the description's first server."
    )
    variables: dict[str, str] = Field(default={}, description="Values for the variables of the server's URL.")
    auth: LoginConfig | None = Field(
        default=None,
        description="How to log in; absent: as the connection parameters tell, or not at all.",
    )
    parameters: dict[str, ParameterValue] = Field(
        default={}, description="Values of the description's connection parameters or variables, by name."
    )
    parameter_set: str | None = Field(
        default=None,
        min_length=1,
        description="Which of the description's sets of connection parameters is meant.",
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="How hard the backend may be used.")
    egress: Egress = Field(
        default=("public",),
        description="What may be called: `public`, or a list of public, addresses, networks and hosts. "
        "Private addresses are refused unless listed here.",
    )
    breaker: BreakerConfig = Field(default=BreakerConfig(), description="When the backend counts as down.")
    hold: StrictBool = Field(
        default=True,
        description="Whether 401 and 403, after one fresh login, hold all deliveries of this connection.",
    )
    tls: TLSConfig | None = Field(
        default=None, description="Certificates; absent: the system's authorities alone."
    )
    events: EventsConfig = Field(
        default=EventsConfig(), description="For Kafka and RabbitMQ: how CloudEvents are written."
    )
    validate_: Annotated[ValidateConfig, BeforeValidator(_validate)] = Field(
        default=ValidateConfig(),
        alias="validate",
        description="Whether calls and answers are compared with the description: off, warn or reject.",
        examples=["reject", {"arguments": "reject", "answers": "off"}],
        json_schema_extra=_short_validate,
    )
    engine: Literal["pyreqwest", "httpx", "direct"] = Field(
        default="pyreqwest",
        description="The HTTP client below: pyreqwest, direct (asyncio's own transports) or httpx (slow).",
    )


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
