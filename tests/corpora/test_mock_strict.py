"""The mock is no yes-man: real requests that it accepts are refused once something is wrong with them."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from actions.errors import Refused
from actions.mock.judging import MockBackend
from actions.samples import Calls
from actions.specs.model import Operation, Spec
from tests.corpora import corpus
from tests.corpora.wired import Wired, wired

SCALARS = ("integer", "boolean", "string", "array")


def spoilt(spec: Spec, operation: Operation, sound: Wired) -> Iterator[tuple[str, Wired]]:
    """Yield a request with one thing wrong, and what."""
    path, _, query = sound.target.partition("?")
    pairs = [one for one in query.split("&") if one]
    yield "method", sound._replace(method="FOO")
    yield "path", sound._replace(target=f"{path.rstrip('/')}/zz/yy?{query}")
    yield "percent", sound._replace(target=f"{path}%zz?{query}")
    schemas = {one.name: spec.registry.schema(one.schema) for one in operation.parameters}
    queries = [one for one in operation.parameters if one.location == "query"]
    if all(schemas[one.name].get("type") in SCALARS for one in queries):
        yield "unknown query", sound._replace(target=f"{path}?{'&'.join([*pairs, 'zz_unknown=1'])}")
    for one in queries:
        others = [pair for pair in pairs if pair.partition("=")[0] != one.name]
        if one.required and len(others) < len(pairs):
            yield "query left out", sound._replace(target=f"{path}?{'&'.join(others)}")
        if schemas[one.name].get("type") in ("integer", "number", "boolean") and len(others) < len(pairs):
            yield (
                "query of a wrong type",
                sound._replace(target=f"{path}?{'&'.join([*others, f'{one.name}=zzz'])}"),
            )
    for one in operation.parameters:
        others_ = [header for header in sound.headers if header[0].lower() != one.name.lower()]
        left_out = one.location == "header" and one.required and len(others_) < len(sound.headers)
        if left_out and one.name.lower() not in ("accept", "content-type"):
            yield "header left out", sound._replace(headers=others_)
    yield from spoilt_body(spec, operation, sound)


def spoilt_body(spec: Spec, operation: Operation, sound: Wired) -> Iterator[tuple[str, Wired]]:
    """Yield a request whose body is wrong."""
    if not operation.body or not sound.body:
        return
    content_type = dict(sound.headers)["Content-Type"]
    plain = [one for one in sound.headers if one[0] != "Content-Type"]
    if not any("*" in one.type for one in operation.body.media):
        yield "media type", sound._replace(headers=[*plain, ("Content-Type", "application/x-zz")])
    if "json" not in content_type:
        return
    yield "broken JSON", sound._replace(body=sound.body[:-1] + b"\x00")
    if operation.body.required:
        yield "no body", sound._replace(body=b"")
    value: Any = json.loads(sound.body)
    schema = spec.registry.schema(operation.body.media[0].schema)
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict) or not isinstance(value, dict):
        return
    yield "a list for an object", sound._replace(body=b"[1]")
    for name, one in properties.items():
        found = spec.registry.schema(one)
        if name in value and found.get("type") in SCALARS:
            yield (
                "property of a wrong type",
                sound._replace(body=json.dumps({**value, name: {"zz": 1}}).encode()),
            )
        if name in value and name in schema.get("required", ()) and not found.get("readOnly"):
            less = {key: member for key, member in value.items() if key != name}
            yield "property left out", sound._replace(body=json.dumps(less).encode())


def test_spoilt_requests_are_refused() -> None:
    documents = [one for one in corpus.expected("openapi") if one["bytes"] < 150_000 and one.get("dialect")]
    tried: Counter[str] = Counter()
    taken = []
    for one in documents[::3]:
        spec = corpus.read(corpus.folder("openapi", one["file"]), one["file"].rpartition("/")[2])
        mock, calls = MockBackend(spec), Calls(spec)
        for operation in spec.operations.values():
            try:
                sound = wired(spec, operation, calls)
            except Refused:
                continue
            if operation.id not in mock.judge(*sound[1:]).fits:
                continue
            for what, request in spoilt(spec, operation, sound):
                # Without a server of its own a description takes any path before that of the operation, and a
                # parameter that is sent with its slashes takes any number of segments.
                spans = any(one.allow_reserved for one in operation.parameters if one.location == "path")
                if what == "path" and (spans or not spec.servers_of(operation)):
                    continue
                tried[what] += 1
                if operation.id in mock.judge(*request[1:]).fits:
                    taken.append((what, one["file"], operation.id, request.target, request.body[:200]))
    assert taken == [], "\n".join(map(str, taken[:20]))
    assert len(tried) == 13
    assert tried.total() > 3_000, tried
