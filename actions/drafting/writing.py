"""Makes an OpenAPI 3.1 document of a sample, or puts its operation into one that is there. Pure."""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actions.drafting.answers import Answered
from actions.drafting.bodies import described, fields
from actions.drafting.curl import Asked
from actions.drafting.headers import Login, accepted, of_headers
from actions.drafting.inferring import schema_of
from actions.drafting.places import templated
from actions.drafting.secrecy import is_secret
from actions.errors import Refused
from actions.parameters import has_dots
from actions.specs.reading import METHODS, slug

VERSION: Final = "3.1.0"
_INPUT: Final = re.compile(r"\{([^{}]*)\}")
_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")

Document = Mapping[str, Any]


class Taken(Refused):
    """The operation, or its name, is in the document already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document with the operation of a sample in it. `left_out` are the places of credentials.

    `inputs` are the parts of the path that were taken for inputs, `notes` what people should know.
    """

    document: dict[str, Any]
    operation: str
    method: str
    path: str
    inputs: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def draft(
    asked: Asked,
    answered: Answered | None = None,
    *,
    name: str = "",
    title: str = "",
    into: Document | None = None,
) -> Draft:
    """Return a document of a request and its answer; `into` is one that gets the operation, in a copy.

    Raise Taken where it is there, Refused where the sample or that document cannot be described.
    """
    method = asked.method.lower()
    if method not in METHODS:
        raise Refused(f"OpenAPI 3.1 has no place for the method {asked.method}; call it with :http")
    if has_dots(asked.path):
        raise Refused("the path has encoded dot segments, which servers read in different ways")
    if name and not _ID.fullmatch(name):
        raise Refused(f"{name[:80]!r} is no name of an operation: letters, digits, `_`, `.`, `-`, at most 64")
    document = _empty(asked, title) if into is None else _copied(into)
    server, path = _placed(asked, document)
    path, inputs = templated(path)
    path, inputs = _at(document, path, inputs, method)
    login, notes = Login(), list(asked.notes)
    operation: dict[str, Any] = {"operationId": _named(document, name, method, path)}
    if server:
        operation["servers"] = [{"url": server}]
    parameters = [*_of_path(inputs), *_of_query(asked.query, login), *of_headers(asked, login)]
    if parameters:
        operation["parameters"] = parameters
    if asked.type:
        kind, content, note = described(asked)
        notes += [note] * bool(note)
        operation["requestBody"] = {"required": True, "content": {kind: content}}
    operation["responses"] = _responses(asked, answered)
    security = _secured(document, login)
    if security or document.get("security"):
        operation["security"] = [security] if security else []
    document["paths"].setdefault(path, {})[method] = operation
    return Draft(
        document=document,
        operation=operation["operationId"],
        method=asked.method,
        path=path,
        inputs=tuple(inputs),
        left_out=tuple(dict.fromkeys(login.left_out)),
        notes=tuple(notes),
    )


def _empty(asked: Asked, title: str) -> dict[str, Any]:
    return {
        "openapi": VERSION,
        "info": {"title": title or asked.origin.partition("://")[2], "version": "1"},
        "servers": [{"url": asked.origin}],
        "paths": {},
    }


def _copied(into: Document) -> dict[str, Any]:
    version = into.get("openapi")
    if not (isinstance(version, str) and version.startswith("3.1")):
        raise Refused("only a description in OpenAPI 3.1 can take a drafted operation")
    made: dict[str, Any] = copy.deepcopy(dict(into))
    if made.get("paths") is None:
        made["paths"] = {}
    components = made.get("components", {})
    schemes = components.get("securitySchemes", {}) if isinstance(components, dict) else {}
    parts = (
        ("paths", made["paths"]),
        *((f"paths/{path}", item) for path, item in _members(made["paths"])),
        ("components", components),
        ("components/securitySchemes", schemes),
    )
    wrong = [where for where, value in parts if not isinstance(value, dict)]
    if wrong:
        raise Refused(f"the description cannot take an operation: {', '.join(wrong[:5])} is no object")
    return made


def _members(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _placed(asked: Asked, document: Document) -> tuple[str, str]:
    """Return the server that the operation needs for itself ("" for none), and its path below the server."""
    whole = asked.origin + asked.path
    listed = document.get("servers")
    for one in listed if isinstance(listed, list) else []:
        url = one.get("url") if isinstance(one, dict) else None
        base = url.rstrip("/") if isinstance(url, str) else ""
        if base and (whole + "/").startswith(base + "/"):
            return "", whole[len(base) :] or "/"
    return asked.origin, asked.path


def _at(
    document: Document, path: str, inputs: Mapping[str, Any], method: str
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the path as the document has it, perhaps with other names. Raise Taken."""
    shape = _INPUT.sub("{}", path)
    for known, item in document["paths"].items():
        if _INPUT.sub("{}", known) != shape:
            continue
        if method in item:
            raise Taken(f"{method.upper()} {known} is in the description already; nothing was changed")
        names = _INPUT.findall(known)
        return known, dict(zip(names, inputs.values(), strict=True))
    return path, dict(inputs)


def _named(document: Document, wanted: str, method: str, path: str) -> str:
    taken = set(_ids(document))
    if wanted:
        if wanted in taken:
            raise Taken(f"an operation {wanted} is in the description already; nothing was changed")
        return wanted
    name, count = slug(method, path), 1
    while name in taken:
        count += 1
        name = f"{slug(method, path)[:60]}_{count}"
    return name


def _ids(document: Document) -> Iterator[str]:
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict) and isinstance(operation.get("operationId"), str):
                yield operation["operationId"]


def _of_path(inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, schema in inputs.items():
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _of_query(query: str, login: Login) -> Iterator[dict[str, Any]]:
    for name, value in fields(query).items():
        if is_secret(name, in_query=True):
            login.key("query", name, f"query field {name}")
        elif name:  # nothing could be said of a field without one
            yield {"name": name, "in": "query", "schema": schema_of([value]) or {"type": "string"}}


def _responses(asked: Asked, answered: Answered | None) -> dict[str, Any]:
    wanted = accepted(asked.headers)
    status = (answered.status if answered else "") or ("200" if answered else "2XX")
    content: dict[str, Any] = {}
    if answered is None or answered.type:
        kinds = [wanted, answered.type if answered else ""]
        schema = answered.schema if answered else {}
        content = {kind: {"schema": schema} if schema else {} for kind in kinds if kind}
    described_ = "What came back." if answered else "It went well."
    return {status: {"description": described_, **({"content": content} if content else {})}}


def _secured(document: dict[str, Any], login: Login) -> dict[str, list[str]]:
    """Put the schemes into the document, and return what the operation needs of them."""
    if not login.schemes:
        return {}
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    needed: dict[str, list[str]] = {}
    for wanted, scheme in login.schemes.items():
        name, count = wanted, 1
        while name in schemes and schemes[name] != scheme:
            count += 1
            name = f"{wanted}_{count}"
        schemes[name] = scheme
        needed[name] = []
    return needed
