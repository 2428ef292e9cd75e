"""Says what a document is that no reader reads: people often give the wrong file of the right folder.

Looks at marks alone. Every answer names what was found and, where there is one, the file to give instead.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from actions.base import Finding
from actions.specs.events import escape
from actions.specs.load import Document

_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_DESCRIPTIONS: Final = "an OpenAPI document begins with `openapi: 3.1.0`"


def unread(document: Document) -> tuple[Finding, ...]:
    """Return the error about a document that is no description that we read.

    Where it is one of a version that we do not read, every operation of it is named as refused.
    """
    value = document.value
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "a number")
        if isinstance(value, str) and value.startswith("<"):
            kind = "HTML or XML"
        return (_error(document, "no-description", f"not an API description: it is {kind}, not an object"),)
    for mark, what, fix in _VERSIONED:
        version = value.get(mark)
        if isinstance(version, str | int | float) and not isinstance(version, bool):
            message = f"{what} {str(version)[:20]} is not read"
            lost = document.place(_operations(document, message))
            return (*lost, _error(document, "unknown-version", message, fix))
    return (_other(document, value),)


def _operations(document: Document, reason: str) -> Iterator[Finding]:
    """Yield a finding for every operation that is lost with the document; for a path where none is seen."""
    paths = document.value.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        at = f"/paths/{escape(path)}"
        lost = [key for key in item if key.lower() in _METHODS] if isinstance(item, dict) else []
        if lost:
            for method in lost:
                yield _lost(f"{method.upper()} {path}: {reason}", f"{at}/{method}")
        elif not path.startswith("x-"):
            yield _lost(f"{path}: {reason}", at)


def _lost(message: str, pointer: str) -> Finding:
    return Finding(severity="warning", code="operation-refused", message=message, pointer=pointer)


def _other(document: Document, value: Mapping[str, Any]) -> Finding:
    for what, fix, fits in _OTHERS:
        if fits(value):
            return _error(document, "no-description", f"not an API description: it is {what}", fix)
    seen = ", ".join(repr(key)[:40] for key in list(value)[:5]) or "nothing"
    return _error(document, "no-description", f"not an API description: it holds {seen}", _DESCRIPTIONS)


def _error(document: Document, code: str, message: str, fix: str = _DESCRIPTIONS) -> Finding:
    return Finding(
        severity="error", code=code, message=message, fix=fix, file=document.name, line=1, column=1
    )


_VERSIONED: Final = (
    ("openapi", "OpenAPI", "versions 3.0, 3.1 and 3.2 are read"),
    ("swagger", "Swagger", "version 2.0 is read; convert older ones to it"),
    ("swaggerVersion", "Swagger", "version 2.0 is read; convert older ones to it"),
    ("asyncapi", "AsyncAPI", "versions 1 to 3 are read"),
)


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda value: all(name in value for name in names)


def _environment(value: Mapping[str, Any]) -> bool:
    scope = value.get("_postman_variable_scope")
    listed = value.get("values")
    pairs = isinstance(listed, list) and all(isinstance(one, dict) and "key" in one for one in listed)
    return scope in ("environment", "globals") or (pairs and "name" in value)


def _properties(value: Mapping[str, Any]) -> bool:
    properties = value.get("properties")
    names = ("connectionParameters", "connectionParameterSets", "iconBrandColor")
    return isinstance(properties, dict) and any(name in properties for name in names)


def _schema(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("$schema"), str) and "json-schema.org" in value["$schema"]:
        return True
    words = {"properties", "items", "allOf", "anyOf", "oneOf", "definitions", "$defs", "enum", "$ref"}
    return bool(words & value.keys()) and "info" not in value and "paths" not in value


def _within(outer: str, inner: str) -> Callable[[Mapping[str, Any]], bool]:
    def fits(value: Mapping[str, Any]) -> bool:
        found = value.get(outer)
        return isinstance(found, dict) and inner in found

    return fits


_OTHERS: Final[tuple[tuple[str, str, Callable[[Mapping[str, Any]], bool]], ...]] = (
    ("a workflow (Arazzo)", "give the description of the API that it calls", _has("arazzo")),
    ("an overlay of OpenAPI", "apply it and give what comes out", _has("overlay")),
    ("a Postman environment", "give the collection; environments are read beside it", _environment),
    (
        "the properties of a Power Platform connector (apiProperties.json)",
        "give its folder, or the apiDefinition.swagger.json beside it",
        _properties,
    ),
    (
        "the settings of a Power Platform connector (settings.json)",
        "give its folder, or the apiDefinition.swagger.json beside it",
        _has("connectorId", "apiProperties"),
    ),
    (
        "a document of paths that does not say which version of which format it is",
        "add `openapi: 3.0.3` (or `swagger: '2.0'`) to its first line",
        _has("paths"),
    ),
    ("a Google discovery document", "convert it to OpenAPI", _has("discoveryVersion")),
    ("a recording of HTTP traffic (HAR)", _DESCRIPTIONS, _within("log", "entries")),
    ("an export of Insomnia", "export it as OpenAPI", _has("__export_format")),
    ("a JSON Schema", "give the description of the API that uses it", _schema),
)

_KINDS: Final[dict[type, str]] = {type(None): "null", str: "text", list: "a list", bool: "a boolean"}
