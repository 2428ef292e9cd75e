"""Descriptions of every kind through the whole of a check, and again from what was stored of them."""

import asyncio
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from service.rulesets import Rulesets
from service.usecases.checking import Candidate, check_configuration
from tests.fakes.memory_store import MemoryStore
from tests.tables import every_row

ROOT = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "https://shop.example"}]
paths:
  /note: {$ref: paths/note.yaml}
"""
NOTE = "post: {operationId: note, requestBody: {content: {application/json: {schema: {$ref: ../schemas.json#/Note}}}}, responses: {'200': {description: ok}}}"
SCHEMAS = '{"Note": {"type": "object", "properties": {"text": {"type": "string"}}}}'
RULES = {
    "sources": {"door": {"kind": "webhook", "verify": {"scheme": "none"}}},
    "connections": {"shop": {"connector": "shop"}},
    "rules": {"note": {"do": [{"call": "shop.note", "with": {"body": {"text": "${data.text}"}}}]}},
}


def folder(place: Path) -> Path:
    for name, text in (
        ("api.yaml", ROOT),
        ("paths/note.yaml", NOTE),
        ("schemas.json", SCHEMAS),
        ("unused.json", "{}"),
    ):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


async def check(place: Path, spec: str, **more: Any) -> Candidate:
    path = place / "pointsman.yaml"
    path.write_text(json.dumps({"connectors": {"shop": {"spec": spec, **more}}, **RULES}))
    return await check_configuration(path, resolve=False, env={})


@pytest.mark.parametrize("spec", ["shop", "shop/api.yaml", "shop.zip", "shop.zip/api.yaml"])
async def test_a_file_a_folder_and_an_archive_are_checked_stored_and_read_again(
    tmp_path: Path, spec: str
) -> None:
    made = folder(tmp_path / "shop")
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for path in sorted(made.rglob("*.*")):
            archive.write(path, path.relative_to(made).as_posix())
    candidate = await check(tmp_path, spec)
    assert candidate.errors == ()
    assert candidate.files["shop"].startswith(b"PK")
    store = MemoryStore(clock_ms=lambda: 0)
    await store.open()
    plan = await Rulesets(store).keep(
        candidate.plan.configuration, candidate.checked.document, candidate.files
    )
    again = await Rulesets(store).plan(plan.ruleset.number)
    operation = again.connections["shop"].spec.find("note")
    assert operation is not None
    assert operation.status == "ok"
    assert again.connections["shop"].spec_digest == candidate.plan.connections["shop"].spec_digest


async def test_what_reading_did_not_open_changes_nothing(tmp_path: Path) -> None:
    folder(tmp_path / "shop")
    before = (await check(tmp_path, "shop")).files
    (tmp_path / "shop" / "unused.json").write_text('{"changed": true}')
    assert (await check(tmp_path, "shop")).files == before
    (tmp_path / "shop" / "schemas.json").write_text(SCHEMAS.replace("string", "integer"))
    assert (await check(tmp_path, "shop")).files != before


async def test_what_is_wrong_in_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    folder(tmp_path / "shop")
    (tmp_path / "shop" / "schemas.json").write_text('{"Note": {"$ref": "gone.json"}}')
    candidate = await check(tmp_path, "shop")
    assert candidate.errors == ()
    assert [one.message for one in candidate.problems if one.code == "reference-file"] == [
        "shop/schemas.json:1:2: refers to the file gone.json, which is not there"
    ]


@pytest.mark.parametrize(
    ("files", "spec", "code", "words"),
    [
        (
            {"a.json": '{"openapi": "3.0.0"}', "b.json": '{"openapi": "3.0.0"}'},
            "shop",
            "several-descriptions",
            "holds 2 descriptions: a.json, b.json",
        ),
        ({"a.json": "{}"}, "shop", "no-description", "holds no API description"),
        ({"a.zip": "PK\x03\x04"}, "shop/a.zip", "unreadable-file", "not a zip archive"),
        ({"a.json": "{}"}, "shop/b.json", "bad-file", "did you mean `shop/a.json`?"),
    ],
)
async def test_a_place_without_the_one_description_is_a_problem(
    tmp_path: Path, files: dict[str, str], spec: str, code: str, words: str
) -> None:
    (tmp_path / "shop").mkdir()
    for name, text in files.items():
        (tmp_path / "shop" / name).write_text(text)
    candidate = await check(tmp_path, spec)
    (problem,) = [one for one in candidate.errors if one.pointer == "/connectors/shop/spec"]
    assert problem.code == code
    assert words in f"{problem.message} {problem.fix}"
    assert problem.line == 1


async def test_references_may_lead_up_to_the_folder_of_the_configuration(tmp_path: Path) -> None:
    made = folder(tmp_path / "in" / "shop")
    (made / "api.yaml").write_text(ROOT.replace("paths/note.yaml", "../common/note.yaml"))
    (tmp_path / "in" / "common").mkdir()
    (tmp_path / "in" / "common" / "note.yaml").write_text(
        NOTE.replace("../schemas.json", "../shop/schemas.json")
    )
    candidate = await check(tmp_path / "in", "shop/api.yaml")
    assert candidate.errors == ()
    (tmp_path / "in" / "common" / "note.yaml").rename(tmp_path / "note.yaml")
    (made / "api.yaml").write_text(ROOT.replace("paths/note.yaml", "../../note.yaml"))
    candidate = await check(tmp_path / "in", "shop/api.yaml")
    assert "leads out of the description's folder" in " ".join(one.message for one in candidate.problems)


async def test_a_rule_that_names_what_is_left_out_is_told_where_that_stands(tmp_path: Path) -> None:
    folder(tmp_path / "shop")
    config = tmp_path / "pointsman.yaml"
    config.write_text(
        "connectors:\n  shop:\n    spec: shop\n    operations:\n      exclude:\n"
        "        - note\n        - tag:nothing\n"
        "connections: {shop: {connector: shop, server: 'https://shop.example'}}\n"
        "rules: {r: {do: [{call: shop.note, with: {}}]}}\n"
    )
    found = (await check_configuration(config, resolve=False, env={})).problems
    told = {one.code: one for one in found}
    assert told["idle-entry"].line == 7
    assert (told["no-operation"].line, told["no-operation"].severity) == (5, "error")


async def test_the_entry_that_leaves_something_out_is_named_by_its_line(tmp_path: Path) -> None:
    config = tmp_path / "pointsman.yaml"
    paths = {
        f"/{name}": {"get": {"operationId": name, "responses": {"200": {"description": "ok"}}}}
        for name in ("one", "two")
    }
    (tmp_path / "api.json").write_text(json.dumps({"openapi": "3.0.3", "info": {}, "paths": paths}))
    config.write_text(
        "connectors:\n  shop:\n    spec: api.json\n    operations:\n      exclude:\n        - t*\n"
        "connections: {shop: {connector: shop, server: 'https://shop.example'}}\n"
        "rules: {r: {do: [{call: shop.two}]}}\n"
    )
    (problem,) = (await check_configuration(config, resolve=False, env={})).problems
    assert (problem.code, problem.line, problem.because) == ("left-out", 8, f"{config}:6:11")
    assert str(problem).endswith(f"(see {config}:6:11)")


@every_row("whole", [True, False])
def test_a_version_that_cannot_be_read_is_told_of_once_where_it_stands(whole, tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    (place / "api.json").write_text(
        json.dumps({"openapi": "3.0.3", "info": {}, "paths": {"/a": {"get": {"operationId": "a"}}}})
    )
    (place / "bad.json").write_text("{}")
    said = "{spec: bad.json}" if whole else "bad.json"
    config = place / "pointsman.yaml"
    config.write_text(
        f"connectors:\n  shop:\n    spec: api.json\n    versions: {{v1: {said}}}\n"
        "connections: {shop: {connector: shop, server: 'https://shop.example'}}\n"
        "rules: {r: {do: [{call: shop.a, version: v1}]}}\n"
    )
    (problem,) = asyncio.run(check_configuration(config, resolve=False, env={})).problems
    assert (problem.line, problem.severity) == (4, "error")
    assert problem.pointer.startswith("/connectors/shop/versions/v1")
    config.write_text(config.read_text().replace(said, "{spec: bad.json, withdrawn: 'it is off'}"))
    (problem,) = asyncio.run(check_configuration(config, resolve=False, env={})).problems
    assert (problem.code, problem.line, problem.because) == ("withdrawn-version", 6, f"{config}:4:48")
