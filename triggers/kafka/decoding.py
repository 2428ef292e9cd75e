"""Makes a trigger message, or a reject, of one Kafka record. Pure.

Nothing of a record is taken for UTF-8: keys and header values may be any bytes and are shown as text where
they are text, else as `{"base64": …}`. What cannot become a message keeps its bytes as a reject, and the
partition goes on.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from triggers.base import Expression, Item, Reject
from triggers.cloudevents_kafka import PREFIX, Headers, Mode, content_type_of, decode, mode_of
from triggers.credentials import is_credential
from triggers.errors import BadEvent
from triggers.expressions import expressed
from triggers.kafka.decoders import Decoded, Decoder
from triggers.kafka.offsets import Partition
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

    def decode(self, records: Iterable[Record], partition: Partition, ids: str) -> list[Item]:
        """Return a message for each record of a partition; `ids` is what their ids begin with."""
        return list(self.each(records, partition, ids))

    def each(self, records: Iterable[Record], partition: Partition, ids: str) -> Iterator[Item]:
        """Give a message for each record, one by one."""
        topic, number = partition
        plain, decoder, source = not self._expressions, self._decoder, self._source
        last, time = -1, None
        for record in records:
            value, fields, offset, timestamp = record.value, record.headers, record.offset, record.timestamp
            if timestamp != last:
                last, time = timestamp, self._written(timestamp)
            meta: dict[str, Any] = {
                "kind": "kafka",
                "topic": topic,
                "partition": number,
                "offset": offset,
                "timestamp": timestamp,
                "headers": _headers(fields) if fields else {},
            }
            if record.key is not None:
                meta["key"] = shown(record.key)
            try:
                if fields or value is None:
                    yield self._special(record, f"{ids}{offset}", time, meta)
                    continue
                form, data, stated = decoder(value, "")
                message = TriggerMessage(
                    id=f"{ids}{offset}",
                    source=source,
                    type=TYPE,
                    time=time,
                    datacontenttype=stated,
                    format=form,
                    data=data,
                    meta=meta,
                )
                yield message if plain else expressed(message, self._expressions)
            except BadEvent as bad:
                yield Reject(reason=bad.reason, detail=bad.detail, data=value or b"", meta=meta)

    def _special(
        self, record: Record, identity: str, time: str | None, meta: dict[str, Any]
    ) -> TriggerMessage:
        """Return the message of a record that has headers, or no value. Raise BadEvent."""
        value, fields = record.value, record.headers
        content_type = content_type_of(fields)
        if value is None:
            meta["tombstone"] = True
        mode = mode_of(fields, content_type) if self._cloudevents else None
        if mode is not None:
            message = _event(fields, content_type, value, mode, meta)
        else:
            stated = content_type if content_type.isascii() and content_type.isprintable() else ""
            form, data, kind = _TOMBSTONE if value is None else self._decoder(value, stated)
            message = TriggerMessage(
                id=identity,
                source=self._source,
                type=TYPE,
                time=time,
                datacontenttype=kind,
                format=form,
                data=data,
                meta=meta,
            )
        return expressed(message, self._expressions) if self._expressions else message

    def _written(self, timestamp: int) -> str | None:
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


_TOMBSTONE: Final[Decoded] = ("none", None, None)


def _event(
    fields: Headers, content_type: str, value: bytes | None, mode: Mode, meta: dict[str, Any]
) -> TriggerMessage:
    """Return the CloudEvent of a record, with `meta`. Raise BadEvent."""
    event = decode(fields, content_type, value, mode)
    if mode == "binary":  # they are attributes now
        kept = {name: shown for name, shown in meta["headers"].items() if not name.startswith(PREFIX)}
        meta["headers"] = kept
    return msgspec.structs.replace(event, meta=meta)


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
