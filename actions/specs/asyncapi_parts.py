"""The parts of an operation of AsyncAPI: traits, messages, channel parameters, and what goes beside a body.

A Draft reads them for one operation and keeps what is wrong with it. Our own words in a description are the
extensions `x-pointsman-fields` (which parts of a message are inputs) and `x-pointsman-optional` (which inputs
may be missing although they usually may not).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import Body, Media, Operation, Parameter, Schema, Server
from actions.specs.reading import Sketch, extras, preferred, text
from actions.specs.references import Unresolved

TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_MEDIA_TYPE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_PLAIN_SCHEMA: Final = re.compile(
    r"application/(?:vnd\.aai\.asyncapi|schema|vnd\.oai\.openapi)(?:\+(?:json|yaml))?(?:;.*)?", re.IGNORECASE
)

_MAX_EXAMPLES: Final = 20

FIELDS: Final[Mapping[str, Schema]] = {
    "key": {"description": "The key of the record: text as it is, anything else as JSON."},
    "partition": {"type": "integer", "minimum": 0, "description": "The partition; absent: the key's."},
    "headers": {"type": "object", "description": "Headers of the message."},
    "properties": {
        "type": "object",
        "description": "Properties of AMQP 0-9-1.",
        "properties": {
            "app_id": {"type": "string"},
            "content_encoding": {"type": "string"},
            "correlation_id": {"type": "string"},
            "expiration": {
                "type": "integer",
                "minimum": 0,
                "description": "Milliseconds to live in a queue.",
            },
            "persistent": {"type": "boolean", "default": True},
            "priority": {"type": "integer", "minimum": 0, "maximum": 255},
            "reply_to": {"type": "string"},
            "timestamp": {"type": "integer", "description": "Seconds since 1970."},
            "type": {"type": "string"},
            "user_id": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "event": {
        "type": "object",
        "description": "Attributes of the CloudEvent: type, source, subject, time, dataschema, extensions. "
        "The id is the delivery's own unless it is given.",
    },
    "content_type": {"type": "string", "description": "Media type of the body; absent: application/json."},
    "correlation_id": {"type": ["string", "null"], "description": "What the question carried."},
}
"""Inputs beside address and body, with what may be given for them where the description does not say."""

_OF_PROTOCOL: Final[Mapping[str, tuple[str, ...]]] = {
    "kafka": ("key", "partition"),
    "amqp": ("properties",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of an operation. `described` tells whether there is a payload at all.

    `event` is the name of the event that it tells of, where the description names one.
    """

    media_type: str
    schema: Schema
    described: bool
    headers: Any
    bindings: Mapping[str, Any]
    event: str = ""
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Draft(Sketch):
    """An operation while it is read; `protocols` are those of its servers."""

    protocols: frozenset[str] = field(default_factory=frozenset)
    content_type: str = "application/json"

    def operation(self, value: Any) -> dict[str, Any]:
        """Return an operation with its traits; empty, and refused, when it is none."""
        return self._with_traits(self.follow(value, "the operation") or {}, self.pointer)

    def _with_traits(self, value: dict[str, Any], pointer: str) -> dict[str, Any]:
        whole: dict[str, Any] = {}
        for index, entry in enumerate(self.reading.listing(value.get("traits"), f"{pointer}/traits")):
            whole = _merged(whole, self._part(entry, f"{pointer}/traits/{index}"))
        return _merged(whole, value) if whole else value

    def _part(self, value: Any, pointer: str) -> dict[str, Any]:
        try:
            found = self.reading.registry.follow(value)
        except Unresolved as reason:
            self.degrade("part", f"a part of it {reason}", pointer)
            return {}
        return self.reading.mapping(found, pointer)

    # Messages

    def messages(self, value: Any, pointer: str) -> list[Message]:
        """Read the message of version 2: one, or several under `oneOf`."""
        if value is None:
            return []
        found = self._part(value, pointer)
        several = found.get("oneOf")
        if not isinstance(several, list):
            return [self._message(found, pointer)]
        return [self._message(one, f"{pointer}/oneOf/{index}") for index, one in enumerate(several)]

    def channel_messages(self, channel: Mapping[str, Any], value: Mapping[str, Any]) -> list[Message]:
        """Read the messages of version 3: those the operation lists, else all of the channel's."""
        known = self.reading.mapping(channel.get("messages"), f"{self.pointer}/channel")
        listed = value.get("messages")
        if not isinstance(listed, list):
            return [self._message(one, f"{self.pointer}/channel") for one in known.values()]
        messages = []
        for index, entry in enumerate(listed):
            ref = entry.get("$ref") if isinstance(entry, dict) else None
            name = ref.rpartition("/")[2] if isinstance(ref, str) else ""
            one = known.get(name.replace("~1", "/").replace("~0", "~"), entry)
            messages.append(self._message(one, f"{self.pointer}/messages/{index}"))
        return messages

    def _message(self, entry: Any, pointer: str) -> Message:
        value = self._with_traits(self._part(entry, pointer), pointer)
        media_type = text(value.get("contentType")) or self.content_type
        if not _MEDIA_TYPE.fullmatch(media_type):
            self.degrade("content", f"{media_type[:80]!r} is no media type; sent as JSON", pointer)
            media_type = "application/json"
        bindings = value.get("bindings")
        return Message(
            media_type=media_type,
            schema=self._schema(value.get("payload"), value.get("schemaFormat"), pointer),
            described=value.get("payload") is not None,
            headers=self._schema(value.get("headers"), None, pointer) if "headers" in value else None,
            bindings=self._part(bindings, f"{pointer}/bindings") if bindings is not None else {},
            event=text(value.get("x-ballerina-event-type")).strip(),
            examples=dict(_examples(value.get("examples"), text(value.get("name")))),
        )

    def _schema(self, value: Any, form: Any, pointer: str) -> Schema:
        """Return a schema; one in another language than JSON Schema allows anything, with a finding."""
        if isinstance(value, dict) and "schemaFormat" in value and "schema" in value:
            value, form = value["schema"], value["schemaFormat"]
        if form is not None and not _PLAIN_SCHEMA.fullmatch(text(form)):
            self.degrade(
                "schema-format", f"a schema in {text(form)[:80] or 'no format'}; anything is allowed", pointer
            )
            return {}
        return value if isinstance(value, dict | bool) else {}

    # The operation

    def made(
        self,
        path: str,
        channel: Mapping[str, Any],
        value: Mapping[str, Any],
        messages: list[Message],
        *,
        servers: tuple[Server, ...] = (),
    ) -> Operation:
        """Return the operation without id and method."""
        bindings = {
            "channel": self._bindings(channel),
            "operation": self._bindings(value),
            "message": messages[0].bindings if messages else {},
        }
        named = {name for level in bindings.values() for name in level}
        own = value.get("x-pointsman-fields")
        fields = own if isinstance(own, list) else self._fields(self.protocols or frozenset(named))
        optional = value.get("x-pointsman-optional")
        missing = (
            frozenset(one for one in optional if isinstance(one, str))
            if isinstance(optional, list)
            else frozenset()
        )
        parameters = [*self._address(path, channel, bindings["channel"], missing)]
        parameters += [
            self._field(name, messages) for name in fields if isinstance(name, str) and name in FIELDS
        ]
        if path != path.strip() or not path:
            self.refuse("the channel has no usable address")
        problem = f"{self.name}: {'; '.join(self.problems)}" if self.problems else ""
        return Operation(
            id="",
            method="",
            path=path,
            summary=text(value.get("summary") or channel.get("summary") or value.get("title")),
            description=text(value.get("description") or channel.get("description")),
            tags=tuple(self._tags(value.get("tags"))),
            parameters=tuple(parameters),
            body=_body(messages, required="body" not in missing),
            servers=servers,
            problem=problem,
            degraded=tuple(self.degraded),
            pointer=self.pointer,
            extras={**extras(value), "bindings": bindings, **_events(messages)},
        )

    def _bindings(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return bindings by protocol, what is no object left out."""
        found = value.get("bindings")
        if found is None:
            return {}
        part = self._part(found, f"{self.pointer}/bindings")
        return {name: one for name, one in part.items() if isinstance(one, dict)}

    def _fields(self, protocols: Iterable[str]) -> list[str]:
        spoken = [name for name in _OF_PROTOCOL if name in protocols]
        if not spoken and not set(protocols):
            spoken = list(_OF_PROTOCOL)  # nothing is known of the bus: the connection decides
        return [name for one in spoken for name in _OF_PROTOCOL[one]] + ["headers", "event"]

    def _address(
        self, path: str, channel: Mapping[str, Any], bindings: Mapping[str, Any], missing: frozenset[str]
    ) -> Iterable[Parameter]:
        """Yield the parameters of the address, and of the exchange that a binding names by a template."""
        exchange = self._part(bindings.get("amqp", {}).get("exchange") or {}, self.pointer).get("name")
        templates = f"{path} {exchange if isinstance(exchange, str) else ''}"
        given = channel.get("parameters")
        if isinstance(given, list):  # as drafts of version 2 have it
            given = {text(one.get("name")): one for one in given if isinstance(one, dict)}
        declared = self.reading.mapping(given, f"{self.pointer}/parameters")
        for name in dict.fromkeys(TEMPLATE.findall(templates)):
            value = self._part(declared.get(name, {}), f"{self.pointer}/parameters/{escape(name)}")
            schema = value.get("schema")
            described: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {"type": "string"}
            enum, default = value.get("enum"), value.get("default")
            if isinstance(enum, list):
                described["enum"] = enum
            if isinstance(default, str):
                described["default"] = default
            if name in missing:
                described["type"] = ["string", "null"]
            yield Parameter(
                name=name,
                location="path",
                required=name not in missing and "default" not in described,
                schema=described,
                description=text(value.get("description")),
            )

    def _field(self, name: str, messages: list[Message]) -> Parameter:
        schema = FIELDS[name]
        if name == "headers":
            schema = _either([one.headers for one in messages if one.headers is not None]) or schema
        if name == "key":
            keys = [one.bindings.get("kafka", {}) for one in messages]
            known = [one.get("key") for one in keys if isinstance(one, dict)]
            schema = _either([one for one in known if isinstance(one, dict)]) or schema
        return Parameter(name=name, location="message", schema=schema)

    def _tags(self, value: Any) -> Iterable[str]:
        for entry in value if isinstance(value, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield entry["name"]


def _events(messages: list[Message]) -> dict[str, Any]:
    """Return the schemas of the messages by the events they tell of."""
    named: dict[str, list[Schema]] = {}
    for one in messages:
        if one.event:
            named.setdefault(one.event, []).append(one.schema)
    return {"events": {event: _either(schemas) for event, schemas in named.items()}} if named else {}


def _examples(value: Any, message: str) -> Iterator[tuple[str, Any]]:
    """Yield the payloads that a message shows, by name."""
    for index, entry in enumerate(value[:_MAX_EXAMPLES] if isinstance(value, list) else ()):
        if isinstance(entry, dict) and "payload" in entry:
            name = text(entry.get("name")) or f"{message or 'example'} {index + 1}"
            yield name, {"value": entry["payload"]}


def _body(messages: list[Message], *, required: bool) -> Body | None:
    """Return what may be sent: the payloads of all messages, by their media types."""
    by_type: dict[str, list[Schema]] = {}
    shown: dict[str, dict[str, Any]] = {}
    for one in messages:
        if one.described:
            by_type.setdefault(one.media_type, []).append(one.schema)
            shown.setdefault(one.media_type, {}).update(one.examples)
    if not by_type:
        return None
    media = [
        Media(type=name, schema=_either(schemas), examples=shown[name]) for name, schemas in by_type.items()
    ]
    every = all(one.described for one in messages)
    return Body(media=preferred(media), required=required and every)


def _either(schemas: list[Schema]) -> Schema:
    """Return a schema that allows what any of these allows."""
    different = [one for index, one in enumerate(schemas) if one not in schemas[:index]]
    if len(different) < 2:
        return different[0] if different else {}
    return {"anyOf": different}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two objects as one, members of members too; the second wins."""
    made = dict(base)
    for key, value in over.items():
        before = made.get(key)
        made[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return made
