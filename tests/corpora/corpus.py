"""What the runs over the shared descriptions have in common: the files, what is expected of them, and how to compare."""

import functools
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from actions.errors import Refused
from actions.serialize import compile_operation
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.shared import shared_json, shared_tar

LIMIT = 10.0  # seconds of CPU a document


@functools.cache
def files(name: str) -> Mapping[str, bytes]:
    """Return every file of a set by its path."""
    found = {}
    with shared_tar(f"{name}-dev.tar.xz") as tar:
        for member in tar:
            handle = tar.extractfile(member) if member.isfile() else None
            if handle:
                found[member.name] = handle.read()
    return found


@functools.cache
def expected(name: str) -> list[dict[str, Any]]:
    """Return what is expected of each document of a set."""
    documents: list[dict[str, Any]] = shared_json(f"expected/{name}-dev.json")["documents"]
    return documents


def folder(name: str, root: str) -> dict[str, bytes]:
    """Return the files of one folder of a set by their names, the root document's among them."""
    prefix = root.rpartition("/")[0] + "/"
    neighbours = (path for path in files(name) if path.startswith(prefix) and "/" not in path[len(prefix) :])
    return {path[len(prefix) :]: files(name)[path] for path in neighbours}


def read(given: Mapping[str, bytes], root: str | None = None) -> Spec:
    """Read a description in time, each finding with its place."""
    began = time.thread_time()
    spec = read_spec(given, root)
    took = time.thread_time() - began
    assert took < LIMIT, f"{root or sorted(given)} took {took:.1f} s"
    for finding in spec.findings:
        assert finding.message
        assert finding.file in given
        assert finding.line
        assert finding.column
    return spec


def missing(spec: Spec, document: Mapping[str, Any]) -> list[str]:
    """Return the operations that are neither listed nor named by a finding."""
    have = {(one.method, one.path) for one in spec.operations.values()}
    said = " ".join(one.message for one in spec.findings)
    return [
        f"{method} {path}"
        for method, path, _ in document.get("ops", ())
        if (method, path) not in have and path not in said
    ]


def sent(spec: Spec) -> None:
    """Compile every operation and try it without arguments; nothing but Refused may come of it."""
    for one in spec.operations.values():
        msgspec.json.encode([spec.input_schema(one), spec.output_schemas(one)])
        try:
            compile_operation(one, spec, "https://api.example/v1")({})
        except Refused:
            continue
