"""Makes the backend that a description is exercised with: a mock that knows what policies make of requests.

What a policy leads to another path arrives there, and what one fetches first is answered with the value that
it looks for: the connector's folder describes both, its definition only the rest. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from actions.expressions import Path, Scalar, Step, parse
from actions.mock import MockBackend
from actions.specs.model import Media, Operation, Policy, Response, Schema, Spec
from actions.templates import read
from service.usecases.exercising.places import changed_queries, filled, is_for, rewritten_routes

_GET: Final = "GET"


class _Sought(NamedTuple):
    """One call that a policy makes: to which path, and the schemas of what it looks for in the answer."""

    method: str
    path: str
    headers: Mapping[str, Schema]
    body: Schema


def make_backend(spec: Spec, parameters: Mapping[str, str] | None = None, **more: Any) -> MockBackend:
    """Return the mock of a description; `parameters` are those of the connection, `more` goes to the mock."""
    values = parameters or {}
    operations = dict(spec.operations)
    paths = []
    for sought in dict.fromkeys((one.method, one.path) for one in _sought(spec, values)):
        method, path = sought
        found = next((one for one in operations.values() if (one.method, one.path) == sought), None)
        one = found or Operation(id=f"fetched first: {method} {path}", method=method, path=path)
        operations[one.id] = _answering(one, [each for each in _sought(spec, values) if each[:2] == sought])
        if found is None:
            paths.append((one.id, method, path))
    return MockBackend(
        replace(spec, operations=operations),
        extra=[*rewritten_routes(spec, values), *paths],
        unchecked=[*changed_queries(spec), *(id_ for id_, _, _ in paths)],
        **more,
    )


def _sought(spec: Spec, parameters: Mapping[str, str]) -> Iterator[_Sought]:
    for policy in spec.policies:
        if policy.template != "setvaluefromurl" or policy.problem:
            continue
        given, _ = read(policy.template, policy.parameters)
        verb, url = given.text("httpMethod").strip().upper(), given.text("parameterValueUrl")
        path = "/" + filled(url.partition("?")[0], parameters).lstrip("/")
        methods = {one.method for one in spec.operations.values() if is_for(policy, one)}
        for method in sorted(methods) if "@" in verb else [verb or _GET]:
            yield _Sought(method, path, *_looked_for(policy))


def _looked_for(policy: Policy) -> tuple[Mapping[str, Schema], Schema]:
    """Return the schemas of the headers and of the body that hold what a policy looks for."""
    headers: dict[str, Schema] = {}
    body: Schema = {}
    given, _ = read(policy.template, policy.parameters)
    for part in parse(given.text("parameterValuePathTemplate")):
        if isinstance(part, Path):
            body = {"allOf": [body, _holding(part.steps)]} if body else _holding(part.steps)
        elif isinstance(part, Scalar):
            headers[part.name] = {"type": "string"}
    return headers, body


def _holding(steps: tuple[Step, ...]) -> dict[str, Any]:
    """Return the schema of a value that has a text at these steps."""
    if not steps:
        return {"type": "string", "minLength": 1}
    step, inner = steps[0], _holding(steps[1:])
    if isinstance(step, int):
        return {"type": "array", "minItems": step + 1, "items": inner}
    return {"type": "object", "required": [step], "properties": {step: inner}}


def _answering(operation: Operation, sought: list[_Sought]) -> Operation:
    """Return the operation whose good answer holds what is looked for, besides what is described."""
    good = [status for status in operation.responses if status.startswith("2")]
    status = min(good, default="200")
    described = operation.responses.get(status, Response())
    bodies = [one.body for one in sought if one.body]
    media = described.media[0] if described.media else Media(type="application/json")
    if bodies:
        parts = [*([media.schema] if described.media else []), *bodies]
        media = replace(media, schema={"allOf": parts} if len(parts) > 1 else parts[0], examples={})
    headers = {name: schema for one in sought for name, schema in one.headers.items()}
    made = replace(
        described,
        media=(media,) if bodies or described.media else (),
        headers={**described.headers, **headers},
    )
    return replace(operation, responses={**operation.responses, status: made})
