"""What a RabbitMQ source can be told."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from triggers.base import SourceConfig
from triggers.quantities import Duration, Size

QueueType = Literal["classic", "quorum", "stream"]
Argument = StrictStr | Annotated[StrictInt, Field(ge=-(1 << 63), lt=1 << 63)] | StrictBool
"""A value of an argument of a queue, a binding or an exchange."""

MAX_NAME: Final = 255
"""Bytes of a short string in AMQP."""

_START: Final = re.compile(
    r"first|next|[0-9]{1,18}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _short(value: str) -> str:
    if len(value.encode("utf-8")) > MAX_NAME:
        raise ValueError(f"longer than {MAX_NAME} bytes, which AMQP does not allow")
    return value


def _queue(value: str) -> str:
    if value.startswith("amq."):
        raise ValueError(
            "a queue that the server names goes away with its connection, and so do its messages; "
            "name a queue of your own"
        )
    return _short(value)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("no address: write amqps://host:port/vhost") from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or port == 0:
        raise ValueError("no address: write amqps://host:port/vhost")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "credentials do not belong into the address: write username: and password: beside it"
        )
    if parts.query or parts.fragment:
        raise ValueError("an address has no query: heartbeat and timeout are settings of their own")
    if parts.path.count("/") > 1:
        raise ValueError("a slash in the name of a virtual host is written %2F")
    return value


def check_start(value: Any) -> Any:
    """Return where a stream may begin to be read. Raise ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _START.fullmatch(value):
        raise ValueError("write first, next, an offset, or a time such as 2026-01-31T12:00:00Z")
    if "T" in value:
        datetime.fromisoformat(value)  # raises ValueError for the 31st of February
    return value


Short = Annotated[str, AfterValidator(_short)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DeclareConfig(_Closed):
    """The queue as it shall be; made when it is not there."""

    type: QueueType = Field(default="quorum", description="The kind of queue.")
    durable: StrictBool = Field(
        default=True, description="Whether the queue outlives a restart of the broker."
    )
    arguments: dict[Short, Argument] = Field(
        default={},
        description="Further arguments of the queue.",
        examples=[{"x-dead-letter-exchange": "dead", "x-delivery-limit": 20}],
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "x-queue-type" in self.arguments:
            raise ValueError("the kind of queue is `type:`, not an argument")
        if not self.durable and self.type != "classic":
            raise ValueError(f"a {self.type} queue is always durable")
        return self


class ExchangeConfig(_Closed):
    """An exchange as it shall be; made when it is not there."""

    type: Short = Field(min_length=1, description="direct, fanout, topic, headers, or what a plugin brings.")
    durable: StrictBool = Field(default=True, description="Whether it outlives a restart of the broker.")
    arguments: dict[Short, Argument] = Field(default={}, description="Further arguments of the exchange.")


class BindingConfig(_Closed):
    """What an exchange shall put into the queue."""

    exchange: Short = Field(min_length=1, description="The exchange.")
    routing_key: Short = Field(default="", description="The routing key, or a pattern of a topic exchange.")
    arguments: dict[Short, Argument] = Field(
        default={}, description="Arguments of the binding: what a headers exchange looks at."
    )
    declare: ExchangeConfig | None = Field(
        default=None, description="The exchange as it shall be. Absent: it must be there."
    )


class StreamConfig(_Closed):
    """How a stream is read."""

    start: Annotated[str, BeforeValidator(check_start)] = Field(
        default="first",
        description="Where to begin while nothing is stored: first, next (what comes now), offset or time.",
        examples=["first", "next", "2026-01-31T12:00:00Z"],
    )
    on_gap: Literal["earliest", "latest", "stop"] = Field(
        default="earliest",
        description="How to go on when messages are gone that were not taken: with the oldest there is,"
        " with what comes next, or not before a person decides. The gap is always told.",
    )


class RabbitMQConfig(SourceConfig):
    """The messages of one RabbitMQ queue or stream."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("id", "type", "subject")

    kind: Literal["rabbitmq"] = Field(description="The messages of one RabbitMQ queue or stream.")
    url: Annotated[str, AfterValidator(_url)] = Field(
        description="Where the broker is, with the virtual host; amqps:// for TLS.",
        examples=["amqps://rabbit.example.com/shop"],
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="The user. Absent: the one of `cert` (SASL EXTERNAL) if there is one, else guest.",
    )
    password: SecretStr | None = Field(default=None, description="The user's password.")
    ca: SecretStr | None = Field(
        default=None, description="PEM certificates to trust for TLS. Absent: the system's."
    )
    cert: SecretStr | None = Field(default=None, description="Our own PEM certificate, for TLS.")
    key: SecretStr | None = Field(default=None, description="The PEM key of `cert`.")
    queue: Annotated[str, AfterValidator(_queue)] = Field(
        min_length=1, description="The queue to take messages from.", examples=["orders"]
    )
    declare: DeclareConfig | None = Field(
        default=None,
        description="The queue as it shall be, made when it is not there. Absent: it must be there.",
    )
    bindings: tuple[BindingConfig, ...] = Field(
        default=(),
        max_length=1000,
        description="What exchanges shall put into the queue; made when absent there.",
    )
    stream: StreamConfig | None = Field(
        default=None, description="Says that the queue is a stream, and how it is read."
    )
    batch: StrictInt = Field(
        default=200, ge=1, le=1000, description="Messages that are stored at once, at most."
    )
    prefetch: StrictInt | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Messages that the broker sends ahead of acknowledgement. Absent: twice `batch`.",
    )
    max_message: Size = Field(
        default=16 * 1024 * 1024,
        gt=0,
        le=512 * 1024 * 1024,
        description="The largest message; a larger one is kept as a reject.",
    )
    body: Literal["auto", "json", "form", "text", "binary", "cloudevents"] = Field(
        default="auto",
        description="How bodies are read. `auto`: as CloudEvents, by content_type, or by their looks.",
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        description="CEL: the message's id, by which repeats are known. Absent: message_id, or random.",
        examples=["data.order_id"],
    )
    type: str | None = Field(
        default=None, min_length=1, description="CEL: the message's type. Absent: rabbitmq.message."
    )
    subject: str | None = Field(default=None, min_length=1, description="CEL: the message's subject.")
    heartbeat: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="How often both sides say that they live; a broker silent for two of them is gone.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="The longest wait for an answer of the broker.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        if not self.tls and (self.ca is not None or self.cert is not None):
            raise ValueError("certificates need TLS: write amqps:// in the url")
        if self.stream is not None and self.declare is not None and self.declare.type != "stream":
            raise ValueError(f"`stream` is for streams, and `declare` says {self.declare.type}")
        if self.prefetch is not None and self.prefetch < self.batch:
            raise ValueError("prefetch is smaller than batch: a batch would never be full")
        return self

    @property
    def tls(self) -> bool:
        """Whether the connection is made with TLS."""
        return self.url.startswith("amqps:")

    @property
    def host(self) -> str:
        """The broker's host, for people."""
        return urlsplit(self.url).hostname or ""

    @property
    def vhost(self) -> str:
        """The name of the virtual host."""
        return unquote(urlsplit(self.url).path[1:]) or "/"

    @property
    def reads_stream(self) -> StreamConfig | None:
        """How the stream is read; None when the queue is none."""
        if self.stream is None and self.declare is not None and self.declare.type == "stream":
            return StreamConfig()
        return self.stream

    @property
    def ahead(self) -> int:
        """How many messages the broker sends ahead of acknowledgement."""
        return self.prefetch or 2 * self.batch
