"""Makes up the connection that a description is exercised with: base URL, variables, its own parameters.

Pure. What the description gives (defaults, enums) is taken; the rest is invented so that it can stand where
the description uses it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from actions.addresses import read_server
from actions.errors import Refused
from actions.http import Place
from actions.serialize import expand_server
from actions.specs.model import Policy, Server, Spec

HOST: Final = "backend.example.com"
"""Where no server is named, or no usable one. Nobody asks for this name: requests are diverted."""

_WORD: Final = "sample"
_URL: Final = f"https://{HOST}"
_REFERENCE: Final = re.compile(
    r"@\{?(?:connectionParameters|queryParameters|headers)\(\s*['‘’]([^'‘’]*)['‘’]", re.IGNORECASE
)  # noqa: RUF001 - written by vendors
_ARGUMENT: Final = re.compile(r"@\{?(?:queryParameters|headers)\(\s*['‘’]([^'‘’]*)['‘’]", re.IGNORECASE)  # noqa: RUF001 - written by vendors


def make_place(spec: Spec) -> Place:
    """Return where the operations live for an exercise."""
    variables: dict[str, str] = {}
    for server in _servers(spec):
        for name, value in made_variables(server).items():
            variables.setdefault(name, value)
    return Place(url=base_url(spec.servers), own=True, variables=variables, parameters=made_parameters(spec))


def base_url(servers: tuple[Server, ...]) -> str:
    """Return the first server that can be called, its variables filled, or else an invented one."""
    for server in servers:
        try:
            url = expand_server(server, made_variables(server)).partition("#")[0].partition("?")[0]
        except Refused:
            continue
        whole = (
            url if "://" in url else f"https:{url}" if url.startswith("//") else f"{_URL}/{url.lstrip('/')}"
        )
        place, _ = read_server(whole)
        if place is not None:
            return place.origin + place.path
    return _URL


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
    for name, one in spec.parameters.items():
        fallback = {"integer": "1", "boolean": "true"}.get(one.kind, _WORD)
        given = one.default or (one.enum[0] if one.enum else "")
        made[name] = given or (HOST if name in hosts else fallback)
    return made | {name: HOST if name in hosts else _WORD for name in host_arguments(spec)}


def host_arguments(spec: Spec) -> dict[str, None]:
    """Return the arguments of calls that policies put into the host: the connection has to allow their values."""
    found = (_ARGUMENT.findall(template) for template in _hosts(spec.policies))
    return dict.fromkeys(name for names in found for name in names)


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
    for policy in spec.policies:
        if policy.template != "routerequesttoendpoint" or policy.problem:
            continue
        path = _filled(_parameter(policy, "newPath"), parameters)
        method = _parameter(policy, "httpMethod")
        for operation in spec.operations.values():
            if policy.operations is None or operation.id in policy.operations:
                yield operation.id, operation.method if "@" in method or not method else method, path


def _filled(template: str, parameters: Mapping[str, str]) -> str:
    """Return a template of a path with only `{names}` in it."""
    known = re.sub(
        r"@\{?connectionParameters\(\s*['‘’]([^'‘’]*)['‘’][^)]*\)\}?",  # noqa: RUF001 - written by vendors
        lambda found: parameters.get(found[1], _WORD),
        template,
        flags=re.IGNORECASE,
    )
    return re.sub(r"@\{?[A-Za-z]+\([^)]*\)(?:[.\[][^/&?}]*)?\}?", "{made}", known)


def changed_queries(spec: Spec) -> Iterator[str]:
    """Yield the operations whose query policies change: the mock cannot know what they add."""
    changing = (
        "setqueryparameter",
        "pollingtrigger",
        "routerequesttoendpoint",
        "setvaluefromurl",
        "updatenextlink",
    )
    for policy in spec.policies:
        if policy.template in changing:
            yield from spec.operations if policy.operations is None else policy.operations
