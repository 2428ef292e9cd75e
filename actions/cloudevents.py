"""Writing CloudEvents 1.0 into the messages of a bus. Pure.

What a backend is sent is a CloudEvent so that it can tell a repeat: every attempt of a call carries the same
id. Binary mode puts the attributes into headers, structured mode makes the body one JSON document of them
(Kafka protocol binding §3, JSON event format §3). RabbitMQ has no official binding; the prefix of its headers
is the connection's choice.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from actions.arguments import Unfit, leaf
from actions.specs.model import media_kind

Mode = Literal["binary", "structured", "none"]

PREFIXES: Final = ("ce-", "cloudEvents_", "cloudEvents:")
"""What begins the name of an attribute's header in RabbitMQ: Knative's way, and AMQP 1.0's two."""
KAFKA_PREFIX: Final = "ce_"
STRUCTURED_TYPE: Final = "application/cloudevents+json; charset=utf-8"

_OURS: Final = frozenset({"specversion", "datacontenttype", "data"})
_NAME: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TIME: Final = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]+)?([Zz]|[+-][0-2][0-9]:[0-5][0-9])",
    re.ASCII,
)


class EventStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection writes events: the mode, and what `source` they have when the call names none."""

    mode: Mode = "binary"
    prefix: str = "ce-"
    source: str = "/pointsman"


def read_attributes(given: Mapping[str, Any], problems: list[tuple[str, str]]) -> dict[str, str]:
    """Return the attributes that a call gives under `event`; what is wrong goes to the problems."""
    attributes: dict[str, str] = {}
    for name, value in given.items():
        pointer = f"/event/{name}"
        if name in _OURS:
            problems.append((pointer, f"event.{name} is set by the message itself"))
            continue
        if not _NAME.fullmatch(name):
            problems.append((pointer, f"event.{name} is no name of an attribute: a-z and 0-9 only"))
            continue
        try:
            text = leaf(value)
        except Unfit as reason:
            problems.append((pointer, f"event.{name} {reason}"))
            continue
        if text is None:
            continue
        wrong = _problem(name, text)
        if wrong:
            problems.append((pointer, f"event.{name} {wrong}"))
        attributes[name] = text
    return attributes


def _problem(name: str, text: str) -> str:
    if _UNFIT.search(text):
        return "holds a character that CloudEvents do not allow"
    if not text and name in {"id", "source", "type", "subject", "time", "dataschema"}:
        return "is empty"
    if name == "time" and not _TIME.fullmatch(text):
        return "is no time as in 2026-01-31T12:00:00Z"
    return ""


def completed(given: Mapping[str, str], *, id_: str, source: str, type_: str) -> dict[str, str]:
    """Return all attributes of an event: ours, and over them those that the call gives."""
    return {"specversion": "1.0", "id": id_, "source": source, "type": type_, **given}


def headers(attributes: Mapping[str, str], prefix: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of binary mode; the body is the data as it is."""
    return tuple((f"{prefix}{name}", value) for name, value in attributes.items())


def document(attributes: Mapping[str, str], data: bytes | None, content_type: str) -> bytes:
    """Return the body of structured mode."""
    event: dict[str, Any] = dict(attributes)
    if data is not None:
        event["datacontenttype"] = content_type
        kind = media_kind(content_type)
        if kind == "json":
            event["data"] = msgspec.Raw(data)
        else:
            text = _text(data) if kind in {"text", "xml", "form"} else None
            event.update({"data_base64": base64.b64encode(data).decode()} if text is None else {"data": text})
    return msgspec.json.encode(event)


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
