"""Reads OpenAPI 3.0, 3.1 and what 3.2 shares with them; further versions 3.x are read as the newest known.

One bad operation is refused alone, with its reason; everything else is read around it. What only the schema
language of a version means (`nullable`, `exclusiveMinimum`, type lists) is kept as it is.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from actions.specs.events import escape
from actions.specs.load import Bundle
from actions.specs.model import (
    Operation,
    Security,
    SecurityScheme,
    Server,
    Spec,
    Trigger,
    Variable,
)
from actions.specs.openapi_parts import Draft, new_words
from actions.specs.paths import (
    TEMPLATE,
    check_method,
    check_path,
    key_header,
    methods,
    named_operations,
    named_triggers,
    path_item,
    path_items,
    read_security,
    settled,
)
from actions.specs.reading import CONTROL, EXTENSION, Reader, Reading, aliases_of, extras, text
from actions.specs.references import Unresolved
from actions.specs.restoring import restored, unsendable

_VERSION: Final = re.compile(r"\s*[vV]?3(?:\.([0-9]+)\b.*)?\s*", re.DOTALL)
_NEWEST: Final = 2
_USUAL: Final = re.compile(r"3\.[0-9]+(?:\.[0-9]+)?")
_DOUBLED: Final = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
"""A variable of a collection that became the URL of a server: `{{baseUrl}}`."""


class OpenAPIReader(Reader):
    """OpenAPI 3.x in one file or several."""

    kind = "openapi"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        value = bundle.root.value
        return isinstance(value, dict) and _VERSION.fullmatch(text(value.get("openapi"))) is not None

    @override
    def read(self, bundle: Bundle) -> Spec:
        return _OpenAPI(bundle).spec()


class _OpenAPI:
    """One reading of one document."""

    def __init__(self, bundle: Bundle) -> None:
        self._reading = Reading(bundle)
        self._root: dict[str, Any] = bundle.root.value
        self._triggers: list[tuple[str, Trigger]] = []  # with the id that the description asks for
        self._schemes: dict[str, SecurityScheme] = {}
        self._security: Security = ()
        self._minor = 0
        self._said: dict[str, dict[str, Any]] = {}  # by pointer, what has an extension of ours

    def spec(self) -> Spec:
        """Read everything."""
        reading, root = self._reading, self._root
        self._read_version()
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
        made = Spec(
            title=text(info.get("title")),
            version=text(info.get("version")),
            dialect=f"openapi3.{self._minor}",
            description=text(info.get("description")),
            servers=servers,
            operations={one.id: one for one in operations},
            triggers=self._named_triggers(),
            security_schemes={one.name: one for one in self._schemes.values()},
            aliases=aliases_of((one.id, one.aliases) for one in operations),
            registry=reading.registry,
            extras=extras(root),
        )
        made = restored(reading, made, root, "")
        return replace(made, findings=reading.finish())

    def _read_version(self) -> None:
        """Find out which version this is, and say where it is an odd one."""
        written = self._root.get("openapi")
        found = _VERSION.fullmatch(text(written))
        minor = int(found.group(1)[:4]) if found and found.group(1) else 0
        self._minor = min(minor, _NEWEST)
        if minor > _NEWEST:
            message = f"OpenAPI {text(written)[:20]} is not known; read as 3.{_NEWEST}"
            self._reading.add("unknown-version", message, "/openapi")
        elif not isinstance(written, str) or not _USUAL.fullmatch(written):
            message = f"the version {written!r:.40} is read as 3.{minor}"
            self._reading.add("odd-version", message, "/openapi", severity="info")
        if self._minor == _NEWEST:
            for word, (pointer, count) in new_words(self._root).items():
                message = f"`{word}` of OpenAPI 3.2 is not read; it stands in {count} places"
                self._reading.add("new-word", message, pointer, severity="info")
        if "swagger" in self._root:
            message = f"it says `swagger` too; read as OpenAPI 3.{self._minor}"
            self._reading.add("two-versions", message, "/swagger")

    def _methods(self, item: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, Any, str]]:
        """Yield every operation of a path item; 3.2 has any method under `additionalOperations`."""
        if self._minor < _NEWEST:
            yield from methods(item, pointer)
            return
        yield from methods(item, pointer, ("query",))
        at = f"{pointer}/additionalOperations"
        for method, entry in self._reading.mapping(item.get("additionalOperations"), at).items():
            if not method.startswith("x-"):
                yield method, entry, f"{at}/{escape(method)}"

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
            url = _DOUBLED.sub(r"{\1}", url)
            variables = self._reading.variables(server.get("variables"), f"{at}/variables")
            for name in TEMPLATE.findall(url):
                if name not in variables:
                    message = f"the server variable {name} is not declared; the connection has to give it"
                    self._reading.add("server-variable", message, at)
                    variables[name] = Variable()
                elif variables[name].default is None:
                    some = f": one of {', '.join(variables[name].enum[:5])}" if variables[name].enum else ""
                    message = (
                        f"the server variable {name} has no default; the connection has to give it{some}"
                    )
                    self._reading.add("server-variable", message, at, severity="info")
            made = Server(url=url.strip(), variables=variables, description=text(server.get("description")))
            servers.append(restored(self._reading, made, server, at))
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
            made = SecurityScheme(
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
            schemes[name] = restored(reading, made, value, f"{pointer}/{escape(name)}")
        return schemes

    def _read_security(self, value: Any, pointer: str) -> Security:
        return read_security(self._reading, self._schemes, value, pointer)

    # Paths

    def _operations(self) -> list[Operation]:
        drafts = []
        for path, item, pointer in path_items(self._reading, self._root):
            servers = self._servers(item.get("servers"), f"{pointer}/servers")
            for method, entry, at in self._methods(item, pointer):
                draft = Draft(self._reading, f"{method} {path}", at)
                check_method(draft, method)
                found = draft.operation_of(entry)
                name, operation = self._operation(draft, path, item, {} if found is None else found)
                drafts.append((name, replace(operation, method=method, servers=operation.servers or servers)))
                self._keep_extension(at, found)
        operations = self._restored(named_operations(self._reading, drafts))
        callers = {one.pointer: one.id for one in operations}
        self._triggers = [
            (name, replace(one, operation=callers[one.operation]) if one.operation else one)
            for name, one in self._triggers
        ]
        return operations

    def _operation(
        self, draft: Draft, path: str, item: Mapping[str, Any], value: Mapping[str, Any]
    ) -> tuple[str, Operation]:
        reading, at = self._reading, draft.pointer
        parameters = draft.parameters(path, item, value)
        check_path(draft, path)
        security = self._security
        if "security" in value:
            security = self._read_security(value["security"], f"{at}/security")
        self._read_callbacks(draft, value.get("callbacks"))
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
            key_header=key_header(parameters),
            pointer=at,
            extras=extras({**item, **value}),
        )
        return text(value.get("operationId")).strip(), settled(draft, operation)

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
        item = path_item(self._reading, entry, trigger.name, pointer)
        for method, member, at in self._methods(item, pointer):
            draft = Draft(self._reading, f"{trigger.kind} {trigger.name}", at)
            value = draft.operation_of(member) or {}
            security: Security = ()
            if "security" in value:
                security = self._read_security(value["security"], f"{at}/security")
            made = replace(
                trigger,
                method=method,
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
            self._triggers.append((text(value.get("operationId")).strip(), made))
            self._keep_extension(at, value)

    # What an export says beyond OpenAPI

    def _keep_extension(self, pointer: str, value: Any) -> None:
        if isinstance(value, dict) and EXTENSION in value:
            self._said[pointer] = value

    def _restored(self, operations: list[Operation]) -> list[Operation]:
        """Return the operations as they were before the export; an id that two of them want is neither's."""
        operations = [replace(one, security=self._named(one.security)) for one in operations]
        wanted = [
            restored(self._reading, one, self._said.get(one.pointer), one.pointer) for one in operations
        ]
        counts = Counter(one.id for one in wanted)
        taken = {name for name, count in counts.items() if count == 1}
        made = []
        for before, one in zip(operations, wanted, strict=True):
            again = one
            if counts[one.id] > 1:
                message = f"the id {one.id} is wanted {counts[one.id]} times; ignored"
                self._reading.add("export-extension", message, one.pointer)
                again = replace(one, id=_unlike(before.id, taken))
                taken.add(again.id)
            reason = "" if again.problem else unsendable(again)
            if reason:
                again = replace(again, problem=f"{again.method[:40]} {again.path}: {reason}")
            if again.problem and not before.problem:
                self._reading.add("operation-refused", again.problem, again.pointer)
            made.append(again)
        return made

    def _named(self, security: Security) -> Security:
        """Return what is needed by the names that the schemes had, where an export could not keep them."""
        if all(name == one.name for name, one in self._schemes.items()):
            return security
        return tuple(
            tuple(replace(need, scheme=self._schemes[need.scheme].name) for need in needs)
            for needs in security
        )

    def _named_triggers(self) -> dict[str, Trigger]:
        named: dict[str, Trigger] = {}
        for plain in named_triggers(self._triggers).values():
            one = replace(plain, security=self._named(plain.security))
            made = restored(self._reading, one, self._said.get(one.pointer), one.pointer)
            made = replace(made, id=_unlike(made.id, named))
            named[made.id] = made
        return named


def _unlike(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken."""
    made, count = name, 1
    while made in taken:
        count += 1
        made = f"{name}_{count}"
    return made
