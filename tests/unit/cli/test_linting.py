"""`connectors lint`: every finding with code, place and hint, for people, machines and code hosts."""

import json

import pytest

BROKEN = """\
swagger: "2.0"
info: {title: Shop, version: "1"}
host: shop.example
paths:
  orders/{id}:
    get:
      operationId: getOrder
      parameters:
        - {name: tags, in: query, type: array, collectionFormat: odd}
      responses: {200: {description: x, schema: {$ref: '#/definitions/Gone'}}}
"""
SOUND = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "https://shop.example"}]
paths: {/orders: {get: {operationId: listOrders, responses: {"200": {description: x}}}}}
"""


@pytest.fixture
def specs(tmp_path):
    (tmp_path / "specs" / "inner").mkdir(parents=True)
    (tmp_path / "specs" / "inner" / "bad one.yaml").write_text(BROKEN, "utf-8")
    (tmp_path / "specs" / "good.yaml").write_text(SOUND, "utf-8")
    return tmp_path / "specs"


def test_people_get_a_line_for_each_with_place_code_and_hint(pointsman, specs):
    ran = pointsman("connectors", "lint", "specs")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any(one.startswith("specs/inner/bad one.yaml:9:") for one in lines)
    assert any("warning reference-missing:" in one for one in lines)
    assert any(
        "warning collection-format:" in one and one.endswith("; Write `csv` or `multi`.") for one in lines
    )
    assert ran.err.strip().startswith("2 descriptions: ")


def test_a_sound_description_has_nothing(pointsman, specs):
    ran = pointsman("connectors", "lint", "specs/good.yaml", "--strict")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.strip() == "1 description: nothing found"


def test_strict_fails_for_warnings(pointsman, specs):
    assert pointsman("connectors", "lint", "specs", "--strict").code == 1


def test_an_error_fails_and_has_its_line(pointsman, specs):
    (specs / "broken.yaml").write_text("openapi: 3.0.0\npaths: {\n", "utf-8")
    ran = pointsman("connectors", "lint", "specs", "--min-severity", "error", "-o", "jsonl")
    assert ran.code == 1
    (only,) = map(json.loads, ran.out.splitlines())
    assert (only["severity"], only["code"], only["file"], only["line"]) == (
        "error",
        "unreadable",
        "specs/broken.yaml",
        3,
    )


def test_what_is_less_severe_can_be_left_out(pointsman, specs):
    everything = pointsman("connectors", "lint", "specs", "-o", "json")
    some = pointsman("connectors", "lint", "specs", "--min-severity", "warning", "-o", "json")
    severities = [{one["severity"] for one in json.loads(ran.out)["items"]} for ran in (everything, some)]
    assert severities == [{"warning", "info"}, {"warning"}]


def test_code_hosts_get_sarif(pointsman, specs):
    ran = pointsman("connectors", "lint", "specs", "--format", "sarif")
    log = json.loads(ran.out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "pointsman"
    assert len({one["id"] for one in rules}) == len(rules)
    path = next(one for one in rules if one["id"] == "path")
    assert path["help"] == {"text": "Write one."}
    assert path["properties"] == {"microsoft": ["OperationPathMustStartWithSlash"]}
    for one in run["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["level"] in ("error", "warning", "note")
        assert one["message"]["text"]
        (location,) = one["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "specs/inner/bad%20one.yaml"
        region = location["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1


def test_sarif_without_findings_is_whole(pointsman, specs):
    log = json.loads(pointsman("connectors", "lint", "specs/good.yaml", "--format", "sarif").out)
    assert log["runs"][0]["results"] == []


def test_what_is_not_there_is_a_finding(pointsman):
    ran = pointsman("connectors", "lint", "nowhere.yaml", "-o", "jsonl")
    assert ran.code == 1
    assert json.loads(ran.out)["code"] == "no-such-file"


@pytest.mark.parametrize(
    "words", [(), ("specs", "--min-severity", "loud"), ("specs", "--format", "html")], ids=str
)
def test_wrong_usage_is_told(pointsman, specs, words):
    ran = pointsman("connectors", "lint", *words)
    assert ran.code == 2
    assert ran.err
