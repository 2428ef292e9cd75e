"""Measures the reading of API descriptions and the building of requests.

Run as `python -m bench specs [--file FILE …]`. Without files: the largest OpenAPI 3 documents of the shared
data, where they are beside the project, and a made one. Seconds are of CPU on one core; memory is what Python
allocated at most.
"""

import argparse
import sys
import tarfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from actions.serialize import compile_operation
from actions.specs import read_spec
from bench.figures import Table

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "openapi-dev.tar.xz"
LARGEST = 10
CALLS = 50_000


def made(operations: int) -> bytes:
    """Return a document with as many operations, each with a body of its own schema."""
    paths = {
        f"/things{index}/{{id}}": {
            "post": {
                "operationId": f"op{index}",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "dryRun", "in": "query", "schema": {"type": "boolean"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/S{index}"}}},
                },
                "responses": {"200": {"description": "ok", "content": {"application/json": {}}}},
            }
        }
        for index in range(operations)
    }
    schemas = {f"S{index}": {"type": "object", "properties": {"n": {}}} for index in range(operations)}
    return msgspec.json.encode({"openapi": "3.1.0", "paths": paths, "components": {"schemas": schemas}})


def documents(names: list[str]) -> dict[str, bytes]:
    """Return what is measured, by name."""
    if names:
        return {name: Path(name).read_bytes() for name in names}
    found = {"made, 5,000 operations": made(5_000)}
    if ARCHIVE.exists():
        with tarfile.open(ARCHIVE) as tar:
            files = [
                member for member in tar.getmembers() if member.name.endswith((".json", ".yaml", ".yml"))
            ]
            for member in sorted(files, key=lambda one: -one.size)[: LARGEST * 3]:
                stream = tar.extractfile(member)
                if stream:
                    found[member.name] = stream.read()
    return found


def measure(name: str, data: bytes) -> dict[str, Any]:
    """Return the figures of one document."""
    start = time.process_time()
    spec = read_spec({name: data})
    took = time.process_time() - start
    tracemalloc.start()
    kept = read_spec({name: data})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "document": name,
        "readable": spec.readable,
        "mb": round(len(data) / 1e6, 2),
        "operations": len(kept.operations),
        "seconds": round(took, 3),
        "peak MB": round(peak / 1e6, 1),
    }


def build_us() -> float:
    """Return µs for one request with two parameters and a JSON body."""
    spec = read_spec({"made": made(1)})
    build = compile_operation(spec.operations["op0"], spec, "https://api.example/v1")
    arguments = {
        "id": "o-1",
        "dryRun": True,
        "body": {"items": [{"sku": "a", "qty": 2}], "note": "order o-1"},
    }
    start = time.process_time()
    for _ in range(CALLS):
        build(arguments)
    return (time.process_time() - start) / CALLS * 1e6


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", dest="files", action="append", default=[], help="a description to measure")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure documents, then the building of requests."""
    rows = [measure(name, data) for name, data in documents(options.files).items()]
    yield Table("reading descriptions", [row for row in rows if row.pop("readable")][: LARGEST + 1])
    yield Table("building a request with two parameters and a body", [{"CPU µs each": round(build_us(), 2)}])


if __name__ == "__main__":
    from bench.__main__ import main

    main(["specs", *sys.argv[1:]])
