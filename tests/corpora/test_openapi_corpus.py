"""Every OpenAPI description of the shared data is read; every operation in it is listed, or named with a reason.

Nothing crashes, hangs or opens a socket, whatever stands in the documents.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pytest_socket import disable_socket, enable_socket

from actions.errors import Refused
from actions.serialize import compile_operation
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.shared import shared_json, shared_tar

READ = {"openapi3.0", "openapi3.1"}
LIMIT = 10.0  # seconds a document


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def roots(name: str) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    expected = {one["file"]: one for one in shared_json(f"expected/{name}-dev.json")["documents"]}
    with shared_tar(f"{name}-dev.tar.xz") as tar:
        manifest = tar.extractfile("MANIFEST.json")
        assert manifest is not None
        for root in msgspec.json.decode(manifest.read())["roots"]:
            member = tar.extractfile(root)
            assert member is not None
            yield root, member.read(), expected[root]


def read(name: str, data: bytes) -> Spec:
    began = time.perf_counter()
    spec = read_spec({name: data})
    took = time.perf_counter() - began
    assert took < LIMIT, f"{name} took {took:.1f} s"
    for finding in spec.findings:
        assert finding.message
        assert finding.file == name
        assert finding.line
        assert finding.column
    return spec


def missing(spec: Spec, expected: dict[str, Any]) -> list[str]:
    """Return the operations that are neither listed nor named by a finding."""
    have = {(one.method, one.path) for one in spec.operations.values()}
    said = " ".join(one.message for one in spec.findings)
    return [
        f"{method} {path}"
        for method, path, _ in expected["ops"]
        if (method, path) not in have and path not in said
    ]


def sent(spec: Spec) -> None:
    """Compile every operation and try it without arguments; nothing but Refused may come of it."""
    for one in spec.operations.values():
        assert spec.find(f"{one.method} {one.path}") is not None
        msgspec.json.encode([spec.input_schema(one), spec.output_schemas(one)])
        try:
            compile_operation(one, spec, "https://api.example/v1")({})
        except Refused:
            continue


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, Spec, dict[str, Any]]]:
    return [(name, read(name, data), expected) for name, data, expected in roots("openapi")]


def test_every_openapi_3_description_is_read(documents: list[tuple[str, Spec, dict[str, Any]]]) -> None:
    unread = [name for name, spec, expected in documents if expected["dialect"] in READ and not spec.readable]
    assert unread == []
    assert {spec.dialect for _, spec, expected in documents if expected["dialect"] in READ} == READ


def test_every_operation_is_listed_or_named(documents: list[tuple[str, Spec, dict[str, Any]]]) -> None:
    read_ones = [(name, spec, expected) for name, spec, expected in documents if expected["dialect"] in READ]
    assert sum(len(expected["ops"]) for _, _, expected in read_ones) > 6_000
    assert {name: lost for name, spec, expected in read_ones if (lost := missing(spec, expected))} == {}


def test_original_operation_ids_find_their_operations(
    documents: list[tuple[str, Spec, dict[str, Any]]],
) -> None:
    for name, spec, expected in documents:
        if (
            expected["dialect"] not in READ
            or expected["duplicate_operation_ids"]
            or "operation_refs" in expected["more"]
        ):
            continue
        for method, path, operation_id in expected["ops"]:
            found = spec.find(operation_id) if operation_id else None
            if operation_id and operation_id.strip():
                assert found is not None, (name, operation_id)
                assert (found.method, found.path) == (method, path)


def test_servers_security_and_webhooks_agree_with_the_counter(
    documents: list[tuple[str, Spec, dict[str, Any]]],
) -> None:
    for name, spec, expected in documents:
        if expected["dialect"] in READ:
            schemes = [one for one in spec.security_schemes.values() if one.problem != "is not declared"]
            kinds = [one.kind for one in spec.triggers.values()]
            assert [one.url for one in spec.servers] == expected["servers"], name
            assert len(schemes) == expected["security_schemes"], name
            assert kinds.count("webhook") == expected["webhook_operations"], name
            assert kinds.count("callback") == expected["callback_operations"], name


def test_every_operation_compiles_or_says_why_not(documents: list[tuple[str, Spec, dict[str, Any]]]) -> None:
    for _, spec, _ in documents:
        sent(spec)


def test_only_operations_in_other_files_cannot_be_called(
    documents: list[tuple[str, Spec, dict[str, Any]]],
) -> None:
    problems = [one.problem for _, spec, _ in documents for one in spec.operations.values() if one.problem]
    assert [problem for problem in problems if "several files are not read yet" not in problem] == []


def test_ids_survive_any_order_of_the_paths() -> None:
    for name, data, expected in roots("openapi"):
        if expected["dialect"] in READ and name.endswith(".json") and len(data) < 200_000:
            document = msgspec.json.decode(data)
            document["paths"] = dict(reversed(document.get("paths", {}).items()))
            before, after = read_spec({name: data}), read_spec({name: msgspec.json.encode(document)})
            assert {id_: one.pointer for id_, one in before.operations.items()} == {
                id_: one.pointer for id_, one in after.operations.items()
            }


def test_hostile_documents_are_read_or_refused_with_their_place() -> None:
    read_count = 0
    for name, data, expected in roots("hostile"):
        spec = read(name, data)
        if expected.get("dialect") in READ:
            assert spec.readable, name
            assert missing(spec, expected) == [], name
            sent(spec)
            read_count += 1
        elif expected["parse"] == "ok" and expected.get("dialect") == "other":
            assert not spec.readable, name
            assert spec.findings[-1].code in {"no-description", "format-not-yet"}, name
    assert read_count > 1_000
