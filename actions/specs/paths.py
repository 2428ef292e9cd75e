"""What descriptions by paths share: path items, ids of operations and triggers, security, path parameters.

OpenAPI 3 and Swagger 2 are read with it. Nothing here knows how either writes parameters, bodies or answers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from actions.paths import placeholders
from actions.specs.events import escape
from actions.specs.model import (
    NEVER_SET,
    Need,
    Operation,
    Parameter,
    Security,
    SecurityScheme,
    Trigger,
)
from actions.specs.reading import (
    CONTROL,
    IDEMPOTENCY,
    METHODS,
    TOKEN,
    Reading,
    Sketch,
    assign_ids,
    text,
)
from actions.specs.references import Unresolved

TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
"""A part of a path or of a server's URL that somebody gives."""

MEDIA_TYPE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
"""What can be sent as a Content-Type; descriptions invent many."""

METHOD: Final = re.compile(r"[A-Z][A-Z0-9-]{0,31}")
"""What can be sent as a method."""

_DOTS: Final = re.compile(r"(?:^|/)\.{1,2}(?=/|$)")
_OWN_HEADERS: Final = frozenset({"authorization", "content-type", "accept"})
"""Header parameters of these names shall be ignored (OpenAPI 3, Parameter Object)."""

Merged = dict[tuple[str, str], Parameter]
"""The parameters of an operation by name and location."""


# Paths


def path_items(reading: Reading, root: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield path, path item and pointer of everything under `paths` and `x-ms-paths`."""
    for key in ("paths", "x-ms-paths"):
        for path, entry in reading.mapping(root.get(key), f"/{key}").items():
            if not path.startswith("x-"):
                pointer = f"/{key}/{escape(path)}"
                yield path, path_item(reading, entry, path, pointer), pointer


def path_item(reading: Reading, value: Any, path: str, pointer: str) -> dict[str, Any]:
    """Return a path item with what it refers to merged in; empty, with a finding, when it is none."""
    try:
        found = reading.registry.follow(value)
    except Unresolved as reason:
        reading.add("path-refused", f"{path} {reason}; its operations are not known", pointer)
        found = {}
    item = reading.mapping(found, pointer)
    if isinstance(value, dict) and value is not item:
        return {**item, **{key: member for key, member in value.items() if key != "$ref"}}
    return item


def methods(
    item: Mapping[str, Any], pointer: str, further: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, str]]:
    """Yield method, value and pointer of every operation of a path item; `further` methods count too."""
    for key, entry in item.items():
        if key.lower() in METHODS or key.lower() in further:
            yield key.upper(), entry, f"{pointer}/{key}"


def check_method(sketch: Sketch, method: str) -> None:
    """Refuse a method that can never be sent; those of path items are written in lower case there."""
    if not METHOD.fullmatch(method):
        sketch.refuse(f"the method {method[:40]!r} cannot be sent")


def check_path(sketch: Sketch, path: str) -> None:
    """Refuse a path that can never be sent."""
    if CONTROL.search(path):
        sketch.refuse("the path has control characters")
    elif dotted(path):
        sketch.refuse("the path has dot segments")
    elif not path.startswith("/"):
        sketch.degrade("path", "the path does not begin with /; sent as if it did", sketch.pointer)


def dotted(path: str) -> bool:
    """Say whether a path has dot segments, which every client and server reads in its own way."""
    return _DOTS.search(path.partition("?")[0].partition("#")[0]) is not None


# Parameters


def fit_path(sketch: Sketch, path: str, merged: Merged) -> None:
    """Add the path parameters that were forgotten, leave out those that stand nowhere."""
    fragment = path.partition("#")[2]  # part of the name only: it is never sent
    inputs, queries = (
        {one.name for one in merged.values() if one.location == location} for location in ("path", "query")
    )
    names = placeholders(path, inputs, queries)
    for name in names:
        if (name, "path") not in merged:
            reason = f"the path parameter {name} is not declared; taken as text"
            sketch.degrade("path-parameter", reason, sketch.pointer)
            schema = {"type": "string"}
            merged[name, "path"] = Parameter(name=name, location="path", required=True, schema=schema)
    for one in [one for one in merged.values() if one.location == "path"]:
        if one.name not in names:
            del merged[one.name, "path"]
            if f"{{{one.name}}}" not in fragment:
                reason = f"the path parameter {one.name} is not in the path; left out"
                sketch.degrade("path-parameter", reason, sketch.pointer)
    for name, value in parse_qsl(path.partition("#")[0].partition("?")[2]):
        if (name, "query") in merged and "{" not in value:
            del merged[name, "query"]
            message = (
                f"{sketch.name}: the query parameter {name} is a part of the path; always {value[:80]!r}"
            )
            sketch.reading.add("constant-query", message, sketch.pointer, severity="info")


def is_own_header(name: str) -> bool:
    """Say whether a header belongs to the transport, the login or the body, not to the arguments."""
    return name.lower() in _OWN_HEADERS | NEVER_SET


def sendable(sketch: Sketch, name: str, location: str, pointer: str, *, required: bool) -> bool:
    """Say whether a parameter's name can be sent; when not, it is left out, or refuses the operation."""
    if location not in {"header", "cookie"} or TOKEN.fullmatch(name):
        return True
    if required or CONTROL.search(name):
        sketch.refuse(f"the {location} name {name[:80]!r} cannot be sent")
    else:
        sketch.degrade("parameter", f"the {location} name {name[:80]!r} cannot be sent; left out", pointer)
    return False


def key_header(parameters: Iterable[Parameter]) -> str:
    """Return the name of the idempotency header that is declared, or nothing."""
    headers = (one.name for one in parameters if one.location == "header")
    return next((name for name in headers if IDEMPOTENCY.fullmatch(name)), "")


# Security


def read_security(
    reading: Reading,
    schemes: dict[str, SecurityScheme],
    value: Any,
    pointer: str,
    login: SecurityScheme | None = None,
) -> Security:
    """Read security requirements. A scheme that is not declared is added: as the login, else as a problem.

    An empty list says that none is needed, which is more than saying nothing.
    """
    if value == []:
        return ((),)
    alternatives = []
    for index, entry in enumerate(reading.listing(value, pointer)):
        needs = []
        for name, scopes in reading.mapping(entry, f"{pointer}/{index}").items():
            if name not in schemes and login:
                message = f"the security scheme {name} is not declared; read as {login.name}"
                reading.add("security-scheme", message, f"{pointer}/{index}", severity="info")
                schemes[name] = replace(login, name=name)
            elif name not in schemes:
                message = f"the security scheme {name} is not declared"
                schemes[name] = SecurityScheme(name=name, kind="", problem="is not declared")
                reading.add("security-scheme", message, f"{pointer}/{index}")
            listed = scopes if isinstance(scopes, list) else []
            needs.append(Need(scheme=name, scopes=tuple(text(one) for one in listed)))
        alternatives.append(tuple(needs))
    return tuple(alternatives)


# Operations and triggers get their names last, when all of them are known


def settled(sketch: Sketch, operation: Operation) -> Operation:
    """Return an operation with what was found wrong with it."""
    if sketch.problems:
        problem = f"{sketch.name}: {'; '.join(sketch.problems)}"
        sketch.reading.add("operation-refused", problem, sketch.pointer)
        operation = replace(operation, problem=problem)
    return replace(operation, degraded=tuple(sketch.degraded))


def named_operations(reading: Reading, drafts: Sequence[tuple[str, Operation]]) -> list[Operation]:
    """Return operations with ids and aliases; each comes with the name that the description gives it."""
    wanted = [(name, one.method, one.path) for name, one in drafts]
    operations = []
    for (name, draft), id_ in zip(drafts, assign_ids(wanted), strict=True):
        names = (name, f"{draft.method} {draft.path}")
        aliases = tuple(dict.fromkeys(alias for alias in names if alias and alias != id_))
        operations.append(replace(draft, id=id_, name=name, aliases=aliases))
    owners: dict[str, list[Operation]] = {}
    for (name, _), operation in zip(drafts, operations, strict=True):
        if name:
            owners.setdefault(name, []).append(operation)
    for name, sharing in owners.items():
        if len(sharing) > 1:
            ids = ", ".join(one.id for one in sharing[:5])
            message = f"the operationId {name[:80]!r} is used {len(sharing)} times; they are {ids}"
            reading.add("duplicate-operation-id", message, sharing[1].pointer)
    _report_same_shapes(reading, operations)
    return operations


def _report_same_shapes(reading: Reading, operations: Iterable[Operation]) -> None:
    """Say where paths differ in the names of their parts alone: a server cannot tell them apart."""
    shapes: dict[str, list[Operation]] = {}
    for one in operations:
        shapes.setdefault(f"{one.method} {TEMPLATE.sub('{}', one.path)}", []).append(one)
    for sharing in shapes.values():
        if len(sharing) > 1:
            ids = ", ".join(one.id for one in sharing[:5])
            message = f"{ids} have one method and one path; the server cannot tell them apart"
            reading.add("same-path", message, sharing[1].pointer, severity="info")


def named_triggers(drafts: Sequence[tuple[str, Trigger]]) -> dict[str, Trigger]:
    """Return triggers by id; each comes with the operationId that the description gives it."""
    wanted = []
    for _, one in drafts:
        method = "" if one.method == "POST" else one.method
        wanted.append((one.name, method, f"{one.operation} {one.name}".strip()))
    triggers = {}
    for (original, one), id_ in zip(drafts, assign_ids(wanted), strict=True):
        aliases = tuple(alias for alias in dict.fromkeys((original, one.name)) if alias and alias != id_)
        triggers[id_] = replace(one, id=id_, aliases=aliases)
    return triggers
