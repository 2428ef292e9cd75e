"""The CloudEvents 1.0 Kafka binding, both ways. Pure.

Kafka has no batched mode. Header values are UTF-8 as they are, without percent-encoding. A record's key is no
attribute and no attribute is made of it; whoever sends chooses the key.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from triggers import cloudevents
from triggers.bodies import MAX_DEPTH
from triggers.errors import BadEvent
from triggers.message import TriggerMessage

Mode = Literal["binary", "structured"]

Headers = Sequence[tuple[str, bytes | None]]
"""The headers of a record as they came: names may repeat, values may be any bytes or null."""

PREFIX: Final = "ce_"
_REQUIRED: Final = frozenset({"ce_id", "ce_source", "ce_type", "ce_specversion"})


class Encoded(NamedTuple):
    """What a record carries for an event. `value` is None, a tombstone, where a binary event has no data."""

    headers: list[tuple[str, bytes]]
    value: bytes | None


def content_type_of(headers: Headers) -> str:
    """Return the Content-Type of a record, "" when it has none. The last one counts; case does not."""
    for name, value in reversed(headers):
        if value and len(name) == 12 and name.lower() == "content-type":
            return value.decode("utf-8", "replace")
    return ""


def mode_of(headers: Headers, content_type: str) -> Mode | None:
    """Return how a record carries a CloudEvent; None when it is none. `content_type` is that of the record.

    A Content-Type of CloudEvents decides; otherwise it is one in binary mode when every required attribute is
    there.
    """
    if content_type[:23].lower() == "application/cloudevents":
        return "structured"
    present = {name for name, _ in headers}
    return "binary" if present >= _REQUIRED else None


def decode(
    headers: Headers, content_type: str, value: bytes | None, mode: Mode, *, max_depth: int = MAX_DEPTH
) -> TriggerMessage:
    """Return the event of a record, without `meta`.

    Raise BadEvent: `invalid-cloudevent`, `unsupported-format`, or what `bodies` says of the data.
    """
    if mode == "structured":
        if content_type[23:29].lower() == "-batch":
            raise BadEvent("unsupported-format", "there are no batches of CloudEvents in a Kafka record")
        (event,) = cloudevents.decode(
            {"content-type": content_type}, value or b"", "structured", max_depth=max_depth
        )
        return event
    attributes: dict[str, str] = {}
    problems = []
    for name, raw in headers:
        if not name.startswith(PREFIX) or name == "ce_datacontenttype" or raw is None:
            continue
        if name[3:] in attributes:
            problems.append(f"{name[:40]} stands more than once")
        try:
            attributes[name[3:]] = raw.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(f"{name[:40]} is not UTF-8")
            attributes[name[3:]] = raw.decode("utf-8", "replace")
    if content_type:
        attributes["datacontenttype"] = content_type
    return cloudevents.from_attributes(attributes, value or b"", problems=problems, max_depth=max_depth)


def encode(event: TriggerMessage, mode: Mode) -> Encoded:
    """Return the headers and the value of a record that carries the event.

    Raise ValueError with everything that the specification does not allow.
    """
    if mode == "structured":
        headers, value = cloudevents.encode(event, "structured")
        return Encoded([("content-type", headers["content-type"].encode("ascii"))], value)
    attributes = cloudevents.to_attributes(event)
    content_type = attributes.pop("datacontenttype", "")
    fields = [(PREFIX + name, text.encode("utf-8")) for name, text in attributes.items()]
    if content_type:
        fields.append(("content-type", content_type.encode("ascii")))
    return Encoded(fields, event.data)
