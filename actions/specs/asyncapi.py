"""Reads AsyncAPI 1.x, 2.x and 3.x.

What a client may send becomes an operation, what it may receive a trigger. Versions 1 and 2 write both from
the client's side (`publish`, `subscribe`; in version 1 also `write` and `read` of a stream, `send` and
`receive` of an API without topics), version 3 from the described application's (`receive`, `send`). A
document of version 3 may describe ourselves: what it sends can be called, too. A channel of version 3 that
no operation uses says nothing of who sends: it is both. How a message is encoded on its bus is not decided
here: bindings are kept as they are.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from actions.specs.asyncapi_parts import Draft
from actions.specs.events import escape
from actions.specs.load import Bundle
from actions.specs.model import Operation, SecurityScheme, Server, Spec, Trigger
from actions.specs.reading import CONTROL, Reader, Reading, aliases_of, assign_ids, extras, text
from actions.specs.references import Unresolved

_VERSION: Final = re.compile(r"([123])\.[0-9]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
PROTOCOLS: Final[Mapping[str, str]] = {
    "kafka": "kafka",
    "kafka-secure": "kafka",
    "amqp": "amqp",
    "amqps": "amqp",
}
"""Which protocols of servers can be spoken, and under which name their bindings stand."""


class AsyncAPIReader(Reader):
    """AsyncAPI 1.x, 2.x and 3.x."""

    kind = "asyncapi"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        value = bundle.root.value
        return isinstance(value, dict) and _VERSION.match(text(value.get("asyncapi"))) is not None

    @override
    def read(self, bundle: Bundle) -> Spec:
        return _AsyncAPI(bundle).spec()


class _AsyncAPI:
    """One reading of one document."""

    def __init__(self, bundle: Bundle) -> None:
        self._reading = Reading(bundle)
        self._root: dict[str, Any] = bundle.root.value
        found = _VERSION.match(text(self._root.get("asyncapi")))
        self._version = found.group(1) if found else "2"
        self._servers: dict[str, Server] = {}
        self._protocols: dict[str, str] = {}
        self._identifier: dict[str, str] = {}
        self._operations: list[tuple[str, Operation]] = []  # with the id that the description asks for
        self._triggers: list[tuple[str, Trigger]] = []

    def spec(self) -> Spec:
        """Read everything."""
        reading, root = self._reading, self._root
        info = reading.mapping(root.get("info"), "/info")
        self._read_servers()
        self._identifier = self._read_identifier()
        if self._version == "1":
            self._read_topics()
            self._read_messages()
        elif self._version == "2":
            self._read_channels()
        else:
            self._read_operations()
        if not self._operations and not self._triggers:
            reading.add("no-operation", "nothing is sent or received in it", "")
        reading.check_references()
        operations = self._named_operations()
        return Spec(
            title=text(info.get("title")),
            version=text(info.get("version")),
            dialect=f"asyncapi{self._version}",
            description=text(info.get("description")),
            servers=tuple(self._servers.values()),
            operations=operations,
            triggers=self._named_triggers(),
            security_schemes=self._schemes(),
            aliases=aliases_of((one.id, one.aliases) for one in operations.values()),
            registry=reading.registry,
            findings=reading.finish(),
            extras={**extras(root), **self._framing()},
        )

    # Servers

    def _read_servers(self) -> None:
        for name, entry in self._listed_servers():
            pointer = f"/servers/{escape(name)}"
            value = self._followed(entry, pointer)
            protocol = text(value.get("protocol") or value.get("scheme")).lower()
            self._protocols[name] = PROTOCOLS.get(protocol, protocol)
            if protocol not in PROTOCOLS:
                message = f"the server {name} speaks {protocol or 'no protocol that is named'}: not called"
                self._reading.add("server-protocol", message, pointer, severity="info")
                continue
            place = text(value.get("url"))
            if self._version == "3":
                place = text(value.get("host")) + text(value.get("pathname"))
            place = _SCHEME.sub("", place.strip())
            if not place or CONTROL.search(place):
                self._reading.add("server-url", f"the server {name} has no usable address", pointer)
                continue
            self._servers[name] = Server(
                url=f"{protocol}://{place}",
                variables=self._reading.variables(value.get("variables"), f"{pointer}/variables"),
                description=text(value.get("description")),
            )

    def _listed_servers(self) -> Iterator[tuple[str, Any]]:
        given = self._root.get("servers")
        if self._version == "1" or isinstance(given, list):  # a list in drafts of version 2, too
            yield from (
                (str(place), one) for place, one in enumerate(self._reading.listing(given, "/servers"))
            )
        else:
            yield from self._reading.mapping(given, "/servers").items()

    def _schemes(self) -> dict[str, SecurityScheme]:
        pointer = "/components/securitySchemes"
        components = self._reading.mapping(self._root.get("components"), "/components")
        schemes = {}
        for name, entry in self._reading.mapping(components.get("securitySchemes"), pointer).items():
            value = self._followed(entry, f"{pointer}/{escape(name)}")
            schemes[name] = SecurityScheme(
                name=name,
                kind=text(value.get("type")),
                scheme=text(value.get("scheme")).lower(),
                description=text(value.get("description")),
                extras=extras(value),
            )
        return schemes

    def _followed(self, value: Any, pointer: str) -> dict[str, Any]:
        """Return an object behind its references; empty, with a finding, where there is none."""
        try:
            return self._reading.mapping(self._reading.registry.follow(value), pointer)
        except Unresolved:
            return {}  # `check_references` says it

    def _read_identifier(self) -> dict[str, str]:
        """Return where in a message the name of its event stands, as descriptions of Ballerina say it."""
        given = self._root.get("x-ballerina-event-identifier")
        value = self._reading.mapping(given, "/x-ballerina-event-identifier")
        kind, path = text(value.get("type")).lower(), text(value.get("path")).strip()
        path = path or (text(value.get("name")).strip() if kind == "header" else "")
        if kind in ("header", "body") and path:
            return {"type": kind, "path": path}
        if given is not None:
            message = "an event is told by a path in a header or the body; this says neither"
            self._reading.add("event-identifier", message, "/x-ballerina-event-identifier")
        return {}

    # Version 1: messages stand on topics, or on nothing where there are none

    def _read_topics(self) -> None:
        base = text(self._root.get("baseTopic")).strip()
        for topic, entry in self._reading.mapping(self._root.get("topics"), "/topics").items():
            pointer = f"/topics/{escape(topic)}"
            if topic.startswith("x-") and not isinstance(entry, dict):
                continue
            item = self._followed(entry, pointer)
            named = {
                text(one.get("name")): one
                for one in map(self._parameter, self._reading.listing(item.get("parameters"), pointer))
            }
            for verb in ("publish", "subscribe"):
                if verb not in item:
                    continue
                draft = self._draft(f"{verb} {topic}", f"{pointer}/{verb}", [])
                messages = draft.messages(item[verb], draft.pointer)
                told = draft.follow(item[verb], "the message") or {}
                made = draft.made(joined(base, topic), {"parameters": named}, told, messages)
                self._add(verb, topic if base else "", made, callable_=verb == "publish")

    def _parameter(self, value: Any) -> dict[str, Any]:
        try:
            found = self._reading.registry.follow(value)
        except Unresolved:
            return {}
        return found if isinstance(found, dict) else {}

    def _read_messages(self) -> None:
        """Read the messages of an API that has no topics: a stream, or events over a WebSocket."""
        for key, verbs in (("stream", ("read", "write")), ("events", ("receive", "send"))):
            part = self._reading.mapping(self._root.get(key), f"/{key}")
            for verb in verbs:
                for place, entry in enumerate(self._reading.listing(part.get(verb), f"/{key}/{verb}")):
                    name = next(_last_tokens([entry]), "") or f"{verb} {place + 1}"
                    draft = self._draft(f"{verb} {name}", f"/{key}/{verb}/{place}", [])
                    messages = draft.messages(entry, draft.pointer)
                    told = draft.follow(entry, "the message") or {}
                    if verb == verbs[1]:
                        draft.refuse("it is sent over a connection that stays open; that is not done here")
                    made = draft.made(name, {}, told, messages)
                    self._add(verb, name, replace(made, parameters=()), callable_=verb == verbs[1])

    def _framing(self) -> dict[str, Any]:
        """Return how the messages of a stream are told apart; only version 1 says it."""
        stream = self._root.get("stream") if self._version == "1" else None
        framing = stream.get("framing") if isinstance(stream, dict) else None
        return {"framing": framing} if isinstance(framing, dict) else {}

    # Version 2: operations stand on channels

    def _read_channels(self) -> None:
        for address, entry in self._reading.mapping(self._root.get("channels"), "/channels").items():
            pointer = f"/channels/{escape(address)}"
            channel = self._followed(entry, pointer)
            names = [text(one) for one in self._reading.listing(channel.get("servers"), f"{pointer}/servers")]
            for verb in ("publish", "subscribe"):
                if verb not in channel:
                    continue
                draft = self._draft(f"{verb} {address}", f"{pointer}/{verb}", names)
                value = draft.operation(channel[verb])
                messages = draft.messages(value.get("message"), f"{draft.pointer}/message")
                wanted = text(value.get("operationId")).strip()
                made = draft.made(address, channel, value, messages, servers=self._named(names))
                self._add(verb, wanted, made, callable_=verb == "publish")

    # Version 3: operations refer to channels

    def _read_operations(self) -> None:
        uses: dict[str, set[str]] = {}  # of channels by name
        for name, entry in self._reading.mapping(self._root.get("operations"), "/operations").items():
            pointer = f"/operations/{escape(name)}"
            draft = self._draft(f"operation {name}", pointer, [])
            value = draft.operation(entry)
            action = value.get("action")
            if action not in ("send", "receive"):
                draft.refuse("the action is neither send nor receive")
            channel = draft.follow(value.get("channel"), "the channel") or {}
            made = self._on_channel(draft, channel, value)
            reply = self._followed(value.get("reply"), f"{pointer}/reply")
            for used, how in ((value.get("channel"), "used"), (reply.get("channel"), str(action))):
                for token in _last_tokens([used]):
                    uses.setdefault(token, set()).add(how)
            if action == "send":
                self._add("subscribe", name, made, callable_=False)
            self._add("publish", name, made, callable_=True)
        self._read_other_channels(uses)

    def _read_other_channels(self, uses: Mapping[str, set[str]]) -> None:
        """Read the channels that carry only replies, and those that no operation uses."""
        for name, entry in self._reading.mapping(self._root.get("channels"), "/channels").items():
            actions = uses.get(name, set())
            if "used" in actions:
                continue
            draft = self._draft(f"channel {name}", f"/channels/{escape(name)}", [])
            made = self._on_channel(draft, draft.follow(entry, "the channel") or {}, {})
            if actions != {"send"}:  # what the application asks for, we answer; what we ask for, it answers
                self._add("reply" if actions else "channel", name, made, callable_=False)
            if actions != {"receive"}:
                self._add("publish", name, made, callable_=True)

    def _on_channel(self, draft: Draft, channel: Mapping[str, Any], value: Mapping[str, Any]) -> Operation:
        """Return an operation on a channel of version 3."""
        names = list(_last_tokens(channel.get("servers")))
        draft.protocols = self._spoken(names)
        address = channel.get("address")
        path = address if isinstance(address, str) else "{address}"  # null: known at run time only
        messages = draft.channel_messages(channel, value)
        return draft.made(path, channel, value, messages, servers=self._named(names))

    def _draft(self, name: str, pointer: str, servers: list[str]) -> Draft:
        default = text(self._root.get("defaultContentType")) or "application/json"
        return Draft(self._reading, name, pointer, protocols=self._spoken(servers), content_type=default)

    def _spoken(self, names: list[str]) -> frozenset[str]:
        """Return the protocols of these servers, of all where none is named."""
        known = [self._protocols[name] for name in names if name in self._protocols]
        return frozenset(known or self._protocols.values())

    def _named(self, names: list[str]) -> tuple[Server, ...]:
        return tuple(self._servers[name] for name in names if name in self._servers)

    # Names

    def _add(self, verb: str, wanted: str, made: Operation, *, callable_: bool) -> None:
        if callable_:
            self._operations.append((wanted, replace(made, method="PUBLISH")))
            if made.problem:
                self._reading.add("operation-refused", made.problem, made.pointer)
            return
        self._triggers.append(
            (
                wanted,
                Trigger(
                    id="",
                    kind="channel",
                    name=wanted or made.path,
                    method=verb.upper(),
                    summary=made.summary,
                    description=made.description,
                    parameters=tuple(one for one in made.parameters if one.location == "path"),
                    body=made.body,
                    address=made.path,
                    problem=made.problem,
                    pointer=made.pointer,
                    extras={**made.extras, **({"identifier": self._identifier} if self._identifier else {})},
                ),
            )
        )

    def _named_operations(self) -> dict[str, Operation]:
        wanted = [(name, "publish", one.path) for name, one in self._operations]
        named = {}
        for (name, one), id_ in zip(self._operations, assign_ids(wanted), strict=True):
            aliases = dict.fromkeys(
                alias for alias in (name, f"PUBLISH {one.path}") if alias not in ("", id_)
            )
            named[id_] = replace(one, id=id_, name=name, aliases=tuple(aliases))
        return named

    def _named_triggers(self) -> dict[str, Trigger]:
        wanted = [(name, "", one.address) for name, one in self._triggers]
        named = {}
        for (_, one), id_ in zip(self._triggers, assign_ids(wanted), strict=True):
            aliases = dict.fromkeys(alias for alias in (one.name, one.address) if alias not in ("", id_))
            named[id_] = replace(one, id=id_, aliases=tuple(aliases))
        return named


def joined(base: str, topic: str) -> str:
    """Return a topic behind its base. What parts them is the base's, else a dot."""
    if not base or topic.startswith(("/", ".")) or base.endswith(("/", ".")):
        return base + topic
    return f"{base}.{topic}"


def _last_tokens(value: Any) -> Iterator[str]:
    """Yield the names that references of a list end with."""
    for entry in value if isinstance(value, list) else ():
        ref = entry.get("$ref") if isinstance(entry, dict) else None
        if isinstance(ref, str):
            yield ref.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
