"""Says what a description holds, as people and scripts want it: one object a document.

Changes nothing and calls nothing. Everything in a document is listed or named: operations that cannot be
called with their reasons, what could not be read with file, line and column.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from actions.base import Finding
from actions.specs.model import Operation, Policy, Preset, SecurityScheme, Spec, Trigger
from actions.specs.references import reachable
from service.descriptions import Unit

_MARKS: Final = ("openapi", "swagger", "asyncapi")
"""Where a document says which version of its format it is in."""

_POSTMAN: Final[Mapping[str, str]] = {"postman1": "1", "postman2.0": "2.0", "postman2.1": "2.1"}

HINT: Final = "this is a fault of Pointsman: please report it with the document"


def read_line(unit: Unit, path: str) -> dict[str, Any]:
    """Read a description and return what it holds. Never raises: a fault of ours is its line, too."""
    try:
        return describe(unit.read(), path)
    except Exception as error:  # noqa: BLE001 - one document must not take the others with it
        return crashed(path, error)


def describe(spec: Spec, path: str) -> dict[str, Any]:
    """Return what a document holds; `error` instead of its parts when it could not be read at all."""
    found = [_finding(one) for one in spec.findings]
    if not spec.readable:
        first = next(one for one in spec.findings if one.severity == "error")
        place = {"file": path, "line": 0, "column": 0}
        return {"path": path, "error": {**place, **_finding(first)}, "findings": found}
    reasons = _Reasons(spec)
    return {
        "path": path,
        "dialect": spec.dialect,
        "version": written_version(spec),
        "title": spec.title,
        "servers": written_servers(spec),
        "security": [_scheme(one) for one in spec.security_schemes.values()],
        **_rare("parameters", [_parameter(one) for one in spec.parameters.values()]),
        "operations": [_operation(one, reasons) for one in spec.operations.values()],
        "triggers": [_trigger(one) for one in spec.triggers.values()],
        **_rare("policies", [_policy(one) for one in spec.policies]),
        "findings": found,
    }


def failure(path: str, code: str, message: str, fix: str = "") -> dict[str, Any]:
    """Return what is said of a document that there is nothing else to say of."""
    error = {"severity": "error", "code": code, "message": message, "file": path, "line": 0, "column": 0}
    return {"path": path, "error": {**error, "fix": fix} if fix else error, "findings": []}


def crashed(path: str, error: BaseException) -> dict[str, Any]:
    """Return what is said of a document that made us fail."""
    return failure(path, "internal", f"reading it failed: {type(error).__name__}: {str(error)[:200]}", HINT)


def is_sound(line: Mapping[str, Any]) -> bool:
    """Say whether a document was read, and nothing in it is an error."""
    return "error" not in line and all(one["severity"] != "error" for one in line["findings"])


def summary(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a table for a document."""
    if "error" in line:
        error = line["error"]
        place = f"{error['line']}:{error['column']}: " if error["line"] else ""
        fix = f"; {error['fix']}" if error.get("fix") else ""
        return {"path": line["path"], "error": place + error["message"] + fix}
    statuses = [one["status"] for one in line["operations"]]
    return {
        "path": line["path"],
        "dialect": line["dialect"],
        "version": line["version"],
        "operations": len(statuses),
        "degraded": statuses.count("degraded"),
        "refused": statuses.count("refused"),
        "triggers": len(line["triggers"]),
        "findings": len(line["findings"]),
    }


def written_version(spec: Spec) -> str:
    """Return the version of the format, as the document writes it."""
    root = spec.registry.root
    for mark in _MARKS if isinstance(root, dict) else ():
        version = root.get(mark)
        if isinstance(version, str | int | float) and not isinstance(version, bool):
            return str(version)
    return _POSTMAN.get(spec.dialect, "")


def written_servers(spec: Spec) -> list[str]:
    """Return where the API lives; of AsyncAPI also what we do not speak with, and it is not in the model."""
    root = spec.registry.root
    written = root.get("servers") if spec.dialect.startswith("asyncapi") and isinstance(root, dict) else None
    listed = (
        written if isinstance(written, list) else list(written.values()) if isinstance(written, dict) else []
    )
    found = [one for one in (_address(spec.registry.schema(entry)) for entry in listed) if one]
    return found or [one.url for one in spec.servers]


def _address(server: Mapping[str, Any]) -> str:
    """Return the URL of a server of AsyncAPI: whole until version 2, in its parts since version 3."""
    if isinstance(server.get("url"), str):
        return str(server["url"])
    parts = [server.get(name) for name in ("protocol", "host", "pathname")]
    protocol, host, path = (part if isinstance(part, str) else "" for part in parts)
    return f"{protocol}://{host}{path}" if protocol and host else host


class _Reasons:
    """Finds why operations are not as described; looks into schemas only where some reference fails."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        schemas = [schema for one in spec.operations.values() for schema in _schemas(one)]
        self._failing = any(reachable(spec.registry, schemas).values())

    def of(self, operation: Operation) -> list[str]:
        """Return the reasons of one operation."""
        if operation.problem:
            return [operation.problem]
        return list(self._spec.degradations(operation) if self._failing else operation.degraded)


def _schemas(operation: Operation) -> Iterator[Any]:
    yield from (one.schema for one in operation.parameters)
    for media in operation.body.media if operation.body else ():
        yield media.schema
    for response in operation.responses.values():
        yield from (one.schema for one in response.media)


def _finding(one: Finding) -> dict[str, Any]:
    return {name: part for name, part in msgspec.structs.asdict(one).items() if part not in ("", 0)}


def _rare(name: str, value: Sequence[Any]) -> dict[str, Any]:
    """Return a member that most documents have no use for, only where there is something in it."""
    return {name: value} if value else {}


def _operation(one: Operation, reasons: _Reasons) -> dict[str, Any]:
    why = reasons.of(one)
    presets = [_preset(shown) for shown in one.presets]
    return {
        "id": one.id,
        "operation_id": one.name or None,
        "method": one.method,
        "path": one.path,
        "status": "refused" if one.problem else "degraded" if why else "ok",
        "reasons": why,
        **_rare("servers", [server.url for server in one.servers]),
        **({"needs_code": True} if one.needs_code else {}),
        **_rare("presets", presets),
    }


def _preset(one: Preset) -> dict[str, Any]:
    """Return a request that the description shows, as written; `preset` is our name for it, if another."""
    written = one.extras.get("name", one.name)
    made = {"name": written, "method": one.method, "url": one.url}
    return made if written == one.name else {**made, "preset": one.name}


def _trigger(one: Trigger) -> dict[str, Any]:
    made = {
        "id": one.id,
        "kind": one.kind,
        "name": one.name,
        "method": one.method,
        "operation": one.operation,
        "address": one.address,
        "problem": one.problem,
    }
    return {name: part for name, part in made.items() if part or name in ("id", "kind", "name")}


def _scheme(one: SecurityScheme) -> dict[str, Any]:
    made = {
        "name": one.name,
        "type": one.kind,
        "in": one.location,
        "parameter": one.parameter,
        "scheme": one.scheme,
        "flows": list(one.flows),
        "url": one.url,
        "problem": one.problem,
    }
    return {name: part for name, part in made.items() if part or name == "name"}


def _parameter(one: Any) -> dict[str, Any]:
    made = {"name": one.name, "type": one.kind, "required": one.required, "sets": list(one.sets)}
    return {name: part for name, part in made.items() if part or name != "sets"}


def _policy(one: Policy) -> dict[str, Any]:
    made = {
        "template": one.template,
        "title": one.title,
        "section": one.section,
        "operations": None if one.operations is None else list(one.operations),
        "problem": one.problem,
    }
    return {name: part for name, part in made.items() if part not in ("", None)}
