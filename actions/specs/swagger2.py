"""Reads Swagger 2.0 into the same model as OpenAPI 3.

One bad operation is refused alone, with its reason; everything else is read around it. What only the schema
language of Swagger means (`x-nullable`, `exclusiveMinimum` as a boolean, `discriminator`) is kept as it is.
"""

import re
from collections.abc import Callable, Mapping
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
from actions.specs.paths import (
    TEMPLATE,
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
from actions.specs.reading import CONTROL, Reader, Reading, aliases_of, extras, text
from actions.specs.references import Unresolved
from actions.specs.swagger2_parts import Draft, media_types

VERSION: Final = re.compile(r"2(?:\.[0-9]+){0,2}")
_FLOWS: Final = {
    "implicit": "implicit",
    "password": "password",
    "application": "clientCredentials",
    "accesscode": "authorizationCode",
    "clientcredentials": "clientCredentials",
    "authorizationcode": "authorizationCode",
}
"""The flows of OAuth 2 by the names of Swagger, and of OpenAPI 3, in small letters."""
_KINDS: Final = {"apikey": "apiKey", "oauth2": "oauth2", "basic": "basic", "http": "http"}
_BRACES: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


def is_swagger(value: Any) -> bool:
    """Say whether a document is Swagger 2, by its mark alone."""
    return isinstance(value, dict) and VERSION.fullmatch(text(value.get("swagger")).strip()) is not None


class Swagger2Reader(Reader):
    """Swagger 2.0, alone."""

    kind = "swagger2"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        return is_swagger(bundle.root.value)

    @override
    def read(self, bundle: Bundle) -> Spec:
        swagger = Swagger(bundle)
        spec = swagger.spec()
        return replace(spec, findings=swagger.reading.finish())


Login = Callable[[Mapping[str, SecurityScheme]], SecurityScheme | None]
"""What a security scheme means that is used but not declared, given those that are."""


class Swagger:
    """One reading of one document. The findings stay in `reading`, for whoever reads on."""

    def __init__(self, bundle: Bundle, *, login: Login = lambda _: None) -> None:
        self.reading = self._reading = Reading(bundle)
        self._root: dict[str, Any] = bundle.root.value
        self._login = login
        self._schemes: dict[str, SecurityScheme] = {}
        self._security: Security = ()
        self._consumes: tuple[str, ...] = ()
        self._produces: tuple[str, ...] = ()

    def spec(self) -> Spec:
        """Read everything; the findings come from `reading`."""
        reading, root = self._reading, self._root
        info = reading.mapping(root.get("info"), "/info")
        self._schemes = self._read_schemes()
        self._security = self._read_security(root.get("security"), "/security")
        self._consumes = self._types(root, "consumes", "")
        self._produces = self._types(root, "produces", "")
        servers = self._servers(root.get("schemes"), "/schemes")
        operations = self._operations()
        triggers = self._webhooks()
        if not servers and operations:
            base = text(root.get("basePath"))
            fix = f"the server ends in {base}" if base.strip("/") else ""
            message = "no host is named; the connection has to name the server"
            reading.add("no-server", message, "", fix=fix, severity="info")
        if not operations and not triggers:
            reading.add("no-operation", "there is no operation in it", "/paths")
        reading.check_references()
        return Spec(
            title=text(info.get("title")),
            version=text(info.get("version")),
            dialect="swagger2",
            description=text(info.get("description")),
            servers=servers,
            operations={one.id: one for one in operations},
            triggers=triggers,
            security_schemes=self._schemes,
            aliases=aliases_of((one.id, one.aliases) for one in operations),
            registry=reading.registry,
            extras=extras(root),
        )

    def _types(self, holder: Mapping[str, Any], key: str, pointer: str) -> tuple[str, ...]:
        return media_types(self._reading.listing(holder.get(key), f"{pointer}/{key}"))

    # Servers

    def _servers(self, schemes: Any, pointer: str) -> tuple[Server, ...]:
        """Return a server for each scheme; none when there is no host."""
        reading, root = self._reading, self._root
        template = root.get("x-ms-parameterized-host")
        host, variables = text(root.get("host")).strip(), dict[str, Variable]()
        prefixed = True
        if isinstance(template, dict) and text(template.get("hostTemplate")):
            host = text(template.get("hostTemplate")).strip()
            prefixed = template.get("useSchemePrefix") is not False
            variables = self._host_variables(template, "/x-ms-parameterized-host")
        if not host:
            return ()
        if CONTROL.search(host):
            reading.add("server-url", "the host has control characters; it is not used", "/host")
            return ()
        path = text(root.get("basePath")).strip()
        url = _BRACES.sub(r"{\1}", host.rstrip("/") + ("/" + path.lstrip("/") if path else ""))
        for name in TEMPLATE.findall(url):
            if name not in variables:
                message = f"the part {name} of the host is not declared; the connection has to give it"
                reading.add("server-variable", message, "/host", severity="info")
                variables[name] = Variable()
        variables = {name: one for name, one in variables.items() if f"{{{name}}}" in url}
        if "://" in url.partition("{")[0]:
            reading.add("server-url", "the host has a scheme; it is used as it is written", "/host")
            prefixed = False
        if not prefixed:
            return (Server(url=url, variables=variables),)
        names = [text(one).strip().lower() for one in reading.listing(schemes, pointer)]
        known = list(dict.fromkeys(one for one in names if one in {"http", "https"}))
        if not known:
            reading.add(
                "no-scheme", "neither http nor https is named; https is taken", "/host", severity="info"
            )
            known = ["https"]
        return tuple(Server(url=f"{one}://{url}", variables=variables) for one in known)

    def _host_variables(self, template: Mapping[str, Any], pointer: str) -> dict[str, Variable]:
        """Read the parameters of `x-ms-parameterized-host`."""
        variables = {}
        for index, entry in enumerate(
            self._reading.listing(template.get("parameters"), f"{pointer}/parameters")
        ):
            at = f"{pointer}/parameters/{index}"
            try:
                found = self._reading.registry.follow(entry)
            except Unresolved as reason:
                self._reading.add("server-variable", f"a part of the host {reason}", at)
                continue
            value = self._reading.mapping(found, at)
            enum = self._reading.listing(value.get("enum"), f"{at}/enum")
            default = value.get("default")
            variables[text(value.get("name"))] = Variable(
                default=None if default is None else text(default),
                enum=tuple(text(one) for one in enum),
                description=text(value.get("description")),
            )
        return variables

    # Security

    def _read_schemes(self) -> dict[str, SecurityScheme]:
        reading, pointer = self._reading, "/securityDefinitions"
        schemes = {}
        for name, entry in reading.mapping(self._root.get("securityDefinitions"), pointer).items():
            at = f"{pointer}/{escape(name)}"
            try:
                found = reading.registry.follow(entry)
            except Unresolved as reason:
                reading.add("security-scheme", f"the security scheme {name} {reason}", at)
                schemes[name] = SecurityScheme(name=name, kind="", problem=str(reason))
                continue
            schemes[name] = self._scheme(name, reading.mapping(found, at), at)
        return schemes

    def _scheme(self, name: str, value: Mapping[str, Any], pointer: str) -> SecurityScheme:
        written = text(value.get("type"))
        kind = _KINDS.get(written.strip().lower(), "")
        problem, flows = "", {}
        if not kind:
            problem = f"the type {written!r} is not known"
        elif kind == "oauth2":
            flow = _flow(value)
            flows = {flow: _urls(value)} if flow else {}
            problem = "" if flow else f"the flow {text(value.get('flow'))[:40]!r} is not known"
        if problem:
            self._reading.add("security-scheme", f"the security scheme {name}: {problem}", pointer)
        scheme = "basic" if kind == "basic" else text(value.get("scheme")).lower()
        return SecurityScheme(
            name=name,
            kind="http" if kind == "basic" else kind or written,
            location=text(value.get("in")).strip().lower(),
            parameter=text(value.get("name")),
            scheme=scheme,
            flows=flows,
            description=text(value.get("description")),
            problem=problem,
            extras=extras(value),
        )

    def _read_security(self, value: Any, pointer: str) -> Security:
        return read_security(self._reading, self._schemes, value, pointer, self._login(self._schemes))

    # Operations

    def _operations(self) -> list[Operation]:
        drafts = []
        for path, item, pointer in path_items(self._reading, self._root):
            for method, entry, at in methods(item, pointer):
                draft, value = self._draft(f"{method} {path}", entry, at)
                check_path(draft, path)
                drafts.append(self._operation(draft, method, path, item, value))
        return named_operations(self._reading, drafts)

    def _draft(self, name: str, entry: Any, pointer: str) -> tuple[Draft, Mapping[str, Any]]:
        draft = Draft(self._reading, name, pointer)
        value = draft.operation_of(entry) or {}
        draft.consumes = self._types(value, "consumes", pointer) if "consumes" in value else self._consumes
        draft.produces = self._types(value, "produces", pointer) if "produces" in value else self._produces
        return draft, value

    def _operation(
        self, draft: Draft, method: str, path: str, item: Mapping[str, Any], value: Mapping[str, Any]
    ) -> tuple[str, Operation]:
        reading, at = self._reading, draft.pointer
        parameters, body = draft.inputs(path, item, value)
        security = self._security
        if "security" in value:
            security = self._read_security(value["security"], f"{at}/security")
        operation = Operation(
            id="",
            method=method,
            path=path,
            summary=text(value.get("summary") or item.get("summary")),
            description=text(value.get("description") or item.get("description")),
            tags=tuple(text(one) for one in reading.listing(value.get("tags"), f"{at}/tags")),
            deprecated=value.get("deprecated") is True,
            parameters=parameters,
            body=body,
            responses=draft.responses(value.get("responses")),
            servers=self._servers(value["schemes"], f"{at}/schemes") if value.get("schemes") else (),
            security=security,
            key_header=key_header(parameters),
            pointer=at,
            extras=extras({**item, **value}),
        )
        return text(value.get("operationId")).strip(), settled(draft, operation)

    def _webhooks(self) -> dict[str, Trigger]:
        triggers = []
        for name, entry in self._reading.mapping(self._root.get("x-webhooks"), "/x-webhooks").items():
            pointer = f"/x-webhooks/{escape(name)}"
            item = path_item(self._reading, entry, name, pointer)
            for method, member, at in methods(item, pointer):
                draft, value = self._draft(f"webhook {name}", member, at)
                parameters, body = draft.inputs("", item, value)
                trigger = Trigger(
                    id="",
                    kind="webhook",
                    name=name,
                    method=method,
                    summary=text(value.get("summary")),
                    description=text(value.get("description")),
                    parameters=parameters,
                    body=body,
                    problem="; ".join(draft.problems),
                    pointer=at,
                    extras=extras({**item, **value}),
                )
                if trigger.problem:
                    self._reading.add("trigger-refused", f"{draft.name}: {trigger.problem}", at)
                triggers.append((text(value.get("operationId")).strip(), trigger))
        return named_triggers(triggers)


def _flow(value: Mapping[str, Any]) -> str:
    """Return the name of a flow in OpenAPI 3; where none is written, the URLs tell."""
    written = text(value.get("flow")).strip().lower()
    if written:
        return _FLOWS.get(written, "")
    login, token = text(value.get("authorizationUrl")), text(value.get("tokenUrl"))
    if login:
        return "authorizationCode" if token else "implicit"
    return "clientCredentials" if token else ""


def _urls(value: Mapping[str, Any]) -> dict[str, Any]:
    scopes = value.get("scopes")
    urls = {
        key: text(value.get(key)) for key in ("authorizationUrl", "tokenUrl", "refreshUrl") if value.get(key)
    }
    return {**urls, "scopes": scopes if isinstance(scopes, dict) else {}}
