"""How the value of a record is read, by the name that `decode:` gives. Pure.

A decoder checks the bytes and says how rules see them; the ones here leave them as they came. One that has to
turn them into JSON first (Avro, Protobuf) is one file more and one line in `DECODERS`.
"""

from pkgutil import resolve_name
from typing import Final, Protocol

from triggers.bodies import (
    check_charset,
    format_of,
    is_json,
    looks_like,
    media_type,
    read_body,
    read_json,
    read_text,
)
from triggers.errors import BadEvent
from triggers.message import DataFormat

Decoded = tuple[DataFormat, bytes | None, str | None]
"""How rules see the data of a message, the data, and its Content-Type where one is known."""


class Decoder(Protocol):
    """Reads the value of a record that is no tombstone."""

    def __call__(self, value: bytes, content_type: str) -> Decoded:
        """Return the data. `content_type` is the record's header, "" when there is none. Raise BadEvent."""


DECODERS: Final[dict[str, str]] = {
    "auto": "triggers.kafka.decoders:auto",
    "cloudevents": "triggers.kafka.decoders:nothing_else",
    "json": "triggers.kafka.decoders:json",
    "text": "triggers.kafka.decoders:text",
    "bytes": "triggers.kafka.decoders:octets",
}
"""Registry: name → "module:function", resolved when a source opens."""

READS_CLOUDEVENTS: Final = frozenset({"auto", "cloudevents"})
"""Decoders before which a record is looked at as a CloudEvent."""


def decoder(name: str) -> Decoder:
    """Return a decoder of the registry."""
    found: Decoder = resolve_name(DECODERS[name])
    return found


def auto(value: bytes, content_type: str) -> Decoded:
    """Read by the Content-Type; without one an object or array is JSON, UTF-8 is text, the rest binary."""
    if not value and not is_json(media_type(content_type)):
        return ("none", None, None)
    if content_type:
        form = format_of(content_type)
        if form != "binary":
            check_charset(content_type)
            read_body(value, form)
        return (form, value, content_type)
    form = looks_like(value)
    return (form, value, "application/json" if form == "json" else None)


def nothing_else(value: bytes, content_type: str) -> Decoded:
    """Refuse every record that is no CloudEvent."""
    del value, content_type
    raise BadEvent("invalid-cloudevent", "the record carries no CloudEvent")


def json(value: bytes, content_type: str) -> Decoded:
    """Read JSON of any kind, whatever the Content-Type says."""
    read_json(value)
    stated = content_type if is_json(media_type(content_type)) else "application/json"
    return ("json", value, stated)


def text(value: bytes, content_type: str) -> Decoded:
    """Read UTF-8 text."""
    if not value:
        return ("none", None, None)
    read_text(value)
    return ("text", value, content_type or None)


def octets(value: bytes, content_type: str) -> Decoded:
    """Take the bytes for what they are."""
    return ("binary", value, content_type or None) if value else ("none", None, None)
