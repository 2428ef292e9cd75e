"""Makes up the connection that a description is exercised with: base URL, variables, its own parameters.

Pure. What the description gives (defaults, enums) is taken; the rest is invented so that it can stand where
the description uses it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from actions.addresses import read_server
from actions.errors import Refused
from actions.places import Place
from actions.samples import Sampler
from actions.serialize import expand_server
from actions.specs.model import ConnectionParameter, Operation, Policy, Server, Spec

HOST: Final = "backend.example.com"
"""Where no server is named, or no usable one. Nobody asks for this name: requests are diverted."""

_WORD: Final = "sample"
_URL: Final = f"https://{HOST}"
_ORIGIN: Final = re.compile(r"(?:[^/?#]+:)?//[^/?#]*")
_QUOTED: Final = r"\(\s*['\u2018\u2019]([^'\u2018\u2019]*)['\u2018\u2019]"
"""The quoted name that an expression gives its function, in the quotes that vendors write."""
_REFERENCE: Final = re.compile(
    r"@\{?(?:connectionParameters|queryParameters|headers)" + _QUOTED + r"[^)]*\)\}?(?=[/:]|$)", re.IGNORECASE
)
_ARGUMENT: Final = re.compile(r"@\{?(?:queryParameters|headers)" + _QUOTED, re.IGNORECASE)
_OURS: Final = re.compile(r"@\{?connectionParameters" + _QUOTED + r"[^)]*\)\}?", re.IGNORECASE)
_OTHER: Final = re.compile(r"@\{?[A-Za-z]+\([^)]*\)(?:[.\[][^/&?}]*)?\}?")
_QUERIES: Final = frozenset(
    {"setqueryparameter", "pollingtrigger", "routerequesttoendpoint", "setvaluefromurl", "updatenextlink"}
)
_SENT: Final = {"setheader": "header", "setqueryparameter": "query"}
_BODIES: Final = frozenset(
    {
        "setproperty", "stringreplace", "convertobjecttoarray", "convertarraytoobject", "stringtoarray",
        "encodepropertyvalue", "moveproperties",
    }
)  # fmt: skip


def make_place(spec: Spec) -> Place:
    """Return where the operations live for an exercise."""
    variables: dict[str, str] = {}
    for server in _servers(spec):
        for name, value in made_variables(server).items():
            variables.setdefault(name, value)
    return Place(url=base_url(spec.servers), own=True, variables=variables, parameters=made_parameters(spec))


def base_url(servers: tuple[Server, ...]) -> str:
    """Return the first server that can be called, its variables filled, or else an invented one."""
    found = next((url for url in map(_usable, servers) if url), "")
    return found or _URL + (_path(servers[0]) if servers else "")


def has_own_server(operation: Operation) -> bool:
    """Say whether an operation lives at a server of its own that can be called."""
    return bool(operation.servers) and _usable(operation.servers[0]) != ""


def _path(server: Server) -> str:
    """Return the path of a server that cannot be called as it is: people give the rest of the URL."""
    try:
        url = expand_server(server, made_variables(server))
    except Refused:
        return ""
    path = _ORIGIN.sub("", url.partition("#")[0].partition("?")[0], count=1).rstrip("/")
    place, _ = read_server(_URL + path) if path.startswith("/") else (None, ())
    return path if place is not None else ""


def _usable(server: Server) -> str:
    """Return the URL of a server, "" where it makes none."""
    try:
        url = expand_server(server, made_variables(server)).partition("#")[0].partition("?")[0]
    except Refused:
        return ""
    whole = url if "://" in url else f"https:{url}" if url.startswith("//") else f"{_URL}/{url.lstrip('/')}"
    place, _ = read_server(whole)
    return place.origin + place.path if place is not None else ""


def base_path(spec: Spec) -> str:
    """Return the path of the base URL, where a mock of the description expects its operations."""
    _, slash, path = base_url(spec.servers).partition("://")[2].partition("/")
    return (slash + path).rstrip("/")


def made_variables(server: Server) -> dict[str, str]:
    """Return a value for every variable that has no default."""
    made = {}
    for name, variable in server.variables.items():
        if variable.default is None:
            whole = server.url.startswith(f"{{{name}}}")
            made[name] = variable.enum[0] if variable.enum else _URL if whole else _WORD
    return made


def made_parameters(spec: Spec) -> dict[str, str]:
    """Return a value for every connection parameter, as it can stand where policies put it."""
    hosts = set(_whole_hosts(spec.policies))
    made = {}
    declared = {name.lower() for name in spec.parameters}
    used = {name: ConnectionParameter(name=name) for name in _used(spec) if name.lower() not in declared}
    sent = dict(_sent(spec))
    for name, one in (used | dict(spec.parameters)).items():
        fallback = {"integer": "1", "boolean": "true"}.get(one.kind) or sent.get(name) or _WORD
        given = one.default or (one.enum[0] if one.enum else "")
        made[name] = given or (HOST if name in hosts else fallback)
    return made | {name: HOST if name in hosts else _WORD for name in host_arguments(spec)}


def _used(spec: Spec) -> Iterator[str]:
    """Yield the connection parameters that policies take, declared or not: people give them all the same."""
    for policy in spec.policies:
        for value in policy.parameters.values():
            yield from _OURS.findall(value) if isinstance(value, str) else ()


def _sent(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the parameters that policies send as they are, with a value as operations describe it."""
    sampler = Sampler(spec)
    for policy in spec.policies:
        location = _SENT.get(policy.template, "")
        whole = _OURS.fullmatch(_parameter(policy, "value").strip()) if location else None
        name = _parameter(policy, "name").strip().lower()
        for operation in spec.operations.values() if whole else ():
            for one in operation.parameters if is_for(policy, operation) else ():
                if whole and (one.location, one.name.lower()) == (location, name):
                    yield whole[1], str(sampler.value(one.schema))


def host_arguments(spec: Spec) -> dict[str, None]:
    """Return the arguments that policies put into the host and whose values the connection has to allow."""
    found = (_ARGUMENT.findall(template) for template in _hosts(spec.policies))
    listed = {
        one.name.lower()
        for operation in spec.operations.values()
        for one in operation.parameters
        if {"enum", "default"} & set(spec.registry.schema(one.schema))
    }
    return dict.fromkeys(name for names in found for name in names if name.lower() not in listed)


def _whole_hosts(policies: tuple[Policy, ...]) -> Iterator[str]:
    """Yield the parameters that are a whole host name, or a whole URL."""
    for template in _hosts(policies):
        scheme, slashes, rest = template.partition("://")
        found = _REFERENCE.match((rest if slashes else scheme).strip())
        if found:
            yield found[1]


def _hosts(policies: tuple[Policy, ...]) -> Iterator[str]:
    for policy in policies:
        if policy.template == "dynamichosturl":
            yield _parameter(policy, "urlTemplate")


def _parameter(policy: Policy, name: str) -> str:
    for key, value in policy.parameters.items():
        if key.rpartition(".")[2].lower() == name.lower() and isinstance(value, str):
            return value
    return ""


def _servers(spec: Spec) -> Iterator[Server]:
    yield from spec.servers
    for operation in spec.operations.values():
        yield from operation.servers


def rewritten_routes(spec: Spec, parameters: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield where policies lead operations: id, method, path template."""
    for operation in spec.operations.values():
        method, path, base = operation.method, operation.path, ""
        changed = False
        for policy in spec.policies:
            if policy.problem or not is_for(policy, operation):
                continue
            if policy.template == "routerequesttoendpoint":
                path, changed = filled(_parameter(policy, "newPath"), parameters), True
                verb = _parameter(policy, "httpMethod")
                method = method if "@" in verb or not verb else verb
            elif policy.template == "dynamichosturl":
                url = filled(_parameter(policy, "urlTemplate").partition("?")[0], parameters)
                base, changed = url.rpartition("://")[2].partition("/")[2].strip("/"), True
        if changed:
            yield operation.id, method, f"/{base}/{path.lstrip('/')}" if base else path


def is_for(policy: Policy, operation: Operation) -> bool:
    """Say whether a policy runs on an operation."""
    return policy.operations is None or operation.id in policy.operations


def filled(template: str, parameters: Mapping[str, str]) -> str:
    """Return a template of a path with only `{names}` in it; where no value is known, any will do."""
    known = _OURS.sub(lambda found: parameters.get(found[1], "{made}"), template)
    return _OTHER.sub("{made}", known)


def changed_queries(spec: Spec) -> Iterator[str]:
    """Yield the operations whose query policies change: the mock cannot know what they add."""
    return _changed(spec, _QUERIES)


def appended_fields(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield operations with a query parameter that policies send once more, whatever it is described as."""
    for policy in spec.policies:
        if policy.template == "setqueryparameter" and _parameter(policy, "existsAction").lower() == "append":
            for id_ in spec.operations if policy.operations is None else policy.operations:
                yield id_, _parameter(policy, "name")


def changed_bodies(spec: Spec) -> Iterator[str]:
    """Yield the operations whose body policies change: the mock would judge what it was before."""
    return _changed(spec, _BODIES)


def _changed(spec: Spec, templates: frozenset[str]) -> Iterator[str]:
    for policy in spec.policies:
        behind = templates is _QUERIES and "?" in _parameter(policy, "urlTemplate")
        if (policy.template in templates and policy.section == "request") or behind:
            yield from spec.operations if policy.operations is None else policy.operations
