"""A sample of each corpus of API descriptions, read and exercised: the floors that `make corpora` holds for all of it.

Every document of the sample is read or rightly refused, every operation is listed or named, and what can be called
is accepted by the mock of the same description, over a socket.
"""

from pathlib import Path
from typing import Any

import pytest

from service.descriptions import collect
from service.usecases import exercising
from service.usecases.describing import read_line
from tests.corpora.harness import FLOOR, SETS
from tests.corpora.harness_truth import compare
from tests.shared import shared_json, shared_tar

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

EVERY = {"openapi": 16, "power-platform": 16, "postman": 10, "asyncapi": 6}
LARGEST = 300_000  # bytes of a document: the others belong to `make corpora`


@pytest.fixture(scope="module", params=SETS)
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Path, Any]]:
    """Unpack a part of a corpus: paths, and the truth about each."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    documents = [
        one for one in shared_json(f"expected/{name}-dev.json")["documents"] if one["bytes"] < LARGEST
    ]
    chosen = documents[:: EVERY[name]]
    folders = {one["file"].rpartition("/")[0] for one in chosen}
    with shared_tar(f"{name}-dev.tar.xz") as tar:
        wanted = [member for member in tar.getmembers() if member.name.rpartition("/")[0] in folders]
        tar.extractall(folder, members=wanted, filter="data")
    return [(folder / one["file"], one) for one in chosen]


def test_every_document_is_as_the_truth_has_it(sample: list[tuple[Path, Any]]) -> None:
    verdicts = {
        path: compare(read_line(unit, unit.name), truth) for path, truth in sample for unit in collect(path)
    }
    assert len(verdicts) == len(sample)
    assert {str(path): verdict.miss for path, verdict in verdicts.items() if verdict.miss} == {}


@pytest.mark.enable_socket
def test_nearly_every_operation_is_accepted_by_the_mock(sample: list[tuple[Path, Any]]) -> None:
    lines = [exercising.exercise(unit.read(), unit.name) for path, _ in sample for unit in collect(path)]
    missed = [one for line in lines for one in exercising.rows(line)]
    assert exercising.accepted_share(lines) >= FLOOR, missed[:20]
