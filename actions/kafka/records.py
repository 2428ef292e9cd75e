"""Turns a composed message into a Kafka record. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actions.arguments import leaf
from actions.cloudevents import KAFKA_PREFIX, STRUCTURED_TYPE, EventStyle, completed, document, headers
from actions.errors import Refused
from actions.publishing import Outgoing

MAX_RECORD_BYTES: Final = 16 << 20
"""No record is larger, whatever its topic allows: it is held in memory, more than once."""

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class Record(msgspec.Struct, frozen=True):
    """What is sent. `partition` None leaves the choice to the key."""

    topic: str
    partition: int | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None

    def with_attempt(self, attempt: Mapping[str, str]) -> "Record":
        """Return the record with the headers of one attempt; they win over those of the arguments."""
        kept = tuple(pair for pair in self.headers if pair[0] not in attempt)
        ours = tuple((name, value.encode()) for name, value in attempt.items())
        return Record(self.topic, self.partition, self.key, (*kept, *ours), self.value)

    @property
    def size(self) -> int:
        """How many bytes it holds, about."""
        parts = sum(len(name) + len(value) for name, value in self.headers)
        return parts + len(self.key or b"") + len(self.value or b"")


def make_record(outgoing: Outgoing, style: EventStyle, *, operation: str, key: str) -> Record:
    """Return the record of a message. Raise Refused with everything that Kafka would not take."""
    problems: list[tuple[str, str]] = []
    topic = outgoing.address or ""
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        problems.append(
            ("", f"{topic[:60]!r} is no name of a topic: A-Z, a-z, 0-9, '.', '_' and '-', up to 249")
        )
    if outgoing.body is None and outgoing.key is None:
        problems.append(("/body", "there is neither a body nor a key: a tombstone needs a key"))
    given = [pair for name, value in outgoing.headers for pair in _header(name, value)]
    value, content_type = outgoing.body, outgoing.content_type
    event: tuple[tuple[str, str], ...] = ()
    if outgoing.attributes is not None and style.mode != "none":
        attributes = completed(outgoing.attributes, id_=key, source=style.source, type_=operation)
        if style.mode == "structured":
            value, content_type = document(attributes, value, content_type), STRUCTURED_TYPE
        else:
            event = headers(attributes, KAFKA_PREFIX)
    if content_type:
        given = [pair for pair in given if pair[0].lower() != "content-type"]
        event = (*event, ("content-type", content_type))
    whole = (*given, *((name, text.encode()) for name, text in event))
    record = Record(topic, outgoing.partition, outgoing.key, whole, value)
    if record.size > MAX_RECORD_BYTES:
        problems.append(("/body", f"the record is larger than {MAX_RECORD_BYTES >> 20} MiB"))
    if problems:
        raise Refused(
            f"{operation} cannot be published: " + "; ".join(text for _, text in problems), tuple(problems)
        )
    return record


def _header(name: str, value: Any) -> list[tuple[str, bytes]]:
    """Return the headers of one name: a list is as many headers, an object is JSON."""
    if isinstance(value, list):
        return [pair for one in value for pair in _header(name, one)]
    if isinstance(value, dict):
        return [(name, msgspec.json.encode(value))]
    text = leaf(value)
    return [] if text is None else [(name, text.encode("utf-8", "replace"))]
