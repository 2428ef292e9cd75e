"""Reads a Postman collection and the environments beside it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from typing_extensions import override

from actions.generators import is_made
from actions.specs.load import Bundle
from actions.specs.model import ConnectionParameter, Operation, Server, Spec
from actions.specs.postman import v1, v2
from actions.specs.postman.auth import Schemes
from actions.specs.postman.calls import mapping, pairs, prose, written
from actions.specs.postman.drafts import Draft, Drafts
from actions.specs.postman.grouping import Grouping, ids_wanted, open_names
from actions.specs.postman.inputs import templates
from actions.specs.postman.servers import server
from actions.specs.postman.variables import (
    DYNAMIC,
    Environment,
    Variables,
    environments,
    fitting,
    is_secret,
    names,
)
from actions.specs.reading import Reader, Reading, Sketch, aliases_of, assign_ids

_SCHEMA: Final = re.compile(r"postman\.com/.*collection/", re.IGNORECASE)
_VERSION: Final = re.compile(r"/v(\d+)(?:\.(\d+))?")
_MAX_ALIASES: Final = 20
"""Of how many requests the names and URLs are aliases of their operation; the presets have all of them."""
_MAX_TOLD: Final = 3
_MAX_SCHEMA: Final = 200
_MAX_NAME: Final = 80


class PostmanReader(Reader):
    """Postman collections v1, v2.0 and v2.1."""

    kind = "postman"

    @override
    def sniff(self, bundle: Bundle) -> bool:
        return _version(_collection(bundle.root.value)[0]) != ""

    @override
    def read(self, bundle: Bundle) -> Spec:
        return _Postman(bundle).spec()


def _collection(value: Any) -> tuple[Mapping[str, Any], str]:
    """Return the collection and its pointer: exports of the API wrap it."""
    root = mapping(value)
    inner = root.get("collection")
    return (inner, "/collection") if isinstance(inner, dict) else (root, "")


def _version(value: Mapping[str, Any]) -> str:
    """Return the version as its dialect names it, "" when it is no collection."""
    info = mapping(value.get("info"))
    schema = _schema_of(info)
    items = value.get("item")
    told = _SCHEMA.search(schema) or "_postman_id" in info or "_postman_schema" in info
    shaped = isinstance(items, list) and any({"request", "item"} & mapping(one).keys() for one in items)
    if told or shaped:
        found = _VERSION.search(schema)
        return "2.0" if found and found.groups() == ("2", "0") else "2.1"
    requests = value.get("requests")
    if isinstance(requests, list) and (
        any("url" in mapping(one) for one in requests) or (not requests and "order" in value)
    ):
        return "1"
    return ""  # other tools have lists of requests too, with other words in them


def _schema_of(info: Mapping[str, Any]) -> str:
    return written(info.get("schema"))[:_MAX_SCHEMA]


class _Postman:
    """One reading of one collection."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._reading = Reading(bundle)
        self._value, self._at = _collection(bundle.root.value)
        self._version = _version(self._value)
        self._environments: list[Environment] = []
        self._chosen: Environment | None = None
        self._dynamic: list[str] = []
        self._makers: dict[str, list[str]] = {}

    def spec(self) -> Spec:
        """Read everything."""
        reading = self._reading
        info = mapping(self._value.get("info")) if self._version != "1" else self._value
        self._check_version(info)
        calls = list((v1 if self._version == "1" else v2).calls(self._value, self._at))
        variables = self._variables()
        make = Drafts(reading, variables)
        drafts = [make.draft(call) for call in calls]
        schemes = Schemes(reading, variables)
        for draft in drafts:
            for login in draft.logins:
                schemes.see(login, draft.call.pointer)
        known = schemes.schemes()
        servers, operations = self._operations(drafts, Grouping(schemes, known))
        if not operations:
            reading.add("no-operation", "there is no request in it", f"{self._at}/item")
        self._makers = _makers(drafts)
        self._report_missing(drafts, variables, operations, servers)
        self._report_unknown(variables)
        aliases = aliases_of((one.id, one.aliases) for one in operations)
        return Spec(
            title=written(info.get("name")),
            version=_written_version(info.get("version")),
            dialect=f"postman{self._version}",
            description=prose(info.get("description")),
            servers=servers,
            operations={one.id: _unique(one, aliases) for one in operations},
            security_schemes=known,
            aliases=aliases,
            parameters=self._parameters(operations, variables),
            registry=reading.registry,
            findings=reading.finish(),
            extras=self._extras(),
        )

    def _check_version(self, info: Mapping[str, Any]) -> None:
        schema = _schema_of(info)
        found = _VERSION.search(schema)
        if self._version == "1" or (found and found.groups() in {("2", "0"), ("2", "1"), ("2", None)}):
            return
        told = f"v{found.group(1)}.{found.group(2) or 0} is not known" if found else "no version is named"
        self._reading.add("collection-version", f"{told}; read as v{self._version}", f"{self._at}/info")

    def _variables(self) -> Variables:
        variables = Variables()
        self._environments = environments(self._bundle)
        used = frozenset(names(self._bundle.root.text))
        self._dynamic = sorted(name for name in used if name.startswith("$"))
        for one in self._environments:
            if one.globals:
                variables.add(one.values, one.secrets)
        for key in ("variables", "variable"):
            variables.add(pairs(self._value.get(key)))
        self._chosen = fitting(self._environments, used)
        if self._chosen:
            variables.add(self._chosen.values, self._chosen.secrets)
        return variables

    # Operations

    def _operations(
        self, drafts: Sequence[Draft], grouping: Grouping
    ) -> tuple[tuple[Server, ...], list[Operation]]:
        groups: dict[tuple[str, str, str], list[Draft]] = {}
        for one in drafts:
            groups.setdefault(one.key, []).append(one)
        bases = {one.place: one for one in reversed(drafts) if one.address.base and not one.problem}
        made = {
            place: server(one.address.base, one.variables, self._environments) for place, one in bases.items()
        }
        counts = Counter(one.place for one in drafts if one.place in made)
        main = min(counts, key=lambda place: (-counts[place], place), default="")
        shared = (made[main],) if counts else ()
        operations = []
        for members in groups.values():
            first = members[0]
            sketch = Sketch(
                self._reading,
                f"{first.label[:200]} ({first.method} {first.call.shown_url[:200]})",
                first.call.pointer,
            )
            own = (made[first.place],) if first.place in made else ()
            operations.append(grouping.operation(sketch, members, own))
        wanted = ids_wanted(operations)
        named = [
            replace(
                one,
                id=id_,
                aliases=tuple(dict.fromkeys(_aliases(one))),
                servers=() if one.servers == shared else one.servers,
            )
            for one, id_ in zip(operations, assign_ids(wanted), strict=True)
        ]
        if not shared and operations:
            self._reading.add(
                "no-server", "no request names a host; the connection has to", self._at, severity="info"
            )
        return shared, named

    # Variables

    def _report_missing(
        self,
        drafts: Iterable[Draft],
        variables: Variables,
        operations: Iterable[Operation],
        servers: Sequence[Server],
    ) -> None:
        """Name the variables of URLs and headers that have no value, with who would set them."""
        told: dict[str, str] = {}
        places = [
            *((one, self._at) for one in servers),
            *((s, one.pointer) for one in operations for s in one.servers),
        ]
        for place, pointer in places:
            for name, variable in place.variables.items():
                if variable.default is None:
                    told.setdefault(name, pointer)
        for one in drafts:
            sent = [one.call.url, *(pair.value or "" for pair in (*one.query, *one.headers))]
            for name in (name for text in sent for name in names(one.variables.fill(text))):
                if not name.startswith("$") and name not in told and name not in variables.values:
                    told[name] = one.call.pointer
        for name, pointer in told.items():
            shown = name[:_MAX_NAME]
            if name in self._makers:
                setters = ", ".join(repr(one[:_MAX_NAME]) for one in self._makers[name])
                message = f"the variable {shown} is only set by a script of {setters}; give it as a parameter"
                self._reading.add("variable-of-script", message, pointer, severity="info")
            else:
                message = f"the variable {shown} has no value in the collection or its environment; give it"
                self._reading.add("variable-missing", message, pointer, severity="info")

    def _report_unknown(self, variables: Variables) -> None:
        """Name what is written like a generator and is none."""
        for name in self._dynamic:
            if not is_made(name) and name not in variables.values:
                message = f"{name[:_MAX_NAME]} is no generator that is known; give it as a parameter"
                self._reading.add("generator-unknown", message, self._at)

    def _parameters(
        self, operations: Iterable[Operation], variables: Variables
    ) -> dict[str, ConnectionParameter]:
        """Return the variables that stand anywhere but in servers and logins."""
        used = dict.fromkeys(
            name for one in operations for text in templates(one.parameters) for name in names(text)
        )
        seen: set[int] = set()
        for preset in (preset for operation in operations for preset in operation.presets):
            for value in (*preset.arguments.values(), preset.extras.get("text", "")):
                if id(value) not in seen:
                    seen.add(id(value))
                    used.update(dict.fromkeys(open_names(value)))
        return {
            name: ConnectionParameter(
                name=name,
                kind="secret" if name in variables.secrets or is_secret(name) else "string",
                default=variables.value(name),
                extras={"x-set-by": self._makers[name]} if name in self._makers else {},
            )
            for name in used
            if name and not is_made(name)
        }

    def _extras(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._environments:
            made["environments"] = [one.shown() for one in self._environments]
            made["environment"] = self._chosen.name if self._chosen else None
        dynamic = {
            name: dict(DYNAMIC.get(name, {"type": "string"})) for name in self._dynamic if is_made(name)
        }
        return made | {"dynamic_variables": dynamic} if dynamic else made


def _makers(drafts: Iterable[Draft]) -> dict[str, list[str]]:
    """Return which requests have scripts that set a variable, by variable."""
    makers: dict[str, list[str]] = {}
    for one in drafts:
        for name in one.effects.sets:
            known = makers.setdefault(name, [])
            if len(known) < _MAX_TOLD and one.label not in known:
                known.append(one.label)
    return makers


def _aliases(operation: Operation) -> Iterator[str]:
    yield f"{operation.method} {operation.path}"
    for one in operation.presets if len(operation.presets) <= _MAX_ALIASES else ():
        yield f"{operation.method} {one.url}"
        yield one.name


def _unique(operation: Operation, aliases: Mapping[str, str]) -> Operation:
    """Return an operation with the aliases that lead to it alone."""
    kept = tuple(one for one in operation.aliases if aliases.get(one) == operation.id)
    return replace(operation, aliases=kept)


def _written_version(value: Any) -> str:
    parts = mapping(value)
    if not parts:
        return written(value)
    return ".".join(written(parts.get(key)) or "0" for key in ("major", "minor", "patch"))
