"""Turns one delivery of a queue into a message, or into a reject that keeps its bytes. Pure.

Nothing that a publisher can write makes this raise: what cannot become a message is a Reject with its reason.
"""

import base64
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from triggers.base import Expression, Reject
from triggers.bodies import (
    check_charset,
    format_of,
    looks_like,
    read_body,
    stated_type,
)
from triggers.cloudevents_amqp import Dialect, decode_binary, decode_structured, dialect_of, is_structured
from triggers.credentials import is_credential
from triggers.errors import BadEvent
from triggers.expressions import expressed
from triggers.message import DataFormat, TriggerMessage
from triggers.rabbitmq.config import RabbitMQConfig

MESSAGE_TYPE: Final = "rabbitmq.message"
"""The type of a message that says no other."""

OFFSET: Final = "x-stream-offset"
"""The header in which a stream says where a message stands."""

ID_BYTES: Final = 16

_PLAIN: Final = frozenset({"", "identity", "utf-8", "utf8", "us-ascii", "ascii", "8bit", "7bit", "binary"})
"""Values of content_encoding that leave the body as it is; some clients write the charset there."""


class Properties(Protocol):
    """What a publisher says of a message beside its body; None is not said."""

    content_type: str | None
    content_encoding: str | None
    headers: dict[str, Any] | None
    priority: int | None
    correlation_id: str | None
    reply_to: str | None
    expiration: str | None
    message_id: str | None
    timestamp: Any
    message_type: str | None
    user_id: str | None
    app_id: str | None


class Delivery(msgspec.Struct, frozen=True):
    """One message as the broker handed it over."""

    body: bytes
    properties: Properties
    exchange: str
    routing_key: str
    redelivered: bool


class Decoder:
    """Decodes the deliveries of one source."""

    def __init__(
        self,
        name: str,
        config: RabbitMQConfig,
        *,
        expressions: Mapping[str, Expression],
        random: Callable[[int], bytes],
    ) -> None:
        self._source = f"/sources/{name}"
        self._queue = config.queue
        self._stream = config.reads_stream is not None
        self._max = config.max_message
        self._only_events = config.body == "cloudevents"
        self._form: DataFormat | None = _FIXED_FORMS.get(config.body)
        self._expressions = dict(expressions)
        self._random = random

    def decode(self, delivery: Delivery) -> TriggerMessage | Reject:
        """Return the message that a delivery is, or the reject."""
        properties = delivery.properties
        headers = properties.headers or {}
        try:
            if self._form is not None:
                return self._plain(delivery, headers)
            content_type = properties.content_type
            if is_structured(content_type):
                self._check(delivery, "json")
                event = decode_structured(readable(content_type or ""), delivery.body)
                return msgspec.structs.replace(event, meta=self._meta(delivery, headers))
            dialect = dialect_of(headers)
            if dialect is not None:
                content_type = readable(content_type) if content_type else None
                self._check(delivery, format_of(content_type) if content_type else "binary")
                event = decode_binary(headers, content_type, delivery.body, dialect)
                return msgspec.structs.replace(event, meta=self._meta(delivery, headers, dialect))
            return self._plain(delivery, headers)
        except BadEvent as bad:
            meta = self._meta(delivery, headers)
            return Reject(reason=bad.reason, detail=bad.detail, data=delivery.body, meta=meta)

    def _plain(self, delivery: Delivery, headers: dict[str, Any]) -> TriggerMessage:
        """Return the message of a delivery that is no CloudEvent. Raise BadEvent."""
        if self._only_events:
            raise BadEvent("invalid-cloudevent", "the message carries no CloudEvent")
        properties, body = delivery.properties, delivery.body
        content_type = readable(properties.content_type) if properties.content_type else None
        form = self._form or (format_of(content_type) if content_type else looks_like(body))
        if not body and form != "json":
            form = "none"  # an empty text or form says nothing; empty JSON is not JSON
        self._check(delivery, form)
        if content_type and form in ("json", "form", "text"):
            check_charset(content_type)
        read_body(body, form)
        meta = self._meta(delivery, headers)
        message = TriggerMessage(
            id=self._identity(properties, headers),
            source=self._source,
            type=MESSAGE_TYPE,
            time=meta.get("timestamp") if isinstance(properties.timestamp, datetime) else None,
            datacontenttype=stated_type(content_type, form),
            format=form,
            data=None if form == "none" else body,
            meta=meta,
        )
        return expressed(message, self._expressions) if self._expressions else message

    def _check(self, delivery: Delivery, form: DataFormat) -> None:
        """Raise BadEvent for what is too large, or packed in a way that hides what it is."""
        if len(delivery.body) > self._max:
            raise BadEvent(
                "too-large", f"{len(delivery.body)} bytes; the source takes {self._max} (max_message)"
            )
        encoding = delivery.properties.content_encoding
        if encoding and form != "binary" and encoding.lower() not in _PLAIN:
            raise BadEvent(
                "unsupported-encoding",
                f"content_encoding is {readable(encoding)[:40]!a}; send the body as it is",
            )

    def _identity(self, properties: Properties, headers: Mapping[str, Any]) -> str:
        """Return the publisher's message_id, else the offset of a stream, else what nobody has had before."""
        named = properties.message_id
        if named:
            if not named.isprintable():  # lone surrogates, too: bytes that are not UTF-8
                raise BadEvent(
                    "invalid-message-id",
                    f"message_id is not UTF-8 or not printable: {readable(named)[:80]!a}",
                )
            return named
        if self._stream:
            return f"{self._queue}:{headers.get(OFFSET)}"
        return self._random(ID_BYTES).hex()

    def _meta(
        self, delivery: Delivery, headers: dict[str, Any], dialect: Dialect | None = None
    ) -> dict[str, Any]:
        """Return what the broker knew of a message, without credentials and attributes of a CloudEvent."""
        properties = delivery.properties
        meta: dict[str, Any] = {
            "kind": "rabbitmq",
            "queue": self._queue,
            "exchange": readable(delivery.exchange),
            "routing_key": readable(delivery.routing_key),
            "redelivered": delivery.redelivered,
            "headers": {
                readable(name): value if type(value) is str and value.isascii() else as_json(value)
                for name, value in headers.items()
                if not (dialect is not None and name.startswith(dialect)) and not is_credential(name.lower())
            },
        }
        for name, key in _STATED:
            value = getattr(properties, name)
            if value is not None and value != "":
                meta[key] = readable(value) if type(value) is str else as_json(value)
        count = headers.get("x-delivery-count")
        if type(count) is int:
            meta["delivery_count"] = count
        if self._stream:
            meta["offset"] = headers.get(OFFSET)
        return meta


_STATED: Final = (
    ("message_id", "message_id"),
    ("correlation_id", "correlation_id"),
    ("reply_to", "reply_to"),
    ("timestamp", "timestamp"),
    ("message_type", "type"),
    ("app_id", "app_id"),
    ("user_id", "user_id"),
    ("priority", "priority"),
    ("expiration", "expiration"),
    ("content_encoding", "content_encoding"),
)
"""Properties, and their names in `meta`."""

_FIXED_FORMS: Final[Mapping[str, DataFormat]] = {
    "json": "json",
    "form": "form",
    "text": "text",
    "binary": "binary",
}


def readable(text: str) -> str:
    """Return text that can be written as UTF-8: bytes that were none show with a backslash, as hex."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def as_json(value: Any) -> Any:
    """Return an AMQP value as JSON.

    Times are RFC 3339 texts, decimals texts with all their digits, bytes `{"base64": …}`; a number that JSON
    has not is a text. Credentials in tables are left out.
    """
    if isinstance(value, dict):
        return {
            readable(name): as_json(member)
            for name, member in value.items()
            if not is_credential(name.lower())
        }
    if isinstance(value, list):
        return [as_json(member) for member in value]
    if isinstance(value, (bytes, bytearray)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return readable(value) if isinstance(value, str) else value
