"""`call --dry-run` and `connectors`: from the files alone."""

import json
import shutil

import pytest

from service.cli.app import run
from tests.tables import every_row


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "p"
    assert run(["init", str(folder)]) == 0
    return folder


@pytest.fixture
def project(pointsman, monkeypatch, tmp_path, written):
    shutil.copytree(written, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return pointsman


INPUTS = '{"sku": "a/b c", "body": {"order": "A-9", "quantity": 1}}'


def test_a_dry_run_shows_exactly_the_request_with_the_secret_masked(project, tmp_path):
    ran = project("call", "shop.reserveStock", "--with", INPUTS, "--dry-run")
    assert ran.code == 0
    head, _, body = ran.out.partition("\n\n")
    lines = head.splitlines()
    assert lines[0] == "POST http://127.0.0.1:8082/stock/a%2Fb%20c/reservations"
    assert "authorization: Bearer ***" in [line.lower().replace("bearer", "Bearer") for line in lines]
    assert body == '{"order":"A-9","quantity":1}\n'
    assert (tmp_path / "p/secrets/shop").read_text("ascii") not in ran.out


def test_a_dry_run_is_for_machines_too(project):
    ran = project("call", "shop.reserveStock", "--with", INPUTS, "--dry-run", "-o", "json")
    request = json.loads(ran.out)["request"]
    assert request["method"] == "POST"
    assert json.loads(request["body"]) == {"order": "A-9", "quantity": 1}


def test_inputs_come_from_a_file_or_standard_input(project, tmp_path):
    (tmp_path / "p/inputs.json").write_text(INPUTS, "utf-8")
    assert project("call", "shop.reserveStock", "--with", "@inputs.json", "--dry-run").code == 0
    assert project("call", "shop.reserveStock", "--with", "@-", "--dry-run", stdin=INPUTS.encode()).code == 0
    assert project("call", "shop.reserveStock", "--with", "-", "--dry-run", stdin=INPUTS.encode()).code == 0


@every_row(
    ("words", "said"),
    [
        (["shop.reserveStock"], ["sku is required", "body is required"]),
        (["shop.reserveStok"], ["did you mean reserveStock?"]),
        (["shp.reserveStock"], ["there is no connection shp; did you mean shop?"]),
        (["shop.getHealth", "--with", "{"], ["--with is no JSON"]),
        (["shop.getHealth", "--with", "[]"], ["--with must be an object"]),
        (["shop.getHealth", "--with", "[" * 100_000], ["--with is no JSON"]),
        (["shop.getHealth", "--with", "@none"], ["cannot read none: No such file or directory"]),
        (["shop.getHealth", "--with", '{"x": 1}'], ["x is not an input"]),
        (["shop.getHealth", "--config", "none.yaml"], ["none.yaml"]),
    ],
)
def test_what_cannot_be_called_is_said(project, words, said):
    ran = project("call", *words, "--dry-run")
    assert ran.code == 1
    for text in said:
        assert text in ran.err


RAW = {"method": "POST", "path": ["stock", "a/b"], "query": {"dry": True}, "body": {"n": 1}}


def test_any_request_can_be_made_with_the_login_of_the_connection(project):
    ran = project("call", "shop.:http", "--with", json.dumps(RAW), "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("POST http://127.0.0.1:8082/stock/a%2Fb?dry=true\n")
    assert "bearer ***" in ran.out.lower()
    assert ran.out.endswith('\n\n{"n":1}\n')


def test_all_that_is_wrong_with_a_request_is_said_with_its_place(project):
    inputs = json.dumps(
        {"path": "//evil.example/", "headers": {"Host": "x", "Authorization": "y"}, "to": "z"}
    )
    ran = project("call", "shop.:http", "--with", inputs, "--dry-run")
    assert ran.code == 1
    for place in ("/method", "/path", "/headers/Host", "/headers/Authorization", "/to"):
        assert f"{place}:" in ran.err


def test_what_a_request_takes_is_shown_and_listed_nowhere(project):
    shown = json.loads(project("operations", "show", "shop.:http", "-o", "json").out)
    assert (shown["id"], shown["input"]["required"]) == (":http", ["method", "path"])
    for words in (
        ("operations", "list"),
        ("connectors", "operations", "shop"),
        ("operations", "search", "http"),
    ):
        assert ":http" not in project(*words).out


def test_nothing_can_be_called_without_its_secret(project, tmp_path):
    (tmp_path / "p/secrets/shop").unlink()
    assert project("call", "shop.getHealth").code == 1
    assert project("call", "shop.getHealth", "--dry-run").code == 0, "to look, no secret is needed"


def test_connectors_and_operations_are_listed(project):
    assert "shop.openapi.yaml" in project("connectors").out
    lines = project("connectors", "operations", "shop").out.splitlines()
    assert lines[0].split() == ["ID", "METHOD", "PATH", "SUMMARY"]
    assert len(lines) == 5
    shown = json.loads(project("connectors", "show", "shop.reserveStock", "-o", "json").out)
    assert shown["input"]["required"] == ["sku", "body"]
    assert "did you mean shop?" in project("connectors", "operations", "shp").err


def test_what_is_not_as_described_is_told_and_shown_all_the_same(project):
    inputs = '{"sku": "a", "body": {"order": 9, "quantity": "x"}}'
    ran = project("call", "shop.reserveStock", "--with", inputs, "--dry-run")
    assert ran.code == 0
    assert ran.out.rstrip().endswith('{"order":9,"quantity":"x"}')
    assert ran.err.splitlines() == [
        "warning: arguments not as described: /body/order must be string, not 9",
        'warning: arguments not as described: /body/quantity must be integer, not "x"',
    ]
    asked = project("call", "shop.reserveStock", "--with", inputs, "--dry-run", "-o", "json")
    (told,) = json.loads(asked.out)["differences"]
    assert (told["side"], len(told["samples"])) == ("arguments", 2)


def test_nothing_is_told_of_a_connection_that_does_not_validate(project, tmp_path):
    path = tmp_path / "p/pointsman.yaml"
    text = path.read_text("utf-8").replace(
        "    connector: shop\n", "    connector: shop\n    validate: off\n"
    )
    path.write_text(text, "utf-8")
    inputs = '{"sku": "a", "body": {"order": 9, "quantity": "x"}}'
    ran = project("call", "shop.reserveStock", "--with", inputs, "--dry-run")
    assert (ran.code, ran.err) == (0, "")


COLLECTION = {
    "info": {"name": "t", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
    "item": [
        {
            "name": "Take a picture",
            "request": {
                "method": "POST",
                "url": "https://a.example/{{tenant}}/pictures",
                "header": [{"key": "X-Request", "value": "{{$guid}}"}],
                "body": {
                    "mode": "formdata",
                    "formdata": [
                        {"key": "picture", "type": "file"},
                        {"key": "at", "value": "{{$timestamp}}"},
                    ],
                },
            },
        }
    ],
}
CALLING = """
connectors: {pictures: {spec: pictures.json}}
connections: {pictures: {connector: pictures, parameters: {tenant: t1}}}
"""


@pytest.fixture
def collection(pointsman, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures.json").write_text(json.dumps(COLLECTION), "utf-8")
    (tmp_path / "pointsman.yaml").write_text(CALLING, "utf-8")
    return pointsman


def test_a_preset_is_called_with_what_it_needs(collection):
    words = ("call", "pictures.Take a picture", "--preset", "Take a picture", "--dry-run")
    ran = collection(*words)
    assert ran.code == 1
    assert "/body/picture has to be given" in ran.err
    given = json.dumps({"body": {"picture": {"text": "abc", "filename": "a.txt"}}})
    request = json.loads(collection(*words, "--with", given, "-o", "json").out)["request"]
    assert request["url"] == "https://a.example/t1/pictures"
    assert len(request["headers"]["X-Request"]) == 36
    assert 'filename="a.txt"' in request["body"]
    assert "{{" not in request["body"]
    assert "has no preset" in collection(*words[:3], "Take it", "--dry-run").err


def test_presets_are_shown_with_what_they_give_and_need(collection):
    shown = json.loads(collection("operations", "show", "pictures.Take a picture", "-o", "json").out)
    (preset,) = shown["presets"]
    assert preset["name"] == "Take a picture"
    assert preset["with"] == {
        "tenant": "{{tenant}}",
        "X-Request": "{{$guid}}",
        "body": {"at": "{{$timestamp}}"},
    }
    assert preset["needs"] == ["/body/picture"]


def test_a_connector_is_shown_with_its_versions_and_what_has_become_of_them(project, tmp_path):
    config = tmp_path / "p/pointsman.yaml"
    spec = "spec: shop.openapi.yaml"
    versions = f'{{"1": {{{spec}, deprecated: too slow}}, "0": {{withdrawn: it is off}}}}'
    text = config.read_text("utf-8")
    assert text.count(f"{{{spec}}}") == 1
    config.write_text(text.replace(f"{{{spec}}}", f"{{{spec}, versions: {versions}}}"), "utf-8")
    shown = json.loads(project("connectors", "show", "shop", "-o", "json").out)["versions"]
    assert [(one["version"], one["state"], one["reason"], one["rules"]) for one in shown] == [
        ("1", "deprecated", "too slow", []),
        ("0", "withdrawn", "it is off", []),
    ]
    table = project("connectors", "show", "shop").out
    assert "VERSION  SPEC" in table
    assert "withdrawn   it is off  -" in table
