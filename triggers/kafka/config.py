"""The configuration of a Kafka source. Pure: nothing is connected."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt, model_validator

from triggers.base import SourceConfig
from triggers.kafka.decoders import DECODERS
from triggers.kafka.offsets import moment
from triggers.quantities import Duration, Size

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\],]+):([0-9]{1,5})", re.ASCII)
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


def _server(value: str) -> str:
    match = _SERVER.fullmatch(value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("write host:port, for example 127.0.0.1:9092, without a scheme")
    return value


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value) or value in (".", ".."):
        raise ValueError("a topic has 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _start(value: str) -> str:
    moment(value)
    return value


def _decoder(value: str) -> str:
    if value not in DECODERS:
        raise ValueError(f"there is no such decoder; there are: {', '.join(DECODERS)}")
    return value


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SASLConfig(_Closed):
    """How to log in."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        description="How the password is proven. PLAIN sends it: use TLS with it."
    )
    username: str = Field(min_length=1, max_length=256, description="The user.")
    password: SecretStr = Field(min_length=1, description="The password.")


class TLSConfig(_Closed):
    """How to encrypt, whom to trust and who we are."""

    ca: SecretStr | None = Field(
        default=None, description="Certificates of authorities to trust beside the system's, as PEM text."
    )
    cert: SecretStr | None = Field(default=None, description="Our certificate, as PEM text.")
    key: SecretStr | None = Field(default=None, description="Its private key, as PEM text, not encrypted.")
    verify_hostname: bool = Field(
        default=True, description="Whether the broker's certificate must name the host that is connected to."
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` belong together: give both or none")
        return self


class KafkaConfig(SourceConfig):
    """Records of Kafka topics, read as a member of a consumer group."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("id", "type", "subject")

    kind: Literal["kafka"] = Field(description="Records of Kafka topics.")
    servers: tuple[Annotated[str, AfterValidator(_server)], ...] = Field(
        min_length=1,
        max_length=64,
        description="Brokers to begin with, as host:port; the others are learnt from them.",
        examples=[["127.0.0.1:9092"]],
    )
    topics: tuple[Annotated[str, AfterValidator(_topic)], ...] = Field(
        default=(),
        max_length=1000,
        description="The topics. Either these or `pattern`.",
        examples=[["orders"]],
    )
    pattern: Annotated[str, AfterValidator(_pattern)] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="A regular expression that the whole name of a topic matches; new topics count.",
        examples=["orders\\..*"],
    )
    group: str = Field(
        default="pointsman",
        min_length=1,
        max_length=249,
        description="The consumer group: its members share the partitions, each is read by one of them.",
    )
    start: Annotated[str, AfterValidator(_start)] = Field(
        default="earliest",
        description="Where a topic begins that was never read: earliest, latest or an RFC 3339 time.",
        examples=["latest", "2026-11-21T08:00:00Z"],
    )
    on_gap: Literal["earliest", "latest", "stop"] = Field(
        default="earliest",
        description="How to go on when records are gone that were not taken: with the oldest there is,"
        " with what comes next, or not before a person decides. The gap is always told.",
    )
    decode: Annotated[str, AfterValidator(_decoder)] = Field(
        default="auto",
        description="How values are read: auto, cloudevents, json, text or bytes.",
        json_schema_extra={"enum": list(DECODERS)},
    )
    deduplicate: bool = Field(
        default=False,
        description="Whether a message that has the id of an earlier one is a repeat, at any offset.",
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        description="CEL: the message's id, by which repeats are known then. Absent: its place in the log.",
        examples=["data.event_id"],
    )
    type: str | None = Field(
        default=None, min_length=1, description="CEL: the message's type. Absent: kafka.record."
    )
    subject: str | None = Field(default=None, min_length=1, description="CEL: the message's subject.")
    isolation: Literal["read_committed", "read_uncommitted"] = Field(
        default="read_committed", description="Whether records of open and aborted transactions are read."
    )
    batch: StrictInt = Field(
        default=500, ge=1, le=1000, description="Most records that are stored in one transaction."
    )
    max_fetch: Size = Field(
        default=1024 * 1024,
        ge=1024,
        le=256 * 1024 * 1024,
        description="Most bytes that are fetched of a partition at once; a larger record comes alone.",
    )
    sasl: SASLConfig | None = Field(default=None, description="How to log in. Absent: not at all.")
    tls: TLSConfig | None = Field(default=None, description="How to encrypt. Absent: not at all.")
    assignor: Literal["roundrobin", "range", "sticky"] = Field(
        default="roundrobin",
        description="How partitions are shared out; all members of a group must have one in common.",
    )
    session_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="How long this member may be silent before others get its partitions.",
    )
    rebalance_timeout: Duration = Field(
        default=timedelta(seconds=60),
        description="How long the group waits for this member to finish what it is storing.",
    )
    request_timeout: Duration = Field(
        default=timedelta(seconds=10), description="How long a broker may take for an answer."
    )
    unreachable_after: Duration = Field(
        default=timedelta(seconds=20),
        description="How long the cluster may be out of reach before the source begins anew.",
    )
    refresh: Duration = Field(
        default=timedelta(seconds=30), description="How often to look for new topics and partitions."
    )

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if bool(self.topics) == (self.pattern is not None):
            raise ValueError("give either `topics` or `pattern`")
        if len(set(self.topics)) != len(self.topics):
            raise ValueError("a topic stands twice")
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not timedelta(seconds=low) <= value <= timedelta(seconds=high):
                raise ValueError(f"`{name}` is from {low}s to {high}s")
        return self


_BOUNDS: Final = (
    ("session_timeout", 1, 1800),
    ("rebalance_timeout", 1, 1800),
    ("request_timeout", 1, 300),
    ("unreachable_after", 1, 3600),
    ("refresh", 1, 3600),
)
