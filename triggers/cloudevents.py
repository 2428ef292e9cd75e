"""The CloudEvents 1.0 HTTP binding and JSON format, both ways. Pure.

Decoding keeps what came: attributes, extensions that nobody knows, the exact bytes of `data`. A broken event
is a BadEvent that lists all of its problems; of a batch with a broken event nothing is taken. Encoding
refuses what the specification does not allow. What is not a CloudEvent is none of this module's business.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from triggers.bodies import (
    MAX_DEPTH,
    check_charset,
    format_of,
    is_json,
    media_type,
    read_body,
    read_json,
)
from triggers.errors import BadEvent
from triggers.message import CONTEXT_ATTRIBUTES, DataFormat, TriggerMessage

Mode = Literal["binary", "structured", "batched"]

STRUCTURED_TYPE: Final = "application/cloudevents+json"
BATCHED_TYPE: Final = "application/cloudevents-batch+json"

_REQUIRED: Final = ("id", "source", "type", "specversion")
_REQUIRED_HEADERS: Final = tuple(f"ce-{name}" for name in _REQUIRED)
_NAME: Final = re.compile(r"[a-z0-9]+", re.ASCII)
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Characters that a CloudEvents String must not contain."""
_TIME: Final = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])",
    re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_UNQUOTED_BYTES: Final = "!#$&'()*+,/:;=?@[]<>\\^`{|}~-._"
"""What a header value carries as it is beside letters and digits: U+0021 to U+007E without `"` and `%`."""

_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_events: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value: Final = msgspec.json.Decoder().decode
_encode_value: Final = msgspec.json.Encoder().encode


def mode_of(headers: Mapping[str, str]) -> Mode | None:
    """Return how a request carries CloudEvents; None when it is none. Header names are lower case."""
    content_type = headers.get("content-type", "")
    if content_type[:23].lower() == "application/cloudevents":
        return "batched" if content_type[23:29].lower() == "-batch" else "structured"
    return "binary" if all(name in headers for name in _REQUIRED_HEADERS) else None


def decode(
    headers: Mapping[str, str], body: bytes, mode: Mode, *, max_depth: int = MAX_DEPTH
) -> tuple[TriggerMessage, ...]:
    """Return the events of a request, without `meta`; none for an empty batch.

    Raise BadEvent: `invalid-cloudevent`, `unsupported-format`, or what `bodies` says of the body.
    """
    content_type = headers.get("content-type", "")
    if mode == "binary":
        return (_decode_binary(headers, content_type, body, max_depth),)
    if not media_type(content_type).endswith("+json") and media_type(content_type) not in (
        "application/cloudevents",
        "application/cloudevents-batch",
    ):
        raise BadEvent("unsupported-format", "only the JSON format of CloudEvents is read")
    check_charset(content_type)
    if mode == "structured":
        read_json(body, max_depth=max_depth + 1)  # `data` is one level down
        event, problems = _decode_structured(body)
        if event is None:
            raise BadEvent("invalid-cloudevent", "; ".join(problems))
        return (event,)
    return _decode_batch(body, max_depth)


def decode_header(value: str) -> str:
    """Return an attribute's value from a header: unquote, then one round of percent-decoding.

    Raise ValueError when the bytes are not UTF-8.
    """
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    if value.isascii() and "%" not in value:
        return value
    try:
        raw = value.encode("latin-1")  # what stood on the wire
    except UnicodeEncodeError:
        raw = value.encode("utf-8", "surrogatepass")
    return unquote_to_bytes(raw).decode("utf-8")


def encode_header(value: str) -> str:
    """Return a header value for an attribute's value: percent-encoded UTF-8, upper-case hex."""
    return quote_from_bytes(value.encode("utf-8"), safe=_UNQUOTED_BYTES)


def encode(event: TriggerMessage, mode: Literal["binary", "structured"]) -> tuple[dict[str, str], bytes]:
    """Return headers (lower-case names) and body of a request that carries one event.

    Raise ValueError with everything that the specification does not allow.
    """
    if mode == "structured":
        return {"content-type": f"{STRUCTURED_TYPE}; charset=utf-8"}, _encode_value(to_json(event))
    attributes = to_attributes(event)
    content_type = attributes.pop("datacontenttype", "")
    headers = {f"ce-{name}": encode_header(value) for name, value in attributes.items()}
    if content_type:
        headers["content-type"] = content_type
    return headers, event.data or b""


def encode_batch(events: Sequence[TriggerMessage]) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request that carries many events. Only for receivers that asked for it."""
    documents = [to_json(event) for event in events]
    return {"content-type": f"{BATCHED_TYPE}; charset=utf-8"}, _encode_value(documents)


def to_json(event: TriggerMessage) -> dict[str, Any]:
    """Return an event in the JSON format, for msgspec to encode: JSON data is copied as it is.

    Raise ValueError with everything that the specification does not allow.
    """
    document = _attributes(event)
    if event.data is None:
        return document
    content_type = document.get("datacontenttype", "")
    if event.format == "json":
        ambiguous = content_type and not is_json(media_type(content_type)) and event.data.strip()[:1] == b'"'
        if ambiguous:  # Under a type that is not JSON, a JSON string would be read as plain text.
            document["data_base64"] = base64.b64encode(event.data).decode("ascii")
        else:
            document["data"] = msgspec.Raw(event.data)
        return document
    if not content_type:
        document["datacontenttype"] = content_type = _usual_type(event.format)
    if event.format in ("text", "form") and not is_json(media_type(content_type)):
        document["data"] = event.data.decode("utf-8")
    else:
        document["data_base64"] = base64.b64encode(event.data).decode("ascii")
    return document


def from_attributes(
    attributes: Mapping[str, Any],
    body: bytes,
    *,
    problems: Sequence[str] = (),
    max_depth: int = MAX_DEPTH,
) -> TriggerMessage:
    """Return the event that came in binary mode: its attributes as a binding has decoded them, and its data.

    `problems` are what the binding itself found. Raise BadEvent with everything that is wrong.
    """
    found = [*problems, *_problems(attributes)]
    if "data" in attributes:
        found.append("no attribute may be named data")
    if found:
        raise BadEvent("invalid-cloudevent", "; ".join(found))
    if not body:
        return _event(attributes, "none", None)
    content_type = attributes.get("datacontenttype")
    if content_type:
        check_charset(content_type)
    form = format_of(content_type) if content_type else "binary"
    read_body(body, form, max_depth=max_depth)
    return _event(attributes, form, body)


def to_attributes(event: TriggerMessage) -> dict[str, str]:
    """Return the attributes that are set, each as its one text, for a binding to send in binary mode.

    `datacontenttype` is there whenever there is data. Raise ValueError with everything that the specification
    does not allow.
    """
    texts = {name: _canonical(value) for name, value in _attributes(event).items()}
    if event.data is None:
        texts.pop("datacontenttype", None)
    elif "datacontenttype" not in texts:
        texts["datacontenttype"] = _usual_type(event.format)
    return texts


def _decode_binary(
    headers: Mapping[str, str], content_type: str, body: bytes, max_depth: int
) -> TriggerMessage:
    attributes: dict[str, Any] = {}
    problems = []
    for name, value in headers.items():
        if not name.startswith("ce-") or name == "ce-datacontenttype":
            continue
        try:
            attributes[name[3:]] = decode_header(value)
        except ValueError:
            problems.append(f"{name} is not UTF-8 after percent-decoding")
    if content_type:
        attributes["datacontenttype"] = content_type
    return from_attributes(attributes, body, problems=problems, max_depth=max_depth)


def _decode_batch(body: bytes, max_depth: int) -> tuple[TriggerMessage, ...]:
    if not isinstance(read_json(body, max_depth=max_depth + 2), list):
        raise BadEvent("invalid-cloudevent", "a batch is a JSON array of events")
    events, problems = [], []
    for place, member in enumerate(_decode_events(body)):
        event, found = _decode_structured(bytes(member))
        if event is None:
            problems += [f"event {place}: {problem}" for problem in found]
        else:
            events.append(event)
    if problems:
        raise BadEvent("invalid-cloudevent", "; ".join(problems[:50]))
    return tuple(events)


def _decode_structured(body: bytes) -> tuple[TriggerMessage | None, list[str]]:
    """Return the event, or None and what is wrong with it. The bytes are valid JSON."""
    try:
        members = _decode_members(body)
    except msgspec.ValidationError:
        return None, ["an event is a JSON object"]
    raw, coded = members.pop("data", None), members.pop("data_base64", None)
    attributes, problems = {}, []
    for name, member in members.items():
        value = _decode_value(member)
        if value is None:
            continue  # null means: not set
        if name in CONTEXT_ATTRIBUTES and not isinstance(value, str):
            problems.append(f"{name} is not a string")
        elif not isinstance(value, (str, bool, int)):
            problems.append(f"{name} is neither a string, an integer nor a boolean")
        attributes[name] = value
    problems += _problems(attributes)
    form: DataFormat = "none"
    data: bytes | None = None
    if coded is not None and bytes(coded) != b"null":
        if raw is not None:
            problems.append("there are both data and data_base64")
        form, data, problem = _coded_data(_decode_value(coded), attributes.get("datacontenttype"))
        problems += problem
    elif raw is not None:
        form, data = _plain_data(bytes(raw), attributes.get("datacontenttype"))
    return (None, problems) if problems else (_event(attributes, form, data), [])


def _coded_data(value: Any, content_type: Any) -> tuple[DataFormat, bytes | None, list[str]]:
    """Return what `data_base64` stands for. Bytes that are not what their type says stay binary."""
    try:
        data = base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        return "none", None, ["data_base64 is not base64"]
    if not isinstance(content_type, str):
        return "binary", data, []
    form = format_of(content_type)
    try:
        check_charset(content_type)
        read_body(data, form)
    except BadEvent:
        form = "binary"
    return form, data, []


def _plain_data(raw: bytes, content_type: Any) -> tuple[DataFormat, bytes]:
    """Return what `data` stands for: its own bytes, or a string's text when the type is not JSON."""
    if not isinstance(content_type, str) or is_json(media_type(content_type)):
        return "json", raw
    value = _decode_value(raw)
    if not isinstance(value, str):
        return "json", raw
    form = format_of(content_type)
    return ("text" if form in ("binary", "json") else form), value.encode("utf-8")


def _problems(attributes: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with the attributes; types were looked at before."""
    problems = [f"{name} is missing" for name in _REQUIRED if name not in attributes]
    version = attributes.get("specversion")
    if isinstance(version, str) and version != "1.0":
        problems.append(f"specversion is {version[:20]!a}; 1.0 is read")
    for name, value in attributes.items():
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            problems.append(f"{name[:40]} is an integer of more than 64 bits")
        if not isinstance(value, str):
            continue
        if name in CONTEXT_ATTRIBUTES and not value:
            problems.append(f"{name} is empty")
        if not value.isprintable() and _UNFIT.search(value):
            problems.append(f"{name[:40]} has a character that is not allowed")
    time = attributes.get("time")
    if isinstance(time, str) and time and not _TIME.fullmatch(time):
        problems.append("time is not RFC 3339")
    kind = attributes.get("datacontenttype")
    if isinstance(kind, str) and not kind.isascii():
        problems.append("datacontenttype is not a media type")
    if "" in attributes:
        problems.append("an attribute has no name")
    return problems


def _event(attributes: Mapping[str, Any], form: DataFormat, data: bytes | None) -> TriggerMessage:
    get = attributes.get
    return TriggerMessage(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        subject=get("subject"),
        time=get("time"),
        datacontenttype=get("datacontenttype"),
        dataschema=get("dataschema"),
        extensions={name: value for name, value in attributes.items() if name not in CONTEXT_ATTRIBUTES},
        format=form,
        data=data,
    )


def _attributes(event: TriggerMessage) -> dict[str, Any]:
    """Return what is set, in the order of the specification. Raise ValueError with all problems."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
    }
    for name in ("subject", "time", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        if value is not None:
            attributes[name] = value
    problems = []
    for name, value in event.extensions.items():
        if name in CONTEXT_ATTRIBUTES or name in ("data", "data_base64") or not _NAME.fullmatch(name):
            problems.append(f"{name[:40]!a} is no name for an extension: use a to z and 0 to 9")
        elif not isinstance(value, (str, bool, int)):
            problems.append(f"{name} is neither a string, an integer nor a boolean")
        else:
            attributes[name] = value
    problems += _problems(attributes)
    if problems:
        raise ValueError("; ".join(problems))
    return attributes


def _canonical(value: str | bool | int) -> str:
    """Return the one text of an attribute's value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _usual_type(form: DataFormat) -> str:
    return {
        "json": "application/json",
        "form": "application/x-www-form-urlencoded",
        "text": "text/plain; charset=utf-8",
        "binary": "application/octet-stream",
        "none": "",
    }[form]
