"""The bytes of a description that the service keeps."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from service.descriptions import Unfit, collect, kept, kept_copy, pin, read_pinned
from tests.unit.descriptions.test_collecting import API, packed, several, write


def test_a_description_of_one_file_is_kept_as_it_is(tmp_path: Path) -> None:
    content = b"  " + json.dumps(API).encode() + b"\n"
    path = write(tmp_path, {"shop.json": content, "other.json": "{}"}) / "shop.json"
    assert kept(path) == content
    spec = read_pinned("specs/shop.json", content)
    assert list(spec.operations) == ["get_a"]
    assert read_pinned("specs/shop.json", content) is spec


def test_one_of_several_files_is_kept_as_those_that_were_read(tmp_path: Path) -> None:
    (unit,) = collect(several(tmp_path) / "v1" / "api.yaml")
    content = pin(unit)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.namelist() == [".pointsman", "api.yaml", "common/p.yaml", "paths/a.yaml"]
    spec = read_pinned("v1/api.yaml", content)
    assert spec.operations == unit.read().operations
    assert spec.findings == tuple(spec.findings)
    for path in tmp_path.rglob("*"):
        path.touch()
    assert pin(collect(tmp_path / "v1" / "api.yaml")[0]) == content


def test_places_of_findings_are_told_from_where_people_know_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "d/api.yaml": "openapi: 3.0.0\npaths: {/a: {$ref: a.yaml}}",
            "d/a.yaml": "get:\n  parameters: [{name: x, in: y}]\n",
        },
    )
    content = kept(tmp_path / "d")
    assert {one.file for one in read_pinned("specs/d", content).findings} == {
        "specs/d/api.yaml",
        "specs/d/a.yaml",
    }
    assert {one.file for one in read_pinned("specs/d/api.yaml", content).findings} == {
        "specs/d/api.yaml",
        "specs/d/a.yaml",
    }
    assert {one.file for one in read_pinned("https://x.example/v1", b"[]").findings} == {
        "https://x.example/v1"
    }


def test_a_connector_of_power_platform_is_kept_with_what_lies_beside_it(tmp_path: Path) -> None:
    write(several(tmp_path), {"connector/script.csx": "class Script {}"})
    content = kept(tmp_path / "connector")
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.namelist() == [
            ".pointsman",
            "apiDefinition.swagger.json",
            "apiProperties.json",
            "script.csx",
        ]
    (operation,) = read_pinned("connector", content).operations.values()
    assert operation.needs_code


def test_only_one_description_can_be_kept(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"holds 5 descriptions: broken\.yaml, "):
        kept(several(tmp_path / "x"))
    with pytest.raises(Unfit, match="is not there"):
        kept(tmp_path / "nope")
    with pytest.raises(Unfit, match="holds 5 descriptions"):
        kept_copy("https://x.example/all.zip", packed(tmp_path / "x"))
    assert kept_copy("https://x.example/api.json", b"{}") == b"{}"
    one = packed(write(tmp_path / "y", {"in/api.json": json.dumps(API)}))
    assert kept_copy("https://x.example/one.zip", one) == json.dumps(API).encode()
    with pytest.raises(Unfit, match="leads out"):
        kept_copy("https://x.example/one.zip", packed(tmp_path / "y", **{"../z": b""}))


def test_what_was_kept_and_is_broken_says_so() -> None:
    for content in (b"PK\x03\x04", packed(Path("nowhere"), a=b"")):
        spec = read_pinned("x", content)
        assert not spec.readable
        assert "what was kept of the description" in spec.findings[0].message
