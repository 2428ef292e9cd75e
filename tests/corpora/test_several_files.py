"""One API in 2,907 files is read whole, as a folder and as what is kept of it."""

from pathlib import Path

import pytest

from service.descriptions import Unit, collect, pin, read_pinned
from tests.shared import shared_tar

NAME = "digitalocean+openapi"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("several")
    with shared_tar("openapi-dev.tar.xz") as tar:
        wanted = [member for member in tar.getmembers() if member.name.startswith(f"{NAME}/")]
        tar.extractall(place, wanted, filter="data")
    return place / NAME


@pytest.fixture(scope="module")
def unit(folder: Path) -> Unit:
    (found,) = collect(folder)
    return found


def test_every_operation_of_it_is_read_without_a_finding(unit: Unit) -> None:
    spec = unit.read()
    assert spec.findings == ()
    assert len(spec.operations) == 659
    assert {one.status for one in spec.operations.values()} == {"ok"}
    assert len(spec.registry.files.documents) > 1_400


def test_every_schema_of_it_stands_alone(unit: Unit) -> None:
    spec = unit.read()
    for one in list(spec.operations.values())[::10]:
        alone = spec.standalone(spec.input_schema(one))
        assert all(name in alone.get("$defs", {}) for name in _defs(alone))
        assert spec.degradations(one) == ()


def _defs(schema: object) -> set[str]:
    found, stack = set(), [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            ref = node.get("$ref")
            if isinstance(ref, str):
                assert ref.startswith("#/$defs/")
                found.add(ref.removeprefix("#/$defs/"))
        stack.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
    return found


def test_what_is_kept_of_it_reads_the_same(unit: Unit, folder: Path) -> None:
    content = pin(unit)
    assert content == pin(collect(folder)[0])
    spec, kept = unit.read(), read_pinned("specs", content)
    assert kept.operations == spec.operations
    assert kept.findings == ()
