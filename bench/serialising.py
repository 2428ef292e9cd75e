"""Measures the building of requests: what one call costs before anything is sent, by kind of body.

Run as `python -m bench serialising [--calls N]`. Figures are µs of CPU on one core for one request, and for
the compiling of its operation, which happens once.
"""

import argparse
import base64
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from actions.serialize import compile_operation
from actions.specs import read_spec
from actions.specs.model import Operation, Spec
from bench.figures import Table

SERVER: Final = "https://api.example/v1"
ROUNDS: Final = 5
"""The best of so many counts: other work on the machine only ever adds."""

_ITEM: Final = {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}}}
_ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Order",
    "properties": {
        "id": {"type": "string", "xml": {"attribute": True}},
        "note": {"type": "string"},
        "items": {"type": "array", "items": _ITEM, "xml": {"wrapped": True}},
    },
}
_FILES: Final = {"properties": {"file": {"type": "string", "format": "binary"}, "note": {"type": "string"}}}
_BODY: Final = {"items": [{"sku": "a", "qty": 2}], "note": "order o-1"}
_FORM: Final = {
    "To": "+15550001",
    "From": "+15550002",
    "Body": "order o-1 is paid",
    "MediaUrl": ["https://x/1"],
}
_MANY: Final = {f"q{index}": ["a", "b"] if index % 3 == 0 else f"value {index}" for index in range(12)}


def _parameters(names: dict[str, Any]) -> list[dict[str, Any]]:
    fixed: list[dict[str, Any]] = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "dryRun", "in": "query", "schema": {"type": "boolean"}},
    ]
    return fixed + [{"name": name, "in": "query", "schema": {}} for name in names]


_STYLES: Final = (
    ("point", "path", "matrix", True),
    ("colour", "path", "label", False),
    ("filter", "query", "deepObject", True),
    ("tags", "query", "pipeDelimited", False),
    ("ids", "query", "form", False),
    ("X-Point", "header", "simple", True),
)
"""Name, place, style and explode."""
_STYLED: Final = {
    "point": {"x": 1, "y": 2},
    "colour": ["red", "green"],
    "filter": {"state": "open", "by": "a b"},
    "tags": ["a", "b", "c"],
    "ids": [1, 2, 3],
    "X-Point": {"x": 1, "y": 2},
}


def _styled() -> tuple[Operation, Spec]:
    parameters = [
        {
            "name": name,
            "in": place,
            "style": style,
            "explode": explode,
            "schema": {},
            "required": place == "path",
        }
        for name, place, style, explode in _STYLES
    ]
    path = {"get": {"operationId": "op", "parameters": parameters, "responses": {}}}
    spec = read_spec(
        {"made": msgspec.json.encode({"openapi": "3.1.0", "paths": {"/a{point}/{colour}": path}})}
    )
    return spec.operations["op"], spec


def _operation(
    media: str = "", schema: Any = None, names: dict[str, Any] | None = None
) -> tuple[Operation, Spec]:
    described: dict[str, Any] = {"operationId": "op", "parameters": _parameters(names or {}), "responses": {}}
    if media:
        described["requestBody"] = {"required": True, "content": {media: {"schema": schema or {}}}}
    document = {"openapi": "3.1.0", "paths": {"/things/{id}": {"post": described}}}
    spec = read_spec({"made": msgspec.json.encode(document)})
    return spec.operations["op"], spec


def cases() -> dict[str, tuple[tuple[Operation, Spec], dict[str, Any]]]:
    """Return operations with arguments, by name."""
    few = {"id": "o-1", "dryRun": True}
    file = {"base64": base64.b64encode(bytes(10_000)).decode(), "filename": "a.bin"}
    internal = {"type": "object", "required": ["kind"], "properties": {"kind": {"default": "order"}}}
    raw = msgspec.Raw(msgspec.json.encode(_BODY))
    return {
        "2 parameters, no body": (_operation(), few),
        "2 parameters, JSON": (_operation("application/json", _ORDER), {**few, "body": _BODY}),
        "2 parameters, JSON as it came": (_operation("application/json", _ORDER), {**few, "body": raw}),
        "2 parameters, JSON with a default": (
            _operation("application/json", internal),
            {**few, "body": _BODY},
        ),
        "14 parameters, no body": (_operation(names=_MANY), {**few, **_MANY}),
        "6 parameters of as many styles": (_styled(), _STYLED),
        "a form of 4 fields": (_operation("application/x-www-form-urlencoded"), {**few, "body": _FORM}),
        "multipart with 10 kB": (
            _operation("multipart/form-data", _FILES),
            {**few, "body": {"file": file, "note": "x"}},
        ),
        "XML of 5 elements": (_operation("application/xml", _ORDER), {**few, "body": {"id": "o-1", **_BODY}}),
    }


def _least(calls: int, work: Any) -> float:
    """Return the least µs of CPU that a call took on average, over some rounds."""
    took = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            work()
        took.append((time.process_time() - start) / calls * 1e6)
    return min(took)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=10_000, help="requests to build in each round")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure each kind of request."""
    yield Table("building requests", [row(name, *case, options.calls) for name, case in cases().items()])


def row(
    name: str, described: tuple[Operation, Spec], arguments: dict[str, Any], calls: int
) -> dict[str, Any]:
    """Measure one kind of request."""
    build = compile_operation(*described, SERVER)
    parts = build(arguments)
    each = _least(calls, lambda: build(arguments))
    return {
        "request": name,
        "calls/s": round(1e6 / each),
        "CPU µs each": round(each, 2),
        "bytes": len(parts.url) + len(parts.body or b""),
        "compiling µs": round(_least(min(calls, 200), lambda: compile_operation(*described, SERVER)), 1),
    }


if __name__ == "__main__":
    from bench.__main__ import main

    main(["serialising", *sys.argv[1:]])
