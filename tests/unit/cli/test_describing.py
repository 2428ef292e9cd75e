"""`connectors read`: one line a document, as soon as it is read; nothing is changed. What else takes a path."""

import json
import os

import pytest

from tests.tables import every_row

SHOP = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.example"}],
    "paths": {"/orders": {"get": {"operationId": "listOrders", "responses": {"200": {"description": "x"}}}}},
}


@pytest.fixture
def specs(tmp_path):
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "shop.json").write_text(json.dumps(SHOP), "utf-8")
    (folder / "notes.json").write_text("{}", "utf-8")
    return folder


def test_prints_a_line_for_each_document(pointsman, specs):
    (specs / "broken.yaml").write_text("openapi: 3.0.0\npaths: {\n", "utf-8")
    ran = pointsman("connectors", "read", "specs", "-o", "jsonl")
    broken, shop = map(json.loads, ran.out.splitlines())
    assert ran.code == 1
    assert (broken["path"], broken["error"]["line"]) == ("specs/broken.yaml", 3)
    assert shop["path"] == "specs/shop.json"
    assert [one["id"] for one in shop["operations"]] == ["listOrders"]


def test_several_paths_keep_their_order(pointsman, specs):
    (specs / "other.json").write_text(json.dumps(SHOP), "utf-8")
    ran = pointsman("connectors", "read", "specs/shop.json", "specs/other.json", "-o", "jsonl")
    assert [json.loads(one)["path"] for one in ran.out.splitlines()] == [
        "specs/shop.json",
        "specs/other.json",
    ]
    assert ran.code == 0


def test_prints_a_table_for_people(pointsman, specs):
    ran = pointsman("connectors", "read", "specs")
    head, row = (one.split() for one in ran.out.splitlines())
    assert head == ["PATH", "DIALECT", "VERSION", "OPERATIONS"]
    assert row == ["specs/shop.json", "openapi3.1", "3.1.0", "1"]


def test_what_was_found_is_a_command_away(pointsman, specs):
    assert pointsman("connectors", "read", "specs").err == ""
    (specs / "no server.json").write_text(json.dumps({**SHOP, "servers": []}), "utf-8")
    ran = pointsman("connectors", "read", "specs/no server.json")
    assert ran.err.strip().endswith("pointsman connectors lint 'specs/no server.json'")


@pytest.mark.parametrize("style", ["json", "yaml"])
def test_prints_all_together_in_other_styles(pointsman, specs, style):
    ran = pointsman("connectors", "read", "specs", "-o", style)
    assert ran.code == 0
    assert "listOrders" in ran.out


def test_what_is_not_there_is_told(pointsman):
    ran = pointsman("connectors", "read", "nowhere.yaml", "-o", "jsonl")
    assert ran.code == 1
    assert json.loads(ran.out)["error"]["code"] == "no-such-file"


@every_row("verb", ["read", "exercise"])
def test_a_path_is_needed(pointsman, verb):
    ran = pointsman("connectors", verb)
    assert ran.code == 2
    assert "say which descriptions" in ran.err


def test_a_mock_wants_one_description_that_can_be_read(pointsman, specs):
    (specs / "other.json").write_text(json.dumps(SHOP), "utf-8")
    several = pointsman("mock", "specs")
    assert (several.code, "specs/other.json, specs/shop.json" in several.err) == (2, True)
    (specs / "broken.json").write_text('{"openapi": "3.0.0"', "utf-8")
    broken = pointsman("mock", "specs/broken.json")
    assert broken.code == 1
    assert "broken.json:1:" in broken.err


@pytest.mark.parametrize("style", ["table", "jsonl", "json", "yaml"])
def test_a_file_may_have_any_name(pointsman, specs, style):
    (specs / "shop.json").rename(os.fsdecode(os.fsencode(specs) + b"/\xff\nshop.json"))
    ran = pointsman("connectors", "read", "specs", "-o", style)
    assert ran.code == 0
    assert "udcff" in ran.out


def test_how_much_is_read_is_a_setting(pointsman, tmp_path, monkeypatch):
    responses = {"200": {"description": "ok"}}
    paths = {f"/{name}": {"get": {"operationId": name, "responses": responses}} for name in ("one", "two")}
    (tmp_path / "api.json").write_text(json.dumps({"openapi": "3.0.3", "info": {}, "paths": paths}))
    monkeypatch.setenv("POINTSMAN_MAX_OPERATIONS", "1")
    read = json.loads(pointsman("connectors", "read", "api.json", "-o", "jsonl").out)
    assert [one["status"] for one in read["operations"]] == ["ok", "refused"]
    assert "too-many-operations" in pointsman("connectors", "lint", "api.json").out
    assert "raise POINTSMAN_MAX_OPERATIONS" in pointsman("connectors", "lint", "api.json").out
    monkeypatch.setenv("POINTSMAN_MAX_DESCRIPTION_BYTES", "50")
    for command in (("read", "api.json"), ("export", "api.json"), ("diff", "api.json", "api.json")):
        ran = pointsman("connectors", *command)
        assert ran.code == 1
        assert "(POINTSMAN_MAX_DESCRIPTION_BYTES)" in ran.err + ran.out.replace("\n", "")
    monkeypatch.setenv("POINTSMAN_MAX_OPERATIONS", "0")
    ran = pointsman("connectors", "read", "api.json")
    assert ran.code == 2
    assert "POINTSMAN_MAX_OPERATIONS" in ran.err
