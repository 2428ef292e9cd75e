"""Makes a trigger message, or a reject, of one Kafka record. Pure.

Nothing of a record is taken for UTF-8: keys and header values may be any bytes and are shown as text where
they are text, else as `{"base64": …}`. What cannot become a message keeps its bytes as a reject, and the
partition goes on.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from triggers.base import Expression, Reject
from triggers.cloudevents_kafka import PREFIX, Headers, content_type_of, decode, mode_of
from triggers.credentials import is_credential
from triggers.errors import BadEvent
from triggers.expressions import expressed
from triggers.kafka.decoders import Decoded, Decoder
from triggers.message import TriggerMessage

TYPE: Final = "kafka.record"
"""The type of a message that is no CloudEvent."""


class Record(Protocol):
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Decoding:
    """Decodes the records of one source. `cloudevents` says whether a record may be one."""

    def __init__(
        self,
        *,
        source: str,
        decoder: Decoder,
        cloudevents: bool,
        expressions: Mapping[str, Expression],
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._cloudevents = cloudevents
        self._expressions = dict(expressions)
        self._second = -1
        self._stem = ""

    def decode(self, record: Record, ids: str) -> TriggerMessage | Reject:
        """Return the message. `ids` is what the ids of this partition's records begin with."""
        value, fields = record.value, record.headers
        meta: dict[str, Any] = {
            "kind": "kafka",
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "headers": _headers(fields) if fields else {},
        }
        if record.key is not None:
            meta["key"] = shown(record.key)
        if value is None:
            meta["tombstone"] = True
        try:
            message = self._message(record, ids, fields, meta)
            return expressed(message, self._expressions) if self._expressions else message
        except BadEvent as bad:
            return Reject(reason=bad.reason, detail=bad.detail, data=value or b"", meta=meta)

    def _message(self, record: Record, ids: str, fields: Headers, meta: dict[str, Any]) -> TriggerMessage:
        value = record.value
        content_type = content_type_of(fields) if fields else ""
        if fields and self._cloudevents:
            mode = mode_of(fields, content_type)
            if mode is not None:
                event = decode(fields, content_type, value, mode)
                if mode == "binary":  # they are attributes now
                    kept = {
                        name: text for name, text in meta["headers"].items() if not name.startswith(PREFIX)
                    }
                    meta["headers"] = kept
                return msgspec.structs.replace(event, meta=meta)
        if content_type and not (content_type.isascii() and content_type.isprintable()):
            content_type = ""
        form, data, stated = self._decoder(value, content_type) if value is not None else _TOMBSTONE
        return TriggerMessage(
            id=f"{ids}{record.offset}",
            source=self._source,
            type=TYPE,
            time=self._time(record.timestamp),
            datacontenttype=stated,
            format=form,
            data=data,
            meta=meta,
        )

    def _time(self, timestamp: int) -> str | None:
        """Return a record's timestamp (milliseconds) as RFC 3339; None when it cannot be written so."""
        second, rest = divmod(timestamp, 1000)
        if second != self._second:
            if timestamp < 0:
                return None
            try:
                stem = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            except (ValueError, OverflowError, OSError):
                return None
            self._second, self._stem = second, stem
        return f"{self._stem}.{rest:03}Z"


_TOMBSTONE: Final[Decoded] = Decoded("none", None, None)


def shown(raw: bytes) -> str | dict[str, str]:
    """Return bytes as people see them: the text they are, or base64."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _headers(fields: Headers) -> dict[str, Any]:
    """Return the headers by name, a repeated one as a list; credentials are left out."""
    found: dict[str, Any] = {}
    repeated: set[str] = set()
    for name, raw in fields:
        if is_credential(name.lower()):
            continue
        value = None if raw is None else shown(raw)
        if name not in found:
            found[name] = value
        elif name in repeated:
            found[name].append(value)
        else:
            repeated.add(name)
            found[name] = [found[name], value]
    return found
