"""The CloudEvents binding for AMQP 0-9-1 (RabbitMQ), both ways. Pure.

CloudEvents defines a binding for AMQP 1.0 only: application properties `cloudEvents_x` or `cloudEvents:x`,
which RabbitMQ turns into headers of the same name. For AMQP 0-9-1 the binding of Knative and of the official
SDKs has headers `ce-x`. All three are read, with native values or their texts; one is chosen to write. The
property `content_type` is `datacontenttype` in each, and alone tells structured mode; there is no batch.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from triggers.bodies import MAX_DEPTH
from triggers.cloudevents import decode as decode_http
from triggers.cloudevents import encode as encode_http
from triggers.cloudevents import from_attributes, to_attributes
from triggers.errors import BadEvent
from triggers.message import CONTEXT_ATTRIBUTES, TriggerMessage

Dialect = Literal["ce-", "cloudEvents_", "cloudEvents:"]
"""How the headers of attributes begin."""

DIALECTS: Final[tuple[Dialect, ...]] = ("ce-", "cloudEvents_", "cloudEvents:")
"""In the order in which they are looked for."""

_STRUCTURED: Final = "application/cloudevents"
_REQUIRED: Final = {
    dialect: tuple(dialect + name for name in ("specversion", "id", "source", "type")) for dialect in DIALECTS
}


def is_structured(content_type: str | None) -> bool:
    """Say whether a message carries a whole event in its body (or claims to carry a batch)."""
    return content_type is not None and content_type[: len(_STRUCTURED)].lower() == _STRUCTURED


def dialect_of(headers: Mapping[str, Any]) -> Dialect | None:
    """Return in which dialect a message carries an event in binary mode; None when it carries none.

    As over HTTP, all four required attributes must be there: less is an ordinary message.
    """
    for dialect, required in _REQUIRED.items():
        if required[0] in headers and all(name in headers for name in required):
            return dialect
    return None


def decode_structured(content_type: str, body: bytes, *, max_depth: int = MAX_DEPTH) -> TriggerMessage:
    """Return the event that a body holds, without `meta`. Raise BadEvent."""
    if content_type[len(_STRUCTURED) :][:6].lower() == "-batch":
        raise BadEvent("unsupported-format", "over AMQP a message carries one event, not a batch")
    headers = {"content-type": content_type}
    return decode_http(headers, body, "structured", max_depth=max_depth)[0]


def decode_binary(
    headers: Mapping[str, Any],
    content_type: str | None,
    body: bytes,
    dialect: Dialect,
    *,
    max_depth: int = MAX_DEPTH,
) -> TriggerMessage:
    """Return the event whose attributes stand in headers of this dialect, without `meta`. Raise BadEvent."""
    attributes: dict[str, Any] = {}
    problems: list[str] = []
    for header, value in headers.items():
        name = header.removeprefix(dialect)
        if value is None or name in (header, "datacontenttype"):
            continue
        if type(value) is str and value.isascii():
            attributes[name] = value
        else:
            attributes[name] = _attribute(name, value, problems)
    if content_type:
        attributes["datacontenttype"] = content_type
    return from_attributes(attributes, body, problems=problems, max_depth=max_depth)


def encode(
    event: TriggerMessage, mode: Literal["binary", "structured"], dialect: Dialect = "ce-"
) -> tuple[dict[str, str | int | bool], str | None, bytes]:
    """Return headers, `content_type` and body of a message that carries one event.

    Values are texts under `ce-`, as Knative wants them; under the names of AMQP 1.0 numbers and truth values
    are native. Raise ValueError with everything that the specification does not allow.
    """
    if mode == "structured":
        fields, body = encode_http(event, "structured")
        return {}, fields["content-type"], body
    texts = to_attributes(event)
    content_type = texts.pop("datacontenttype", None)
    values: dict[str, str | int | bool] = dict(texts)
    if dialect != "ce-":
        values.update(event.extensions)
    return {dialect + name: value for name, value in values.items()}, content_type, event.data or b""


def _attribute(name: str, value: Any, problems: list[str]) -> Any:
    """Return the value of an attribute from a native AMQP value; note what has no place in CloudEvents."""
    if isinstance(value, str):
        if not _is_text(value):
            problems.append(f"{name[:40]!a} is not UTF-8")
        return value
    if name == "time" and isinstance(value, int) and not isinstance(value, bool):
        return _time(value, problems)
    if isinstance(value, datetime):
        return _rfc3339(value)
    if isinstance(value, bool):
        return ("true" if value else "false") if name in CONTEXT_ATTRIBUTES else value
    if isinstance(value, int):
        return str(value) if name in CONTEXT_ATTRIBUTES else value
    problems.append(f"{name[:40]!a} is {_KINDS.get(type(value), 'no value of CloudEvents')}")
    return ""


_KINDS: Final = {
    float: "a number with a fraction",
    dict: "a table",
    list: "an array",
    bytes: "bytes that are not UTF-8",
    bytearray: "bytes",
}


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _time(milliseconds: int, problems: list[str]) -> str:
    """Return the text of an AMQP 1.0 timestamp: milliseconds since the epoch."""
    try:
        return _rfc3339(datetime.fromtimestamp(milliseconds / 1000, tz=UTC))
    except (ValueError, OverflowError, OSError):
        problems.append("time is out of range")
        return ""


def _rfc3339(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
