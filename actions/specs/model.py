"""The one model that every format is read into: operations, triggers, servers, security, schemas.

Names on the wire never change here. Schemas are JSON values with their `$ref`s intact; `Spec.registry` finds
what they point to. What only one format knows and only its own run time needs lies in `extras`, under the
names of that format (`x-ms-…`, policies, connection parameters, scripts).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actions.base import Finding
from actions.specs.references import Registry, reachable, standalone

Location = Literal["path", "query", "header", "cookie", "message"]
LOCATIONS: Final[tuple[Location, ...]] = ("path", "query", "header", "cookie")
"""Where a parameter of an HTTP request stands. `message` is a part of a bus message beside its body."""

GROUPS: Final[tuple[Location, ...]] = (*LOCATIONS, "message")
"""Under which names the inputs of an operation are grouped where some of their own names collide."""

Style = Literal[
    "simple", "label", "matrix", "form", "spaceDelimited", "tabDelimited", "pipeDelimited", "deepObject"
]
"""The styles of OpenAPI, and `tabDelimited` for the `tsv` of Swagger 2."""

MediaKind = Literal["json", "form", "multipart", "text", "xml", "binary"]
PREFERENCE: Final[tuple[MediaKind, ...]] = ("json", "form", "multipart", "text", "xml", "binary")
"""Which body is sent when a description allows several."""

NEVER_SET: Final = frozenset(
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "authorization",
    ]
)
"""Headers that belong to the transport or to the login: no parameter can set them, whatever it declares."""

Schema = Mapping[str, Any] | bool


def media_kind(media_type: str) -> MediaKind:
    """Return how a body of this media type is written; `*/*` and nothing at all mean JSON."""
    essence = media_type.partition(";")[0].strip().lower()
    if essence in {"", "*/*", "application/*"} or essence.endswith(("/json", "+json")):
        return "json"
    if essence == "application/x-www-form-urlencoded":
        return "form"
    if essence.startswith("multipart/"):
        return "multipart"
    if essence.endswith(("/xml", "+xml")):
        return "xml"
    return "text" if essence.startswith("text/") else "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A part of a server's URL that the connection chooses; `default` is None where none is declared."""

    default: str | None = None
    enum: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the API lives. The URL is as written: perhaps relative, perhaps with `{variables}`."""

    url: str
    variables: Mapping[str, Variable] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One input beside the body. `content_type` is set when the value travels as that media type."""

    name: str
    location: Location
    required: bool = False
    schema: Schema = field(default_factory=dict)
    style: Style = "simple"
    explode: bool = False
    allow_reserved: bool = False
    content_type: str = ""
    twice_encoded: bool = False
    deprecated: bool = False
    description: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One media type of a body. `encoding` says how fields of forms travel, as OpenAPI writes it."""

    type: str
    schema: Schema = field(default_factory=dict)
    encoding: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> MediaKind:
        """How a body of this media type is written."""
        return media_kind(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an operation takes as its body; `media` stands in the order of preference."""

    media: tuple[Media, ...]
    required: bool = False
    description: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One declared answer. `headers` maps names to schemas."""

    media: tuple[Media, ...] = ()
    headers: Mapping[str, Schema] = field(default_factory=dict)
    description: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One security scheme that a call needs, with the scopes asked for."""

    scheme: str
    scopes: tuple[str, ...] = ()


Security = tuple[tuple[Need, ...], ...]
"""Alternatives, each a set of schemes needed together; an empty one is calling without a login.

`()` says nothing: the connection's own login is sent. `((),)` says that no login is wanted.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """A way to log in. `kind` is OpenAPI's `type` (apiKey, http, oauth2, openIdConnect, mutualTLS).

    `location` and `parameter` belong to apiKey, `scheme` to http (lower case), `flows` and `url` to OAuth 2
    and OpenID Connect. `problem` says why it cannot be used.
    """

    name: str
    kind: str
    location: str = ""
    parameter: str = ""
    scheme: str = ""
    flows: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    description: str = ""
    problem: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


ParameterKind = Literal["string", "secret", "integer", "boolean", "oauth", "gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParameter:
    """A value that every connection gives once: a Power Platform connection parameter, a Postman variable.

    `sets` names the parameter sets that it belongs to; empty: it is wanted whatever set is chosen. `default`
    is None where none is declared. `secret` and `oauth` values are never shown.
    """

    name: str
    kind: ParameterKind = "string"
    required: bool = False
    default: str | None = None
    enum: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    description: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


Section = Literal["request", "response", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One instance of a Power Platform policy template, in the order of the description.

    `template` is lower case. `operations` are ids of operations, None for all of them. `parameters` are as
    written, without those that the platform itself reads (`x-ms-apimTemplate…`). `problem` says why it
    cannot be executed; its operations are then degraded.
    """

    template: str
    title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    operations: tuple[str, ...] | None = None
    section: Section = "request"
    problem: str = ""
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Arguments that the description shows for an operation, under the name it gives them.

    `method` and `url` are as written, where the description shows whole requests.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    method: str = ""
    url: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One callable thing. `path` is as written; an empty `servers` means those of the description.

    `name` is what the description calls it, as written (operationId); empty where it does not.
    `problem` says why it cannot be called, `degraded` what of it could not be read. `key_header` is the
    idempotency header that it declares. `needs_code`: a script that came with the description performs it,
    which we do not run; it can be called as described, or by a hook.
    """

    id: str
    method: str
    path: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    responses: Mapping[str, Response] = field(default_factory=dict)
    servers: tuple[Server, ...] = ()
    security: Security = ()
    key_header: str = ""
    needs_code: bool = False
    problem: str = ""
    degraded: tuple[str, ...] = ()
    presets: tuple[Preset, ...] = ()
    pointer: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Literal["ok", "degraded", "refused"]:
        """What has become of it; see `Spec.degradations` for what its schemas add."""
        if self.problem:
            return "refused"
        return "degraded" if self.degraded else "ok"

    @property
    def grouped(self) -> bool:
        """Whether the inputs stand under the names of GROUPS: some of their own names collide."""
        names = [one.name for one in self.parameters]
        return len(set(names)) < len(names) or (self.body is not None and "body" in names)


TriggerKind = Literal["webhook", "callback", "notification", "channel", "poll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Something that the described API sends to us, or that we ask it for again and again.

    `operation` is the id of the operation that asks for it (a callback's, a registration's, the polled
    one); `address` says where the URL of the receiver stands, as the format writes it.
    """

    id: str
    kind: TriggerKind
    name: str
    method: str = ""
    aliases: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    security: Security = ()
    operation: str = ""
    address: str = ""
    problem: str = ""
    pointer: str = ""
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Why an operation of a description is not there: in words, and a JSON pointer into what says so."""

    reason: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A description, read. An error among the findings means that it could not be read at all.

    `dialect` is one of swagger2, openapi3.0, openapi3.1, openapi3.2, postman1, postman2.0, postman2.1,
    asyncapi1, asyncapi2, asyncapi3. `parameters` and `parameter_sets` (name →
    title) are what a connection has to give; `test` is the declared way to try a connection: an operation's
    id as its name, and the arguments. `left_out` are, by id, the operations that the text describes and that
    nobody wants of it; readers leave out nothing.
    """

    title: str = ""
    version: str = ""
    dialect: str = ""
    description: str = ""
    servers: tuple[Server, ...] = ()
    operations: Mapping[str, Operation] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    security_schemes: Mapping[str, SecurityScheme] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, ConnectionParameter] = field(default_factory=dict)
    parameter_sets: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    test: Preset | None = None
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    registry: Registry = field(default_factory=lambda: Registry({}), repr=False)
    findings: tuple[Finding, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether this is a description at all; what is wrong with one operation does not count."""
        return not any(one.severity == "error" for one in self.findings)

    def find(self, name: str) -> Operation | None:
        """Return an operation by its id, its original operationId or `METHOD /path`."""
        return self.operations.get(name) or self.operations.get(self.aliases.get(name, ""))

    def why_left_out(self, name: str) -> LeftOut | None:
        """Return why there is no operation of a name, where one is described; None for any other name."""
        return self.left_out.get(name) or self.left_out.get(self.aliases.get(name, ""))

    def servers_of(self, operation: Operation) -> tuple[Server, ...]:
        """Return where an operation lives: its own servers or those of the description."""
        return operation.servers or self.servers

    def input_schema(self, operation: Operation) -> dict[str, Any]:
        """Return the schema of the arguments: parameters by wire name, and `body`."""
        groups: dict[str, list[tuple[str, Schema, bool]]] = {"": []}
        for one in operation.parameters:
            fill = one.location == "header" and one.name == operation.key_header  # we send the key
            entry = (one.name, _described(one), one.required and not fill)
            groups.setdefault(one.location if operation.grouped else "", []).append(entry)
        for name, schema in _choices(operation):
            groups.setdefault("header" if operation.grouped else "", []).append((name, schema, False))
        top = groups.pop("")
        top.extend(
            (location, _object(entries), any(required for *_, required in entries))
            for location, entries in groups.items()
        )
        if operation.body:
            media = operation.body.media
            top.append(("body", media[0].schema if media else {}, operation.body.required))
        return _object(top)

    def output_schemas(self, operation: Operation) -> dict[str, Schema]:
        """Return the schema of the preferred media type by status; an answer without content is null."""
        return {
            status: response.media[0].schema if response.media else {"type": "null"}
            for status, response in operation.responses.items()
        }

    def standalone(self, schema: Schema) -> Any:
        """Return a schema with everything that it reaches under `$defs`; made anew at every call."""
        return standalone(self.registry, schema)

    def degradations(self, operation: Operation) -> tuple[str, ...]:
        """Return everything that is not as described, in the schemas that the operation reaches too."""
        reasons = dict.fromkeys(operation.degraded)
        for schema in _schemas(operation):
            for reason in reachable(self.registry, schema).values():
                if reason:
                    reasons[f"a schema {reason}; anything is allowed there"] = None
        return tuple(reasons)


_SHOWN: Final = ("x-ms-summary", "x-ms-visibility")


def _choices(operation: Operation) -> Iterator[tuple[str, Schema]]:
    """Yield the headers that choose among media types, where there is a choice and no parameter says so."""
    declared = {one.name.lower() for one in operation.parameters if one.location != "query"}
    sent = [one.type for one in operation.body.media] if operation.body else []
    wanted = [
        one.type
        for status, response in operation.responses.items()
        if status.startswith("2")
        for one in response.media
    ]
    for name, types, what in (("Content-Type", sent, "the body"), ("Accept", wanted, "the answer")):
        names = list(dict.fromkeys(types))
        if (
            name.lower() not in declared
            and operation.method != "PUBLISH"
            and (len(names) > 1 or (name == "Content-Type" and any("*" in one for one in names)))
        ):
            text = f"What {what} is sent as; one of {', '.join(names[:10])}."
            yield name, {"type": "string", "description": text, "examples": names[:10]}


def _described(parameter: Parameter) -> Schema:
    """Return the schema of a parameter with what the description says beside it, for people."""
    schema = parameter.schema
    if isinstance(schema, bool) or "$ref" in schema:
        return schema
    said = {"description": parameter.description} if parameter.description else {}
    said |= {name: parameter.extras[name] for name in _SHOWN if name in parameter.extras}
    beside = {name: value for name, value in said.items() if name not in schema}
    return {**schema, **beside} if beside else schema


def _object(entries: list[tuple[str, Schema, bool]]) -> dict[str, Any]:
    required = [name for name, _, needed in entries if needed]
    return {
        "type": "object",
        "properties": {name: schema for name, schema, _ in entries},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _schemas(operation: Operation) -> Iterator[Schema]:
    yield from (one.schema for one in operation.parameters)
    if operation.body:
        yield from (one.schema for one in operation.body.media)
    for response in operation.responses.values():
        yield from (one.schema for one in response.media)
