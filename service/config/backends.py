"""Connections as they stand in the files: places, logins, limits."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from service.config.closed import Closed
from service.config.logins import LoginConfig
from service.config.values import (
    Duration,
    Name,
    PathText,
    RateText,
    Refused,
    Size,
)

_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?", re.IGNORECASE)
_SERVER: Final = re.compile(r"(https?|kafka|kafka-secure|amqps?)://[^/@\s?#]+(/[^@\s?#]*)?")


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
        answers = {"answers": value} if value in ("off", "warn") else {}
        return {"arguments": value, **answers}
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
