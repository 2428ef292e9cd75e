"""Reads OpenAPI 3.0 and 3.1.

One bad operation is refused alone, with its reason; everything else is read around it. What only the schema
language of a version means (`nullable`, `exclusiveMinimum`, type lists) is kept as it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from actions.specs.events import escape
from actions.specs.load import Bundle
from actions.specs.model import (
    Need,
    Operation,
    Security,
    SecurityScheme,
    Server,
    Spec,
    Trigger,
    Variable,
)
from actions.specs.openapi_parts import TEMPLATE, Draft
from actions.specs.reading import (
    CONTROL,
    IDEMPOTENCY,
    METHODS,
    Reader,
    Reading,
    aliases_of,
    assign_ids,
    extras,
    text,
)
from actions.specs.references import Unresolved

_VERSION: Final = re.compile(r"3\.([01])\b")
_DOTS: Final = re.compile(r"(?:^|/)\.{1,2}(?=/|$)")


class OpenAPIReader(Reader):
    """OpenAPI 3.0 and 3.1 in one file."""

    kind = "openapi"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        value = bundle.root.value
        return isinstance(value, dict) and _VERSION.match(text(value.get("openapi"))) is not None

    @override
    def read(self, bundle: Bundle) -> Spec:
        return _OpenAPI(bundle).spec()


class _OpenAPI:
    """One reading of one document."""

    def __init__(self, bundle: Bundle) -> None:
        self._reading = Reading(bundle)
        self._root: dict[str, Any] = bundle.root.value
        self._triggers: list[tuple[Trigger, str]] = []  # with the id that the description asks for
        self._schemes: dict[str, SecurityScheme] = {}
        self._security: Security = ()

    def spec(self) -> Spec:
        """Read everything."""
        reading, root = self._reading, self._root
        info = reading.mapping(root.get("info"), "/info")
        self._schemes = self._read_schemes()
        self._security = self._read_security(root.get("security"), "/security")
        servers = self._servers(root.get("servers"), "/servers")
        operations = self._operations()
        for key in ("webhooks", "x-webhooks"):
            self._read_webhooks(root.get(key), f"/{key}")
        if not servers and any(not one.servers for one in operations):
            reading.add("no-server", "no server is named; the connection has to", "", severity="info")
        if not operations and not self._triggers:
            reading.add("no-operation", "there is no operation and no webhook in it", "/paths")
        reading.check_references()
        found = _VERSION.match(text(root.get("openapi")))
        return Spec(
            title=text(info.get("title")),
            version=text(info.get("version")),
            dialect=f"openapi3.{found.group(1) if found else 0}",
            description=text(info.get("description")),
            servers=servers,
            operations={one.id: one for one in operations},
            triggers=self._named_triggers(),
            security_schemes=self._schemes,
            aliases=aliases_of((one.id, one.aliases) for one in operations),
            registry=reading.registry,
            findings=reading.finish(),
            extras=extras(root),
        )

    # Servers and security

    def _servers(self, value: Any, pointer: str) -> tuple[Server, ...]:
        servers = []
        for index, entry in enumerate(self._reading.listing(value, pointer)):
            at = f"{pointer}/{index}"
            server = self._reading.mapping(entry, at)
            url = server.get("url")
            if not isinstance(url, str) or CONTROL.search(url):
                self._reading.add("server-url", "a server needs a URL without control characters", at)
                continue
            variables = self._reading.variables(server.get("variables"), f"{at}/variables")
            for name in TEMPLATE.findall(url):
                if name not in variables:
                    message = f"the server variable {name} is not declared; the connection has to give it"
                    self._reading.add("server-variable", message, at)
                    variables[name] = Variable()
            servers.append(
                Server(url=url.strip(), variables=variables, description=text(server.get("description")))
            )
        return tuple(servers)

    def _read_schemes(self) -> dict[str, SecurityScheme]:
        reading, pointer = self._reading, "/components/securitySchemes"
        components = reading.mapping(self._root.get("components"), "/components")
        schemes = {}
        for name, entry in reading.mapping(components.get("securitySchemes"), pointer).items():
            problem = ""
            try:
                found = reading.registry.follow(entry)
            except Unresolved as reason:
                found, problem = {}, str(reason)
            value = found if isinstance(found, dict) else {}
            kind = text(value.get("type"))
            if not problem and kind not in {"apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"}:
                problem = f"the type {kind!r} is not known"
            if problem:
                reading.add(
                    "security-scheme", f"the security scheme {name} {problem}", f"{pointer}/{escape(name)}"
                )
            flows = value.get("flows")
            schemes[name] = SecurityScheme(
                name=name,
                kind=kind,
                location=text(value.get("in")),
                parameter=text(value.get("name")),
                scheme=text(value.get("scheme")).lower(),
                flows=flows if isinstance(flows, dict) else {},
                url=text(value.get("openIdConnectUrl")),
                description=text(value.get("description")),
                problem=problem,
                extras=extras(value),
            )
        return schemes

    def _read_security(self, value: Any, pointer: str) -> Security:
        alternatives = []
        for index, entry in enumerate(self._reading.listing(value, pointer)):
            needs = []
            for name, scopes in self._reading.mapping(entry, f"{pointer}/{index}").items():
                if name not in self._schemes:
                    message = f"the security scheme {name} is not declared"
                    self._schemes[name] = SecurityScheme(name=name, kind="", problem="is not declared")
                    self._reading.add("security-scheme", message, f"{pointer}/{index}")
                listed = scopes if isinstance(scopes, list) else []
                needs.append(Need(scheme=name, scopes=tuple(text(one) for one in listed)))
            alternatives.append(tuple(needs))
        return tuple(alternatives)

    # Paths

    def _operations(self) -> list[Operation]:
        drafts: list[Operation] = []
        wanted: list[tuple[str, str, str]] = []
        for key in ("paths", "x-ms-paths"):
            for path, entry in self._reading.mapping(self._root.get(key), f"/{key}").items():
                pointer = f"/{key}/{escape(path)}"
                if path.startswith("x-"):
                    continue
                for name, operation in self._path_item(path, entry, pointer):
                    drafts.append(operation)
                    wanted.append((name, operation.method, path))
        operations = []
        for draft, (name, method, path), id_ in zip(drafts, wanted, assign_ids(wanted), strict=True):
            aliases = tuple(
                dict.fromkeys(alias for alias in (name, f"{method} {path}") if alias and alias != id_)
            )
            operations.append(replace(draft, id=id_, aliases=aliases))
        self._report_duplicates(wanted, operations)
        callers = {one.pointer: one.id for one in operations}
        self._triggers = [
            (replace(one, operation=callers[one.operation]) if one.operation else one, name)
            for one, name in self._triggers
        ]
        return operations

    def _report_duplicates(self, wanted: list[tuple[str, str, str]], operations: list[Operation]) -> None:
        owners: dict[str, list[Operation]] = {}
        for (name, _, _), operation in zip(wanted, operations, strict=True):
            if name:
                owners.setdefault(name, []).append(operation)
        for name, sharing in owners.items():
            if len(sharing) > 1:
                ids = ", ".join(one.id for one in sharing[:5])
                message = f"the operationId {name[:80]!r} is used {len(sharing)} times; they are {ids}"
                self._reading.add("duplicate-operation-id", message, sharing[1].pointer)

    def _path_item(self, path: str, value: Any, pointer: str) -> Iterator[tuple[str, Operation]]:
        """Yield the original name and the operation, without an id, of everything on one path."""
        item = self._item(value, path, pointer)
        servers = self._servers(item.get("servers"), f"{pointer}/servers")
        for key, entry in item.items():
            if key.lower() not in METHODS:
                continue
            method, at = key.upper(), f"{pointer}/{key}"
            draft = Draft(self._reading, f"{method} {path}", at)
            found = draft.follow(entry, "the operation")
            name, operation = self._operation(draft, path, item, {} if found is None else found)
            yield name, replace(operation, method=method, servers=operation.servers or servers)

    def _item(self, value: Any, path: str, pointer: str) -> dict[str, Any]:
        """Return a path item with what it refers to merged in; empty, with a finding, when it is none."""
        try:
            found = self._reading.registry.follow(value)
        except Unresolved as reason:
            self._reading.add("path-refused", f"{path} {reason}; its operations are not known", pointer)
            found = {}
        item = self._reading.mapping(found, pointer)
        if isinstance(value, dict) and value is not item:
            return {**item, **{key: member for key, member in value.items() if key != "$ref"}}
        return item

    def _operation(
        self, draft: Draft, path: str, item: Mapping[str, Any], value: Mapping[str, Any]
    ) -> tuple[str, Operation]:
        reading, at = self._reading, draft.pointer
        parameters = draft.parameters(path, item, value)
        if CONTROL.search(path):
            draft.refuse("the path has control characters")
        elif _DOTS.search(path.partition("?")[0].partition("#")[0]):
            draft.refuse("the path has dot segments")
        elif not path.startswith("/"):
            draft.degrade("path", "the path does not begin with /; sent as if it did", at)
        security = self._security
        if "security" in value:
            security = self._read_security(value["security"], f"{at}/security")
        self._read_callbacks(draft, value.get("callbacks"))
        keys = [
            one.name for one in parameters if one.location == "header" and IDEMPOTENCY.fullmatch(one.name)
        ]
        operation = Operation(
            id="",
            method="",
            path=path,
            summary=text(value.get("summary") or item.get("summary")),
            description=text(value.get("description") or item.get("description")),
            tags=tuple(text(one) for one in reading.listing(value.get("tags"), f"{at}/tags")),
            deprecated=value.get("deprecated") is True,
            parameters=parameters,
            body=draft.body(value.get("requestBody")),
            responses=draft.responses(value.get("responses")),
            servers=self._servers(value.get("servers"), f"{at}/servers"),
            security=security,
            key_header=keys[0] if keys else "",
            pointer=at,
            extras=extras({**item, **value}),
        )
        if draft.problems:
            problem = "; ".join(draft.problems)
            reading.add("operation-refused", f"{draft.name}: {problem}", at)
            operation = replace(operation, problem=f"{draft.name}: {problem}")
        name = text(value.get("operationId")).strip()
        return name, replace(operation, degraded=tuple(draft.degraded))

    # What is sent to us

    def _read_webhooks(self, value: Any, pointer: str) -> None:
        for name, entry in self._reading.mapping(value, pointer).items():
            if not name.startswith("x-"):
                trigger = Trigger(id="", kind="webhook", name=name)
                self._read_triggers(trigger, entry, f"{pointer}/{escape(name)}")

    def _read_callbacks(self, draft: Draft, value: Any) -> None:
        for name, entry in self._reading.mapping(value, f"{draft.pointer}/callbacks").items():
            pointer = f"{draft.pointer}/callbacks/{escape(name)}"
            try:
                found = self._reading.registry.follow(entry)
            except Unresolved as reason:
                draft.degrade("callback", f"the callback {name} {reason}", pointer)
                continue
            for address, item in self._reading.mapping(found, pointer).items():
                if address.startswith("x-"):
                    continue
                trigger = Trigger(id="", kind="callback", name=name, operation=draft.pointer, address=address)
                self._read_triggers(trigger, item, f"{pointer}/{escape(address)}")

    def _read_triggers(self, trigger: Trigger, entry: Any, pointer: str) -> None:
        item = self._item(entry, trigger.name, pointer)
        for key, member in item.items():
            if key.lower() not in METHODS:
                continue
            at = f"{pointer}/{key}"
            draft = Draft(self._reading, f"{trigger.kind} {trigger.name}", at)
            value = draft.follow(member, "the operation") or {}
            security: Security = ()
            if "security" in value:
                security = self._read_security(value["security"], f"{at}/security")
            made = replace(
                trigger,
                method=key.upper(),
                summary=text(value.get("summary")),
                description=text(value.get("description")),
                parameters=draft.parameters("", item, value),
                body=draft.body(value.get("requestBody")),
                security=security,
                problem="; ".join(draft.problems),
                pointer=at,
                extras=extras({**item, **value}),
            )
            if made.problem:
                self._reading.add("trigger-refused", f"{draft.name}: {made.problem}", at)
            self._triggers.append((made, text(value.get("operationId")).strip()))

    def _named_triggers(self) -> dict[str, Trigger]:
        wanted = []
        for one, _ in self._triggers:
            method = "" if one.method == "POST" else one.method
            wanted.append((one.name, method, f"{one.operation} {one.name}".strip()))
        triggers = {}
        for (one, original), id_ in zip(self._triggers, assign_ids(wanted), strict=True):
            aliases = tuple(alias for alias in dict.fromkeys((original, one.name)) if alias and alias != id_)
            triggers[id_] = replace(one, id=id_, aliases=aliases)
        return triggers
