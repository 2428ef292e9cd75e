"""Turns an operation of a bus and its arguments into the parts of one message. Pure.

Everything wrong with the arguments is said at once, in one Refused. What only one bus knows (topics and
partitions, exchanges and properties) is written by its connector; here the words of a description become
plain values.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from actions.arguments import ABSENT, Problems, Token, Unfit, as_json, leaf, opened
from actions.bodies import BodyWriter, body_writer
from actions.cloudevents import KAFKA_PREFIX, PREFIXES, read_attributes
from actions.errors import Refused
from actions.serialize import listed, report_unknown
from actions.specs.model import Body, Media, Operation, Parameter, Spec, media_kind

Bus = Literal["kafka", "amqp"]

_TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_MEDIA_TYPE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_EVENT_PREFIXES: Final = (KAFKA_PREFIX, *PREFIXES)
_FOREIGN: Final[Mapping[Bus, frozenset[str]]] = {
    "kafka": frozenset({"properties", "correlation_id"}),
    "amqp": frozenset({"key", "partition"}),
}
"""Inputs that one bus has and the other has not, where a description does not say which one it is for."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the arguments made it, without anything of ours.

    `address` is a topic or a routing key; None means that there is nobody to send to. `attributes` are what
    the call gives of the CloudEvent, None where the operation sends no event.
    """

    address: str | None
    exchange: str = ""
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, Any], ...] = ()
    properties: Mapping[str, Any] = {}
    body: bytes | None = None
    content_type: str = ""
    attributes: Mapping[str, str] | None = None


Compose = Callable[[Mapping[str, Any]], Outgoing]


def digest(outgoing: Outgoing) -> bytes:
    """Return a hash over what the arguments made: the same arguments make the same."""
    whole = (
        outgoing.address,
        outgoing.exchange,
        outgoing.key,
        outgoing.partition,
        as_json(list(outgoing.headers)),
        as_json(dict(outgoing.properties)),
        outgoing.body,
        outgoing.content_type,
        outgoing.attributes,
    )
    return hashlib.blake2b(msgspec.msgpack.encode(whole), digest_size=16).digest()


def compile_publication(operation: Operation, spec: Spec, bus: Bus) -> Compose:
    """Return the function that composes messages of one operation.

    It raises Refused with all problems of the arguments, each with its pointer; so does this when the
    operation cannot be called at all.
    """
    if operation.problem:
        raise Refused(operation.problem)
    if operation.method != "PUBLISH":
        raise Refused(f"{operation.id} is a request ({operation.method}), no message: its server speaks HTTP")
    return _Composer(operation, spec, bus).compose


def binding(operation: Operation, level: str, bus: Bus) -> Mapping[str, Any]:
    """Return what a description says of a bus at one level: channel, operation or message."""
    bindings = operation.extras.get("bindings", {})
    found = bindings.get(level, {}).get(bus) if isinstance(bindings, Mapping) else None
    return found if isinstance(found, Mapping) else {}


class _Composer:
    """An operation, compiled for one bus."""

    def __init__(self, operation: Operation, spec: Spec, bus: Bus) -> None:
        self._operation = operation
        self._bus: Bus = bus
        self._registry = spec.registry
        self._grouped = operation.grouped
        self._exchange, self._address = _places(operation, bus)
        self._parameters = [one for one in operation.parameters if one.location == "path"]
        self._fields = {one.name for one in operation.parameters if one.location == "message"}
        self._writers: dict[str, BodyWriter | None] = {}

    def compose(self, arguments: Mapping[str, Any]) -> Outgoing:
        """Compose one message."""
        problems: Problems = []
        paths, fields = self._split(arguments, problems)
        values = {
            one.name: self._part(one, paths.get(one.name, ABSENT), problems) for one in self._parameters
        }
        body, content_type = self._body(arguments.get("body", ABSENT), fields.get("content_type"), problems)
        attributes = self._attributes(fields.get("event"), problems) if "event" in self._fields else None
        made = Outgoing(
            address=None if None in values.values() else _filled(self._address, values),
            exchange=_filled(self._exchange, values),
            key=_key(fields.get("key"), problems),
            partition=_partition(fields.get("partition"), problems),
            headers=_headers(fields.get("headers"), problems),
            properties=_properties(fields, problems),
            body=body,
            content_type=content_type,
            attributes=attributes,
        )
        if problems:
            head = f"{self._operation.id} cannot be published"
            raise Refused(listed(head, problems), tuple(problems))
        return made

    def _split(
        self, arguments: Mapping[str, Any], problems: Problems
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the arguments of the address and those beside the body; report what is neither."""
        names = [one.name for one in self._parameters]
        beside = [name for name in self._fields if name not in _FOREIGN[self._bus]]
        body = ["body"] * bool(self._operation.body)
        if not self._grouped:
            report_unknown(arguments, [*names, *sorted(beside), *body], "", problems)
            return arguments, arguments
        report_unknown(arguments, ["path", "message", *body], "", problems)
        groups = []
        for group, known in (("path", names), ("message", sorted(beside))):
            given = opened(arguments.get(group, {}))
            if not isinstance(given, Mapping):
                problems.append((f"/{group}", f"{group} must be an object: names of this operation collide"))
                given = {}
            report_unknown(given, known, f"/{group}", problems)
            groups.append(given)
        return groups[0], groups[1]

    def _part(self, one: Parameter, value: Any, problems: Problems) -> str | None:
        """Return one part of the address as text; None where it may be missing and is."""
        schema = one.schema if isinstance(one.schema, Mapping) else {}
        pointer = f"/path/{one.name}" if self._grouped else f"/{one.name}"
        if value is ABSENT:
            value = schema.get("default", ABSENT)
        try:
            text = None if value is ABSENT else leaf(value)
            (text or "").encode()
        except (Unfit, UnicodeEncodeError) as reason:
            words = str(reason) if isinstance(reason, Unfit) else "has half a surrogate pair"
            problems.append((pointer, f"{one.name} {words}"))
            return ""
        if text is None and one.required:
            problems.append((pointer, f"{one.name} is required"))
            return ""
        allowed = schema.get("enum")
        if text is not None and isinstance(allowed, list) and allowed and text not in map(str, allowed):
            names = ", ".join(map(str, allowed[:10]))
            problems.append((pointer, f"{one.name} is {text[:60]!r}, but must be one of {names}"))
        return text

    # The body

    def _body(self, value: Any, content_type: Any, problems: Problems) -> tuple[bytes | None, str]:
        described = self._operation.body
        if described is None:
            return None, ""
        given = self._text(content_type, "content_type", problems)
        if given and not _MEDIA_TYPE.fullmatch(given):
            problems.append(("/content_type", "content_type is no media type"))
            given = ""
        if given not in self._writers and len(self._writers) < 100:
            self._writers[given] = self._writer(described, given)
        writer = self._writers.get(given) or self._writer(described, given)
        if writer is None or opened(value) is None:
            return None, ""  # null is no body: what Kafka calls a tombstone
        return writer.write(value, problems) or (None, "")

    def _writer(self, described: Body, content_type: str) -> BodyWriter | None:
        if content_type:
            known = described.media and media_kind(content_type) not in {"text", "binary"}
            schema = described.media[0].schema if known else {}
            media = (Media(type=content_type, schema=schema),)
            described = Body(media=media, required=described.required)
        return body_writer(described, self._registry)

    def _attributes(self, value: Any, problems: Problems) -> dict[str, str]:
        given = opened(value)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            problems.append(("/event", "event must be an object of attributes"))
            return {}
        return read_attributes(given, problems)

    @staticmethod
    def _text(value: Any, name: str, problems: Problems) -> str:
        try:
            return leaf(value) or ""
        except Unfit as reason:
            problems.append((f"/{name}", f"{name} {reason}"))
            return ""


def _places(operation: Operation, bus: Bus) -> tuple[str, str]:
    """Return the templates of exchange and address, as the bindings of the channel say."""
    said = binding(operation, "channel", bus)
    if bus == "kafka":
        topic = said.get("topic")
        return "", topic if isinstance(topic, str) and topic else operation.path
    part = said.get("queue" if said.get("is") == "queue" else "exchange")
    name = part.get("name") if isinstance(part, Mapping) else None
    text = name if isinstance(name, str) else ""
    if said.get("is") == "queue":
        return "", text or operation.path
    return text, operation.path


def _filled(template: str, values: Mapping[str, str | None]) -> str:
    return _TEMPLATE.sub(lambda match: values.get(match.group(1), match.group()) or "", template)


def _key(value: Any, problems: Problems) -> bytes | None:
    known = opened(value)
    if known is None:
        return None
    try:
        if isinstance(known, str) and not isinstance(known, Token):
            return known.encode()
        return as_json(value)
    except (Unfit, UnicodeEncodeError) as reason:
        words = str(reason) if isinstance(reason, Unfit) else "has half a surrogate pair"
        problems.append(("/key", f"key {words}"))
        return None


def _partition(value: Any, problems: Problems) -> int | None:
    number = _plain(value, "partition", problems)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 31:
        problems.append(("/partition", "partition must be a whole number from 0 on"))
        return None
    return number


def _headers(value: Any, problems: Problems) -> tuple[tuple[str, Any], ...]:
    given = _plain(value, "headers", problems)
    if given is None:
        return ()
    if not isinstance(given, dict):
        problems.append(("/headers", "headers must be an object"))
        return ()
    for name in given:
        if not name or len(name) > 255:
            problems.append((f"/headers/{name[:40]}", "the name of a header has 1 to 255 characters"))
        elif name.startswith(_EVENT_PREFIXES):
            problems.append((f"/headers/{name}", f"{name} is the event's: give it under `event`"))
    return tuple((name, one) for name, one in given.items() if one is not None)


def _properties(fields: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Return the properties of AMQP with their types looked at."""
    given = _plain(fields.get("properties"), "properties", problems)
    if given is not None and not isinstance(given, dict):
        problems.append(("/properties", "properties must be an object"))
        given = {}
    made = {name: value for name, value in (given or {}).items() if value is not None}
    report_unknown(made, list(PROPERTIES), "/properties", problems)
    for name, value in made.items():
        wanted = PROPERTIES.get(name)
        if wanted is not None and (
            not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool)
        ):
            word = {str: "text", int: "a whole number", bool: "true or false"}[wanted]
            problems.append((f"/properties/{name}", f"{name} must be {word}"))
    correlation = _plain(fields.get("correlation_id"), "correlation_id", problems)
    if correlation is not None:
        made["correlation_id"] = correlation if isinstance(correlation, str) else str(correlation)
    return made


PROPERTIES: Final[Mapping[str, type]] = {
    "app_id": str, "content_encoding": str, "correlation_id": str, "expiration": int, "persistent": bool,
    "priority": int, "reply_to": str, "timestamp": int, "type": str, "user_id": str,
}  # fmt: skip
"""The properties of AMQP that a call may set, with the type of each."""


def _plain(value: Any, name: str, problems: Problems) -> Any:
    """Return a JSON value without raw tokens in it."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(as_json(value))
    except Unfit as reason:
        problems.append((f"/{name}", f"{name} {reason}"))
    except msgspec.ValidationError:
        problems.append((f"/{name}", f"{name} has a number in it that is too large"))
    return None
