"""A new version of a description is judged by the rules that call it."""

import asyncio

import pytest

from service.errors import Invalid
from service.usecases.checking import check_configuration
from service.usecases.diffing import affected, diff, one_unit

OLD = """
openapi: 3.0.3
info: {title: Shop, version: '1'}
servers: [{url: 'https://shop.example'}]
paths:
  /orders:
    post:
      operationId: order
      parameters: [{name: note, in: query, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {type: object}}}}
      responses: {'201': {description: made}}
  /items/{id}:
    get:
      operationId: item
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: fine}}
  /health: {get: {operationId: health, responses: {'200': {description: fine}}}}
"""
RULES = """
sources: {}
connectors: {shop: {spec: old.yaml}}
connections: {shop: {connector: shop}}
rules:
  ordering: {do: [{call: shop.order, with: {note: hello, body: {}}, on_unknown: retry}]}
  looking: {do: [{call: shop.item, with: {id: '7'}}]}
  asking: {do: [{call: shop.health}]}
"""


@pytest.fixture
def judge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "pointsman.yaml").write_text(RULES)

    def run(*edits):
        text = OLD
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "new.yaml").write_text(text)
        candidate = asyncio.run(check_configuration(tmp_path / "pointsman.yaml", resolve=False, env={}))
        plan = candidate.wanted()
        spec = plan.connections["shop"].spec
        found = affected(plan.configuration, candidate.files, "shop", spec, one_unit(tmp_path / "new.yaml"))
        return {one["rule"]: one for one in found}

    return run


def test_a_version_that_changes_nothing_touches_no_rule(judge):
    assert {one["verdict"] for one in judge().values()} == {"fine"}


def test_a_rule_that_would_be_refused_breaks_and_says_why(judge):
    rules = judge(("name: note", "name: remark"), ("operationId: item", "operationId: readItem"))
    assert rules["ordering"]["verdict"] == "breaks"
    assert "operation order has no input note" in rules["ordering"]["reasons"]
    assert rules["looking"]["verdict"] == "breaks"
    assert "item is readItem now" in rules["looking"]["reasons"]
    assert rules["asking"]["verdict"] == "fine"


def test_a_rule_whose_operation_lost_something_is_touched(judge):
    rules = judge(("'200': {description: fine}}\n  /health", "'204': {description: none}}\n  /health"))
    assert rules["looking"]["verdict"] == "touched"
    assert rules["looking"]["reasons"] == ["item: answer 200 is not declared any more"]


def test_a_rule_that_pins_another_version_is_fine(judge, tmp_path):
    pinned = RULES.replace("{spec: old.yaml}", "{spec: old.yaml, versions: {'1': old.yaml}}").replace(
        "{call: shop.item,", "{call: shop.item, version: '1',"
    )
    (tmp_path / "pointsman.yaml").write_text(pinned)
    rules = judge(("operationId: item", "operationId: readItem"), ("'201'", "'204'"))
    assert rules["looking"] == {"rule": "looking", "verdict": "fine", "operations": ["item"], "reasons": []}
    assert rules["ordering"]["verdict"] == "touched"


def test_a_diff_counts_what_breaks(tmp_path):
    (tmp_path / "a.yaml").write_text(OLD)
    (tmp_path / "b.yaml").write_text(OLD.replace("  /health", "  /alive"))
    found = diff(one_unit(tmp_path / "a.yaml").read(), one_unit(tmp_path / "b.yaml").read())
    assert found["breaking"] == 0
    assert [one["code"] for one in found["changes"]] == ["operation-moved"]


@pytest.mark.parametrize("content", ["", "openapi: [", "just text"])
def test_what_is_no_description_is_refused_with_its_place(tmp_path, content):
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(Invalid) as caught:
        one_unit(path)
    assert all(one.line for one in caught.value.problems)
