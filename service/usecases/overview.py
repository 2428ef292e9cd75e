"""What a description holds, in short: what people want to know before they connect to it."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from actions.auth.described import takes
from actions.specs.model import ConnectionParameter, SecurityScheme, Server, Spec, Trigger


def overview(spec: Spec) -> dict[str, Any]:
    """Return title, counts, servers, logins, parameters and triggers, and the findings by severity."""
    operations = list(spec.operations.values())
    statuses = Counter(one.status for one in operations)
    return {
        "title": spec.title,
        "version": spec.version,
        "format": spec.dialect,
        "operations": {
            "all": len(operations),
            "degraded": statuses["degraded"],
            "refused": statuses["refused"],
            **_rare("needs_code", sum(one.needs_code for one in operations)),
            **_rare("deprecated", sum(one.deprecated for one in operations)),
            **_rare("left_out", len(spec.left_out)),
        },
        "servers": [_server(one) for one in spec.servers],
        "logins": [_login(one) for one in spec.security_schemes.values()],
        "parameters": [_parameter(one) for one in spec.parameters.values()],
        **_rare("parameter_sets", dict(spec.parameter_sets)),
        "triggers": [_trigger(one) for one in spec.triggers.values()],
        **_rare("policies", len(spec.policies)),
        **_rare("test", spec.test.name if spec.test else ""),
        "findings": {
            severity: count
            for severity in ("error", "warning", "info")
            if (count := sum(one.severity == severity for one in spec.findings))
        },
    }


def _rare(name: str, value: Any) -> dict[str, Any]:
    return {name: value} if value else {}


def _server(one: Server) -> dict[str, Any]:
    variables = {name: variable.default or "" for name, variable in one.variables.items()}
    return {"url": one.url, "variables": ", ".join(f"{name}={value}" for name, value in variables.items())}


def _login(one: SecurityScheme) -> dict[str, Any]:
    kind = f"{one.kind} {one.scheme}".strip() if one.kind == "http" else one.kind
    where = f"{one.location} {one.parameter}".strip() or ", ".join(one.flows) or one.url
    return {"name": one.name, "kind": kind, "where": where, "problem": one.problem}


def _parameter(one: ConnectionParameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "required": one.required,
        "sets": ", ".join(one.sets),
        "description": one.description,
    }


def _trigger(one: Trigger) -> dict[str, Any]:
    return {"id": one.id, "kind": one.kind, "operation": one.operation, "problem": one.problem}


def wanted(spec: Spec) -> list[str]:
    """Return the words of `connections add` that this description asks for, in the order of importance."""
    words = []
    if not any("://" in one.url.partition("{")[0] for one in spec.servers):
        words.append("--server URL")
    for one in spec.servers[:1]:
        words.extend(
            f"--variable {name}=VALUE" for name, variable in one.variables.items() if variable.default is None
        )
    asked = [
        one
        for one in spec.parameters.values()
        if one.default is None and (one.required or one.kind == "secret") and one.kind != "oauth"
    ]
    words.extend(_login_words(spec.security_schemes, {one.name for one in asked}))
    words.extend(
        f"--parameter-env {one.name}=VARIABLE" if one.kind == "secret" else f"--parameter {one.name}=VALUE"
        for one in asked
    )
    return words


def _login_words(schemes: Mapping[str, SecurityScheme], asked: AbstractSet[str]) -> list[str]:
    """Return how to log in by the first way that there is an option for.

    Nothing where the connection parameters that are `asked` for are the login already.
    """
    for one in schemes.values():
        if one.problem:
            continue
        parts = set(takes(one).values())
        if one.kind in ("apiKey", "http") and parts and parts <= asked:
            return []
        if one.kind == "apiKey":
            return ["--api-key-env VARIABLE"]
        if one.kind == "http":
            return ["--basic USER:VARIABLE" if one.scheme == "basic" else "--bearer-env VARIABLE"]
        if one.kind == "oauth2":
            return ["--client ID:VARIABLE"]
    return []
