"""Every OpenAPI 3 description of the shared data is read; every operation in it is listed and can be built.

Nothing crashes, hangs or opens a socket, whatever stands in the documents.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from actions.specs import read_spec
from actions.specs.model import Spec
from tests.corpora import corpus

READ = {"openapi3.0", "openapi3.1"}
Documents = list[tuple[str, Spec, Mapping[str, Any]]]


pytestmark = pytest.mark.usefixtures("read_offline", "offline")


def beside(root: str) -> dict[str, bytes]:
    """Return all files below the folder of a root document."""
    prefix = root.rpartition("/")[0] + "/"
    files = corpus.files("openapi")
    return {path[len(prefix) :]: data for path, data in files.items() if path.startswith(prefix)}


@pytest.fixture(scope="module")
def documents() -> Documents:
    wanted = [one for one in corpus.expected("openapi") if one["dialect"] in READ]
    return [
        (one["file"], corpus.read(beside(one["file"]), one["file"].rpartition("/")[2]), one) for one in wanted
    ]


def test_every_description_is_read(documents: Documents) -> None:
    assert len(documents) == 252
    assert [name for name, spec, _ in documents if not spec.readable] == []
    assert {spec.dialect for _, spec, _ in documents} == READ


def test_every_operation_is_listed(documents: Documents) -> None:
    assert sum(len(expected["ops"]) for _, _, expected in documents) > 6_000
    assert {
        name: lost for name, spec, expected in documents if (lost := corpus.missing(spec, expected))
    } == {}
    for name, spec, expected in documents:
        have = {
            (one.method, one.path) for one in spec.operations.values() if "/x-ms-paths/" not in one.pointer
        }
        assert have == {(method, path) for method, path, _ in expected["ops"]}, name


def test_original_operation_ids_find_their_operations(documents: Documents) -> None:
    for name, spec, expected in documents:
        if expected["duplicate_operation_ids"]:
            continue
        for method, path, operation_id in expected["ops"]:
            if operation_id and operation_id.strip():
                found = spec.find(operation_id)
                assert found is not None, (name, operation_id)
                assert (found.method, found.path) == (method, path)


def test_servers_security_and_webhooks_agree_with_the_counter(documents: Documents) -> None:
    for name, spec, expected in documents:
        schemes = [one for one in spec.security_schemes.values() if one.problem != "is not declared"]
        kinds = [one.kind for one in spec.triggers.values()]
        assert [one.url for one in spec.servers] == expected["servers"], name
        assert len(schemes) == expected["security_schemes"], name
        assert kinds.count("webhook") == expected["webhook_operations"], name
        assert kinds.count("callback") == expected["callback_operations"], name


def test_every_operation_compiles_or_says_why_not(documents: Documents) -> None:
    for _, spec, _ in documents:
        corpus.sent(spec)


def test_no_operation_is_refused(documents: Documents) -> None:
    problems = [one.problem for _, spec, _ in documents for one in spec.operations.values() if one.problem]
    assert problems == []


def test_references_that_lead_nowhere_are_those_of_the_counter(documents: Documents) -> None:
    for name, spec, expected in documents:
        lost = {one.code for one in spec.findings if one.code.startswith("reference-")}
        refs = expected.get("refs", {})
        wanted = {"reference-file"} if refs.get("broken_file") else set()
        wanted |= {"reference-missing"} if refs.get("broken_local") else set()
        assert lost == wanted, name


def test_ids_survive_any_order_of_the_paths(documents: Documents) -> None:
    for name, _, _ in documents:
        data = corpus.files("openapi")[name]
        if name.endswith(".json") and len(data) < 200_000:
            document = msgspec.json.decode(data)
            document["paths"] = dict(reversed(document.get("paths", {}).items()))
            before, after = read_spec({name: data}), read_spec({name: msgspec.json.encode(document)})
            assert {id_: one.pointer for id_, one in before.operations.items()} == {
                id_: one.pointer for id_, one in after.operations.items()
            }
