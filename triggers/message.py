"""The trigger message: one CloudEvents 1.0 event as it was stored, plus what the transport knew.

Pure. Nothing here reads a socket or a clock; nothing here knows where messages are kept.
"""

import base64
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

DataFormat = Literal["json", "form", "text", "binary", "none"]
"""How rules see `data`: decoded JSON, a form's fields, text, `data_base64`, or not at all."""

CONTEXT_ATTRIBUTES: Final = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
)
"""The attributes that CloudEvents 1.0 defines itself; every other one is an extension."""

_decode_json: Final = msgspec.json.Decoder().decode


class TriggerMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. `data` holds the bytes exactly as they came; `format` says how rules see them.

    `source` is the CloudEvents attribute, not the name of the configured source. `time` is RFC 3339
    text as it came. `extensions` holds the CloudEvents extension attributes; `meta` what the transport
    knew, never a credential.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, Any] = {}
    format: DataFormat = "none"
    data: bytes | None = None
    meta: dict[str, Any] = {}


def decode_data(message: TriggerMessage) -> Any:
    """Return `data` as rules see it (JSON value, form object, text), or None when there is none.

    Never raises for a message that was accepted: its bytes were checked before. A form field that
    stands once is a string, one that stands several times a list.
    """
    if message.data is None or message.format in ("none", "binary"):
        return None
    if message.format == "json":
        return _decode_json(message.data)
    if message.format == "text":
        return message.data.decode("utf-8")
    return decode_form(message.data)


def decode_form(body: bytes) -> dict[str, Any]:
    """Return the fields of an `application/x-www-form-urlencoded` body; a repeated field is a list."""
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10_000):
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def head(message: TriggerMessage) -> dict[str, Any]:
    """Return the JSON object that rules see, without `data`: attributes, extensions and `meta`."""
    seen: dict[str, Any] = {
        **message.extensions,
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.type,
        "meta": message.meta,
    }
    if message.subject is not None:
        seen["subject"] = message.subject
    if message.time is not None:
        seen["time"] = message.time
    if message.datacontenttype is not None:
        seen["datacontenttype"] = message.datacontenttype
    if message.dataschema is not None:
        seen["dataschema"] = message.dataschema
    return seen


def document(message: TriggerMessage) -> dict[str, Any]:
    """Return the one JSON object that rules and expressions see (`DESIGN.md` §5)."""
    seen = head(message)
    if message.format == "binary":
        seen["data_base64"] = base64.b64encode(message.data or b"").decode("ascii")
    elif message.data is not None and message.format != "none":
        seen["data"] = decode_data(message)
    return seen
