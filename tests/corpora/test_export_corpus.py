"""Descriptions of the shared data are exported as OpenAPI 3.1 and come back as they were, from every format.

By default a sample of the documents is run; all of them with POINTSMAN_WHOLE=1.
"""

import json
import os
from collections.abc import Iterator

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from actions.comparing import compare
from actions.exporting import export
from actions.specs import read_spec
from actions.specs.model import Spec
from tests.corpora.corpus import expected, files, folder
from tests.unit.actions.exporting.reading import differences, text

SETS = ("openapi", "power-platform", "postman", "asyncapi")
PARTS = 3
WHOLE = os.environ.get("POINTSMAN_WHOLE") == "1"
SAMPLE = 13
"""Every how manieth document is in the sample, of those that have at most this many bytes:"""
SMALL = 300_000


pytestmark = pytest.mark.usefixtures("read_offline", "offline")


def specs(name: str, part: int) -> Iterator[tuple[str, Spec]]:
    """Yield the readable documents of one part of a set."""
    step = PARTS if WHOLE else PARTS * SAMPLE
    for document in expected(name)[part * (1 if WHOLE else SAMPLE) :: step]:
        path = document["file"]
        if not WHOLE and len(files(name).get(path, b"")) > SMALL:
            continue
        alone = folder(name, path) if name == "power-platform" else files(name)
        spec = read_spec(alone, path.rpartition("/")[2] if name == "power-platform" else path)
        if spec.readable:
            yield path, spec


def check(spec: Spec) -> list[object]:
    """Return everything in which a description is not what it was, after an export."""
    written = text(export(spec))
    again = read_spec({"export.json": written.encode()})
    return [
        *differences(spec, again).items(),
        *compare(spec, again)[:5],
        *compare(again, spec)[:5],
        *(["another export"] if text(export(again)) != written else []),
    ]


@pytest.mark.timeout(1200 if WHOLE else 120)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SETS)
def test_an_export_comes_back_as_it_was(name: str, part: int) -> None:
    count = 0
    wrong: dict[str, list[object]] = {}
    for path, spec in specs(name, part):
        count += 1
        if found := check(spec):
            wrong[path] = found
    assert wrong == {}
    assert count


@pytest.mark.parametrize("name", SETS)
def test_exports_are_valid(name: str) -> None:
    for path, spec in [one for _, one in zip(range(4), specs(name, 1), strict=False)]:
        document = json.loads(text(export(spec)))
        assert [one.message for one in OpenAPIV31SpecValidator(document).iter_errors()] == [], path
